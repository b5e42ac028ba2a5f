/*
 * Accepting, over every address scheme and every way to serve (L1, L2, E5, E6): the order of callbacks, and pausing. CONFORM_KIND=tcp:// runs one scheme.
 */
#include <stdio.h>
#include <string.h>

#include "scheme.h"

/* Order. The client's end is a plain one: it counts what comes back. */

static void record_server(ends_t *e)
{
    cvy_conveyor_init_cb plain = e->net.dial.conveyor_init;
    ends_record(e);
    e->net.dial.conveyor_init = plain;
}

static void until_server_gone(ends_t *e)
{
    NET_UNTIL(&e->net, e->server_gone && !ends_connections(e));
}

/* L2, E5 */
START_OVER_SCHEMES(the_order_is_init_accepted_active_reading)
{
    record_server(&e);
    ends_listen(&e);
    ends_dial(&e, 1);
    net_write(n, 0, "x");
    NET_UNTIL(n, n->echoed == 1);
    net_close_clients(n);
    until_server_gone(&e);
    ck_assert_str_eq(recorder_text(&n->log),
                     "started\ninit\ns: added\naccepted\ns: active\ns: bytes 1 x\ns: read-closed\n"
                     "s: out-close graceful 0\ns: inactive\ns: removed\ngone 0\n");
}
END_OVER_SCHEMES

/* L2: and the next one is served. */
START_OVER_SCHEMES(an_init_that_fails_closes_and_active_is_never_seen)
{
    record_server(&e);
    n->init_answer = UV_EPROTO;
    ends_listen(&e);
    ends_dial(&e, 1);
    until_server_gone(&e);
    ck_assert_str_eq(recorder_text(&n->log), "started\ninit\ns: added\ns: removed\ngone EPROTO\n");
    ck_assert_int_eq(n->accepted, 0);
    ck_assert_int_eq(cvy_listener_state(n->listener), CVY_LISTENER_RUNNING);
    NET_UNTIL(n, !n->open); /* its client hears of it */
    n->init_answer = 0;
    ends_dial(&e, 1);
    net_write(n, 1, "x");
    NET_UNTIL(n, n->echoed == 1);
    ck_assert_int_eq(n->errors, 0);
}
END_OVER_SCHEMES

static cvy_close_verb_t verb;
static void close_it(net_t *n, cvy_transport_t *t)
{
    (void)n;
    ck_assert_int_eq(cvy_transport_close(t, verb), 0);
}

static void closed_on_accepted(ends_t *e, cvy_close_verb_t how)
{
    net_t *n = &e->net;
    verb = how;
    record_server(e);
    n->on_accepted = close_it;
    ends_listen(e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    until_server_gone(e);
    NET_UNTIL(n, n->connected + n->failed && !n->open); /* a reset may come before the connect is told */
    ck_assert_str_eq(recorder_text(&n->log), "started\ninit\ns: added\naccepted\ns: removed\ngone 0\n");
}

/* E6 */
START_OVER_SCHEMES(closed_now_inside_on_accepted_it_is_only_removed)
{
    closed_on_accepted(&e, CVY_CLOSE_NOW);
}
END_OVER_SCHEMES

/* E6, T9 */
START_OVER_SCHEMES(closed_gracefully_inside_on_accepted_it_is_only_removed)
{
    closed_on_accepted(&e, CVY_CLOSE_GRACEFUL);
}
END_OVER_SCHEMES

/* E6, T9 */
START_OVER_SCHEMES(reset_inside_on_accepted_it_is_only_removed)
{
    closed_on_accepted(&e, CVY_CLOSE_RESET);
}
END_OVER_SCHEMES

static void on_writing_accepted(net_t *n, cvy_transport_t *t)
{
    cvy_buf_t b = CVY_BUF_INIT;
    (void)n;
    ck_assert_int_eq(cvy_buf_append(&b, "welcome", 7), 0);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(t), &b), 0);
    cvy_buf_fini(&b);
}

/* L2, T4 */
START_OVER_SCHEMES(what_is_written_inside_on_accepted_arrives)
{
    n->on_accepted = on_writing_accepted;
    ends_listen(&e);
    ends_dial(&e, 1);
    NET_UNTIL(n, n->echoed == 7);
}
END_OVER_SCHEMES

/* Pausing */

/* L1: as many as any kind lets wait. */
START_OVER_SCHEMES(paused_it_accepts_nobody_and_resumed_nobody_is_lost)
{
    enum { CLIENTS = 100 };
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    ends_dial(&e, CLIENTS); /* in the backlog */
    for (int i = 0; i < CLIENTS; i++)
        net_write(n, i, "ping");
    net_settle(n);
    ck_assert_int_eq(n->accepted, 0);
    ck_assert_uint_eq(ends_connections(&e), 0);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted == CLIENTS && n->echoed == 4 * CLIENTS);
}
END_OVER_SCHEMES

/* L1: where clients wait outside. */
START_OVER_SCHEMES(a_dial_to_a_paused_listener_is_served_when_it_resumes)
{
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 0);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted == 8 && n->connected == 8);
}
END_OVER_SCHEMES

/* L1 */
START_OVER_SCHEMES(paused_twice_one_resume_is_enough_and_resumed_twice_one_pause)
{
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    ck_assert_int_eq(net_pause(n), 0);
    ck_assert_int_eq(net_resume(n), 0);
    net_settle(n);
    ends_dial(&e, 1);
    NET_UNTIL(n, n->accepted == 1);
    ck_assert_int_eq(net_resume(n), 0);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 1);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted == 2);
}
END_OVER_SCHEMES

/* L1, L11: pausing is about new ones only. */
START_OVER_SCHEMES(paused_its_connections_go_on)
{
    ends_listen(&e);
    ends_dial(&e, 2);
    NET_UNTIL(n, n->accepted == 2);
    ck_assert_int_eq(net_pause(n), 0);
    net_write(n, 0, "to");
    net_write(n, 1, "fro");
    NET_UNTIL(n, n->echoed == 5);
    net_close_clients(n);
    NET_UNTIL(n, !ends_connections(&e));
    ck_assert_int_eq(cvy_listener_state(n->listener), CVY_LISTENER_PAUSED);
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(the_order_is_init_accepted_active_reading, 0),
        OVER_SCHEMES(an_init_that_fails_closes_and_active_is_never_seen, 0),
        OVER_SCHEMES(closed_now_inside_on_accepted_it_is_only_removed, 0),
        OVER_SCHEMES(closed_gracefully_inside_on_accepted_it_is_only_removed, 0),
        OVER_SCHEMES(reset_inside_on_accepted_it_is_only_removed, 0),
        OVER_SCHEMES(what_is_written_inside_on_accepted_arrives, 0),
        OVER_SCHEMES(paused_it_accepts_nobody_and_resumed_nobody_is_lost, NEEDS_QUEUE),
        OVER_SCHEMES(a_dial_to_a_paused_listener_is_served_when_it_resumes, 0),
        OVER_SCHEMES(paused_twice_one_resume_is_enough_and_resumed_twice_one_pause, 0),
        OVER_SCHEMES(paused_its_connections_go_on, 0),
    };
    return scheme_run("accept", cases, CONFORM_COUNT(cases));
}
