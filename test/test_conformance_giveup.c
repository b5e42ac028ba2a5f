/*
 * Dials that are given up, over every address scheme (L8, R7): by the clock, by cancel, by free, by the end of the loop; before, while and
 * after they connect, and inside every callback. There is one result, or none after free. CONFORM_KIND=tcp:// runs one scheme.
 */
#include <stdio.h>
#include <uv.h>

#include "scheme.h"

/* L8: the queue is filled by dials that have time, so that only those which find it full can run out of theirs. */
START_OVER_SCHEMES(a_dial_that_nobody_answers_times_out_once)
{
    enum { LATE = 4 };
    char line[400];
    ends_fill_backlog(&e);
    int early = n->dialed, waiting = early - n->connected, connected = n->connected;
    n->dial.timeout_ms = 50;
    for (int i = 0; i < LATE; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->failed == LATE);
    ck_assert_int_eq(n->result, UV_ETIMEDOUT);
    ck_assert_int_eq(n->connected, connected);
    snprintf(line, sizeof line, "%s: connection timed out (ETIMEDOUT)", n->address);
    for (int i = 0; i < n->dialed; i++)
        ck_assert_str_eq(cvy_dialer_message(n->dialers[i]), i < early ? "" : line);

    n->dial.timeout_ms = 20000;
    for (int i = 0; i < early; i++)
        ck_assert_int_eq(cvy_dialer_cancel(n->dialers[i]), n->clients[i] ? UV_EALREADY : 0);
    NET_UNTIL(n, n->failed == LATE + waiting);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted >= n->connected);
    ck_assert_int_eq(net_dial(n, NULL), 0); /* there is room again */
    NET_UNTIL(n, n->connected == connected + 1);
    ck_assert_int_eq(n->failed, LATE + waiting);
}
END_OVER_SCHEMES

/* Cancelling */

/* L8 */
START_OVER_SCHEMES(cancelled_at_once_it_fails_once_and_later)
{
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    ck_assert_int_eq(cvy_dialer_cancel(n->dialers[0]), 0);
    ck_assert_int_eq(cvy_dialer_cancel(n->dialers[0]), 0);
    ck_assert_int_eq(n->failed, 0);
    NET_UNTIL(n, n->failed);
    ck_assert_int_eq(n->result, UV_ECANCELED);
    ck_assert_int_eq(cvy_dialer_cancel(n->dialers[0]), UV_EALREADY);
    net_settle(n);
    ck_assert_int_eq(n->failed, 1);
    ck_assert_int_eq(n->connected, 0);
}
END_OVER_SCHEMES

/* L8: whichever comes first. */
START_OVER_SCHEMES(cancelled_after_any_number_of_turns_it_has_one_result)
{
    ends_listen(&e);
    for (int turns = 0; turns < 4; turns++) {
        int before = n->failed + n->connected;
        ck_assert_int_eq(net_dial(n, NULL), 0);
        for (int i = 0; i < turns; i++)
            net_turn(n, 0);
        int had = n->failed + n->connected - before;
        ck_assert_int_eq(cvy_dialer_cancel(n->dialers[turns]), had ? UV_EALREADY : 0);
        NET_UNTIL(n, n->failed + n->connected > before);
        net_settle(n);
        ck_assert_int_eq(n->failed + n->connected - before, 1);
        if (!had) ck_assert_int_eq(n->result, UV_ECANCELED);
    }
}
END_OVER_SCHEMES

/* L8: connecting for sure. */
START_OVER_SCHEMES(cancelled_while_it_connects_it_fails_once)
{
    ends_fill_backlog(&e);
    int hanging = n->dialed - n->connected;
    for (int i = 0; i < n->dialed; i++)
        ck_assert_int_eq(cvy_dialer_cancel(n->dialers[i]), n->clients[i] ? UV_EALREADY : 0);
    NET_UNTIL(n, n->failed == hanging);
    ck_assert_int_eq(n->result, UV_ECANCELED);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted >= n->connected);
    net_settle(n);
    ck_assert_int_eq(n->failed, hanging);
    ck_assert_int_eq(n->connected + hanging, n->dialed);
}
END_OVER_SCHEMES

static int cancel_answer;
static void cancel_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)n, (void)t;
    cancel_answer = cvy_dialer_cancel(d);
}
static void cancel_refused(net_t *n, cvy_dialer_t *d, int err)
{
    (void)n, (void)err;
    cancel_answer = cvy_dialer_cancel(d);
}

/* L8: there was a result. */
START_OVER_SCHEMES(cancelled_inside_on_connected_it_stays_connected)
{
    cancel_answer = 0;
    n->on_connected = cancel_connected;
    ends_listen(&e);
    ends_dial(&e, 1);
    ck_assert_int_eq(cancel_answer, UV_EALREADY);
    net_write(n, 0, "x");
    NET_UNTIL(n, n->echoed == 1);
    ck_assert_int_eq(n->failed, 0);
}
END_OVER_SCHEMES

/* L8 */
START_OVER_SCHEMES(cancelled_inside_on_failure_it_fails_no_more)
{
    char nobody[256];
    cancel_answer = 0;
    n->on_refused = cancel_refused;
    ends_free_address(&e, nobody);
    ck_assert_int_eq(net_dial(n, nobody), 0);
    NET_UNTIL(n, n->failed);
    ck_assert_int_eq(cancel_answer, UV_EALREADY);
    net_settle(n);
    ck_assert_int_eq(n->failed, 1);
}
END_OVER_SCHEMES

static int init_and_cancel(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    cancel_answer = cvy_dialer_cancel(n->dialers[0]);
    return net_echo(c, NULL);
}

/* L8: the result stands, and comes. */
START_OVER_SCHEMES(cancelled_inside_conveyor_init_it_has_one_result)
{
    cancel_answer = 0;
    n->dial.conveyor_init = init_and_cancel;
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected + n->failed);
    net_settle(n);
    ck_assert_int_eq(cancel_answer, UV_EALREADY);
    ck_assert_int_eq(n->connected, 1);
    ck_assert_int_eq(n->failed, 0);
}
END_OVER_SCHEMES

/* Freeing */

static void forget(net_t *n, cvy_dialer_t *d)
{
    ck_assert_ptr_eq(n->dialers[n->dialed - 1], d);
    n->dialers[n->dialed - 1] = NULL;
    cvy_dialer_free(d);
}

static void free_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)t;
    forget(n, d);
}

/* L8: the connection is nobody's but the loop's. */
START_OVER_SCHEMES(freed_inside_on_connected_the_connection_stays)
{
    n->on_connected = free_connected;
    ends_listen(&e);
    ends_dial(&e, 1);
    net_write(n, 0, "x");
    NET_UNTIL(n, n->echoed == 1);
}
END_OVER_SCHEMES

static void free_refused(net_t *n, cvy_dialer_t *d, int err)
{
    (void)err;
    forget(n, d);
}

/* L8 */
START_OVER_SCHEMES(freed_inside_on_failure_it_is_gone)
{
    char nobody[256];
    n->on_refused = free_refused;
    ends_free_address(&e, nobody);
    ck_assert_int_eq(net_dial(n, nobody), 0);
    NET_UNTIL(n, n->failed);
    net_settle(n);
    ck_assert_int_eq(n->failed, 1);
}
END_OVER_SCHEMES

static int init_and_free(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    forget(n, n->dialers[0]);
    return net_echo(c, NULL);
}

/* L8: nobody waits for it. */
START_OVER_SCHEMES(freed_inside_conveyor_init_it_connects_nobody)
{
    n->dial.conveyor_init = init_and_free;
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    ends_until_peer_gone(&e);
    net_settle(n);
    ck_assert_int_eq(n->connected + n->failed, 0);
}
END_OVER_SCHEMES

/* L8 */
START_OVER_SCHEMES(freed_after_any_number_of_turns_it_calls_nothing_back)
{
    ends_listen(&e);
    for (int turns = 0; turns < 4; turns++) {
        int before = n->connected;
        ck_assert_int_eq(net_dial(n, NULL), 0);
        for (int i = 0; i < turns; i++)
            net_turn(n, 0);
        int had = n->connected - before;
        if (!had) forget(n, n->dialers[n->dialed - 1]);
        net_settle(n);
        ck_assert_int_eq(n->connected - before, had);
    }
    ck_assert_int_eq(n->failed, 0);
}
END_OVER_SCHEMES

/* The loop */

/* L8 */
START_OVER_SCHEMES(a_loop_that_ends_fails_its_dials_once)
{
    char nobody[256];
    ends_free_address(&e, nobody);
    ck_assert_int_eq(net_dial(n, nobody), 0);
    cvy_loop_stop(n->loop);
    ck_assert_int_eq(cvy_loop_run(n->loop), 0);
    ck_assert_int_eq(n->failed, 1);
    ck_assert(n->result == UV_ECANCELED || n->result == scheme_refusal(e.scheme)); /* local ones know at once */
    ck_assert_int_eq(net_dial(n, nobody), UV_ESHUTDOWN);
}
END_OVER_SCHEMES

/* L8 */
START_OVER_SCHEMES(a_loop_that_ends_cancels_dials_that_hang)
{
    ends_fill_backlog(&e);
    int hanging = n->dialed - n->connected;
    cvy_loop_stop(n->loop);
    while (net_turn(n, 0) != UV_ESHUTDOWN)
        continue;
    ck_assert_int_eq(n->failed, hanging);
    ck_assert_int_eq(n->result, UV_ECANCELED);
}
END_OVER_SCHEMES

/* R7 */
START_OVER_SCHEMES(a_dial_keeps_the_loop_alive_and_its_end_lets_go)
{
    char nobody[256];
    ends_free_address(&e, nobody);
    ck_assert_int_eq(net_dial(n, nobody), 0);
    ck_assert(uv_loop_alive(cvy_loop_uv(n->loop)));
    NET_UNTIL(n, n->failed);
    net_settle(n);
    ck_assert(!uv_loop_alive(cvy_loop_uv(n->loop)));
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(a_dial_that_nobody_answers_times_out_once, NEEDS_QUEUE | NEEDS_FULL),
        OVER_SCHEMES(cancelled_at_once_it_fails_once_and_later, 0),
        OVER_SCHEMES(cancelled_after_any_number_of_turns_it_has_one_result, 0),
        OVER_SCHEMES(cancelled_while_it_connects_it_fails_once, NEEDS_QUEUE | NEEDS_FULL),
        OVER_SCHEMES(cancelled_inside_on_connected_it_stays_connected, 0),
        OVER_SCHEMES_ONE_LOOP(cancelled_inside_on_failure_it_fails_no_more, 0),
        OVER_SCHEMES(cancelled_inside_conveyor_init_it_has_one_result, 0),
        OVER_SCHEMES(freed_inside_on_connected_the_connection_stays, 0),
        OVER_SCHEMES_ONE_LOOP(freed_inside_on_failure_it_is_gone, 0),
        OVER_SCHEMES(freed_inside_conveyor_init_it_connects_nobody, 0),
        OVER_SCHEMES(freed_after_any_number_of_turns_it_calls_nothing_back, 0),
        OVER_SCHEMES_ONE_LOOP(a_loop_that_ends_fails_its_dials_once, 0),
        OVER_SCHEMES(a_loop_that_ends_cancels_dials_that_hang, NEEDS_QUEUE | NEEDS_FULL),
        OVER_SCHEMES_ONE_LOOP(a_dial_keeps_the_loop_alive_and_its_end_lets_go, 0),
    };
    return scheme_run("giveup", cases, CONFORM_COUNT(cases));
}
