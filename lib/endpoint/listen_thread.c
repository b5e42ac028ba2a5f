/*
 * Accepting on Windows: a thread per listening socket, also for one loop, because libuv would accept 32 clients ahead, last in first out,
 * and tie their sockets to its own loop. The lane only wakes the thread; the thread looks at what is wanted for itself.
 */
#include "endpoint/listener.h"

static bool may_accept(void *arg)
{
    cvy__acceptor_t *a = arg;
    return cvy__acceptor_wanted(a) && cvy__place_hold(a->lane->listener);
}

static void accepted(void *arg, cvy_socket_t fd)
{
    cvy__acceptor_accepted(arg, &(cvy__accepted_t){ .fd = fd }, false);
}

static bool refused(void *arg, int err)
{
    return cvy__acceptor_refused(arg, err);
}

static int prepare(cvy__acceptor_t *a)
{
    return cvy__acceptor_thread_start(&a->thread, a->fd, &(cvy__accept_events_t){ may_accept, accepted, refused, a });
}

static void set(cvy__acceptor_t *a, bool accept)
{
    if (accept) cvy__acceptor_thread_wake(a->thread);
}

static void close_socket(cvy__acceptor_t *a)
{
    if (a->thread) cvy__acceptor_thread_stop(a->thread);
    a->thread = NULL;
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
