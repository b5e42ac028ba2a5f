/*
 * A loop: a uv_loop_t with its queue of posted tasks, its timers and its segment pool. Either attached to a loop that the
 * application owns and runs, or one of our own, run on the caller's thread or on a thread of its own.
 */
#ifndef CONVEYOR_LOOP_H
#define CONVEYOR_LOOP_H

#include <conveyor/alloc.h>

CVY_BEGIN_DECLS

typedef struct cvy_loop cvy_loop_t;

typedef struct cvy_loop_opts {
    const cvy_pool_opts_t *pool; /* NULL: the defaults of cvy_pool_opts_t */
    /* attach, run, turn: ignore SIGPIPE where the application left the default; on. CVY_OFF: leave it */
    int ignore_sigpipe;
    int64_t task_budget;  /* posted tasks per turn, also ended after 1 ms; 128 */
    int64_t timer_budget; /* timers per turn; 256 */
    int64_t flush_limit;  /* transports with bytes to send that wait for the end of the turn; 16 */
} cvy_loop_opts_t;

/**
 * Attaches to a loop that the application owns and runs; uv->data stays the application's. What is open, armed or posted here keeps
 * uv alive, nothing else does. What another thread posts does so from when the loop has seen it: an application whose loop
 * might end before that keeps a handle of its own open.
 *
 * Owns:   the caller, until cvy_loop_detach has called back and cvy_loop_unref.
 * Errors: UV_ENOMEM, and what uv_async_init answers.
 * Thread: the one that runs uv.
 */
CVY_EXPORT int cvy_loop_attach(cvy_loop_t **out, uv_loop_t *uv, const cvy_loop_opts_t *opts);

/**
 * A loop of our own; cvy_loop_run or cvy_loop_start runs it.
 *
 * Errors: UV_ENOMEM, and what uv_loop_init answers.
 * Thread: any one; run, turn, start and join belong to it from then on.
 */
CVY_EXPORT int cvy_loop_new(cvy_loop_t **out, const cvy_loop_opts_t *opts);

/**
 * Counts owners: a loop's memory is valid until the last unref. The first reference is that of the caller of new or attach. The last unref
 * of a loop of our own stops it, and joins its thread if it was started; so it never happens on that thread. What is open on a loop keeps
 * its memory, but is no owner: it is closed then.
 *
 * Thread: any; the last one of a loop that never ran, the one that made it.
 */
CVY_EXPORT cvy_loop_t *cvy_loop_ref(cvy_loop_t *loop);
CVY_EXPORT void cvy_loop_unref(cvy_loop_t *loop);

typedef enum cvy_detach { CVY_DETACH_IF_IDLE, CVY_DETACH_CLOSE } cvy_detach_t;
typedef void (*cvy_loop_cb)(cvy_loop_t *loop, void *arg);

/**
 * Takes everything of ours off the application's loop. After cb uv_loop_close succeeds; cb may be NULL.
 * With CVY_DETACH_CLOSE what is open is closed at once. Posts that wait are cancelled.
 *
 * Errors: UV_EBUSY (transports, listeners, dials or watches are open, and how is CVY_DETACH_IF_IDLE), UV_EALREADY, UV_EINVAL (a loop
 *         of our own), UV_EPERM (another thread).
 */
CVY_EXPORT int cvy_loop_detach(cvy_loop_t *loop, cvy_detach_t how, cvy_loop_cb cb, void *arg);

/**
 * Runs a loop of our own on this thread until cvy_loop_stop, also while it has nothing to do; then closes what is open, cancels what
 * waits, and returns 0. Stopped before it ran it does the same at once. Handles that the application still has open on cvy_loop_uv are
 * closed without a callback.
 *
 * Errors: UV_EALREADY (it runs or has run), UV_EINVAL (attached).
 */
CVY_EXPORT int cvy_loop_run(cvy_loop_t *loop);
/**
 * One turn: waits at most timeout_ms (CVY_OFF: for ever) for I/O, timers or posts, and handles what there is.
 * Returns 1 while something keeps the loop alive, 0 otherwise.
 *
 * Errors: UV_ESHUTDOWN (stopped, and by now ended as by cvy_loop_run), UV_EALREADY (it runs), UV_EINVAL (attached).
 */
CVY_EXPORT int cvy_loop_turn(cvy_loop_t *loop, int64_t timeout_ms);
/** Runs it on a thread of its own (SIGPIPE blocked there). Errors: UV_EALREADY, UV_EINVAL (attached), UV_EAGAIN (no thread). */
CVY_EXPORT int cvy_loop_start(cvy_loop_t *loop);
/** Waits for that thread to end; again: 0. Errors: UV_EINVAL (not started, or called on that thread). */
CVY_EXPORT int cvy_loop_join(cvy_loop_t *loop);
/** Ends the loop: see cvy_loop_run; an attached one is detached with CVY_DETACH_CLOSE. Idempotent, also before run. Thread: any. */
CVY_EXPORT void cvy_loop_stop(cvy_loop_t *loop);
/** Makes a waiting loop take a turn. Thread: any. */
CVY_EXPORT void cvy_loop_wake(cvy_loop_t *loop);

CVY_EXPORT uv_loop_t *cvy_loop_uv(const cvy_loop_t *loop);
CVY_EXPORT cvy_pool_t *cvy_loop_pool(const cvy_loop_t *loop);
/** Milliseconds of the loop's clock, which stands still during a turn. */
CVY_EXPORT uint64_t cvy_loop_now(const cvy_loop_t *loop);
/** Whether the calling thread is the loop's. Thread: any. */
CVY_EXPORT bool cvy_loop_in_thread(const cvy_loop_t *loop);

/* Posted tasks */

/** Private: something that waits in the loop's timer wheel. */
typedef struct cvy__entry {
    struct cvy__entry *next; /* NULL: not in the wheel */
    struct cvy__entry *prev;
    void (*fire)(struct cvy__entry *entry);
    uint64_t due;
} cvy__entry_t;

typedef struct cvy_task cvy_task_t;
/** status: 0, or UV_ECANCELED when the loop ended first. The task's memory is its owner's again, who may post or free it. */
typedef void (*cvy_task_cb)(cvy_task_t *task, int status);

/** Yours: embed it. It stays put from the post until its callback. */
struct cvy_task {
    cvy_task_cb run;
    void *arg;
    /* private */
    cvy_loop_t *loop;
    cvy_task_t *next;
    uint64_t delay_ms;
    cvy__entry_t entry;
};

/**
 * Runs task->run once on the loop's thread, or cancels it. First in first out per posting thread.
 *
 * Errors: UV_ESHUTDOWN (the loop was stopped or detached; run is not called).
 * Thread: any.
 */
CVY_EXPORT int cvy_loop_post(cvy_loop_t *loop, cvy_task_t *task);
/** The same, not before delay_ms have passed since the loop took it in. */
CVY_EXPORT int cvy_loop_post_after(cvy_loop_t *loop, cvy_task_t *task, uint64_t delay_ms);

CVY_END_DECLS
#endif
