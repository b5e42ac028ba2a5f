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

/* Something open on a loop (listener, dial, watch): keeps it alive, and is closed when the loop ends. close may be called
 * more than once; a resident that is gone has called cvy__resident_remove. A guest is closed likewise but keeps nothing alive. A transport, of
 * which there are many, is a tenant instead: found through its slot, it needs no link. */
typedef struct cvy__resident {
    cvy__link_t link; /* all zero: never added */
    void (*close)(struct cvy__resident *resident);
    bool guest;
} cvy__resident_t;

/* What a loop needs from the system it runs on. */
typedef struct cvy__driver {
    void (*kick)(cvy_loop_t *loop);              /* settle before you wait */
    void (*arm)(cvy_loop_t *loop, uint64_t due); /* advance the wheel at due; UINT64_MAX: never */
    void (*keep_alive)(cvy_loop_t *loop, bool on);
    void (*wake)(cvy_loop_t *loop); /* any thread */
} cvy__driver_t;

typedef enum cvy__life {
    CVY__LIFE_NEW,     /* not run yet */
    CVY__LIFE_RUNNING, /* or attached, or embedded */
    CVY__LIFE_ENDED    /* nothing of ours is left on the system's loop */
} cvy__life_t;

struct cvy_loop {
    const cvy__driver_t *driver; /* NULL: embedded */
    uv_loop_t *uv;               /* NULL: embedded */
    uint64_t now_ms;             /* embedded only; else uv_now */
    cvy_pool_t *pool;
    cvy__slab_t slab;
    cvy__link_t work;
    cvy__link_t flush;
    cvy__link_t turn;                 /* see cvy__loop_defer_turn */
    int64_t flush_count, flush_limit; /* how many were deferred since the last flush */
    size_t flush_bytes;               /* queued since the last flush, by whoever defers one */
    unsigned root;                    /* depth of our own callbacks on the stack */
    bool kicked;                      /* the driver has been told to settle before it waits */
    bool polling;                     /* between the driver's prepare and check: a settle will follow */
    bool settling;                    /* the turn is being ended */
    bool shared;                      /* attached to the application's loop */
    bool ending;                      /* residents have been told to close, what waited is cancelled */
    bool timers_over;                 /* none can be armed any more */
    size_t alive;                     /* residents, tenants, armed user timers, 1 for queued posts */
    cvy__link_t residents;
    cvy__link_t guests;
    size_t tenants;
    void (*close_tenant)(void *object); /* the same for all of them */
    cvy__wheel_t wheel;
    uint64_t armed; /* what the driver was last told to arm */
    cvy__posts_t posts;
    cvy__slots_t slots;
    int64_t task_budget, timer_budget;
    uint64_t turns;          /* settled turns so far */
    atomic_uint refs;        /* the memory: users, transports, posts under way, open handles */
    atomic_uint users;       /* the application's among them; the last one ends a loop of our own */
    atomic_int life;         /* cvy__life_t */
    _Atomic uintptr_t owner; /* cvy__thread_self of its thread; 0: not known yet */
    void *system;            /* the driver's own: handles, thread */
    /* Requests that streams share (transport/stream.c), and how to free them with the loop; NULL: none yet. */
    struct cvy__stream_requests *stream_requests;
    void (*free_stream_requests)(struct cvy__stream_requests *requests);
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
/* Brackets what the application calls and what runs its code: outside any callback of ours nothing that is deferred runs in between
 * (a callback of ours that is made inside is not the outermost), and the loop then settles before it waits. True: call let_go. */
static inline bool cvy__loop_hold(cvy_loop_t *loop)
{
    if (loop->root) return false;
    loop->root = 1;
    return true;
}
void cvy__loop_let_go(cvy_loop_t *loop);
/* Ends the turn: deferred work and flushes until neither is left (bounded; what remains is kicked). */
void cvy__loop_settle(cvy_loop_t *loop);

void cvy__loop_defer(cvy_loop_t *loop, cvy__work_t *work);       /* idempotent while it waits */
void cvy__loop_defer_flush(cvy_loop_t *loop, cvy__work_t *work); /* idempotent while it waits */
/* Runs once, first thing, when the next turn settles; put off while a turn settles it waits for the one after that (which is kicked). */
void cvy__loop_defer_turn(cvy_loop_t *loop, cvy__work_t *work);
void cvy__loop_undefer(cvy__work_t *work); /* from any; idempotent */

void cvy__loop_retain(cvy_loop_t *loop); /* one more reason to stay alive */
void cvy__loop_release(cvy_loop_t *loop);
void cvy__resident_add(cvy_loop_t *loop, cvy__resident_t *resident);    /* retains */
void cvy__guest_add(cvy_loop_t *loop, cvy__resident_t *resident);       /* does not */
void cvy__resident_remove(cvy_loop_t *loop, cvy__resident_t *resident); /* idempotent */
/* A transport: takes a slot, keeps the loop alive. *id names it. UV_ENOMEM. */
int cvy__tenant_add(cvy_loop_t *loop, void *object, void (*close)(void *object), uint64_t *id);
void cvy__tenant_remove(cvy_loop_t *loop, uint64_t id);
/* Whether residents, guests and tenants are gone. */
bool cvy__loop_empty(const cvy_loop_t *loop);
/* True from stop or detach on: nothing new is opened. */
bool cvy__loop_ending(const cvy_loop_t *loop);

/* Takes in what has become due or was posted, within the budgets. Part of a driver's turn. */
void cvy__loop_intake(cvy_loop_t *loop);
/* Most turns' end: nothing is left to do before it waits, nor to tell the driver. */
bool cvy__loop_calm(cvy_loop_t *loop);
/* Whether it must not wait: something is deferred, posted or due, or an end can go on. */
bool cvy__loop_busy(cvy_loop_t *loop);
/* Tells the driver when to advance the wheel. */
void cvy__loop_rearm(cvy_loop_t *loop);
/* One step towards the end, once stopped; true when all residents are gone and nothing waits. */
bool cvy__loop_end_step(cvy_loop_t *loop);
/* An entry of the wheel, armed and disarmed in time also from outside any callback of ours. */
void cvy__loop_arm(cvy_loop_t *loop, cvy__entry_t *entry);
void cvy__loop_disarm(cvy_loop_t *loop, cvy__entry_t *entry);
/* Zeroed, with pool, lists, budgets; one reference. UV_ENOMEM. */
int cvy__loop_alloc(cvy_loop_t **out, const cvy_loop_opts_t *opts);
void cvy__loop_dealloc(cvy_loop_t *loop);
/* Stops a loop of our own and waits for its end, or runs it to its end here, when the application lets go. In run.c. */
void cvy__loop_end_system(cvy_loop_t *loop);

/* Keeps the memory, and does not keep the loop running. Thread: any; never the last one while it runs. */
cvy_loop_t *cvy__loop_ref(cvy_loop_t *loop);
void cvy__loop_unref(cvy_loop_t *loop);

/* R1: for calls that belong to the loop's thread. 0, or (where assertions are off) UV_EPERM. */
int cvy__loop_own(const cvy_loop_t *loop);

/* A bare entry, whose fire is set and called between enter and leave of its own; it does not keep the loop alive, and whoever holds it stops
 * it in time. */
void cvy__entry_start(cvy_loop_t *loop, cvy__entry_t *entry, uint64_t ms);
void cvy__entry_stop(cvy_loop_t *loop, cvy__entry_t *entry);
/* A timer of ours, which does not keep the loop alive. */
void cvy__timer_init_internal(cvy_timer_t *timer, cvy_loop_t *loop, cvy_timer_cb cb, void *arg);
/* Disarms all timers that are left. */
void cvy__timers_end(cvy_loop_t *loop);

#endif
