/*
 * The driver of a loop on libuv: one handle of each kind, none of which keeps the loop alive by itself.
 *
 * The turn: prepare settles what was deferred since check and is the last of ours before the wait; check, right after the wait, takes
 * in posts and timers, then settles. Code of the application that runs between them in any order (its timers, its own prepare) kicks:
 * an idle handle is started, so that the wait is none and check follows; both stop it again. So nothing spins, and nothing deferred
 * sleeps (R4, R7). The uv_timer_t only limits the wait: what is due fires in check.
 */
#include "loop/uv_driver.h"

#include <assert.h>

#include "base/memory.h"
#include "base/system.h"

static cvy__uv_t *uv_of(const cvy_loop_t *loop)
{
    return loop->system;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void kick(cvy_loop_t *loop)
{
    if (uv_of(loop)->closing) return;
    loop->kicked = true; /* also where arm kicks: it is not calm, and the idle handle is stopped again */
    uv_idle_start(&uv_of(loop)->idle, on_idle);
}

static void on_timer(uv_timer_t *timer)
{
    cvy_loop_t *loop = timer->data;
    loop->armed = CVY__NEVER; /* prepare sees that something is due, and check fires it */
    kick(loop);               /* who waits by himself in between does not wait */
}

static void arm(cvy_loop_t *loop, uint64_t due)
{
    cvy__uv_t *sys = uv_of(loop);
    if (sys->closing) return;
    uint64_t now = uv_now(loop->uv);
    if (due > now && due != CVY__NEVER) {
        uv_timer_start(&sys->timer, on_timer, due - now, 0);
        return;
    }
    uv_timer_stop(&sys->timer);
    if (due <= now) kick(loop);
}

static void keep_alive(cvy_loop_t *loop, bool on)
{
    cvy__uv_t *sys = uv_of(loop);
    if (sys->closing) return;
    if (on)
        uv_ref((uv_handle_t *)&sys->async);
    else
        uv_unref((uv_handle_t *)&sys->async);
}

static void wake(cvy_loop_t *loop)
{
    uv_async_send(&uv_of(loop)->async);
}

static const cvy__driver_t driver = { kick, arm, keep_alive, wake };

/* Everything of ours is off the loop. */
static void ended(cvy_loop_t *loop)
{
    cvy__uv_t *sys = uv_of(loop);
    loop->now_ms = uv_now(loop->uv);
    atomic_store(&loop->life, CVY__LIFE_ENDED);
    if (!loop->shared) {
        uv_stop(loop->uv);
        return;
    }
    loop->uv = NULL;
    if (sys->on_detached) sys->on_detached(loop, sys->arg);
    cvy__loop_settle(loop);
    cvy__loop_unref(loop);
}

static void on_close(uv_handle_t *handle)
{
    cvy_loop_t *loop = handle->data;
    if (!--uv_of(loop)->open) ended(loop);
}

static void close_handles(cvy_loop_t *loop)
{
    cvy__uv_t *sys = uv_of(loop);
    uv_handle_t *handles[] = { (uv_handle_t *)&sys->prepare, (uv_handle_t *)&sys->check, (uv_handle_t *)&sys->async,
                               (uv_handle_t *)&sys->timer, (uv_handle_t *)&sys->idle };
    cvy__posts_deafen(loop);
    sys->closing = true;
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++, sys->open++)
        uv_close(handles[i], on_close);
}

/* The last of a callback of ours in prepare and check: ends the loop, or sees whether it may wait, and for how long. */
static void before_wait(cvy_loop_t *loop)
{
    if (cvy__loop_calm(loop)) return;
    if (cvy__loop_end_step(loop)) {
        close_handles(loop);
        return;
    }
    cvy__posts_hold(loop);
    cvy__loop_rearm(loop);
    loop->kicked = cvy__loop_busy(loop);
    if (loop->kicked)
        kick(loop);
    else
        uv_idle_stop(&uv_of(loop)->idle);
}

static void on_prepare(uv_prepare_t *prepare)
{
    cvy_loop_t *loop = prepare->data;
    cvy__loop_settle(loop);
    before_wait(loop);
    loop->polling = !uv_of(loop)->closing; /* check will follow */
}

static void on_check(uv_check_t *check)
{
    cvy_loop_t *loop = check->data;
    cvy__loop_intake(loop);
    loop->polling = false;
    cvy__loop_settle(loop);
    loop->turns++;
    before_wait(loop);
}

static void on_async(uv_async_t *async)
{
    (void)async; /* it has ended the wait: check looks for posts in every turn */
}

int cvy__uv_open(cvy_loop_t *loop)
{
    cvy__uv_t *sys = uv_of(loop);
    int err = uv_async_init(loop->uv, &sys->async, on_async);
    if (err) return err;
    uv_prepare_init(loop->uv, &sys->prepare);
    uv_check_init(loop->uv, &sys->check);
    uv_timer_init(loop->uv, &sys->timer);
    uv_idle_init(loop->uv, &sys->idle);
    sys->prepare.data = sys->check.data = sys->async.data = sys->timer.data = sys->idle.data = loop;
    uv_prepare_start(&sys->prepare, on_prepare);
    uv_check_start(&sys->check, on_check);
    uv_unref((uv_handle_t *)&sys->prepare);
    uv_unref((uv_handle_t *)&sys->check);
    uv_unref((uv_handle_t *)&sys->async);
    uv_unref((uv_handle_t *)&sys->timer);
    loop->driver = &driver;
    return 0;
}

int cvy_loop_attach(cvy_loop_t **out, uv_loop_t *uv, const cvy_loop_opts_t *opts)
{
    cvy_loop_t *loop;
    int err = cvy__loop_alloc(&loop, opts);
    if (err) return err;
    loop->shared = true;
    loop->uv = uv;
    loop->system = cvy__calloc(1, sizeof(cvy__uv_t));
    err = loop->system ? cvy__uv_open(loop) : UV_ENOMEM;
    if (err) {
        cvy__free(loop->system);
        cvy__loop_dealloc(loop);
        return err;
    }
    if (!opts || opts->ignore_sigpipe != CVY_OFF) cvy__sigpipe_ignore();
    atomic_store(&loop->life, CVY__LIFE_RUNNING);
    *out = cvy__loop_ref(loop); /* the handles' own reference, until they are closed */
    return 0;
}

int cvy_loop_detach(cvy_loop_t *loop, cvy_detach_t how, cvy_loop_cb cb, void *arg)
{
    if (cvy__loop_own(loop)) return UV_EPERM;
    if (!loop->shared) return UV_EINVAL;
    cvy__uv_t *sys = uv_of(loop);
    if (sys->detached || atomic_load(&loop->life) == CVY__LIFE_ENDED) return UV_EALREADY;
    if (how == CVY_DETACH_IF_IDLE && (loop->tenants || !cvy__link_alone(&loop->residents))) return UV_EBUSY;
    sys->detached = true;
    sys->on_detached = cb;
    sys->arg = arg;
    cvy__posts_close(loop);
    kick(loop);
    return 0;
}
