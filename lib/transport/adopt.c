/*
 * Adopting a connected descriptor. libuv can not give one back, so that it gets a duplicate, and the original is closed when nothing
 * can fail any more. Of stdin, stdout and stderr only the duplicate is ever closed.
 */
#include <conveyor/adopt.h>
#include <uv.h>

#include "base/system.h"
#include "transport/stream.h"

/* A stream over a duplicate of fd. */
static int make_stream(cvy__stream_t **out, cvy_loop_t *loop, cvy_socket_t fd, cvy__fd_kind_t kind)
{
    cvy__stream_t *s;
    cvy_socket_t twin;
    int err = kind == CVY__FD_TCP ? cvy__stream_new_tcp(&s, loop) : cvy__stream_new_pipe(&s, loop);
    if (err) return err;
    err = cvy__fd_duplicate(fd, kind, &twin);
    if (!err) {
        err = cvy__stream_open(s, twin);
        if (err) cvy__fd_release(twin, kind);
    }
    s->adopted = true;
    if (err)
        cvy__stream_discard(s);
    else
        *out = s;
    return err;
}

static int make_transport(cvy_transport_t **out, cvy__stream_t *s, const cvy_transport_opts_t *opts,
                          cvy_conveyor_init_cb init, void *arg)
{
    cvy__shared_opts_t *shared;
    int err = cvy__shared_opts_new(&shared, opts);
    if (!err) {
        err = cvy__stream_become(s, shared, &(cvy__names_t){ NULL, NULL, NULL, NULL });
        cvy__shared_opts_unref(shared);
    }
    if (err) {
        cvy__stream_discard(s);
        return err;
    }
    err = cvy__transport_open(&s->transport, init, arg, NULL, NULL);
    if (!err && cvy_transport_closing(&s->transport)) err = UV_ECANCELED; /* by init */
    if (!err) *out = &s->transport;
    return err;
}

int cvy_transport_adopt(cvy_transport_t **out, cvy_loop_t *loop, cvy_socket_t fd, const cvy_transport_opts_t *opts,
                        cvy_conveyor_init_cb init, void *arg)
{
    cvy__fd_kind_t kind;
    cvy__stream_t *s;
    if (cvy__loop_own(loop)) return UV_EPERM;
    if (cvy__loop_ending(loop)) return UV_ESHUTDOWN;
    if (!loop->uv) return UV_ENOTSUP;
    int err = cvy__fd_kind(fd, &kind);
    if (err) return err;
    bool outermost = cvy__loop_hold(loop);
    err = make_stream(&s, loop, fd, kind);
    if (!err) err = make_transport(out, s, opts, init, arg);
    if (!err) cvy__fd_release(fd, kind);
    if (outermost) cvy__loop_let_go(loop);
    return err;
}
