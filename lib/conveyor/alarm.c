/*
 * The stages' timers: each context knows when its own is due, and the conveyor has one entry of the wheel for the first of them. So a timer
 * costs a context 8 bytes, and an idle stage beside a frame's deadline one entry between them.
 */
#include <assert.h>
#include <conveyor/stage.h>

#include "conveyor/ctx.h"

/* The entry stands where the first timer does: nothing wakes the loop for one that was stopped. */
static void arm(cvy_conveyor_t *c)
{
    uint64_t next = CVY__NEVER, now = cvy_loop_now(c->loop);
    for (const cvy_ctx_t *at = c->ends.next; at != &c->ends; at = at->next)
        if (at->stage->on_timer && *cvy__ctx_due(at) < next) next = *cvy__ctx_due(at);
    if (next == CVY__NEVER)
        cvy__entry_stop(c->loop, &c->alarm);
    else if (!cvy__wheel_holds(&c->alarm) || c->alarm.due != next)
        cvy__entry_start(c->loop, &c->alarm, next > now ? next - now : 0);
}

void cvy_ctx_timer(cvy_ctx_t *ctx, int64_t ms)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    assert(ms < 0 || ctx->stage->on_timer);
    if (!ctx->stage->on_timer) return;
    uint64_t now = cvy_loop_now(c->loop), due = CVY__NEVER, before = *cvy__ctx_due(ctx);
    if (ms >= 0 && !(ctx->flags & CVY__CTX_REMOVED) && !c->torn_down)
        due = (uint64_t)ms < CVY__NEVER - 1 - now ? now + (uint64_t)ms : CVY__NEVER - 1;
    *cvy__ctx_due(ctx) = due;
    ctx->flags &= ~(uint32_t)CVY__CTX_DUE;
    bool first = cvy__wheel_holds(&c->alarm) && before <= c->alarm.due;
    if (due != before && (first || due < CVY__NEVER)) arm(c);
}

static cvy_ctx_t *first_due(cvy_conveyor_t *c)
{
    cvy_ctx_t *first = NULL;
    for (cvy_ctx_t *at = c->ends.next; at != &c->ends; at = at->next)
        if (at->flags & CVY__CTX_DUE && (!first || *cvy__ctx_due(at) < *cvy__ctx_due(first))) first = at;
    return first;
}

/* Those that are due now, in the order of their times; what a callback sets anew fires in a later turn, even if it is due. */
void cvy__alarm_fire(cvy__entry_t *alarm)
{
    cvy_conveyor_t *c = CVY__OF(alarm, cvy_conveyor_t, alarm);
    cvy_loop_t *loop = c->loop;
    uint64_t now = cvy_loop_now(loop);
    cvy__loop_enter(loop);
    for (cvy_ctx_t *at = c->ends.next; at != &c->ends; at = at->next)
        if (at->stage->on_timer && *cvy__ctx_due(at) <= now) at->flags |= CVY__CTX_DUE;
    for (cvy_ctx_t *at; (at = first_due(c));) {
        at->flags &= ~(uint32_t)CVY__CTX_DUE;
        *cvy__ctx_due(at) = CVY__NEVER;
        cvy__ctx_enter(at);
        at->stage->on_timer(at);
        cvy__ctx_leave(at);
    }
    arm(c);
    cvy__loop_leave(loop);
}
