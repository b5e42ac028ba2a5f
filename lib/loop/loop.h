/*
 * What the rooms above use of a loop. The core of a loop knows no libuv: clock, timers, deferred work, residents and slots work
 * the same on a uv_loop_t (uv_driver.c) and under the embedded transport, whose test moves the clock (no driver).
 *
 * Three kinds of "later":
 *   defer        when the callback of ours that is now on the stack ends (the root), else when the turn settles
 *   defer_flush  when the turn settles, or earlier when flush_limit of them wait
 *   kick         makes sure that a turn settles before the loop waits, for what was done outside any callback of ours
 */
#ifndef CVY_LOOP_LOOP_H
#define CVY_LOOP_LOOP_H

#include <conveyor/loop.h>
#include <conveyor/timer.h>
#include <stdatomic.h>

#include "base/list.h"
#include "buf/slab.h"
#include "loop/posts.h"
#include "loop/slots.h"
#include "loop/wheel.h"

/* Work that is put off. In at most one list at a time; run takes it out first. */
typedef struct cvy__work {
    cvy__link_t link;
    void (*run)(struct cvy__work *work);
} cvy__work_t;

static inline void cvy__work_init(cvy__work_t *w, void (*run)(cvy__work_t *))
{
    cvy__link_init(&w->link);
    w->run = run;
}

/* Something open on a loop (transport, listener, dial, watch): keeps it alive, and is closed when the loop ends. close may be called
 * more than once; a resident that is gone has called cvy__resident_remove. */
typedef struct cvy__resident {
    cvy__link_t link;
    void (*close)(struct cvy__resident *resident);
} cvy__resident_t;

/* What a loop needs from the system it runs on. */
typedef struct cvy__driver {
    void (*kick)(cvy_loop_t *loop);                /* settle before you wait */
    void (*arm)(cvy_loop_t *loop, uint64_t due);   /* advance the wheel at due; UINT64_MAX: never */
    void (*keep_alive)(cvy_loop_t *loop, bool on);
    void (*wake)(cvy_loop_t *loop);                /* any thread */
} cvy__driver_t;

struct cvy_loop {
    const cvy__driver_t *driver; /* NULL: embedded */
    uv_loop_t *uv;               /* NULL: embedded */
    uint64_t now_ms;             /* embedded only; else uv_now */
    cvy_pool_t *pool;
    cvy__slab_t slab;
    cvy__link_t work;
    cvy__link_t flush;
    int64_t flush_count, flush_limit;
    unsigned root;    /* depth of our own callbacks on the stack */
    bool kicked;
    size_t alive;     /* residents, armed user timers, queued posts */
    cvy__link_t residents;
    cvy__wheel_t wheel;
    cvy__posts_t posts;
    cvy__slots_t slots;
    int64_t task_budget, timer_budget;
    uint64_t turns;   /* settled turns so far */
    atomic_uint refs;
    void *system;     /* the driver's own: handles, thread */
};

/* An embedded loop: no uv_loop_t, a clock that stands until it is moved. */
int cvy__loop_new_embedded(cvy_loop_t **out, const cvy_loop_opts_t *opts);
/* Closes residents, settles, cancels; then cvy_loop_unref. */
void cvy__loop_end_embedded(cvy_loop_t *loop);
/* Moves the clock and fires what is due, timer by timer in order of due time, settling after each. */
void cvy__loop_advance_embedded(cvy_loop_t *loop, uint64_t ms);

/* Brackets every callback that the system makes into us: the outermost leave runs the deferred work. */
void cvy__loop_enter(cvy_loop_t *loop);
void cvy__loop_leave(cvy_loop_t *loop);
/* Ends the turn: deferred work and flushes until neither is left (bounded; what remains is kicked). */
void cvy__loop_settle(cvy_loop_t *loop);

void cvy__loop_defer(cvy_loop_t *loop, cvy__work_t *work);       /* idempotent while it waits */
void cvy__loop_defer_flush(cvy_loop_t *loop, cvy__work_t *work); /* idempotent while it waits */
void cvy__loop_undefer(cvy_loop_t *loop, cvy__work_t *work);     /* from either; idempotent */
/* Runs the flushes that wait, now, without the rest of a turn's end. */
void cvy__loop_flush(cvy_loop_t *loop);

void cvy__loop_retain(cvy_loop_t *loop);  /* one more reason to stay alive */
void cvy__loop_release(cvy_loop_t *loop);
void cvy__resident_add(cvy_loop_t *loop, cvy__resident_t *resident); /* retains */
void cvy__resident_remove(cvy_loop_t *loop, cvy__resident_t *resident);
/* True from stop or detach on: nothing new is opened. */
bool cvy__loop_ending(const cvy_loop_t *loop);

/* A timer of ours, which does not keep the loop alive. */
void cvy__timer_init_internal(cvy_timer_t *timer, cvy_loop_t *loop, cvy_timer_cb cb, void *arg);

#endif
