/* A loop with a listener and dialers, and a log of what they say. */
#include "net.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_fire_outbound_bytes(ctx, in);
}
static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_bytes };

int net_echo(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &echo, NULL, NULL);
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    return n->init_answer ? n->init_answer : net_echo(c, arg);
}

static void count_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    net_t **n = cvy_ctx_state(ctx);
    (*n)->echoed += cvy_buf_len(in);
}

static int note_net(cvy_ctx_t *ctx, const void *opts)
{
    *(const void **)cvy_ctx_state(ctx) = opts;
    return 0;
}
static const cvy_stage_t client = {
    .name = "client", .state_size = sizeof(net_t *), .on_added = note_net, .on_inbound_bytes = count_bytes
};

static int init_client(cvy_conveyor_t *c, void *arg)
{
    return cvy_conveyor_add_last(c, &client, arg, NULL);
}

/* The listener's callbacks */

static void on_started(cvy_listener_t *l, const char *address, void *arg)
{
    net_t *n = arg;
    n->listener = l;
    snprintf(n->address, sizeof n->address, "%s", address);
    recorder_line(&n->log, "started");
    if (n->on_started) n->on_started(n);
}

static void on_accepted(cvy_listener_t *l, cvy_transport_t *t, void *arg)
{
    net_t *n = arg;
    (void)l;
    n->accepted++;
    if (!n->quiet) recorder_line(&n->log, "accepted");
    if (n->on_accepted) n->on_accepted(n, t);
}

static void on_error(cvy_listener_t *l, int err, void *arg)
{
    net_t *n = arg;
    (void)l;
    n->errors++;
    recorder_line(&n->log, "error %s", uv_err_name(err));
    if (n->on_error) n->on_error(n, err);
}

static void on_failure(cvy_listener_t *l, int err, void *arg)
{
    net_t *n = arg;
    (void)l;
    n->failures++;
    recorder_line(&n->log, "failure %s", uv_err_name(err));
}

static void on_shutdown(cvy_listener_t *l, void *arg)
{
    net_t *n = arg;
    (void)l;
    n->shutdowns++;
    recorder_line(&n->log, "shutdown");
    if (n->on_shutdown) n->on_shutdown(n);
}

/* The dialers' */

static void on_client_gone(cvy_transport_t *t, int cause, void *arg)
{
    net_t *n = arg;
    (void)cause;
    for (int i = 0; i < n->dialed; i++)
        if (n->clients[i] == t) n->clients[i] = NULL;
    n->open--;
}

static void on_connected(cvy_dialer_t *d, cvy_transport_t *t, void *arg)
{
    net_t *n = arg;
    for (int i = 0; i < n->dialed; i++)
        if (n->dialers[i] == d) n->clients[i] = t;
    n->connected++;
    n->open++;
    cvy_transport_on_shutdown_completed(t, on_client_gone, n);
}

static void on_dial_failure(cvy_dialer_t *d, int err, void *arg)
{
    net_t *n = arg;
    (void)d;
    n->failed++;
    n->result = err;
}

/* Several nets may overlap; nothing may be left of the last one. */
static int nets;
static size_t live_before;

void net_init(net_t *n)
{
    memset(n, 0, sizeof *n);
    if (!nets++) live_before = cvy__memory_live();
    recorder_log_init(&n->log);
    ck_assert_int_eq(cvy_loop_new(&n->loop, NULL), 0);
    n->opts = (cvy_listener_opts_t){ .loop = n->loop,
                                     .conveyor_init = init_server,
                                     .on_started = on_started,
                                     .on_accepted = on_accepted,
                                     .on_error = on_error,
                                     .on_failure = on_failure,
                                     .on_shutdown = on_shutdown,
                                     .arg = n };
    n->dial = (cvy_dialer_opts_t){ .loop = n->loop,
                                   .conveyor_init = init_client,
                                   .on_connected = on_connected,
                                   .on_failure = on_dial_failure,
                                   .arg = n };
}

int net_try_listen(net_t *n, const char *address)
{
    n->opts.address = address;
    int err = cvy_listener_new(&n->listener, &n->opts);
    return err ? err : cvy_listener_start(n->listener);
}

void net_listen(net_t *n, const char *address)
{
    int err = net_try_listen(n, address);
    ck_assert_msg(!err, "%s", cvy_listener_message(n->listener));
}

int net_dial(net_t *n, const char *address)
{
    ck_assert_int_lt(n->dialed, NET_MOST);
    n->dial.address = address ? address : n->address;
    int err = cvy_dialer_new(&n->dialers[n->dialed], &n->dial);
    if (err) return err;
    err = cvy_dialer_dial(n->dialers[n->dialed++]);
    if (!err) return 0;
    cvy_dialer_free(n->dialers[--n->dialed]);
    return err;
}

void net_close_clients(net_t *n)
{
    for (int i = 0; i < n->dialed; i++)
        if (n->clients[i]) cvy_transport_close(n->clients[i], CVY_CLOSE_NOW);
}

void net_write(net_t *n, int i, const char *text)
{
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_loop_pool(n->loop));
    ck_assert_int_eq(cvy_buf_append(&b, text, strlen(text)), 0);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(n->clients[i]), &b), 0);
    cvy_buf_fini(&b);
}

int net_turn(net_t *n, int64_t ms)
{
    return cvy_loop_turn(n->loop, ms);
}

void net_settle(net_t *n)
{
    for (int i = 0; i < 20; i++)
        net_turn(n, 0);
}

void net_fini(net_t *n)
{
    for (int i = 0; i < n->dialed; i++)
        cvy_dialer_free(n->dialers[i]);
    cvy_listener_free(n->listener);
    cvy_loop_stop(n->loop);
    cvy_loop_run(n->loop);
    cvy_loop_unref(n->loop);
    ck_assert_int_eq(n->open, 0);
    recorder_log_fini(&n->log);
    if (!--nets) ck_assert_uint_eq(cvy__memory_live(), live_before);
}
