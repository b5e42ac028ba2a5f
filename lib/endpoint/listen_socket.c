/*
 * Accepting on POSIX: the listening socket is watched, and accepted from directly, because libuv's own accept hides what goes wrong (it
 * closes clients silently when descriptors run out, or spins). At most accept_budget per wake-up: the poll is level triggered,
 * so what is left comes in the next turn.
 */
#include "base/system.h"
#include "endpoint/listener.h"

static void set(cvy__acceptor_t *a, bool accept);

/* True: go on. */
static bool accept_one(cvy__acceptor_t *a)
{
    cvy__accepted_t what = { 0 };
    if (!cvy__acceptor_wanted(a) || !cvy__place_hold(a->lane->listener)) return false;
    int err = cvy__socket_accept(a->fd, &what.fd, &what.peer);
    if (err) return cvy__acceptor_refused(a, err) && err != UV_EAGAIN;
    cvy__acceptor_accepted(a, &what, a->keeps);
    return true;
}

static void on_ready(cvy_watch_t *watch, int status, void *arg)
{
    cvy__acceptor_t *a = arg;
    cvy_listener_t *l = a->lane->listener;
    (void)watch;
    cvy__listener_ref(l);
    if (status) cvy__acceptor_trouble(a, status);
    for (int64_t i = 0; !status && i < l->opts.accept_budget && accept_one(a); i++)
        continue;
    if (!cvy__acceptor_wanted(a)) set(a, false);
    cvy__listener_unref(l);
}

static int prepare(cvy__acceptor_t *a)
{
    return cvy_watch_new(&a->watch, a->lane->loop, a->fd);
}

static void set(cvy__acceptor_t *a, bool accept)
{
    int err = 0;
    if (accept)
        err = cvy_watch_read(a->watch, on_ready, a);
    else
        cvy_unwatch_read(a->watch);
    if (err && err != UV_ESHUTDOWN) cvy__acceptor_trouble(a, err);
}

static void close_socket(cvy__acceptor_t *a)
{
    cvy_watch_free(a->watch);
    a->watch = NULL;
    cvy__socket_acceptor_unbind(a);
    cvy__acceptor_closed(a);
}

const cvy__acceptor_ops_t cvy__accept_socket_ops = {
    .bind = cvy__socket_acceptor_bind,
    .prepare = prepare,
    .set = set,
    .close = close_socket,
    .build = cvy__socket_acceptor_build,
    .drop = cvy__socket_acceptor_drop,
};
