/*
 * A listener's states and its end, over every address scheme and every way to serve (L1, L4, L10, L11): each call in each state, shutdown
 * from everywhere, and what becomes of its connections. CONFORM_KIND=tcp:// runs one scheme.
 */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "scheme.h"

/* L1: every call in every state. */

typedef enum call { START, PAUSE, RESUME, SHUTDOWN, DRAIN, CALLS } call_t;

static call_t called;
static int make_call(net_t *n)
{
    switch (called) {
    case START: return cvy_listener_start(n->listener);
    case PAUSE: return cvy_listener_pause(n->listener);
    case RESUME: return cvy_listener_resume(n->listener);
    case SHUTDOWN: cvy_listener_shutdown(n->listener, CVY_KEEP); return 0;
    default: cvy_listener_shutdown(n->listener, CVY_DRAIN); return 0;
    }
}

static int call(net_t *n, call_t what)
{
    called = what;
    return net_there(n, make_call);
}

static void bring_to(ends_t *e, cvy_listener_state_t state)
{
    net_t *n = &e->net;
    n->opts.address = e->fresh;
    ck_assert_int_eq(cvy_listener_new(&n->listener, &n->opts), 0);
    if (state != CVY_LISTENER_STARTING) ck_assert_int_eq(call(n, START), 0);
    if (state == CVY_LISTENER_PAUSED) ck_assert_int_eq(call(n, PAUSE), 0);
    if (state == CVY_LISTENER_CLOSED) call(n, SHUTDOWN);
    ck_assert_int_eq(cvy_listener_state(n->listener), state);
}

typedef struct row {
    int answer[CALLS];
    cvy_listener_state_t after[CALLS];
} row_t;

#define STARTING CVY_LISTENER_STARTING
#define RUNNING  CVY_LISTENER_RUNNING
#define PAUSED   CVY_LISTENER_PAUSED
#define CLOSED   CVY_LISTENER_CLOSED

static const row_t table[] = {
    [STARTING] = { { 0, UV_EINVAL, UV_EINVAL, 0, 0 }, { RUNNING, STARTING, STARTING, CLOSED, CLOSED } },
    [RUNNING] = { { UV_EALREADY, 0, 0, 0, 0 }, { RUNNING, PAUSED, RUNNING, CLOSED, CLOSED } },
    [PAUSED] = { { UV_EALREADY, 0, 0, 0, 0 }, { PAUSED, PAUSED, RUNNING, CLOSED, CLOSED } },
    [CLOSED] = { { UV_ESHUTDOWN, UV_ESHUTDOWN, UV_ESHUTDOWN, 0, 0 }, { CLOSED, CLOSED, CLOSED, CLOSED, CLOSED } },
};

static void try_call(int i, cvy_listener_state_t state, call_t what)
{
    ends_t e;
    net_t *n = &e.net;
    ends_init(&e, i);
    bring_to(&e, state);
    int answer = call(n, what);
    ck_assert_msg(answer == table[state].answer[what], "call %d in state %d: %d", what, state, answer);
    ck_assert_msg(cvy_listener_state(n->listener) == table[state].after[what], "call %d in state %d", what, state);
    call(n, what); /* again: nothing changes */
    ck_assert_msg(cvy_listener_state(n->listener) == table[state].after[what], "call %d in state %d", what, state);
    ck_assert_uint_eq(ends_connections(&e), 0);
    net_settle(n);
    bool started = state != STARTING || what == START, closed = table[state].after[what] == CLOSED;
    if (started && closed) NET_UNTIL(n, n->shutdowns);
    ck_assert_int_eq(n->shutdowns, started && closed); /* one that never started calls nothing back */
    ends_fini(&e);
    ck_assert_int_eq(n->shutdowns, started);
}

/* L1 */
START_TEST(every_call_is_legal_in_every_state_and_idempotent)
{
    for (int state = STARTING; state <= CLOSED; state++)
        for (int what = START; what < CALLS; what++)
            try_call(_i, (cvy_listener_state_t)state, (call_t)what);
}
END_TEST

/* Shutdown from everywhere */

/* L1: the address was never taken. */
START_OVER_SCHEMES(shut_down_before_start_it_never_starts)
{
    n->opts.address = e.fresh;
    ck_assert_int_eq(cvy_listener_new(&n->listener, &n->opts), 0);
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
    ck_assert_int_eq(call(n, START), UV_ESHUTDOWN);
    net_settle(n);
    ck_assert_str_eq(recorder_text(&n->log), "");
    cvy_listener_free(n->listener);
    ends_listen(&e);
    ends_dial(&e, 1);
}
END_OVER_SCHEMES

static void shut_down(net_t *n, cvy_transport_t *t)
{
    (void)t;
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
}

static void until_ended(ends_t *e)
{
    net_t *n = &e->net;
    NET_UNTIL(n, n->shutdowns && !ends_connections(e));
    net_settle(n);
    ck_assert_int_eq(n->shutdowns, 1);
}

/* L1, L4: several loops may be inside theirs at the same moment. */
START_OVER_SCHEMES(shut_down_inside_on_accepted_it_lends_no_more)
{
    n->on_accepted = shut_down;
    ends_listen(&e);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    until_ended(&e);
    ck_assert_int_ge(n->accepted, 1);
    ck_assert_int_le(n->accepted, n->group ? NET_LOOPS : 1);
    NET_UNTIL(n, n->connected + n->failed == 8);
    net_until_clients_end(n);
}
END_OVER_SCHEMES

static int init_and_shut_down(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    n->inits++;
    cvy_listener_shutdown(n->listener, CVY_KEEP);
    return net_echo(c, NULL);
}

/* L1, L4: the one whose conveyor is being built is still lent, and lives on (L11). */
START_OVER_SCHEMES(shut_down_inside_conveyor_init_that_one_is_lent_and_no_more)
{
    n->opts.conveyor_init = init_and_shut_down;
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->shutdowns && n->connected);
    ck_assert_int_eq(n->inits, 1);
    ck_assert_int_eq(n->accepted, 1);
    ck_assert_uint_eq(ends_connections(&e), 1);
    net_write(n, 0, "served");
    NET_UNTIL(n, n->echoed == 6);
}
END_OVER_SCHEMES

/* L1: who waited in the backlog is not accepted, and hears of it. */
START_OVER_SCHEMES(shut_down_while_paused_those_who_wait_are_let_go)
{
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected >= 1);
    net_end_listener(n);
    NET_UNTIL(n, n->connected + n->failed == 8);
    net_until_clients_end(n);
    ck_assert_int_eq(n->accepted, 0);
}
END_OVER_SCHEMES

typedef struct gang {
    net_t *net;
    uv_barrier_t together;
} gang_t;

static void shut_down_together(void *arg)
{
    gang_t *g = arg;
    cvy_listener_t *l = g->net->listener;
    uv_barrier_wait(&g->together);
    for (int i = 0; i < 10; i++) {
        cvy_listener_shutdown(l, i % 3 ? CVY_KEEP : CVY_DRAIN);
        ck_assert_int_eq(cvy_listener_state(l), CVY_LISTENER_CLOSED);
        cvy_listener_connections(l);
    }
    cvy_listener_free(l); /* this thread's reference */
}

/* L1, L4: while it accepts. */
START_OVER_SCHEMES(shut_down_by_eight_threads_at_once_it_ends_once)
{
    uv_thread_t threads[8];
    gang_t gang = { .net = n };
    ends_listen(&e);
    ck_assert_int_eq(uv_barrier_init(&gang.together, 9), 0);
    for (int i = 0; i < 8; i++) {
        cvy_listener_ref(n->listener);
        ck_assert_int_eq(uv_thread_create(&threads[i], shut_down_together, &gang), 0);
    }
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    net_turn(n, 0);
    uv_barrier_wait(&gang.together);
    NET_UNTIL(n, n->connected + n->failed == 40);
    until_ended(&e);
    for (int i = 0; i < 8; i++)
        uv_thread_join(&threads[i]);
    uv_barrier_destroy(&gang.together);
    NET_UNTIL(n, !n->open); /* drained */
}
END_OVER_SCHEMES

static void shut_down_started(net_t *n)
{
    cvy_listener_shutdown(n->listener, CVY_KEEP);
}

/* L1 */
START_OVER_SCHEMES(shut_down_inside_on_started_it_tells_no_more_addresses)
{
    char more[256];
    const char *others[] = { more, NULL };
    scheme_address(more, e.scheme);
    n->opts.addresses = others;
    n->on_started = shut_down_started;
    ck_assert_int_eq(net_try_listen(n, e.fresh), 0);
    ck_assert_int_eq(cvy_listener_state(n->listener), CVY_LISTENER_CLOSED);
    net_end_listener(n);
    ck_assert_str_eq(recorder_text(&n->log), "started\nshutdown\n");
}
END_OVER_SCHEMES

/* Freeing */

static void free_it(net_t *n)
{
    cvy_listener_free(n->listener);
}
static void free_on_accepted(net_t *n, cvy_transport_t *t)
{
    (void)t;
    cvy_listener_free(n->listener);
}

static void freed_in_a_callback(ends_t *e, bool dials)
{
    net_t *n = &e->net;
    ck_assert_int_eq(net_try_listen(n, e->fresh), 0);
    if (dials) ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->shutdowns);
    net_settle(n);
    ck_assert_int_eq(n->shutdowns, 1);
    n->listener = NULL;
}

/* L1 */
START_OVER_SCHEMES(freed_inside_on_started_it_ends)
{
    n->on_started = free_it;
    freed_in_a_callback(&e, false);
}
END_OVER_SCHEMES

/* L1 */
START_OVER_SCHEMES(freed_inside_on_accepted_it_ends)
{
    n->on_accepted = free_on_accepted;
    freed_in_a_callback(&e, true);
    ck_assert_int_eq(n->accepted, 1);
}
END_OVER_SCHEMES

/* L1 */
START_OVER_SCHEMES(freed_inside_on_shutdown_it_is_gone)
{
    n->on_shutdown = free_it;
    ends_listen(&e);
    net_end_listener(n);
    n->listener = NULL;
}
END_OVER_SCHEMES

/* Connections after the end */

/* L4: while its connections live on. */
START_OVER_SCHEMES(after_on_shutdown_dials_are_refused)
{
    ends_listen(&e);
    ends_dial(&e, 2);
    NET_UNTIL(n, n->accepted == 2);
    net_end_listener(n);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->failed);
    ck_assert_int_eq(n->result, scheme_refusal(e.scheme));
    net_settle(n);
    ck_assert_int_eq(n->accepted, 2);
}
END_OVER_SCHEMES

/* L4, L11: late callbacks are counted by the net, which wants none. */
START_OVER_SCHEMES(after_on_shutdown_connections_live_on)
{
    ends_listen(&e);
    ends_dial(&e, 2);
    NET_UNTIL(n, n->accepted == 2);
    net_end_listener(n);
    cvy_listener_free(n->listener);
    n->listener = NULL;
    for (int i = 0; i < 2; i++)
        net_write(n, i, "still there");
    NET_UNTIL(n, n->echoed == 22);
    net_settle(n);
    ck_assert_int_eq(n->accepted, 2);
    ck_assert_int_eq(n->open, 2);
}
END_OVER_SCHEMES

enum { MUCH = 300000 };

static void send_much(net_t *n, cvy_transport_t *t)
{
    static const char bytes[MUCH];
    cvy_buf_t b = CVY_BUF_INIT;
    (void)n;
    ck_assert_int_eq(cvy_buf_append(&b, bytes, sizeof bytes), 0);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(t), &b), 0);
    cvy_buf_fini(&b);
}

/* L11, T9: what they have queued goes out first. */
START_OVER_SCHEMES(drained_its_connections_close_gracefully)
{
    n->on_accepted = send_much;
    ends_listen(&e);
    ends_dial(&e, 3);
    NET_UNTIL(n, n->accepted == 3);
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
    until_ended(&e);
    NET_UNTIL(n, !n->open);
    ck_assert_uint_eq(n->echoed, 3 * MUCH);
}
END_OVER_SCHEMES

/* L11 */
START_OVER_SCHEMES(drained_after_it_ended_its_connections_close_too)
{
    ends_listen(&e);
    ends_dial(&e, 3);
    NET_UNTIL(n, n->accepted == 3);
    net_end_listener(n);
    ck_assert_uint_eq(ends_connections(&e), 3);
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
    NET_UNTIL(n, !n->open && !ends_connections(&e));
    ck_assert_int_eq(n->shutdowns, 1);
}
END_OVER_SCHEMES

/* L4 */
START_OVER_SCHEMES(its_loops_end_shuts_it_down_once)
{
    ends_listen(&e);
    ends_dial(&e, 2);
    NET_UNTIL(n, n->accepted == 2);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    if (n->group)
        cvy_group_stop(n->group);
    else
        cvy_loop_stop(n->loop);
    while (!n->shutdowns)
        if (net_turn(n, 1) == UV_ESHUTDOWN) uv_sleep(0);
    cvy_listener_shutdown(n->listener, CVY_DRAIN); /* its loops are ended, or about to */
    ck_assert_int_eq(cvy_listener_state(n->listener), CVY_LISTENER_CLOSED);
}
END_OVER_SCHEMES

/* listen_and_wait */

static void wait_there(void *arg)
{
    net_t *n = arg;
    n->init_answer = cvy_listener_listen_and_wait(n->listener);
}

static atomic_bool listening;
static void say_listening(net_t *n)
{
    (void)n;
    atomic_store(&listening, true);
}

/* L10, L11: on loops of its own, one, or several by the variant. */
START_OVER_SCHEMES(listen_and_wait_returns_after_the_drain)
{
    uv_thread_t thread;
    n->on_started = say_listening;
    n->opts.address = e.fresh;
    n->opts.loops = n->group ? NET_LOOPS : CVY_GROUP_SINGLE;
    n->opts.loop = NULL;
    n->opts.group = NULL;
    atomic_store(&listening, false);
    ck_assert_int_eq(cvy_listener_new(&n->listener, &n->opts), 0);
    ck_assert_int_eq(uv_thread_create(&thread, wait_there, n), 0);
    while (!atomic_load(&listening))
        uv_sleep(0);
    ends_dial(&e, 6);
    for (int i = 0; i < 6; i++)
        net_write(n, i, "x");
    NET_UNTIL(n, n->echoed == 6);
    cvy_listener_shutdown(n->listener, CVY_KEEP); /* drains in any case */
    NET_UNTIL(n, !n->open);
    uv_thread_join(&thread);
    ck_assert_int_eq(n->init_answer, 0);
    ck_assert_int_eq(n->shutdowns, 1);
    ck_assert_uint_eq(ends_connections(&e), 0);
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(every_call_is_legal_in_every_state_and_idempotent, 0),
        OVER_SCHEMES(shut_down_before_start_it_never_starts, 0),
        OVER_SCHEMES(shut_down_inside_on_accepted_it_lends_no_more, 0),
        OVER_SCHEMES(shut_down_inside_conveyor_init_that_one_is_lent_and_no_more, 0),
        OVER_SCHEMES(shut_down_while_paused_those_who_wait_are_let_go, NEEDS_QUEUE),
        OVER_SCHEMES(shut_down_by_eight_threads_at_once_it_ends_once, 0),
        OVER_SCHEMES(shut_down_inside_on_started_it_tells_no_more_addresses, 0),
        OVER_SCHEMES(freed_inside_on_started_it_ends, 0),
        OVER_SCHEMES(freed_inside_on_accepted_it_ends, 0),
        OVER_SCHEMES(freed_inside_on_shutdown_it_is_gone, 0),
        OVER_SCHEMES(after_on_shutdown_dials_are_refused, NEEDS_FREED_NAME),
        OVER_SCHEMES(after_on_shutdown_connections_live_on, 0),
        OVER_SCHEMES(drained_its_connections_close_gracefully, 0),
        OVER_SCHEMES(drained_after_it_ended_its_connections_close_too, 0),
        OVER_SCHEMES(its_loops_end_shuts_it_down_once, 0),
        OVER_SCHEMES(listen_and_wait_returns_after_the_drain, 0),
    };
    return scheme_run("end", cases, CONFORM_COUNT(cases));
}
