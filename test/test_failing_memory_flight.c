/*
 * M3, in flight: whichever allocation fails while a connection is accepted or dialed and talks, it costs that connection and no other.
 * A bystander on the same loops goes on, and with memory the next connection is served.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "failing.h"
#include "net.h"
#include "support.h"

static const char message[] = "round and round it goes";
enum { LENGTH = sizeof message - 1 };

/* What the accepting side said; with several loops from their threads. */
typedef struct witness {
    atomic_int no_memory; /* a cause, an on_error, a conveyor_init's answer */
    atomic_int accepted;
} witness_t;
static witness_t witness;

static void saw(int err)
{
    if (err == UV_ENOMEM) atomic_fetch_add(&witness.no_memory, 1);
}

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    (void)t;
    (void)arg;
    saw(cause);
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_gone, NULL);
    int err = net_echo(c, arg);
    saw(err);
    return err;
}

static void on_error(cvy_listener_t *l, int err, void *arg)
{
    (void)l;
    (void)arg;
    saw(err);
}

static void on_accepted(cvy_listener_t *l, cvy_transport_t *t, void *arg)
{
    (void)l;
    (void)t;
    (void)arg;
    atomic_fetch_add(&witness.accepted, 1);
}

/* UV_ENOMEM: the message itself found none. */
static int say(net_t *n, int client)
{
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_loop_pool(n->loop));
    int err = cvy_buf_append(&b, message, LENGTH);
    if (!err && n->clients[client]) cvy_conveyor_write(cvy_transport_conveyor(n->clients[client]), &b);
    cvy_buf_fini(&b);
    return err;
}

static void goes_round(net_t *n, int client)
{
    size_t before = n->echoed;
    ck_assert_ptr_nonnull(n->clients[client]);
    ck_assert_int_eq(say(n, client), 0);
    NET_UNTIL(n, n->echoed == before + LENGTH);
}

static int dial_bystander(net_t *n, const char *address)
{
    int i = n->dialed;
    ck_assert_int_eq(net_dial(n, address), 0);
    NET_UNTIL(n, n->clients[i]);
    goes_round(n, i);
    return i;
}

/* Dials and talks while memory may fail. Returns whether it went well; if not, whoever had no memory has said so. */
static bool converse(net_t *n, const char *address)
{
    int i = n->dialed, failed = n->failed;
    size_t before = n->echoed;
    int err = net_dial(n, address);
    ck_assert(!err || err == UV_ENOMEM);
    if (err) return false;
    NET_UNTIL(n, n->clients[i] || n->failed > failed);
    if (n->clients[i]) err = say(n, i);
    if (!err) NET_UNTIL(n, !n->clients[i] || n->echoed == before + LENGTH);
    bool whole = n->echoed == before + LENGTH;
    if (!whole) /* the other thread may say so later */
        NET_UNTIL(n, err || n->result == UV_ENOMEM || n->cause == UV_ENOMEM || witness.no_memory);
    return whole;
}

static void start_net(net_t *n)
{
    net_init_with(n, &failing_no_cache);
    memset(&witness, 0, sizeof witness);
    n->quiet = true;
    n->opts.retry_ms = 1;
    n->opts.conveyor_init = init_server;
    n->opts.on_error = on_error;
}

static void accept_and_echo(const char *address)
{
    int failures = 0;
    FAILING_EACH(f)
    {
        net_t n;
        start_net(&n);
        net_listen(&n, address);
        int bystander = dial_bystander(&n, NULL);
        failing_arm(&f);
        bool whole = converse(&n, NULL);
        failing_over(&f);
        ck_assert(whole || f.failed);
        failures += f.failed;
        goes_round(&n, bystander);
        dial_bystander(&n, NULL);
        goes_round(&n, bystander);
        net_fini(&n);
    }
    ck_assert_int_gt(failures, 4);
}

/* M3 */
START_TEST(a_connection_accepted_and_echoing)
{
    const char *const addresses[] = { "tcp://127.0.0.1:0", net_ipc("cvy-failing-echo"), "inproc://cvy-failing-echo" };
    accept_and_echo(addresses[_i]);
}
END_TEST

/* The same with the echo on three loops, each on a thread of its own, and the dialer on another. */

typedef struct server {
    cvy_listener_t *listener;
    uv_thread_t thread;
    uv_sem_t started;
    char address[256];
    int result;
} server_t;

static void on_started(cvy_listener_t *l, const char *address, void *arg)
{
    server_t *s = arg;
    (void)l;
    snprintf(s->address, sizeof s->address, "%s", address);
    uv_sem_post(&s->started);
}

static void serve(void *arg)
{
    server_t *s = arg;
    s->result = cvy_listener_listen_and_wait(s->listener);
}

static void start_server(server_t *s)
{
    cvy_listener_opts_t o = { .address = "tcp://127.0.0.1:0",
                              .loops = 3,
                              .retry_ms = 1,
                              .conveyor_init = init_server,
                              .on_started = on_started,
                              .on_accepted = on_accepted,
                              .on_error = on_error,
                              .arg = s };
    memset(s, 0, sizeof *s);
    uv_sem_init(&s->started, 0);
    ck_assert_int_eq(cvy_listener_new(&s->listener, &o), 0);
    ck_assert_int_eq(uv_thread_create(&s->thread, serve, s), 0);
    uv_sem_wait(&s->started);
}

static void end_server(server_t *s)
{
    cvy_listener_shutdown(s->listener, CVY_DRAIN);
    uv_thread_join(&s->thread);
    ck_assert_int_eq(s->result, 0);
    cvy_listener_free(s->listener);
    uv_sem_destroy(&s->started);
}

/* M3 */
START_TEST(a_connection_accepted_onto_another_loop)
{
    FAILING_EACH(f)
    {
        net_t n;
        server_t s;
        start_net(&n);
        start_server(&s);
        int bystander = dial_bystander(&n, s.address);
        dial_bystander(&n, s.address);
        dial_bystander(&n, s.address); /* one on each loop */
        failing_arm(&f);
        bool whole = converse(&n, s.address);
        failing_over(&f);
        ck_assert(whole || f.failed);
        for (int i = bystander; i < 3; i++)
            goes_round(&n, i);
        dial_bystander(&n, s.address);
        net_close_clients(&n);
        NET_UNTIL(&n, !n.open);
        end_server(&s);
        net_fini(&n);
    }
}
END_TEST

/* Dialing */

/* Dials while memory may fail; the result is a connection, or UV_ENOMEM told once. */
static void dialed(net_t *n, failing_t *f, int err)
{
    int failed = n->failed, connected = n->connected;
    ck_assert(!err || err == UV_ENOMEM);
    if (!err) NET_UNTIL(n, n->connected > connected || n->failed > failed);
    failing_over(f);
    ck_assert(f->failed || n->connected > connected);
    if (n->failed > failed) ck_assert_int_eq(n->result, UV_ENOMEM);
    net_settle(n);
    ck_assert_int_le(n->connected - connected + n->failed - failed, 1); /* exactly one result */
}

/* M3 */
START_TEST(a_host_name_dialed)
{
    FAILING_EACH(f)
    {
        net_t n;
        char name[64];
        start_net(&n);
        net_listen(&n, "tcp://127.0.0.1:0");
        int bystander = dial_bystander(&n, NULL);
        snprintf(name, sizeof name, "tcp://localhost%s", strrchr(n.address, ':'));
        failing_arm(&f);
        dialed(&n, &f, net_dial(&n, name));
        goes_round(&n, bystander);
        dial_bystander(&n, name);
        net_fini(&n);
    }
}
END_TEST

/* M3: Two of the addresses refuse, so that each has an attempt of its own. */
START_TEST(several_addresses_raced)
{
    FAILING_EACH(f)
    {
        net_t n;
        start_net(&n);
        net_listen(&n, "tcp://127.0.0.1:0");
        const char *const list[] = { "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", n.address };
        int bystander = dial_bystander(&n, NULL), before = n.failed + n.connected;
        failing_arm(&f);
        bool began = net_dial_list(&n, list, 3) != NULL;
        if (began) NET_UNTIL(&n, n.failed + n.connected > before);
        failing_over(&f);
        ck_assert(f.failed || n.connected == 2);
        /* the last address' error, as documented: where an attempt had no memory the others may still have refused */
        if (n.failed) ck_assert(n.result == UV_ENOMEM || n.result == UV_ECONNREFUSED);
        net_settle(&n);
        goes_round(&n, bystander);
        dial_bystander(&n, NULL);
        net_fini(&n);
    }
}
END_TEST

/* M3 */
START_TEST(a_dial_cancelled_at_once)
{
    FAILING_EACH(f)
    {
        net_t n;
        start_net(&n);
        net_listen(&n, "tcp://127.0.0.1:0");
        int bystander = dial_bystander(&n, NULL);
        failing_arm(&f);
        int err = net_dial(&n, NULL);
        if (!err) ck_assert_int_eq(cvy_dialer_cancel(n.dialers[n.dialed - 1]), 0);
        if (!err) NET_UNTIL(&n, n.failed);
        failing_over(&f);
        ck_assert(!err || (err == UV_ENOMEM && f.failed));
        if (!err) ck_assert(n.result == UV_ECANCELED || n.result == UV_ENOMEM);
        goes_round(&n, bystander);
        net_fini(&n);
    }
}
END_TEST

/* M3: Nobody accepts, so that the dial stays; the deadline itself needs no memory. */
START_TEST(a_dial_that_times_out)
{
    FAILING_EACH(f)
    {
        net_t n;
        start_net(&n);
        net_listen(&n, "tcp://127.0.0.1:0");
        n.dial.timeout_ms = 1;
        failing_arm(&f);
        int err = net_dial(&n, NULL);
        net_turn(&n, 5);
        if (!err) NET_UNTIL(&n, n.failed || n.connected);
        failing_over(&f);
        ck_assert(!err || (err == UV_ENOMEM && f.failed));
        if (n.failed) ck_assert(n.result == UV_ETIMEDOUT || n.result == UV_ENOMEM);
        n.dial.timeout_ms = 0;
        dial_bystander(&n, NULL);
        net_fini(&n);
    }
}
END_TEST

int main(void)
{
    failing_install();
    Suite *suite = suite_create("failing memory, in flight");
    TCase *accepting = ADD_TESTS(suite, "accepting", a_connection_accepted_onto_another_loop);
    tcase_add_loop_test(accepting, a_connection_accepted_and_echoing, 0, 3);
    ADD_TESTS(suite, "dialing", a_host_name_dialed, several_addresses_raced, a_dial_cancelled_at_once,
              a_dial_that_times_out);
    return test_run(suite);
}
