/*
 * Loops of our own: who runs them, on which thread, and how they end. A loop's life goes new -> running -> ended (a single turn goes back
 * to new), and the one who moves it to running runs it to the end. Stop only closes the queue of posts and wakes it: the end happens in the loop's check
 * callback, so that it is the same whether stop came before, during or from inside a run.
 */
#include <assert.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/thread.h"
#include "loop/uv_driver.h"

int cvy_loop_new(cvy_loop_t **out, const cvy_loop_opts_t *opts)
{
    cvy_loop_t *loop;
    int err = cvy__loop_alloc(&loop, opts);
    if (err) return err;
    cvy__uv_t *sys = cvy__calloc(1, sizeof *sys);
    loop->system = sys;
    err = sys ? uv_loop_init(&sys->own) : UV_ENOMEM;
    if (!err) {
        loop->uv = &sys->own;
        sys->leave_sigpipe = opts && opts->ignore_sigpipe == CVY_OFF;
        err = cvy__uv_open(loop);
        if (err) uv_loop_close(&sys->own);
    }
    if (err) {
        cvy__free(sys);
        cvy__loop_dealloc(loop);
        return err;
    }
    *out = loop;
    return 0;
}

static void close_leftover(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Runs until stopped and all of ours is closed; then closes what the application left on the loop. */
static void run_to_end(cvy_loop_t *loop)
{
    cvy__loop_retain(loop);
    while (atomic_load(&loop->life) != CVY__LIFE_ENDED)
        uv_run(loop->uv, UV_RUN_DEFAULT);
    cvy__loop_release(loop);
    uv_walk(loop->uv, close_leftover, NULL);
    uv_run(loop->uv, UV_RUN_DEFAULT);
    cvy__loop_settle(loop);
    if (uv_loop_close(loop->uv)) cvy__log(CVY_LOG_ERROR, "a loop ended with handles of the application still open");
}

/* Makes the caller the one who runs the loop to its end. */
static int claim(cvy_loop_t *loop)
{
    if (loop->shared || !loop->driver) return UV_EINVAL;
    int fresh = CVY__LIFE_NEW;
    return atomic_compare_exchange_strong(&loop->life, &fresh, CVY__LIFE_RUNNING) ? 0 : UV_EALREADY;
}

static void run_here(cvy_loop_t *loop)
{
    cvy__uv_t *sys = loop->system;
    atomic_store(&loop->owner, cvy__thread_self());
    uv_update_time(loop->uv);
    if (sys->entry && !cvy__loop_ending(loop)) sys->entry(loop, sys->entry_arg);
    run_to_end(loop);
}

/* claim, with what its thread runs first. */
static int claim_for(cvy_loop_t *loop, cvy__loop_entry entry, void *arg)
{
    int err = claim(loop);
    if (err) return err;
    cvy__uv_t *sys = loop->system;
    sys->entry = entry;
    sys->entry_arg = arg;
    return 0;
}

int cvy__loop_run_entry(cvy_loop_t *loop, cvy__loop_entry entry, void *arg)
{
    int err = claim_for(loop, entry, arg);
    if (err) return err;
    cvy__uv_t *sys = loop->system;
    if (!sys->leave_sigpipe) cvy__sigpipe_ignore();
    run_here(loop);
    return 0;
}

int cvy_loop_run(cvy_loop_t *loop)
{
    return cvy__loop_run_entry(loop, NULL, NULL);
}

static void thread_main(void *arg)
{
    cvy__sigpipe_block();
    cvy__thread_name("cvy-loop");
    run_here(arg);
}

int cvy__loop_start_entry(cvy_loop_t *loop, cvy__loop_entry entry, void *arg)
{
    int err = claim_for(loop, entry, arg);
    if (err) return err;
    cvy__uv_t *sys = loop->system;
    atomic_store(&loop->owner, 0); /* the caller's thread has no more to do with it */
    if (uv_thread_create(&sys->thread, thread_main, loop)) {
        atomic_store(&loop->owner, cvy__thread_self());
        atomic_store(&loop->life, CVY__LIFE_NEW);
        return UV_EAGAIN;
    }
    sys->started = true;
    return 0;
}

int cvy_loop_start(cvy_loop_t *loop)
{
    return cvy__loop_start_entry(loop, NULL, NULL);
}

int cvy_loop_join(cvy_loop_t *loop)
{
    cvy__uv_t *sys = loop->system;
    if (loop->shared || !sys || !sys->started || cvy_loop_in_thread(loop)) return UV_EINVAL;
    if (sys->joined) return 0;
    sys->joined = true;
    return uv_thread_join(&sys->thread);
}

void cvy_loop_stop(cvy_loop_t *loop)
{
    cvy__posts_close(loop);
}

/* Waits and works once; a timer of ours, which need not fire, limits the wait. */
static void turn_once(cvy_loop_t *loop, int64_t timeout_ms)
{
    cvy__uv_t *sys = loop->system;
    cvy__loop_retain(loop);
    uv_update_time(loop->uv);
    if (timeout_ms > 0) cvy_timer_start(&sys->turn_timer, (uint64_t)timeout_ms);
    uv_run(loop->uv, timeout_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    cvy_timer_stop(&sys->turn_timer);
    cvy__loop_release(loop);
}

static void on_turn_over(cvy_timer_t *timer)
{
    (void)timer;
}

int cvy_loop_turn(cvy_loop_t *loop, int64_t timeout_ms)
{
    int err = claim(loop);
    if (err) return err == UV_EALREADY && atomic_load(&loop->life) == CVY__LIFE_ENDED ? UV_ESHUTDOWN : err;
    cvy__uv_t *sys = loop->system;
    atomic_store(&loop->owner, cvy__thread_self());
    if (!sys->turn_timer.loop) {
        cvy__timer_init_internal(&sys->turn_timer, loop, on_turn_over, NULL);
        if (!sys->leave_sigpipe) cvy__sigpipe_ignore();
    }
    if (!cvy__loop_ending(loop)) turn_once(loop, timeout_ms);
    if (cvy__loop_ending(loop)) {
        run_to_end(loop);
        return UV_ESHUTDOWN;
    }
    atomic_store(&loop->life, CVY__LIFE_NEW);
    return uv_loop_alive(loop->uv) || cvy__posts_waiting(loop);
}

void cvy__loop_end_system(cvy_loop_t *loop)
{
    const cvy__uv_t *sys = loop->system;
    cvy__posts_close(loop);
    if (!claim(loop))
        run_here(loop);
    else if (sys->started)
        cvy_loop_join(loop);
    assert(atomic_load(&loop->life) == CVY__LIFE_ENDED && "the last unref of a loop that runs, on its own thread");
}
