/*
 * A dial: the address is taken apart in dial, everything else happens in deferred work and callbacks, so that no result can come inside
 * dial. Whatever ends it (a connection, a failure, the deadline, cancel, free, the end of the loop) passes through finish, once.
 */
#include "endpoint/dialer.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/system.h"
#include "base/system_socket.h"
#include "endpoint/listener.h"

/* Memory */

static void free_dialer(cvy_dialer_t *d)
{
    if (d->shared) cvy__shared_opts_unref(d->shared);
    cvy__free(d->uri);
    cvy__free(d->bind_uri);
    cvy__free(d);
}

void cvy__dialer_unref(cvy_dialer_t *d)
{
    if (!--d->refs) free_dialer(d);
}

void cvy__dialer_borrow(cvy_dialer_t *d)
{
    d->refs++;
    d->requests++;
}

static void leave_loop(cvy_dialer_t *d)
{
    if (!d->requests && d->state == CVY__DIAL_FINISHED) cvy__resident_remove(d->opts.loop, &d->resident);
}

void cvy__dialer_return(cvy_dialer_t *d)
{
    d->requests--;
    leave_loop(d);
    cvy__dialer_unref(d);
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *out = cvy__malloc(n);
    return out ? memcpy(out, text, n) : NULL;
}

int cvy_dialer_new(cvy_dialer_t **out, const cvy_dialer_opts_t *opts)
{
    if (!opts || !opts->address || !opts->loop) return UV_EINVAL;
    cvy_dialer_t *d = cvy__calloc(1, sizeof *d);
    if (!d) return UV_ENOMEM;
    d->opts = *opts;
    d->refs = 1;
    d->uri = copy(opts->address);
    d->bind_uri = opts->bind_address ? copy(opts->bind_address) : NULL;
    int err = d->uri && (d->bind_uri || !opts->bind_address) ? 0 : UV_ENOMEM;
    if (!err) err = cvy__shared_opts_new(&d->shared, opts->transport);
    if (err) {
        free_dialer(d);
        return err;
    }
    d->opts.timeout_ms = opts->timeout_ms ? opts->timeout_ms : 30000;
    d->opts.attempt_delay_ms = opts->attempt_delay_ms > 0 ? opts->attempt_delay_ms : 250;
    cvy__link_init(&d->attempts);
    cvy__link_init(&d->resident.link);
    *out = d;
    return 0;
}

/* The end */

/* False: there was a result before. */
static bool finish(cvy_dialer_t *d)
{
    if (d->state != CVY__DIAL_RUNNING) return false;
    d->state = CVY__DIAL_FINISHED;
    cvy__loop_undefer(&d->work);
    cvy_timer_stop(&d->timeout);
    cvy__race_end(d);
    if (d->looking_up) uv_cancel((uv_req_t *)&d->lookup); /* or it comes back in its own time */
    leave_loop(d);
    return true;
}

static int say(cvy_dialer_t *d, const char *rule, int err)
{
    return cvy__address_say(d->message, sizeof d->message, d->uri, rule, err);
}

void cvy__dialer_fail(cvy_dialer_t *d, int err)
{
    if (err == UV_ESHUTDOWN) err = UV_ECANCELED; /* connected, to a loop that is about to end */
    d->refs++;
    if (finish(d)) {
        say(d, NULL, err);
        if (!d->freed && d->opts.on_failure) d->opts.on_failure(d, err, d->opts.arg);
    }
    cvy__dialer_unref(d);
}

static void lend(cvy_transport_t *t, void *arg)
{
    cvy_dialer_t *d = arg;
    if (d->freed)
        cvy_transport_close(t, CVY_CLOSE_NOW); /* by conveyor_init: nobody waits for it */
    else if (d->opts.on_connected)
        d->opts.on_connected(d, t, d->opts.arg);
}

void cvy__dialer_open(cvy_dialer_t *d, cvy_transport_t *t)
{
    d->refs++;
    finish(d);
    int err = cvy__transport_open(t, d->opts.conveyor_init, d->opts.arg, lend, d);
    if (err) {
        say(d, NULL, err);
        if (!d->freed && d->opts.on_failure) d->opts.on_failure(d, err, d->opts.arg);
    }
    cvy__dialer_unref(d);
}

void cvy__dialer_connected(cvy_dialer_t *d, cvy__stream_t *s)
{
    bool tcp = d->address.kind == CVY__ADDRESS_TCP || d->address.kind == CVY__ADDRESS_HOST;
    char other[CVY__URI_MAX + 1];
    cvy__address_endpoint(other, sizeof other, &d->address);
    int err = cvy__stream_become(s, d->shared, &(cvy__names_t){ .other = tcp ? NULL : other });
    if (!err) {
        cvy__dialer_open(d, &s->transport);
        return;
    }
    cvy__stream_discard(s);
    cvy__dialer_fail(d, err);
}

static void on_loop_end(cvy__resident_t *resident)
{
    cvy__dialer_fail(CVY__OF(resident, cvy_dialer_t, resident), UV_ECANCELED);
}

static void on_timeout(cvy_timer_t *timer)
{
    cvy__dialer_fail(timer->arg, UV_ETIMEDOUT);
}

/* The ways to connect */

static void on_lookup(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    cvy_dialer_t *d = CVY__OF(request, cvy_dialer_t, lookup);
    cvy_loop_t *loop = d->opts.loop;
    cvy__loop_enter(loop);
    d->looking_up = false;
    bool wanted = d->state == CVY__DIAL_RUNNING && !d->result;
    if (wanted && status) {
        cvy__dialer_fail(d, status);
    } else if (wanted) {
        cvy__race_order(d, found);
        cvy__race_start(d);
    }
    uv_freeaddrinfo(found);
    cvy__dialer_return(d);
    cvy__loop_leave(loop);
}

static void look_up(cvy_dialer_t *d)
{
    char port[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    snprintf(port, sizeof port, "%u", d->address.port);
    cvy__dialer_borrow(d);
    int err = uv_getaddrinfo(d->opts.loop->uv, &d->lookup, on_lookup, d->address.name, port, &hints);
    d->looking_up = !err;
    if (!err) return;
    cvy__dialer_fail(d, err);
    cvy__dialer_return(d);
}

static void open_unix(cvy_dialer_t *d, cvy_socket_t fd)
{
    cvy__stream_t *s = NULL;
    int err = cvy__stream_new_pipe(&s, d->opts.loop);
    if (!err) err = cvy__stream_open(s, fd);
    if (!err) {
        cvy__dialer_connected(d, s);
        return;
    }
    cvy__socket_close(fd);
    cvy__stream_discard(s);
    cvy__dialer_fail(d, err);
}

static void connect_unix(cvy_dialer_t *d);

static void on_retry(cvy_timer_t *timer)
{
    connect_unix(timer->arg);
}

/* Unix sockets connect at once, or not at all; a full backlog is asked again until the deadline. */
static void connect_unix(cvy_dialer_t *d)
{
    cvy_socket_t fd;
    int err = cvy__unix_connect(&fd, d->address.name, d->address.abstract);
    if (!err) {
        open_unix(d, fd);
    } else if (err == UV_EAGAIN) {
        cvy__timer_init_internal(&d->next_attempt, d->opts.loop, on_retry, d);
        d->retry_ms = d->retry_ms ? (d->retry_ms < 128 ? d->retry_ms * 2 : d->retry_ms) : 4;
        cvy_timer_start(&d->next_attempt, d->retry_ms);
    } else {
        cvy__dialer_fail(d, err);
    }
}

static void connect_inproc(cvy_dialer_t *d)
{
    cvy__pair_link_t *link;
    cvy_transport_t *t = NULL;
    int err = cvy__pair_link_new(&link);
    if (err) {
        cvy__dialer_fail(d, err);
        return;
    }
    err = cvy__inproc_connect(d->address.name, link);
    if (err)
        cvy__pair_link_abandon(link, 0);
    else
        err = cvy__pair_open(&t, link, 1, d->opts.loop, d->shared, "inproc:", d->uri);
    if (!err) {
        cvy__dialer_open(d, t);
        return;
    }
    cvy__pair_link_abandon(link, 1);
    cvy__dialer_fail(d, err);
}

static void begin(cvy_dialer_t *d)
{
    switch (d->address.kind) {
    case CVY__ADDRESS_TCP:
        d->targets[0] = d->address.socket;
        d->n_targets = 1;
        cvy__race_start(d);
        break;
    case CVY__ADDRESS_HOST: look_up(d); break;
    case CVY__ADDRESS_INPROC: connect_inproc(d); break;
    case CVY__ADDRESS_PIPE: cvy__race_pipe(d); break;
    default: connect_unix(d); break;
    }
}

static void on_work(cvy__work_t *work)
{
    cvy_dialer_t *d = CVY__OF(work, cvy_dialer_t, work);
    d->refs++;
    if (d->result)
        cvy__dialer_fail(d, d->result);
    else
        begin(d);
    cvy__dialer_unref(d);
}

/* Dialing */

static int parse_bind(cvy_dialer_t *d)
{
    cvy__address_t a;
    if (!d->bind_uri) return 0;
    int err = cvy__address_parse(&a, d->bind_uri, d->message, sizeof d->message);
    if (!err && a.kind != CVY__ADDRESS_TCP)
        err = cvy__address_say(d->message, sizeof d->message, d->bind_uri, "bind_address must be a numeric tcp:// one",
                               UV_EINVAL);
    d->bind = a.socket;
    d->bound = true;
    return err;
}

static int parse(cvy_dialer_t *d)
{
    int err = cvy__address_parse(&d->address, d->uri, d->message, sizeof d->message);
    if (err) return err;
    if (d->address.kind == CVY__ADDRESS_FD || d->address.kind == CVY__ADDRESS_SYSTEMD)
        return say(d, "is for listeners; cvy_transport_adopt takes a connected descriptor", UV_EINVAL);
    if ((d->address.kind == CVY__ADDRESS_TCP || d->address.kind == CVY__ADDRESS_HOST) && !d->address.port)
        return say(d, "port must be 1 to 65535 to dial", UV_EINVAL);
    err = cvy__address_place(&d->address, false, d->message, sizeof d->message);
    return err ? err : parse_bind(d);
}

int cvy_dialer_dial(cvy_dialer_t *d)
{
    cvy_loop_t *loop = d->opts.loop;
    if (d->state != CVY__DIAL_NEW) return UV_EALREADY;
    if (cvy__loop_own(loop)) return UV_EPERM;
    if (cvy__loop_ending(loop)) return say(d, NULL, UV_ESHUTDOWN);
    if (!loop->uv) return say(d, "an embedded loop can't dial", UV_ENOTSUP);
    int err = parse(d);
    if (err) return err;
    d->state = CVY__DIAL_RUNNING;
    d->resident.close = on_loop_end;
    cvy__resident_add(loop, &d->resident);
    cvy__timer_init_internal(&d->timeout, loop, on_timeout, d);
    if (d->opts.timeout_ms > 0) cvy_timer_start(&d->timeout, (uint64_t)d->opts.timeout_ms);
    cvy__work_init(&d->work, on_work);
    cvy__loop_defer(loop, &d->work);
    return 0;
}

int cvy_dialer_cancel(cvy_dialer_t *d)
{
    if (d->state == CVY__DIAL_NEW) return UV_EINVAL;
    if (d->state == CVY__DIAL_FINISHED) return UV_EALREADY; /* its loop may be gone */
    if (cvy__loop_own(d->opts.loop)) return UV_EPERM;
    if (d->result) return 0;
    d->result = UV_ECANCELED;
    cvy_timer_stop(&d->timeout);
    cvy__race_end(d);
    cvy__loop_defer(d->opts.loop, &d->work);
    return 0;
}

void cvy_dialer_free(cvy_dialer_t *d)
{
    if (!d || d->freed) return;
    if (d->state == CVY__DIAL_RUNNING && cvy__loop_own(d->opts.loop)) return;
    d->freed = true;
    finish(d);
    cvy__dialer_unref(d);
}

const char *cvy_dialer_message(const cvy_dialer_t *d)
{
    return d->message;
}
