/* Listeners, what is not of every scheme: see test_conformance_accept.c, _end.c, _crowd.c and _address.c for that (L4, R7, M3). */
#include <conveyor/embedded.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "endpoint/listener.h"
#include "net.h"
#include "support.h"

#define TCP "tcp://127.0.0.1:0"

static void turn_until_shutdown(net_t *n)
{
    NET_UNTIL(n, n->shutdowns);
    net_settle(n);
    ck_assert_int_eq(n->shutdowns, 1);
}

START_TEST(the_table_has_the_legal_edges_and_no_others) /* L1 */
{
    enum { STATES = CVY_LISTENER_CLOSED + 1 };
    static const bool legal[STATES][STATES] = { { 0, 1, 0, 1 }, { 0, 0, 1, 1 }, { 0, 1, 0, 1 }, { 0, 0, 0, 0 } };
    for (int from = 0; from < STATES; from++)
        for (int to = 0; to < STATES; to++)
            ck_assert_int_eq(cvy__listener_edge((cvy_listener_state_t)from, (cvy_listener_state_t)to), legal[from][to]);
}
END_TEST

START_TEST(new_refuses_options_that_contradict_each_other)
{
    cvy_listener_t *l;
    cvy_loop_t *loop;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .loop = loop }), UV_EINVAL);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = TCP, .loop = loop, .loops = 2 }),
                     UV_EINVAL);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = TCP, .loops = -7 }), UV_EINVAL);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = TCP }), 0);
    ck_assert_int_eq(cvy_listener_start(l), UV_EINVAL);
    ck_assert_str_eq(cvy_listener_message(l), TCP ": start needs a loop or a group (EINVAL)");
    cvy_listener_free(l);
    cvy_listener_free(NULL);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* Failing to start */

START_TEST(several_addresses_are_all_started_and_served)
{
    net_t n;
    net_init(&n);
    const char *more[] = { "tcp://127.0.0.1:0", "inproc://cvy-several", NULL };
    n.opts.addresses = more;
    net_listen(&n, TCP);
    ck_assert_str_eq(recorder_text(&n.log), "started\nstarted\nstarted\n");
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(net_dial(&n, cvy_listener_address(n.listener, i)), 0);
    NET_UNTIL(&n, n.connected == 3 && n.accepted == 3);
    ck_assert_uint_eq(cvy_listener_connections(n.listener), 3);
    net_fini(&n);
}
END_TEST

/* L1 */
START_TEST(bad_addresses_are_starts_error)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_try_listen(&n, "tcp://127.0.0.1:99999"), UV_EINVAL);
    ck_assert_str_eq(cvy_listener_message(n.listener), "tcp://127.0.0.1:99999: port must be 0 to 65535 (EINVAL)");
    net_fini(&n);
}
END_TEST

/* Ending */

/* T16 */
START_TEST(a_reference_keeps_it_readable_after_the_end)
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    cvy_listener_t *l = cvy_listener_ref(n.listener);
    cvy_listener_free(n.listener);
    n.listener = NULL;
    ck_assert_int_eq(cvy_listener_state(l), CVY_LISTENER_RUNNING); /* not the last one */
    cvy_listener_shutdown(l, CVY_KEEP);
    turn_until_shutdown(&n);
    ck_assert_int_eq(cvy_listener_state(l), CVY_LISTENER_CLOSED);
    ck_assert_str_eq(cvy_listener_address(l, 0), n.address);
    cvy_listener_free(l);
    net_fini(&n);
}
END_TEST

START_TEST(an_open_listener_keeps_the_loop_alive_and_a_closed_one_does_not) /* R7 */
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    cvy_listener_pause(n.listener);
    net_settle(&n);
    ck_assert(uv_loop_alive(cvy_loop_uv(n.loop)));
    cvy_listener_shutdown(n.listener, CVY_KEEP);
    turn_until_shutdown(&n);
    ck_assert(!uv_loop_alive(cvy_loop_uv(n.loop)));
    net_fini(&n);
}
END_TEST

static void close_listening_socket(net_t *n)
{
    cvy_socket_t fd = n->listener->acceptors[0].fd;
#ifdef _WIN32
    n->listener->acceptors[0].fd = (cvy_socket_t)-1;
    cvy__socket_close(fd);
#else
    shutdown(fd, SHUT_RDWR); /* accept answers EINVAL from now on */
#endif
}

START_TEST(a_listener_that_breaks_fails_once_and_is_shut_down) /* L4 */
{
#ifndef _WIN32
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, n.accepted && n.connected);
    close_listening_socket(&n);
    turn_until_shutdown(&n);
    ck_assert_str_eq(recorder_text(&n.log), "started\naccepted\nfailure EINVAL\nshutdown\n");
    ck_assert_int_eq(cvy_listener_state(n.listener), CVY_LISTENER_CLOSED);
    ck_assert_ptr_nonnull(strstr(cvy_listener_message(n.listener), ": invalid argument (EINVAL)"));
    ck_assert_uint_eq(cvy_listener_connections(n.listener), 1);
    net_fini(&n);
#else
    (void)close_listening_socket;
#endif
}
END_TEST

/* L1, L4: it has no system to ask. */
START_TEST(on_an_embedded_loop_what_needs_the_system_is_enotsup)
{
    static const struct {
        const char *address;
        int stop_on_signals;
    } cases[] = { { "tcp://127.0.0.1:0", 0 }, { "tcp://localhost:0", 0 }, { "inproc://embedded", 1 } };
    cvy_embedded_t *e;
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = net_echo }), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cvy_listener_t *l;
        cvy_listener_opts_t opts = { .address = cases[i].address,
                                     .loop = cvy_embedded_loop(e),
                                     .stop_on_signals = cases[i].stop_on_signals };
        ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
        ck_assert_int_eq(cvy_listener_start(l), UV_ENOTSUP);
        ck_assert_str_ne(cvy_listener_message(l), "");
        cvy_listener_free(l);
    }
    cvy_embedded_free(e);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    ADD_TESTS(suite, "starting", the_table_has_the_legal_edges_and_no_others,
              new_refuses_options_that_contradict_each_other, several_addresses_are_all_started_and_served,
              bad_addresses_are_starts_error);
    ADD_TESTS(suite, "ending", a_reference_keeps_it_readable_after_the_end,
              an_open_listener_keeps_the_loop_alive_and_a_closed_one_does_not,
              a_listener_that_breaks_fails_once_and_is_shut_down);
    ADD_TESTS(suite, "embedded", on_an_embedded_loop_what_needs_the_system_is_enotsup);
    return test_run(suite);
}
