/*
 * All deadlines of a transport on one entry of the wheel. Setting one earlier re-arms it; moving one later does not (most never come due): when
 * the timer fires it looks at each and sleeps until the next.
 */
#include <uv.h>

#include "transport/transport.h"

static void arm_alarm(cvy_transport_t *t, uint64_t due)
{
    uint64_t now = cvy__transport_now(t);
    cvy__entry_t *alarm = &t->extra->alarm;
    if (due == UINT64_MAX || (cvy__wheel_holds(alarm) && alarm->due <= due)) return;
    cvy__entry_start(t->conveyor.loop, alarm, due > now ? due - now : 0);
}

void cvy__transport_arm(cvy_transport_t *t, cvy__due_t which, uint64_t ms)
{
    uint64_t now = cvy__transport_now(t), due = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
    if (due == UINT64_MAX) cvy__transport_disarm(t, which);
    if (due == UINT64_MAX || t->phase >= CVY__CLOSING || !cvy__transport_extra_or_close(t)) return;
    t->extra->due[which] = due;
    arm_alarm(t, due);
}

void cvy__transport_disarm_all(cvy_transport_t *t)
{
    if (!t->extra) return;
    for (int i = 0; i < CVY__DUES; i++)
        t->extra->due[i] = UINT64_MAX;
    cvy__entry_stop(t->conveyor.loop, &t->extra->alarm);
}

void cvy__transport_postpone(cvy_transport_t *t, uint64_t now)
{
    uint64_t *due = t->extra->due;
    if (due[CVY__DUE_STALL] != UINT64_MAX) due[CVY__DUE_STALL] = now + t->opts->limits.stall_ms;
    if (due[CVY__DUE_HALF_CLOSE] != UINT64_MAX) /* a reader that keeps taking is not dead */
        due[CVY__DUE_HALF_CLOSE] = now + t->opts->limits.half_close_ms;
}

/* A write under way tells nothing before all of it has gone: what went since somebody looked is progress. */
bool cvy__transport_has_moved(cvy_transport_t *t)
{
    cvy__extra_t *e = t->extra;
    if (!e || !t->waiting || !t->kind->unsent || t->phase > CVY__DRAINING) return false;
    size_t unsent = t->kind->unsent(t);
    if (unsent == e->unsent) return false;
    e->unsent = unsent;
    t->last_write_ms = cvy__transport_now(t);
    cvy__transport_postpone(t, t->last_write_ms);
    return true;
}

static void close_overdue(cvy_transport_t *t)
{
    bool lost = t->phase < CVY__LINGERING;
    bool kept = t->phase < CVY__DRAINING; /* a stage has not passed it on */
    int kept_cause = t->extra->kept_cause, cause = kept && kept_cause ? kept_cause : UV_ETIMEDOUT;
    if (lost && !t->lost) t->lost = UV_ETIMEDOUT;
    cvy__transport_close_with(t, CVY_CLOSE_NOW, lost ? cause : 0, kept && !kept_cause);
}

static void probe(cvy_transport_t *t)
{
    int err = t->kind->probe ? t->kind->probe(t) : 0;
    if (!err)
        cvy__transport_arm(t, CVY__DUE_PROBE, t->opts->limits.probe_ms);
    else if (t->read_state < CVY_READ_EOF)
        cvy__transport_read_error(t, err);
    else /* a reset behind the peer's end */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, cvy__transport_code(err), true);
}

static void act(cvy_transport_t *t)
{
    uint64_t now = cvy__transport_now(t);
    const uint64_t *due = t->extra->due;
    if (due[CVY__DUE_CLOSE] <= now) {
        close_overdue(t);
    } else if (due[CVY__DUE_HALF_CLOSE] <= now || due[CVY__DUE_STALL] <= now || due[CVY__DUE_SUSPEND] <= now) {
        if (due[CVY__DUE_SUSPEND] <= now || !cvy__transport_has_moved(t))
            cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ETIMEDOUT, true);
    } else if (due[CVY__DUE_PROBE] <= now) {
        probe(t);
    }
    for (int i = 0; i < CVY__DUES; i++)
        arm_alarm(t, due[i]);
}

void cvy__transport_on_alarm(cvy__entry_t *alarm)
{
    cvy_transport_t *t = CVY__OF(alarm, cvy__extra_t, alarm)->transport;
    cvy_loop_t *loop = t->conveyor.loop;
    cvy__loop_enter(loop);
    act(t);
    cvy__loop_leave(loop);
}
