/*
 * Floods of what an application or a hostile peer can make many of: tickets, posts, timers, tasks, errors. Each costs what one costs, and
 * ends once: R3, R9, T4, T5, T10, E8, E9.
 *
 * CVY_TEST_SCALE=n does an nth of the work, for slow instruments.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"
#include "net.h"
#include "rig.h"
#include "support.h"

static int tickets_done, tickets_failed, tickets_out_of_order;

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    (void)t;
    tickets_out_of_order += (int)(intptr_t)arg != tickets_done;
    tickets_done++;
    tickets_failed += status == UV_ETIMEDOUT;
}

/* T4, T10: a hundred thousand tickets on a peer that does not read: one allocation each, each fails once and in order at the stall. */
START_TEST(a_flood_of_tickets_on_a_dead_peer_fails_once_each_in_order)
{
    enum { TICKETS = 100000 };
    rig_t r = { .stage = &cvy_frame_stage };
    int refused = 0;
    rig_open(&r);
    cvy_transport_t *t = cvy_embedded_transport(r.e);
    cvy_embedded_block(r.e, true);
    rig_write(&r, "x", 1);
    size_t live = cvy__memory_live();
    for (intptr_t i = 0; i < TICKETS; i++)
        refused += cvy_transport_flush(t, on_ticket, (void *)i) != 0;
    ck_assert_int_eq(refused, 0);
    ck_assert_uint_eq(cvy__memory_live() - live, TICKETS);
    cvy_embedded_advance(r.e, 29999);
    ck_assert_int_eq(tickets_done, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(tickets_done, TICKETS);
    ck_assert_int_eq(tickets_failed, TICKETS);
    ck_assert_int_eq(tickets_out_of_order, 0);
    ck_assert_int_eq(r.cause, UV_ETIMEDOUT);
    ck_assert_uint_le(cvy__memory_live(), live);
    rig_close(&r);
}
END_TEST

enum { FLOOD = 64 }; /* bytes of a posted buffer */

typedef struct flooder {
    cvy_loop_t *loop;
    cvy_transport_id_t id;
    uv_thread_t thread;
    int taken, wrong;
} flooder_t;

static atomic_int posts_done, posts_failed;

static void on_posted(void *arg, int status)
{
    (void)arg;
    atomic_fetch_add(&posts_done, 1);
    if (status) atomic_fetch_add(&posts_failed, 1);
}

static void flood(void *arg)
{
    flooder_t *f = arg;
    for (int err = 0; !err;) {
        static const char bytes[FLOOD];
        cvy_buf_t b = CVY_BUF_INIT;
        f->wrong += cvy_buf_append(&b, bytes, sizeof bytes) != 0;
        err = cvy_transport_post_write(f->loop, f->id, &b, on_posted, NULL);
        f->taken += !err;
        f->wrong += err && err != UV_ENOBUFS;
        cvy_buf_fini(&b);
    }
}

/* R3, T5: what four threads post counts against the hard limit from when they post it: they get no further, and each post that was taken runs once. */
START_TEST(a_flood_of_posts_stops_at_the_hard_limit_and_each_runs_once)
{
    enum { THREADS = 4, HIGH = 16384, HARD = 16 * HIGH };
    static const cvy_transport_opts_t opts = { .high_bytes = HIGH };
    rig_t r = { .stage = &cvy_frame_stage, .transport = &opts };
    flooder_t floods[THREADS];
    rig_open(&r);
    for (int round = 1; round <= 3; round++) {
        int taken = 0, before = atomic_load(&posts_done);
        for (int i = 0; i < THREADS; i++) {
            floods[i] =
                (flooder_t){ .loop = cvy_embedded_loop(r.e), .id = cvy_transport_id(cvy_embedded_transport(r.e)) };
            ck_assert(!uv_thread_create(&floods[i].thread, flood, &floods[i]));
        }
        for (int i = 0; i < THREADS; i++) {
            uv_thread_join(&floods[i].thread);
            taken += floods[i].taken;
            ck_assert_int_eq(floods[i].wrong, 0);
        }
        ck_assert_int_ge(taken, HARD / FLOOD);
        ck_assert_int_le(taken, HARD / FLOOD + THREADS);
        for (int i = 0; i < taken && atomic_load(&posts_done) < before + taken; i++)
            cvy_embedded_advance(r.e, 0);
        ck_assert_int_eq(atomic_load(&posts_done) - before, taken);
        cvy_buf_fini(cvy_embedded_sent(r.e));
    }
    ck_assert_int_eq(atomic_load(&posts_failed), 0);
    rig_close(&r);
}
END_TEST

/* Callbacks of a flood: all, and the most in one turn. */
static int fired, fired_in_turn, most_in_turn;
static cvy_loop_t *flooded;

static void count_fired(void)
{
    static uint64_t turn;
    if (flooded->turns != turn) fired_in_turn = 0;
    turn = flooded->turns;
    fired++;
    if (++fired_in_turn > most_in_turn) most_in_turn = fired_in_turn;
}

static void on_timer(cvy_timer_t *timer)
{
    (void)timer;
    count_fired();
}

static void on_task(cvy_task_t *task, int status)
{
    (void)task, (void)status;
    count_fired();
}

/* R9: a hundred thousand timers of one millisecond and as many posted tasks do not take the loop away from a connection. */
START_TEST(a_flood_of_timers_and_tasks_leaves_a_connection_its_turns)
{
    const int count = test_scaled(100000);
    cvy_timer_t *timers = calloc((size_t)count, sizeof *timers);
    cvy_task_t *tasks = calloc((size_t)count, sizeof *tasks);
    int trips = 0, refused = 0;
    net_t n;
    fired = most_in_turn = 0;
    net_init(&n);
    n.quiet = true;
    flooded = n.loop;
    net_listen(&n, "tcp://127.0.0.1:0");
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected == 1 && n.accepted == 1);
    for (int i = 0; i < count; i++) {
        cvy_timer_init(&timers[i], n.loop, on_timer, NULL);
        cvy_timer_start(&timers[i], 1);
        tasks[i].run = on_task;
        refused += cvy_loop_post(n.loop, &tasks[i]) != 0;
    }
    ck_assert_int_eq(refused, 0);
    for (; fired < 2 * count; trips++)
        ck_assert_uint_le(net_round_trip(&n, 0), 12);
    ck_assert_int_gt(trips, 1);
    ck_assert_int_le(most_in_turn, 256 + 128);
    free(timers);
    free(tasks);
    net_fini(&n);
}
END_TEST

static size_t lines_logged;

static void count_line(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg, (void)level, (void)line;
    lines_logged++;
}

static void refuse(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    (void)r, (void)frame;
    cvy_ctx_fail(ctx, UV_EPROTO, "not that one");
}

static size_t handled;

static void handle(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    (void)ctx;
    handled += err->code == UV_EPROTO;
}
static const cvy_stage_t handler = { .name = "handler", .on_error = handle };

/* E8, E9: a stage that fails on each frame, and one that handles it: nothing is left of any failure, nothing is logged, and the millionth costs what
 * the first did. */
START_TEST(a_flood_of_handled_errors_leaves_nothing_behind)
{
    enum { FRAMES = 30000 };
    static uint8_t empty[2 * FRAMES];
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .width = 2 }, .on_frame = refuse };
    size_t rounds = 6 + (size_t)test_scaled(26), memory = 0, live = 0;
    uint64_t first = 0,
             late = UINT64_MAX; /* the cheapest of the second half: what else goes on makes single ones dearer */
    cvy_log_set(count_line, NULL);
    rig_open(&r);
    ck_assert_int_eq(cvy_conveyor_add_last(cvy_embedded_conveyor(r.e), &handler, NULL, NULL), 0);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t start = test_cpu_us();
        r.len = 0;
        rig_feed(&r, empty, sizeof empty);
        uint64_t cost = test_cpu_us() - start;
        if (i == 1) memory = rig_memory(), live = cvy__memory_live(), first = cost;
        if (i >= rounds / 2 && cost < late) late = cost;
    }
    ck_assert_uint_eq(handled, rounds * FRAMES);
    ck_assert_int_eq(r.cause, 1);
    ck_assert_uint_eq(lines_logged, 0);
    ck_assert_uint_eq(rig_memory(), memory);
    ck_assert_uint_eq(cvy__memory_live(), live);
    ck_assert_uint_le(late, 5 * first + 30000);
    cvy_log_set(NULL, NULL);
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("floods");
    ADD_TESTS(s, "floods", a_flood_of_tickets_on_a_dead_peer_fails_once_each_in_order,
              a_flood_of_posts_stops_at_the_hard_limit_and_each_runs_once,
              a_flood_of_timers_and_tasks_leaves_a_connection_its_turns,
              a_flood_of_handled_errors_leaves_nothing_behind);
    return test_run(s);
}
