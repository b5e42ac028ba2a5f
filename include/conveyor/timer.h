/*
 * Timers: entries of the loop's wheel, 1 ms each; starting and stopping one costs a few nanoseconds.
 */
#ifndef CONVEYOR_TIMER_H
#define CONVEYOR_TIMER_H

#include <conveyor/loop.h>

CVY_BEGIN_DECLS

typedef struct cvy_timer cvy_timer_t;
typedef void (*cvy_timer_cb)(cvy_timer_t *timer);

/** Yours: embed it. Stop it before its memory goes. */
struct cvy_timer {
    void *arg; /* yours */
    /* private */
    cvy_timer_cb cb;
    cvy_loop_t *loop;
    cvy__entry_t entry;
    bool internal; /* does not keep the loop alive */
};

/** Before anything else, and not while it is armed. */
CVY_EXPORT void cvy_timer_init(cvy_timer_t *timer, cvy_loop_t *loop, cvy_timer_cb cb, void *arg);
/**
 * Fires once, not before ms have passed on the loop's clock (which stands still during a turn); started again it counts anew. Started
 * with 0 it fires in the next turn. While armed it keeps the loop alive. A loop that has ended has disarmed all timers, and this does
 * nothing.
 */
CVY_EXPORT void cvy_timer_start(cvy_timer_t *timer, uint64_t ms);
/** No callback after this returns. Idempotent. */
CVY_EXPORT void cvy_timer_stop(cvy_timer_t *timer);
CVY_EXPORT bool cvy_timer_armed(const cvy_timer_t *timer);

CVY_END_DECLS
#endif
