/*
 * Many connections, over every address scheme and every way to serve (L3, L5, L6, L9, R9): limits, bursts, quick rounds, and clients
 * that leave before they are accepted. CONFORM_KIND=tcp:// runs one scheme.
 */
#include <stdatomic.h>
#include <string.h>
#include <uv.h>

#include "scheme.h"

/* Limits */

static bool is_served(net_t *n, int i)
{
    cvy_transport_stats_t stats;
    if (!n->clients[i] || cvy_transport_closing(n->clients[i])) return false;
    cvy_transport_stats(n->clients[i], &stats);
    return stats.bytes_read > 0;
}

static void close_served(net_t *n)
{
    for (int i = 0; i < n->dialed; i++) {
        if (!is_served(n, i)) continue;
        cvy_transport_close(n->clients[i], CVY_CLOSE_NOW);
        return;
    }
    ck_abort_msg("nobody is served");
}

static void greet(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    cvy_buf_t b = CVY_BUF_INIT;
    (void)n, (void)d;
    ck_assert_int_eq(cvy_buf_append(&b, "x", 1), 0);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(t), &b), 0);
    cvy_buf_fini(&b);
}

/* Whether a turn waits whole, once what was under way has come. */
static bool sleeps(net_t *n)
{
    for (int i = 0; i < 50; i++) {
        uint64_t before = uv_hrtime();
        net_turn(n, 30);
        if ((uv_hrtime() - before) / 1000000 >= 25) return true;
    }
    return false;
}

/* L6 */
START_OVER_SCHEMES(at_max_connections_accepting_pauses_and_goes_on_five_percent_below)
{
    n->opts.max_connections = 40; /* goes on at 38 */
    n->on_connected = greet;
    ends_listen(&e);
    for (int i = 0; i < 45; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->accepted == 40 && n->echoed == 40);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 40);
    ck_assert_uint_eq(ends_connections(&e), 40);
    if (!n->group) ck_assert(sleeps(n)); /* those who wait do not wake the loop */
    close_served(n);
    NET_UNTIL(n, ends_connections(&e) == 39);
    net_settle(n);
    ck_assert_int_eq(net_pause(n), 0);
    ck_assert_int_eq(net_resume(n), 0);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 40); /* not yet, whoever resumes */
    close_served(n);
    NET_UNTIL(n, n->accepted == 42);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 42);
    NET_UNTIL(n, n->echoed == 42);
    for (int i = 0; i < 4; i++) /* at least twice two */
        close_served(n);
    NET_UNTIL(n, n->accepted == 45 && n->connected == 45);
    net_close_clients(n);
    NET_UNTIL(n, !ends_connections(&e));
    ck_assert_int_eq(n->errors, 0);
}
END_OVER_SCHEMES

/* L6 */
START_OVER_SCHEMES(one_connection_at_a_time_is_served_one_after_the_other)
{
    n->opts.max_connections = 1;
    n->on_connected = greet;
    ends_listen(&e);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    for (int i = 0; i < 6; i++) {
        NET_UNTIL(n, n->accepted == i + 1 && n->echoed == (size_t)i + 1);
        net_settle(n);
        ck_assert_int_eq(n->accepted, i + 1);
        ck_assert_uint_eq(ends_connections(&e), 1);
        close_served(n);
    }
}
END_OVER_SCHEMES

/* L9: no fewer than asked for wait in the backlog, and not many more (systems round up; TCP by half). */
START_OVER_SCHEMES(the_backlog_bounds_those_who_wait)
{
    n->opts.backlog = 4;
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected >= 4);
    net_settle(n);
    ck_assert_int_le(n->connected, n->opts.reuse_port ? NET_LOOPS * 8 : 8);
    for (int i = 0; i < 40; i++)
        if (!n->clients[i]) cvy_dialer_cancel(n->dialers[i]);
    NET_UNTIL(n, n->connected + n->failed == 40);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted >= n->connected);
}
END_OVER_SCHEMES

/* Crowds */

/* R9, L5 */
START_OVER_SCHEMES(a_burst_of_200_dials_is_served)
{
    ends_listen(&e);
    n->on_connected = greet;
    ends_dial(&e, 200);
    NET_UNTIL(n, n->accepted == 200 && n->echoed == 200);
    ck_assert_uint_eq(ends_connections(&e), 200);
    net_close_clients(n);
    NET_UNTIL(n, !ends_connections(&e) && !n->open);
    ck_assert_int_eq(n->errors, 0);
}
END_OVER_SCHEMES

/* Each connection carries a number of its own; the server answers with it and one more. */

typedef struct numbered {
    uint32_t number;
    size_t got;
    uint8_t bytes[8];
} numbered_t;

static int wrong, answered;
static uint32_t next_number;

static int number_added(cvy_ctx_t *ctx, const void *opts)
{
    numbered_t *own = cvy_ctx_state(ctx);
    (void)opts;
    own->number = ++next_number;
    return 0;
}

static int say_number(cvy_ctx_t *ctx)
{
    numbered_t *own = cvy_ctx_state(ctx);
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, &own->number, sizeof own->number), 0);
    return 0;
}

static void check_number(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    numbered_t *own = cvy_ctx_state(ctx);
    uint32_t back[2];
    size_t len = cvy_buf_len(in);
    ck_assert_uint_le(own->got + len, sizeof own->bytes);
    ck_assert_uint_eq(cvy_buf_read(in, own->bytes + own->got, len), len);
    own->got += len;
    if (own->got < sizeof own->bytes) return;
    memcpy(back, own->bytes, sizeof back);
    wrong += back[0] != own->number || back[1] != own->number + 1;
    answered++;
    cvy_transport_close(cvy_ctx_transport(ctx), (cvy_close_verb_t)(CVY_CLOSE_GRACEFUL + answered % 3));
}

static const cvy_stage_t numbered = { .name = "numbered",
                                      .state_size = sizeof(numbered_t),
                                      .on_added = number_added,
                                      .on_active = say_number,
                                      .on_inbound_bytes = check_number };

static void answer_number(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    numbered_t *own = cvy_ctx_state(ctx);
    size_t len = cvy_buf_len(in);
    ck_assert_uint_le(own->got + len, sizeof own->number); /* a second one would be another connection's */
    ck_assert_uint_eq(cvy_buf_read(in, own->bytes + own->got, len), len);
    own->got += len;
    if (own->got < sizeof own->number) return;
    memcpy(&own->number, own->bytes, sizeof own->number);
    uint32_t answer[2] = { own->number, own->number + 1 };
    cvy_fire_outbound_copy(ctx, answer, sizeof answer);
}

static const cvy_stage_t answering = { .name = "answering",
                                       .state_size = sizeof(numbered_t),
                                       .on_inbound_bytes = answer_number };

static int init_numbered(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &numbered, NULL, NULL);
}

static int init_answering(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &answering, NULL, NULL);
}

/* T16, L8: descriptors and slots are used again at once. Four at a time. */
START_OVER_SCHEMES(a_hundred_rounds_of_connect_and_close_carry_no_bytes_across)
{
    enum { ROUNDS = 100, AT_ONCE = 4 };
    wrong = answered = 0;
    n->opts.conveyor_init = init_answering;
    n->dial.conveyor_init = init_numbered;
    ends_listen(&e);
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < AT_ONCE; i++)
            ck_assert_int_eq(net_dial(n, NULL), 0);
        NET_UNTIL(n, answered + n->failed == round * AT_ONCE);
    }
    ck_assert_int_eq(n->failed, 0);
    ck_assert_int_eq(wrong, 0);
    NET_UNTIL(n, !n->open && !ends_connections(&e));
    ck_assert_int_eq(n->accepted, ROUNDS * AT_ONCE);
}
END_OVER_SCHEMES

static void come_and_leave(ends_t *e, cvy_close_verb_t how)
{
    net_t *n = &e->net;
    ends_listen(e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    ends_dial(e, 20);
    for (int i = 0; i < 20; i += 2)
        cvy_transport_close(n->clients[i], how);
    NET_UNTIL(n, n->open == 10);
    for (int i = 1; i < 20; i += 2)
        net_write(n, i, "x");
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->echoed == 10);
    NET_UNTIL(n, ends_connections(e) == 10);
    ck_assert_int_eq(n->errors + n->failures, 0);
    ck_assert_int_eq(cvy_listener_state(n->listener), CVY_LISTENER_RUNNING);
}

/* L3 */
START_OVER_SCHEMES(clients_that_connect_and_close_before_they_are_accepted_hurt_nobody)
{
    come_and_leave(&e, CVY_CLOSE_NOW);
}
END_OVER_SCHEMES

static atomic_int gone, gone_by_reset;

static void count_cause(cvy_transport_t *t, int cause, void *arg)
{
    (void)t, (void)arg;
    gone_by_reset += cause == UV_ECONNRESET;
    gone++;
}

static void watch_cause(net_t *n, cvy_transport_t *t)
{
    (void)n;
    cvy_transport_on_shutdown_completed(t, count_cause, NULL);
}

/* L3, T17: what of them is accepted at all ends by a reset, also where the system knows them as not connected any more. */
START_OVER_SCHEMES(clients_that_connect_and_reset_before_they_are_accepted_hurt_nobody)
{
    gone = gone_by_reset = 0;
    n->on_accepted = watch_cause;
    come_and_leave(&e, CVY_CLOSE_RESET);
    int ended = gone;
    ck_assert_int_ge(gone_by_reset, ended);
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(at_max_connections_accepting_pauses_and_goes_on_five_percent_below, 0),
        OVER_SCHEMES(one_connection_at_a_time_is_served_one_after_the_other, 0),
        OVER_SCHEMES(the_backlog_bounds_those_who_wait, NEEDS_QUEUE | NEEDS_OWN_SOCKET),
        OVER_SCHEMES(a_burst_of_200_dials_is_served, 0),
        OVER_SCHEMES(a_hundred_rounds_of_connect_and_close_carry_no_bytes_across, 0),
        OVER_SCHEMES(clients_that_connect_and_close_before_they_are_accepted_hurt_nobody, NEEDS_QUEUE),
        OVER_SCHEMES(clients_that_connect_and_reset_before_they_are_accepted_hurt_nobody, NEEDS_QUEUE | NEEDS_RESET),
    };
    return scheme_run("crowd", cases, CONFORM_COUNT(cases));
}
