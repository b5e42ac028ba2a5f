/*
 * All deadlines of a transport on one timer. Setting one earlier re-arms the timer; moving one later does not (most never come due): when
 * the timer fires it looks at each and sleeps until the next.
 */
#include <uv.h>

#include "transport/transport.h"

static void arm_timer(cvy_transport_t *t, uint64_t due)
{
    uint64_t now = cvy__transport_now(t);
    if (due == UINT64_MAX || (cvy_timer_armed(&t->timer) && t->timer.entry.due <= due)) return;
    cvy_timer_start(&t->timer, due > now ? due - now : 0);
}

void cvy__transport_arm(cvy_transport_t *t, uint64_t *deadline, uint64_t ms)
{
    uint64_t now = cvy__transport_now(t);
    *deadline = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
    arm_timer(t, *deadline);
}

void cvy__transport_disarm_all(cvy_transport_t *t)
{
    t->close_deadline = t->half_close_deadline = t->stall_deadline = t->suspend_deadline = t->probe_due = UINT64_MAX;
    cvy_timer_stop(&t->timer);
}

static void close_overdue(cvy_transport_t *t)
{
    bool lost = t->phase == CVY__DRAINING;
    if (lost && !t->lost) t->lost = UV_ETIMEDOUT;
    cvy__transport_close_with(t, CVY_CLOSE_NOW, lost ? UV_ETIMEDOUT : 0, false);
}

static void probe(cvy_transport_t *t)
{
    int err = t->kind->probe ? t->kind->probe(t) : 0;
    if (!err)
        cvy__transport_arm(t, &t->probe_due, t->opts->limits.probe_ms);
    else if (t->read_state < CVY_READ_EOF)
        cvy__transport_read_error(t, err);
    else /* a reset behind the peer's end */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, cvy__transport_code(err), true);
}

void cvy__transport_on_timer(cvy_timer_t *timer)
{
    cvy_transport_t *t = timer->arg;
    uint64_t now = cvy__transport_now(t);
    if (t->close_deadline <= now) {
        close_overdue(t);
    } else if (t->half_close_deadline <= now || t->stall_deadline <= now || t->suspend_deadline <= now) {
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ETIMEDOUT, true);
    } else if (t->probe_due <= now) {
        probe(t);
    }
    arm_timer(t, t->close_deadline);
    arm_timer(t, t->half_close_deadline);
    arm_timer(t, t->stall_deadline);
    arm_timer(t, t->suspend_deadline);
    arm_timer(t, t->probe_due);
}
