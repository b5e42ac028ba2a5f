/* The inproc kind: what the conformance suite, which runs on one thread, can not show. */
#include <stdatomic.h>
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "support.h"
#include "transport/pair.h"
#include "wire.h"

/* One end, driven by its own stage only, on whatever thread its loop runs. */
typedef struct end {
    cvy_loop_t *loop;
    uint64_t total, sent, received, wrong;
    bool opened;
    atomic_int cause; /* 1: not gone */
    cvy_loop_t *stop[2];
    atomic_int *alive;
} end_t;

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at ^ (at >> 7));
}

static void fill(cvy_ctx_t *ctx, end_t *e)
{
    uint8_t piece[5000];
    while (e->sent < e->total && cvy_ctx_writable(ctx)) {
        size_t n = e->total - e->sent < sizeof piece ? (size_t)(e->total - e->sent) : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = pattern(e->sent + i);
        if (cvy_fire_outbound_copy(ctx, piece, n) == UV_EPIPE) return;
        e->sent += n;
    }
    if (e->sent == e->total) cvy_transport_shutdown_write(cvy_ctx_transport(ctx));
}

static end_t *of(cvy_ctx_t *ctx)
{
    return *(end_t **)cvy_ctx_state(ctx);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    *(const void **)cvy_ctx_state(ctx) = opts;
    return 0;
}

static int on_active(cvy_ctx_t *ctx)
{
    fill(ctx, of(ctx));
    return 0;
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    end_t *e = of(ctx);
    uint8_t piece[4096];
    for (size_t n; (n = cvy_buf_read(in, piece, sizeof piece)); e->received += n)
        for (size_t i = 0; i < n; i++)
            e->wrong += piece[i] != pattern(e->received + i);
}

static void on_resume(cvy_ctx_t *ctx)
{
    fill(ctx, of(ctx));
}

static const cvy_stage_t talker = { .name = "talker",
                                    .state_size = sizeof(end_t *),
                                    .on_added = on_added,
                                    .on_active = on_active,
                                    .on_inbound_bytes = on_bytes,
                                    .on_outbound_resume = on_resume };

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    end_t *e = arg;
    (void)t;
    atomic_store(&e->cause, cause);
    if (e->alive && atomic_fetch_sub(e->alive, 1) == 1)
        for (int i = 0; i < 2; i++)
            cvy_loop_stop(e->stop[i]);
}

static int init_end(cvy_conveyor_t *c, void *arg)
{
    ((end_t *)arg)->opened = true;
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_gone, arg);
    return cvy_conveyor_add_last(c, &talker, arg, NULL);
}

/* T3, T4, B9: both directions at full speed between two threads; bytes are handed over, not copied. TSan watches. */
START_TEST(bytes_cross_threads_intact)
{
    enum { TOTAL = 16 << 20 };
    static const cvy_transport_opts_t opts = { .allow_half_close = 1, .hold_reads = CVY_OFF };
    cvy_loop_t *loops[2] = { wire_new_loop(), NULL };
    ck_assert_int_eq(cvy_loop_new(&loops[1], NULL), 0);
    atomic_int alive = 2;
    end_t ends[2];
    for (int i = 0; i < 2; i++)
        ends[i] =
            (end_t){ .loop = loops[i], .total = TOTAL, .cause = 1, .stop = { loops[0], loops[1] }, .alive = &alive };
    cvy_pair_end_t first = { loops[0], &opts, init_end, &ends[0] };
    cvy_pair_end_t second = { loops[1], &opts, init_end, &ends[1] };
    cvy_transport_t *t;
    ck_assert_int_eq(cvy_transport_pair(&first, &second, &t), 0);
    ck_assert_int_eq(cvy_loop_start(loops[1]), 0);
    ck_assert_int_eq(cvy_loop_run(loops[0]), 0);
    ck_assert_int_eq(cvy_loop_join(loops[1]), 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(ends[i].received, TOTAL);
        ck_assert_uint_eq(ends[i].wrong, 0);
        ck_assert_int_eq(atomic_load(&ends[i].cause), 0);
        cvy_loop_unref(loops[i]);
    }
    ck_assert_int_eq(wire_segments_live, 0);
}
END_TEST

/* R2, T16: open transports refer to their loop and do not keep it running: who lets go of it last, without stop or join, ends it, and
 * them; also one that never ran. */
START_TEST(letting_go_of_a_loop_closes_what_is_open_on_it)
{
    for (int round = 0; round < 20; round++) {
        size_t live = cvy__memory_live();
        cvy_loop_t *loop;
        end_t ends[2];
        cvy_transport_t *t;
        ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
        for (int i = 0; i < 2; i++)
            ends[i] = (end_t){ .loop = loop, .total = UINT64_MAX, .cause = 1 };
        cvy_pair_end_t first = { loop, NULL, init_end, &ends[0] }, second = { loop, NULL, init_end, &ends[1] };
        ck_assert_int_eq(cvy_transport_pair(&first, &second, &t), 0);
        cvy_transport_ref(t);
        if (round % 2) ck_assert_int_eq(cvy_loop_start(loop), 0);
        cvy_loop_unref(loop);
        ck_assert_int_ne(atomic_load(&ends[0].cause), 1);
        ck_assert_int_ne(atomic_load(&ends[1].cause), 1);
        ck_assert(cvy_transport_closing(t));
        cvy_transport_unref(t);
        ck_assert_uint_eq(cvy__memory_live(), live);
    }
}
END_TEST

/* R3, T16: the second loop ends in the middle of it; the first sees a reset or an end, and nothing leaks or hangs. */
START_TEST(a_loop_that_ends_is_a_peer_that_went)
{
    static const cvy_transport_opts_t opts = { .hold_reads = CVY_OFF, .high_bytes = 1 << 20 };
    for (int round = 0; round < 20; round++) {
        size_t live = cvy__memory_live();
        cvy_loop_t *loops[2];
        end_t ends[2];
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(cvy_loop_new(&loops[i], NULL), 0);
            ends[i] = (end_t){ .loop = loops[i], .total = UINT64_MAX, .cause = 1 };
        }
        cvy_pair_end_t first = { loops[0], &opts, init_end, &ends[0] };
        cvy_pair_end_t second = { loops[1], &opts, init_end, &ends[1] };
        cvy_transport_t *t;
        ck_assert_int_eq(cvy_transport_pair(&first, &second, &t), 0);
        ck_assert_int_eq(cvy_loop_start(loops[1]), 0);
        while (ends[0].received < (uint64_t)round * 100000)
            cvy_loop_turn(loops[0], 5);
        cvy_loop_stop(loops[1]);
        while (atomic_load(&ends[0].cause) == 1)
            cvy_loop_turn(loops[0], 5);
        int cause = atomic_load(&ends[0].cause);
        ck_assert(cause == 0 || cause == UV_ECONNRESET || cause == UV_EPIPE);
        cvy_loop_join(loops[1]);
        ck_assert_int_eq(atomic_load(&ends[1].cause) == 1,
                         !ends[1].opened); /* it may have ended before it took the post */
        ck_assert_uint_eq(ends[0].wrong + ends[1].wrong, 0);
        cvy_loop_unref(loops[0]);
        cvy_loop_unref(loops[1]);
        ck_assert_uint_eq(cvy__memory_live(), live);
    }
}
END_TEST

/* A bounded link: a peer that does not read takes 256 KiB, and no more. */
START_TEST(the_link_is_bounded)
{
    wire_t w;
    wire_init(&w, WIRE_PAIR);
    w.a.r.hook = w.b.r.hook = wire_hook;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    wire_source(&w.a, 1 << 20, 10000);
    wire_turns(&w, 10);
    cvy_transport_stats_t stats;
    cvy_transport_stats(w.a.t, &stats);
    ck_assert_uint_eq(stats.bytes_written, 256 * 1024);
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, w.b.r.bytes == 1 << 20);
    ck_assert_uint_eq(w.b.wrong, 0);
    wire_fini(&w);
}
END_TEST

/* A side that never opens is a reset, also for what was sent to it. */
START_TEST(an_abandoned_side_is_a_reset)
{
    cvy__pair_link_t *link;
    cvy__shared_opts_t *opts;
    cvy_transport_t *t;
    end_t e = { .loop = wire_new_loop(), .total = 100000, .cause = 1 };
    ck_assert_int_eq(cvy__pair_link_new(&link), 0);
    ck_assert_int_eq(cvy__shared_opts_new(&opts, NULL), 0);
    ck_assert_int_eq(cvy__pair_open(&t, link, 0, e.loop, opts, "inproc://x", "inproc:"), 0);
    cvy__shared_opts_unref(opts);
    ck_assert_str_eq(cvy_transport_self_endpoint(t), "inproc://x");
    ck_assert_str_eq(cvy_transport_other_endpoint(t), "inproc:");
    ck_assert_int_eq(cvy__transport_open(t, init_end, &e, NULL, NULL), 0);
    cvy_loop_turn(e.loop, 0);
    cvy__pair_link_abandon(link, 1);
    while (atomic_load(&e.cause) == 1)
        cvy_loop_turn(e.loop, 5);
    ck_assert_int_eq(atomic_load(&e.cause), UV_ECONNRESET);
    wire_end_loop(e.loop);
}
END_TEST

static int refuse(cvy_conveyor_t *c, void *arg)
{
    (void)c;
    (void)arg;
    return UV_EACCES;
}

/* adopt.h: what init answers for the first is the call's answer; the second's costs the connection. */
START_TEST(an_init_that_refuses)
{
    size_t live = cvy__memory_live();
    end_t e = { .loop = wire_new_loop(), .cause = 1 };
    cvy_pair_end_t good = { e.loop, NULL, init_end, &e }, bad = { e.loop, NULL, refuse, NULL };
    cvy_transport_t *t = NULL;
    ck_assert_int_eq(cvy_transport_pair(&bad, &good, &t), UV_EACCES);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(atomic_load(&e.cause), 1);
    ck_assert_int_eq(cvy_transport_pair(&good, &bad, &t), 0);
    while (atomic_load(&e.cause) == 1)
        cvy_loop_turn(e.loop, 5);
    wire_end_loop(e.loop);
    ck_assert_uint_eq(cvy__memory_live(), live);
}
END_TEST

static int close_now(cvy_ctx_t *ctx)
{
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
    return 0;
}

static const cvy_stage_t closer = { .name = "closer", .on_active = close_now };

static int init_closer(cvy_conveyor_t *c, void *arg)
{
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_gone, arg);
    return cvy_conveyor_add_last(c, &closer, NULL, NULL);
}

/* E6, T16: no teardown inside the call: what it answers with 0 is there when it returns. */
START_TEST(closing_in_active_ends_nothing_inside_the_call)
{
    end_t e = { .loop = wire_new_loop(), .cause = 1 };
    cvy_pair_end_t first = { e.loop, NULL, init_closer, &e }, second = { e.loop, NULL, NULL, NULL };
    cvy_transport_t *t;
    ck_assert_int_eq(cvy_transport_pair(&first, &second, &t), 0);
    ck_assert_int_eq(atomic_load(&e.cause), 1);
    cvy_transport_ref(t);
    while (atomic_load(&e.cause) == 1)
        cvy_loop_turn(e.loop, 5);
    ck_assert(cvy_transport_closing(t));
    cvy_transport_unref(t);
    wire_end_loop(e.loop);
}
END_TEST

/* Opens both ends, whose active writes. */
static void prepare_opens(uv_prepare_t *h)
{
    end_t *ends = h->data;
    if (!ends) return;
    cvy_pair_end_t first = { ends[0].loop, NULL, init_end, &ends[0] };
    cvy_pair_end_t second = { ends[1].loop, NULL, init_end, &ends[1] };
    cvy_transport_t *t;
    uv_prepare_stop(h);
    ck_assert_int_eq(cvy_transport_pair(&first, &second, &t), 0);
    ck_assert_int_eq(uv_backend_timeout(h->loop), 0); /* it does not wait with that undone */
}

/* R7: the application's prepare, started before ours, is the last that runs before the wait. */
START_TEST(what_is_opened_last_thing_before_the_wait_is_not_left_lying)
{
    uv_loop_t uv;
    uv_prepare_t prepare;
    cvy_loop_t *loop;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    uv_prepare_init(&uv, &prepare);
    prepare.data = NULL;
    uv_prepare_start(&prepare, prepare_opens);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    uv_run(&uv, UV_RUN_NOWAIT); /* libuv says how long it would wait once it has told the system of all it watches */
    end_t ends[2] = { { .loop = loop, .total = 1000, .cause = 1 }, { .loop = loop, .total = 1000, .cause = 1 } };
    prepare.data = ends;
    uv_run(&uv, UV_RUN_DEFAULT); /* until both have sent all and ended */
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(ends[i].received, 1000);
        ck_assert_int_eq(atomic_load(&ends[i].cause), 0);
    }
    uv_close((uv_handle_t *)&prepare, NULL);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    cvy_loop_unref(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pair");
    ADD_TESTS(suite, "threads", bytes_cross_threads_intact, letting_go_of_a_loop_closes_what_is_open_on_it,
              a_loop_that_ends_is_a_peer_that_went);
    ADD_TESTS(suite, "link", the_link_is_bounded, an_abandoned_side_is_a_reset, an_init_that_refuses,
              closing_in_active_ends_nothing_inside_the_call,
              what_is_opened_last_thing_before_the_wait_is_not_left_lying);
    return test_run(suite);
}
