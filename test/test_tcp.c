/* The tcp kind: names, options, the reset and the probe. */
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#endif

#include "base/memory.h"
#include "base/system.h"
#include "support.h"
#include "wire.h"

static cvy_socket_t fd_of(wire_end_t *end)
{
    cvy_socket_t fd;
    ck_assert_int_eq(cvy_transport_fd(end->t, &fd), 0);
    return fd;
}

static int option(wire_end_t *end, int level, int name)
{
    int value = 0;
    socklen_t n = sizeof value;
    ck_assert(!getsockopt(fd_of(end), level, name, (void *)&value, &n));
    return value;
}

/* Seconds; -1: off. */
static int linger_of(wire_end_t *end)
{
    struct linger value = { 0 };
    socklen_t n = sizeof value;
#ifdef SO_LINGER_SEC
    ck_assert(!getsockopt(fd_of(end), SOL_SOCKET, SO_LINGER_SEC, (void *)&value, &n));
#else
    ck_assert(!getsockopt(fd_of(end), SOL_SOCKET, SO_LINGER, (void *)&value, &n));
#endif
    return value.l_onoff ? (int)value.l_linger : -1;
}

/* T12: each end's own name is the other's peer, as text and as an address. */
START_TEST(endpoints_are_uris)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    const char *self = cvy_transport_self_endpoint(w.a.t);
    ck_assert_int_eq(strncmp(self, "tcp://127.0.0.1:", 16), 0);
    ck_assert_str_eq(self, cvy_transport_other_endpoint(w.b.t));
    ck_assert_str_eq(cvy_transport_other_endpoint(w.a.t), cvy_transport_self_endpoint(w.b.t));
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)cvy_transport_self_address(w.a.t);
    ck_assert_ptr_nonnull(in);
    ck_assert_int_eq(in->sin_family, AF_INET);
    ck_assert_int_eq(ntohs(in->sin_port), atoi(self + 16));
    ck_assert_ptr_nonnull(cvy_transport_other_address(w.a.t));
    wire_fini(&w);
}
END_TEST

/* T13 */
START_TEST(nodelay_is_on_unless_turned_off)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    w.b.opts.nodelay = CVY_OFF;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_ne(option(&w.a, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(option(&w.b, IPPROTO_TCP, TCP_NODELAY), 0);
    ck_assert_int_eq(option(&w.b, SOL_SOCKET, SO_KEEPALIVE), 0);
    wire_fini(&w);
}
END_TEST

/* T13 */
START_TEST(options_reach_the_socket)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    w.a.opts = (cvy_transport_opts_t){
        .keepalive_s = 77, .send_buffer = 20000, .receive_buffer = 30000, .linger_s = 3, .user_timeout_ms = 4567
    };
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_ne(option(&w.a, SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_ge(option(&w.a, SOL_SOCKET, SO_SNDBUF), 20000);
    ck_assert_int_le(option(&w.a, SOL_SOCKET, SO_SNDBUF), 80000);
    ck_assert_int_ge(option(&w.a, SOL_SOCKET, SO_RCVBUF), 30000);
    ck_assert_int_eq(linger_of(&w.a), 3);
    ck_assert_int_eq(linger_of(&w.b), -1);
#ifdef TCP_USER_TIMEOUT
    bool absent = cvy__socket_user_timeout(fd_of(&w.b), 1) == UV_ENOTSUP; /* built without */
    ck_assert_int_eq(option(&w.a, IPPROTO_TCP, TCP_USER_TIMEOUT), absent ? 0 : 4567);
    ck_assert_int_eq(option(&w.a, IPPROTO_TCP, TCP_KEEPIDLE), 77);
#endif
    wire_fini(&w);
}
END_TEST

/* T13: more than the system can count is as much as it can, and no reason to refuse every connection. */
START_TEST(what_is_larger_than_an_option_can_be_is_its_largest)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    w.a.opts = (cvy_transport_opts_t){
        .keepalive_s = 86400, .send_buffer = INT64_MAX, .receive_buffer = INT64_MAX, .user_timeout_ms = INT64_MAX
    };
    w.b.opts = (cvy_transport_opts_t){ .keepalive_s = INT64_MAX };
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_ne(option(&w.a, SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_ne(option(&w.b, SOL_SOCKET, SO_KEEPALIVE), 0);
#ifdef __linux__
    ck_assert_int_eq(option(&w.a, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
#endif
    wire_fini(&w);
}
END_TEST

/* T10: looking takes no byte, and an end of stream is no error. */
START_TEST(a_probe_consumes_nothing)
{
    cvy_socket_t fds[2];
    char bytes[8];
    wire_tcp_fds(fds);
    ck_assert_int_eq(send(fds[0], "bytes", 5, 0), 5);
    ck_assert_int_eq(cvy__socket_close(fds[0]), 0);
    ck_assert_int_eq(cvy__socket_probe(fds[1]), 0);
    ck_assert_int_eq(recv(fds[1], bytes, sizeof bytes, 0), 5);
    ck_assert_int_eq(cvy__socket_close(fds[1]), 0);
}
END_TEST

/* T9: a reset works also between uv_shutdown and its callback, where libuv alone refuses. */
START_TEST(reset_while_our_end_is_under_way_is_a_reset)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    ck_assert_int_eq(cvy_transport_flush(w.a.t, NULL, NULL), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, UV_ECONNRESET);
    wire_fini(&w);
}
END_TEST

/* R7: on the application's loop, where libuv alone would let it end once nothing reads: an open transport keeps it alive. */
START_TEST(suspended_it_keeps_the_applications_loop_alive)
{
    uv_loop_t uv;
    cvy_loop_t *loop;
    cvy_socket_t fds[2];
    cvy_transport_t *t;
    wire_tcp_fds(fds);
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, NULL, NULL), 0);
    cvy_transport_readable_state_changed(t, false);
    for (int i = 0; i < 5; i++)
        ck_assert_int_ne(uv_run(&uv, UV_RUN_NOWAIT), 0);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL), UV_EBUSY); /* R5 */
    ck_assert_int_eq(cvy_transport_close(t, CVY_CLOSE_NOW), 0);
    ck_assert_int_eq(uv_run(&uv, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    cvy_loop_unref(loop);
    cvy__socket_close(fds[1]);
}
END_TEST

/* M3, T9: an end that could not be sent is none: the peer would wait for it, so the connection fails. */
START_TEST(an_end_of_ours_without_memory_fails_the_connection)
{
    wire_t w;
    wire_init(&w, WIRE_TCP);
    w.b.opts.allow_half_close = 1;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    cvy__memory_fail(1);
    WIRE_UNTIL(&w, !w.a.t || cvy_transport_write_state(w.a.t) == CVY_WRITE_SHUT);
    ck_assert(cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert_ptr_null(w.a.t);
    ck_assert_int_eq(w.a.cause, UV_ENOMEM);
    wire_fini(&w);
}
END_TEST

/* T17: it says why, and resets. We write before we have looked: what it said is read all the same, and then there is one error. */
START_TEST(what_the_peer_said_before_its_reset_is_read_though_our_write_fails_first)
{
    for (int held = 0; held <= 1; held++) {
        wire_t w;
        wire_init(&w, WIRE_TCP);
        w.a.opts.high_bytes = 1000;
        w.b.loop = wire_new_loop(); /* whose turns are not ours */
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        ck_assert_int_eq(wire_text(&w.b, "too long"), 0);
        ck_assert_int_eq(cvy_transport_flush(w.b.t, NULL, NULL), 0);
        ck_assert_int_eq(cvy_transport_close(w.b.t, CVY_CLOSE_RESET), 0);
        while (w.b.t)
            cvy_loop_turn(w.b.loop, 0);
        char much[2000] = { 0 }; /* over the high mark, which holds reading */
        ck_assert_int_eq(wire_write(&w.a, much, held ? sizeof much : 5), 0);
        WIRE_UNTIL(&w, !w.a.t);
        ck_assert_uint_eq(w.a.r.bytes, 8);
        ck_assert_ptr_nonnull(strstr(recorder_text(&w.a.log), "a: bytes 8 too long\na: error "));
        ck_assert(w.a.cause == UV_ECONNRESET || w.a.cause == UV_EPIPE);
        wire_fini(&w);
    }
}
END_TEST

static uint8_t large[8 << 20];

/* T10, M6: what the peer takes of one large view counts as it goes, and not when all of it has gone: who takes it slowly is no stall. */
START_TEST(a_large_view_makes_progress_piece_by_piece)
{
    enum { STEP = 1 << 20, UNDER_WAY = 256 * 1024 };
    wire_t w;
    cvy_buf_t b;
    cvy_transport_stats_t stats;
    wire_init(&w, WIRE_TCP);
    w.a.opts = (cvy_transport_opts_t){ .high_bytes = CVY_OFF, .send_buffer = 65536 };
    w.b.opts = (cvy_transport_opts_t){ .read_budget = 1, .receive_buffer = 65536 };
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_buf_init(&b, cvy_loop_pool(w.a.loop));
    ck_assert_int_eq(cvy_buf_wrap(&b, large, sizeof large, NULL, NULL), 0);
    ck_assert_int_eq(cvy_transport_write(w.a.t, &b), 0);
    for (uint64_t read = STEP; read <= sizeof large; read += STEP) {
        WIRE_UNTIL(&w, w.b.r.bytes >= read);
        cvy_transport_stats(w.a.t, &stats);
        ck_assert_uint_ge(stats.bytes_written + UNDER_WAY, w.b.r.bytes);
    }
    wire_fini(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tcp");
    ADD_TESTS(suite, "names and options", endpoints_are_uris, nodelay_is_on_unless_turned_off, options_reach_the_socket,
              what_is_larger_than_an_option_can_be_is_its_largest);
    ADD_TESTS(suite, "ends", a_probe_consumes_nothing, reset_while_our_end_is_under_way_is_a_reset,
              an_end_of_ours_without_memory_fails_the_connection,
              what_the_peer_said_before_its_reset_is_read_though_our_write_fails_first);
    ADD_TESTS(suite, "writing", a_large_view_makes_progress_piece_by_piece);
    ADD_TESTS(suite, "loop", suspended_it_keeps_the_applications_loop_alive);
    return test_run(suite);
}
