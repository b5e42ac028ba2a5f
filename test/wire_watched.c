/* The watched kind of wires: a TCP socket by recv and send, as an application would supply it. */
#include "wire.h"

#include <uv.h>

#include "base/system.h"

long wire_watched_writes;

static cvy_socket_t fd_of(const cvy_transport_t *t)
{
    return (cvy_socket_t)(uintptr_t)cvy_transport_user(t);
}

static int again_or(int n)
{
    return n == UV_EINTR ? UV_EAGAIN : n;
}

static int read_some(cvy_transport_t *t, cvy_buf_t *in)
{
    uv_buf_t view;
    if (cvy_buf_reserve(in, wire_segment_bytes() < 8192 ? wire_segment_bytes() : 8192)) return UV_ENOMEM;
    cvy_buf_tail_views(in, &view, 1);
    int n = wire_fd_read(fd_of(t), view.base, view.len);
    if (n < 0) return again_or(n);
    if (n == 0) return cvy__socket_error(fd_of(t));
    cvy_buf_commit(in, (size_t)n);
    return n;
}

static int write_some(cvy_transport_t *t, const cvy_buf_t *out)
{
    char copy[65536];
    int n = wire_fd_write(fd_of(t), copy, cvy_buf_peek(out, copy, sizeof copy));
    wire_watched_writes += n >= 0;
    return again_or(n);
}

static int end_writing(cvy_transport_t *t)
{
    return wire_fd_shut(fd_of(t));
}

static int probe(cvy_transport_t *t)
{
    return cvy__socket_probe(fd_of(t));
}

static void close_watched(cvy_transport_t *t, bool reset)
{
    wire_fd_close(fd_of(t), reset);
}

const cvy_transport_ops_t wire_watched_ops = {
    .name = "wired",
    .read_some = read_some,
    .write_some = write_some,
    .shutdown_write = end_writing,
    .probe = probe,
    .close = close_watched,
};
