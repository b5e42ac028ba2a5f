/*
 * Listening on descriptors that someone else has opened: fd://N (L12), and systemd://name in a process that was started as a service
 * manager starts it. This program is that process too: --serve ADDRESS.
 */
#include <conveyor/conveyor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/system.h"
#include "base/system_socket.h"
#include "endpoint/listener.h"
#include "net.h"
#include "support.h"

/* An open descriptor that listens, as an address; real gets what it is bound to. */
static const char *open_tcp(cvy_socket_t *fd, char real[256])
{
    static char text[64];
    struct sockaddr_storage at;
    uv_loop_t sockets; /* starts them, on Windows */
    ck_assert_int_eq(uv_loop_init(&sockets), 0);
    uv_loop_close(&sockets);
    ck_assert_int_eq(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&at), 0);
    ck_assert_int_eq(cvy__tcp_listen(fd, (struct sockaddr *)&at, &(cvy__listen_opts_t){ 0 }), 0);
    ck_assert_int_eq(cvy__socket_name(*fd, &at), 0);
    cvy__address_format(real, 256, (struct sockaddr *)&at);
    snprintf(text, sizeof text, "fd://%llu", (unsigned long long)*fd);
    return text;
}

static bool is_open(cvy_socket_t fd)
{
    struct sockaddr_storage at;
    return !cvy__socket_name(fd, &at);
}

static void serve_some(net_t *n, int count)
{
    int all = n->connected + count;
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected == all && n->accepted >= all);
    for (int i = all - count; i < all; i++)
        net_write(n, i, "x");
    NET_UNTIL(n, n->echoed == (size_t)all);
}

/* L12, T12 */
START_TEST(a_descriptor_that_listens_is_served_under_its_real_address_and_closed_at_the_end)
{
    net_t n;
    cvy_socket_t fd;
    char real[256];
    const char *uri = open_tcp(&fd, real);
    net_init(&n);
    net_listen(&n, uri);
    ck_assert_str_eq(n.address, real);
    ck_assert_str_eq(cvy_listener_address(n.listener, 0), real);
    serve_some(&n, 3);
    ck_assert_str_eq(cvy_transport_other_endpoint(n.clients[0]), real);
    net_end_listener(&n);
    ck_assert(!is_open(fd));
    ck_assert_int_eq(net_dial(&n, real), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    net_fini(&n);
}
END_TEST

/* L5, L12 */
START_TEST(several_loops_share_what_one_descriptor_accepts)
{
    net_t n;
    cvy_socket_t fd;
    char real[256];
    const char *uri = open_tcp(&fd, real);
    net_init_serve(&n, NET_GROUP);
    n.quiet = true;
    net_listen(&n, uri);
    serve_some(&n, 30);
    for (size_t i = 0; i < n.listener->n_lanes; i++)
        ck_assert_uint_eq(atomic_load(&n.listener->lanes[i].connections), 10);
    net_end_listener(&n);
    ck_assert(!is_open(fd));
    net_close_clients(&n);
    NET_UNTIL(&n, !n.open);
    net_fini(&n);
}
END_TEST

/* L1, L12 */
START_TEST(it_can_be_paused_and_resumed)
{
    net_t n;
    cvy_socket_t fd;
    char real[256];
    const char *uri = open_tcp(&fd, real);
    net_init(&n);
    net_listen(&n, uri);
    ck_assert_int_eq(net_pause(&n), 0);
    net_settle(&n);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected);
    net_settle(&n);
    ck_assert_int_eq(n.accepted, 0);
    ck_assert_int_eq(net_resume(&n), 0);
    NET_UNTIL(&n, n.accepted);
    net_fini(&n);
}
END_TEST

/* L4, L12: nothing was called back, and whoever opened it still has it: also to try again. */
START_TEST(a_start_that_fails_leaves_it_open)
{
    net_t n, taken;
    cvy_socket_t fd;
    char real[256];
    net_init(&taken);
    net_listen(&taken, "inproc://cvy-adopted");
    const char *more[] = { "inproc://cvy-adopted", NULL };
    const char *uri = open_tcp(&fd, real);
    net_init(&n);
    n.opts.addresses = more;
    ck_assert_int_eq(net_try_listen(&n, uri), UV_EADDRINUSE);
    ck_assert(is_open(fd));
    ck_assert_str_eq(recorder_text(&n.log), "");
    net_end_listener(&taken);
    ck_assert_int_eq(cvy_listener_start(n.listener), 0);
    serve_some(&n, 1);
    net_end_listener(&n);
    ck_assert(!is_open(fd));
    net_fini(&n);
    net_fini(&taken);
}
END_TEST

/* Starting on uri fails with err and the line behind the address. */
static void refused(net_t *n, const char *uri, int err, const char *line)
{
    char whole[400];
    snprintf(whole, sizeof whole, "%s: %s", uri, line);
    cvy_listener_free(n->listener);
    n->listener = NULL;
    ck_assert_int_eq(net_try_listen(n, uri), err);
    ck_assert_str_eq(cvy_listener_message(n->listener), whole);
    ck_assert_str_eq(recorder_text(&n->log), "");
}

static void refused_fd(net_t *n, cvy_socket_t fd, int err, const char *rule)
{
    char uri[64], line[300];
    snprintf(uri, sizeof uri, "fd://%llu", (unsigned long long)fd);
    snprintf(line, sizeof line, "descriptor %llu %s", (unsigned long long)fd, rule);
    refused(n, uri, err, line);
}

/* L4, L12 */
START_TEST(options_that_would_make_another_socket_of_it_are_refused)
{
    net_t n;
    cvy_socket_t fd;
    char real[256], uri[64];
    snprintf(uri, sizeof uri, "%s", open_tcp(&fd, real));
    const char *again[] = { uri, NULL };
    net_init(&n);
    n.opts.reuse_port = 1;
    refused_fd(&n, fd, UV_EINVAL, "is one socket, and reuse_port wants one per loop (EINVAL)");
    n.opts.reuse_port = 0;
    n.opts.mode = 0600;
    refused_fd(&n, fd, UV_ENOTSUP, "is already bound: mode and owner are for who made its file (ENOTSUP)");
    n.opts.mode = 0;
    n.opts.owner = "0";
    refused_fd(&n, fd, UV_ENOTSUP, "is already bound: mode and owner are for who made its file (ENOTSUP)");
    n.opts.owner = NULL;
    n.opts.addresses = again;
    refused_fd(&n, fd, UV_EINVAL, "is listed twice (EINVAL)");
    ck_assert(is_open(fd));
    cvy__socket_close(fd);
    net_fini(&n);
}
END_TEST

/* L8, L12 */
START_TEST(it_is_nothing_to_dial)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_dial(&n, "fd://3"), UV_EINVAL);
    cvy_dialer_t *d;
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = "fd://3", .loop = n.loop }), 0);
    ck_assert_int_eq(cvy_dialer_dial(d), UV_EINVAL);
    ck_assert_str_eq(cvy_dialer_message(d),
                     "fd://3: is for listeners; cvy_transport_adopt takes a connected descriptor (EINVAL)");
    cvy_dialer_free(d);
    net_fini(&n);
}
END_TEST

#ifdef _WIN32
#include <winsock2.h>

/* L4, L12 */
START_TEST(what_does_not_listen_is_refused_with_the_reason)
{
    net_t n;
    net_init(&n);
    SOCKET udp = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    refused_fd(&n, udp, UV_EINVAL, "is a datagram socket, and not a stream's (EINVAL)");
    refused_fd(&n, tcp, UV_EINVAL, "is a socket that does not listen (EINVAL)");
    refused_fd(&n, 999999, UV_ENOTSOCK, "is not a socket (ENOTSOCK)");
    closesocket(udp);
    closesocket(tcp);
    net_fini(&n);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "windows", what_does_not_listen_is_refused_with_the_reason);
}

static int serve(const char *uri)
{
    return !uri;
}
#else
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[600];

/* L4, L12 */
START_TEST(what_does_not_listen_is_refused_with_the_reason)
{
    net_t n;
    int pair[2], file = open("/dev/null", O_RDONLY), udp = socket(AF_INET, SOCK_DGRAM, 0),
                 tcp = socket(AF_INET, SOCK_STREAM, 0), packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    net_init(&n);
    refused_fd(&n, udp, UV_EINVAL, "is a datagram socket, and not a stream's (EINVAL)");
    refused_fd(&n, tcp, UV_EINVAL, "is a socket that does not listen (EINVAL)");
    refused_fd(&n, pair[0], UV_EINVAL, "is a socket that does not listen (EINVAL)");
    refused_fd(&n, file, UV_ENOTSOCK, "is not a socket (ENOTSOCK)");
    refused_fd(&n, 999999, UV_EBADF, "is not open (EBADF)");
    if (packets >= 0) refused_fd(&n, packets, UV_EINVAL, "is not a stream socket (EINVAL)");
    ck_assert(!close(file) && !close(udp) && !close(tcp) && !close(pair[0]) && !close(pair[1]));
    close(packets);
    net_fini(&n);
}
END_TEST

static int listening_unix(const char *name, bool abstract)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(at.sun_path + abstract, name, strlen(name));
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, n), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    return fd;
}

/* L7, L9, L12: its maker's file stays; nobody who is started inherits it, and accepting can't block. */
START_TEST(a_unix_socket_keeps_its_file_and_gets_its_flags)
{
    for (int abstract = 0; abstract <= (cvy__has_abstract() ? 1 : 0); abstract++) {
        net_t n;
        char path[100], uri[64], real[160];
        snprintf(path, sizeof path, "/tmp/cvy-adopted-%d", (int)getpid());
        int fd = listening_unix(path, abstract);
        snprintf(uri, sizeof uri, "fd://%d", fd);
        snprintf(real, sizeof real, "unix://%s%s", abstract ? "@" : "", path);
        ck_assert(!(fcntl(fd, F_GETFL) & O_NONBLOCK) && !fcntl(fd, F_GETFD));
        net_init(&n);
        net_listen(&n, uri);
        ck_assert_str_eq(n.address, real);
        ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        serve_some(&n, 2);
        net_end_listener(&n);
        ck_assert(!is_open(fd));
        ck_assert_int_eq(access(path, F_OK), abstract ? -1 : 0);
        unlink(path);
        net_fini(&n);
    }
}
END_TEST

/* systemd:// */

static void manage(const char *pid, const char *fds, const char *names)
{
    cvy_service_forget();
    if (pid) uv_os_setenv("LISTEN_PID", pid);
    if (fds) uv_os_setenv("LISTEN_FDS", fds);
    if (names) uv_os_setenv("LISTEN_FDNAMES", names);
}

/* L4, L12 */
START_TEST(what_was_not_passed_is_said)
{
    net_t n;
    char me[32];
    snprintf(me, sizeof me, "%d", (int)getpid());
    net_init(&n);
    manage(NULL, NULL, NULL);
    refused(&n, "systemd://", UV_ENOENT, "no sockets were passed: LISTEN_FDS is not set (ENOENT)");
    refused(&n, "systemd://web", UV_ENOENT, "no sockets were passed: LISTEN_FDS is not set (ENOENT)");
    manage("1", "1", NULL);
    refused(&n, "systemd://", UV_ENOENT, "LISTEN_PID=1 is not this process (ENOENT)");
    manage(me, "abc", NULL);
    refused(&n, "systemd://", UV_EINVAL, "LISTEN_FDS=abc must be 0 to 2147483644 (EINVAL)");
    manage(me, "0", NULL);
    refused(&n, "systemd://", UV_ENOENT, "LISTEN_FDS=0 passes none (ENOENT)");
    net_fini(&n);
}
END_TEST

/* A child with these sockets from 3 on, started with the variables that a manager sets. Its standard output; *pid. */
static FILE *start_child(pid_t *pid, const int *sockets, int count, const char *names, const char *uri)
{
    int out[2];
    ck_assert_int_eq(pipe(out), 0);
    *pid = fork();
    if (!*pid) {
        char text[32];
        int high[8];
        dup2(out[1], STDOUT_FILENO);
        for (int i = 0; i < count; i++)
            high[i] = fcntl(sockets[i], F_DUPFD, 50); /* out of the way first */
        for (int i = 0; i < count; i++)
            dup2(high[i], 3 + i);
        snprintf(text, sizeof text, "%d", (int)getpid());
        setenv("LISTEN_PID", text, 1);
        snprintf(text, sizeof text, "%d", count);
        setenv("LISTEN_FDS", text, 1);
        unsetenv("LISTEN_FDNAMES");
        if (names) setenv("LISTEN_FDNAMES", names, 1);
        execl(self, self, "--serve", uri, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    return fdopen(out[0], "r");
}

static void said(FILE *child, const char *line)
{
    char text[400] = "";
    ck_assert_ptr_nonnull(fgets(text, sizeof text, child));
    text[strcspn(text, "\n")] = '\0';
    ck_assert_str_eq(text, line);
}

static void ended(pid_t pid, int wanted)
{
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, wanted);
}

static void echoed_by(const char *real)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_dial(&n, real), 0);
    NET_UNTIL(&n, n.connected);
    net_write(&n, 0, "hello");
    NET_UNTIL(&n, n.echoed == 5);
    net_fini(&n);
}

typedef struct passed {
    int fds[2];
    char path[100], line[2][300], uri[2][256];
} passed_t;

/* A TCP socket and a Unix one. */
static void open_both(passed_t *p)
{
    cvy_socket_t fd;
    open_tcp(&fd, p->uri[0]);
    snprintf(p->path, sizeof p->path, "/tmp/cvy-passed-%d", (int)getpid());
    snprintf(p->uri[1], sizeof p->uri[1], "unix://%s", p->path);
    p->fds[0] = fd;
    p->fds[1] = listening_unix(p->path, false);
    for (int i = 0; i < 2; i++)
        snprintf(p->line[i], sizeof p->line[i], "started %s", p->uri[i]);
}

/* The manager still has its own. */
static void close_both(passed_t *p)
{
    for (int i = 0; i < 2; i++) {
        ck_assert(is_open(p->fds[i]));
        close(p->fds[i]);
    }
    ck_assert_int_eq(access(p->path, F_OK), 0);
    unlink(p->path);
}

/* L10, L11, L12: as systemd starts and stops it. */
START_TEST(a_process_serves_all_sockets_that_it_was_started_with)
{
    passed_t p = { .path = "" };
    pid_t pid;
    open_both(&p);
    FILE *child = start_child(&pid, p.fds, 2, NULL, "systemd://");
    said(child, "2 passed");
    said(child, p.line[0]);
    said(child, p.line[1]);
    for (int i = 0; i < 2; i++)
        echoed_by(p.uri[i]);
    kill(pid, SIGTERM);
    said(child, "0");
    ended(pid, 0);
    fclose(child);
    close_both(&p);
}
END_TEST

/* L12 */
START_TEST(a_name_picks_some_of_them)
{
    passed_t p = { .path = "" };
    pid_t pid;
    open_both(&p);
    int three[] = { p.fds[0], p.fds[1], p.fds[1] };
    FILE *child = start_child(&pid, three, 3, "web:ctl:other", "systemd://ctl");
    said(child, "3 passed");
    said(child, p.line[1]);
    echoed_by(p.uri[1]);
    kill(pid, SIGINT);
    said(child, "0");
    ended(pid, 0);
    fclose(child);
    child = start_child(&pid, three, 3, "web:ctl:web", "systemd://we");
    said(child, "3 passed");
    said(child, "systemd://we: LISTEN_FDNAMES=web:ctl:web has no such name (ENOENT)");
    ended(pid, 1 << 8);
    fclose(child);
    child = start_child(&pid, three, 3, NULL, "systemd://web");
    said(child, "3 passed");
    said(child, "systemd://web: LISTEN_FDNAMES is not set: no socket has a name (ENOENT)");
    ended(pid, 1 << 8);
    fclose(child);
    close_both(&p);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "posix", what_does_not_listen_is_refused_with_the_reason,
              a_unix_socket_keeps_its_file_and_gets_its_flags);
    ADD_TESTS(suite, "systemd", what_was_not_passed_is_said, a_process_serves_all_sockets_that_it_was_started_with,
              a_name_picks_some_of_them);
}

/* The process that is started. */

static void tell_started(cvy_listener_t *l, const char *address, void *arg)
{
    (void)l, (void)arg;
    printf("started %s\n", address);
}

static int answer(cvy_conveyor_t *c, void *arg)
{
    return net_echo(c, arg);
}

static int serve(const char *uri)
{
    cvy_listener_t *l;
    cvy_listener_opts_t o = {
        .address = uri, .conveyor_init = answer, .on_started = tell_started, .stop_on_signals = 1
    };
    int err = cvy_listener_new(&l, &o);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d passed\n", cvy_service_sockets(NULL, 0));
    if (!err) err = cvy_listener_listen_and_wait(l);
    puts(err ? cvy_listener_message(l) : "0");
    cvy_listener_free(l);
    return err ? 1 : 0;
}
#endif

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--serve")) return serve(argv[2]);
    Suite *suite = suite_create("adopted");
#ifndef _WIN32
    size_t n = sizeof self;
    if (uv_exepath(self, &n)) return 1;
#endif
    ADD_TESTS(suite, "any system", a_descriptor_that_listens_is_served_under_its_real_address_and_closed_at_the_end,
              several_loops_share_what_one_descriptor_accepts, it_can_be_paused_and_resumed,
              a_start_that_fails_leaves_it_open, options_that_would_make_another_socket_of_it_are_refused,
              it_is_nothing_to_dial);
    add_more(suite);
    return test_run(suite);
}
