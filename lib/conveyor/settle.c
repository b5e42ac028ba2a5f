/*
 * A conveyor's life: made inside its transport, settled after each dispatch, torn down in the transport's close callback.
 *
 * Settling is the one place where what was noted during a dispatch is done. Order: failures, active, inbound-resume (before writability:
 * whoever may write again may also read), writability, read-closed (behind all bytes), the transport's own, tombstones.
 */
#include <conveyor/chain.h>
#include <uv.h>

#include "base/memory.h"
#include "conveyor/ctx.h"

static void deliver_failures(cvy_conveyor_t *c)
{
    while (c->failures) {
        cvy__failure_t *failure = c->failures->next;
        if (failure == c->failures)
            c->failures = NULL;
        else
            c->failures->next = failure->next;
        if (!cvy__conveyor_is_closing(c)) cvy__error_walk(failure->from, &failure->error);
        cvy__free(failure);
    }
}

static void begin_active(cvy_conveyor_t *c)
{
    if (cvy__conveyor_is_closing(c)) return; /* closed before it began: no stage had active, none hears of the end */
    if (!c->active_at) c->active_at = &c->ends;
    cvy__walk_active(c);
    if (!cvy__conveyor_is_closing(c)) cvy__conveyor_owner(c)->active_begun(cvy__conveyor_transport(c));
}

static void settle_some(cvy_conveyor_t *c, unsigned todo)
{
    if (todo & CVY__TODO_FAILURES) deliver_failures(c);
    if (todo & CVY__TODO_ACTIVE) begin_active(c);
    if (todo & CVY__TODO_RESUME) {
        cvy__walk_resume(c);
        todo |= CVY__TODO_READ_CLOSED; /* it may have waited */
    }
    if (todo & CVY__TODO_WRITABILITY) cvy__walk_writability(c);
    if (todo & CVY__TODO_READ_CLOSED) cvy__walk_read_closed(c);
    if (todo & CVY__TODO_OWNER) cvy__conveyor_owner(c)->settle(cvy__conveyor_transport(c));
    if (todo & CVY__TODO_TOMBSTONES && c->failures)
        cvy__conveyor_todo(c, CVY__TODO_TOMBSTONES); /* one of them may start at what was removed */
    else if (todo & CVY__TODO_TOMBSTONES)
        cvy__chain_free_tombstones(c);
}

static void settle(cvy__work_t *work)
{
    cvy_conveyor_t *c = CVY__OF(work, cvy_conveyor_t, work);
    unsigned todo = c->todo;
    bool now_due = c->put_off && !cvy__walk_pair_told(c);
    c->todo = 0;
    if (now_due) {
        c->put_off = false;
        todo |= CVY__TODO_WRITABILITY;
    }
    settle_some(c, todo); /* what is noted meanwhile defers the work again */
    if (c->put_off && !c->torn_down && !c->todo) cvy__loop_defer_turn(c->loop, &c->work);
}

void cvy__conveyor_todo(cvy_conveyor_t *c, unsigned what)
{
    if (c->torn_down) return;
    if (c->put_off && !c->todo) cvy__loop_undefer(&c->work); /* it waits for another turn */
    c->todo |= (uint8_t)what;
    cvy__loop_defer(c->loop, &c->work);
}

void cvy__conveyor_init(cvy_conveyor_t *c, cvy_loop_t *loop, const cvy__owner_t *owner)
{
    *c = (cvy_conveyor_t){ .loop = loop };
    c->ends = (cvy_ctx_t){ .stage = &owner->ends, .conveyor = c, .next = &c->ends, .flags = CVY__CTX_ACTIVE };
    c->alarm.fire = cvy__alarm_fire;
    cvy__work_init(&c->work, settle);
    cvy__chain_rebuild(c);
}

void cvy__conveyor_activate(cvy_conveyor_t *c)
{
    cvy__conveyor_todo(c, CVY__TODO_ACTIVE);
}

void cvy__conveyor_read_closed(cvy_conveyor_t *c)
{
    c->read_closed = true;
    cvy__conveyor_todo(c, CVY__TODO_READ_CLOSED);
}

void cvy__conveyor_above(cvy_conveyor_t *c, bool above)
{
    if (above)
        c->gate |= CVY__GATE_ABOVE;
    else
        c->gate &= (uint8_t)~CVY__GATE_ABOVE;
    cvy__conveyor_todo(c, CVY__TODO_WRITABILITY);
}

void cvy__conveyor_shut(cvy_conveyor_t *c)
{
    c->gate |= CVY__GATE_SHUT;
}

void cvy__conveyor_closing(cvy_conveyor_t *c)
{
    c->gate |= CVY__GATE_CLOSING;
}

bool cvy__conveyor_was_active(const cvy_conveyor_t *c)
{
    return c->active_at != NULL;
}

static void remove_all(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *last; (last = cvy__ctx_prev(&c->ends)) != &c->ends;)
        cvy__ctx_remove(last);
    for (cvy_ctx_t *at = c->ends.next, *next; at != &c->ends; at = next) {
        next = at->next;
        cvy__ctx_free(at);
    }
    c->ends.next = &c->ends;
    cvy__chain_rebuild(c);
}

void cvy__conveyor_tear_down(cvy_conveyor_t *c, const cvy_error_t *error)
{
    cvy__conveyor_closing(c);
    c->last_error = true;
    if (error && cvy__conveyor_was_active(c)) cvy__error_walk(&c->ends, error);
    c->last_error = false;
    cvy__walk_inactive(c);
    deliver_failures(c); /* frees them */
    c->torn_down = true;
    remove_all(c);
    cvy__loop_undefer(&c->work);
    cvy__entry_stop(c->loop, &c->alarm);
}

int cvy_conveyor_fire_inbound(cvy_conveyor_t *c, cvy_event_t *ev)
{
    return cvy_fire_inbound(&c->ends, ev);
}

int cvy_conveyor_fire_outbound(cvy_conveyor_t *c, cvy_event_t *ev)
{
    return cvy_fire_outbound(&c->ends, ev);
}

cvy_transport_t *cvy_conveyor_transport(const cvy_conveyor_t *c)
{
    return cvy__conveyor_transport(c);
}

cvy_loop_t *cvy_conveyor_loop(const cvy_conveyor_t *c)
{
    return c->loop;
}
