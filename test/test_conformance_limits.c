/* T14, continued: what a connection may cost the others on its loop, in time, in memory and by failing, over every kind. */
#include <stdlib.h>
#include <string.h>

#include <conveyor/conveyor.h>

#include "base/memory.h"
#include "loop/loop.h"
#include "wire.h"

/* libuv's allocations, counted. */
static long uv_calls;

static void *count_malloc(size_t n)
{
    uv_calls++;
    return malloc(n);
}

static void *count_realloc(void *p, size_t n)
{
    uv_calls++;
    return realloc(p, n);
}

static void *count_calloc(size_t count, size_t n)
{
    uv_calls++;
    return calloc(count, n);
}

/* Ping-pong: each end sends back what it gets. */
static const recorder_rule_t echo[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };

static void make_echo(wire_t *w)
{
    w->a.r.rules = w->b.r.rules = echo;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
}

typedef struct meter {
    wire_end_t *end;
    uint64_t turn, bytes, most_bytes;
    int reads, most_reads;
} meter_t;

static void measure(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    meter_t *m = r->arg;
    if (strcmp(event, "bytes")) return;
    uint64_t turn = cvy_ctx_loop(ctx)->turns;
    if (turn != m->turn) m->bytes = m->reads = 0;
    m->turn = turn;
    m->bytes += cvy_buf_len(in);
    m->reads++;
    if (m->bytes > m->most_bytes) m->most_bytes = m->bytes;
    if (m->reads > m->most_reads) m->most_reads = m->reads;
}

/* T11: one peer sends without end; ten others play ping-pong on the same loop and get on. */
START_OVER_KINDS(a_hot_peer_starves_nobody)
{
    wire_t others[10];
    meter_t meter = { .end = &w.b, .turn = UINT64_MAX };
    w.a.r.hook = wire_hook;
    w.b.r.flags = w.a.r.flags = RECORD_SILENT;
    w.b.r.hook = measure;
    w.b.r.arg = &meter;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (int i = 0; i < 10; i++) {
        wire_init(&others[i], w.kind == WIRE_PAIR_LOOPS ? WIRE_PAIR : w.kind);
        make_echo(&others[i]);
        ck_assert_int_eq(wire_open(&others[i], w.b.loop), 0);
        ck_assert_int_eq(wire_text(&others[i].a, "ping"), 0);
    }
    wire_source(&w.a, UINT64_MAX, 60000);
    for (int i = 0; i < 10; i++)
        WIRE_UNTIL(&w, others[i].a.r.bytes >= 4 * 100);
    ck_assert_uint_gt(w.b.r.bytes, 1 << 20);
    ck_assert_int_le(meter.most_reads, 16);
    ck_assert_uint_le(meter.most_bytes,
                      (1 << 20) + 262144); /* the last read of a turn may pass the budget by its size */
    w.b.r.hook = NULL;
    w.a.total = 0;
    for (int i = 0; i < 10; i++)
        wire_fini(&others[i]);
}
END_OVER_KINDS

/* M5: of 20 connections that have spoken and are silent now, none holds a buffer to read into: only the loop's own slab is out. */
START_OVER_KINDS(an_idle_connection_holds_no_read_buffer)
{
    wire_t others[20];
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (int i = 0; i < 20; i++) {
        wire_init(&others[i], w.kind == WIRE_PAIR_LOOPS ? WIRE_PAIR : w.kind);
        others[i].a.r.flags = others[i].b.r.flags = RECORD_SILENT;
        ck_assert_int_eq(wire_open(&others[i], w.a.loop), 0);
        ck_assert_int_eq(wire_text(&others[i].a, "hello"), 0);
        WIRE_UNTIL(&others[i], others[i].b.r.bytes == 5);
    }
    ck_assert_uint_le(cvy_pool_live(cvy_loop_pool(w.a.loop)), 1);
    for (int i = 0; i < 20; i++)
        wire_fini(&others[i]);
}
END_OVER_KINDS

/* Goes round a thousand times, n bytes each, and returns libuv's calls for it; of ours, and for segments, there is none. */
static long go_round(wire_t *w, uint64_t n)
{
    WIRE_UNTIL(w, w->a.r.bytes > n * 50);
    long segments = wire_segments_taken, calls = uv_calls;
    cvy__memory_fail(1); /* the first call would fail */
    WIRE_UNTIL(w, w->a.r.bytes > n * 1000);
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert_int_eq(wire_segments_taken - segments, 0);
    return uv_calls - calls;
}

static long echo_messages(wire_t *w)
{
    make_echo(w);
    ck_assert_int_eq(wire_open(w, NULL), 0);
    ck_assert_int_eq(wire_text(&w->a, "round and round it goes"), 0);
    return go_round(w, 23);
}

static void add_stages(const wire_end_t *end)
{
    cvy_conveyor_t *c = cvy_transport_conveyor(end->t);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_idle_stage, &(cvy_idle_opts_t){ .all_ms = 60000 }, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_frame_stage, NULL, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_flow_control_stage, NULL, NULL), 0);
}

static long echo_frames(wire_t *w)
{
    make_echo(w);
    ck_assert_int_eq(wire_open(w, NULL), 0);
    add_stages(&w->a);
    add_stages(&w->b);
    ck_assert_int_eq(wire_write(&w->a, "\0\0\0\5hello", 9), 0);
    return go_round(w, 5);
}

/* M4: a message that goes round costs no call to malloc: not ours, not for segments. */
START_OVER_KINDS(an_echoed_message_allocates_nothing)
{
    echo_messages(&w);
}
END_OVER_KINDS

/* M4, B4: nor does a frame: its header comes off and goes on again, behind flow control and before idle detection. */
START_OVER_KINDS(an_echoed_frame_allocates_nothing)
{
    echo_frames(&w);
}
END_OVER_KINDS

/* M4 */
START_OVER_KINDS(libuv_allocates_nothing_for_an_echoed_message)
{
    ck_assert_int_eq(echo_messages(&w), 0);
}
END_OVER_KINDS

/* M4 */
START_OVER_KINDS(libuv_allocates_nothing_for_an_echoed_frame)
{
    ck_assert_int_eq(echo_frames(&w), 0);
}
END_OVER_KINDS

/* Stalls and goes on twice, and returns libuv's calls for it; of ours there is none. */
static long stall(wire_t *w)
{
    w->a.r.hook = w->b.r.hook = wire_hook;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.high_bytes = 16 << 20; /* more than any system has room for */
    ck_assert_int_eq(wire_open(w, NULL), 0);
    wire_source(&w->a, 16 << 20, 30000);
    WIRE_UNTIL(w, w->b.r.bytes == 16 << 20);
    long calls = uv_calls;
    for (uint64_t total = 32 << 20; total <= 48 << 20; total += 16 << 20) {
        cvy_transport_readable_state_changed(w->b.t, false);
        cvy__memory_fail(1);
        wire_source(&w->a, total, 30000);
        wire_turns(w, 3);
        ck_assert_uint_gt(cvy_transport_queued(w->a.t), 0);
        cvy_transport_readable_state_changed(w->b.t, true);
        WIRE_UNTIL(w, w->b.r.bytes == total);
        ck_assert(!cvy__memory_failed());
        cvy__memory_fail(0);
    }
    ck_assert_uint_eq(w->b.wrong, 0);
    return uv_calls - calls;
}

/* M4, T7: nor does one that has to wait for room. */
START_OVER_KINDS(a_stalled_write_allocates_nothing)
{
    stall(&w);
}
END_OVER_KINDS

/* M4, T7 */
START_OVER_KINDS(libuv_allocates_nothing_for_a_stalled_write)
{
    ck_assert_int_eq(stall(&w), 0);
}
END_OVER_KINDS

static const conform_case_t cases[] = {
    CONFORM(a_hot_peer_starves_nobody, NEEDS_ONE_LOOP, CONFORM_ONE_VARIANT),
    CONFORM(an_idle_connection_holds_no_read_buffer, NEEDS_ONE_LOOP, CONFORM_ALL_VARIANTS),
    CONFORM(an_echoed_message_allocates_nothing, NEEDS_NO_MALLOC, CONFORM_ONE_VARIANT),
    CONFORM(an_echoed_frame_allocates_nothing, NEEDS_NO_MALLOC, CONFORM_ONE_VARIANT),
    CONFORM(a_stalled_write_allocates_nothing, NEEDS_NO_MALLOC, CONFORM_ONE_VARIANT),
    CONFORM(libuv_allocates_nothing_for_an_echoed_message, NEEDS_NO_MALLOC | NEEDS_NO_COPY, CONFORM_ONE_VARIANT),
    CONFORM(libuv_allocates_nothing_for_an_echoed_frame, NEEDS_NO_MALLOC | NEEDS_NO_COPY, CONFORM_ONE_VARIANT),
    CONFORM(libuv_allocates_nothing_for_a_stalled_write, NEEDS_NO_MALLOC | NEEDS_NO_COPY, CONFORM_ONE_VARIANT),
};

int main(void)
{
    uv_replace_allocator(count_malloc, count_realloc, count_calloc, free);
    return WIRE_RUN("limits", cases);
}
