/*
 * The embedded transport: a kind without I/O, on a loop without a uv_loop_t.
 *
 * What is fed waits in a list, one entry per read, as in a socket's receive queue; what is written is copied to `sent`. Every public call runs
 * turns until nothing moves any more, except inside a callback, where the outermost call does it.
 */
#include <conveyor/embedded.h>
#include <limits.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

/* A stage that keeps itself busy for ever must not hang its test. */
#define TURNS 100000

typedef struct chunk {
    struct chunk *next;
    cvy_buf_t bytes;
} chunk_t;

struct cvy_embedded {
    cvy_transport_t t; /* first: the kind's memory */
    cvy_loop_t *loop;
    cvy_conveyor_init_cb init;
    void *arg;
    chunk_t *inbox, **inbox_end;
    cvy_buf_t sent;
    int *script;
    size_t script_len, script_at;
    size_t write_calls;
    cvy__work_t work; /* what a system would call back */
    int reset;        /* the peer's, not yet read */
    bool reading, ended, end_read;
    bool blocking; /* all writes would block */
    bool waiting;  /* a write did */
    bool shut, shut_due;
    bool closed, closed_due, was_reset;
};

static cvy_embedded_t *of(cvy_transport_t *t)
{
    return CVY__OF(t, cvy_embedded_t, t);
}

/* Reading */

/* Whether the system would call back: a reset first, bytes, the end behind them. */
static bool readable(const cvy_embedded_t *e)
{
    return e->reading && (e->reset || e->inbox || (e->ended && !e->end_read));
}

/* True: something was read. */
static bool pump(cvy_embedded_t *e)
{
    bool moved = false;
    if (e->reading && e->reset) {
        cvy__transport_read_error(&e->t, e->reset);
        return true;
    }
    while (e->reading && e->inbox) {
        if (!cvy__transport_may_read(&e->t)) {
            cvy__transport_not_now(&e->t);
            return moved;
        }
        chunk_t *first = e->inbox;
        e->inbox = first->next;
        if (!e->inbox) e->inbox_end = &e->inbox;
        cvy_buf_t in = first->bytes;
        cvy__free(first);
        cvy__transport_read_buf(&e->t, &in);
        moved = true;
    }
    if (e->reading && e->ended && !e->end_read && !e->reset) { /* a reset that came meanwhile is read next */
        e->end_read = moved = true;
        cvy__transport_read_eof(&e->t);
    }
    return moved;
}

static int read_start(cvy_transport_t *t)
{
    of(t)->reading = true;
    return 0;
}

static void read_stop(cvy_transport_t *t)
{
    of(t)->reading = false;
}

/* Writing */

static int take(cvy_embedded_t *e, const cvy_buf_t *out, size_t n)
{
    cvy_buf_t copy = CVY_BUF_INIT;
    char piece[4096];
    int err = 0;
    for (size_t done = 0, m; !err && done < n; done += m) {
        m = cvy_buf_peek_at(out, done, piece, n - done < sizeof piece ? n - done : sizeof piece);
        err = cvy_buf_append(&copy, piece, m);
    }
    if (!err) cvy_buf_append_buf(&e->sent, &copy);
    cvy_buf_fini(&copy);
    return err;
}

static int next_result(cvy_embedded_t *e)
{
    if (e->blocking) return UV_EAGAIN;
    return e->script_at < e->script_len ? e->script[e->script_at++] : INT_MAX;
}

static int write_out(cvy_transport_t *t, const cvy_buf_t *out)
{
    cvy_embedded_t *e = of(t);
    int result = e->reset ? e->reset : next_result(e);
    if (result <= 0) {
        e->waiting = result == UV_EAGAIN;
        return result ? result : UV_EIO;
    }
    size_t n = cvy_buf_len(out) < (size_t)result ? cvy_buf_len(out) : (size_t)result;
    e->write_calls++;
    int err = take(e, out, n);
    return err ? err : (int)n;
}

/* Ending */

static void call_back(cvy__work_t *work)
{
    cvy_embedded_t *e = CVY__OF(work, cvy_embedded_t, work);
    if (e->shut_due) {
        e->shut_due = false;
        cvy__transport_shut(&e->t, 0);
    }
    if (e->closed_due) {
        e->closed_due = false;
        cvy__transport_closed(&e->t);
    }
}

static int shut_down(cvy_transport_t *t)
{
    cvy_embedded_t *e = of(t);
    e->shut = e->shut_due = true;
    cvy__loop_defer(e->loop, &e->work);
    return 0;
}

static void close_kind(cvy_transport_t *t, bool reset)
{
    cvy_embedded_t *e = of(t);
    e->closed = e->closed_due = true;
    e->was_reset = reset;
    e->shut_due = false;
    cvy__loop_defer(e->loop, &e->work);
}

static int probe(cvy_transport_t *t)
{
    return of(t)->reset;
}

static void free_inbox(cvy_embedded_t *e)
{
    for (chunk_t *chunk; (chunk = e->inbox);) {
        e->inbox = chunk->next;
        cvy_buf_fini(&chunk->bytes);
        cvy__free(chunk);
    }
    e->inbox_end = &e->inbox;
}

static void free_kind(cvy_transport_t *t)
{
    cvy__free(of(t));
}

static const cvy__kind_t embedded = {
    .name = "embedded",
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_out,
    .shutdown = shut_down,
    .close = close_kind,
    .probe = probe,
    .free = free_kind,
};

/* The public calls */

static bool deferred(const cvy_loop_t *loop)
{
    return !cvy__link_alone(&loop->turn) || !cvy__link_alone(&loop->work) || !cvy__link_alone(&loop->flush);
}

void cvy_embedded_run(cvy_embedded_t *e)
{
    if (e->loop->root) return;
    bool moved = true;
    for (int i = 0; moved && i < TURNS; i++) {
        cvy__loop_enter(e->loop);
        moved = pump(e);
        cvy__loop_leave(e->loop);
        cvy__loop_settle(e->loop);
        e->loop->turns++;
        moved = moved || readable(e) || deferred(e->loop);
    }
}

static int make(cvy_embedded_t *e, const cvy_embedded_opts_t *opts)
{
    cvy__shared_opts_t *shared;
    int err = cvy__loop_new_embedded(&e->loop, opts->loop);
    if (err) return err;
    err = cvy__shared_opts_new(&shared, opts->transport);
    if (!err) {
        err = cvy__transport_init(&e->t, &embedded, e->loop, shared);
        cvy__shared_opts_unref(shared);
    }
    if (err) cvy__loop_end_embedded(e->loop);
    return err;
}

static int begin(cvy_embedded_t *e, const cvy_embedded_opts_t *opts)
{
    e->init = opts->init;
    e->arg = opts->arg;
    e->inbox_end = &e->inbox;
    cvy__work_init(&e->work, call_back);
    cvy_transport_ref(&e->t); /* ours, until free */
    int err = cvy__transport_set_endpoints(&e->t, "embedded:", NULL, "embedded:", NULL);
    if (err || opts->connecting) return err;
    err = cvy__transport_open(&e->t, e->init, e->arg, NULL, NULL);
    cvy_embedded_run(e);
    return err;
}

int cvy_embedded_new(cvy_embedded_t **out, const cvy_embedded_opts_t *opts)
{
    static const cvy_embedded_opts_t none;
    if (!opts) opts = &none;
    cvy_embedded_t *e = cvy__calloc(1, sizeof *e);
    if (!e) return UV_ENOMEM;
    int err = make(e, opts);
    if (err) {
        cvy__free(e);
        return err;
    }
    err = begin(e, opts);
    if (err)
        cvy_embedded_free(e);
    else
        *out = e;
    return err;
}

void cvy_embedded_free(cvy_embedded_t *e)
{
    if (!e) return;
    cvy_transport_close(&e->t, CVY_CLOSE_NOW);
    cvy_embedded_run(e);
    cvy__loop_end_embedded(e->loop); /* may call back: posts are cancelled */
    free_inbox(e);
    cvy_buf_fini(&e->sent);
    cvy__free(e->script);
    cvy_transport_unref(&e->t);
}

cvy_transport_t *cvy_embedded_transport(cvy_embedded_t *e)
{
    return &e->t;
}

cvy_conveyor_t *cvy_embedded_conveyor(cvy_embedded_t *e)
{
    return &e->t.conveyor;
}

cvy_loop_t *cvy_embedded_loop(cvy_embedded_t *e)
{
    return e->loop;
}

int cvy_embedded_feed(cvy_embedded_t *e, const void *bytes, size_t n)
{
    if (e->ended || e->reset) return UV_EPIPE;
    if (!n) return 0;
    chunk_t *chunk = cvy__calloc(1, sizeof *chunk);
    if (!chunk) return UV_ENOMEM;
    cvy_buf_init(&chunk->bytes, cvy_loop_pool(e->loop));
    int err = cvy_buf_append(&chunk->bytes, bytes, n);
    if (err) {
        cvy__free(chunk);
        return err;
    }
    *e->inbox_end = chunk;
    e->inbox_end = &chunk->next;
    cvy_embedded_run(e);
    return 0;
}

void cvy_embedded_end(cvy_embedded_t *e)
{
    e->ended = true;
    cvy_embedded_run(e);
}

void cvy_embedded_reset(cvy_embedded_t *e, int code)
{
    e->reset = code;
    free_inbox(e);
    cvy_embedded_run(e);
}

void cvy_embedded_connect(cvy_embedded_t *e, int status)
{
    if (e->t.phase != CVY__CONNECTING) return;
    cvy__loop_enter(e->loop);
    if (status)
        cvy__transport_close_with(&e->t, CVY_CLOSE_NOW, status, true);
    else
        cvy__transport_open(&e->t, e->init, e->arg, NULL, NULL);
    cvy__loop_leave(e->loop);
    cvy_embedded_run(e);
}

cvy_buf_t *cvy_embedded_sent(cvy_embedded_t *e)
{
    return &e->sent;
}

size_t cvy_embedded_write_calls(const cvy_embedded_t *e)
{
    return e->write_calls;
}

bool cvy_embedded_shut(const cvy_embedded_t *e)
{
    return e->shut;
}

bool cvy_embedded_closed(const cvy_embedded_t *e, bool *was_reset)
{
    if (was_reset) *was_reset = e->was_reset;
    return e->closed;
}

int cvy_embedded_script(cvy_embedded_t *e, const int *results, size_t n)
{
    int *copy = n ? cvy__malloc(n * sizeof *copy) : NULL;
    if (n && !copy) return UV_ENOMEM;
    if (n) memcpy(copy, results, n * sizeof *copy);
    cvy__free(e->script);
    e->script = copy;
    e->script_len = n;
    e->script_at = 0;
    return 0;
}

void cvy_embedded_block(cvy_embedded_t *e, bool block)
{
    e->blocking = block;
    if (!block) cvy_embedded_unblock(e);
}

void cvy_embedded_unblock(cvy_embedded_t *e)
{
    if (e->waiting) {
        e->waiting = false;
        cvy__loop_enter(e->loop);
        cvy__transport_wrote(&e->t, 0, 0);
        cvy__loop_leave(e->loop);
    }
    cvy_embedded_run(e);
}

void cvy_embedded_advance(cvy_embedded_t *e, uint64_t ms)
{
    if (e->loop->root) return;
    cvy_loop_t *loop = e->loop;
    uint64_t until = loop->now_ms + ms, next;
    cvy__loop_advance_embedded(loop, 0);
    cvy_embedded_run(e);
    /* what a timer set going moves before time does */
    for (uint64_t now; (now = loop->now_ms) < until; cvy_embedded_run(e)) {
        next = cvy__wheel_next(&loop->wheel);
        cvy__loop_advance_embedded(loop, next <= now ? 1 : next < until ? next - now : until - now);
    }
}
