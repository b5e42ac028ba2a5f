/* TAIL: what no stage took ends here. Bytes are counted and dropped, an error closes, everything else passes silently. */
#include <conveyor/stage.h>

#include "conveyor/core.h"

static void drop(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    if (cvy_buf_len(in)) ctx->conveyor->owner->dropped(ctx->conveyor->transport, cvy_buf_len(in));
}

static void close_with(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    ctx->conveyor->owner->failed(ctx->conveyor->transport, err);
}

const cvy_stage_t cvy__tail_stage = { .name = "TAIL", .on_inbound_bytes = drop, .on_error = close_with };
