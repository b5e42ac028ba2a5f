/* The operations: a number chooses one, by its weight, and another tells how. */
#include "inner.h"

#include <stdlib.h>

#include "base/memory.h"

uint32_t next(unsigned bytes)
{
    return d.numbers.next(d.numbers.arg, bytes);
}

/* Never fails, whichever allocation is to. */
cvy_buf_t drive_make(size_t n)
{
    cvy_buf_t b;
    long fails = d.segment_fails;
    uint8_t *raw = malloc(n + 1);
    must(raw);
    for (size_t i = 0; i < n; i++)
        raw[i] = (uint8_t)((d.made + i) * 31 + (d.made + i) / 251);
    d.made += n;
    d.segment_fails = 0;
    cvy_buf_init(&b, cvy_loop_pool(d.loop));
    must(cvy_buf_append(&b, raw, n) == 0);
    d.segment_fails = fails;
    free(raw);
    return b;
}

/* Writing */

static void write_through(size_t n)
{
    cvy_buf_t b = drive_make(n);
    int expected = expected_refusal();
    bool full = !expected && cvy__transport_over_hard(d.t);
    int err = cvy_conveyor_write(d.c, &b);
    must(err == (expected ? expected : full ? UV_ENOBUFS : 0));
    must(cvy_buf_len(&b) == (err ? n : 0));
    cvy_buf_fini(&b);
}

static void write_below(size_t n, bool some)
{
    cvy_buf_t b = drive_make(n);
    uint8_t *raw = malloc(n + 1);
    int expected = expected_refusal();
    size_t taken = 0;
    bool full = !expected && cvy__transport_over_hard(d.t);
    must(raw && cvy_buf_peek(&b, raw, n) == n);
    int err = some ? cvy_transport_write_some(d.t, &b, &taken) : cvy_transport_write(d.t, &b);
    if (!some && !err) taken = n;
    must(cvy_buf_len(&b) == n - taken);
    must(expected ? err == expected : !err || err == UV_ENOBUFS || (some && err == UV_ENOMEM));
    must(some || expected || (err == UV_ENOBUFS) == full);
    keep(&d.accepted, raw, taken);
    free(raw);
    cvy_buf_fini(&b);
}

static void op_nothing(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx, (void)how;
}

static void op_write_small(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    write_through(how % 100);
}

static void op_write_big(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    write_through(how % BIG);
}

static void op_write_many(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    for (uint32_t i = 0; i < how % 32; i++)
        write_through(how / 32 % 64);
}

static void op_write_below(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    write_below(how % 100, false);
}

static void op_write_below_big(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    write_below(how % (4 * BIG), how / (4 * BIG) % 2);
}

/* So much that the queue does not wait for the turn's end. */
static void op_write_huge(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 16 == 0) write_below(256 * 1024 + how, false);
}

/* Flushing */

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    cvy_transport_stats_t stats;
    cvy_transport_stats(t, &stats);
    must(i == d.tickets_done);
    must(!d.tap_inactive && !d.ended);
    must(status <= 0);
    must((status == 0) == (d.tickets[i] <= stats.bytes_written));
    must(status == 0 || cvy_transport_closing(t));
    must(status != 0 || !d.tickets_failed);
    if (status && status != UV_ECANCELED) check_cause(status);
    d.tickets_failed = status != 0;
    d.tickets_done++;
    drive_inside(NULL, "ticket");
}

static void op_flush_with_ticket(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx, (void)how;
    size_t i = d.tickets_made;
    if (i == MAX_TICKETS) return;
    d.tickets[i] = position();
    d.tickets_made++;
    int err = cvy_transport_flush(d.t, on_ticket, (void *)(uintptr_t)i);
    must(!err || err == UV_ENOMEM || (err == UV_EPIPE && d.t->phase >= CVY__CLOSING));
    must(!err || d.tickets_made == i + 1);
    d.tickets_made -= err != 0;
}

static void op_flush(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx, (void)how;
    int err = cvy_transport_flush(d.t, NULL, NULL);
    must(!err || (err == UV_EPIPE && d.t->phase >= CVY__CLOSING));
}

static void op_ask_writable(cvy_ctx_t *ctx, uint32_t how)
{
    if (ctx && how % 2)
        cvy_ctx_writable(ctx);
    else
        must(cvy_transport_writable(d.t) || !cvy_transport_closing(d.t) || expected_refusal());
}

/* Reading */

static void op_application_reads(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    cvy_transport_readable_state_changed(d.t, how % 2);
    must(how % 2 || d.t->phase > CVY__OPEN || cvy_transport_suspended(d.t));
}

static void op_suspend(cvy_ctx_t *ctx, uint32_t how)
{
    (void)how;
    if (ctx) cvy_ctx_suspend(ctx);
}

static void op_resume(cvy_ctx_t *ctx, uint32_t how)
{
    (void)how;
    if (ctx) cvy_ctx_resume(ctx);
}

/* Some other holder. */
static cvy_ctx_t *holder(uint32_t how)
{
    return how % 4 == 0 ? d.tap : how % 4 == 1 ? d.sink : d.stages[how / 4 % MAX_STAGES];
}

static void op_other_suspends(cvy_ctx_t *ctx, uint32_t how)
{
    ctx = holder(how);
    if (ctx && !d.ended) cvy_ctx_suspend(ctx);
}

static void op_other_resumes(cvy_ctx_t *ctx, uint32_t how)
{
    ctx = holder(how);
    if (ctx && !d.ended) cvy_ctx_resume(ctx);
}

/* Closing */

static void op_shutdown_write(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 5) return;
    coverage_close(4);
    cvy_transport_shutdown_write(d.t);
}

static void op_close(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 6) return;
    int verb = (int)(how / 6 % 4);
    coverage_close(verb);
    if (verb == 3)
        cvy_transport_shutdown(d.t, how / 24 % 2 ? UV_EPROTO : 0);
    else
        cvy_transport_close(d.t, (cvy_close_verb_t)verb);
    must(verb == 3 || cvy_transport_closing(d.t));
    must(d.t->phase == CVY__CONNECTING || !cvy_transport_closing(d.t) || expected_refusal() == UV_EPIPE);
}

static void op_fire_close(cvy_ctx_t *ctx, uint32_t how)
{
    cvy_close_t close = { (cvy_close_verb_t)(how / 6 % 3), 0 };
    if (ctx && how % 6 == 0) cvy_fire_outbound_close(ctx, &close);
}

/* Inside a stage */

static void op_fail(cvy_ctx_t *ctx, uint32_t how)
{
    if (ctx && how % 4 == 0) cvy_ctx_fail(ctx, UV_EPROTO, "chosen");
}

static void op_fire_flush(cvy_ctx_t *ctx, uint32_t how)
{
    (void)how;
    if (ctx) cvy_fire_outbound_flush(ctx);
}

/* Not tap, whose oracle is its own slot. */
static void op_fire_bytes(cvy_ctx_t *ctx, uint32_t how)
{
    if (!ctx || ctx == d.tap) return;
    cvy_buf_t b = drive_make(how % BIG);
    cvy_fire_outbound_bytes(ctx, &b);
}

/* On a clock that nobody moves by hand: at once, or never in this life. */
static void op_timer(cvy_ctx_t *ctx, uint32_t how)
{
    if (!ctx) return;
    cvy_ctx_timer(ctx, d.io->simulated ? (int64_t)(how % 3000) - 1 : how % 4 ? 0 : 1000000);
}

/* The world */

static void op_connect(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (!ctx && !d.depth && d.t->phase == CVY__CONNECTING) d.io->connect(how % 8 ? 0 : UV_ECONNREFUSED);
}

static void op_hinder(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    d.io->hinder(how);
}

static void op_unhinder(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx, (void)how;
    d.io->unhinder(false);
}

static void op_advance(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (d.io->simulated) d.io->advance(how % 2000);
}

static void op_advance_far(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (d.io->simulated) d.io->advance(how % 50000);
}

static void op_memory_fails(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 8 || d.finishing) return;
    if (how / 8 % 2)
        cvy__memory_fail((long)(1 + how / 16 % 12));
    else
        d.segment_fails = (long)(1 + how / 16 % 6);
}

static const struct {
    const char *name;
    unsigned weight;
    void (*run)(cvy_ctx_t *ctx, uint32_t how);
} ops[] = {
    { "nothing", 2, op_nothing }, /* first: what stands behind the last number */
    { "write small", 3, op_write_small },
    { "write big", 2, op_write_big },
    { "write many", 1, op_write_many },
    { "write below", 2, op_write_below },
    { "write below, big", 2, op_write_below_big },
    { "write below, huge", 1, op_write_huge },
    { "flush with a ticket", 4, op_flush_with_ticket },
    { "flush", 1, op_flush },
    { "ask writable", 2, op_ask_writable },
    { "application reads", 2, op_application_reads },
    { "suspend", 2, op_suspend },
    { "resume", 2, op_resume },
    { "another suspends", 1, op_other_suspends },
    { "another resumes", 2, op_other_resumes },
    { "shutdown_write", 1, op_shutdown_write },
    { "close", 2, op_close },
    { "fire close", 1, op_fire_close },
    { "add", 3, op_add },
    { "replace", 1, op_replace },
    { "remove", 1, op_remove },
    { "map", 1, op_map },
    { "remove itself", 1, op_remove_self },
    { "fail", 1, op_fail },
    { "fire flush", 1, op_fire_flush },
    { "fire bytes", 1, op_fire_bytes },
    { "timer", 1, op_timer },
    { "post", 2, op_post },
    { "post elsewhere", 1, op_post_elsewhere },
    { "peer writes", 3, op_peer_writes },
    { "peer writes more", 2, op_peer_writes_more },
    { "peer reads", 4, op_peer_reads },
    { "peer ends", 1, op_peer_ends },
    { "peer closes", 1, op_peer_closes },
    { "peer resets", 1, op_peer_resets },
    { "connect", 1, op_connect },
    { "hinder", 2, op_hinder },
    { "unhinder", 1, op_unhinder },
    { "advance", 1, op_advance },
    { "advance far", 1, op_advance_far },
    { "memory fails", 1, op_memory_fails },
};

static size_t choose(uint32_t number)
{
    static unsigned total;
    size_t i = 0;
    if (!total)
        for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
            total += ops[k].weight;
    for (number %= total; number >= ops[i].weight; i++)
        number -= ops[i].weight;
    return i;
}

void drive_act(cvy_ctx_t *ctx)
{
    size_t i = choose(next(1));
    uint32_t how = next(2);
    trace_op(ops[i].name, how, NULL);
    ops[i].run(ctx, how);
}

void drive_inside(cvy_ctx_t *ctx, const char *event)
{
    look();
    if (d.depth >= MAX_DEPTH || d.inside >= MAX_INSIDE) return;
    trace_event(drive_who(ctx), event);
    d.depth++;
    d.inside++;
    drive_act(ctx);
    d.depth--;
}
