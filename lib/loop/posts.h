/*
 * Tasks from any thread: a lock-free stack that the loop takes whole and reverses, so that each producer's tasks stay in order.
 */
#ifndef CVY_LOOP_POSTS_H
#define CVY_LOOP_POSTS_H

#include <conveyor/loop.h>
#include <stdatomic.h>

typedef struct cvy__posts {
    _Atomic uintptr_t stack; /* the newest task; lowest bit: closed, nothing more is taken in */
    atomic_uint senders;     /* threads between their push and the end of their wake-up */
    atomic_bool deaf;        /* the driver can no longer be woken */
    cvy_task_t *first;       /* loop thread: taken off the stack, oldest first */
    cvy_task_t *last;
    bool held; /* they keep the loop alive */
} cvy__posts_t;

/* Closes the queue: posts answer UV_ESHUTDOWN from now on. What is in it stays. Wakes the loop. Thread: any. */
void cvy__posts_close(cvy_loop_t *loop);
/* True from close on. Thread: any. */
bool cvy__posts_closed(const cvy_loop_t *loop);
/* Loop thread: open, nothing posted, nothing left of what was. */
static inline bool cvy__posts_calm(const cvy__posts_t *posts)
{
    return !posts->first && !posts->held && !atomic_load(&posts->stack);
}
/* Waits until no thread is about to wake the loop, and lets none do it from now on. */
void cvy__posts_deafen(cvy_loop_t *loop);

/* Runs at most the loop's budget of tasks (1 ms where there is a clock). */
void cvy__posts_run(cvy_loop_t *loop);
/* Cancels all that wait, those in the wheel too. Closed before. */
void cvy__posts_cancel(cvy_loop_t *loop);
/* Whether tasks wait to be run. */
bool cvy__posts_waiting(const cvy_loop_t *loop);
/* Keeps the loop alive while tasks are known to wait. */
void cvy__posts_hold(cvy_loop_t *loop);

#endif
