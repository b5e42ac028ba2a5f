/* Listeners: their states, their order of callbacks, their end (L1, L2, L4, L11, R7, M3). */
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

START_TEST(the_started_address_has_the_real_port)
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    ck_assert_str_ne(n.address, TCP);
    ck_assert_int_eq(strncmp(n.address, "tcp://127.0.0.1:", 16), 0);
    ck_assert_str_eq(cvy_listener_address(n.listener, 0), n.address);
    ck_assert_ptr_null(cvy_listener_address(n.listener, 1));
    ck_assert_str_eq(recorder_text(&n.log), "started\n");
    ck_assert_str_eq(cvy_listener_message(n.listener), "");
    net_fini(&n);
}
END_TEST

/* L1: every call in every state. */

typedef enum call { START, PAUSE, RESUME, SHUTDOWN, DRAIN, CALLS } call_t;

static int do_call(cvy_listener_t *l, call_t call)
{
    switch (call) {
    case START: return cvy_listener_start(l);
    case PAUSE: return cvy_listener_pause(l);
    case RESUME: return cvy_listener_resume(l);
    case SHUTDOWN: cvy_listener_shutdown(l, CVY_KEEP); return 0;
    default: cvy_listener_shutdown(l, CVY_DRAIN); return 0;
    }
}

static void bring_to(net_t *n, cvy_listener_state_t state)
{
    n->opts.address = TCP;
    ck_assert_int_eq(cvy_listener_new(&n->listener, &n->opts), 0);
    if (state != CVY_LISTENER_STARTING) ck_assert_int_eq(cvy_listener_start(n->listener), 0);
    if (state == CVY_LISTENER_PAUSED) ck_assert_int_eq(cvy_listener_pause(n->listener), 0);
    if (state == CVY_LISTENER_CLOSED) cvy_listener_shutdown(n->listener, CVY_KEEP);
    ck_assert_int_eq(cvy_listener_state(n->listener), state);
}

START_TEST(every_call_is_legal_in_every_state_and_idempotent) /* L1 */
{
    static const struct {
        int answer[CALLS];
        cvy_listener_state_t after[CALLS];
    } table[] = {
        [CVY_LISTENER_STARTING] = { { 0, UV_EINVAL, UV_EINVAL, 0, 0 },
                                    { CVY_LISTENER_RUNNING, CVY_LISTENER_STARTING, CVY_LISTENER_STARTING,
                                      CVY_LISTENER_CLOSED, CVY_LISTENER_CLOSED } },
        [CVY_LISTENER_RUNNING] = { { UV_EALREADY, 0, 0, 0, 0 },
                                   { CVY_LISTENER_RUNNING, CVY_LISTENER_PAUSED, CVY_LISTENER_RUNNING,
                                     CVY_LISTENER_CLOSED, CVY_LISTENER_CLOSED } },
        [CVY_LISTENER_PAUSED] = { { UV_EALREADY, 0, 0, 0, 0 },
                                  { CVY_LISTENER_PAUSED, CVY_LISTENER_PAUSED, CVY_LISTENER_RUNNING, CVY_LISTENER_CLOSED,
                                    CVY_LISTENER_CLOSED } },
        [CVY_LISTENER_CLOSED] = { { UV_ESHUTDOWN, UV_ESHUTDOWN, UV_ESHUTDOWN, 0, 0 },
                                  { CVY_LISTENER_CLOSED, CVY_LISTENER_CLOSED, CVY_LISTENER_CLOSED, CVY_LISTENER_CLOSED,
                                    CVY_LISTENER_CLOSED } },
    };
    for (int state = CVY_LISTENER_STARTING; state <= CVY_LISTENER_CLOSED; state++)
        for (int call = START; call < CALLS; call++) {
            net_t n;
            net_init(&n);
            bring_to(&n, (cvy_listener_state_t)state);
            ck_assert_msg(do_call(n.listener, (call_t)call) == table[state].answer[call], "call %d in state %d", call,
                          state);
            ck_assert_msg(cvy_listener_state(n.listener) == table[state].after[call], "call %d in state %d", call,
                          state);
            do_call(n.listener, (call_t)call); /* again: nothing changes, except that START leads on */
            ck_assert_msg(cvy_listener_state(n.listener) == table[state].after[call], "call %d in state %d", call,
                          state);
            ck_assert_uint_eq(cvy_listener_connections(n.listener), 0);
            net_settle(&n);
            bool started = state != CVY_LISTENER_STARTING || call == START;
            bool closed = table[state].after[call] == CVY_LISTENER_CLOSED;
            ck_assert_int_eq(n.shutdowns, started && closed); /* a listener that never started calls nothing back */
            net_fini(&n);
            ck_assert_int_eq(n.shutdowns, started);
        }
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

/* Order */

static void log_stage(recorder_log_t *log, const char *what)
{
    recorder_line(log, "%s", what);
}

static recorder_log_t *stage_log;
static int logged_added(cvy_ctx_t *ctx, const void *opts)
{
    (void)ctx, (void)opts;
    log_stage(stage_log, "added");
    return 0;
}
static int logged_active(cvy_ctx_t *ctx)
{
    (void)ctx;
    log_stage(stage_log, "active");
    return 0;
}
static void logged_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    log_stage(stage_log, "bytes");
}
static void logged_inactive(cvy_ctx_t *ctx)
{
    (void)ctx;
    log_stage(stage_log, "inactive");
}
static void logged_removed(cvy_ctx_t *ctx)
{
    (void)ctx;
    log_stage(stage_log, "removed");
}
static const cvy_stage_t logged = { .name = "logged",
                                    .on_added = logged_added,
                                    .on_active = logged_active,
                                    .on_inbound_bytes = logged_bytes,
                                    .on_inactive = logged_inactive,
                                    .on_removed = logged_removed };

static int init_logged(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    stage_log = &n->log;
    log_stage(stage_log, "init");
    int err = cvy_conveyor_add_last(c, &logged, NULL, NULL);
    return err ? err : n->init_answer;
}

START_TEST(the_order_is_init_accepted_active_reading) /* L2 */
{
    net_t n;
    net_init(&n);
    n.opts.conveyor_init = init_logged;
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, n.connected);
    net_write(&n, 0, "x");
    NET_UNTIL(&n, strstr(recorder_text(&n.log), "bytes"));
    net_close_clients(&n);
    NET_UNTIL(&n, strstr(recorder_text(&n.log), "removed"));
    ck_assert_str_eq(recorder_text(&n.log), "started\ninit\nadded\naccepted\nactive\nbytes\ninactive\nremoved\n");
    net_fini(&n);
}
END_TEST

START_TEST(an_init_that_fails_closes_and_is_never_active) /* L2 */
{
    net_t n;
    net_init(&n);
    n.opts.conveyor_init = init_logged;
    n.init_answer = UV_EPROTO;
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, strstr(recorder_text(&n.log), "removed"));
    NET_UNTIL(&n, !cvy_listener_connections(n.listener));
    ck_assert_str_eq(recorder_text(&n.log), "started\ninit\nadded\nremoved\n");
    ck_assert_int_eq(n.accepted, 0);
    ck_assert_int_eq(cvy_listener_state(n.listener), CVY_LISTENER_RUNNING);
    net_fini(&n);
}
END_TEST

static void close_it(net_t *n, cvy_transport_t *t)
{
    (void)n;
    cvy_transport_close(t, CVY_CLOSE_NOW);
}

START_TEST(closed_in_on_accepted_it_is_never_active) /* E6 */
{
    net_t n;
    net_init(&n);
    n.opts.conveyor_init = init_logged;
    n.on_accepted = close_it;
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, strstr(recorder_text(&n.log), "removed"));
    ck_assert_str_eq(recorder_text(&n.log), "started\ninit\nadded\naccepted\nremoved\n");
    NET_UNTIL(&n, !cvy_listener_connections(n.listener));
    net_fini(&n);
}
END_TEST

/* Failing to start */

START_TEST(an_address_in_use_is_starts_error_and_calls_nothing_back) /* L4 */
{
    net_t n, second;
    char line[400];
    net_init(&n);
    net_listen(&n, TCP);
    net_init(&second);
    ck_assert_int_eq(net_try_listen(&second, n.address), UV_EADDRINUSE);
    snprintf(line, sizeof line, "%s: address already in use (EADDRINUSE)", n.address);
    ck_assert_str_eq(cvy_listener_message(second.listener), line);
    ck_assert_str_eq(recorder_text(&second.log), "");
    ck_assert_int_eq(cvy_listener_state(second.listener), CVY_LISTENER_STARTING);
    cvy_listener_free(n.listener);
    n.listener = NULL;
    turn_until_shutdown(&n);
    ck_assert_int_eq(cvy_listener_start(second.listener), 0); /* free again: start may be tried again */
    net_fini(&second);
    net_fini(&n);
}
END_TEST

START_TEST(several_addresses_are_bound_all_or_none) /* L4 */
{
    net_t n, second;
    net_init(&n);
    net_listen(&n, TCP);
    net_init(&second);
    const char *two[] = { "inproc://all-or-none", n.address, NULL };
    second.opts.addresses = two;
    ck_assert_int_eq(net_try_listen(&second, TCP), UV_EADDRINUSE);
    ck_assert_str_eq(recorder_text(&second.log), "");
    ck_assert_int_eq(net_dial(&n, "inproc://all-or-none"), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED); /* it is not bound */
    net_fini(&second);
    net_fini(&n);
}
END_TEST

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

START_TEST(bad_addresses_are_starts_error)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_try_listen(&n, "tcp://127.0.0.1:99999"), UV_EINVAL);
    ck_assert_str_eq(cvy_listener_message(n.listener), "tcp://127.0.0.1:99999: port must be 0 to 65535 (EINVAL)");
    net_fini(&n);
}
END_TEST

/* Pausing */

START_TEST(paused_it_accepts_nobody_and_resumed_all_that_wait) /* L1 */
{
    static const char *const addresses[] = { TCP, "ipc://cvy-test-pause", "inproc://cvy-pause" };
    for (size_t i = 0; i < 3; i++) {
        net_t n;
        net_init(&n);
        net_listen(&n, addresses[i]);
        ck_assert_int_eq(cvy_listener_pause(n.listener), 0);
        net_settle(&n);
        net_dial(&n, NULL);
        NET_UNTIL(&n, n.connected); /* in the backlog */
        net_settle(&n);
        ck_assert_int_eq(n.accepted, 0);
        ck_assert_int_eq(cvy_listener_resume(n.listener), 0);
        NET_UNTIL(&n, n.accepted == 1);
        net_write(&n, 0, "ping");
        NET_UNTIL(&n, n.echoed == 4);
        net_fini(&n);
    }
}
END_TEST

/* Ending */

START_TEST(after_shutdown_connections_live_on) /* L11 */
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, n.accepted && n.connected);
    cvy_listener_shutdown(n.listener, CVY_KEEP);
    ck_assert_int_eq(n.shutdowns, 0); /* later */
    turn_until_shutdown(&n);
    cvy_listener_free(n.listener);
    n.listener = NULL;
    net_write(&n, 0, "still there");
    NET_UNTIL(&n, n.echoed == 11);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    ck_assert_str_eq(recorder_text(&n.log), "started\naccepted\nshutdown\n");
    net_fini(&n);
}
END_TEST

START_TEST(drained_its_connections_close_gracefully) /* L11 */
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, n.accepted && n.connected);
    cvy_listener_shutdown(n.listener, CVY_KEEP);
    turn_until_shutdown(&n);
    ck_assert_uint_eq(cvy_listener_connections(n.listener), 1);
    cvy_listener_shutdown(n.listener, CVY_DRAIN); /* after the fact */
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(n.listener));
    ck_assert_int_eq(n.shutdowns, 1);
    net_fini(&n);
}
END_TEST

static void shut_down(net_t *n, cvy_transport_t *t)
{
    (void)t;
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
}

START_TEST(shutdown_inside_on_accepted_is_the_last_one) /* L1, L4 */
{
    net_t n;
    net_init(&n);
    n.on_accepted = shut_down;
    net_listen(&n, TCP);
    for (int i = 0; i < 5; i++)
        net_dial(&n, NULL);
    turn_until_shutdown(&n);
    ck_assert_str_eq(recorder_text(&n.log), "started\naccepted\nshutdown\n");
    NET_UNTIL(&n, !cvy_listener_connections(n.listener));
    net_fini(&n);
}
END_TEST

static void shut_down_started(net_t *n)
{
    cvy_listener_shutdown(n->listener, CVY_KEEP);
}

START_TEST(shutdown_inside_on_started_tells_no_more_addresses) /* L1 */
{
    net_t n;
    net_init(&n);
    const char *more[] = { "tcp://127.0.0.1:0", NULL };
    n.opts.addresses = more;
    n.on_started = shut_down_started;
    ck_assert_int_eq(net_try_listen(&n, TCP), 0);
    ck_assert_int_eq(cvy_listener_state(n.listener), CVY_LISTENER_CLOSED);
    turn_until_shutdown(&n);
    ck_assert_str_eq(recorder_text(&n.log), "started\nshutdown\n");
    net_fini(&n);
}
END_TEST

static void free_it(net_t *n)
{
    cvy_listener_free(n->listener);
    n->listener = NULL;
}
static void free_on_accepted(net_t *n, cvy_transport_t *t)
{
    (void)t;
    free_it(n);
}

START_TEST(it_may_be_freed_inside_its_callbacks) /* L1 */
{
    for (int where = 0; where < 3; where++) {
        net_t n;
        net_init(&n);
        n.on_started = where == 0 ? free_it : NULL;
        n.on_accepted = where == 1 ? free_on_accepted : NULL;
        n.on_shutdown = where == 2 ? free_it : NULL;
        ck_assert_int_eq(net_try_listen(&n, TCP), 0);
        if (where) net_dial(&n, NULL);
        if (where) NET_UNTIL(&n, n.accepted);
        if (where == 2) cvy_listener_shutdown(n.listener, CVY_KEEP);
        turn_until_shutdown(&n);
        net_fini(&n);
    }
}
END_TEST

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

START_TEST(the_loops_end_shuts_it_down) /* L4: no on_accepted after on_shutdown */
{
    net_t n;
    net_init(&n);
    net_listen(&n, TCP);
    net_dial(&n, NULL);
    NET_UNTIL(&n, n.accepted && n.connected);
    net_dial(&n, NULL);
    cvy_loop_stop(n.loop);
    ck_assert_int_eq(cvy_loop_run(n.loop), 0);
    ck_assert_int_eq(n.shutdowns, 1);
    ck_assert_ptr_nonnull(strstr(recorder_text(&n.log), "accepted\nshutdown\n"));
    ck_assert_int_eq(cvy_listener_pause(n.listener), UV_ESHUTDOWN);
    cvy_listener_shutdown(n.listener, CVY_DRAIN);
    net_fini(&n);
    ck_assert_int_eq(n.shutdowns, 1);
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

/* M3: starting. */
START_TEST(every_allocation_of_start_may_fail)
{
    static const char *const addresses[] = { TCP, "ipc://cvy-test-start", "inproc://cvy-start" };
    for (size_t i = 0; i < 3; i++) {
        bool failed = true;
        for (long k = 1; failed; k++) {
            net_t n;
            net_init(&n);
            cvy__memory_fail(k);
            int err = net_try_listen(&n, addresses[i]);
            net_settle(&n);
            failed = cvy__memory_failed();
            cvy__memory_fail(0);
            ck_assert(err == 0 || err == UV_ENOMEM);
            ck_assert_int_eq(err == 0, strcmp(recorder_text(&n.log), "started\n") == 0);
            net_fini(&n);
        }
    }
}
END_TEST

/* M3: in flight it costs that connection and no other, and the listener goes on. */
static void fail_each_accept(const char *address)
{
    bool failed = true;
    for (long k = 1; failed; k++) {
        net_t n;
        net_init(&n);
        n.opts.retry_ms = 1;
        net_listen(&n, address);
        net_settle(&n);
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        cvy__memory_fail(k);
        NET_UNTIL(&n, (n.connected || n.failed) && (cvy__memory_failed() || (n.accepted && n.connected)));
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        int before = n.accepted;
        ck_assert_int_eq(net_dial(&n, NULL), 0); /* the next one is served */
        NET_UNTIL(&n, n.clients[1] && n.accepted > before);
        net_write(&n, 1, "ok");
        NET_UNTIL(&n, n.echoed == 2);
        net_fini(&n);
    }
}

START_TEST(every_allocation_of_an_accept_costs_one_connection) /* M3 */
{
    fail_each_accept(TCP);
    fail_each_accept("ipc://cvy-test-accept-nomem");
    fail_each_accept("inproc://cvy-accept-nomem");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    ADD_TESTS(suite, "starting", the_started_address_has_the_real_port,
              every_call_is_legal_in_every_state_and_idempotent, new_refuses_options_that_contradict_each_other,
              an_address_in_use_is_starts_error_and_calls_nothing_back, several_addresses_are_bound_all_or_none,
              several_addresses_are_all_started_and_served, bad_addresses_are_starts_error);
    ADD_TESTS(suite, "accepting", the_order_is_init_accepted_active_reading,
              an_init_that_fails_closes_and_is_never_active, closed_in_on_accepted_it_is_never_active,
              paused_it_accepts_nobody_and_resumed_all_that_wait);
    ADD_TESTS(suite, "ending", after_shutdown_connections_live_on, drained_its_connections_close_gracefully,
              shutdown_inside_on_accepted_is_the_last_one, shutdown_inside_on_started_tells_no_more_addresses,
              it_may_be_freed_inside_its_callbacks, a_reference_keeps_it_readable_after_the_end,
              the_loops_end_shuts_it_down, an_open_listener_keeps_the_loop_alive_and_a_closed_one_does_not,
              a_listener_that_breaks_fails_once_and_is_shut_down);
    tcase_set_timeout(ADD_TESTS(suite, "memory", every_allocation_of_start_may_fail,
                                every_allocation_of_an_accept_costs_one_connection),
                      30);
    return test_run(suite);
}
