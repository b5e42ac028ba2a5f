/* Adopting descriptors: what can become a transport, who owns the descriptor then, and the ends of plain pipes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "support.h"
#include "wire.h"

static int refuse(cvy_conveyor_t *c, void *arg)
{
    (void)c;
    (void)arg;
    return UV_EACCES;
}

/* T16: adopt.h, Owns: on failure fd is open, and the caller's. */
START_TEST(an_init_that_refuses_leaves_the_descriptor)
{
    cvy_socket_t fds[2];
    cvy_transport_t *t = NULL;
    cvy_loop_t *loop = wire_new_loop();
    wire_tcp_fds(fds);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, refuse, NULL), UV_EACCES);
    ck_assert_ptr_null(t);
    cvy_loop_turn(loop, 0);
    ck_assert_int_eq(cvy__socket_error(fds[0]), 0);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, NULL, NULL), 0);
    ck_assert_str_eq(cvy_transport_kind(t), "tcp");
    wire_end_loop(loop);
    cvy__socket_close(fds[1]);
}
END_TEST

/* T16: Errors: UV_ESHUTDOWN; the descriptor stays the caller's. */
START_TEST(a_loop_that_ends_adopts_nothing)
{
    cvy_socket_t fds[2];
    cvy_transport_t *t;
    cvy_loop_t *loop = wire_new_loop();
    wire_tcp_fds(fds);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, NULL, NULL), UV_ESHUTDOWN);
    wire_end_loop(loop);
    ck_assert_int_eq(cvy__socket_close(fds[0]), 0);
    ck_assert_int_eq(cvy__socket_close(fds[1]), 0);
}
END_TEST

/* T16, R2: also when nothing of ours is on it any more. */
START_TEST(a_loop_that_was_detached_adopts_nothing)
{
    uv_loop_t uv;
    cvy_socket_t fds[2];
    cvy_transport_t *t;
    cvy_loop_t *loop;
    wire_tcp_fds(fds);
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, NULL, NULL), 0);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, NULL, NULL), UV_ESHUTDOWN);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], NULL, NULL, NULL), UV_ESHUTDOWN);
    cvy_loop_unref(loop);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    ck_assert_int_eq(cvy__socket_close(fds[0]), 0);
    ck_assert_int_eq(cvy__socket_close(fds[1]), 0);
}
END_TEST

/* Errors: UV_EINVAL for options that contradict each other. */
START_TEST(bad_options_are_refused)
{
    static const cvy_transport_opts_t bad = { .high_bytes = 10, .low_bytes = 20 };
    cvy_socket_t fds[2];
    cvy_transport_t *t;
    cvy_loop_t *loop = wire_new_loop();
    wire_tcp_fds(fds);
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], &bad, NULL, NULL), UV_EINVAL);
    cvy_loop_turn(loop, 0);
    wire_end_loop(loop);
    ck_assert_int_eq(cvy__socket_close(fds[0]), 0);
    ck_assert_int_eq(cvy__socket_close(fds[1]), 0);
}
END_TEST

#ifndef _WIN32
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int adopt(cvy_loop_t *loop, int fd)
{
    cvy_transport_t *t;
    return cvy_transport_adopt(&t, loop, fd, NULL, NULL, NULL);
}

/* T16: Errors: what can't be a transport; nothing was taken. */
START_TEST(what_is_no_stream_is_refused)
{
    cvy_loop_t *loop = wire_new_loop();
    int file = open("/dev/null", O_RDWR), listener = socket(AF_INET, SOCK_STREAM, 0),
        udp = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(adopt(loop, 9999), UV_EBADF);
    ck_assert_int_eq(adopt(loop, file), UV_EINVAL);
    ck_assert_int_eq(adopt(loop, listener), UV_EINVAL);
    ck_assert_int_eq(adopt(loop, udp), UV_EINVAL);
    ck_assert(!close(file) && !close(listener) && !close(udp));
    wire_end_loop(loop);
}
END_TEST

typedef struct one_end {
    recorder_t r;
    recorder_log_t log;
    cvy_transport_t *t;
    int cause;
} one_end_t;

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    one_end_t *end = arg;
    (void)t;
    end->cause = cause;
    end->t = NULL;
}

static int init_end(cvy_conveyor_t *c, void *arg)
{
    one_end_t *end = arg;
    end->t = cvy_conveyor_transport(c);
    cvy_transport_on_shutdown_completed(end->t, on_gone, end);
    return recorder_init_conveyor(c, &end->r);
}

static void end_open(one_end_t *end, cvy_loop_t *loop, const char *name, int fd)
{
    static const cvy_transport_opts_t patient = { .linger_timeout_ms = CVY_OFF }; /* nobody can be seen to linger */
    cvy_transport_t *t;
    memset(end, 0, sizeof *end);
    recorder_log_init(&end->log);
    end->r = (recorder_t){ .name = name, .log = &end->log, .flags = RECORD_NO_TURNS };
    end->cause = 1;
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fd, &patient, init_end, end), 0);
}

/* T16: The ends of a plain pipe: one only writes, the other only reads; closing the writer is the reader's end. */
START_TEST(plain_pipes_go_one_way)
{
    int fds[2];
    one_end_t in, out;
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert(!pipe(fds));
    cvy_loop_t *loop = wire_new_loop();
    end_open(&in, loop, "in", fds[0]);
    end_open(&out, loop, "out", fds[1]);
    cvy_loop_turn(loop, 0);
    ck_assert_int_eq(cvy_buf_append(&b, "through", 7), 0);
    ck_assert_int_eq(cvy_transport_write(out.t, &b), 0);
    cvy_transport_close(out.t, CVY_CLOSE_GRACEFUL);
    while (in.t || out.t) /* nobody lingers for an answer that can't come */
        cvy_loop_turn(loop, 100);
    ck_assert_str_eq(recorder_text(&out.log), "out: added\nout: active\nout: inactive\nout: removed\n");
    ck_assert_str_eq(recorder_text(&in.log), "in: added\nin: active\nin: bytes 7 through\nin: read-closed\nin: "
                                             "out-close graceful 0\nin: inactive\nin: removed\n");
    ck_assert_int_eq(in.cause, 0);
    ck_assert_int_eq(out.cause, 0);
    recorder_log_fini(&in.log);
    recorder_log_fini(&out.log);
    wire_end_loop(loop);
}
END_TEST

/* R6: writing into a pipe whose reader is gone. */
START_TEST(a_pipe_without_reader_is_epipe)
{
    int fds[2];
    one_end_t out;
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert(!pipe(fds));
    cvy_loop_t *loop = wire_new_loop();
    end_open(&out, loop, "out", fds[1]);
    cvy_loop_turn(loop, 0);
    close(fds[0]);
    ck_assert_int_eq(cvy_buf_append(&b, "lost", 4), 0);
    ck_assert_int_eq(cvy_transport_write(out.t, &b), 0);
    while (out.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_eq(out.cause, UV_EPIPE);
    recorder_log_fini(&out.log);
    wire_end_loop(loop);
}
END_TEST

/* T16: Of stdin, stdout and stderr only the duplicate is closed; of anything else there is nothing left open. */
START_TEST(standard_descriptors_stay_open)
{
    int fds[2];
    one_end_t in;
    ck_assert(!pipe(fds));
    int saved = dup(0);
    ck_assert_int_eq(dup2(fds[0], 0), 0);
    cvy_loop_t *loop = wire_new_loop();
    end_open(&in, loop, "in", 0);
    close(fds[0]);
    cvy_transport_close(in.t, CVY_CLOSE_NOW);
    while (in.t)
        cvy_loop_turn(loop, 100);
    ck_assert_int_ge(fcntl(0, F_GETFD), 0);
    dup2(saved, 0);
    close(saved);
    close(fds[1]);
    recorder_log_fini(&in.log);
    wire_end_loop(loop);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("adopt");
    ADD_TESTS(suite, "adopt", an_init_that_refuses_leaves_the_descriptor, a_loop_that_ends_adopts_nothing,
              a_loop_that_was_detached_adopts_nothing, bad_options_are_refused);
#ifndef _WIN32
    ADD_TESTS(suite, "posix", what_is_no_stream_is_refused, plain_pipes_go_one_way, a_pipe_without_reader_is_epipe,
              standard_descriptors_stay_open);
#endif
    return test_run(suite);
}
