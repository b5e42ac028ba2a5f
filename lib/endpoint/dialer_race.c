/*
 * Several addresses, one winner (RFC 8305). An attempt is started when the one before has failed, or has said nothing for
 * attempt_delay_ms. The first that connects wins; the others are discarded, which libuv reports to each as a cancelled connect: only then does
 * an attempt's memory go.
 */
#include <string.h>

#include "base/memory.h"
#include "endpoint/dialer.h"

typedef struct attempt {
    cvy__link_t link;
    uv_connect_t request;
    cvy_dialer_t *dialer;
    cvy__stream_t *stream; /* NULL: given up */
} attempt_t;

static socklen_t length(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static const struct addrinfo *next_of(const struct addrinfo *from, int family, bool same)
{
    while (from && (from->ai_family == family) != same)
        from = from->ai_next;
    return from;
}

void cvy__race_order(cvy_dialer_t *d, const struct addrinfo *found)
{
    if (!found) return;
    int family = found->ai_family;
    const struct addrinfo *first = found, *second = next_of(found, family, false);
    for (bool turn = true; (first || second) && d->n_targets < CVY__TARGETS; turn = !turn) {
        const struct addrinfo **from = (turn && first) || !second ? &first : &second;
        memcpy(&d->targets[d->n_targets++], (*from)->ai_addr, length((*from)->ai_addr));
        *from = next_of((*from)->ai_next, family, from == &first);
    }
}

/* Takes an attempt out of the race; its memory goes with its callback. */
static cvy__stream_t *retire(attempt_t *a)
{
    cvy__stream_t *s = a->stream;
    a->stream = NULL;
    cvy__link_remove(&a->link);
    a->dialer->running--;
    return s;
}

void cvy__race_end(cvy_dialer_t *d)
{
    if (d->next_attempt.loop) cvy_timer_stop(&d->next_attempt);
    while (!cvy__link_alone(&d->attempts))
        cvy__stream_discard(retire(CVY__OF(d->attempts.next, attempt_t, link)));
}

static void go_on(cvy_dialer_t *d);

static void on_connect(uv_connect_t *request, int status)
{
    attempt_t *a = CVY__OF(request, attempt_t, request);
    cvy_dialer_t *d = a->dialer;
    cvy_loop_t *loop = d->opts.loop;
    cvy__loop_enter(loop);
    cvy__stream_t *s = a->stream ? retire(a) : NULL;
    cvy__free(a);
    if (s && !status) {
        cvy__dialer_connected(d, s);
    } else if (s) {
        cvy__stream_discard(s);
        d->last_error = cvy__transport_code(status);
        go_on(d);
    }
    cvy__dialer_return(d);
    cvy__loop_leave(loop);
}

static attempt_t *new_attempt(cvy_dialer_t *d, int *err, int (*make)(cvy__stream_t **, cvy_loop_t *))
{
    attempt_t *a = cvy__calloc(1, sizeof *a);
    *err = a ? make(&a->stream, d->opts.loop) : UV_ENOMEM;
    if (*err) {
        cvy__free(a);
        return NULL;
    }
    a->dialer = d;
    cvy__link_append(&d->attempts, &a->link);
    d->running++;
    cvy__dialer_borrow(d);
    return a;
}

/* The attempt did not begin. */
static void undo(attempt_t *a)
{
    cvy_dialer_t *d = a->dialer;
    cvy__stream_discard(retire(a));
    cvy__free(a);
    cvy__dialer_return(d);
}

static int attempt(cvy_dialer_t *d, const struct sockaddr *target)
{
    int err;
    attempt_t *a = new_attempt(d, &err, cvy__stream_new_tcp);
    if (!a) return err;
    uv_tcp_t *tcp = (uv_tcp_t *)cvy__stream_handle(a->stream);
    if (d->bound) err = uv_tcp_bind(tcp, (struct sockaddr *)&d->bind, 0);
    if (!err) err = uv_tcp_connect(&a->request, tcp, target, on_connect);
    if (err) undo(a);
    return err;
}

static void on_next_attempt(cvy_timer_t *timer)
{
    go_on(timer->arg);
}

/* Starts the next attempt that can be started; with none under way and none left the dial has failed. */
static void go_on(cvy_dialer_t *d)
{
    while (d->state == CVY__DIAL_RUNNING && d->next_target < d->n_targets) {
        int err = attempt(d, (struct sockaddr *)&d->targets[d->next_target++]);
        if (!err) {
            if (d->next_target < d->n_targets) cvy_timer_start(&d->next_attempt, (uint64_t)d->opts.attempt_delay_ms);
            return;
        }
        d->last_error = err;
    }
    if (!d->running) cvy__dialer_fail(d, d->last_error);
}

void cvy__race_start(cvy_dialer_t *d)
{
    d->last_error = UV_EADDRNOTAVAIL; /* should there be no target at all */
    cvy__timer_init_internal(&d->next_attempt, d->opts.loop, on_next_attempt, d);
    go_on(d);
}

void cvy__race_pipe(cvy_dialer_t *d)
{
    int err;
    attempt_t *a = new_attempt(d, &err, cvy__stream_new_pipe);
    if (a)
        uv_pipe_connect(&a->request, (uv_pipe_t *)cvy__stream_handle(a->stream), d->address.name, on_connect);
    else
        cvy__dialer_fail(d, err);
}
