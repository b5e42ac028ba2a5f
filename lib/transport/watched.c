/*
 * Kinds that an application supplies: a descriptor that can be watched, and a table of calls that never block. One watch serves both
 * directions. Read interest stands while reading is on; write interest only while the descriptor would not take more, or
 * while it is connecting.
 *
 * The application's calls can close t: after each, reading is looked up anew. What has to come later than a call of the common
 * part (the end of shutting, the end of closing) is put off as deferred work.
 */
#include <conveyor/adopt.h>
#include <conveyor/watch.h>
#include <stdio.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "transport/transport.h"

typedef struct watched {
    cvy_transport_t transport;
    cvy__kind_t kind; /* its own: the name is the application's, and not every one can end its side */
    const cvy_transport_ops_t *ops;
    cvy_watch_t *watch;
    cvy__work_t later;
    void *user;
    cvy_conveyor_init_cb init;
    void (*on_connected)(cvy_transport_t *t, int status, void *arg);
    void *arg;
    bool reading;
    bool connecting;
    bool shut;   /* cvy__transport_shut is due */
    bool closed; /* cvy__transport_closed is due */
    bool making; /* until it is made the descriptor is the caller's: closing waits */
    bool with_reset;
} watched_t;

static watched_t *of(const cvy_transport_t *t)
{
    return (watched_t *)(uintptr_t)t;
}

void *cvy_transport_user(const cvy_transport_t *t)
{
    return of(t)->user;
}

/* Reading */

/* Poll says only that something is wrong; the socket knows what. */
static int real_code(const watched_t *w, int status)
{
    int err = cvy__socket_error(cvy_watch_fd(w->watch));
    return cvy__transport_code(err && err != UV_ENOTSOCK ? err : status);
}

typedef enum outcome { MORE, DRY, NOT_NOW } outcome_t;

static outcome_t read_once(watched_t *w)
{
    cvy_transport_t *t = &w->transport;
    if (!cvy__transport_may_read(t)) {
        cvy__transport_not_now(t);
        return NOT_NOW;
    }
    cvy_buf_t in;
    cvy_buf_init(&in, t->conveyor.loop->pool);
    int n = w->ops->read_some(t, &in);
    if (n > 0)
        cvy__transport_read_buf(t, &in);
    else if (n == 0)
        cvy__transport_read_eof(t);
    else if (n != UV_EAGAIN)
        cvy__transport_read_error(t, cvy__transport_code(n));
    cvy_buf_fini(&in);
    return n > 0 ? MORE : DRY;
}

/* With a status nothing is watched any more: what came before the failure is read, then it is told. */
static void on_readable(cvy_watch_t *watch, int status, void *arg)
{
    watched_t *w = arg;
    cvy_loop_t *loop = w->transport.conveyor.loop;
    outcome_t outcome = MORE;
    cvy__loop_enter(loop);
    while (w->reading && outcome == MORE)
        outcome = read_once(w);
    if (status && w->reading && outcome == NOT_NOW)
        cvy_watch_read(watch, on_readable, w);
    else if (status && w->reading)
        cvy__transport_read_error(&w->transport, real_code(w, status));
    cvy__loop_leave(loop);
}

static int read_start(cvy_transport_t *t)
{
    int err = cvy_watch_read(of(t)->watch, on_readable, of(t));
    of(t)->reading = !err;
    return err;
}

static void read_stop(cvy_transport_t *t)
{
    if (of(t)->watch && of(t)->reading) cvy_unwatch_read(of(t)->watch);
    of(t)->reading = false;
}

/* Writing */

static void on_writable(cvy_watch_t *watch, int status, void *arg)
{
    watched_t *w = arg;
    cvy_loop_t *loop = w->transport.conveyor.loop;
    cvy_unwatch_write(watch);
    cvy__loop_enter(loop);
    cvy__transport_wrote(&w->transport, 0, status ? real_code(w, status) : 0);
    cvy__loop_leave(loop);
}

static int write_head(cvy_transport_t *t, const cvy_buf_t *out)
{
    watched_t *w = of(t);
    int n = w->ops->write_some(t, out);
    if (n > 0) return n;
    if (n < 0 && n != UV_EAGAIN) return cvy__transport_code(n);
    int err = cvy_watch_write(w->watch, on_writable, w);
    return err ? err : UV_EAGAIN;
}

static void run_later(cvy__work_t *work)
{
    watched_t *w = CVY__OF(work, watched_t, later);
    if (w->closed) {
        cvy__transport_closed(&w->transport);
    } else if (w->shut) {
        w->shut = false;
        cvy__transport_shut(&w->transport, 0);
    }
}

static int end_writing(cvy_transport_t *t)
{
    watched_t *w = of(t);
    int err = w->ops->shutdown_write(t);
    if (err) return err;
    w->shut = true;
    cvy__loop_defer(t->conveyor.loop, &w->later);
    return 0;
}

static void close_fd(cvy_transport_t *t, bool reset)
{
    watched_t *w = of(t);
    w->reading = false;
    cvy_watch_free(w->watch);
    w->watch = NULL;
    if (!w->making) w->ops->close(t, reset);
    w->closed = true;
    cvy__loop_undefer(&w->later);
    /* As a system's close callback: never inside the call that makes t. */
    cvy__loop_defer_turn(t->conveyor.loop, &w->later);
}

static int probe(cvy_transport_t *t)
{
    const watched_t *w = of(t);
    int err = w->ops->probe ? w->ops->probe(t) : 0;
    return err ? cvy__transport_code(err) : 0;
}

static int watched_fd(const cvy_transport_t *t, cvy_socket_t *out)
{
    if (!of(t)->watch) return UV_EBADF;
    *out = cvy_watch_fd(of(t)->watch);
    return 0;
}

static void watched_free(cvy_transport_t *t)
{
    cvy__free(of(t));
}

static const cvy__kind_t watched_kind = {
    .name = "watched",
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_head,
    .shutdown = end_writing,
    .close = close_fd,
    .probe = probe,
    .fd = watched_fd,
    .free = watched_free,
};

/* Connecting */

static void tell_result(watched_t *w, int status)
{
    void (*cb)(cvy_transport_t *, int, void *) = w->on_connected;
    w->on_connected = NULL;
    if (cb) cb(&w->transport, status, w->arg);
}

static void lend(cvy_transport_t *t, void *arg)
{
    tell_result(arg, 0);
    (void)t;
}

static void connect_over(watched_t *w, int status)
{
    w->connecting = false;
    cvy_unwatch_write(w->watch);
    if (status)
        cvy__transport_close_with(&w->transport, CVY_CLOSE_NOW, status, true);
    else
        status = cvy__transport_open(&w->transport, w->init, w->arg, lend, w);
    if (status) tell_result(w, status);
}

static void on_connect_writable(cvy_watch_t *watch, int status, void *arg)
{
    (void)watch;
    watched_t *w = arg;
    cvy_loop_t *loop = w->transport.conveyor.loop;
    cvy__loop_enter(loop);
    status = status ? real_code(w, status) : w->ops->on_connect_writable(&w->transport);
    if (status != UV_EAGAIN && w->connecting && w->watch) connect_over(w, status ? cvy__transport_code(status) : 0);
    cvy__loop_leave(loop);
}

/* Making */

static int set_endpoints(watched_t *w, const cvy_watched_opts_t *opts)
{
    char unnamed[64];
    snprintf(unnamed, sizeof unnamed, "%s:", w->kind.name);
    return cvy__transport_set_endpoints(&w->transport, opts->self_endpoint ? opts->self_endpoint : unnamed, NULL,
                                        opts->other_endpoint ? opts->other_endpoint : unnamed, NULL);
}

static int make(watched_t **out, cvy_loop_t *loop, const cvy_watched_opts_t *opts, cvy__shared_opts_t *shared)
{
    watched_t *w = cvy__calloc(1, sizeof *w);
    if (!w) return UV_ENOMEM;
    w->kind = watched_kind;
    w->ops = opts->ops;
    w->user = opts->user;
    w->init = opts->init;
    w->arg = opts->arg;
    w->on_connected = opts->on_connected;
    if (w->ops->name) w->kind.name = w->ops->name;
    if (!w->ops->shutdown_write) w->kind.shutdown = NULL;
    cvy__work_init(&w->later, run_later);
    int err = set_endpoints(w, opts);
    if (!err) err = cvy_watch_new(&w->watch, loop, opts->fd);
    if (!err) err = cvy__transport_init(&w->transport, &w->kind, loop, shared);
    if (err) {
        cvy_watch_free(w->watch);
        cvy__transport_forget_endpoints(&w->transport);
        cvy__free(w);
        return err;
    }
    *out = w;
    return 0;
}

/* Connected from the start, or from on_connect_writable on. */
static int begin(watched_t *w)
{
    if (!w->ops->on_connect_writable) return cvy__transport_open(&w->transport, w->init, w->arg, lend, w);
    int err = cvy_watch_write(w->watch, on_connect_writable, w);
    w->connecting = !err;
    if (err) cvy__transport_close_with(&w->transport, CVY_CLOSE_NOW, err, true);
    return err;
}

int cvy_transport_watched(cvy_transport_t **out, cvy_loop_t *loop, const cvy_watched_opts_t *opts)
{
    cvy__shared_opts_t *shared;
    watched_t *w;
    if (cvy__loop_own(loop)) return UV_EPERM;
    int err = cvy__shared_opts_new(&shared, opts->transport);
    if (err) return err;
    bool outermost = cvy__loop_hold(loop);
    err = make(&w, loop, opts, shared);
    cvy__shared_opts_unref(shared);
    if (!err) {
        w->making = true;
        err = begin(w);
        if (!err && cvy_transport_closing(&w->transport)) err = UV_ECANCELED;       /* by init, or by on_connected */
        if (err) cvy__transport_close_with(&w->transport, CVY_CLOSE_NOW, 0, false); /* gracefully would take fd along */
        w->making = false;
        if (!err) *out = &w->transport;
    }
    if (outermost) cvy__loop_let_go(loop);
    return err;
}
