/*
 * Two hosts and a bad network between them (cable.h): delay, loss, doubled and reordered packets, a narrow MTU, a cut cable, black holes. Contracts
 * T4, T10, T13, T17, L8. What is waited for is an outcome; nothing is said about how fast.
 *
 * Where the machine allows no network namespaces it says `skipped: ...` and ends with 77.
 */
#include <stdio.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "cable.h"
#include "endpoint/dialer.h"
#include "loop/loop.h"
#include "net.h"
#include "support.h"

/* A client that sends `total` bytes of a pattern, whenever it may, and checks what comes back. It reads also while it can't write (hold_reads is
 * off): else it and the echo could each wait for the other to read. */
static struct transfer {
    uint64_t sent, got, wrong, total;
} x;

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + (at >> 8) * 13 + (at >> 16));
}

static void fill(cvy_ctx_t *ctx)
{
    while (x.sent < x.total && cvy_ctx_writable(ctx)) {
        uint8_t piece[4096];
        size_t n = x.total - x.sent < sizeof piece ? (size_t)(x.total - x.sent) : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = pattern(x.sent + i);
        x.sent += n; /* taken, whatever it answers */
        if (cvy_fire_outbound_copy(ctx, piece, n)) return;
    }
}

static int on_active(cvy_ctx_t *ctx)
{
    fill(ctx);
    return 0;
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    uint8_t piece[4096];
    (void)ctx;
    for (size_t n; (n = cvy_buf_read(in, piece, sizeof piece)) > 0; x.got += n)
        for (size_t i = 0; i < n; i++)
            x.wrong += piece[i] != pattern(x.got + i);
}

static const cvy_stage_t sender = {
    .name = "sender", .on_active = on_active, .on_outbound_resume = fill, .on_inbound_bytes = on_bytes
};

static int init_sender(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &sender, NULL, NULL);
}

static const cvy_transport_opts_t both_ways = { .hold_reads = CVY_OFF };

/* A listener on host 0 whose connections echo; this thread then is on host 1. */
static void start(net_t *n, cable_t *c, const cable_opts_t *opts, const char *address)
{
    memset(&x, 0, sizeof x);
    cable_open(c, opts);
    cable_enter(c, 0);
    net_init(n);
    n->quiet = true;
    net_listen(n, address);
    n->dial.transport = &both_ways;
    cable_enter(c, 1);
}

static void end(net_t *n, cable_t *c)
{
    net_fini(n);
    cable_close(c);
}

static void dial_transfer(net_t *n, uint64_t total)
{
    cvy_conveyor_init_cb usual = n->dial.conveyor_init;
    x = (struct transfer){ .total = total };
    n->dial.conveyor_init = init_sender;
    ck_assert_int_eq(net_dial(n, NULL), 0);
    n->dial.conveyor_init = usual;
}

static void expect_all_back(net_t *n)
{
    int last = n->dialed - 1;
    NET_UNTIL(n, x.got >= x.total || n->failed || (n->connected > last && !n->clients[last]));
    ck_assert_uint_eq(x.got, x.total);
    ck_assert_uint_eq(x.wrong, 0);
}

/* Client 0: within host 0, so not over the cable. Whatever the cable does, its round trips take no more turns. */
static void dial_neighbour(net_t *n, const cable_t *c)
{
    cable_enter(c, 0);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected == 1);
    cable_enter(c, 1);
}

static const struct weather {
    const char *address;
    cable_opts_t cable;
    uint64_t total;
} weathers[] = {
    { "tcp://10.77.0.1:7000", { .delay_ms = 50, .jitter_ms = 10 }, 150000 },
    { "tcp://10.77.0.1:7000", { .delay_ms = 5, .loss = 5 }, 150000 },
    { "tcp://10.77.0.1:7000", { .delay_ms = 5, .jitter_ms = 5, .doubled = 20 }, 300000 },
    { "tcp://10.77.0.1:7000", { .mtu = 576 }, 1000000 },
    { "tcp://10.77.0.1:7000", { .delay_ms = 5, .jitter_ms = 5, .loss = 3, .doubled = 5, .mtu = 576 }, 50000 },
    { "tcp://[fd77::1]:7000", { .delay_ms = 5, .jitter_ms = 5, .loss = 2, .doubled = 5, .mtu = 1280 }, 100000 },
};
enum { WEATHERS = sizeof weathers / sizeof *weathers };

/* T4: accepted bytes arrive in order, exactly once, there and back, in any weather; the end is a clean one. */
START_TEST(every_byte_comes_back_in_any_weather)
{
    const struct weather *w = &weathers[_i];
    cable_t c;
    net_t n;
    start(&n, &c, &w->cable, w->address);
    dial_transfer(&n, w->total);
    expect_all_back(&n);
    ck_assert_int_eq(cvy_transport_shutdown(n.clients[0], 0), 0);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(n.listener));
    ck_assert_int_eq(n.cause, 0);
    ck_assert_int_gt(atomic_load(&c.carried), (int)(w->total / 1500));
    if (w->cable.loss) ck_assert_int_gt(atomic_load(&c.lost), 0); /* the weather was there */
    if (w->cable.doubled) ck_assert_int_gt(atomic_load(&c.doubled), 0);
    end(&n, &c);
}
END_TEST

static const struct notice {
    cvy_transport_opts_t opts;
    bool busy; /* bytes are under way when the cable is cut */
    bool down; /* our device goes down, instead of packets that vanish on their way */
    int code;
} notices[] = {
    { { .hold_reads = CVY_OFF, .write_stall_timeout_ms = 3000, .keepalive_s = 1 }, true, false, UV_ETIMEDOUT },
    { { .hold_reads = CVY_OFF, .write_stall_timeout_ms = 3000, .keepalive_s = 1 }, true, true, UV_ETIMEDOUT },
    { { .hold_reads = CVY_OFF, .write_stall_timeout_ms = CVY_OFF, .user_timeout_ms = 3000 },
      true,
      false,
      UV_ETIMEDOUT },
    /* Linux says what it heard meanwhile, if its estimate of the round trip let it send once more before the deadline */
    { { .hold_reads = CVY_OFF, .write_stall_timeout_ms = CVY_OFF, .user_timeout_ms = 3000 },
      true,
      true,
      UV_ENETUNREACH },
    { { .hold_reads = CVY_OFF, .keepalive_s = 1, .user_timeout_ms = 3000 }, false, false, UV_ETIMEDOUT },
};
enum { NOTICES = sizeof notices / sizeof *notices };

/* T10, T13, T17: a cable that is cut in mid-transfer is UV_ETIMEDOUT on our side, by whichever deadline is set; another connection on the same loop
 * goes on meanwhile, and when the cable is whole again a new one works. */
START_TEST(a_cut_cable_is_noticed_in_bounded_time_and_hurts_nobody_else)
{
    const struct notice *notice = &notices[_i];
    bool absent = cvy__socket_user_timeout(-1, 1) == UV_ENOTSUP; /* built without, see meson_options.txt */
    if (absent && notice->opts.user_timeout_ms) return;
    cable_t c;
    net_t n;
    enum { BEGUN = 10000 }; /* soon there: until the cut the deadlines must not be over */
    start(&n, &c, &(cable_opts_t){ .delay_ms = 2 }, "tcp://10.77.0.1:7000");
    n.dial.transport = &notice->opts;
    dial_neighbour(&n, &c);
    dial_transfer(&n, notice->busy ? UINT64_MAX : BEGUN);
    NET_UNTIL(&n, x.got >= BEGUN || n.cause || n.failed);
    ck_assert_int_eq(n.cause, 0);
    ck_assert_uint_eq(x.wrong, 0);
    if (notice->down)
        cable_link(&c, 1, false);
    else
        cable_cut(&c, true);
    cable_enter(&c, 1);
    while (n.open > 1)
        ck_assert_uint_le(net_round_trip(&n, 0), 12);
    if (n.cause != UV_ETIMEDOUT) ck_assert_int_eq(n.cause, notice->code);
    ck_assert_ptr_nonnull(n.clients[0]);
    if (notice->down) cable_link(&c, 1, true);
    cable_cut(&c, false);
    cable_enter(&c, 1);
    n.dial.transport = &both_ways;
    dial_transfer(&n, 100000);
    expect_all_back(&n);
    ck_assert_uint_le(net_round_trip(&n, 0), 12);
    end(&n, &c);
}
END_TEST

static cable_t *mended;

static void mend(cvy_timer_t *timer)
{
    (void)timer;
    cable_cut(mended, false);
}

/* T4, T10: a cut that is shorter than the deadlines costs time, and not one byte. */
START_TEST(a_short_cut_loses_nothing)
{
    cable_t c;
    net_t n;
    cvy_timer_t timer;
    start(&n, &c, &(cable_opts_t){ .delay_ms = 5 }, "tcp://10.77.0.1:7000");
    dial_transfer(&n, 1000000);
    cvy_timer_init(&timer, n.loop, mend, NULL);
    mended = &c;
    for (uint64_t at = 200000; at <= 600000; at += 200000) {
        NET_UNTIL(&n, x.got >= at);
        cable_cut(&c, true);
        cvy_timer_start(&timer, 100);
        NET_UNTIL(&n, !cvy_timer_armed(&timer));
    }
    expect_all_back(&n);
    ck_assert_int_gt(atomic_load(&c.lost), 0);
    end(&n, &c);
}
END_TEST

/* L8: who dials into a black hole hears so after timeout_ms, once; others on the loop go on. */
START_TEST(dialing_into_a_black_hole_ends_at_the_dialers_own_timeout)
{
    cable_t c;
    net_t n;
    start(&n, &c, &(cable_opts_t){ 0 }, "tcp://10.77.0.1:7000");
    dial_neighbour(&n, &c);
    cable_cut(&c, true);
    n.dial.timeout_ms = 300;
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    while (!n.failed)
        ck_assert_uint_le(net_round_trip(&n, 0), 12);
    ck_assert_int_eq(n.result, UV_ETIMEDOUT);
    net_settle(&n);
    ck_assert_int_eq(n.failed, 1);
    ck_assert_int_eq(n.connected, 1);
    NET_UNTIL(&n, atomic_load(&c.lost) > 0); /* the cable's thread may be late */
    end(&n, &c);
}
END_TEST

/* L8, RFC 8305: IPv6 is there and answers nothing: IPv4 starts 250 ms later and wins, long before any timeout. */
START_TEST(a_dead_ipv6_is_overtaken_by_ipv4)
{
    cable_t c;
    net_t n;
    start(&n, &c, &(cable_opts_t){ .delay_ms = 5 }, "tcp://10.77.0.1:7000");
    cable_cut_ipv6(&c);
    n.dial.timeout_ms = 20000;
    uint64_t before = uv_hrtime();
    net_turn(&n, 0); /* takes the loop's clock, which is not earlier now */
    cvy_dialer_t *d = net_dial_list(&n, (const char *[]){ "tcp://[fd77::1]:7000", n.address }, 2);
    NET_UNTIL(&n, n.connected || n.failed);
    ck_assert_int_eq(n.connected, 1);
    ck_assert_uint_eq(d->next_target, 2);
    ck_assert_str_eq(cvy_transport_other_endpoint(n.clients[0]), n.address);
    ck_assert_uint_ge((uv_hrtime() - before) / 1000000, 248); /* whole milliseconds, of two clocks */
    NET_UNTIL(&n, atomic_load(&c.lost) > 0);                  /* a SYN at least */
    end(&n, &c);
}
END_TEST

int main(void)
{
    const char *why = cable_missing();
    if (why) {
        printf("skipped: %s\n", why);
        return 77;
    }
    Suite *s = suite_create("network");
    TCase *tc = test_case("network");
    tcase_add_loop_test(tc, every_byte_comes_back_in_any_weather, 0, WEATHERS);
    tcase_add_loop_test(tc, a_cut_cable_is_noticed_in_bounded_time_and_hurts_nobody_else, 0, NOTICES);
    tcase_add_test(tc, a_short_cut_loses_nothing);
    tcase_add_test(tc, dialing_into_a_black_hole_ends_at_the_dialers_own_timeout);
    tcase_add_test(tc, a_dead_ipv6_is_overtaken_by_ipv4);
    suite_add_tcase(s, tc);
    return test_run(s);
}
