/*
 * M3, setting up listeners: whichever allocation of new and start fails, the answer is UV_ENOMEM, nothing was called back, and with memory
 * the same listener starts.
 */
#include <stdio.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/system_socket.h"

#include "failing.h"
#include "net.h"
#include "support.h"

#ifndef _WIN32
#include <unistd.h>
#endif

static const char *const some_addresses[] = { "tcp://127.0.0.1:0", "inproc://cvy-failing-2", NULL };

typedef struct listener_row {
    const char *name, *address;
    const char *const *addresses;
    int loops; /* of a group; 0: the net's loop */
    int reuse_port;
    int stop_on_signals;
    const char *owner;
} listener_row_t;

static const listener_row_t listeners[] = {
    { "tcp", "tcp://127.0.0.1:0", NULL, 0, 0, 0, NULL },
    { "a host's name", "tcp://localhost:0", NULL, 0, 0, 0, NULL },
    { "a socket's file or a named pipe", "ipc:", NULL, 0, 0, 0, NULL },
    { "inproc", "inproc://cvy-failing", NULL, 0, 0, 0, NULL },
    { "several addresses", NULL, some_addresses, 0, 0, 0, NULL },
    { "three loops", "tcp://127.0.0.1:0", NULL, 3, 0, 0, NULL },
    { "a descriptor that is open", "fd:", NULL, 0, 0, 0, NULL },
    { "signals that stop it", "tcp://127.0.0.1:0", NULL, 0, 0, 1, NULL },
#ifdef __linux__
    { "an owner by name", "ipc:", NULL, 0, 0, 0, "root:root" },
#endif
    { "a socket per loop", "tcp://127.0.0.1:0", NULL, 3, 1, 0,
      NULL }, /* last: not every system shares clients out among them */
};
enum { LISTENERS = sizeof listeners / sizeof *listeners };

static char opened[64];

static const char *address_of(const listener_row_t *row)
{
    if (row->address && !strcmp(row->address, "ipc:")) return net_ipc("cvy-failing");
    return row->address && !strcmp(row->address, "fd:") ? opened : row->address;
}

/* For "fd:": before anything fails. */
static void open_descriptor(void)
{
    struct sockaddr_storage at;
    cvy_socket_t fd;
    ck_assert_int_eq(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&at), 0);
    ck_assert_int_eq(cvy__tcp_listen(&fd, (struct sockaddr *)&at, &(cvy__listen_opts_t){ 0 }), 0);
    snprintf(opened, sizeof opened, "fd://%llu", (unsigned long long)fd);
}

static int start(net_t *n, const listener_row_t *row)
{
    n->opts.addresses = row->addresses;
    n->opts.reuse_port = row->reuse_port;
    n->opts.retry_ms = 1;
    n->opts.stop_on_signals = row->stop_on_signals;
    n->opts.owner = row->owner;
    int err = net_try_listen(n, address_of(row));
    net_settle(n);
    return err;
}

static void served(net_t *n)
{
    int before = n->accepted;
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->accepted > before && n->clients[n->dialed - 1]);
    net_write(n, n->dialed - 1, "ok");
    NET_UNTIL(n, n->echoed == 2);
}

static void start_failing(const listener_row_t *row)
{
    FAILING_EACH(f)
    {
        net_t n;
        net_init(&n);
        n.quiet = true;
        if (address_of(row) == opened) open_descriptor();
        failing_arm(&f);
        int err = start(&n, row);
        failing_setup(&f, err);
        ck_assert_int_eq(n.accepted + n.errors + n.failures + n.shutdowns, 0); /* nothing was called back */
        if (err && n.listener) ck_assert_int_eq(cvy_listener_start(n.listener), 0);
        if (err && !n.listener) ck_assert_int_eq(start(&n, row), 0);
        served(&n);
        net_fini(&n);
    }
}

/* With a group: its first loop is run here, the others on threads. */
static void start_failing_on_group(const listener_row_t *row)
{
    FAILING_EACH(f)
    {
        cvy_group_t *group;
        cvy_listener_t *l = NULL;
        cvy_listener_opts_t o = { .address = row->address, .reuse_port = row->reuse_port, .conveyor_init = net_echo };
        ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = row->loops }), 0);
        o.group = group;
        failing_arm(&f);
        int err = cvy_listener_new(&l, &o);
        if (!err) err = cvy_listener_start(l);
        failing_setup(&f, err);
        if (!l) ck_assert_int_eq(cvy_listener_new(&l, &o), 0);
        if (err) ck_assert_int_eq(cvy_listener_start(l), 0);
        cvy_listener_free(l);
        cvy_group_free(group);
    }
}

/* M3 */
START_TEST(a_listener)
{
#ifndef _WIN32
    if (listeners[_i].owner && geteuid() != 0) return; /* only root gives files away */
#endif
    if (listeners[_i].loops)
        start_failing_on_group(&listeners[_i]);
    else
        start_failing(&listeners[_i]);
}
END_TEST

static void stop_at_once(cvy_listener_t *l, const char *address, void *arg)
{
    (void)address;
    ++*(int *)arg;
    cvy_listener_shutdown(l, CVY_KEEP);
}

/* M3 */
START_TEST(listen_and_wait_on_loops_of_its_own)
{
    for (int loops = 0; loops <= 3; loops += 3)
        FAILING_EACH(f)
        {
            cvy_listener_t *l = NULL;
            int started = 0;
            cvy_listener_opts_t o = { .address = "tcp://127.0.0.1:0",
                                      .loops = loops,
                                      .conveyor_init = net_echo,
                                      .on_started = stop_at_once,
                                      .arg = &started };
            failing_arm(&f);
            int err = cvy_listener_new(&l, &o);
            if (!err) err = cvy_listener_listen_and_wait(l);
            failing_setup(&f, err);
            ck_assert_int_eq(started, err ? 0 : 1);
            if (!l) ck_assert_int_eq(cvy_listener_new(&l, &o), 0);
            if (err) ck_assert_int_eq(cvy_listener_listen_and_wait(l), 0);
            ck_assert_int_eq(started, 1);
            cvy_listener_free(l);
        }
}
END_TEST

int main(void)
{
    failing_install();
    Suite *suite = suite_create("failing memory, listeners");
    TCase *tc = ADD_TESTS(suite, "listeners", listen_and_wait_on_loops_of_its_own);
    tcase_add_loop_test(tc, a_listener, 0, LISTENERS - !cvy__has_balancing());
    return test_run(suite);
}
