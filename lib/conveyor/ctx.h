/*
 * Memory of a context; the rest of what this room shares is in core.h. Behind a context stands its stage's state, and behind that, where the stage
 * has an on_timer, when it is due.
 */
#ifndef CVY_CONVEYOR_CTX_H
#define CVY_CONVEYOR_CTX_H

#include "conveyor/core.h"

/* Zeroed state; not yet in the chain. NULL: no memory. */
cvy_ctx_t *cvy__ctx_new(cvy_conveyor_t *c, const cvy_stage_t *stage);
void cvy__ctx_free(cvy_ctx_t *ctx);

/* When its on_timer is due; CVY__NEVER: none is set. Only where the stage has one. */
static inline uint64_t *cvy__ctx_due(const cvy_ctx_t *ctx)
{
    size_t unit = sizeof(uint64_t), state = (ctx->stage->state_size + unit - 1) / unit * unit;
    return (uint64_t *)(uintptr_t)((const char *)(ctx + 1) + state);
}

#endif
