/*
 * Faults from outside, setting up: the n-th call of a kind fails while a loop, a group, a listener, a dial and the like are made, for
 * every n. Each answers the documented code, leaves neither memory nor a descriptor nor a thread, and succeeds when tried again.
 */
#include <stdio.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system_socket.h"
#include "failing.h"
#include "inject.h"
#include "net.h"
#include "support.h"
#include "wire.h"

/* What is set up. Each makes it, takes it down again, and returns its code. Faults are made between these two. */

static inject_call_t call;
static int nth, fault, hits;

static void arm(void)
{
    inject(call, nth, fault, 1);
}

static int over(int err)
{
    hits = inject_over();
    return err;
}

static void end_loop(cvy_loop_t *loop)
{
    cvy_loop_stop(loop);
    cvy_loop_run(loop);
    cvy_loop_unref(loop);
}

static int a_loop(void)
{
    cvy_loop_t *loop;
    arm();
    int err = over(cvy_loop_new(&loop, NULL));
    if (!err) end_loop(loop);
    return err;
}

static int an_attached_loop(void)
{
    cvy_loop_t *loop;
    uv_loop_t uv;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    arm();
    int err = over(cvy_loop_attach(&loop, &uv, NULL));
    if (!err) ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, NULL, NULL), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    if (!err) cvy_loop_unref(loop);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    return err;
}

static int a_loops_thread(void)
{
    cvy_loop_t *loop;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    arm();
    int err = over(cvy_loop_start(loop));
    if (err) ck_assert_int_eq(cvy_loop_start(loop), 0); /* the same loop can be started then */
    cvy_loop_unref(loop);
    return err;
}

static int a_group(void)
{
    cvy_group_t *group;
    arm();
    int err = over(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = 3 }));
    if (!err) cvy_group_free(group);
    return err;
}

static int a_groups_threads(void)
{
    cvy_group_t *group;
    ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = 3 }), 0);
    arm();
    int err = over(cvy_group_start(group));
    for (int i = 0; err && i < 3; i++) /* none is left running */
        ck_assert_int_eq(cvy_loop_turn(cvy_group_loop(group, i), 0), UV_ESHUTDOWN);
    cvy_group_free(group);
    return err;
}

static int a_watch(void)
{
    cvy_loop_t *loop;
    cvy_watch_t *watch;
    cvy_socket_t fds[2];
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    wire_tcp_fds(fds);
    arm();
    int err = over(cvy_watch_new(&watch, loop, fds[0]));
    if (!err) cvy_watch_free(watch);
    end_loop(loop);
    wire_drop_fd(WIRE_TCP, fds[0]);
    wire_drop_fd(WIRE_TCP, fds[1]);
    return err;
}

static int adopt(wire_kind_t kind)
{
    cvy_loop_t *loop;
    cvy_transport_t *t;
    cvy_socket_t fds[2];
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    (kind == WIRE_TCP ? wire_tcp_fds : wire_pipe_fds)(fds);
    arm();
    int err = over(cvy_transport_adopt(&t, loop, fds[0], NULL, net_echo, NULL));
    end_loop(loop);
    if (err) wire_drop_fd(kind, fds[0]); /* it is still open */
    wire_drop_fd(kind, fds[1]);
    return err;
}

static int an_adopted_socket(void)
{
    return adopt(WIRE_TCP);
}

static int an_adopted_pipe(void)
{
    return adopt(WIRE_PIPE);
}

static int listener_with(const char *address, int stop_on_signals)
{
    net_t n;
    net_init(&n);
    n.opts.stop_on_signals = stop_on_signals;
    arm();
    int err = over(net_try_listen(&n, address));
    ck_assert_str_eq(recorder_text(&n.log), err ? "" : "started\n"); /* a failure is told by nothing else */
    if (err) ck_assert_ptr_nonnull(strstr(cvy_listener_message(n.listener), uv_err_name(err)));
    if (err) ck_assert_int_eq(cvy_listener_start(n.listener), 0); /* it may be called again */
    net_fini(&n);
    return err;
}

static int listener(const char *address)
{
    return listener_with(address, 0);
}

static int a_listener_that_signals_stop(void)
{
    return listener_with("inproc://cvy-faults-stop", 1);
}

static int a_tcp_listener(void)
{
    return listener("tcp://127.0.0.1:0");
}

static int a_unix_listener(void)
{
    return listener(net_ipc("cvy-faults-setup"));
}

static int a_listener_with_a_socket_per_loop(void)
{
    cvy_listener_t *l;
    cvy_group_t *group;
    ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = 3 }), 0);
    cvy_listener_opts_t o = {
        .address = "tcp://127.0.0.1:0", .group = group, .reuse_port = cvy__has_balancing(), .conveyor_init = net_echo
    };
    ck_assert_int_eq(cvy_listener_new(&l, &o), 0);
    arm();
    int err = over(cvy_listener_start(l));
    cvy_listener_free(l);
    cvy_group_free(group);
    return err;
}

static void shut_down(cvy_listener_t *l, const char *address, void *arg)
{
    (void)address;
    (void)arg;
    cvy_listener_shutdown(l, CVY_KEEP);
}

static int listen_and_wait(void)
{
    cvy_listener_t *l;
    cvy_listener_opts_t o = {
        .address = "tcp://127.0.0.1:0", .loops = 3, .conveyor_init = net_echo, .on_started = shut_down
    };
    ck_assert_int_eq(cvy_listener_new(&l, &o), 0);
    arm();
    int err = over(cvy_listener_listen_and_wait(l));
    cvy_listener_free(l);
    return err;
}

static int dial(const char *address)
{
    net_t n;
    net_init(&n);
    net_listen(&n, address);
    arm();
    int err = net_dial(&n, NULL);
    if (!err) NET_UNTIL(&n, n.failed || n.connected);
    if (n.failed) err = n.result;
    over(err);
    net_settle(&n);
    ck_assert_int_eq(n.failed + n.connected, 1); /* one result */
    net_fini(&n);
    return err;
}

static int a_tcp_dial(void)
{
    return dial("tcp://127.0.0.1:0");
}

static int a_unix_dial(void)
{
    return dial(net_ipc("cvy-faults-dial"));
}

#define MADE(what)  \
    {               \
#what, what \
    }
static const struct made {
    const char *name;
    int (*make)(void);
} things[] = { MADE(a_loop),
               MADE(an_attached_loop),
               MADE(a_loops_thread),
               MADE(a_group),
               MADE(a_groups_threads),
               MADE(a_watch),
               MADE(an_adopted_socket),
               MADE(an_adopted_pipe),
               MADE(a_tcp_listener),
               MADE(a_listener_that_signals_stop),
               MADE(a_unix_listener),
               MADE(a_listener_with_a_socket_per_loop),
               MADE(listen_and_wait),
               MADE(a_tcp_dial),
               MADE(a_unix_dial) };
enum { THINGS = sizeof things / sizeof *things };

/* Where code is not 0 the answer is that. PASSES: 1, it succeeds all the same. once: only the first call, see inject.h.
 * leaks: descriptors; where it fails late, libuv 1.44's uv_loop_init leaves the epoll descriptor that it has made. */
typedef struct row {
    inject_call_t call;
    int err;
    int code;
    int (*only)(void); /* NULL: whatever makes such a call */
    bool once;
    int leaks;
} row_t;
enum { PASSES = 1 };

static const row_t rows[] = {
    { INJECT_EPOLL_CREATE, EMFILE, 0, NULL, false, 0 },
    { INJECT_EPOLL_CREATE, ENOMEM, 0, NULL, false, 0 },
    { INJECT_EVENTFD, EMFILE, 0, NULL, false, 1 },
    { INJECT_EVENTFD, ENFILE, 0, NULL, false, 1 },
    { INJECT_PIPE, EMFILE, 0, NULL, false, 1 },
    { INJECT_THREAD, EAGAIN, UV_EAGAIN, NULL, false, 0 },
    { INJECT_THREAD, ENOMEM, UV_EAGAIN, NULL, false, 0 },
    { INJECT_THREAD, EPERM, UV_EAGAIN, NULL, false, 0 },
    { INJECT_EPOLL_CTL, ENOMEM, 0, a_watch, true, 0 },
    { INJECT_EPOLL_CTL, ENOSPC, 0, a_watch, true, 0 },
    { INJECT_EPOLL_CTL, ENOMEM, 0, a_tcp_listener, true, 0 },
    { INJECT_SOCKET, EMFILE, 0, NULL, false, 0 },
    { INJECT_SOCKET, ENFILE, 0, NULL, false, 0 },
    { INJECT_SOCKET, ENOBUFS, 0, NULL, false, 0 },
    { INJECT_SOCKET, EACCES, 0, NULL, false, 0 },
    { INJECT_BIND, EADDRINUSE, 0, NULL, false, 0 },
    { INJECT_BIND, EADDRNOTAVAIL, 0, NULL, false, 0 },
    { INJECT_BIND, EACCES, 0, NULL, false, 0 },
    { INJECT_LISTEN, EADDRINUSE, 0, NULL, false, 0 },
    { INJECT_LISTEN, ENOBUFS, 0, NULL, false, 0 },
    { INJECT_SETSOCKOPT, ENOBUFS, 0, a_tcp_listener, false, 0 },
    { INJECT_IOCTL, ENOMEM, 0, NULL, false, 0 },
    { INJECT_CONNECT, ECONNREFUSED, 0, a_tcp_dial, false, 0 },
    { INJECT_CONNECT, ECONNREFUSED, 0, a_unix_dial, false, 0 },
    { INJECT_CONNECT, ETIMEDOUT, 0, NULL, false, 0 },
    { INJECT_CONNECT, ENETUNREACH, 0, a_tcp_dial, false, 0 },
    { INJECT_CONNECT, EHOSTUNREACH, 0, a_tcp_dial, false, 0 },
    { INJECT_CONNECT, EADDRNOTAVAIL, 0, a_tcp_dial, false, 0 },
    { INJECT_CONNECT, EACCES, 0, NULL, false, 0 },
    { INJECT_CONNECT, EPERM, 0, NULL, false, 0 },
    { INJECT_CONNECT, EINTR, PASSES, NULL, false, 0 },
    { INJECT_CONNECT, EAGAIN, PASSES, a_unix_dial, false, 0 }, /* a full backlog: asked again */
};

static bool one_fault(const row_t *row, const struct made *thing)
{
    size_t memory = cvy__memory_live();
    int before = failing_descriptors();
    int err = thing->make();
    int wanted = row->code == PASSES ? 0 : row->code ? row->code : uv_translate_sys_error(row->err);
    ck_assert_msg(err == (hits ? wanted : 0), "%s, call %d of %s fails with %s: answered %d, wanted %d", thing->name,
                  nth, inject_name(row->call), uv_err_name(uv_translate_sys_error(row->err)), err, wanted);
    ck_assert_uint_eq(cvy__memory_live(), memory);
    ck_assert_int_le(failing_descriptors(), before + (hits ? row->leaks : 0));
    return hits > 0;
}

/* L4, L8, M3 */
START_TEST(an_error_of_the_nth_call_of_setting_up_is_its_answer)
{
    const row_t *row = &rows[_i];
    int all = 0;
    for (int i = 0; i < THINGS; i++) {
        if (row->only && row->only != things[i].make) continue;
        call = row->call;
        fault = row->err;
        for (nth = 1; nth <= (row->once ? 1 : 20) && one_fault(row, &things[i]); nth++)
            all++;
        call = INJECT_NOTHING;
        ck_assert_int_eq(things[i].make(), 0);
    }
    ck_assert_int_gt(all, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults, setting up");
    TCase *tc = test_case("setting up");
    tcase_add_checked_fixture(tc, inject_warm_up, NULL);
    tcase_add_loop_test(tc, an_error_of_the_nth_call_of_setting_up_is_its_answer, 0, sizeof rows / sizeof *rows);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
