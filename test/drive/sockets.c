/*
 * An adopted socket on a loop of its own. The peer is the other descriptor, read and written by plain calls; that it does not read, and small
 * buffers, are what makes writes short or would-block. The time of all deadlines is too long to come in a life, so that only the order of
 * operations counts.
 */
#include <conveyor/adopt.h>

#include "../wire_fds.h"
#include "inner.h"

#ifdef _WIN32 /* under wine bytes in front of a reset make an end of it */
#define TCP_RESETS false
#else
#define TCP_RESETS true
#endif

enum { NEVER_MS = 10 * 60 * 1000, TURNS = 100000 };

static struct {
    cvy_socket_t peer;
    bool open;      /* the peer's descriptor */
    bool ended;     /* our end was read from it */
    bool broken;    /* a write told it of the end, and a read will not tell again how it came */
    size_t handles; /* of the loop itself */
} s;

static void count_handle(uv_handle_t *handle, void *arg)
{
    (void)handle;
    ++*(size_t *)arg;
}

static size_t handles(void)
{
    size_t n = 0;
    uv_walk(cvy_loop_uv(d.loop), count_handle, &n);
    return n;
}

/* What changes while anything moves. */
static uint64_t progress(void)
{
    cvy_transport_stats_t stats;
    cvy_transport_stats(d.t, &stats);
    return stats.bytes_read + stats.bytes_written + d.callbacks + d.t->phase + d.t->read_armed + d.posters[0].done +
           d.posters[1].done;
}

static void turns(void)
{
    int still = 0, n = 0;
    if (d.depth) return;
    while (still < 2) {
        uint64_t before = progress();
        must(n++ < TURNS);
        cvy_loop_turn(d.loop, 0);
        still = progress() == before ? still + 1 : 0;
    }
}

static void wait(void)
{
    cvy_loop_turn(d.loop, 1);
}

static void open_socket(void (*make)(cvy_socket_t fds[2]), const cvy_transport_opts_t *opts,
                        const cvy_loop_opts_t *loop_opts)
{
    cvy_socket_t fds[2];
    cvy_transport_opts_t with = *opts;
    with.drain_timeout_ms = with.linger_timeout_ms = with.half_close_timeout_ms = NEVER_MS;
    with.write_stall_timeout_ms = with.probe_interval_ms = NEVER_MS;
    with.suspend_timeout_ms = 0;
    must(cvy_loop_new(&d.loop, loop_opts) == 0);
    s.handles = handles();
    make(fds);
    wire_fd_nonblocking(fds[1]);
    s.peer = fds[1];
    s.open = true;
    s.ended = s.broken = false;
    must(cvy_transport_adopt(&d.t, d.loop, fds[0], &with, drive_init, NULL) == 0);
    cvy_transport_ref(d.t);
    turns();
}

static void open_tcp(const cvy_transport_opts_t *opts, const cvy_loop_opts_t *loop_opts, bool connecting)
{
    (void)connecting;
    open_socket(wire_tcp_fds, opts, loop_opts);
}

static void open_pipe(const cvy_transport_opts_t *opts, const cvy_loop_opts_t *loop_opts, bool connecting)
{
    (void)connecting;
    open_socket(wire_pipe_fds, opts, loop_opts);
}

/* Other buffers, or (rarely) an end of our side that the transport does not know of: its next write fails. */
static void hinder(uint32_t how)
{
    cvy_socket_t fd;
    if (cvy_transport_fd(d.t, &fd)) return;
    wire_fd_buffers(fd, 1 << (10 + how % 6), 0);
    if (how / 6 % 32) return;
    d.sabotaged = true;
    wire_fd_shut(fd);
}

static void unhinder(bool for_good)
{
    cvy_socket_t fd;
    if (for_good && !cvy_transport_fd(d.t, &fd)) wire_fd_buffers(fd, 1 << 16, 0);
}

static size_t peer_write(const uint8_t *bytes, size_t n)
{
    int sent = n && s.open ? wire_fd_write(s.peer, bytes, n) : 0;
    s.broken = s.broken || (sent < 0 && sent != UV_EAGAIN);
    return sent < 0 ? 0 : (size_t)sent;
}

static int peer_read(uint8_t *bytes, size_t n)
{
    if (!s.open || s.ended) return UV_ENOTCONN;
    int got = wire_fd_read(s.peer, bytes, n);
    s.ended = got == 0;
    return s.ended && s.broken ? UV_EPIPE : got;
}

static void peer_end(void)
{
    if (s.open) wire_fd_shut(s.peer);
}

static void peer_close(bool reset)
{
    if (s.open) wire_fd_close(s.peer, reset);
    s.open = false;
}

/* Of what was opened on the loop no handle is left. */
static void free_socket(void)
{
    peer_close(false);
    turns();
    must(handles() == s.handles);
    cvy_loop_stop(d.loop);
    cvy_loop_run(d.loop);
}

const drive_io_t drive_tcp = {
    .name = "TCP",
    .resets = TCP_RESETS,
    .open = open_tcp,
    .turns = turns,
    .wait = wait,
    .hinder = hinder,
    .unhinder = unhinder,
    .peer_write = peer_write,
    .peer_read = peer_read,
    .peer_end = peer_end,
    .peer_close = peer_close,
    .free = free_socket,
};

const drive_io_t drive_pipe = {
    .name = "a local socket",
    .open = open_pipe,
    .turns = turns,
    .wait = wait,
    .hinder = hinder,
    .unhinder = unhinder,
    .peer_write = peer_write,
    .peer_read = peer_read,
    .peer_end = peer_end,
    .peer_close = peer_close,
    .free = free_socket,
};
