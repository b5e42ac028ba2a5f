/* Dialing, what is not of every scheme: see test_conformance_dial.c and test_conformance_giveup.c for that (L8, R5, M3). */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "endpoint/dialer.h"
#include "net.h"
#include "support.h"

/* L8 */
START_TEST(new_wants_an_address_and_a_loop)
{
    net_t n;
    cvy_dialer_t *d;
    net_init(&n);
    ck_assert_int_eq(cvy_dialer_new(&d, NULL), UV_EINVAL);
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .loop = n.loop }), UV_EINVAL);
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = "inproc://x" }), UV_EINVAL);
    cvy_dialer_free(NULL);
    net_fini(&n);
}
END_TEST

/* L8 */
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

/* L8 */
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

/* R2 */
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

/* L8: the loop outlives the dial, and not the dialer. */
START_TEST(a_dial_that_had_its_result_does_not_look_at_its_loop)
{
    cvy_loop_t *loop;
    cvy_dialer_t *d;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = "inproc://nobody", .loop = loop }), 0);
    ck_assert_int_eq(cvy_dialer_dial(d), 0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    cvy_loop_unref(loop);
    d->opts.loop = NULL; /* for who runs this without a tool that sees who looks at freed memory */
    ck_assert_int_eq(cvy_dialer_cancel(d), UV_EALREADY);
    ck_assert_int_eq(cvy_dialer_dial(d), UV_EALREADY);
    cvy_dialer_free(d);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* L8, T17: also a dial that would have connected at once. */
START_TEST(a_loop_that_is_stopped_cancels_a_dial_that_somebody_awaits)
{
    const char *const addresses[] = { "tcp://127.0.0.1:0", "inproc://awaited", net_ipc("awaited") };
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        net_t n;
        net_init(&n);
        net_listen(&n, addresses[i]);
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        cvy_loop_stop(n.loop);
        ck_assert_int_eq(cvy_loop_run(n.loop), 0);
        ck_assert_int_eq(n.connected, 0);
        ck_assert_int_eq(n.failed, 1);
        ck_assert_int_eq(n.result, UV_ECANCELED);
        net_fini(&n);
    }
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

int main(void)
{
    Suite *suite = suite_create("dialer");
    ADD_TESTS(suite, "connecting", bind_address_is_where_it_connects_from);
    ADD_TESTS(suite, "calls", new_wants_an_address_and_a_loop, bad_addresses_are_dials_error_and_call_nothing_back,
              cancelling_a_connect_or_a_lookup_under_way_gives_one_result);
    ADD_TESTS(suite, "loops", a_loop_is_detached_only_after_connect_and_lookup_have_come_back,
              dial_on_a_loop_that_was_stopped_is_eshutdown, a_loop_that_is_stopped_cancels_a_dial_that_somebody_awaits,
              a_dial_that_had_its_result_does_not_look_at_its_loop);
    return test_run(suite);
}
