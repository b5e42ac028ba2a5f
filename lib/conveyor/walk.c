/*
 * What walks by itself, so that no stage can swallow it by forgetting: active and read-closed, which a stage may hold, inactive,
 * writability, inbound-resume, read-complete and flush.
 *
 * A walk looks for its next context only after the callback has returned, so that the chain may change under it, and ends when
 * closing began inside a callback.
 */
#include <assert.h>
#include <conveyor/stage.h>
#include <uv.h>

#include "conveyor/core.h"

typedef void (*slot_t)(cvy_ctx_t *ctx);

static void call(cvy_ctx_t *ctx, slot_t slot)
{
    cvy__ctx_enter(ctx);
    slot(ctx);
    cvy__ctx_leave(ctx);
}

static void offer(cvy_ctx_t *ctx, const cvy_event_type_t *type, bool inbound)
{
    cvy_event_t ev = { type };
    cvy__ctx_offer(ctx, &ev, inbound);
}

/* A slot that answers: its answer, or 0 for a context without one. */
static int ask(cvy_ctx_t *ctx, int (*slot)(cvy_ctx_t *), const cvy_event_type_t *type)
{
    if (!slot) {
        offer(ctx, type, true);
        return 0;
    }
    cvy__ctx_enter(ctx);
    int answer = slot(ctx);
    cvy__ctx_leave(ctx);
    return answer;
}

/* The next towards TAIL that had active: before that nothing that walks by itself comes to a stage. */
static cvy_ctx_t *next_active(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *at = cvy__ctx_next(ctx);
    while (!(at->flags & CVY__CTX_ACTIVE))
        at = cvy__ctx_next(at);
    return at;
}

/* Active */

/* Who comes while the others know the queue to be above its mark hears it too, before the outbound-resume. */
static void tell_late(cvy_ctx_t *ctx)
{
    const cvy_conveyor_t *c = ctx->conveyor;
    if (!c->told_above || cvy__ctx_skipped(ctx) || cvy__conveyor_is_closing(c)) return;
    if (ctx->stage->on_outbound_suspend)
        call(ctx, ctx->stage->on_outbound_suspend);
    else
        offer(ctx, &cvy_outbound_suspend_event, true);
}

/* True: the walk may go on behind ctx. */
static bool deliver_active(cvy_ctx_t *ctx)
{
    if (ctx->flags & CVY__CTX_ACTIVE) return true;
    ctx->flags |= CVY__CTX_ACTIVE;
    int answer = ask(ctx, ctx->stage->on_active, &cvy_active_event);
    if (answer && answer != UV_EAGAIN) {
        cvy_conveyor_t *c = ctx->conveyor;
        cvy_close_t how = { CVY_CLOSE_NOW, answer };
        c->owner->close(c->transport, &how, false);
    }
    tell_late(ctx);
    return answer == 0;
}

/* Bytes would pass a holder that takes none, and reach those behind it before active: it holds reading as well. */
static void hold_active(cvy_ctx_t *ctx)
{
    ctx->conveyor->active_held = true;
    if (cvy__stage_takes_bytes_in(ctx->stage) || ctx->flags & CVY__CTX_HOLDS_READS) return;
    ctx->flags |= CVY__CTX_HOLD_PAUSES;
    cvy_ctx_suspend(ctx);
}

/* A stage may end its hold before it has answered: then the walk has gone on from there when it does. */
void cvy__walk_active(cvy_conveyor_t *c)
{
    while (!c->active_held && !cvy__conveyor_is_closing(c) && c->active_at != &c->tail) {
        cvy_ctx_t *at = cvy__ctx_next(c->active_at);
        c->active_at = at;
        if (at != &c->tail && !deliver_active(at) && c->active_at == at && !cvy__ctx_skipped(at)) hold_active(at);
    }
}

/* Whether the walk has passed the place where ctx stands now. */
static bool active_passed(const cvy_ctx_t *ctx)
{
    const cvy_conveyor_t *c = ctx->conveyor;
    if (!c->active_at) return false;
    for (const cvy_ctx_t *at = ctx->next; at; at = at->next)
        if (at == c->active_at) return true;
    return false;
}

void cvy__walk_active_one(cvy_ctx_t *ctx)
{
    if (!cvy__conveyor_is_closing(ctx->conveyor) && !cvy__ctx_skipped(ctx) && active_passed(ctx)) deliver_active(ctx);
}

void cvy_ctx_activate_next(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (c->active_at != ctx) return;
    bool outermost = cvy__loop_hold(c->loop);
    c->active_held = false;
    cvy__walk_active(c);
    if (ctx->flags & CVY__CTX_HOLD_PAUSES) cvy_ctx_resume(ctx);
    ctx->flags &= ~(uint32_t)CVY__CTX_HOLD_PAUSES;
    if (outermost) cvy__loop_let_go(c->loop);
}

void cvy__walk_inactive(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *at = next_active(&c->head); at != &c->tail; at = next_active(at)) {
        if (at->stage->on_inactive)
            call(at, at->stage->on_inactive);
        else
            offer(at, &cvy_inactive_event, true);
    }
}

/* Read-closed */

static void read_closed_default(cvy_conveyor_t *c)
{
    static const cvy_close_t graceful = { CVY_CLOSE_GRACEFUL, 0 };
    c->read_closed_done = true;
    c->owner->close(c->transport, &graceful, true);
}

void cvy__walk_read_closed(cvy_conveyor_t *c)
{
    while (c->read_closed_at && !c->read_closed_held && !c->read_closed_done && !cvy__conveyor_is_closing(c) &&
           !cvy__conveyor_suspended(c)) {
        cvy_ctx_t *at = next_active(c->read_closed_at);
        if (at == &c->tail) {
            read_closed_default(c);
            return;
        }
        c->read_closed_at = at;
        c->read_closed_held = true; /* until it answers, or lets go before that */
        int answer = ask(at, at->stage->on_read_closed, &cvy_read_closed_event);
        if (answer != UV_EAGAIN) c->read_closed_held = false;
        if (answer && answer != UV_EAGAIN) cvy_ctx_fail(at, answer, "end of stream");
        if (c->failures) { /* a stage that fails here is heard before the default closes */
            cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
            return;
        }
    }
}

void cvy_ctx_read_closed_next(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (c->read_closed_at != ctx) return;
    c->read_closed_held = false;
    cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
}

/* Active goes on at once: what the stage lets go of in its on_removed must not overtake it. */
void cvy__walk_forget(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    if (c->active_held && c->active_at == ctx) {
        c->active_held = false;
        cvy__walk_active(c);
    }
    if (c->read_closed_held && c->read_closed_at == ctx) {
        c->read_closed_held = false;
        cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
    }
}

/* Flow */

void cvy__walk_resume(cvy_conveyor_t *c)
{
    cvy_ctx_t *at = &c->tail;
    c->in_resume = true;
    while (at != &c->head && !cvy__conveyor_is_closing(c) && !cvy__conveyor_suspended(c)) {
        at = cvy__ctx_prev(at);
        if (at->stage->on_inbound_resume)
            call(at, at->stage->on_inbound_resume);
        else
            offer(at, &cvy_inbound_resume_event, false);
    }
    c->in_resume = false;
}

static void tell_writability(cvy_conveyor_t *c, bool writable)
{
    const cvy_event_type_t *type = writable ? &cvy_outbound_resume_event : &cvy_outbound_suspend_event;
    c->told_above = !writable;
    for (cvy_ctx_t *at = next_active(&c->head); at != &c->tail && !cvy__conveyor_is_closing(c); at = next_active(at)) {
        slot_t slot = writable ? at->stage->on_outbound_resume : at->stage->on_outbound_suspend;
        if (slot)
            call(at, slot);
        else
            offer(at, type, true);
    }
    if (!cvy__conveyor_is_closing(c)) c->owner->writable(c->transport, writable);
}

/*
 * Before the stages are told that the queue is above its mark, the kernel is asked once more: holding a peer that keeps up would
 * cost two system calls, to stop and to start reading. At most one pair per turn: after a resume the next suspend waits for another.
 */
void cvy__walk_writability(cvy_conveyor_t *c)
{
    if (c->above && !c->told_above) c->owner->relieve(c->transport);
    if (c->todo & CVY__TODO_RESUME) { /* that undid it: inbound-resume comes first */
        cvy__conveyor_todo(c, CVY__TODO_WRITABILITY);
        return;
    }
    bool tell_pair = !c->above && !c->told_above && c->owe_pair;
    if (cvy__conveyor_is_closing(c) || (c->above == c->told_above && !tell_pair)) return;
    if ((c->above || tell_pair) && c->pair_turn == c->loop->turns + 1) {
        cvy__loop_defer_turn(c->loop, &c->next_turn);
        return;
    }
    c->owe_pair = false;
    if (c->above || tell_pair) tell_writability(c, false);
    if (c->above || !c->told_above) return;
    tell_writability(c, true);
    c->pair_turn = c->loop->turns + 1; /* 0 is never */
}

void cvy__conveyor_walk_read_complete(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *at = next_active(&c->head); at != &c->tail && !cvy__conveyor_is_closing(c); at = next_active(at)) {
        if (at->stage->on_read_complete)
            call(at, at->stage->on_read_complete);
        else
            offer(at, &cvy_read_complete_event, true);
    }
}

void cvy__walk_flush_from(cvy_ctx_t *from)
{
    cvy_conveyor_t *c = from->conveyor;
    bool outer = c->in_flush;
    c->in_flush = true;
    for (cvy_ctx_t *at = from; at != &c->head && !cvy__conveyor_is_closing(c);) {
        at = cvy__ctx_prev(at);
        if (at->stage->on_outbound_flush)
            call(at, at->stage->on_outbound_flush);
        else
            offer(at, &cvy_outbound_flush_event, false);
    }
    c->in_flush = outer;
}

void cvy__conveyor_walk_flush(cvy_conveyor_t *c)
{
    cvy__walk_flush_from(&c->tail);
}
