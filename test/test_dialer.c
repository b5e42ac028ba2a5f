/* Dialing: one result, never inside dial, whatever happens meanwhile (L8, T17, M3). */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "endpoint/dialer.h"
#include "net.h"
#include "support.h"

/* A port that nobody listens on: bound by us a moment ago. */
static void free_port(char *out, size_t size)
{
    net_t other;
    net_init(&other);
    net_listen(&other, "tcp://127.0.0.1:0");
    snprintf(out, size, "%s", other.address);
    net_fini(&other);
}

START_TEST(a_dial_connects_and_bytes_come_back) /* L8 */
{
    static const char *const addresses[] = {
        "tcp://127.0.0.1:0",
        "ipc://cvy-test-dialer",
        "inproc://test-dialer",
#ifndef _WIN32
        "unix:///tmp/cvy-test-dialer.sock",
#endif
#ifdef __linux__
        "unix://@cvy-test-dialer",
#endif
    };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        net_t n;
        net_init(&n);
        net_listen(&n, addresses[i]);
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        ck_assert_int_eq(n.connected, 0); /* never inside dial */
        NET_UNTIL(&n, n.connected && n.accepted);
        net_write(&n, 0, "hello");
        NET_UNTIL(&n, n.echoed == 5);
        ck_assert_int_eq(n.failed, 0);
        ck_assert_str_eq(cvy_dialer_message(n.dialers[0]), "");
        net_fini(&n);
    }
}
END_TEST

START_TEST(a_host_name_is_looked_up)
{
    net_t n;
    char address[64];
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    snprintf(address, sizeof address, "tcp://localhost%s", strrchr(n.address, ':'));
    ck_assert_int_eq(net_dial(&n, address), 0);
    NET_UNTIL(&n, n.connected || n.failed);
    ck_assert_msg(n.connected == 1, "%s", cvy_dialer_message(n.dialers[0]));
    net_fini(&n);
}
END_TEST

START_TEST(nobody_there_is_econnrefused_with_a_message) /* T17 */
{
    net_t n;
    char address[256], line[400];
    net_init(&n);
    free_port(address, sizeof address);
    ck_assert_int_eq(net_dial(&n, address), 0);
    ck_assert_int_eq(n.failed, 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    snprintf(line, sizeof line, "%s: connection refused (ECONNREFUSED)", address);
    ck_assert_str_eq(cvy_dialer_message(n.dialers[0]), line);
    net_settle(&n);
    ck_assert_int_eq(n.failed, 1);
    net_fini(&n);
}
END_TEST

START_TEST(an_unknown_inproc_name_is_econnrefused)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_dial(&n, "inproc://nobody"), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    net_fini(&n);
}
END_TEST

START_TEST(bad_addresses_are_dials_error_and_call_nothing_back)
{
    static const struct {
        const char *address;
        int err;
    } cases[] = {
        { "tcp://127.0.0.1:0", UV_EINVAL }, { "tcp://localhost:0", UV_EINVAL },
        { "nonsense", UV_EINVAL },          { "tcp://127.0.0.1:70000", UV_EINVAL },
#ifdef _WIN32
        { "unix:///x", UV_ENOTSUP },
#else
        { "pipe://x", UV_ENOTSUP },
#endif
    };
    net_t n;
    net_init(&n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_int_eq(net_dial(&n, cases[i].address), cases[i].err);
    net_settle(&n);
    ck_assert_int_eq(n.failed + n.connected, 0);
    net_fini(&n);
}
END_TEST

START_TEST(the_calls_answer_by_state)
{
    net_t n;
    cvy_dialer_t *d;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .loop = n.loop }), UV_EINVAL);
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = "inproc://x" }), UV_EINVAL);
    n.dial.address = n.address;
    ck_assert_int_eq(cvy_dialer_new(&d, &n.dial), 0);
    ck_assert_int_eq(cvy_dialer_cancel(d), UV_EINVAL); /* not dialed */
    n.dialers[n.dialed++] = d;
    ck_assert_int_eq(cvy_dialer_dial(d), 0);
    ck_assert_int_eq(cvy_dialer_dial(d), UV_EALREADY);
    NET_UNTIL(&n, n.connected);
    ck_assert_int_eq(cvy_dialer_dial(d), UV_EALREADY);
    ck_assert_int_eq(cvy_dialer_cancel(d), UV_EALREADY); /* there was a result */
    cvy_dialer_free(NULL);
    net_fini(&n);
}
END_TEST

START_TEST(cancel_gives_ecanceled_once_and_later) /* L8 */
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    ck_assert_int_eq(cvy_dialer_cancel(n.dialers[0]), 0);
    ck_assert_int_eq(cvy_dialer_cancel(n.dialers[0]), 0);
    ck_assert_int_eq(n.failed, 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECANCELED);
    ck_assert_int_eq(cvy_dialer_cancel(n.dialers[0]), UV_EALREADY);
    net_settle(&n);
    ck_assert_int_eq(n.failed, 1);
    ck_assert_int_eq(n.connected, 0);
    net_fini(&n);
}
END_TEST

START_TEST(cancelling_a_connect_or_a_lookup_under_way_gives_one_result)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    for (int turns = 0; turns < 3; turns++) {
        char address[64];
        snprintf(address, sizeof address, "tcp://localhost%s", strrchr(n.address, ':'));
        int before = n.failed + n.connected, first = n.dialed;
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        ck_assert_int_eq(net_dial(&n, address), 0);
        for (int i = 0; i < turns; i++)
            net_turn(&n, 0);
        for (int i = 0; i < 2; i++)
            cvy_dialer_cancel(n.dialers[first + i]);
        NET_UNTIL(&n, n.failed + n.connected - before >= 2);
        net_settle(&n);
        ck_assert_int_eq(n.failed + n.connected - before, 2);
    }
    net_fini(&n);
}
END_TEST

START_TEST(a_loop_that_ends_mid_dial_fails_it_once)
{
    net_t n;
    net_init(&n);
    ck_assert_int_eq(net_dial(&n, "tcp://127.0.0.1:1"), 0);
    cvy_loop_stop(n.loop);
    ck_assert_int_eq(cvy_loop_run(n.loop), 0);
    ck_assert_int_eq(n.failed, 1);
    ck_assert_int_eq(n.result, UV_ECANCELED);
    net_fini(&n);
    ck_assert_int_eq(n.failed, 1);
}
END_TEST

static void on_detached(cvy_loop_t *loop, void *arg)
{
    cvy_dialer_t *d = arg;
    (void)loop;
    ck_assert_uint_eq(d->requests, 0); /* libuv owes us nothing any more */
    d->retry_ms = 4711;
}

START_TEST(a_loop_is_detached_only_after_connect_and_lookup_have_come_back) /* R5 */
{
    static const char *const addresses[] = { "tcp://127.0.0.1:1", "tcp://localhost:1" };
    for (int i = 0; i < 2; i++) {
        uv_loop_t uv;
        cvy_loop_t *loop;
        cvy_dialer_t *d;
        ck_assert_int_eq(uv_loop_init(&uv), 0);
        ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
        ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = addresses[i], .loop = loop }), 0);
        ck_assert_int_eq(cvy_dialer_dial(d), 0);
        cvy__loop_settle(loop);
        ck_assert_uint_eq(d->requests, 1);
        ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL), UV_EBUSY);
        ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, d), 0);
        uv_run(&uv, UV_RUN_DEFAULT);
        ck_assert_uint_eq(d->retry_ms, 4711);
        ck_assert_int_eq(uv_loop_close(&uv), 0);
        cvy_dialer_free(d);
        cvy_loop_unref(loop);
        ck_assert_uint_eq(cvy__memory_live(), 0);
    }
}
END_TEST

START_TEST(dial_on_a_loop_that_was_stopped_is_eshutdown)
{
    net_t n;
    net_init(&n);
    cvy_loop_stop(n.loop);
    ck_assert_int_eq(net_dial(&n, "tcp://127.0.0.1:1"), UV_ESHUTDOWN);
    net_fini(&n);
    ck_assert_int_eq(n.failed, 0);
}
END_TEST

START_TEST(freed_mid_dial_it_calls_nothing_back)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    for (int turns = 0; turns < 3; turns++) {
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        int before = n.connected;
        for (int i = 0; i < turns; i++)
            net_turn(&n, 0);
        if (n.connected == before) cvy_dialer_free(n.dialers[--n.dialed]);
        net_settle(&n);
        ck_assert_int_eq(n.connected, before + (n.connected > before));
    }
    ck_assert_int_eq(n.failed, 0);
    net_fini(&n);
}
END_TEST

/* Freeing inside callbacks. */

static net_t *freeing;

static void free_on_connected(cvy_dialer_t *d, cvy_transport_t *t, void *arg)
{
    (void)t, (void)arg;
    freeing->connected++;
    cvy_dialer_free(d);
}

static void free_on_failure(cvy_dialer_t *d, int err, void *arg)
{
    (void)arg;
    freeing->failed++;
    freeing->result = err;
    cvy_dialer_free(d);
}

static int add_nothing(cvy_conveyor_t *c, void *arg)
{
    (void)c, (void)arg;
    return 0;
}

static void dial_and_forget(net_t *n, const char *address)
{
    cvy_dialer_t *d;
    freeing = n;
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = address,
                                                              .loop = n->loop,
                                                              .conveyor_init = add_nothing,
                                                              .on_connected = free_on_connected,
                                                              .on_failure = free_on_failure }),
                     0);
    ck_assert_int_eq(cvy_dialer_dial(d), 0);
}

START_TEST(a_dialer_may_be_freed_inside_its_callbacks) /* L8 */
{
    net_t n;
    char nobody[256];
    net_init(&n);
    free_port(nobody, sizeof nobody);
    net_listen(&n, "tcp://127.0.0.1:0");
    dial_and_forget(&n, n.address);
    dial_and_forget(&n, nobody);
    dial_and_forget(&n, "inproc://nobody");
    NET_UNTIL(&n, n.connected == 1 && n.failed == 2);
    net_fini(&n);
}
END_TEST

static cvy_dialer_t *freed_by_init;

static int free_in_init(cvy_conveyor_t *c, void *arg)
{
    (void)c, (void)arg;
    cvy_dialer_free(freed_by_init);
    return 0;
}

START_TEST(freed_inside_conveyor_init_it_connects_nobody)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    freeing = &n;
    ck_assert_int_eq(cvy_dialer_new(&freed_by_init, &(cvy_dialer_opts_t){ .address = n.address,
                                                                          .loop = n.loop,
                                                                          .conveyor_init = free_in_init,
                                                                          .on_connected = free_on_connected,
                                                                          .on_failure = free_on_failure }),
                     0);
    ck_assert_int_eq(cvy_dialer_dial(freed_by_init), 0);
    NET_UNTIL(&n, n.accepted && cvy_listener_connections(n.listener) == 0);
    ck_assert_int_eq(n.connected + n.failed, 0);
    net_fini(&n);
}
END_TEST

static int fail_init(cvy_conveyor_t *c, void *arg)
{
    (void)c, (void)arg;
    return UV_EPROTO;
}

START_TEST(an_init_that_fails_is_the_result_and_closes) /* L2 */
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    n.dial.conveyor_init = fail_init;
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.failed && n.accepted && cvy_listener_connections(n.listener) == 0);
    ck_assert_int_eq(n.result, UV_EPROTO);
    ck_assert_int_eq(n.connected, 0);
    net_fini(&n);
}
END_TEST

START_TEST(a_transport_may_be_closed_and_written_to_in_on_connected)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "inproc://cvy-close");
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected == 8);
    net_close_clients(&n);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(n.listener));
    net_fini(&n);
}
END_TEST

START_TEST(a_pending_dial_keeps_the_loop_alive_and_its_end_lets_go) /* R7 */
{
    net_t n;
    char nobody[256];
    net_init(&n);
    free_port(nobody, sizeof nobody);
    ck_assert_int_eq(net_dial(&n, nobody), 0);
    ck_assert(uv_loop_alive(cvy_loop_uv(n.loop)));
    NET_UNTIL(&n, n.failed);
    net_settle(&n);
    ck_assert(!uv_loop_alive(cvy_loop_uv(n.loop)));
    net_fini(&n);
}
END_TEST

START_TEST(bind_address_is_where_it_connects_from)
{
#ifdef __linux__ /* all of 127/8 is this machine's */
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    n.dial.bind_address = "tcp://127.0.0.2:0";
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected);
    ck_assert_int_eq(strncmp(cvy_transport_self_endpoint(n.clients[0]), "tcp://127.0.0.2:", 16), 0);
    ck_assert_str_eq(cvy_transport_other_endpoint(n.clients[0]), n.address);
    n.dial.bind_address = "tcp://127.0.0.300:0";
    ck_assert_int_eq(net_dial(&n, NULL), UV_EINVAL);
    n.dial.bind_address = "inproc://x";
    ck_assert_int_eq(net_dial(&n, NULL), UV_EINVAL);
    net_fini(&n);
#endif
}
END_TEST

/* M3: every allocation of a dial fails once, for every kind. */
static void fail_each_allocation(const char *address)
{
    for (long k = 1;; k++) {
        net_t n;
        net_init(&n);
        net_listen(&n, address);
        n.dial.timeout_ms = 5000;
        net_settle(&n);
        cvy__memory_fail(k);
        int err = net_dial(&n, NULL);
        if (err)
            ck_assert_int_eq(err, UV_ENOMEM);
        else
            NET_UNTIL(&n, (n.connected || n.failed) && (cvy__memory_failed() || (n.accepted && n.connected)));
        bool failed = cvy__memory_failed();
        cvy__memory_fail(0);
        if (n.failed) ck_assert_int_eq(n.result, UV_ENOMEM);
        net_fini(&n);
        if (!failed) {
            ck_assert_int_gt(k, 3);
            return;
        }
    }
}

START_TEST(every_allocation_of_a_dial_may_fail) /* M3 */
{
    fail_each_allocation("tcp://127.0.0.1:0");
    fail_each_allocation("ipc://cvy-test-nomem");
    fail_each_allocation("inproc://cvy-nomem");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialer");
    ADD_TESTS(suite, "connecting", a_dial_connects_and_bytes_come_back, a_host_name_is_looked_up,
              nobody_there_is_econnrefused_with_a_message, an_unknown_inproc_name_is_econnrefused,
              an_init_that_fails_is_the_result_and_closes, a_transport_may_be_closed_and_written_to_in_on_connected,
              bind_address_is_where_it_connects_from);
    ADD_TESTS(suite, "calls", bad_addresses_are_dials_error_and_call_nothing_back, the_calls_answer_by_state,
              cancel_gives_ecanceled_once_and_later, cancelling_a_connect_or_a_lookup_under_way_gives_one_result,
              freed_mid_dial_it_calls_nothing_back, a_dialer_may_be_freed_inside_its_callbacks,
              freed_inside_conveyor_init_it_connects_nobody);
    ADD_TESTS(suite, "loops", a_loop_that_ends_mid_dial_fails_it_once,
              a_loop_is_detached_only_after_connect_and_lookup_have_come_back,
              dial_on_a_loop_that_was_stopped_is_eshutdown, a_pending_dial_keeps_the_loop_alive_and_its_end_lets_go);
    tcase_set_timeout(ADD_TESTS(suite, "memory", every_allocation_of_a_dial_may_fail), 30);
    return test_run(suite);
}
