/* A loop with a listener and dialers, and a log of what they say; the listener's callbacks may come from other threads. */
#include "net.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "endpoint/dialer.h"
#include "loop/loop.h"

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

/* After on_shutdown there is nothing. */
static void called(net_t *n)
{
    n->late += n->shutdowns > 0;
    if (n->group) cvy_loop_wake(n->loop); /* who waits for it */
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    called(n);
    n->inits++;
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
    called(n);
    n->listener = l;
    snprintf(n->address, sizeof n->address, "%s", address);
    recorder_line(&n->log, "started");
    if (n->on_started) n->on_started(n);
}

static void on_accepted(cvy_listener_t *l, cvy_transport_t *t, void *arg)
{
    net_t *n = arg;
    (void)l;
    called(n);
    if (!n->quiet) recorder_line(&n->log, "accepted");
    if (n->on_accepted) n->on_accepted(n, t);
    n->accepted++;
}

static void on_error(cvy_listener_t *l, int err, void *arg)
{
    net_t *n = arg;
    (void)l;
    called(n);
    n->errors++;
    recorder_line(&n->log, "error %s", uv_err_name(err));
    if (n->on_error) n->on_error(n, err);
}

static void on_failure(cvy_listener_t *l, int err, void *arg)
{
    net_t *n = arg;
    (void)l;
    called(n);
    n->failures++;
    recorder_line(&n->log, "failure %s", uv_err_name(err));
}

static void on_shutdown(cvy_listener_t *l, void *arg)
{
    net_t *n = arg;
    (void)l;
    called(n);
    recorder_line(&n->log, "shutdown");
    if (n->on_shutdown) n->on_shutdown(n);
    n->shutdowns++;
}

/* The dialers' */

static void on_client_gone(cvy_transport_t *t, int cause, void *arg)
{
    net_t *n = arg;
    n->cause = cause;
    for (int i = 0; i < n->dialed; i++)
        if (n->clients[i] == t) n->clients[i] = NULL;
    n->open--;
    if (n->on_client_gone) n->on_client_gone(n, t, cause);
}

static void on_connected(cvy_dialer_t *d, cvy_transport_t *t, void *arg)
{
    net_t *n = arg;
    for (int i = 0; i < n->dialed; i++)
        if (n->dialers[i] == d) n->clients[i] = t;
    n->connected++;
    n->open++;
    cvy_transport_on_shutdown_completed(t, on_client_gone, n);
    if (n->on_connected) n->on_connected(n, d, t);
}

static void on_dial_failure(cvy_dialer_t *d, int err, void *arg)
{
    net_t *n = arg;
    n->failed++;
    n->result = err;
    if (n->on_refused) n->on_refused(n, d, err);
}

/* A close that is under way has more time than a slow machine needs. */
static const cvy_transport_opts_t patient = { .drain_timeout_ms = 60000, .linger_timeout_ms = 60000 };

/* Several nets may overlap; nothing may be left of the last one. */
static int nets;
static size_t live_before;

void net_init(net_t *n)
{
    net_init_with(n, NULL);
}

void net_init_with(net_t *n, const cvy_loop_opts_t *loop)
{
    memset(n, 0, sizeof *n);
    if (!nets++) live_before = cvy__memory_live();
    recorder_log_init(&n->log);
    ck_assert_int_eq(cvy_loop_new(&n->loop, loop), 0);
    n->opts = (cvy_listener_opts_t){ .loop = n->loop,
                                     .transport = &patient,
                                     .conveyor_init = init_server,
                                     .on_started = on_started,
                                     .on_accepted = on_accepted,
                                     .on_error = on_error,
                                     .on_failure = on_failure,
                                     .on_shutdown = on_shutdown,
                                     .arg = n };
    n->dial = (cvy_dialer_opts_t){ .loop = n->loop,
                                   .transport = &patient,
                                   .conveyor_init = init_client,
                                   .on_connected = on_connected,
                                   .on_failure = on_dial_failure,
                                   .arg = n };
}

void net_init_serve(net_t *n, net_serve_t serve)
{
    net_init(n);
    if (serve == NET_ONE_LOOP) return;
    ck_assert_int_eq(cvy_group_new(&n->group, &(cvy_group_opts_t){ .loops = NET_LOOPS }), 0);
    ck_assert_int_eq(cvy_group_start(n->group), 0);
    n->opts.loop = NULL;
    n->opts.group = n->group;
    n->opts.reuse_port = serve == NET_REUSE_PORT;
}

/* The listener's thread */

typedef struct errand {
    cvy_task_t task;
    net_t *net;
    int (*f)(net_t *n);
    int answer;
    atomic_bool done;
} errand_t;

static void run_errand(cvy_task_t *task, int status)
{
    errand_t *e = task->arg;
    cvy_loop_t *waiting = e->net->loop;
    ck_assert_int_eq(status, 0);
    e->answer = e->f(e->net);
    atomic_store(&e->done, true); /* e is gone */
    cvy_loop_wake(waiting);
}

int net_there(net_t *n, int (*f)(net_t *n))
{
    if (!n->group) return f(n);
    errand_t e = { .task = { .run = run_errand, .arg = &e }, .net = n, .f = f };
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(n->group, 0), &e.task), 0);
    NET_UNTIL(n, atomic_load(&e.done));
    return e.answer;
}

static int pause_it(net_t *n)
{
    return cvy_listener_pause(n->listener);
}

int net_pause(net_t *n)
{
    return net_there(n, pause_it);
}

static int resume_it(net_t *n)
{
    return cvy_listener_resume(n->listener);
}

int net_resume(net_t *n)
{
    return net_there(n, resume_it);
}

static int start_it(net_t *n)
{
    return cvy_listener_start(n->listener);
}

void net_end_listener(net_t *n)
{
    cvy_listener_t *l = cvy_listener_ref(n->listener); /* this thread's own: a callback may free the net's */
    cvy_listener_shutdown(l, CVY_KEEP);
    cvy_listener_free(l);
    NET_UNTIL(n, n->shutdowns);
    net_settle(n);
    ck_assert_int_eq(n->shutdowns, 1);
}

/* One turn of every loop of the group, after what loop 0 has posted to it. */
static int passing;
static atomic_int passed;

static void pass(cvy_task_t *task, int status)
{
    (void)task, (void)status;
    passed++;
}

static int post_passes(net_t *n)
{
    static cvy_task_t tasks[NET_LOOPS];
    for (int i = 0; i < NET_LOOPS; i++) {
        tasks[i] = (cvy_task_t){ .run = pass };
        passing += !cvy_loop_post(cvy_group_loop(n->group, i), &tasks[i]);
    }
    return 0;
}

static void pass_all(net_t *n)
{
    passing = 0;
    passed = 0;
    net_there(n, post_passes);
    NET_UNTIL(n, passed == passing);
}

const char *net_ipc(const char *name)
{
    static char uri[64];
    snprintf(uri, sizeof uri, "ipc://%s-%ld", name, (long)uv_os_getpid());
    return uri;
}

int net_try_listen(net_t *n, const char *address)
{
    n->opts.address = address;
    int err = cvy_listener_new(&n->listener, &n->opts);
    return err ? err : net_there(n, start_it);
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

cvy_dialer_t *net_dial_list(net_t *n, const char *const *uris, int count)
{
    if (net_dial(n, "inproc://will-be-replaced")) return NULL;
    cvy_dialer_t *d = n->dialers[n->dialed - 1];
    cvy__loop_undefer(&d->work);
    d->address.kind = CVY__ADDRESS_HOST;
    d->n_targets = (unsigned)count;
    for (int i = 0; i < count; i++) {
        cvy__address_t a;
        ck_assert_int_eq(cvy__address_parse(&a, uris[i], NULL, 0), 0);
        d->targets[i] = a.socket;
    }
    cvy__race_start(d);
    return d;
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

void net_until_clients_end(net_t *n)
{
    while (n->open) {
        for (int i = 0; i < n->dialed; i++) {
            cvy_buf_t b = CVY_BUF_INIT;
            ck_assert_int_eq(cvy_buf_append(&b, "x", 1), 0);
            if (n->clients[i])
                cvy_conveyor_write(cvy_transport_conveyor(n->clients[i]), &b); /* may be refused: it ends */
            cvy_buf_fini(&b);
        }
        net_turn(n, 1);
    }
}

int net_turn(net_t *n, int64_t ms)
{
    return cvy_loop_turn(n->loop, ms);
}

void net_settle(net_t *n)
{
    for (int i = 0; i < 20; i++)
        net_turn(n, 0);
    for (int i = 0; i < 3 && n->group; i++)
        pass_all(n);
}

uint64_t net_round_trip(net_t *n, int i)
{
    uint64_t before = n->loop->turns;
    size_t want = n->echoed + 4;
    net_write(n, i, "ping");
    while (n->echoed < want)
        net_turn(n, n->group ? 1 : 1000); /* a turn in which nothing came is none that somebody took away */
    return n->loop->turns - before;
}

void net_fini(net_t *n)
{
    for (int i = 0; i < n->dialed; i++)
        cvy_dialer_free(n->dialers[i]);
    cvy_listener_free(n->listener);
    cvy_group_free(n->group);
    cvy_loop_stop(n->loop);
    cvy_loop_run(n->loop);
    cvy_loop_unref(n->loop);
    ck_assert_int_eq(n->open, 0);
    ck_assert_int_eq(n->late, 0);
    recorder_log_fini(&n->log);
    if (!--nets) ck_assert_uint_eq(cvy__memory_live(), live_before);
}
