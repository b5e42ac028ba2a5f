/*
 * Stopping by a signal (stop_on_signals): the first one drains within the deadline (L13), the second ends the program. On Windows the signals
 * are the console's, and are sent where there is a console.
 */
#include <conveyor/conveyor.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "endpoint/listener.h"
#include "net.h"
#include "support.h"

#define TCP "tcp://127.0.0.1:0"

#ifdef _WIN32
#include <windows.h>

static const int stops[] = { SIGINT, SIGBREAK };

static bool send_stop(int number)
{
    return GenerateConsoleCtrlEvent(number == SIGINT ? CTRL_C_EVENT : CTRL_BREAK_EVENT, 0);
}

enum { LIVES = 77 }; /* the status of one that a second signal did not end */

static atomic_int swallowed;

static BOOL WINAPI swallow(DWORD type)
{
    (void)type;
    swallowed++;
    return TRUE;
}

/* False, with a word about it: what can't be sent here can't be tested. The last handler is called first, and here it is the only one. */
static bool can_send(int number)
{
    int before = swallowed;
    SetConsoleCtrlHandler(swallow, TRUE);
    bool sent = send_stop(number);
    while (sent && swallowed == before)
        uv_sleep(1);
    SetConsoleCtrlHandler(swallow, FALSE);
    if (!sent) printf("SKIPPED: signal %d can't be sent: error %lu\n", number, (unsigned long)GetLastError());
    return sent;
}

/* What is sent goes to all of a console: so the tests run in a process that has one to itself, without a window. */
static int run_with_own_console(const char *what)
{
    char command[700], self[300];
    DWORD code = LIVES;
    PROCESS_INFORMATION process;
    STARTUPINFOA how = { .cb = sizeof how,
                         .dwFlags = STARTF_USESTDHANDLES,
                         .hStdInput = GetStdHandle(STD_INPUT_HANDLE),
                         .hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE),
                         .hStdError = GetStdHandle(STD_ERROR_HANDLE) };
    if (!GetModuleFileNameA(NULL, self, sizeof self)) return LIVES;
    snprintf(command, sizeof command, "\"%s\" %s", self, what);
    if (!CreateProcessA(NULL, command, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL, NULL, &how, &process)) return LIVES;
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &code);
    CloseHandle(process.hProcess);
    CloseHandle(process.hThread);
    return (int)code;
}
#else
#include <unistd.h>

static const int stops[] = { SIGINT, SIGTERM };

static bool send_stop(int number)
{
    return !kill(getpid(), number);
}

static bool can_send(int number)
{
    return number > 0;
}
#endif
enum { STOPS = sizeof stops / sizeof *stops };

static void listen_stoppable(net_t *n)
{
    net_init(n);
    n->opts.stop_on_signals = 1;
    net_listen(n, TCP);
}

/* L11, L13: what was written arrives, then the end; no more are accepted. */
START_TEST(a_signal_ends_accepting_and_drains)
{
    net_t n;
    if (!can_send(stops[_i])) return;
    listen_stoppable(&n);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected == 2 && n.accepted == 2);
    for (int i = 0; i < 2; i++)
        net_write(&n, i, "x");
    NET_UNTIL(&n, n.echoed == 2);
    ck_assert(send_stop(stops[_i]));
    NET_UNTIL(&n, n.shutdowns && !n.open);
    ck_assert_int_eq(n.cause, 0);
    ck_assert_int_eq(cvy_listener_state(n.listener), CVY_LISTENER_CLOSED);
    ck_assert_str_eq(recorder_text(&n.log), "started\naccepted\naccepted\nshutdown\n");
    net_fini(&n);
}
END_TEST

static void detached(cvy_loop_t *loop, void *arg)
{
    (void)loop;
    *(bool *)arg = true;
}

/* R5, R7, L13: nothing of it keeps a loop alive, or from closing. */
START_TEST(what_waits_for_signals_keeps_nothing_alive)
{
    net_t n;
    listen_stoppable(&n);
    cvy_listener_shutdown(n.listener, CVY_KEEP);
    NET_UNTIL(&n, n.shutdowns);
    net_settle(&n);
    ck_assert(!uv_loop_alive(cvy_loop_uv(n.loop)));
    ck_assert_ptr_null(n.listener->stop);
    net_fini(&n);

    uv_loop_t uv;
    cvy_loop_t *loop;
    cvy_listener_t *l;
    bool gone = false;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = TCP, .loop = loop, .stop_on_signals = 1 }),
                     0);
    ck_assert_int_eq(cvy_listener_start(l), 0);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, detached, &gone), 0);
    while (!gone)
        uv_run(&uv, UV_RUN_ONCE);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    cvy_listener_free(l);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

#ifdef __linux__
#include <sys/socket.h>
#include <sys/syscall.h>

static cvy_listener_t *shut_down_in_listen;

/* In front of libc's: as if another thread shut the listener down while it starts. */
int listen(int fd, int backlog)
{
    if (shut_down_in_listen) cvy_listener_shutdown(shut_down_in_listen, CVY_KEEP);
    return (int)syscall(SYS_listen, fd, backlog);
}
#endif

/* L1, L13 */
START_TEST(a_start_that_comes_too_late_leaves_nothing_behind)
{
#ifdef __linux__
    net_t n;
    net_init(&n);
    n.opts.stop_on_signals = 1;
    n.opts.address = TCP;
    ck_assert_int_eq(cvy_listener_new(&n.listener, &n.opts), 0);
    shut_down_in_listen = n.listener;
    ck_assert_int_eq(cvy_listener_start(n.listener), UV_ESHUTDOWN);
    shut_down_in_listen = NULL;
    ck_assert_str_eq(recorder_text(&n.log), "");
    ck_assert_ptr_null(n.listener->stop);
    net_fini(&n);
#endif
}
END_TEST

static int application_saw;

static void on_application_signal(uv_signal_t *handle, int number)
{
    application_saw = number;
    if (!uv_is_closing((uv_handle_t *)handle)) uv_close((uv_handle_t *)handle, NULL);
}

/* L13 */
START_TEST(an_applications_own_handle_is_called_too)
{
    net_t n;
    uv_signal_t own;
    if (!can_send(stops[_i])) return;
    listen_stoppable(&n);
    application_saw = 0;
    ck_assert_int_eq(uv_signal_init(cvy_loop_uv(n.loop), &own), 0);
    ck_assert_int_eq(uv_signal_start(&own, on_application_signal, stops[_i]), 0);
    ck_assert(send_stop(stops[_i]));
    NET_UNTIL(&n, n.shutdowns && application_saw == stops[_i]);
    net_settle(&n);
    net_fini(&n);
}
END_TEST

/* L13: both are told, whichever was first. */
START_TEST(several_listeners_stop_together)
{
    net_t a, b;
    if (!can_send(stops[_i])) return;
    listen_stoppable(&a);
    listen_stoppable(&b);
    ck_assert(send_stop(stops[_i]));
    while (!a.shutdowns || !b.shutdowns) {
        net_turn(&a, 1);
        net_turn(&b, 1);
    }
    net_fini(&a);
    net_fini(&b);
}
END_TEST

/* listen_and_wait, on a thread of its own. */

typedef struct waiter {
    cvy_listener_opts_t opts;
    cvy_listener_t *listener;
    uv_thread_t thread;
    char address[256];
    atomic_bool ready;
    atomic_int accepted;
    int answer;
} waiter_t;

static void on_started(cvy_listener_t *l, const char *address, void *arg)
{
    waiter_t *w = arg;
    (void)l;
    snprintf(w->address, sizeof w->address, "%s", address);
    atomic_store(&w->ready, true);
}

static void on_accepted(cvy_listener_t *l, cvy_transport_t *t, void *arg)
{
    (void)l, (void)t;
    atomic_fetch_add(&((waiter_t *)arg)->accepted, 1);
}

static void wait_there(void *arg)
{
    waiter_t *w = arg;
    w->answer = cvy_listener_listen_and_wait(w->listener);
}

static void waiter_start(waiter_t *w, int loops)
{
    w->opts.address = TCP;
    w->opts.loops = loops;
    w->opts.stop_on_signals = 1;
    w->opts.conveyor_init = net_echo;
    w->opts.on_started = on_started;
    w->opts.on_accepted = on_accepted;
    w->opts.arg = w;
    ck_assert_int_eq(cvy_listener_new(&w->listener, &w->opts), 0);
    ck_assert_int_eq(uv_thread_create(&w->thread, wait_there, w), 0);
    while (!atomic_load(&w->ready))
        uv_sleep(1);
}

/* L10, L13 */
START_TEST(listen_and_wait_returns_once_a_signal_has_drained_it)
{
    if (!can_send(stops[_i])) return;
    for (int loops = 1; loops <= 3; loops += 2) {
        net_t n;
        waiter_t w = { .answer = -1 };
        net_init(&n);
        waiter_start(&w, loops);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(net_dial(&n, w.address), 0);
        NET_UNTIL(&n, n.connected == 4 && atomic_load(&w.accepted) == 4);
        ck_assert(send_stop(stops[_i]));
        NET_UNTIL(&n, !n.open);
        ck_assert_int_eq(n.cause, 0);
        uv_thread_join(&w.thread);
        ck_assert_int_eq(w.answer, 0);
        cvy_listener_free(w.listener);
        net_fini(&n);
    }
}
END_TEST

/* L10, L13: a client that never closes its side holds a graceful close, until the deadline. */
START_TEST(connections_that_do_not_end_are_cut_at_the_drain_deadline)
{
    net_t n;
    waiter_t w = { .answer = -1 };
    if (!can_send(stops[_i])) return;
    net_init(&n);
    w.opts.drain_timeout_ms = 50;
    w.opts.transport = &(cvy_transport_opts_t){ .linger_timeout_ms = 3600000 };
    n.dial.transport = &(cvy_transport_opts_t){ .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF };
    waiter_start(&w, 1);
    ck_assert_int_eq(net_dial(&n, w.address), 0);
    NET_UNTIL(&n, n.connected && atomic_load(&w.accepted));
    uint64_t before = uv_hrtime();
    net_round_trip(&n, 0); /* by it the listener's loop has a clock that is not earlier */
    ck_assert(send_stop(stops[_i]));
    uv_thread_join(&w.thread);
    ck_assert_int_eq(w.answer, 0);
    ck_assert_uint_ge((uv_hrtime() - before) / 1000000, 45);
    cvy_listener_free(w.listener);
    net_fini(&n);
}
END_TEST

/* A connection that does not end keeps the first signal's drain going; then the second one comes. */
static void stop_twice(int first, int second)
{
    net_t n;
    net_init(&n);
    n.opts.stop_on_signals = 1;
    n.opts.transport = &(cvy_transport_opts_t){ .linger_timeout_ms = 3600000 };
    n.dial.transport = &(cvy_transport_opts_t){ .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF };
    net_listen(&n, TCP);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected && n.accepted);
    send_stop(first);
    NET_UNTIL(&n, n.shutdowns);
    ck_assert_int_eq(n.open, 1);
    send_stop(second);
}

#ifdef _WIN32
/* L13: Windows ends the process with STATUS_CONTROL_C_EXIT, wine with 0. */
START_TEST(a_second_signal_ends_the_program_at_once)
{
    ck_assert_int_ne(run_with_own_console("--twice"), LIVES);
}
END_TEST

static int live(void)
{
    stop_twice(SIGINT, SIGINT);
    uv_sleep(10000);
    return LIVES;
}

static void add_ends(Suite *suite)
{
    ADD_TESTS(suite, "second", a_second_signal_ends_the_program_at_once);
}
#else
/* L13: also where it is not the same one. */
START_TEST(a_second_signal_ends_the_program_at_once)
{
    stop_twice(SIGINT, SIGTERM);
    ck_abort_msg("it lives");
}
END_TEST

/* L13 */
START_TEST(who_did_not_ask_for_it_is_ended_by_the_first)
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    send_stop(SIGTERM);
    ck_abort_msg("it lives");
}
END_TEST

static void add_ends(Suite *suite)
{
    const char *fork = getenv("CK_FORK");
    if (fork && !strcmp(fork, "no")) return;
    TCase *tc = test_case("second");
    tcase_add_test_raise_signal(tc, a_second_signal_ends_the_program_at_once, SIGTERM);
    tcase_add_test_raise_signal(tc, who_did_not_ask_for_it_is_ended_by_the_first, SIGTERM);
    suite_add_tcase(suite, tc);
}
#endif

int main(int argc, char **argv)
{
#ifdef _WIN32
    if (argc == 2 && !strcmp(argv[1], "--twice")) return live();
    if (argc == 1) return run_with_own_console("--own-console");
#else
    (void)argc, (void)argv;
#endif
    Suite *suite = suite_create("stop");
    TCase *tc = ADD_TESTS(suite, "stop", what_waits_for_signals_keeps_nothing_alive,
                          a_start_that_comes_too_late_leaves_nothing_behind);
    tcase_add_loop_test(tc, a_signal_ends_accepting_and_drains, 0, STOPS);
    tcase_add_loop_test(tc, an_applications_own_handle_is_called_too, 0, STOPS);
    tcase_add_loop_test(tc, several_listeners_stop_together, 0, STOPS);
    tcase_add_loop_test(tc, listen_and_wait_returns_once_a_signal_has_drained_it, 0, STOPS);
    tcase_add_loop_test(tc, connections_that_do_not_end_are_cut_at_the_drain_deadline, 0, STOPS);
    add_ends(suite);
    return test_run(suite);
}
