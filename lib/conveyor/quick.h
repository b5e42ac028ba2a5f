/*
 * The way of fired bytes while nothing is in their way: a dispatch is on the stack, nobody is closing, the next stage has a slot. Who fires from
 * within the library has it in line; fire.c exports it, and holds the long way.
 */
#ifndef CVY_CONVEYOR_QUICK_H
#define CVY_CONVEYOR_QUICK_H

#include <assert.h>
#include <conveyor/stage.h>
#include <uv.h>

#include "base/hints.h"
#include "buf/quick.h"
#include "conveyor/core.h"

/* fire.c: the long way, which asks everything. */
CVY__COLD void cvy__fire_inbound_bytes_long(cvy_ctx_t *ctx, cvy_buf_t *in);
CVY__COLD void cvy__fire_outbound_bytes_long(cvy_ctx_t *ctx, cvy_buf_t *out);

/* Segments note which stages they pass: then nothing goes the quick way. */
#ifdef CVY_DEBUG_SEGMENTS
#define CVY__TRACED true
#else
#define CVY__TRACED false
#endif

static inline void *cvy__ctx_state(cvy_ctx_t *ctx)
{
    return ctx + 1;
}

/* Called from a callback of its own, a stage is within a dispatch. */
static inline bool cvy__fire_is_free(const cvy_ctx_t *ctx, unsigned shut)
{
    return !CVY__TRACED && ctx->flags >= CVY__CTX_BUSY && !(ctx->flags & CVY__CTX_DEAD) &&
           !(ctx->conveyor->gate & shut);
}

static inline void cvy__ctx_take(cvy_ctx_t *to, void (*slot)(cvy_ctx_t *, cvy_buf_t *), cvy_buf_t *bytes)
{
    cvy__ctx_enter(to);
    slot(to, bytes);
    cvy__ctx_leave(to);
    cvy__buf_done(bytes);
}

/* What an inbound fire answers. */
static inline int cvy__ctx_answer(const cvy_ctx_t *ctx)
{
    unsigned gate = ctx->conveyor->gate;
    if (ctx->flags & CVY__CTX_REMOVED) return UV_ECANCELED;
    if (!(gate & (CVY__GATE_CLOSING | CVY__GATE_SUSPENDED))) return 0;
    return gate & CVY__GATE_CLOSING ? UV_EPIPE : UV_EAGAIN;
}

static inline int cvy__fire_inbound_bytes_from(cvy_ctx_t *ctx, cvy_buf_t *in, bool is_free)
{
    cvy_ctx_t *to = ctx->bytes_in;
    assert(cvy_loop_in_thread(ctx->conveyor->loop));
    if (is_free && to->stage->on_inbound_bytes)
        cvy__ctx_take(to, to->stage->on_inbound_bytes, in);
    else
        cvy__fire_inbound_bytes_long(ctx, in);
    return cvy__ctx_answer(ctx);
}

static inline int cvy__fire_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    return cvy__fire_inbound_bytes_from(ctx, in, cvy__fire_is_free(ctx, CVY__GATE_CLOSING));
}

/* Outbound bytes that came in go on, first thing in the callback: who fired them has asked already, nothing has happened since, and what is left is
 * dropped there. */
static inline void cvy__pass_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_ctx_t *to = ctx->bytes_out;
    if (CVY__TRACED || !to->stage->on_outbound_bytes) {
        cvy__fire_outbound_bytes_long(ctx, out);
        return;
    }
    cvy__ctx_enter(to);
    to->stage->on_outbound_bytes(to, out);
    cvy__ctx_leave(to);
}

/* For who tells nobody the answer: "not writable" is a promise. */
static inline void cvy__fire_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_ctx_t *to = ctx->bytes_out;
    assert(cvy_loop_in_thread(ctx->conveyor->loop));
    if (cvy__fire_is_free(ctx, CVY__GATE_CLOSING | CVY__GATE_FLUSHES) && to->stage->on_outbound_bytes)
        cvy__ctx_take(to, to->stage->on_outbound_bytes, out);
    else
        cvy__fire_outbound_bytes_long(ctx, out);
}

#endif
