/* A loop on a uv_loop_t: its handles, and whose loop and thread it is. Shared by uv_driver.c and run.c. */
#ifndef CVY_LOOP_UV_DRIVER_H
#define CVY_LOOP_UV_DRIVER_H

#include <uv.h>

#include "loop/loop.h"

typedef int (*cvy__loop_entry)(cvy_loop_t *loop, void *arg);

typedef struct cvy__uv {
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t async; /* posts and stop; referenced while something of ours is to keep the loop alive */
    uv_timer_t timer; /* the wheel's next due time */
    uv_idle_t idle;   /* runs while the loop must not wait */
    int open;         /* handles whose close callback has not run */
    bool closing;
    bool detached; /* cvy_loop_detach was called */
    cvy_loop_cb on_detached;
    void *arg;

    /* loops of our own */
    uv_loop_t own;
    bool leave_sigpipe;   /* by option */
    bool started, joined; /* a thread of its own */
    uv_thread_t thread;
    cvy__loop_entry entry;
    void *entry_arg;
    cvy_timer_t turn_timer;
} cvy__uv_t;

/* The handles of loop on loop->uv. Fails last of all with what uv_async_init answers. */
int cvy__uv_open(cvy_loop_t *loop);

/* run and start, with a callback on the loop's thread before its first turn, whose failure does not end the loop. */
int cvy__loop_run_entry(cvy_loop_t *loop, cvy__loop_entry entry, void *arg);
int cvy__loop_start_entry(cvy_loop_t *loop, cvy__loop_entry entry, void *arg);

#endif
