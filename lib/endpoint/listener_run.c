/*
 * What a listener decides on its first loop: troubles, the retry after them, and the end.
 *
 * The end comes when the state is closed and nothing is pending: no acceptor open, no connection on its way between two threads. Then
 * on_shutdown is the last callback. When loop 0 itself ends that can't be waited for: what is on its way finds the state closed,
 * and only those that are calling back at this moment are waited for.
 */
#include "endpoint/listener.h"

static const char *address_of(const cvy__acceptor_t *a)
{
    return a->text[0] ? a->text : a->address.text;
}

static bool is_fatal(int err)
{
    return err == UV_EBADF || err == UV_EINVAL || err == UV_ENOTSOCK;
}

static void on_retry(cvy_timer_t *timer)
{
    cvy_listener_t *l = timer->arg;
    atomic_store(&l->resting, false);
    cvy__lanes_nudge(l);
}

static void stop_loops(cvy_listener_t *l)
{
    if (l->opts.group)
        cvy_group_stop(l->opts.group);
    else
        cvy_loop_stop(l->lanes[0].loop);
}

static void on_drain_deadline(cvy_timer_t *timer)
{
    stop_loops(timer->arg);
}

static void start_timer(cvy_listener_t *l, cvy_timer_t *timer, cvy_timer_cb cb, int64_t ms)
{
    if (!timer->loop) cvy__timer_init_internal(timer, l->lanes[0].loop, cb, l);
    if (!cvy_timer_armed(timer)) cvy_timer_start(timer, (uint64_t)ms);
}

/* The listener can't go on. */
static void fail(cvy_listener_t *l, int err)
{
    int none = 0;
    atomic_compare_exchange_strong(&l->failure, &none, err);
    cvy_listener_shutdown(l, CVY_KEEP);
}

static void look_at_trouble(cvy_listener_t *l, cvy__acceptor_t *a)
{
    int err = atomic_exchange(&a->trouble, 0);
    if (!err || atomic_load(&l->state) == CVY_LISTENER_CLOSED) return;
    cvy__address_say(l->message, sizeof l->message, address_of(a), NULL, err);
    if (is_fatal(err)) {
        fail(l, err);
        return;
    }
    start_timer(l, &l->retry, on_retry, l->opts.retry_ms);
    if (!atomic_exchange(&l->episode, true) && l->opts.on_error) l->opts.on_error(l, err, l->opts.arg);
}

static void finish(cvy_listener_t *l)
{
    int failure = atomic_load(&l->failure);
    if (atomic_load(&l->finished)) return;
    if (l->retry.loop) cvy_timer_stop(&l->retry);
    if (failure && l->opts.on_failure) l->opts.on_failure(l, failure, l->opts.arg);
    atomic_store(&l->finished, true);
    if (l->opts.on_shutdown) l->opts.on_shutdown(l, l->opts.arg);
    cvy__lanes_nudge(l);
    cvy__listener_unref(l); /* the run's */
}

/* listen_and_wait: the loops stop when the last connection has gone. */
static void look_at_wait(cvy_listener_t *l)
{
    if (!atomic_load(&l->waiting) || atomic_load(&l->cut)) return;
    if (!atomic_load(&l->finished) || cvy__places_any(&l->places))
        start_timer(l, &l->drain, on_drain_deadline, l->opts.drain_timeout_ms);
    else
        stop_loops(l);
}

void cvy__listener_check_end(cvy_listener_t *l)
{
    if (atomic_load(&l->state) != CVY_LISTENER_CLOSED) return;
    if (!atomic_load(&l->pending)) finish(l);
    look_at_wait(l);
}

void cvy__listener_follow(cvy_listener_t *l)
{
    for (size_t i = 0; i < l->n_acceptors; i++)
        look_at_trouble(l, &l->acceptors[i]);
    cvy__listener_check_end(l);
}

void cvy__listener_cut(cvy_listener_t *l)
{
    atomic_fetch_or(&l->asked, CVY__ASKED_SHUTDOWN);
    cvy__listener_set_closed(l);
    cvy__lanes_nudge(l);
    cvy__lane_close_acceptors(&l->lanes[0]);
    atomic_store(&l->cut, true);
    while (atomic_load(&l->delivering))
        uv_sleep(0);
    finish(l);
    if (l->drain.loop) cvy_timer_stop(&l->drain);
}
