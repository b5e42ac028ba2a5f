/*
 * Three stages always stand: `tap` next to HEAD and `sink` next to TAIL see what passes and hold the oracle; between them "holders"
 * and "passers" come and go. Every callback may do any operation.
 */
#include "drive_transport.h"

#include <conveyor/embedded.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "buf/debug.h"
#include "transport/transport.h"

#define must(condition)                                                                     \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

enum {
    MAX_STAGES = 8,
    MAX_TICKETS = 4096,
    MAX_DEPTH = 3,
    MAX_INSIDE = 400, /* operations inside callbacks */
    BIG = 3000
};

typedef struct bytes {
    uint8_t *data;
    size_t len, cap;
} bytes_t;

/* What a context of ours has seen. */
typedef struct seen {
    bool active, inactive, removed, read_closed;
} seen_t;

typedef struct state {
    seen_t seen;
    cvy_buf_t in, out; /* a holder's */
    bool holds_closed;
    int slot; /* in d.stages; -1: tap or sink */
} state_t;

static struct {
    drive_numbers_t numbers;
    cvy_embedded_t *e;
    cvy_transport_t *t;
    cvy_conveyor_t *c;
    cvy_ctx_t *tap, *sink;
    cvy_ctx_t *stages[MAX_STAGES];
    bytes_t accepted, fed;
    size_t checked;  /* of the wire */
    size_t arrived;  /* at tap */
    size_t consumed; /* at sink */
    uint64_t made;   /* bytes of the pattern */
    struct {
        uint64_t position;
    } tickets[MAX_TICKETS];
    size_t tickets_made, tickets_done;
    size_t posts_made, posts_done;
    size_t added, removed;
    int depth, inside;
    bool suspended;     /* stages were told */
    bool told_no;       /* the setter was told */
    uint64_t resumed;   /* the turn of the last resume + 1 */
    uint64_t completed; /* the turn of the last read-complete + 1 */
    bool tap_inactive, ended, reset, peer_ended;
    bool tickets_failed, finishing;
} d;

static uint32_t next(void)
{
    return d.numbers.next(d.numbers.arg);
}

static void keep(bytes_t *b, const void *data, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = 2 * (b->cap + n);
        b->data = realloc(b->data, b->cap);
        must(b->data);
    }
    if (n) memcpy(b->data + b->len, data, n);
    b->len += n;
}

static cvy_buf_t make(size_t n)
{
    uint8_t raw[4 * BIG];
    cvy_buf_t b;
    for (size_t i = 0; i < n; i++)
        raw[i] = (uint8_t)((d.made + i) * 31 + (d.made + i) / 251);
    d.made += n;
    cvy_buf_init(&b, cvy_loop_pool(cvy_embedded_loop(d.e)));
    must(cvy_buf_append(&b, raw, n) == 0);
    return b;
}

static uint64_t position(void)
{
    cvy_transport_stats_t stats;
    cvy_transport_stats(d.t, &stats);
    return stats.bytes_written + cvy_transport_queued(d.t);
}

static void keep_buf(bytes_t *to, const cvy_buf_t *b)
{
    size_t n = cvy_buf_len(b);
    uint8_t *raw = malloc(n + 1);
    must(raw && cvy_buf_peek(b, raw, n) == n);
    keep(to, raw, n);
    free(raw);
}

/* Operations */

static void act(cvy_ctx_t *ctx);

static void inside(cvy_ctx_t *ctx)
{
    if (d.depth >= MAX_DEPTH || d.inside >= MAX_INSIDE) return;
    d.depth++;
    d.inside++;
    act(ctx);
    d.depth--;
}

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    cvy_transport_stats_t stats;
    cvy_transport_stats(t, &stats);
    must(i == d.tickets_done);
    must(!d.tap_inactive && !d.ended);
    must(status <= 0);
    must((status == 0) == (d.tickets[i].position <= stats.bytes_written));
    must(status == 0 || cvy_transport_closing(t));
    must(status != 0 || !d.tickets_failed);
    d.tickets_failed = status != 0;
    d.tickets_done++;
    inside(NULL);
}

static void flush(bool with_ticket)
{
    if (with_ticket && d.tickets_made == MAX_TICKETS) return;
    size_t i = d.tickets_made;
    if (with_ticket) {
        d.tickets[i].position = position();
        d.tickets_made++;
    }
    int err = cvy_transport_flush(d.t, with_ticket ? on_ticket : NULL, (void *)(uintptr_t)i);
    must(!err || err == UV_ENOMEM || (err == UV_EPIPE && d.t->phase >= CVY__CLOSING));
    if (err && with_ticket) {
        must(d.tickets_made == i + 1);
        d.tickets_made--;
    }
}

static int expected_refusal(void)
{
    if (d.t->phase == CVY__CONNECTING) return UV_ENOTCONN;
    if (cvy_transport_closing(d.t) || d.t->shut_asked) return UV_EPIPE;
    return 0;
}

static void write_through(size_t n)
{
    cvy_buf_t b = make(n);
    int expected = expected_refusal();
    bool full = cvy__transport_over_hard(d.t);
    int err = cvy_conveyor_write(d.c, &b);
    must(err == (expected ? expected : full ? UV_ENOBUFS : 0));
    must(cvy_buf_len(&b) == (err ? n : 0));
    cvy_buf_fini(&b);
}

static void write_below(size_t n, bool some)
{
    cvy_buf_t b = make(n), copy = CVY_BUF_INIT;
    int expected = expected_refusal();
    size_t taken = 0;
    bool full = cvy__transport_over_hard(d.t);
    must(cvy_buf_share(&copy, &b) == 0);
    int err = some ? cvy_transport_write_some(d.t, &b, &taken) : cvy_transport_write(d.t, &b);
    if (!some && !err) taken = n;
    must(cvy_buf_len(&b) == n - taken);
    if (expected)
        must(err == expected);
    else
        must(err == 0 || err == UV_ENOBUFS);
    must(some || expected || (err == UV_ENOBUFS) == full);
    if (taken) {
        cvy_buf_t part = CVY_BUF_INIT;
        must(cvy_buf_move(&part, &copy, taken) == 0);
        keep_buf(&d.accepted, &part);
        cvy_buf_fini(&part);
    }
    cvy_buf_fini(&copy);
    cvy_buf_fini(&b);
}

static void on_posted(void *arg, int status)
{
    (void)arg;
    must(status <= 0);
    d.posts_done++;
    inside(NULL);
}

static void on_call(cvy_transport_t *t, void *arg, int status)
{
    (void)arg;
    must((t == NULL) == (status != 0));
    must(!t || t == d.t);
    d.posts_done++;
    inside(NULL);
}

static void post(uint32_t how)
{
    cvy_loop_t *loop = cvy_embedded_loop(d.e);
    cvy_transport_id_t id = cvy_transport_id(d.t);
    cvy_close_t close = { (cvy_close_verb_t)(how / 8 % 3), 0 };
    int err;
    if (how % 4 == 0 && how / 4 % 8) return; /* closes are rare */
    if (how % 4 == 0) {
        err = cvy_transport_post_close(loop, id, &close);
    } else if (how % 4 == 1) {
        err = cvy_transport_post_call(loop, id, on_call, NULL);
        d.posts_made += !err;
    } else {
        size_t n = how / 4 % BIG;
        cvy_buf_t b = make(n);
        err = cvy_transport_post_write(loop, id, &b, on_posted, NULL);
        must(cvy_buf_len(&b) == (err ? n : 0));
        d.posts_made += !err;
        cvy_buf_fini(&b);
    }
    must(!err || err == UV_ENOMEM || err == UV_ENOBUFS || (err == UV_ESRCH && d.t->phase == CVY__CLOSED));
}

static const cvy_stage_t holder, passer, catcher;

static void add(uint32_t how)
{
    static const cvy_stage_t *const kinds[] = { &holder, &passer, &catcher };
    int slot = 0;
    while (slot < MAX_STAGES && d.stages[slot])
        slot++;
    if (slot == MAX_STAGES) return;
    const cvy_stage_t *kind = kinds[how % 3];
    cvy_ctx_t *at = d.stages[how / 3 % MAX_STAGES], *ctx = NULL;
    int err;
    cvy_stage_with_t with = { kind, &slot };
    if (at && how / 32 % 3 == 0)
        err = cvy_conveyor_replace(d.c, cvy_at_ctx(at), &with, 1);
    else if (at && how / 32 % 3 == 1)
        err = cvy_conveyor_add_before(d.c, cvy_at_ctx(at), kind, &slot, &ctx);
    else
        err = cvy_conveyor_add_after(d.c, cvy_at_ctx(d.tap), kind, &slot, &ctx);
    must(!err || err == UV_ENOMEM || err == UV_EPIPE || err == UV_ENOENT);
}

static void close_some(uint32_t how)
{
    if (how % 6) return;
    how /= 6;
    if (how % 4 == 3)
        cvy_transport_shutdown(d.t, how / 4 % 2 ? UV_EPROTO : 0);
    else
        cvy_transport_close(d.t, (cvy_close_verb_t)(how % 4));
    must(how % 4 == 3 || cvy_transport_closing(d.t));
    must(d.t->phase == CVY__CONNECTING || !cvy_transport_closing(d.t) || expected_refusal() == UV_EPIPE);
}

static void feed(size_t n)
{
    uint8_t raw[4 * BIG];
    for (size_t i = 0; i < n; i++)
        raw[i] = (uint8_t)((d.fed.len + i) * 17 + (d.fed.len + i) / 253);
    keep(&d.fed, raw, n); /* before: the feed may run turns */
    int err = cvy_embedded_feed(d.e, raw, n);
    must(!err || err == UV_ENOMEM || err == UV_EPIPE);
    if (err) d.fed.len -= n;
}

static void script(uint32_t how)
{
    int results[6];
    size_t n = how % 7;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next();
        results[i] = r % 3 == 0 ? UV_EAGAIN : r % 61 == 1 ? UV_ECONNRESET : (int)(1 + r % 900);
    }
    cvy_embedded_script(d.e, results, n);
}

static void act_in_stage(cvy_ctx_t *ctx, uint32_t what, uint32_t how)
{
    cvy_buf_t b;
    switch (what) {
    case 0: cvy_ctx_suspend(ctx); break;
    case 1: cvy_ctx_resume(ctx); break;
    case 2:
        if (how % 4 == 0) cvy_ctx_fail(ctx, UV_EPROTO, "chosen");
        break;
    case 3: cvy_fire_outbound_flush(ctx); break;
    case 4: cvy_ctx_writable(ctx); break;
    case 5:
        if (ctx == d.tap) break; /* its oracle is its own slot */
        b = make(how % BIG);
        cvy_fire_outbound_bytes(ctx, &b);
        break;
    case 6: cvy_ctx_timer(ctx, (int64_t)(how % 3000) - 1); break;
    case 7:
        if (ctx != d.tap && ctx != d.sink) cvy_conveyor_remove(d.c, cvy_at_ctx(ctx));
        break;
    default: break;
    }
}

static void act(cvy_ctx_t *ctx)
{
    uint32_t what = next() % 40, how = next();
    switch (what) {
    case 1:
    case 2: write_through(how % 100); break;
    case 3: write_through(how % BIG); break;
    case 4: write_below(how % 100, false); break;
    case 5: write_below(how % (4 * BIG), how / (4 * BIG) % 2); break;
    case 6:
    case 7: flush(true); break;
    case 8: flush(false); break;
    case 9: cvy_transport_readable_state_changed(d.t, how % 2); break;
    case 10:
        if (how % 5 == 0) cvy_transport_shutdown_write(d.t);
        break;
    case 11:
    case 12: close_some(how); break;
    case 13:
    case 14: add(how); break;
    case 15:
        if (d.stages[how % MAX_STAGES]) cvy_conveyor_remove(d.c, cvy_at_ctx(d.stages[how % MAX_STAGES]));
        break;
    case 16:
    case 17: feed(how % 50); break;
    case 18: feed(how % BIG); break;
    case 19:
        if (how % 6) break;
        d.peer_ended = true;
        cvy_embedded_end(d.e);
        break;
    case 20:
        if (how % 12) break;
        d.reset = true;
        cvy_embedded_reset(d.e, UV_ECONNRESET);
        break;
    case 21: cvy_embedded_block(d.e, how % 2); break;
    case 22: cvy_embedded_unblock(d.e); break;
    case 23: script(how); break;
    case 24: cvy_embedded_advance(d.e, how % 2000); break;
    case 25: cvy_embedded_advance(d.e, how % 50000); break;
    case 26:
        if (how % 4 == 0 && !d.finishing) cvy__memory_fail((long)(1 + how / 4 % 12));
        break;
    case 27:
    case 28: post(how); break;
    case 29: must(cvy_transport_writable(d.t) || !cvy_transport_closing(d.t) || expected_refusal()); break;
    case 30:
    case 31:
    case 32:
    case 33:
    case 34:
    case 35:
    case 36:
    case 37:
        if (ctx) act_in_stage(ctx, what - 30, how);
        break;
    default: break;
    }
}

/* The stages */

static state_t *of(cvy_ctx_t *ctx)
{
    return cvy_ctx_state(ctx);
}

/* Before every event but added and removed. */
static state_t *alive(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    must(!s->seen.removed && !s->seen.inactive);
    return s;
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    state_t *s = of(ctx);
    cvy_buf_init(&s->in, cvy_ctx_pool(ctx));
    cvy_buf_init(&s->out, cvy_ctx_pool(ctx));
    s->slot = opts ? *(const int *)opts : -1;
    if (s->slot >= 0) d.stages[s->slot] = ctx;
    d.added++;
    inside(ctx);
    return 0;
}

static void on_removed(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    must(!s->seen.removed);
    s->seen.removed = true;
    must(!d.ended);
    if (s->slot >= 0 && d.stages[s->slot] == ctx) d.stages[s->slot] = NULL;
    if (cvy_buf_len(&s->in)) cvy_fire_inbound_bytes(ctx, &s->in);
    if (cvy_buf_len(&s->out)) cvy_fire_outbound_bytes(ctx, &s->out);
    cvy_buf_fini(&s->in);
    cvy_buf_fini(&s->out);
    d.removed++;
    inside(NULL);
}

static void on_timer(cvy_ctx_t *ctx)
{
    must(!of(ctx)->seen.removed);
    inside(ctx);
}

static int on_active(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(!s->seen.active);
    must(!cvy_transport_closing(d.t));
    s->seen.active = true;
    inside(ctx);
    return 0;
}

static void on_inactive(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(s->seen.active);
    must(d.t->phase == CVY__CLOSED);
    must(d.tickets_done == d.tickets_made);
    s->seen.inactive = true;
    if (ctx == d.tap) d.tap_inactive = true;
    inside(ctx);
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(!s->seen.read_closed);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t) && d.peer_ended);
    s->seen.read_closed = true;
    inside(ctx);
    s->holds_closed = cvy_buf_len(&s->in) && !s->seen.removed;
    return s->holds_closed ? UV_EAGAIN : 0;
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    alive(ctx);
    must(err->code < 0 && err->stage);
    inside(ctx);
    if (next() % 3) cvy_fire_error(ctx, err);
}

static void on_outbound_suspend(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(!d.suspended);
        must(!d.resumed || d.t->loop->turns + 1 > d.resumed);
        d.suspended = true;
    }
    inside(ctx);
}

static void on_outbound_resume(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(d.suspended);
        d.suspended = false;
        d.resumed = d.t->loop->turns + 1;
    }
    inside(ctx);
}

static void on_writable(cvy_transport_t *t, bool writable, void *arg)
{
    (void)arg;
    must(!cvy_transport_closing(t) && writable == d.told_no);
    d.told_no = !writable;
    inside(NULL);
}

static void drain(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    while (cvy_buf_len(&s->in) && !cvy_ctx_stopped(ctx)) {
        cvy_buf_t some = CVY_BUF_INIT;
        size_t n = 1 + next() % 200;
        must(cvy_buf_move(&some, &s->in, n < cvy_buf_len(&s->in) ? n : cvy_buf_len(&s->in)) == 0);
        if (cvy_fire_inbound_bytes(ctx, &some)) break;
    }
    if (s->holds_closed && !cvy_buf_len(&s->in)) {
        s->holds_closed = false;
        cvy_ctx_read_closed_next(ctx);
    }
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t));
    drain(ctx);
    inside(ctx);
}

static void on_read_complete(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(of(ctx)->seen.active && !cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(d.completed != d.t->loop->turns + 1);
        d.completed = d.t->loop->turns + 1;
    }
    inside(ctx);
}

/* tap */

static void tap_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    state_t *s = alive(ctx);
    size_t n = cvy_buf_len(in);
    must(n);
    must(s->seen.active && !s->seen.read_closed);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t));
    must(d.t->read_state == CVY_READ_READING);
    must(n <= d.fed.len - d.arrived && cvy_buf_equal(in, d.fed.data + d.arrived, n));
    d.arrived += n;
    inside(ctx);
    cvy_fire_inbound_bytes(ctx, in);
}

static void tap_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    bytes_t copy = { 0 };
    uint64_t before = position();
    if (!d.t->phase || d.t->phase == CVY__CLOSED) return;
    keep_buf(&copy, out);
    /* To the oracle first: queueing may send. */
    bool takes =
        !cvy_transport_closing(d.t) && !d.t->shut_asked && (d.t->admitted || d.t->out.len <= d.t->opts->limits.hard);
    if (takes) keep(&d.accepted, copy.data, copy.len);
    cvy_fire_outbound_bytes(ctx, out);
    must(position() - before == (takes ? copy.len : 0));
    free(copy.data);
    inside(ctx);
}

/* sink */

static void sink_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    state_t *s = of(ctx);
    size_t n = cvy_buf_len(in);
    must(!s->seen.inactive && !s->seen.read_closed);
    must(n <= d.fed.len - d.consumed && cvy_buf_equal(in, d.fed.data + d.consumed, n));
    d.consumed += n;
    inside(ctx);
}

/* What comes and goes. A holder keeps outbound bytes until the flush, inbound ones while it is stopped. */

static void hold_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    alive(ctx);
    cvy_buf_append_buf(&of(ctx)->in, in);
    inside(ctx);
    if (!of(ctx)->seen.removed) drain(ctx);
}

static void hold_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_buf_append_buf(&of(ctx)->out, out);
    inside(ctx);
}

static void release(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    if (cvy_buf_len(&s->out)) cvy_fire_outbound_bytes(ctx, &s->out);
    inside(ctx);
}

static void hold_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    release(ctx);
    cvy_fire_outbound_close(ctx, how);
}

static void pass_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    alive(ctx);
    cvy_fire_inbound_bytes(ctx, in);
    inside(ctx);
}

static void pass_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_fire_outbound_bytes(ctx, out);
    inside(ctx);
}

static void catch_in(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    must(!of(ctx)->seen.removed);
    cvy_fire_inbound(ctx, ev);
    inside(ctx);
}

static void catch_out(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    must(!of(ctx)->seen.removed);
    cvy_fire_outbound(ctx, ev);
    inside(ctx);
}

#define COMMON                                                                                           \
    .state_size = sizeof(state_t), .on_added = on_added, .on_removed = on_removed, .on_timer = on_timer, \
    .on_active = on_active, .on_inactive = on_inactive, .on_read_closed = on_read_closed,                \
    .on_outbound_suspend = on_outbound_suspend, .on_outbound_resume = on_outbound_resume, .on_error = on_error

static const cvy_stage_t tap = { .name = "tap",
                                 COMMON,
                                 .on_inbound_bytes = tap_in,
                                 .on_outbound_bytes = tap_out,
                                 .on_inbound_resume = on_inbound_resume,
                                 .on_read_complete = on_read_complete };
static const cvy_stage_t sink = { .name = "sink", COMMON, .on_inbound_bytes = sink_in };
static const cvy_stage_t holder = { .name = "holder",
                                    COMMON,
                                    .on_inbound_bytes = hold_in,
                                    .on_outbound_bytes = hold_out,
                                    .on_inbound_resume = on_inbound_resume,
                                    .on_outbound_flush = release,
                                    .on_outbound_close = hold_close };
static const cvy_stage_t passer = {
    .name = "passer", COMMON, .on_inbound_bytes = pass_in, .on_outbound_bytes = pass_out
};
static const cvy_stage_t catcher = { .name = "catcher",
                                     .state_size = sizeof(state_t),
                                     .on_added = on_added,
                                     .on_removed = on_removed,
                                     .on_timer = on_timer,
                                     .on_inbound = catch_in,
                                     .on_outbound = catch_out };

/* One life */

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    (void)t, (void)arg;
    must(!d.ended && cause <= 0);
    must(d.tickets_done == d.tickets_made);
    must(d.added == d.removed);
    d.ended = true;
}

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    d.c = c;
    d.t = cvy_conveyor_transport(c);
    cvy_transport_on_shutdown_completed(d.t, on_end, NULL);
    cvy_transport_on_writable_state_changed(d.t, on_writable, NULL);
    int err = cvy_conveyor_add_last(c, &tap, NULL, &d.tap);
    if (!err) err = cvy_conveyor_add_last(c, &sink, NULL, &d.sink);
    return err;
}

static void check_wire(void)
{
    cvy_buf_t *out = cvy_embedded_sent(d.e);
    size_t n = cvy_buf_len(out);
    uint8_t raw[4096];
    must(n <= d.accepted.len);
    while (d.checked < n) {
        size_t m = cvy_buf_peek_at(out, d.checked, raw, n - d.checked < sizeof raw ? n - d.checked : sizeof raw);
        must(!memcmp(raw, d.accepted.data + d.checked, m));
        d.checked += m;
    }
    must(!cvy_embedded_shut(d.e) || n == d.accepted.len);
    cvy_transport_stats_t stats;
    cvy_transport_stats(d.t, &stats);
    must(stats.bytes_written == n);
    must(d.t->phase == CVY__CLOSED || position() == d.accepted.len);
    must(atomic_load(&d.t->slot->queued) == cvy_transport_queued(d.t) || d.t->phase == CVY__CLOSED);
}

static bool any_holds(void)
{
    for (int i = 0; i < MAX_STAGES; i++)
        if (d.stages[i] && (cvy_buf_len(&of(d.stages[i])->in) || of(d.stages[i])->holds_closed)) return true;
    return false;
}

/* When all has come to rest. */
static void check_rest(void)
{
    check_wire();
    if (d.t->phase != CVY__OPEN || d.ended) return;
    cvy_transport_stats_t stats;
    cvy_transport_stats(d.t, &stats);
    must(d.t->waiting || !cvy_transport_queued(d.t));
    must(d.c->above == d.c->told_above && !d.c->owe_pair);
    must(d.suspended == d.told_no && d.suspended == d.c->told_above);
    must(d.tickets_done == d.tickets_made || d.tickets[d.tickets_done].position > stats.bytes_written);
    must(of(d.tap)->seen.active && of(d.sink)->seen.active);
    if (cvy_transport_suspended(d.t)) return;
    must(!d.reset || d.t->read_state == CVY_READ_EOF);
    must(stats.bytes_read == d.fed.len && d.arrived == d.fed.len);
    must(any_holds() || d.consumed == d.fed.len);
    must(!d.peer_ended || any_holds() || of(d.sink)->seen.read_closed);
}

static void finish(bool gracefully)
{
    cvy_loop_t *loop = cvy_loop_ref(cvy_embedded_loop(d.e));
    cvy__memory_fail(0);
    d.finishing = true;
    if (gracefully && !d.ended) {
        bool was_closing;
        d.inside = MAX_INSIDE; /* nobody disturbs this one */
        cvy_embedded_script(d.e, NULL, 0);
        cvy_embedded_block(d.e, false);
        cvy_embedded_run(d.e);
        check_rest();
        was_closing = cvy_transport_closing(d.t);
        cvy_transport_close(d.t, CVY_CLOSE_GRACEFUL);
        cvy_embedded_run(d.e);
        check_wire();
        must(was_closing || d.reset || cvy_embedded_shut(d.e) || d.t->cause);
        cvy_embedded_advance(d.e, 20000);
        must(d.ended);
    }
    cvy_transport_close(d.t, CVY_CLOSE_NOW);
    cvy_embedded_run(d.e);
    must(d.ended);
    check_wire();
    cvy_embedded_free(d.e);
    must(d.posts_done == d.posts_made);
    if (cvy_pool_live(cvy_loop_pool(loop))) cvy__segments_dump(stderr);
    must(cvy_pool_live(cvy_loop_pool(loop)) == 0);
    cvy_loop_unref(loop);
    must(cvy_pool_live(NULL) == 0);
}

void drive_transport(drive_numbers_t numbers)
{
    memset(&d, 0, sizeof d);
    d.numbers = numbers;
    size_t before = cvy__memory_live();
    uint32_t how = next();
    cvy_transport_opts_t opts = { .high_bytes = 1 + how % 900, .hard_bytes = 2000 + how / 900 % 3000 };
    how = next();
    opts.allow_half_close = how & 1;
    opts.hold_reads = how & 2 ? CVY_OFF : 0;
    opts.low_bytes = how & 4 ? CVY_OFF : 0;
    opts.read_budget = how & 8 ? 2 : 0;
    opts.suspend_timeout_ms = how & 16 ? 10000 : 0;
    opts.error_verb = how & 32 ? CVY_CLOSE_RESET : CVY_CLOSE_NOW;
    cvy_loop_opts_t loop_opts = { .flush_limit = how & 64 ? 1 : 0,
                                  .pool =
                                      &(cvy_pool_opts_t){ .small_bytes = 64, .large_bytes = how & 128 ? 256 : 4096 } };
    cvy_embedded_opts_t with = { .init = init, .transport = &opts, .loop = &loop_opts };
    cvy_log_set(NULL, NULL);
    d.inside = MAX_INSIDE; /* d.e is not known in init */
    must(cvy_embedded_new(&d.e, &with) == 0);
    d.depth = d.inside = 0;
    while (d.numbers.more(d.numbers.arg)) {
        act(NULL);
        check_wire();
        if (next() % 8 == 0) continue;
        cvy_embedded_run(d.e);
        check_rest();
    }
    finish(how & 512);
    free(d.accepted.data);
    free(d.fed.data);
    must(cvy__memory_live() == before);
}
