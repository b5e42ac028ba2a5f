/*
 * Closing and the peer's end, seen by a peer that is no transport: it gets all bytes, then an end of stream, and never a reset. Proves
 * cvy__stream_shutdown of lib/transport/stream.c.
 */
#include "support.h"

#include <conveyor/adopt.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#ifndef _WIN32
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

#include "attacker.h"
#include "base/list.h"
#include "base/system.h"
#include "net.h"
#include "transport/transport.h"

#include "wire_fds.h"

enum { TOTAL = 900000 }; /* below the hard limit: the answer to the question joins the queue */

typedef struct scene {
    net_t net;
    cvy_loop_t *loop;
    bool adopted;
    cvy__fd_kind_t kind;
    cvy_socket_t twin;
    cvy_transport_t *t;
    cvy_socket_t peer;
    int cause; /* 1: open */
    bool had_extra;
    size_t got;
    int last; /* what the peer's last read answered */
} scene_t;

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    scene_t *s = arg;
    s->cause = cause;
    s->had_extra = t->extra != NULL;
}

/* How the transport comes to be: accepted, or adopted while someone else holds its socket too. */
enum { ACCEPTED_TCP, ADOPTED_TCP, ADOPTED_UNIX, ACCEPTED_UNIX, WAYS };

static void on_accepted(net_t *n, cvy_transport_t *t)
{
    scene_t *s = CVY__OF(n, scene_t, net);
    s->t = t;
    cvy_transport_on_shutdown_completed(t, on_end, s);
}

#ifdef _WIN32
static cvy_socket_t connect_unix(const char *path)
{
    (void)path;
    return 0;
}
#else
static cvy_socket_t connect_unix(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}
#endif

static void accept_one(scene_t *s, bool tcp, const cvy_transport_opts_t *opts)
{
    char address[100] = "tcp://127.0.0.1:0";
    if (!tcp) snprintf(address, sizeof address, "unix:///tmp/cvy-peer-end-%d", (int)uv_os_getpid());
    s->net.opts.transport = opts;
    s->net.on_accepted = on_accepted;
    net_listen(&s->net, address);
    s->peer = tcp ? attacker_connect(s->net.address, 0) : connect_unix(address + 7);
    while (!s->t)
        cvy_loop_turn(s->loop, 10);
}

static void adopt_one(scene_t *s, bool tcp, const cvy_transport_opts_t *opts)
{
    cvy_socket_t fds[2];
    if (tcp)
        wire_tcp_fds(fds);
    else
        wire_pipe_fds(fds);
    s->peer = fds[1];
    ck_assert_int_eq(cvy__fd_kind(fds[0], &s->kind), 0);
    ck_assert_int_eq(cvy__fd_duplicate(fds[0], s->kind, &s->twin), 0);
    ck_assert_int_eq(cvy_transport_adopt(&s->t, s->loop, fds[0], opts, net_echo, NULL), 0);
    cvy_transport_on_shutdown_completed(s->t, on_end, s);
}

static void begin(scene_t *s, int way, const cvy_transport_opts_t *opts)
{
    *s = (scene_t){ .cause = 1, .last = UV_EAGAIN, .adopted = way == ADOPTED_TCP || way == ADOPTED_UNIX };
    net_init(&s->net);
    s->loop = s->net.loop;
    if (s->adopted)
        adopt_one(s, way == ADOPTED_TCP, opts);
    else
        accept_one(s, way == ACCEPTED_TCP, opts);
    wire_fd_nonblocking(s->peer);
}

static void send_bytes(scene_t *s, size_t n)
{
    cvy_buf_t b;
    char *bytes = calloc(1, n);
    cvy_buf_init(&b, cvy_loop_pool(s->loop));
    ck_assert_int_eq(cvy_buf_append(&b, bytes, n), 0);
    ck_assert_int_eq(cvy_transport_write(s->t, &b), 0);
    cvy_buf_fini(&b);
    free(bytes);
}

/* Reads what there is; false: the stream has ended, or broken. */
static bool peer_reads(scene_t *s)
{
    static char bytes[65536];
    while ((s->last = wire_fd_read(s->peer, bytes, sizeof bytes)) > 0)
        s->got += (size_t)s->last;
    return s->last == UV_EAGAIN;
}

static void until_the_peer_sees_the_end(scene_t *s)
{
    while (peer_reads(s))
        cvy_loop_turn(s->loop, 10);
    ck_assert_msg(!s->last, "%s", uv_err_name(s->last));
}

static void finish(scene_t *s)
{
    wire_fd_close(s->peer, false);
    while (s->cause == 1)
        cvy_loop_turn(s->loop, 10);
    ck_assert_int_eq(s->cause, 0);
    if (s->adopted) cvy__fd_release(s->twin, s->kind);
    net_fini(&s->net);
}

/* T8, T9: what is queued goes out behind the peer's end, before ours */
START_TEST(closing_behind_the_peers_end_sends_every_byte_and_an_end)
{
    scene_t s;
    begin(&s, _i, &(cvy_transport_opts_t){ .hold_reads = CVY_OFF }); /* the end is read while much is queued */
    send_bytes(&s, TOTAL);
    ck_assert_int_eq(wire_fd_write(s.peer, "question", 8), 8);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, TOTAL + 8);
    while (s.cause == 1)
        cvy_loop_turn(s.loop, 10);
    ck_assert_int_eq(wire_fd_read(s.peer, (char[1]){ 0 }, 1), 0); /* once more, and no reset behind it */
    finish(&s);
}
END_TEST

/* T8, T9: the connection is closed before the peer has read a byte */
START_TEST(closing_behind_the_peers_end_leaves_the_bytes_that_are_on_their_way)
{
    scene_t s;
    begin(&s, _i, NULL);
    send_bytes(&s, 5000);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    while (s.cause == 1)
        cvy_loop_turn(s.loop, 10);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, 5000);
    finish(&s);
}
END_TEST

/* T8, M4: where all is sent, what begins and ends in one turn needs no deadline, and no memory for one */
START_TEST(closing_behind_the_peers_end_with_nothing_queued_needs_no_deadline)
{
    scene_t s;
    begin(&s, _i, NULL);
    ck_assert_int_eq(wire_fd_write(s.peer, "question", 8), 8);
    while (s.got < 8 && peer_reads(&s))
        cvy_loop_turn(s.loop, 10);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    while (s.cause == 1)
        cvy_loop_turn(s.loop, 10);
    if (!s.adopted && cvy__close_ends_stream(_i == ACCEPTED_TCP)) ck_assert(!s.had_extra);
    until_the_peer_sees_the_end(&s);
    finish(&s);
}
END_TEST

/* T9: with bytes of the peer's that nobody has read, and its end behind them, a close would be a reset: ours is said first, and they are read */
START_TEST(closing_before_unread_bytes_and_the_peers_end_is_no_reset)
{
    scene_t s;
    begin(&s, _i, NULL);
    cvy_transport_readable_state_changed(s.t, false);
    for (int i = 0; i < 3; i++)
        cvy_loop_turn(s.loop, 0);
    ck_assert_int_eq(wire_fd_write(s.peer, "never read", 10), 10);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    send_bytes(&s, 5000);
    ck_assert_int_eq(cvy_transport_close(s.t, CVY_CLOSE_GRACEFUL), 0);
    while (s.cause == 1)
        cvy_loop_turn(s.loop, 10);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, 5000);
    finish(&s);
}
END_TEST

/* T8: with allow_half_close the end is ours to say, and a real one */
START_TEST(our_end_behind_the_peers_is_an_end_that_the_peer_sees)
{
    scene_t s;
    begin(&s, _i, &(cvy_transport_opts_t){ .allow_half_close = 1 });
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    while (cvy_transport_read_state(s.t) != CVY_READ_EOF)
        cvy_loop_turn(s.loop, 10);
    for (int i = 0; i < 3; i++)
        cvy_loop_turn(s.loop, 0);
    ck_assert_int_eq(s.cause, 1);
    send_bytes(&s, 5000);
    ck_assert_int_eq(cvy_transport_shutdown_write(s.t), 0);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, 5000);
    finish(&s);
}
END_TEST

/* T9: ours goes first, and the peer has its time to answer */
START_TEST(closing_before_the_peers_end_says_ours_and_waits_for_it)
{
    scene_t s;
    begin(&s, _i, &(cvy_transport_opts_t){ .linger_timeout_ms = CVY_OFF });
    send_bytes(&s, 5000);
    ck_assert_int_eq(cvy_transport_close(s.t, CVY_CLOSE_GRACEFUL), 0);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, 5000);
    ck_assert_int_eq(s.cause, 1);
    ck_assert_int_eq(wire_fd_write(s.peer, "late", 4), 4);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    finish(&s);
}
END_TEST

static int hold(cvy_ctx_t *ctx)
{
    (void)ctx;
    return UV_EAGAIN;
}

/* T8, E3: a stage holds the peer's end; the connection stays, and only our side of it ends */
START_TEST(our_end_behind_a_peers_end_that_a_stage_holds_is_said)
{
    static const cvy_stage_t holder = { .name = "holder", .on_read_closed = hold };
    scene_t s;
    begin(&s, _i, NULL);
    ck_assert_int_eq(cvy_conveyor_add_first(cvy_transport_conveyor(s.t), &holder, NULL, NULL), 0);
    ck_assert_int_eq(wire_fd_shut(s.peer), 0);
    while (cvy_transport_read_state(s.t) != CVY_READ_EOF)
        cvy_loop_turn(s.loop, 10);
    send_bytes(&s, 5000);
    ck_assert_int_eq(cvy_transport_shutdown_write(s.t), 0);
    until_the_peer_sees_the_end(&s);
    ck_assert_uint_eq(s.got, 5000);
    ck_assert_int_eq(s.cause, 1);
    cvy_transport_close(s.t, CVY_CLOSE_NOW);
    finish(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peer_end");
    TCase *tc = test_case("peer's end");
    suite_add_tcase(suite, tc);
#ifdef _WIN32
    enum { KINDS = ADOPTED_TCP + 1 }; /* the ends of a named pipe do not end one by one */
#else
    enum { KINDS = WAYS };
#endif
    tcase_add_loop_test(tc, closing_behind_the_peers_end_sends_every_byte_and_an_end, 0, KINDS);
    tcase_add_loop_test(tc, closing_behind_the_peers_end_leaves_the_bytes_that_are_on_their_way, 0, KINDS);
    tcase_add_loop_test(tc, closing_behind_the_peers_end_with_nothing_queued_needs_no_deadline, 0, KINDS);
    tcase_add_loop_test(tc, closing_before_unread_bytes_and_the_peers_end_is_no_reset, 0, KINDS);
    tcase_add_loop_test(tc, our_end_behind_the_peers_is_an_end_that_the_peer_sees, 0, KINDS);
    tcase_add_loop_test(tc, closing_before_the_peers_end_says_ours_and_waits_for_it, 0, KINDS);
    tcase_add_loop_test(tc, our_end_behind_a_peers_end_that_a_stage_holds_is_said, 0, KINDS);
    return test_run(suite);
}
