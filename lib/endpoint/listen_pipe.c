/*
 * Accepting on a named pipe: on its own loop, through libuv, because a pipe's end can't move to another loop. Pausing is not accepting:
 * the instances that libuv keeps ready are taken then, and the next client waits outside.
 */
#include "base/memory.h"
#include "endpoint/listener.h"

/* The handle outlives the acceptor until libuv has closed it; the loop waits for that as for any guest. */
typedef struct pipe_server {
    uv_pipe_t handle;
    cvy__resident_t guest;
    cvy_loop_t *loop;
    cvy__acceptor_t *acceptor; /* NULL: closed */
} pipe_server_t;

static void on_loop_end(cvy__resident_t *guest)
{
    (void)guest; /* the lane closes its acceptors */
}

static void on_closed(uv_handle_t *handle)
{
    pipe_server_t *server = handle->data;
    cvy_loop_t *loop = server->loop;
    cvy__loop_enter(loop);
    cvy__resident_remove(loop, &server->guest);
    cvy__free(server);
    cvy__loop_leave(loop);
}

static void close_server(pipe_server_t *server)
{
    server->acceptor = NULL;
    uv_close((uv_handle_t *)&server->handle, on_closed);
}

static int bind_pipe(cvy__acceptor_t *a)
{
    pipe_server_t *server = cvy__calloc(1, sizeof *server);
    if (!server) return UV_ENOMEM;
    server->loop = a->lane->loop;
    server->acceptor = a;
    server->guest.close = on_loop_end;
    int err = uv_pipe_init(server->loop->uv, &server->handle, 0);
    if (err) {
        cvy__free(server);
        return err;
    }
    server->handle.data = server;
    cvy__guest_add(server->loop, &server->guest);
    err = uv_pipe_bind(&server->handle, a->address.name);
    a->pipe = &server->handle;
    if (!err) err = cvy__permissions_pipe(a);
    if (!err) return 0;
    a->pipe = NULL;
    close_server(server);
    return err;
}

/* True: go on. */
static bool accept_one(cvy__acceptor_t *a)
{
    cvy__accepted_t what = { 0 };
    if (!a->waiting || !cvy__acceptor_wanted(a) || !cvy__place_hold(a->lane->listener)) return false;
    int err = cvy__stream_new_pipe(&what.stream, a->lane->loop);
    if (!err) {
        err = uv_accept((uv_stream_t *)a->pipe, cvy__stream_handle(what.stream));
        a->waiting = err != UV_EAGAIN;
        if (err) cvy__stream_discard(what.stream);
    }
    if (err) return cvy__acceptor_refused(a, err) && err != UV_EAGAIN;
    cvy__acceptor_accepted(a, &what, true);
    return true;
}

static void accept_all(cvy__acceptor_t *a)
{
    cvy_listener_t *l = a->lane->listener;
    cvy__listener_ref(l);
    int64_t budget = l->opts.accept_budget;
    while (budget > 0 && accept_one(a))
        budget--;
    if (!budget) cvy__lane_nudge(a->lane);
    cvy__listener_unref(l);
}

static void on_connection(uv_stream_t *stream, int status)
{
    pipe_server_t *server = stream->data;
    cvy__acceptor_t *a = server->acceptor;
    if (!a) return;
    cvy__loop_enter(server->loop);
    a->waiting = true;
    if (status)
        cvy__acceptor_trouble(a, status);
    else
        accept_all(a);
    cvy__loop_leave(server->loop);
}

static int prepare(cvy__acceptor_t *a)
{
    int64_t backlog = a->lane->listener->opts.backlog;
    return uv_listen((uv_stream_t *)a->pipe, backlog ? (int)backlog : SOMAXCONN, on_connection);
}

static void set(cvy__acceptor_t *a, bool accept)
{
    if (accept) accept_all(a);
}

static void close_pipe(cvy__acceptor_t *a)
{
    close_server(a->pipe->data);
    a->pipe = NULL;
    cvy__acceptor_closed(a);
}

static int build(cvy__accepted_t *c, cvy_transport_t **out)
{
    char self[CVY__URI_MAX + 1];
    cvy__address_endpoint(self, sizeof self, &c->acceptor->address);
    int err =
        cvy__stream_become(c->stream, c->lane->listener->shared, &(cvy__names_t){ .self = self, .other = "pipe:" });
    if (!err) *out = &c->stream->transport;
    return err;
}

static void drop(cvy__accepted_t *c)
{
    cvy__stream_discard(c->stream);
}

const cvy__acceptor_ops_t cvy__accept_pipe_ops = {
    .bind = bind_pipe,
    .prepare = prepare,
    .set = set,
    .close = close_pipe,
    .build = build,
    .drop = drop,
};
