/*
 * Listeners over several loops, and listen_and_wait (L1, L2, L5, L10). Dialers stand on a loop of the test's own thread or on one of
 * their own; what several threads count is atomic. Made for ThreadSanitizer.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "attacker.h"
#include "base/memory.h"
#include "base/system.h"
#include "base/system_socket.h"
#include "endpoint/listener.h"
#include "net.h"
#include "support.h"

#define TCP   "tcp://127.0.0.1:0"
#define LOOPS 3

/* A server on a group, and the clients of a net. */
typedef struct farm {
    cvy_group_t *group;
    cvy_listener_t *listener;
    cvy_listener_opts_t opts;
    char address[256];
    atomic_int started, result, accepted, shutdowns, late, failures;
    atomic_int on_loop[LOOPS];
    atomic_bool ready, blocked, release;
    bool slow, hold;
    int early; /* accepted before on_started had returned */
} farm_t;

static int loop_of(farm_t *f, const cvy_loop_t *loop)
{
    for (int i = 0; i < LOOPS; i++)
        if (cvy_group_loop(f->group, i) == loop) return i;
    ck_abort_msg("a loop that is not the group's");
    return -1;
}

static void on_started(cvy_listener_t *l, const char *address, void *arg)
{
    farm_t *f = arg;
    (void)l;
    if (!f->address[0]) snprintf(f->address, sizeof f->address, "%s", address);
    atomic_fetch_add(&f->started, 1);
}

static void on_accepted(cvy_listener_t *l, cvy_transport_t *t, void *arg)
{
    farm_t *f = arg;
    (void)l;
    ck_assert(cvy_loop_in_thread(cvy_transport_loop(t))); /* L2: on the connection's loop */
    if (f->group) atomic_fetch_add(&f->on_loop[loop_of(f, cvy_transport_loop(t))], 1);
    if (f->slow) uv_sleep(2); /* so that an end has the time to overtake */
    if (f->hold && cvy_transport_loop(t) != cvy_group_loop(f->group, 0)) {
        atomic_store(&f->blocked, true);
        while (!atomic_load(&f->release))
            uv_sleep(0);
    }
    if (atomic_load(&f->shutdowns)) atomic_fetch_add(&f->late, 1); /* L4 */
    atomic_fetch_add(&f->accepted, 1);
}

static void on_shutdown(cvy_listener_t *l, void *arg)
{
    farm_t *f = arg;
    (void)l;
    atomic_fetch_add(&f->shutdowns, 1);
}

static int entry(cvy_loop_t *loop, int id, void *params)
{
    farm_t *f = params;
    (void)loop;
    if (id) return 0;
    atomic_store(&f->result, cvy_listener_start(f->listener));
    atomic_store(&f->ready, true);
    return 0;
}

static void farm_init(farm_t *f)
{
    memset(f, 0, sizeof *f);
    f->opts = (cvy_listener_opts_t){ .address = TCP,
                                     .conveyor_init = net_echo,
                                     .on_started = on_started,
                                     .on_accepted = on_accepted,
                                     .on_shutdown = on_shutdown,
                                     .arg = f };
}

static void farm_start(farm_t *f)
{
    ck_assert_int_eq(cvy_group_new(&f->group, &(cvy_group_opts_t){ .loops = LOOPS, .entry = entry, .params = f }), 0);
    f->opts.group = f->group;
    ck_assert_int_eq(cvy_listener_new(&f->listener, &f->opts), 0);
    ck_assert_int_eq(cvy_group_start(f->group), 0);
    while (!atomic_load(&f->ready))
        uv_sleep(0);
}

static void farm_fini(farm_t *f)
{
    cvy_group_free(f->group); /* stops and joins */
    ck_assert_int_eq(atomic_load(&f->shutdowns), 1);
    ck_assert_int_eq(atomic_load(&f->late), 0);
    cvy_listener_free(f->listener);
}

static void dial_all(net_t *n, const char *address, int count)
{
    int all = n->connected + count;
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(net_dial(n, address), 0);
    NET_UNTIL(n, n->connected == all);
}

START_TEST(connections_go_to_the_loop_with_the_fewest) /* L5 */
{
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    farm_start(&f);
    ck_assert_int_eq(atomic_load(&f.result), 0);
    dial_all(&n, f.address, 30);
    NET_UNTIL(&n, atomic_load(&f.accepted) == 30);
    for (int i = 0; i < LOOPS; i++)
        ck_assert_int_eq(atomic_load(&f.on_loop[i]), 10);
    for (int i = 0; i < 30; i++)
        net_write(&n, i, "x");
    NET_UNTIL(&n, n.echoed == 30);
    ck_assert_uint_eq(cvy_listener_connections(f.listener), 30);
    net_close_clients(&n);
    NET_UNTIL(&n, !cvy_listener_connections(f.listener));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

START_TEST(with_reuse_port_every_loop_listens) /* L5 */
{
    if (!cvy__has_balancing()) return;
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    f.opts.reuse_port = 1;
    farm_start(&f);
    ck_assert_int_eq(atomic_load(&f.result), 0);
    ck_assert_int_eq(atomic_load(&f.started), 1); /* once per address */
    ck_assert_ptr_null(cvy_listener_address(f.listener, 1));
    dial_all(&n, f.address, 60);
    NET_UNTIL(&n, atomic_load(&f.accepted) == 60);
    cvy_listener_shutdown(f.listener, CVY_DRAIN);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(f.listener) && atomic_load(&f.shutdowns));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

static void note(cvy_task_t *task, int status)
{
    (void)status;
    atomic_store((atomic_bool *)task->arg, true);
}

/* Loop i has taken a turn. */
static void pass_loop(farm_t *f, int i)
{
    atomic_bool passed = false;
    cvy_task_t task = { .run = note, .arg = &passed };
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(f->group, i), &task), 0);
    while (!atomic_load(&passed))
        uv_sleep(0);
}

/* What the other loops do before they look for clients, then all that a client needs to be accepted. */
static void on_started_with_clients(cvy_listener_t *l, const char *address, void *arg)
{
    farm_t *f = arg;
    cvy_socket_t clients[32];
    on_started(l, address, arg);
    for (int i = 1; i < LOOPS; i++)
        pass_loop(f, i);
    for (int i = 0; i < 32; i++)
        clients[i] = attacker_connect(address, 0);
    for (int i = 0; i < 3 * LOOPS; i++)
        if (i % LOOPS) pass_loop(f, i % LOOPS);
    f->early = atomic_load(&f->accepted);
    for (int i = 0; i < 32; i++)
        cvy__socket_close(clients[i]);
}

START_TEST(nobody_is_accepted_on_any_loop_before_the_start_was_told) /* L2, listener.h: the order of callbacks */
{
    if (!cvy__has_balancing()) return;
    farm_t f;
    farm_init(&f);
    f.opts.reuse_port = 1;
    f.opts.on_started = on_started_with_clients;
    farm_start(&f);
    ck_assert_int_eq(atomic_load(&f.result), 0);
    ck_assert_int_eq(f.early, 0);
    farm_fini(&f);
}
END_TEST

START_TEST(with_reuse_port_a_local_socket_is_shared_out_all_the_same) /* L5: it is listened on once */
{
    if (!cvy__has_balancing() || !cvy__has_unix()) return;
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    f.opts.address = net_ipc("cvy-reuse-port");
    f.opts.reuse_port = 1;
    farm_start(&f);
    ck_assert_int_eq(atomic_load(&f.result), 0);
    dial_all(&n, f.address, 30);
    NET_UNTIL(&n, atomic_load(&f.accepted) == 30);
    for (int i = 0; i < LOOPS; i++)
        ck_assert_int_eq(atomic_load(&f.on_loop[i]), 10);
    cvy_listener_shutdown(f.listener, CVY_DRAIN);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(f.listener) && atomic_load(&f.shutdowns));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

START_TEST(max_connections_holds_over_all_loops) /* L6 */
{
    for (int reuse = 0; reuse <= 1; reuse++) {
        if (reuse && !cvy__has_balancing()) break;
        net_t n;
        farm_t f;
        net_init(&n);
        farm_init(&f);
        f.opts.max_connections = 20;
        f.opts.reuse_port = reuse;
        farm_start(&f);
        dial_all(&n, f.address, 40);
        NET_UNTIL(&n, atomic_load(&f.accepted) == 20);
        for (int i = 0; i < 200; i++) {
            net_turn(&n, 0);
            ck_assert_int_eq(atomic_load(&f.accepted), 20);
        }
        ck_assert_uint_eq(cvy_listener_connections(f.listener), 20);
        net_close_clients(&n); /* also those that wait: they are accepted, and end at once */
        while (atomic_load(&f.accepted) < 40 || cvy_listener_connections(f.listener)) {
            net_turn(&n, 0);
            ck_assert_uint_le(cvy_listener_connections(f.listener), 20);
        }
        farm_fini(&f);
        net_fini(&n);
    }
}
END_TEST

static void block(cvy_task_t *task, int status)
{
    farm_t *f = task->arg;
    (void)status;
    atomic_store(&f->blocked, true);
    while (!atomic_load(&f->release))
        uv_sleep(0);
}

/* Loop 0 takes a turn after whatever it has to do now. */
static void pass_loop_0(farm_t *f, net_t *n)
{
    atomic_bool passed = false;
    cvy_task_t task = { .run = note, .arg = &passed };
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(f->group, 0), &task), 0);
    NET_UNTIL(n, atomic_load(&passed));
}

START_TEST(a_connection_on_its_way_holds_the_end_back_and_is_not_lent_any_more) /* L4 */
{
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    farm_start(&f);
    cvy_task_t task = { .run = block, .arg = &f };
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(f.group, 1), &task), 0);
    NET_UNTIL(&n, atomic_load(&f.blocked));
    dial_all(&n, f.address, 3);
    NET_UNTIL(&n, cvy_listener_connections(f.listener) == 3 && atomic_load(&f.accepted) == 2);
    cvy_listener_shutdown(f.listener, CVY_KEEP);
    for (int i = 0; i < 3; i++)
        pass_loop_0(&f, &n);
    ck_assert_int_eq(atomic_load(&f.shutdowns), 0);
    atomic_store(&f.release, true);
    NET_UNTIL(&n, atomic_load(&f.shutdowns));
    NET_UNTIL(&n, cvy_listener_connections(f.listener) == 2);
    ck_assert_int_eq(atomic_load(&f.accepted), 2);
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

/* L11: whoever shuts it down may be interrupted between asking for the drain and closing. */
START_TEST(a_connection_that_opens_while_a_shutdown_is_half_done_is_drained_too)
{
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    farm_start(&f);
    atomic_fetch_or(&f.listener->asked, CVY__ASKED_SHUTDOWN | CVY__ASKED_DRAIN);
    cvy__lanes_nudge(f.listener);
    for (int i = 0; i < 3; i++)
        pass_loop_0(&f, &n);
    dial_all(&n, f.address, 6);
    NET_UNTIL(&n, atomic_load(&f.accepted) == 6);
    cvy_listener_shutdown(f.listener, CVY_DRAIN);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(f.listener));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

static void on_error(cvy_listener_t *l, int err, void *arg)
{
    farm_t *f = arg;
    (void)l;
    ck_assert_int_eq(err, UV_EMFILE);
    atomic_fetch_add(&f->failures, 1);
}

START_TEST(one_accepted_before_an_episode_does_not_end_it) /* L3 */
{
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    f.opts.on_error = on_error;
    f.opts.retry_ms = 1000000;
    farm_start(&f);
    cvy_task_t task = { .run = block, .arg = &f };
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(f.group, 1), &task), 0);
    NET_UNTIL(&n, atomic_load(&f.blocked));
    dial_all(&n, f.address, 3);
    NET_UNTIL(&n, cvy_listener_connections(f.listener) == 3 && atomic_load(&f.accepted) == 2);
    cvy__acceptor_trouble(&f.listener->acceptors[0], UV_EMFILE);
    NET_UNTIL(&n, atomic_load(&f.failures));
    atomic_store(&f.release, true);
    NET_UNTIL(&n, atomic_load(&f.accepted) == 3);
    cvy__acceptor_trouble(&f.listener->acceptors[0], UV_EMFILE);
    for (int i = 0; i < 3; i++)
        pass_loop_0(&f, &n);
    ck_assert_int_eq(atomic_load(&f.failures), 1);
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

/* Another thread that stops the lane's loop when it is about to accept there. */
static int prepare_too_late(cvy__acceptor_t *a)
{
    cvy_loop_stop(a->lane->loop);
    return cvy__accept_socket_ops.prepare(a);
}

/* Loop 1 begins when the listener has started. */
static int entry_with_late_loop(cvy_loop_t *loop, int id, void *params)
{
    static cvy__acceptor_ops_t late;
    farm_t *f = params;
    if (!id) {
        late = cvy__accept_socket_ops;
        late.prepare = prepare_too_late;
        atomic_store(&f->result, cvy_listener_start(f->listener));
        f->listener->acceptors[1].ops = &late;
        atomic_store(&f->ready, true);
    }
    while (id == 1 && !atomic_load(&f->ready))
        uv_sleep(0);
    (void)loop;
    return 0;
}

START_TEST(a_loop_that_ends_is_no_trouble_for_the_others) /* L3 */
{
    if (!cvy__has_balancing()) return;
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    f.opts.reuse_port = 1;
    f.opts.on_error = on_error;
    cvy_group_opts_t opts = { .loops = LOOPS, .entry = entry_with_late_loop, .params = &f };
    ck_assert_int_eq(cvy_group_new(&f.group, &opts), 0);
    f.opts.group = f.group;
    ck_assert_int_eq(cvy_listener_new(&f.listener, &f.opts), 0);
    ck_assert_int_eq(cvy_group_start(f.group), 0);
    ck_assert_int_eq(cvy_loop_join(cvy_group_loop(f.group, 1)), 0);
    ck_assert_int_eq(atomic_load(&f.result), 0);
    for (int i = 0; i < 3; i++)
        pass_loop_0(&f, &n);
    ck_assert_int_eq(atomic_load(&f.failures), 0);
    ck_assert(!atomic_load(&f.listener->resting));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

START_TEST(the_first_loops_end_waits_for_those_who_are_being_told) /* L4 */
{
    net_t n;
    farm_t f;
    net_init(&n);
    farm_init(&f);
    f.hold = true;
    farm_start(&f);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(net_dial(&n, f.address), 0);
    NET_UNTIL(&n, atomic_load(&f.blocked)); /* loop 1 is inside on_accepted */
    cvy_loop_stop(cvy_group_loop(f.group, 0));
    NET_UNTIL(&n, atomic_load(&f.listener->cut));
    for (int i = 0; i < 5; i++)
        net_turn(&n, 2);
    ck_assert_int_eq(atomic_load(&f.shutdowns), 0);
    atomic_store(&f.release, true);
    NET_UNTIL(&n, atomic_load(&f.shutdowns));
    farm_fini(&f);
    net_fini(&n);
}
END_TEST

START_TEST(a_group_that_stops_ends_it_while_connections_come) /* L4, R3 */
{
    for (int round = 0; round < 10; round++) {
        net_t n;
        farm_t f;
        net_init(&n);
        farm_init(&f);
        f.slow = true;
        farm_start(&f);
        for (int i = 0; i < 20; i++)
            ck_assert_int_eq(net_dial(&n, f.address), 0);
        for (int i = 0; i < round; i++)
            net_turn(&n, 0);
        farm_fini(&f);
        NET_UNTIL(&n, n.connected + n.failed == 20);
        net_until_clients_end(&n);
        net_fini(&n);
    }
}
END_TEST

/* listen_and_wait */

typedef struct waiter {
    farm_t farm;
    uv_thread_t thread;
    int answer;
} waiter_t;

static void wait_there(void *arg)
{
    waiter_t *w = arg;
    w->answer = cvy_listener_listen_and_wait(w->farm.listener);
}

static void on_started_ready(cvy_listener_t *l, const char *address, void *arg)
{
    farm_t *f = arg;
    on_started(l, address, arg);
    atomic_store(&f->ready, true);
}

static void waiter_start(waiter_t *w)
{
    w->farm.opts.on_started = on_started_ready;
    ck_assert_int_eq(cvy_listener_new(&w->farm.listener, &w->farm.opts), 0);
    ck_assert_int_eq(uv_thread_create(&w->thread, wait_there, w), 0);
    while (!atomic_load(&w->farm.ready))
        uv_sleep(0);
}

static void waiter_join(waiter_t *w)
{
    uv_thread_join(&w->thread);
    ck_assert_int_eq(atomic_load(&w->farm.shutdowns), 1);
    cvy_listener_free(w->farm.listener);
}

/* L10 */
START_TEST(listen_and_wait_without_connections_returns_at_once)
{
    waiter_t w;
    farm_init(&w.farm);
    waiter_start(&w);
    cvy_listener_shutdown(w.farm.listener, CVY_DRAIN);
    waiter_join(&w);
    ck_assert_int_eq(w.answer, 0);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* A client that never closes its side holds a graceful close. */
START_TEST(connections_that_do_not_end_are_cut_at_the_drain_deadline) /* L10 */
{
    net_t n;
    waiter_t w;
    net_init(&n);
    farm_init(&w.farm);
    w.farm.opts.drain_timeout_ms = 50;
    w.farm.opts.transport = &(cvy_transport_opts_t){ .linger_timeout_ms = 3600000 };
    n.dial.transport = &(cvy_transport_opts_t){ .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF };
    waiter_start(&w);
    dial_all(&n, w.farm.address, 2);
    NET_UNTIL(&n, atomic_load(&w.farm.accepted) == 2);
    uint64_t before = uv_hrtime();
    net_round_trip(&n, 0); /* by it the listener's loop has a clock that is not earlier */
    cvy_listener_shutdown(w.farm.listener, CVY_KEEP);
    waiter_join(&w);
    ck_assert_int_eq(w.answer, 0);
    ck_assert_uint_ge((uv_hrtime() - before) / 1000000, 45);
    net_fini(&n);
}
END_TEST

/* L4, L10 */
START_TEST(listen_and_wait_answers_what_start_would)
{
    net_t n;
    cvy_listener_t *l;
    net_init(&n);
    net_listen(&n, TCP);
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = n.address }), 0);
    ck_assert_int_eq(cvy_listener_listen_and_wait(l), UV_EADDRINUSE);
    ck_assert_int_eq(cvy_listener_listen_and_wait(l), UV_EADDRINUSE);
    cvy_listener_shutdown(l, CVY_KEEP);
    ck_assert_int_eq(cvy_listener_listen_and_wait(l), UV_ESHUTDOWN);
    cvy_listener_free(l);
    ck_assert_int_eq(cvy_listener_listen_and_wait(n.listener), UV_EALREADY);
    net_fini(&n);
}
END_TEST

/* L4: there are no loops to start on. */
START_TEST(listen_and_wait_without_loops_says_why)
{
    cvy_listener_t *l;
    ck_assert_int_eq(cvy_listener_new(&l, &(cvy_listener_opts_t){ .address = TCP }), 0);
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_listener_listen_and_wait(l), UV_ENOMEM);
    ck_assert_str_eq(cvy_listener_message(l), TCP ": not enough memory (ENOMEM)");
    cvy_listener_free(l);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

static void stop_in_started(cvy_listener_t *l, const char *address, void *arg)
{
    on_started(l, address, arg);
    cvy_listener_shutdown(l, CVY_KEEP);
}

/* Another thread that stops the loop while start is about to open it. */
static void stop_half_way(void *arg)
{
    farm_t *f = arg;
    uv_mutex_lock(&f->listener->lock);
    atomic_store(&f->ready, true);
    while (!atomic_load(&f->listener->started))
        uv_sleep(0);
    cvy_loop_stop(f->opts.loop);
    uv_mutex_unlock(&f->listener->lock);
}

START_TEST(a_loop_that_is_stopped_while_it_starts_ends_the_listener) /* R2, L4 */
{
    farm_t f;
    uv_thread_t thread;
    farm_init(&f);
    ck_assert_int_eq(cvy_loop_new(&f.opts.loop, NULL), 0);
    ck_assert_int_eq(cvy_listener_new(&f.listener, &f.opts), 0);
    ck_assert_int_eq(uv_thread_create(&thread, stop_half_way, &f), 0);
    while (!atomic_load(&f.ready))
        uv_sleep(0);
    ck_assert_int_eq(cvy_listener_start(f.listener), 0);
    uv_thread_join(&thread);
    ck_assert_int_eq(cvy_loop_run(f.opts.loop), 0);
    ck_assert_int_eq(atomic_load(&f.shutdowns), 1);
    ck_assert_int_eq(cvy_listener_state(f.listener), CVY_LISTENER_CLOSED);
    cvy_loop_unref(f.opts.loop);
    cvy_listener_free(f.listener);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

START_TEST(listen_and_wait_runs_a_loop_of_ours_that_it_is_given) /* L10 */
{
    farm_t f;
    cvy_loop_t *loop;
    farm_init(&f);
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    f.opts.loop = loop;
    f.opts.on_started = stop_in_started;
    ck_assert_int_eq(cvy_listener_new(&f.listener, &f.opts), 0);
    ck_assert_int_eq(cvy_listener_listen_and_wait(f.listener), 0);
    ck_assert_int_eq(atomic_load(&f.shutdowns), 1);
    cvy_listener_free(f.listener);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

static void detached(cvy_loop_t *loop, void *arg)
{
    (void)loop;
    *(bool *)arg = true;
}

START_TEST(an_attached_loop_can_be_served_and_detached) /* R5 */
{
    uv_loop_t uv;
    cvy_loop_t *loop;
    bool gone = false;
    farm_t f;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    farm_init(&f);
    f.opts.loop = loop;
    ck_assert_int_eq(cvy_listener_new(&f.listener, &f.opts), 0);
    ck_assert_int_eq(cvy_listener_listen_and_wait(f.listener), UV_EINVAL);
    ck_assert_int_eq(cvy_listener_start(f.listener), 0);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, detached, &gone), UV_EBUSY);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, detached, &gone), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert(gone);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    ck_assert_int_eq(atomic_load(&f.shutdowns), 1);
    cvy_loop_unref(loop);
    cvy_listener_shutdown(f.listener, CVY_DRAIN); /* its loop's memory is gone */
    cvy_listener_free(f.listener);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener_loops");
    ADD_TESTS(suite, "loops", connections_go_to_the_loop_with_the_fewest, with_reuse_port_every_loop_listens,
              nobody_is_accepted_on_any_loop_before_the_start_was_told,
              with_reuse_port_a_local_socket_is_shared_out_all_the_same, max_connections_holds_over_all_loops);
    ADD_TESTS(suite, "ending", a_connection_on_its_way_holds_the_end_back_and_is_not_lent_any_more,
              a_connection_that_opens_while_a_shutdown_is_half_done_is_drained_too,
              one_accepted_before_an_episode_does_not_end_it, a_loop_that_ends_is_no_trouble_for_the_others,
              the_first_loops_end_waits_for_those_who_are_being_told, a_group_that_stops_ends_it_while_connections_come,
              a_loop_that_is_stopped_while_it_starts_ends_the_listener, an_attached_loop_can_be_served_and_detached);
    ADD_TESTS(suite, "waiting", listen_and_wait_without_connections_returns_at_once,
              connections_that_do_not_end_are_cut_at_the_drain_deadline, listen_and_wait_answers_what_start_would,
              listen_and_wait_without_loops_says_why, listen_and_wait_runs_a_loop_of_ours_that_it_is_given);
    return test_run(suite);
}
