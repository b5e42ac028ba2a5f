/*
 * Timers are wheel entries that know their loop and, if they are the application's, keep it alive while armed. What there are many of
 * (conveyors, transports) holds the bare entry, and finds its loop by itself.
 */
#include "loop/loop.h"

/* From before the driver's handles close on: code of the application runs until they have, and nothing would fire what it arms. */
static bool over(const cvy_loop_t *loop)
{
    return cvy__loop_own(loop) || loop->timers_over;
}

void cvy__entry_start(cvy_loop_t *loop, cvy__entry_t *entry, uint64_t ms)
{
    if (over(loop)) return;
    uint64_t now = cvy_loop_now(loop);
    bool first = cvy__wheel_holds(entry) && entry->due == loop->armed;
    if (cvy__wheel_holds(entry)) cvy__wheel_remove(&loop->wheel, entry);
    entry->due = ms < CVY__NEVER - 1 - now ? now + ms : CVY__NEVER - 1;
    cvy__loop_arm(loop, entry);
    if (first && !loop->root) cvy__loop_rearm(loop); /* it may have gone back: nothing wakes for what it was */
}

void cvy__entry_stop(cvy_loop_t *loop, cvy__entry_t *entry)
{
    if (cvy__wheel_holds(entry) && !cvy__loop_own(loop)) cvy__loop_disarm(loop, entry);
}

static void fire(cvy__entry_t *entry)
{
    cvy_timer_t *timer = CVY__OF(entry, cvy_timer_t, entry);
    cvy_loop_t *loop = timer->loop;
    if (!timer->internal) cvy__loop_release(loop);
    cvy__loop_enter(loop);
    timer->cb(timer);
    cvy__loop_leave(loop);
}

void cvy_timer_init(cvy_timer_t *timer, cvy_loop_t *loop, cvy_timer_cb cb, void *arg)
{
    *timer = (cvy_timer_t){ .arg = arg, .cb = cb, .loop = loop, .entry.fire = fire };
}

void cvy__timer_init_internal(cvy_timer_t *timer, cvy_loop_t *loop, cvy_timer_cb cb, void *arg)
{
    cvy_timer_init(timer, loop, cb, arg);
    timer->internal = true;
}

void cvy_timer_start(cvy_timer_t *timer, uint64_t ms)
{
    cvy_loop_t *loop = timer->loop;
    if (over(loop)) return;
    if (!timer->internal && !cvy_timer_armed(timer)) cvy__loop_retain(loop);
    cvy__entry_start(loop, &timer->entry, ms);
}

void cvy_timer_stop(cvy_timer_t *timer)
{
    if (!cvy_timer_armed(timer) || cvy__loop_own(timer->loop)) return;
    cvy__entry_stop(timer->loop, &timer->entry);
    if (!timer->internal) cvy__loop_release(timer->loop);
}

bool cvy_timer_armed(const cvy_timer_t *timer)
{
    return cvy__wheel_holds(&timer->entry);
}

void cvy__timers_end(cvy_loop_t *loop)
{
    cvy__entry_t *entry = cvy__wheel_take(&loop->wheel, fire);
    loop->timers_over = true;
    while (entry) {
        cvy__entry_t *next = entry->next;
        cvy_timer_t *timer = CVY__OF(entry, cvy_timer_t, entry);
        entry->next = NULL;
        if (!timer->internal) cvy__loop_release(loop);
        entry = next;
    }
}
