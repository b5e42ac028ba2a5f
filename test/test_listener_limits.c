/*
 * What a listener does at its limits: descriptors, budgets; and where ipc:// lives (L3, L7, L9, R9). What every scheme does is in
 * test_conformance_crowd.c and test_conformance_address.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "base/system_socket.h"
#include "endpoint/listener.h"
#include "net.h"
#include "support.h"

#define TCP "tcp://127.0.0.1:0"

#ifndef _WIN32
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void dial_many(net_t *n, int count)
{
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    int all = n->connected + count;
    NET_UNTIL(n, n->connected == all);
    net_settle(n);
}

/* R9 */

static int accepted_at_once, most_at_once;
static void count_run(net_t *n, cvy_transport_t *t)
{
    static uint64_t turn;
    (void)t;
    if (n->loop->turns != turn) accepted_at_once = 0;
    turn = n->loop->turns;
    if (++accepted_at_once > most_at_once) most_at_once = accepted_at_once;
}

/* R9, L3 */
START_TEST(at_most_accept_budget_connections_are_accepted_per_turn)
{
    for (int64_t budget = 0; budget <= 5; budget += 5) {
        net_t n;
        net_init(&n);
        n.quiet = true;
        n.opts.accept_budget = budget; /* 0: 16 */
        n.on_accepted = count_run;
        net_listen(&n, TCP);
        cvy_listener_pause(n.listener);
        net_settle(&n);
        dial_many(&n, 60);
        most_at_once = 0;
        cvy_listener_resume(n.listener);
        NET_UNTIL(&n, n.accepted == 60);
        ck_assert_int_eq(most_at_once, budget ? 5 : 16);
        net_fini(&n);
    }
}
END_TEST

/* L3 */

/* Valgrind keeps the limit of descriptors to itself, and lets accept pass it. */
static bool can_run_out(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return !preloaded || !strstr(preloaded, "vgpreload");
}

static rlim_t only_these(void)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    int next = dup(0);
    close(next);
    limit.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static void again(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = most;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* L3 */
START_TEST(without_descriptors_there_is_one_error_a_pause_and_then_it_goes_on)
{
    net_t n;
    net_init(&n);
    n.opts.retry_ms = 30;
    net_listen(&n, TCP);
    dial_many(&n, 1);
    cvy_listener_pause(n.listener);
    net_settle(&n);
    dial_many(&n, 2); /* both wait in the backlog */
    rlim_t before = only_these();
    cvy_listener_resume(n.listener);
    NET_UNTIL(&n, n.errors);
    double cpu = cpu_seconds();
    uint64_t turns = n.loop->turns, began = uv_hrtime();
    NET_UNTIL(&n, uv_hrtime() - began > 200000000); /* some six retries */
    ck_assert_int_eq(n.errors, 1);                  /* one per episode */
    ck_assert_int_eq(n.accepted, 1);
    ck_assert_uint_lt(n.loop->turns - turns, 60); /* no spinning */
    ck_assert(cpu_seconds() - cpu < 0.1);
    net_write(&n, 0, "goes on"); /* existing ones do */
    NET_UNTIL(&n, n.echoed == 7);
    ck_assert_ptr_nonnull(strstr(cvy_listener_message(n.listener), ": too many open files (EMFILE)"));
    again(before);
    NET_UNTIL(&n, n.accepted == 3);
    net_write(&n, 2, "served");
    NET_UNTIL(&n, n.echoed == 13);
    ck_assert_int_eq(n.errors, 1);
    ck_assert_str_eq(recorder_text(&n.log), "started\naccepted\nerror EMFILE\naccepted\naccepted\n");
    net_fini(&n);
}
END_TEST

/* L3 */
START_TEST(the_next_episode_is_told_again)
{
    net_t n;
    net_init(&n);
    n.opts.retry_ms = 1;
    net_listen(&n, TCP);
    for (int i = 1; i <= 3; i++) {
        cvy_listener_pause(n.listener);
        net_settle(&n);
        dial_many(&n, 1);
        rlim_t before = only_these();
        cvy_listener_resume(n.listener);
        NET_UNTIL(&n, n.errors == i);
        again(before);
        NET_UNTIL(&n, n.accepted == i);
    }
    net_fini(&n);
}
END_TEST

static void stop_in_error(net_t *n, int err)
{
    (void)err;
    cvy_listener_free(n->listener);
    n->listener = NULL;
}

/* L3 */
START_TEST(freed_inside_on_error_it_ends)
{
    net_t n;
    net_init(&n);
    n.on_error = stop_in_error;
    net_listen(&n, TCP);
    cvy_listener_pause(n.listener);
    net_settle(&n);
    dial_many(&n, 1);
    rlim_t before = only_these();
    cvy_listener_resume(n.listener);
    NET_UNTIL(&n, n.shutdowns);
    again(before);
    ck_assert_str_eq(recorder_text(&n.log), "started\nerror EMFILE\nshutdown\n");
    net_fini(&n);
}
END_TEST

/* L9 */

/* L9 */
START_TEST(listening_and_accepted_sockets_are_close_on_exec)
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    dial_many(&n, 1);
    for (int fd = 3; fd < 64; fd++) {
        struct stat st;
        if (!fstat(fd, &st) && S_ISSOCK(st.st_mode)) ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    net_fini(&n);
}
END_TEST

/* Containers often have no IPv6 at all. */
static bool has_ipv6(void)
{
    uv_interface_address_t *all;
    int n = 0;
    bool found = false;
    if (uv_interface_addresses(&all, &n)) return false;
    for (int i = 0; i < n; i++)
        found = found || all[i].address.address4.sin_family == AF_INET6;
    uv_free_interface_addresses(all, n);
    return found;
}

START_TEST(all_of_ipv6_takes_ipv4_too_unless_it_must_not) /* L9 */
{
    if (!has_ipv6()) return;
    for (int only = 0; only <= 1; only++) {
        net_t n;
        char address[64];
        net_init(&n);
        n.opts.ipv6_only = only;
        net_listen(&n, "tcp://[::]:0");
        snprintf(address, sizeof address, "tcp://127.0.0.1%s", strrchr(n.address, ':'));
        net_dial(&n, address);
        NET_UNTIL(&n, n.connected || n.failed);
        ck_assert_int_eq(n.failed, only);
        net_fini(&n);
    }
}
END_TEST

/* L7 */

static char folder[64], path[128], uri[160];

static void make_folder(void)
{
    strcpy(folder, "/tmp/cvy-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(uri, sizeof uri, "unix://%s", path);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left in it */
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(name, &st) == 0;
}

/* L9 */
START_TEST(ipc_names_live_in_the_runtime_directory)
{
    net_t n;
    net_init(&n);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    net_listen(&n, "ipc://s");
    ck_assert(exists(path));
    ck_assert_str_eq(n.address, "ipc://s");
    dial_many(&n, 1);
    net_fini(&n);
    ck_assert(!exists(path));
}
END_TEST

/* L9 */
START_TEST(without_one_in_a_folder_of_the_users_own_that_is_checked)
{
    net_t n;
    struct stat st;
    char own[128];
    net_init(&n);
    unsetenv("XDG_RUNTIME_DIR");
    setenv("TMPDIR", folder, 1);
    snprintf(own, sizeof own, "%s/conveyor-%lu", folder, (unsigned long)geteuid());
    ck_assert_int_eq(net_dial(&n, "ipc://s"), 0); /* nobody there: no folder is made */
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ENOENT);
    ck_assert(!exists(own));
    net_listen(&n, "ipc://s");
    ck_assert_int_eq(stat(own, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0700);
    dial_many(&n, 1);
    chmod(own, 0755);
    ck_assert_int_eq(net_dial(&n, "ipc://s"), UV_EPERM);
    net_fini(&n);
    net_init(&n);
    ck_assert_int_eq(net_try_listen(&n, "ipc://s"), UV_EPERM);
    ck_assert_str_eq(cvy_listener_message(n.listener),
                     "ipc://s: the folder for it belongs to someone else or is open to others (EPERM)");
    net_fini(&n);
    rmdir(own);
}
END_TEST

/* L7 */
START_TEST(a_full_backlog_of_a_unix_socket_is_waited_for)
{
    net_t n;
    net_init(&n);
    n.opts.backlog = 1;
    net_listen(&n, uri);
    cvy_listener_pause(n.listener);
    net_settle(&n);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(net_dial(&n, NULL), 0);
    net_settle(&n);
    ck_assert_int_lt(n.connected, 6);
    ck_assert_int_eq(n.failed, 0);
    cvy_listener_resume(n.listener);
    NET_UNTIL(&n, n.connected == 6 && n.accepted == 6);
    net_fini(&n);
}
END_TEST

#endif

START_TEST(a_full_inproc_backlog_refuses)
{
    net_t n;
    net_init(&n);
    n.opts.backlog = 2;
    net_listen(&n, "inproc://cvy-backlog");
    cvy_listener_pause(n.listener);
    net_settle(&n);
    for (int i = 0; i < 3; i++)
        net_dial(&n, NULL);
    NET_UNTIL(&n, n.connected == 2 && n.failed == 1);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    cvy_listener_shutdown(n.listener, CVY_KEEP); /* those that wait are reset */
    NET_UNTIL(&n, n.shutdowns && !n.open);
    ck_assert_int_eq(n.accepted, 0);
    net_fini(&n);
}
END_TEST

START_TEST(reuse_port_is_to_be_had_or_says_so) /* L5 */
{
    net_t n;
    net_init(&n);
    n.opts.reuse_port = 1;
    if (cvy__has_balancing()) {
        net_listen(&n, TCP);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(net_dial(&n, NULL), 0);
        NET_UNTIL(&n, n.accepted == 3);
    } else {
        ck_assert_int_eq(net_try_listen(&n, TCP), UV_ENOTSUP);
    }
    net_fini(&n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener_limits");
    ADD_TESTS(suite, "connections", reuse_port_is_to_be_had_or_says_so);
    ADD_TESTS(suite, "inproc", a_full_inproc_backlog_refuses);
#ifndef _WIN32
    ADD_TESTS(suite, "sockets", at_most_accept_budget_connections_are_accepted_per_turn,
              listening_and_accepted_sockets_are_close_on_exec, all_of_ipv6_takes_ipv4_too_unless_it_must_not);
    if (can_run_out())
        ADD_TESTS(suite, "descriptors", without_descriptors_there_is_one_error_a_pause_and_then_it_goes_on,
                  the_next_episode_is_told_again, freed_inside_on_error_it_ends);
    TCase *files = ADD_TESTS(suite, "files", ipc_names_live_in_the_runtime_directory,
                             without_one_in_a_folder_of_the_users_own_that_is_checked,
                             a_full_backlog_of_a_unix_socket_is_waited_for);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
#endif
    return test_run(suite);
}
