/*
 * What an event costs on its way: bytes from a stage to the one that takes them, past 0 to 10 stages that are stepped over and through 0
 * to 10 that only pass them on, in both directions; a user event likewise; a write from outside any dispatch; a stage added and removed.
 *
 *   bench_dispatch          nanoseconds per event, the best of 5 rounds
 */
#include <conveyor/embedded.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "loop/loop.h"

enum { ROUNDS = 5, EVENTS = 2000000, MOST = 10 };

typedef struct tick {
    cvy_event_t event;
} tick_t;
CVY_EVENT(tick);

static uint64_t taken;

static void pass_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_fire_inbound_bytes(ctx, in);
}

static void pass_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_fire_outbound_bytes(ctx, out);
}

static void pass_event_in(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    cvy_fire_inbound(ctx, ev);
}

static void take(cvy_ctx_t *ctx, cvy_buf_t *b)
{
    (void)ctx, (void)b;
    taken++;
}

static void take_event(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    (void)ctx, (void)ev;
    taken++;
}

static void do_nothing(cvy_ctx_t *ctx)
{
    (void)ctx;
}

static const cvy_on_t passes_tick[] = { CVY_ON(tick, pass_event_in), { 0 } };
static const cvy_on_t takes_tick[] = { CVY_ON(tick, take_event), { 0 } };
static const cvy_stage_t skipped = { .name = "skipped", .on_timer = do_nothing };
static const cvy_stage_t passing = {
    .name = "passing", .on_inbound_bytes = pass_in, .on_outbound_bytes = pass_out, .events = passes_tick
};
static const cvy_stage_t end = {
    .name = "end", .on_inbound_bytes = take, .on_outbound_bytes = take, .events = takes_tick
};
static const cvy_stage_t source = { .name = "source" };

typedef struct bench {
    cvy_embedded_t *e;
    cvy_conveyor_t *c;
    cvy_ctx_t *first, *last;
} bench_t;

/* source, [end], n of between, [end], source */
static void open_chain(bench_t *b, const cvy_stage_t *between, int n)
{
    if (cvy_embedded_new(&b->e, NULL)) abort();
    b->c = cvy_embedded_conveyor(b->e);
    cvy_conveyor_add_last(b->c, &end, NULL, NULL);
    cvy_conveyor_add_last(b->c, &source, NULL, &b->first);
    for (int i = 0; i < n; i++)
        cvy_conveyor_add_last(b->c, between, NULL, NULL);
    cvy_conveyor_add_last(b->c, &source, NULL, &b->last);
    cvy_conveyor_add_last(b->c, &end, NULL, NULL);
    cvy_embedded_run(b->e);
}

static void fire_in(bench_t *b)
{
    cvy_buf_t empty = CVY_BUF_INIT;
    cvy_fire_inbound_bytes(b->first, &empty);
}

static void fire_out(bench_t *b)
{
    cvy_buf_t empty = CVY_BUF_INIT;
    cvy_fire_outbound_bytes(b->last, &empty);
}

static void fire_user(bench_t *b)
{
    tick_t tick = { CVY_EVENT_OF(tick) };
    cvy_fire_inbound(b->first, &tick.event);
}

static void write_from_outside(bench_t *b)
{
    cvy_buf_t empty = CVY_BUF_INIT;
    cvy_conveyor_write(b->c, &empty);
}

static void add_and_remove(bench_t *b)
{
    cvy_ctx_t *ctx = NULL;
    cvy_conveyor_add_after(b->c, cvy_at_ctx(b->first), &skipped, NULL, &ctx);
    cvy_conveyor_remove(b->c, cvy_at_ctx(ctx));
    cvy_embedded_run(b->e);
    taken++;
}

static double nanoseconds(const cvy_stage_t *between, int n, void (*fire)(bench_t *b), long events, bool inside)
{
    double best = 1e9;
    bench_t b;
    open_chain(&b, between, n);
    for (int round = 0; round < ROUNDS; round++) {
        if (inside) cvy__loop_enter(cvy_embedded_loop(b.e));
        taken = 0;
        uint64_t start = uv_hrtime();
        for (long i = 0; i < events; i++)
            fire(&b);
        double each = (double)(uv_hrtime() - start) / (double)events;
        if (inside) cvy__loop_leave(cvy_embedded_loop(b.e));
        if (taken != (uint64_t)events) abort();
        best = each < best ? each : best;
    }
    cvy_embedded_free(b.e);
    return best;
}

static void row(const char *name, const cvy_stage_t *between, void (*fire)(bench_t *b))
{
    static const int counts[] = { 0, 1, 2, 5, MOST };
    double first = 0, last = 0;
    printf("%-34s", name);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        last = nanoseconds(between, counts[i], fire, EVENTS, true);
        first = i ? first : last;
        printf("%8.2f", last);
    }
    printf("%12.2f\n", (last - first) / MOST);
}

int main(void)
{
    printf("%-34s%8d%8d%8d%8d%8d%12s\n", "ns per event, stages between:", 0, 1, 2, 5, MOST, "each stage");
    row("bytes in, stepped over", &skipped, fire_in);
    row("bytes in, passed on", &passing, fire_in);
    row("bytes out, stepped over", &skipped, fire_out);
    row("bytes out, passed on", &passing, fire_out);
    row("user event, stepped over", &skipped, fire_user);
    row("user event, passed on", &passing, fire_user);
    printf("%-34s%8.2f\n", "a write from outside any dispatch",
           nanoseconds(&skipped, 0, write_from_outside, EVENTS, false));
    printf("%-34s%8.2f\n", "a stage added and removed", nanoseconds(&skipped, 0, add_and_remove, EVENTS / 10, false));
    return 0;
}
