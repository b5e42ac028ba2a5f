/*
 * A context as its stage sees it: state, neighbours' loop and pool, suspends, timer, failure.
 *
 * Memory of a context: the struct, then a timer if the stage has on_timer, then the state.
 */
#include <assert.h>
#include <conveyor/stage.h>
#include <conveyor/timer.h>
#include <stdalign.h>
#include <uv.h>

#include "base/memory.h"
#include "conveyor/ctx.h"

static size_t rounded(size_t n)
{
    size_t a = alignof(max_align_t);
    return (n + a - 1) / a * a;
}

static size_t state_offset(const cvy_stage_t *stage)
{
    return rounded(sizeof(cvy_ctx_t)) + (stage->on_timer ? rounded(sizeof(cvy_timer_t)) : 0);
}

static cvy_timer_t *timer_of(cvy_ctx_t *ctx)
{
    return (cvy_timer_t *)(void *)((char *)ctx + rounded(sizeof *ctx));
}

static void on_timer(cvy_timer_t *timer)
{
    cvy_ctx_t *ctx = timer->arg;
    ctx->busy++;
    ctx->stage->on_timer(ctx);
    cvy__ctx_leave(ctx);
}

cvy_ctx_t *cvy__ctx_new(cvy_conveyor_t *c, const cvy_stage_t *stage)
{
    size_t offset = state_offset(stage);
    if (stage->state_size > SIZE_MAX - offset) return NULL;
    cvy_ctx_t *ctx = cvy__calloc(1, offset + stage->state_size);
    if (!ctx) return NULL;
    ctx->stage = stage;
    ctx->conveyor = c;
    ctx->flags = CVY__CTX_ASIDE;
    if (stage->on_timer) {
        ctx->flags |= CVY__CTX_TIMER;
        cvy__timer_init_internal(timer_of(ctx), c->loop, on_timer, ctx);
    }
    return ctx;
}

void cvy__ctx_stop_timer(cvy_ctx_t *ctx)
{
    if (ctx->flags & CVY__CTX_TIMER) cvy_timer_stop(timer_of(ctx));
}

void cvy_ctx_timer(cvy_ctx_t *ctx, int64_t ms)
{
    assert(cvy_loop_in_thread(ctx->conveyor->loop));
    assert(ctx->flags & CVY__CTX_TIMER);
    if (!(ctx->flags & CVY__CTX_TIMER)) return;
    if (ms < 0 || (ctx->flags & CVY__CTX_REMOVED) || ctx->conveyor->torn_down)
        cvy_timer_stop(timer_of(ctx));
    else
        cvy_timer_start(timer_of(ctx), (uint64_t)ms);
}

void *cvy_ctx_state(cvy_ctx_t *ctx)
{
    return (char *)ctx + state_offset(ctx->stage);
}

const cvy_stage_t *cvy_ctx_stage(const cvy_ctx_t *ctx)
{
    return ctx->stage;
}

cvy_conveyor_t *cvy_ctx_conveyor(const cvy_ctx_t *ctx)
{
    return ctx->conveyor;
}

cvy_transport_t *cvy_ctx_transport(const cvy_ctx_t *ctx)
{
    return ctx->conveyor->transport;
}

cvy_loop_t *cvy_ctx_loop(const cvy_ctx_t *ctx)
{
    return ctx->conveyor->loop;
}

cvy_pool_t *cvy_ctx_pool(const cvy_ctx_t *ctx)
{
    return cvy_loop_pool(ctx->conveyor->loop);
}

int cvy_ctx_stopped(const cvy_ctx_t *ctx)
{
    return cvy__ctx_answer(ctx);
}

void cvy_ctx_suspend(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (ctx->flags & (CVY__CTX_HOLDS_READS | CVY__CTX_REMOVED)) return;
    ctx->flags |= CVY__CTX_HOLDS_READS;
    if (c->holders++) return;
    c->gate |= CVY__GATE_SUSPENDED;
    c->owner->read_suspended(c->transport, true);
}

void cvy_ctx_resume(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (!(ctx->flags & CVY__CTX_HOLDS_READS)) return;
    ctx->flags &= ~(uint32_t)CVY__CTX_HOLDS_READS;
    if (--c->holders) return;
    c->gate &= (uint8_t)~CVY__GATE_SUSPENDED;
    c->owner->read_suspended(c->transport, false);
    cvy__conveyor_todo(c, CVY__TODO_RESUME);
}

void cvy_ctx_fail_limit(cvy_ctx_t *ctx, int code, const char *detail, uint64_t value, uint64_t limit)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    assert(code < 0);
    if (cvy__conveyor_is_closing(c) || (ctx->flags & CVY__CTX_DEAD)) return;
    cvy_error_t error = { code, ctx->stage->name, detail, value, limit };
    /* A second failure inside an error handler closes, and so does one that there is no memory to announce. */
    cvy__failure_t *failure = c->in_error ? NULL : cvy__malloc(sizeof *failure);
    if (!failure) {
        c->owner->failed(c->transport, &error);
        return;
    }
    *failure = (cvy__failure_t){ NULL, ctx, error };
    *c->failures_end = failure;
    c->failures_end = &failure->next;
    cvy__conveyor_todo(c, CVY__TODO_FAILURES);
}

void cvy_ctx_fail(cvy_ctx_t *ctx, int code, const char *detail)
{
    cvy_ctx_fail_limit(ctx, code, detail, 0, 0);
}
