/* Kinds that an application supplies: connecting, ownership of the descriptor, and ops that leave things out. */
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#include "base/system.h"
#include "support.h"
#include "wire.h"

typedef struct dial {
    cvy_transport_ops_t ops;
    cvy_transport_t *t;
    int asked, not_yet, answer; /* on_connect_writable: UV_EAGAIN so many times, then the answer */
    int told, status, cause, closed;
    bool reset;
    int init_answer;
    bool close_in_init;
    cvy_close_verb_t verb;
} dial_t;

static int on_connect_writable(cvy_transport_t *t)
{
    dial_t *d = cvy_transport_user(t);
    ck_assert_int_eq(d->told, 0);
    return d->asked++ < d->not_yet ? UV_EAGAIN : d->answer;
}

static int read_nothing(cvy_transport_t *t, cvy_buf_t *in)
{
    (void)t;
    (void)in;
    return UV_EAGAIN;
}

static int write_nothing(cvy_transport_t *t, const cvy_buf_t *out)
{
    (void)t;
    (void)out;
    return UV_EAGAIN;
}

static void close_once(cvy_transport_t *t, bool reset)
{
    dial_t *d = cvy_transport_user(t);
    d->closed++;
    d->reset = reset;
}

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    dial_t *d = arg;
    (void)t;
    d->cause = cause;
    d->t = NULL;
}

static int init(cvy_conveyor_t *c, void *arg)
{
    dial_t *d = arg;
    ck_assert_int_eq(d->told, 0); /* L2: init, then on_connected */
    d->t = cvy_conveyor_transport(c);
    cvy_transport_on_shutdown_completed(d->t, on_gone, d);
    if (d->close_in_init) cvy_transport_close(d->t, d->verb);
    return d->init_answer;
}

static void on_connected(cvy_transport_t *t, int status, void *arg)
{
    dial_t *d = arg;
    (void)t;
    d->told++;
    d->status = status;
}

static void dial_init(dial_t *d)
{
    memset(d, 0, sizeof *d);
    d->ops = (cvy_transport_ops_t){ .name = "mine",
                                    .read_some = read_nothing,
                                    .write_some = write_nothing,
                                    .on_connect_writable = on_connect_writable,
                                    .close = close_once };
    d->cause = 1;
    d->verb = CVY_CLOSE_RESET;
}

static int open_on(dial_t *d, cvy_loop_t *loop, cvy_socket_t fd)
{
    cvy_transport_t *t;
    cvy_watched_opts_t opts = { .ops = &d->ops,
                                .fd = fd,
                                .user = d,
                                .self_endpoint = "mine://here",
                                .init = init,
                                .arg = d,
                                .on_connected = on_connected };
    int err = cvy_transport_watched(&t, loop, &opts);
    if (!err) {
        ck_assert_str_eq(cvy_transport_kind(t), "mine");
        ck_assert_str_eq(cvy_transport_self_endpoint(t), "mine://here");
        ck_assert_str_eq(cvy_transport_other_endpoint(t), "mine:");
    }
    return err;
}

static cvy_loop_t *loop;
static cvy_socket_t fds[2];

static void set_up(void)
{
    loop = wire_new_loop();
    wire_tcp_fds(fds);
}

static void tear_down(void)
{
    wire_end_loop(loop);
    ck_assert_int_eq(cvy__socket_close(fds[0]), 0); /* what the transport closed is only counted */
    ck_assert_int_eq(cvy__socket_close(fds[1]), 0);
}

/* T14: connecting lasts until on_connect_writable says so; init and on_connected follow in this order. */
START_TEST(connecting_ends_when_the_kind_says_so)
{
    dial_t d;
    dial_init(&d);
    d.not_yet = 3;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    ck_assert_ptr_null(d.t);
    while (!d.told)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.asked, 4);
    ck_assert_int_eq(d.status, 0);
    ck_assert_ptr_nonnull(d.t);
    cvy_transport_close(d.t, CVY_CLOSE_RESET);
    while (d.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.closed, 1);
    ck_assert(d.reset);
    ck_assert_int_eq(d.asked, 4);
}
END_TEST

/* L8: one result, also where connecting fails; no conveyor is built. */
START_TEST(connecting_that_fails_is_told_once)
{
    dial_t d;
    dial_init(&d);
    d.answer = UV_ECONNREFUSED;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    while (!d.closed)
        cvy_loop_turn(loop, 100);
    cvy_loop_turn(loop, 0);
    ck_assert_int_eq(d.told, 1);
    ck_assert_int_eq(d.status, UV_ECONNREFUSED);
    ck_assert_ptr_null(d.t);
    ck_assert_int_eq(d.closed, 1);
}
END_TEST

/* L2: an init that fails after connecting is the result, and closes. */
START_TEST(an_init_that_fails_is_the_result)
{
    dial_t d;
    dial_init(&d);
    d.init_answer = UV_EACCES;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    while (d.cause == 1)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.told, 1);
    ck_assert_int_eq(d.status, UV_EACCES);
    ck_assert_int_eq(d.cause, UV_EACCES);
    ck_assert_int_eq(d.closed, 1);
}
END_TEST

/* adopt.h: on failure the descriptor is the caller's; ops->close is not called. */
START_TEST(a_failed_call_leaves_the_descriptor)
{
    dial_t d;
    dial_init(&d);
    d.ops.on_connect_writable = NULL;
    d.init_answer = UV_EACCES;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), UV_EACCES);
    while (d.cause == 1)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.closed, 0);
    ck_assert_int_eq(d.told, 0);
}
END_TEST

/* E6: closing inside init is legal; the call answers that nothing came of it, and the descriptor is the caller's. */
START_TEST(closing_inside_init_is_a_cancelled_call)
{
    dial_t d;
    dial_init(&d);
    d.ops.on_connect_writable = NULL;
    d.close_in_init = true;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), UV_ECANCELED);
    while (d.cause == 1)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.closed, 0);
}
END_TEST

/* adopt.h: gracefully too, also where init answers what that made of its next stage: nothing is done with the descriptor later. */
START_TEST(closing_gracefully_inside_init_leaves_the_descriptor_at_once)
{
    for (int answer = UV_EPIPE, i = 0; i < 2; answer = 0, i++) {
        dial_t d;
        dial_init(&d);
        d.ops.on_connect_writable = NULL;
        d.close_in_init = true;
        d.verb = CVY_CLOSE_GRACEFUL;
        d.init_answer = answer;
        ck_assert_int_eq(open_on(&d, loop, fds[0]), answer ? answer : UV_ECANCELED);
        while (d.cause == 1)
            cvy_loop_turn(loop, 100);
        ck_assert_int_eq(d.closed, 0);
    }
}
END_TEST

/* The same after connecting: the descriptor is the transport's by then. */
START_TEST(closing_inside_a_late_init_closes_the_descriptor)
{
    dial_t d;
    dial_init(&d);
    d.close_in_init = true;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    while (d.cause == 1)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.closed, 1);
    ck_assert(d.reset);
}
END_TEST

static int close_now(cvy_ctx_t *ctx)
{
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
    return 0;
}

static int init_closer(cvy_conveyor_t *c, void *arg)
{
    static const cvy_stage_t closer = { .name = "closer", .on_active = close_now };
    int err = init(c, arg);
    return err ? err : cvy_conveyor_add_last(c, &closer, NULL, NULL);
}

/* E6, T16: no teardown inside the call: what it answers with 0 is there when it returns. */
START_TEST(closing_in_active_ends_nothing_inside_the_call)
{
    dial_t d;
    cvy_transport_t *t;
    dial_init(&d);
    d.ops.on_connect_writable = NULL;
    cvy_watched_opts_t opts = { .ops = &d.ops, .fd = fds[0], .user = &d, .init = init_closer, .arg = &d };
    ck_assert_int_eq(cvy_transport_watched(&t, loop, &opts), 0);
    ck_assert_ptr_eq(d.t, t);
    ck_assert_int_eq(d.cause, 1);
    while (d.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.closed, 1);
}
END_TEST

/* A kind without shutdown_write: closing is the only way to say so, and graceful close still ends. */
START_TEST(a_kind_without_an_end_of_stream_closes)
{
    dial_t d;
    dial_init(&d);
    d.ops.on_connect_writable = NULL;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    while (!d.told)
        cvy_loop_turn(loop, 100);
    cvy_transport_close(d.t, CVY_CLOSE_GRACEFUL);
    while (d.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.cause, 0);
    ck_assert_int_eq(d.closed, 1);
}
END_TEST

static void end_our_side(cvy_ctx_t *ctx)
{
    cvy_transport_shutdown_write(cvy_ctx_transport(ctx));
}

/* T1: shutdown_write lets stages flush first; where one of them does the same, and the kind is done at once, ours is the second. */
START_TEST(ending_our_side_inside_the_flush_of_that_call_is_the_same_end)
{
    static const cvy_stage_t ends = { .name = "ends", .on_outbound_flush = end_our_side };
    dial_t d;
    dial_init(&d);
    d.ops.on_connect_writable = NULL;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    while (!d.told)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(cvy_conveyor_add_last(cvy_transport_conveyor(d.t), &ends, NULL, NULL), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(d.t), 0);
    ck_assert_int_eq(cvy_transport_write_state(d.t), CVY_WRITE_SHUT);
    cvy_transport_close(d.t, CVY_CLOSE_NOW);
    while (d.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(d.cause, 0);
}
END_TEST

/* The loop ends while it is connecting: closed once, nobody is told of a connection. */
START_TEST(a_loop_that_ends_closes_what_is_connecting)
{
    dial_t d;
    dial_init(&d);
    d.not_yet = 1 << 30;
    ck_assert_int_eq(open_on(&d, loop, fds[0]), 0);
    cvy_loop_turn(loop, 0);
    cvy_loop_stop(loop);
    while (cvy_loop_turn(loop, 100) != UV_ESHUTDOWN)
        ;
    ck_assert_int_eq(d.closed, 1);
    ck_assert_int_eq(d.told ? d.status : UV_ECANCELED, UV_ECANCELED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watched");
    TCase *tc = ADD_TESTS(
        suite, "watched", connecting_ends_when_the_kind_says_so, connecting_that_fails_is_told_once,
        an_init_that_fails_is_the_result, a_failed_call_leaves_the_descriptor, closing_inside_init_is_a_cancelled_call,
        closing_gracefully_inside_init_leaves_the_descriptor_at_once, closing_inside_a_late_init_closes_the_descriptor,
        closing_in_active_ends_nothing_inside_the_call, a_kind_without_an_end_of_stream_closes,
        ending_our_side_inside_the_flush_of_that_call_is_the_same_end, a_loop_that_ends_closes_what_is_connecting);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    return test_run(suite);
}
