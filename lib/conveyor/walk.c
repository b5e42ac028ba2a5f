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

/* Strictly alternating for each stage, whenever it came: one that joins a walk in its middle hears only what is new to it. */
static void tell_one(cvy_ctx_t *ctx, bool writable)
{
    bool told_above = (ctx->flags & CVY__CTX_TOLD_ABOVE) != 0;
    if (told_above != writable) return;
    ctx->flags ^= CVY__CTX_TOLD_ABOVE;
    slot_t slot = writable ? ctx->stage->on_outbound_resume : ctx->stage->on_outbound_suspend;
    if (slot)
        call(ctx, slot);
    else
        offer(ctx, writable ? &cvy_outbound_resume_event : &cvy_outbound_suspend_event, true);
}

/* Active */

/* Who comes while the others know the queue to be above its mark hears it too, before the outbound-resume. */
static void tell_late(cvy_ctx_t *ctx)
{
    const cvy_conveyor_t *c = ctx->conveyor;
    if (c->told_above && !cvy__ctx_skipped(ctx) && !cvy__conveyor_is_closing(c)) tell_one(ctx, false);
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
        cvy__conveyor_owner(c)->close(cvy__conveyor_transport(c), &how, false);
    }
    tell_late(ctx);
    if (ctx->conveyor->read_closed) cvy__conveyor_todo(ctx->conveyor, CVY__TODO_READ_CLOSED);
    return answer == 0;
}

/* Bytes would pass a holder that takes none, and reach those behind it before active: it holds reading as well. */
static void hold_active(cvy_ctx_t *ctx)
{
    ctx->conveyor->active_held = true;
    if (!(ctx->flags & CVY__CTX_TAKES_IN)) cvy__conveyor_suspend(ctx->conveyor, CVY__HOLDER_ACTIVE);
}

/*
 * A stage may end its hold before it has answered: then the walk has gone on from there when it does. One that removed itself is busy
 * until those behind it had active: what it lets go of in its on_removed must not overtake that.
 */
static void walk_active_to(cvy_conveyor_t *c, cvy_ctx_t *at)
{
    c->active_at = at;
    c->active_over = at == &c->ends;
    if (c->active_over) return;
    cvy__ctx_enter(at);
    if (!deliver_active(at) && c->active_at == at && !cvy__ctx_skipped(at)) hold_active(at);
    if (cvy__ctx_skipped(at)) cvy__walk_active(c);
    cvy__ctx_leave(at);
}

void cvy__walk_active(cvy_conveyor_t *c)
{
    while (!c->active_held && !c->active_over && !cvy__conveyor_is_closing(c))
        walk_active_to(c, cvy__ctx_next(c->active_at));
}

/* Whether the walk has passed the place where ctx stands now. */
static bool active_passed(const cvy_ctx_t *ctx)
{
    const cvy_conveyor_t *c = ctx->conveyor;
    if (!c->active_at || c->active_over) return c->active_over;
    for (const cvy_ctx_t *at = ctx->next; at != &c->ends; at = at->next)
        if (at == c->active_at) return true;
    return false;
}

void cvy__walk_active_one(cvy_ctx_t *ctx)
{
    if (!cvy__conveyor_is_closing(ctx->conveyor) && !cvy__ctx_skipped(ctx) && active_passed(ctx)) deliver_active(ctx);
}

/* The hold has ended: active goes on, and reading, unless the next one holds both. */
static void go_on(cvy_conveyor_t *c)
{
    c->active_held = false;
    cvy__walk_active(c);
    if (!c->active_held || c->active_at->flags & CVY__CTX_TAKES_IN) cvy__conveyor_resume(c, CVY__HOLDER_ACTIVE);
}

void cvy_ctx_activate_next(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (c->active_at != ctx) return;
    bool outermost = cvy__loop_hold(c->loop);
    go_on(c);
    if (outermost) cvy__loop_let_go(c->loop);
}

void cvy__walk_inactive(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *at = next_active(&c->ends); at != &c->ends; at = next_active(at)) {
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
    cvy__conveyor_owner(c)->close(cvy__conveyor_transport(c), &graceful, true);
}

/* The first towards TAIL that has not heard of it: the walk's next, or one that came late. */
static cvy_ctx_t *next_unaware(cvy_conveyor_t *c)
{
    cvy_ctx_t *at = next_active(&c->ends);
    while (at->flags & CVY__CTX_READ_CLOSED)
        at = next_active(at);
    return at;
}

static void end_hold(cvy_ctx_t *ctx)
{
    if (ctx->flags & CVY__CTX_HOLDS_END) ctx->conveyor->read_closed_held = false;
    ctx->flags &= ~(uint32_t)CVY__CTX_HOLDS_END;
}

void cvy__walk_read_closed(cvy_conveyor_t *c)
{
    if (c->read_closed && !cvy__conveyor_is_closing(c) && !cvy__conveyor_suspended(c))
        cvy__conveyor_owner(c)->reads_over(cvy__conveyor_transport(c));
    while (c->read_closed && !c->read_closed_held && !cvy__conveyor_is_closing(c) && !cvy__conveyor_suspended(c)) {
        cvy_ctx_t *at = next_unaware(c);
        if (at == &c->ends) {
            if (!c->read_closed_done) read_closed_default(c);
            return;
        }
        at->flags |= CVY__CTX_READ_CLOSED | CVY__CTX_HOLDS_END;
        c->read_closed_held = true; /* until it answers, or lets go before that */
        cvy__ctx_enter(at);         /* what it answers counts, also where it has removed itself */
        int answer = ask(at, at->stage->on_read_closed, &cvy_read_closed_event);
        if (answer != UV_EAGAIN) end_hold(at);
        if (answer && answer != UV_EAGAIN) cvy_ctx_fail(at, answer, "end of stream");
        cvy__ctx_leave(at);
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
    if (!(ctx->flags & CVY__CTX_HOLDS_END)) return;
    end_hold(ctx);
    cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
}

/* Active goes on at once: what the stage lets go of in its on_removed must not overtake it. */
void cvy__walk_forget(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    if (c->active_held && c->active_at == ctx) go_on(c);
    if (ctx->flags & CVY__CTX_HOLDS_END) {
        end_hold(ctx);
        cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
    }
}

/* Flow */

const cvy_event_t cvy__resume_walk = { &cvy_inbound_resume_event };

void cvy__walk_resume(cvy_conveyor_t *c)
{
    cvy_ctx_t *at = &c->ends;
    do {
        if (cvy__conveyor_is_closing(c) || cvy__conveyor_suspended(c)) break;
        at = cvy__ctx_prev(at);
        if (at->stage->on_inbound_resume)
            call(at, at->stage->on_inbound_resume);
        else
            cvy__ctx_offer(at, (cvy_event_t *)(uintptr_t)&cvy__resume_walk, false);
    } while (at != &c->ends);
}

static void tell_writability(cvy_conveyor_t *c, bool writable)
{
    c->told_above = !writable;
    for (cvy_ctx_t *at = next_active(&c->ends); at != &c->ends && !cvy__conveyor_is_closing(c); at = next_active(at))
        tell_one(at, writable);
    if (!cvy__conveyor_is_closing(c)) cvy__conveyor_owner(c)->writable(cvy__conveyor_transport(c), writable);
}

bool cvy__walk_pair_told(const cvy_conveyor_t *c)
{
    return c->pair_turn == (uint32_t)c->loop->turns + 1;
}

/*
 * Before the stages are told that the queue is above its mark, the kernel is asked once more: holding a peer that keeps up would
 * cost two system calls, to stop and to start reading. At most one pair per turn: after a resume the next suspend waits for another.
 */
void cvy__walk_writability(cvy_conveyor_t *c)
{
    if (cvy__conveyor_is_above(c) && !c->told_above) cvy__conveyor_owner(c)->relieve(cvy__conveyor_transport(c));
    if (c->todo & CVY__TODO_RESUME) { /* that undid it: inbound-resume comes first */
        cvy__conveyor_todo(c, CVY__TODO_WRITABILITY);
        return;
    }
    bool tell_pair = !cvy__conveyor_is_above(c) && !c->told_above && c->owe_pair;
    if (cvy__conveyor_is_closing(c) || (cvy__conveyor_is_above(c) == c->told_above && !tell_pair)) return;
    if ((cvy__conveyor_is_above(c) || tell_pair) && cvy__walk_pair_told(c)) {
        c->put_off = true;
        return;
    }
    c->owe_pair = false;
    if (cvy__conveyor_is_above(c) || tell_pair) tell_writability(c, false);
    if (cvy__conveyor_is_above(c) || !c->told_above) return;
    tell_writability(c, true);
    c->pair_turn = (uint32_t)c->loop->turns + 1; /* 0: none, or one turn in 2^32, which puts off for nothing */
}

void cvy__conveyor_walk_read_complete(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *at = next_active(&c->ends); at != &c->ends && !cvy__conveyor_is_closing(c); at = next_active(at)) {
        if (at->stage->on_read_complete)
            call(at, at->stage->on_read_complete);
        else
            offer(at, &cvy_read_complete_event, true);
    }
}

void cvy__walk_flush_from(cvy_ctx_t *from)
{
    cvy_conveyor_t *c = from->conveyor;
    cvy_ctx_t *at = from;
    bool outer = c->in_flush;
    c->in_flush = true;
    do {
        if (cvy__conveyor_is_closing(c)) break;
        at = cvy__ctx_prev(at);
        if (at->stage->on_outbound_flush)
            call(at, at->stage->on_outbound_flush);
        else
            offer(at, &cvy_outbound_flush_event, false);
    } while (at != &c->ends);
    c->in_flush = outer;
}

void cvy__conveyor_walk_flush(cvy_conveyor_t *c)
{
    cvy__walk_flush_from(&c->ends);
}
