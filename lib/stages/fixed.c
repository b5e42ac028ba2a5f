/* Frames of one fixed length: the smallest user of the decoder. */
#include <conveyor/fixed.h>
#include <uv.h>

#include "stages/decoder.h"

static int fixed_next(cvy__decoder_t *d, cvy__cut_t *cut, cvy__fault_t *fault)
{
    (void)fault;
    cut->total = (size_t)d->need; /* need never changes: it is the length */
    return cvy_buf_len(&d->held) < cut->total ? UV_EAGAIN : 0;
}

static const cvy__decoder_ops_t fixed_ops = { .next = fixed_next };

static int fixed_added(cvy_ctx_t *ctx, const void *opts)
{
    cvy__decoder_t *d = cvy_ctx_state(ctx);
    const cvy_fixed_opts_t *o = opts;
    if (!o || o->bytes <= 0 || (uint64_t)o->bytes > SIZE_MAX) return UV_EINVAL;
    d->need = (uint64_t)o->bytes;
    return cvy__decoder_init(ctx, &fixed_ops, o->deadline_ms);
}

const cvy_stage_t cvy_fixed_stage = {
    .name = "fixed",
    .state_size = sizeof(cvy__decoder_t),
    .on_added = fixed_added,
    CVY__DECODER_SLOTS,
};

int cvy_fixed_add(cvy_conveyor_t *c, const cvy_fixed_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_fixed_stage, opts, NULL);
}
