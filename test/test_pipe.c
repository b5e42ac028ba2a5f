/* The pipe kind: names, options that do not apply, and Windows' missing half-close. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "support.h"
#include "wire.h"
#include "wire_fds.h"

/* T12: a socketpair has no name; a named pipe has its own. */
START_TEST(unnamed_ends_say_so)
{
    wire_t w;
    wire_init(&w, WIRE_PIPE);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
#ifdef _WIN32
    ck_assert_str_eq(cvy_transport_self_endpoint(w.a.t), "pipe:");
    ck_assert_int_eq(strncmp(cvy_transport_other_endpoint(w.a.t), "pipe:", 5), 0);
#else
    ck_assert_str_eq(cvy_transport_self_endpoint(w.a.t), "unix:");
    ck_assert_str_eq(cvy_transport_other_endpoint(w.a.t), "unix:");
#endif
    ck_assert_ptr_null(cvy_transport_self_address(w.a.t));
    wire_fini(&w);
}
END_TEST

/* T13: TCP's options are passed over, buffer sizes apply where there are any. */
START_TEST(options_of_tcp_are_passed_over)
{
    wire_t w;
    wire_init(&w, WIRE_PIPE);
    w.a.opts =
        (cvy_transport_opts_t){ .keepalive_s = 77, .send_buffer = 20000, .linger_s = 3, .user_timeout_ms = 4567 };
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(wire_text(&w.a, "works"), 0);
    WIRE_UNTIL(&w, w.b.r.bytes == 5);
    wire_fini(&w);
}
END_TEST

/* T9, T17: the peer that closes with bytes unread is a reset where the system says so, else an end; never an ordinary end with 0 lost. */
START_TEST(closing_with_unread_bytes_ends_the_peer)
{
    wire_t w;
    wire_init(&w, WIRE_PIPE);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    ck_assert_int_eq(wire_text(&w.a, "unread"), 0);
    wire_turns(&w, 3);
    cvy_transport_close(w.b.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert(w.a.cause == UV_ECONNRESET || w.a.cause == UV_EPIPE || w.a.cause == 0);
    wire_fini(&w);
}
END_TEST

#ifndef _WIN32
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Two sockets connected by name; abstract where path begins with a zero byte. */
static void connect_by_name(cvy_socket_t fds[2], const char *path, size_t n)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    memcpy(at.sun_path, path, n);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert(!bind(listener, (struct sockaddr *)&at, len));
    ck_assert(!listen(listener, 1));
    fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert(!connect(fds[0], (struct sockaddr *)&at, len));
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

#ifdef __linux__ /* elsewhere such a write may be taken */
static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    (void)t;
    *(int *)arg = cause;
}

/* T10: it takes nothing more and never stops talking. */
START_TEST(a_peer_that_has_stopped_reading_can_not_keep_the_connection_by_talking)
{
    cvy_socket_t fds[2];
    cvy_transport_t *t;
    cvy_buf_t out;
    int cause = 1;
    cvy_loop_t *loop = wire_new_loop();
    wire_pipe_fds(fds);
    wire_fd_nonblocking(fds[1]);
    cvy_transport_opts_t opts = { .write_stall_timeout_ms = 1 };
    ck_assert_int_eq(cvy_transport_adopt(&t, loop, fds[0], &opts, NULL, NULL), 0);
    cvy_transport_on_shutdown_completed(t, on_end, &cause);
    cvy_loop_turn(loop, 0); /* active */
    ck_assert(!shutdown(fds[1], SHUT_RD));
    cvy_buf_init(&out, NULL);
    ck_assert_int_eq(cvy_buf_append(&out, "lost", 4), 0);
    ck_assert_int_eq(cvy_transport_write(t, &out), 0);
    while (cause == 1) {
        wire_fd_write(fds[1], "still here", 10);
        cvy_loop_turn(loop, 0);
    }
    ck_assert_int_eq(cause, UV_EPIPE);
    wire_pipe_fd_close(fds[1]);
    wire_end_loop(loop);
}
END_TEST
#endif

static void check_names(const char *path, size_t n, const char *uri)
{
    cvy_socket_t fds[2];
    cvy_transport_t *client, *server;
    cvy_loop_t *loop = wire_new_loop();
    connect_by_name(fds, path, n);
    ck_assert_int_eq(cvy_transport_adopt(&client, loop, fds[0], NULL, NULL, NULL), 0);
    ck_assert_int_eq(cvy_transport_adopt(&server, loop, fds[1], NULL, NULL, NULL), 0);
    ck_assert_str_eq(cvy_transport_self_endpoint(client), "unix:");
    ck_assert_str_eq(cvy_transport_other_endpoint(client), uri);
    ck_assert_str_eq(cvy_transport_self_endpoint(server), uri);
    ck_assert_str_eq(cvy_transport_other_endpoint(server), "unix:");
    wire_end_loop(loop);
}

/* T12 */
START_TEST(names_are_uris)
{
    char path[64], uri[80];
    snprintf(path, sizeof path, "/tmp/cvy-test-pipe-%d", (int)getpid());
    snprintf(uri, sizeof uri, "unix://%s", path);
    check_names(path, strlen(path), uri);
    unlink(path);
#ifdef __linux__
    snprintf(path, sizeof path, "%ccvy-test-%d", 0, (int)getpid());
    snprintf(uri, sizeof uri, "unix://@%s", path + 1);
    check_names(path, 1 + strlen(path + 1), uri);
#endif
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("pipe");
    ADD_TESTS(suite, "pipe", unnamed_ends_say_so, options_of_tcp_are_passed_over,
              closing_with_unread_bytes_ends_the_peer);
#ifndef _WIN32
    ADD_TESTS(suite, "unix", names_are_uris);
#ifdef __linux__
    ADD_TESTS(suite, "last words", a_peer_that_has_stopped_reading_can_not_keep_the_connection_by_talking);
#endif
#endif
    return test_run(suite);
}
