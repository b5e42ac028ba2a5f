/* Wires over every kind of transport. What differs per system is how two connected descriptors are made. */
#include "wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <stdio.h>
#define close_fd(fd)   closesocket((SOCKET)(fd))
#define last_code()    uv_translate_sys_error(WSAGetLastError())
#define END_OF_WRITING SD_SEND
#else
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#define close_fd(fd)   close(fd)
#define last_code()    uv_translate_sys_error(errno)
#define END_OF_WRITING SHUT_WR
#endif

#include "base/memory.h"
#include "base/system.h"

/* Descriptors */

void wire_tcp_fds(cvy_socket_t fds[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    cvy_socket_t listener = (cvy_socket_t)socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(!bind(listener, (struct sockaddr *)&at, sizeof at));
    ck_assert(!listen(listener, 1));
    ck_assert(!getsockname(listener, (struct sockaddr *)&at, &n));
    fds[0] = (cvy_socket_t)socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(!connect(fds[0], (struct sockaddr *)&at, sizeof at));
    fds[1] = (cvy_socket_t)accept(listener, NULL, NULL);
    close_fd(listener);
}

#ifdef _WIN32
void wire_pipe_fds(cvy_socket_t fds[2])
{
    static int serial;
    char name[64];
    snprintf(name, sizeof name, "\\\\.\\pipe\\cvy-wire-%lu-%d", (unsigned long)GetCurrentProcessId(), serial++);
    HANDLE server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                     PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, 1, 65536, 65536, 0, NULL);
    HANDLE client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, 0, NULL, OPEN_EXISTING,
                                FILE_FLAG_OVERLAPPED, NULL);
    ck_assert(server != INVALID_HANDLE_VALUE && client != INVALID_HANDLE_VALUE);
    fds[0] = (cvy_socket_t)server;
    fds[1] = (cvy_socket_t)client;
}
#else
void wire_pipe_fds(cvy_socket_t fds[2])
{
    ck_assert(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}
#endif

/* Memory */

long wire_segments_live, wire_segments_taken, wire_segments_fail;

static void *segment_alloc(void *arg, size_t n, size_t align)
{
    if (wire_segments_fail && !--wire_segments_fail) return NULL;
    void *p = cvy_alloc_malloc()->alloc(cvy_alloc_malloc()->arg, n, align);
    wire_segments_live += p != NULL;
    wire_segments_taken++;
    (void)arg;
    return p;
}

static void segment_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    wire_segments_live--;
    cvy_alloc_malloc()->free(cvy_alloc_malloc()->arg, p, n, align);
}

static const cvy_alloc_t segments = { segment_alloc, segment_free, NULL };

cvy_loop_t *wire_new_loop(void)
{
    static const cvy_pool_opts_t pool = { .alloc = &segments };
    static const cvy_loop_opts_t opts = { .pool = &pool };
    cvy_loop_t *loop;
    return cvy_loop_new(&loop, &opts) ? NULL : loop;
}

void wire_end_loop(cvy_loop_t *loop)
{
    cvy_loop_stop(loop);
    cvy_loop_run(loop); /* a transport has a reference of its own, so that letting go alone would end nothing */
    cvy_loop_unref(loop);
    ck_assert_int_eq(wire_segments_live, 0);
}

/* The watched kind: a TCP socket by recv and send */

long wire_watched_writes;

static cvy_socket_t fd_of(const cvy_transport_t *t)
{
    return (cvy_socket_t)(uintptr_t)cvy_transport_user(t);
}

static int again_or(int code)
{
    return code == UV_EAGAIN || code == UV_EINTR ? UV_EAGAIN : code;
}

static int read_some(cvy_transport_t *t, cvy_buf_t *in)
{
    uv_buf_t view;
    if (cvy_buf_reserve(in, 8192)) return UV_ENOMEM;
    cvy_buf_tail_views(in, &view, 1);
    int n = (int)recv(fd_of(t), view.base, view.len, 0);
    if (n < 0) return again_or(last_code());
    if (n == 0) return cvy__socket_error(fd_of(t));
    cvy_buf_commit(in, (size_t)n);
    return n;
}

static int write_some(cvy_transport_t *t, const cvy_buf_t *out)
{
    char copy[65536];
    int n = (int)send(fd_of(t), copy, (int)cvy_buf_peek(out, copy, sizeof copy), 0);
    if (n < 0) return again_or(last_code());
    wire_watched_writes++;
    return n;
}

static int end_writing(cvy_transport_t *t)
{
    return shutdown(fd_of(t), END_OF_WRITING) ? last_code() : 0;
}

static void close_watched(cvy_transport_t *t, bool reset)
{
    if (reset) cvy__socket_linger(fd_of(t), 0);
    close_fd(fd_of(t));
}

const cvy_transport_ops_t wire_watched_ops = {
    .name = "wired",
    .read_some = read_some,
    .write_some = write_some,
    .shutdown_write = end_writing,
    .close = close_watched,
};

static void make_nonblocking(cvy_socket_t fd)
{
#ifdef _WIN32
    u_long on = 1;
    ioctlsocket((SOCKET)fd, (long)FIONBIO, &on);
#else
    ck_assert(!fcntl(fd, F_SETFL, O_NONBLOCK));
#endif
}

/* Ends */

static char pattern(uint64_t at)
{
    return (char)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

static void check_pattern(wire_end_t *end, const cvy_buf_t *in)
{
    char piece[4096];
    uint64_t at = end->r.bytes - cvy_buf_len(in);
    for (size_t offset = 0, n; (n = cvy_buf_peek_at(in, offset, piece, sizeof piece)); offset += n)
        for (size_t i = 0; i < n; i++)
            end->wrong += piece[i] != pattern(at + offset + i);
}

static void fill(wire_end_t *end)
{
    char piece[65536];
    while (end->t && end->sent < end->total && cvy_transport_writable(end->t)) {
        size_t n = end->chunk < end->total - end->sent ? end->chunk : (size_t)(end->total - end->sent);
        cvy_buf_t out;
        cvy_buf_init(&out, cvy_loop_pool(end->loop));
        for (size_t done = 0, m; done < n; done += m) {
            m = n - done < sizeof piece ? n - done : sizeof piece;
            for (size_t i = 0; i < m; i++)
                piece[i] = pattern(end->sent + done + i);
            ck_assert_int_eq(cvy_buf_append(&out, piece, m), 0);
        }
        int err = cvy_transport_write(end->t, &out);
        if (!err) end->sent += n;
        cvy_buf_fini(&out);
        if (err) return;
    }
}

void wire_hook(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    wire_end_t *end = r->arg;
    (void)ctx;
    if (!strcmp(event, "bytes")) check_pattern(end, in);
    if (!strcmp(event, "outbound-resume")) fill(end);
}

void wire_source(wire_end_t *end, uint64_t total, size_t chunk)
{
    end->total = total;
    end->chunk = chunk;
    fill(end);
}

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    wire_end_t *end = arg;
    ck_assert_int_eq(end->cause, 1); /* shutdown-completed comes once */
    ck_assert_ptr_eq(end->t, t);
    end->cause = cause;
    end->t = NULL;
}

static int init_end(cvy_conveyor_t *c, void *arg)
{
    wire_end_t *end = arg;
    end->t = cvy_conveyor_transport(c);
    end->opened = true;
    int err = recorder_init_conveyor(c, &end->r);
    cvy_transport_on_shutdown_completed(end->t, on_gone, end);
    return err;
}

static void end_init(wire_end_t *end, const char *name)
{
    recorder_log_init(&end->log);
    end->r.name = name;
    end->r.log = &end->log;
    end->r.arg = end;
    end->cause = 1;
}

void wire_init(wire_t *w, wire_kind_t kind)
{
    memset(w, 0, sizeof *w);
    w->kind = kind;
    w->segments = wire_segments_live;
    end_init(&w->a, "a");
    end_init(&w->b, "b");
}

static int open_watched(wire_end_t *end, cvy_socket_t fd)
{
    cvy_transport_t *t;
    cvy_watched_opts_t opts = { .ops = &wire_watched_ops,
                                .fd = fd,
                                .user = (void *)(uintptr_t)fd,
                                .transport = &end->opts,
                                .init = init_end,
                                .arg = end };
    return cvy_transport_watched(&t, end->loop, &opts);
}

static int open_fd(wire_t *w, wire_end_t *end, cvy_socket_t fd)
{
    cvy_transport_t *t;
    if (w->kind == WIRE_WATCHED) return open_watched(end, fd);
    return cvy_transport_adopt(&t, end->loop, fd, &end->opts, init_end, end);
}

static void drop_fd(wire_kind_t kind, cvy_socket_t fd)
{
#ifdef _WIN32
    if (kind == WIRE_PIPE) {
        CloseHandle((HANDLE)fd);
        return;
    }
#endif
    (void)kind;
    close_fd(fd);
}

static int open_fds(wire_t *w)
{
    cvy_socket_t fds[2];
    if (w->kind == WIRE_PIPE)
        wire_pipe_fds(fds);
    else
        wire_tcp_fds(fds);
    if (w->kind == WIRE_WATCHED) {
        make_nonblocking(fds[0]);
        make_nonblocking(fds[1]);
    }
    int err = open_fd(w, &w->a, fds[0]);
    if (err) drop_fd(w->kind, fds[0]);
    int err2 = err ? err : open_fd(w, &w->b, fds[1]);
    if (err2) drop_fd(w->kind, fds[1]);
    if (err2 && w->a.t) cvy_transport_close(w->a.t, CVY_CLOSE_NOW);
    return err2;
}

static int open_pair(wire_t *w)
{
    cvy_transport_t *t;
    cvy_pair_end_t a = { w->a.loop, &w->a.opts, init_end, &w->a };
    cvy_pair_end_t b = { w->b.loop, &w->b.opts, init_end, &w->b };
    return cvy_transport_pair(&a, &b, &t);
}

int wire_open(wire_t *w, cvy_loop_t *loop)
{
    bool pair = w->kind == WIRE_PAIR || w->kind == WIRE_PAIR_LOOPS;
    w->own_loops = !loop;
    w->a.loop = loop ? loop : wire_new_loop();
    w->b.loop = w->kind == WIRE_PAIR_LOOPS ? wire_new_loop() : w->a.loop;
    int err = pair ? open_pair(w) : open_fds(w);
    if (err) return err;
    WIRE_UNTIL(w, (w->b.opened || w->a.cause != 1) && (w->a.cause != 1 || recorder_seen(&w->a.r, "active")) &&
                      (w->b.cause != 1 || !w->b.opened || recorder_seen(&w->b.r, "active")));
    return 0;
}

void wire_turn(wire_t *w)
{
    if (w->b.loop == w->a.loop) {
        cvy_loop_turn(w->a.loop, 5);
        return;
    }
    cvy_loop_turn(w->a.loop, 0);
    cvy_loop_turn(w->b.loop, 1);
}

void wire_turns(wire_t *w, int n)
{
    while (n--)
        wire_turn(w);
}

static void end_fini(wire_end_t *end)
{
    if (end->opened) {
        ck_assert_int_eq(recorder_seen(&end->r, "removed"), recorder_seen(&end->r, "added"));
        ck_assert_int_le(recorder_seen(&end->r, "active"), 1);
        ck_assert_int_le(recorder_seen(&end->r, "read-closed"), 1);
        ck_assert_int_eq(recorder_seen(&end->r, "inactive"), recorder_seen(&end->r, "active"));
    }
    recorder_fini(&end->r);
    recorder_log_fini(&end->log);
}

void wire_fini(wire_t *w)
{
    if (w->a.t) cvy_transport_close(w->a.t, CVY_CLOSE_NOW);
    if (w->b.t) cvy_transport_close(w->b.t, CVY_CLOSE_NOW);
    while (w->a.t || w->b.t)
        wire_turn(w);
    end_fini(&w->a);
    end_fini(&w->b);
    if (w->b.loop != w->a.loop) cvy_loop_unref(w->b.loop);
    if (!w->own_loops) return;
    cvy_loop_unref(w->a.loop);
    ck_assert_int_eq(wire_segments_live, w->segments);
}

int wire_write(wire_end_t *end, const void *bytes, size_t n)
{
    cvy_buf_t out;
    cvy_buf_init(&out, cvy_loop_pool(end->loop));
    ck_assert_int_eq(cvy_buf_append(&out, bytes, n), 0);
    int err = end->t ? cvy_transport_write(end->t, &out) : UV_EPIPE;
    ck_assert_uint_eq(cvy_buf_len(&out), err ? n : 0); /* whole, or untouched */
    cvy_buf_fini(&out);
    return err;
}

int wire_text(wire_end_t *end, const char *text)
{
    return wire_write(end, text, strlen(text));
}

/* wine's recv answers 0 behind a reset, and its socket knows of no error: what Windows does there is not shown. */
bool wire_resets(wire_kind_t kind)
{
#ifdef _WIN32
    if (kind == WIRE_WATCHED) return false;
#endif
    return kind != WIRE_PIPE;
}

bool wire_half_closes(wire_kind_t kind)
{
#ifdef _WIN32
    return kind != WIRE_PIPE;
#else
    (void)kind;
    return true;
#endif
}

bool wire_copies(wire_kind_t kind)
{
    return !wire_half_closes(kind);
}

bool wire_gone(const wire_t *w)
{
    return !w->a.t && !w->b.t;
}

const char *wire_name(wire_kind_t kind)
{
    static const char *const names[] = { "tcp", "pipe", "inproc", "inproc", "wired" };
    return names[kind];
}
