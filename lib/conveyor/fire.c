/*
 * Dispatch: an event goes from one context to the next that takes it.
 *
 * Bytes, the hot path, follow a pointer that was looked up when the chain last changed. Everything else looks at each context on
 * its way: the slot, the table of user events, the catch-all. A context that has a callback on the stack is busy; it is not freed,
 * and its on_removed waits, until it is not. Fired bytes are gone whatever the answer: what is left of them is dropped here.
 */
#include <assert.h>
#include <conveyor/stage.h>
#include <uv.h>

#include "buf/debug.h"
#include "conveyor/quick.h"

#define ON_LOOP(ctx) assert(cvy_loop_in_thread((ctx)->conveyor->loop))

/* What an outbound fire answers; "not writable" is a promise of an outbound-resume. */
static int outbound_answer(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    if (ctx->flags & CVY__CTX_REMOVED) return UV_ECANCELED;
    if (!(c->gate & (CVY__GATE_CLOSING | CVY__GATE_SHUT | CVY__GATE_ABOVE))) return 0;
    if (c->gate & (CVY__GATE_CLOSING | CVY__GATE_SHUT)) return UV_EPIPE;
    c->owe_pair = !c->told_above;
    return UV_EAGAIN;
}

/* Around all that runs user code: what is deferred meanwhile waits, also where the application fires outside any dispatch. */
static inline bool hold(const cvy_ctx_t *ctx)
{
    return cvy__loop_hold(ctx->conveyor->loop);
}

static inline void let_go(const cvy_ctx_t *ctx, bool outermost)
{
    if (outermost) cvy__loop_let_go(ctx->conveyor->loop);
}

/* Whether what ctx fires is disposed of. */
static bool muted(const cvy_ctx_t *ctx)
{
    return (ctx->flags & CVY__CTX_DEAD) || cvy__conveyor_is_closing(ctx->conveyor);
}

bool cvy__ctx_offer(cvy_ctx_t *ctx, cvy_event_t *ev, bool inbound)
{
    void (*run)(cvy_ctx_t *, cvy_event_t *) = NULL;
    for (const cvy_on_t *on = ctx->stage->events; on && on->type && !run; on++)
        if (on->type == ev->type) run = on->run;
    if (!run) run = inbound ? ctx->stage->on_inbound : ctx->stage->on_outbound;
    if (!run) return false;
    cvy__ctx_enter(ctx);
    run(ctx, ev);
    cvy__ctx_leave(ctx);
    return true;
}

/* Debug builds know which stages a segment has passed, and who took it (contract B11); else nothing. */
static inline const char *trace_bytes(const cvy_ctx_t *to, cvy_buf_t *bytes)
{
    cvy__buf_touch(bytes, to->stage->name);
    return cvy__buf_taker(to->stage->name);
}

void cvy__fire_inbound_bytes_long(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    bool outermost = hold(ctx);
    if (!muted(ctx)) {
        cvy_ctx_t *to = ctx->bytes_in;
        const char *outer = trace_bytes(to, in);
        if (to->stage->on_inbound_bytes) {
            cvy__ctx_enter(to);
            to->stage->on_inbound_bytes(to, in);
            cvy__ctx_leave(to);
        } else {
            cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), in };
            cvy__ctx_offer(to, &ev.event, true);
        }
        cvy__buf_taker(outer);
    }
    cvy__buf_done(in);
    let_go(ctx, outermost);
}

int cvy_fire_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    return cvy__fire_inbound_bytes(ctx, in);
}

void cvy__fire_outbound_bytes_long(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    bool outermost = hold(ctx);
    if (!muted(ctx)) {
        cvy_ctx_t *to = ctx->bytes_out;
        const char *outer = trace_bytes(to, out);
        if (cvy__conveyor_flushes(ctx->conveyor))
            cvy__conveyor_owner(ctx->conveyor)->dirty(cvy__conveyor_transport(ctx->conveyor));
        if (to->stage->on_outbound_bytes) {
            cvy__ctx_enter(to);
            to->stage->on_outbound_bytes(to, out);
            cvy__ctx_leave(to);
        } else {
            cvy_outbound_bytes_t ev = { CVY_EVENT_OF(cvy_outbound_bytes), out };
            cvy__ctx_offer(to, &ev.event, false);
        }
        cvy__buf_taker(outer);
    }
    cvy__buf_done(out);
    let_go(ctx, outermost);
}

int cvy_fire_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy__fire_outbound_bytes(ctx, out);
    return outbound_answer(ctx);
}

int cvy_fire_outbound_copy(cvy_ctx_t *ctx, const void *bytes, size_t n)
{
    ON_LOOP(ctx);
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    int err = cvy_buf_append(&b, bytes, n);
    if (err) {
        cvy_buf_fini(&b);
        return err;
    }
    return cvy_fire_outbound_bytes(ctx, &b);
}

void cvy__error_walk(cvy_ctx_t *from, const cvy_error_t *err)
{
    cvy_conveyor_t *c = from->conveyor;
    cvy_failure_t ev = { CVY_EVENT_OF(cvy_failure), err };
    bool outer = c->in_error;
    c->in_error = true;
    for (cvy_ctx_t *at = cvy__ctx_next(from);; at = cvy__ctx_next(at)) {
        if (at->stage->on_error) {
            cvy__ctx_enter(at);
            at->stage->on_error(at, err);
            cvy__ctx_leave(at);
            break;
        }
        if (at == &c->ends || cvy__ctx_offer(at, &ev.event, true)) break;
    }
    c->in_error = outer;
}

int cvy_fire_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    ON_LOOP(ctx);
    bool outermost = hold(ctx);
    /* At the end of a transport that failed the walk runs while closing. */
    if (!muted(ctx) || (ctx->conveyor->last_error && !(ctx->flags & CVY__CTX_DEAD))) cvy__error_walk(ctx, err);
    int answer = cvy__ctx_answer(ctx);
    let_go(ctx, outermost);
    return answer;
}

static void close_walk(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    cvy_outbound_close_t ev = { CVY_EVENT_OF(cvy_outbound_close), how };
    for (cvy_ctx_t *at = cvy__ctx_prev(ctx);; at = cvy__ctx_prev(at)) {
        if (at->stage->on_outbound_close) {
            cvy__ctx_enter(at);
            at->stage->on_outbound_close(at, how);
            cvy__ctx_leave(at);
            break;
        }
        if (cvy__ctx_offer(at, &ev.event, false)) break;
    }
}

int cvy_fire_outbound_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    ON_LOOP(ctx);
    bool outermost = hold(ctx);
    if (!muted(ctx)) {
        cvy_conveyor_t *c = ctx->conveyor;
        close_walk(ctx, how);
        if (!cvy__conveyor_is_closing(c)) cvy__conveyor_owner(c)->close_kept(cvy__conveyor_transport(c), how);
    }
    int answer = outbound_answer(ctx);
    let_go(ctx, outermost);
    return answer;
}

int cvy_fire_outbound_flush(cvy_ctx_t *ctx)
{
    ON_LOOP(ctx);
    bool outermost = hold(ctx);
    if (!muted(ctx)) cvy__walk_flush_from(ctx);
    int answer = outbound_answer(ctx);
    let_go(ctx, outermost);
    return answer;
}

/* A built-in event in the wrong direction goes nowhere, but its bytes are gone like all that is fired. */
static void astray(const cvy_event_t *ev)
{
    if (ev->type->builtin == CVY__INBOUND_BYTES)
        cvy_buf_fini(((const cvy_inbound_bytes_t *)ev)->buf);
    else if (ev->type->builtin == CVY__OUTBOUND_BYTES)
        cvy_buf_fini(((const cvy_outbound_bytes_t *)ev)->buf);
}

int cvy_fire_inbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    ON_LOOP(ctx);
    if (ev->type->builtin == CVY__INBOUND_BYTES) return cvy_fire_inbound_bytes(ctx, ((cvy_inbound_bytes_t *)ev)->buf);
    if (ev->type->builtin == CVY__FAILURE) return cvy_fire_error(ctx, ((cvy_failure_t *)ev)->error);
    bool outermost = hold(ctx);
    if (!ev->type->builtin && !muted(ctx)) /* the others walk by themselves */
        for (cvy_ctx_t *at = cvy__ctx_next(ctx); !cvy__ctx_offer(at, ev, true) && at != &ctx->conveyor->ends;)
            at = cvy__ctx_next(at);
    astray(ev);
    int answer = cvy__ctx_answer(ctx);
    let_go(ctx, outermost);
    return answer;
}

static int fire_outbound_user(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    bool outermost = hold(ctx);
    if (!ev->type->builtin && !muted(ctx))
        for (cvy_ctx_t *at = cvy__ctx_prev(ctx); !cvy__ctx_offer(at, ev, false) && at != &ctx->conveyor->ends;)
            at = cvy__ctx_prev(at);
    astray(ev);
    int answer = outbound_answer(ctx);
    let_go(ctx, outermost);
    return answer;
}

int cvy_fire_outbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    ON_LOOP(ctx);
    switch (ev->type->builtin) {
    case CVY__OUTBOUND_BYTES: return cvy_fire_outbound_bytes(ctx, ((cvy_outbound_bytes_t *)ev)->buf);
    case CVY__OUTBOUND_CLOSE: return cvy_fire_outbound_close(ctx, ((cvy_outbound_close_t *)ev)->how);
    case CVY__INBOUND_SUSPEND: cvy_ctx_suspend(ctx); return outbound_answer(ctx);
    case CVY__INBOUND_RESUME: /* this one and flush, fired on by a catch-all, walk by themselves already */
        if (ev != &cvy__resume_walk) cvy_ctx_resume(ctx);
        return outbound_answer(ctx);
    case CVY__OUTBOUND_FLUSH: return ctx->conveyor->in_flush ? outbound_answer(ctx) : cvy_fire_outbound_flush(ctx);
    default: return fire_outbound_user(ctx, ev);
    }
}

/* Writability as a question: whoever is told "no" is certain of an outbound-resume. */
bool cvy_ctx_writable(cvy_ctx_t *ctx)
{
    return outbound_answer(ctx) == 0;
}
