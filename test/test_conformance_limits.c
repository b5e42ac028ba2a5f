/* T14, continued: what a connection may cost the others on its loop, in time, in memory and by failing. Each test runs once per kind. */
#include <conveyor/conveyor.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loop/loop.h"
#include "support.h"
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

/* M4: a message that goes round costs no call to malloc: not ours, not libuv's, not for segments. */
START_OVER_KINDS(an_echoed_message_allocates_nothing)
{
    make_echo(&w);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(wire_text(&w.a, "round and round it goes"), 0);
    WIRE_UNTIL(&w, w.a.r.bytes > 23 * 50);
    long segments = wire_segments_taken, calls = uv_calls;
    cvy__memory_fail(1); /* the first call would fail */
    WIRE_UNTIL(&w, w.a.r.bytes > 23 * 1000);
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert_int_eq(wire_segments_taken - segments, 0);
    if (!wire_copies(w.kind)) ck_assert_int_eq(uv_calls - calls, 0);
}
END_OVER_KINDS

static void add_stages(const wire_end_t *end)
{
    cvy_conveyor_t *c = cvy_transport_conveyor(end->t);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_idle_stage, &(cvy_idle_opts_t){ .all_ms = 60000 }, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_frame_stage, NULL, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &cvy_flow_control_stage, NULL, NULL), 0);
}

/* M4, B4: nor does a frame: its header comes off and goes on again, behind flow control and before idle detection. */
START_OVER_KINDS(an_echoed_frame_allocates_nothing)
{
    make_echo(&w);
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    add_stages(&w.a);
    add_stages(&w.b);
    ck_assert_int_eq(wire_write(&w.a, "\0\0\0\5hello", 9), 0);
    WIRE_UNTIL(&w, w.a.r.bytes > 5 * 50);
    long segments = wire_segments_taken, calls = uv_calls;
    cvy__memory_fail(1);
    WIRE_UNTIL(&w, w.a.r.bytes > 5 * 1000);
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert_int_eq(wire_segments_taken - segments, 0);
    if (!wire_copies(w.kind)) ck_assert_int_eq(uv_calls - calls, 0);
}
END_OVER_KINDS

/* M4, T7: nor does one that has to wait for room. */
START_OVER_KINDS(a_stalled_write_allocates_nothing)
{
    w.a.r.hook = w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.send_buffer = w.b.opts.receive_buffer = 65536;
    w.a.opts.high_bytes = 1 << 20; /* more than the kernel has room for */
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, 4 << 20, 3000);
    WIRE_UNTIL(&w, w.b.r.bytes == 4 << 20);
    long calls = uv_calls;
    cvy__memory_fail(1);
    for (uint64_t total = 5 << 20; total <= 8 << 20; total += 1 << 20) {
        cvy_transport_readable_state_changed(w.b.t, false);
        wire_source(&w.a, total, 3000);
        wire_turns(&w, 3);
        if (w.kind != WIRE_WATCHED) ck_assert_uint_gt(cvy_transport_queued(w.a.t), 0); /* its buffers are its own */
        cvy_transport_readable_state_changed(w.b.t, true);
        WIRE_UNTIL(&w, w.b.r.bytes == total);
    }
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    if (!wire_copies(w.kind)) ck_assert_int_eq(uv_calls - calls, 0);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* Opens a wire next to w, talks over it and closes it. Its failure is its own. */
static void talk(const wire_t *w)
{
    wire_t x;
    wire_init(&x, w->kind == WIRE_PAIR_LOOPS ? WIRE_PAIR : w->kind);
    x.a.r.hook = x.b.r.hook = wire_hook;
    x.a.r.flags = x.b.r.flags = RECORD_SILENT;
    if (!wire_open(&x, w->a.loop)) {
        wire_source(&x.a, 300000, 5000);
        if (x.b.t) wire_source(&x.b, 1000, 10);
        WIRE_UNTIL(&x, !x.a.t || !x.b.t || x.b.r.bytes == 300000);
        if (x.a.t) cvy_transport_close(x.a.t, CVY_CLOSE_GRACEFUL);
        if (x.b.t && !x.a.t) cvy_transport_close(x.b.t, CVY_CLOSE_NOW);
        WIRE_UNTIL(&x, wire_gone(&x));
        ck_assert_uint_eq(x.b.wrong, 0);
    }
    wire_fini(&x);
}

static void still_alive(wire_t *w)
{
    uint64_t before = w->a.r.bytes;
    ck_assert_ptr_nonnull(w->a.t);
    ck_assert_ptr_nonnull(w->b.t);
    ck_assert_int_eq(wire_text(w->a.r.bytes == before ? &w->a : &w->b, "still here?"), 0);
    WIRE_UNTIL(w, w->a.r.bytes >= before + 11);
}

/* M3: whichever allocation fails, of ours or of segments, costs the connection it was for and no other. */
START_OVER_KINDS(a_failed_allocation_costs_one_connection)
{
    static const recorder_rule_t answer_once[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
    w.b.r.rules = answer_once;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (long n = 1, failed = 1; failed; n++) {
        cvy__memory_fail(n);
        talk(&w);
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        still_alive(&w);
    }
    for (long n = 1, failed = 1; failed; n++) {
        wire_segments_fail = n;
        talk(&w);
        failed = !wire_segments_fail;
        wire_segments_fail = 0;
        still_alive(&w);
    }
}
END_OVER_KINDS

static const char *const places[] = { "added",          "active",           "bytes",           "read-complete",
                                      "read-closed",    "outbound-suspend", "outbound-resume", "error",
                                      "inactive",       "removed",          "out-bytes",       "flush",
                                      "inbound-resume", "out-close" };
enum { PLACES = sizeof places / sizeof *places };

/* A life with every event in it. */
static void live(wire_kind_t kind, const char *place, recorder_act_t act)
{
    wire_t w;
    const recorder_rule_t rules[] = { { place, 1, act, NULL, 0 }, { "active", 1, RECORD_WRITE, NULL, 200000 }, { 0 } };
    wire_init(&w, kind);
    w.a.r.rules = rules;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.b.r.rules = echo;
    int err = wire_open(&w, NULL); /* where a is reset before b is opened, b's socket is not connected any more */
    ck_assert(!err || ((err == UV_EINVAL || err == UV_ECANCELED) && !w.b.opened));
    wire_turns(&w, 2);
    if (w.a.r.ctx && w.a.t) {
        cvy_buf_t out = CVY_BUF_INIT;
        cvy_ctx_suspend(w.a.r.ctx);
        cvy_ctx_resume(w.a.r.ctx);
        ck_assert_int_eq(cvy_buf_append(&out, "through the stage", 17), 0);
        cvy_conveyor_write(cvy_transport_conveyor(w.a.t), &out);
        cvy_buf_fini(&out);
    }
    wire_turns(&w, 2);
    if (!strcmp(place, "read-closed") && w.b.t) cvy_transport_close(w.b.t, CVY_CLOSE_GRACEFUL);
    if (!strcmp(place, "error") && w.a.r.ctx) cvy_ctx_fail(w.a.r.ctx, UV_EPROTO, "on purpose");
    if (w.a.t) cvy_transport_shutdown(w.a.t, 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    wire_fini(&w);
}

/* E5, E6: closing is legal in every callback, by every verb; wire_fini checks what must have come once. */
START_TEST(close_inside_every_callback)
{
    static const recorder_act_t acts[] = { RECORD_GRACEFUL, RECORD_NOW, RECORD_RESET, RECORD_FIRE_CLOSE };
    for (int place = 0; place < PLACES; place++)
        for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
            live((wire_kind_t)_i, places[place], acts[i]);
}
END_TEST

int main(void)
{
    uv_replace_allocator(count_malloc, count_realloc, count_calloc, free);
    Suite *suite = suite_create("conformance, limits");
    TCase *tc = tcase_create("every kind");
    tcase_set_timeout(tc, 20);
    ADD_OVER_KINDS(tc, a_hot_peer_starves_nobody);
    ADD_OVER_KINDS(tc, an_idle_connection_holds_no_read_buffer);
    ADD_OVER_KINDS(tc, an_echoed_message_allocates_nothing);
    ADD_OVER_KINDS(tc, an_echoed_frame_allocates_nothing);
    ADD_OVER_KINDS(tc, a_stalled_write_allocates_nothing);
    ADD_OVER_KINDS(tc, a_failed_allocation_costs_one_connection);
    ADD_OVER_KINDS(tc, close_inside_every_callback);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
