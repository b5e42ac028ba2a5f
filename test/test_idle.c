/* Idle: contract M6, and research 2.18. The clock is the embedded transport's. */
#include <stdio.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"
#include "support.h"
#include "transport/transport.h"

/* One letter per event, capital for the first since activity, behind the clock: "100R 200r". */
typedef struct log {
    char text[256];
    bool suspend, remove, close;
    cvy_ctx_t *ctx, *idle;
} log_t;

static log_t *log_of(cvy_ctx_t *ctx)
{
    return *(log_t **)cvy_ctx_state(ctx);
}

static void on_idle(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    log_t *l = log_of(ctx);
    const cvy_idle_t *idle = cvy_event_as(ev, cvy_idle);
    size_t n = strlen(l->text);
    ck_assert_ptr_eq(idle->from, l->idle);
    snprintf(l->text + n, sizeof l->text - n, "%s%u%c", n ? " " : "", (unsigned)cvy_loop_now(cvy_ctx_loop(ctx)),
             (idle->first ? "RWA" : "rwa")[idle->kind]);
    if (l->remove) cvy_conveyor_remove(cvy_ctx_conveyor(ctx), cvy_at_ctx(l->idle));
    if (l->close) cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
}

static int added(cvy_ctx_t *ctx, const void *opts)
{
    log_t *l = *(log_t *const *)opts;
    *(log_t **)cvy_ctx_state(ctx) = l;
    l->ctx = ctx;
    return 0;
}

static const cvy_on_t events[] = { CVY_ON(cvy_idle, on_idle), { 0 } };
static const cvy_stage_t logger = {
    .name = "logger", .state_size = sizeof(log_t *), .on_added = added, .events = events
};

typedef struct setup {
    log_t *log;
    cvy_idle_opts_t idle;
} setup_t;

static int init(cvy_conveyor_t *c, void *arg)
{
    setup_t *s = arg;
    int err = cvy_conveyor_add_last(c, &cvy_idle_stage, &s->idle, &s->log->idle);
    return err ? err : cvy_conveyor_add_last(c, &logger, &s->log, NULL);
}

static cvy_embedded_t *open_with(log_t *l, cvy_idle_opts_t o)
{
    static const cvy_transport_opts_t half = { .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF };
    setup_t s = { l, o };
    cvy_embedded_t *e = NULL;
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init, .arg = &s, .transport = &half }), 0);
    return e;
}

static void close_with(cvy_embedded_t *e, const log_t *l, const char *want)
{
    ck_assert_str_eq(l->text, want);
    cvy_embedded_free(e);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

static void pass(cvy_embedded_t *e, int ms)
{
    for (int i = 0; i < ms; i++)
        cvy_embedded_advance(e, 1);
}

/* M6 */
START_TEST(read_idle_counts_from_active_and_repeats)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100 });
    pass(e, 350);
    close_with(e, &l, "100R 200r 300r");
}
END_TEST

/* M6 */
START_TEST(a_read_starts_the_time_anew)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100 });
    pass(e, 60);
    cvy_embedded_feed(e, "x", 1);
    pass(e, 150); /* 210: fired at 160 */
    cvy_embedded_feed(e, "x", 1);
    pass(e, 150);
    close_with(e, &l, "160R 310R");
}
END_TEST

/* M6: a read costs a time stamp; the entry stays in the wheel as it is, and only its being due looks at the stamps. */
START_TEST(reads_and_writes_do_not_touch_the_timer)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100 });
    cvy_loop_t *loop = cvy_embedded_loop(e);
    uint64_t due = cvy__wheel_next(&loop->wheel);
    for (int i = 0; i < 9; i++) {
        pass(e, 10);
        cvy_embedded_feed(e, "x", 1);
        ck_assert_int_eq(cvy_fire_outbound_copy(l.ctx, "x", 1), 0);
        cvy_embedded_run(e);
        ck_assert_uint_eq(cvy__wheel_next(&loop->wheel), due);
    }
    pass(e, 10); /* due: it goes to where the last read has put it */
    ck_assert_uint_eq(cvy__wheel_next(&loop->wheel), 190);
    close_with(e, &l, "");
}
END_TEST

/* M6 */
START_TEST(write_and_all_have_clocks_of_their_own)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 70, .write_ms = 100, .all_ms = 120 });
    pass(e, 50);
    cvy_fire_outbound_copy(l.ctx, "x", 1);
    cvy_embedded_run(e);
    pass(e, 30);
    cvy_embedded_feed(e, "x", 1); /* at 80 */
    pass(e, 125);
    close_with(e, &l, "70R 150R 150W 200A");
}
END_TEST

/* M1 */
START_TEST(off_is_off)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = CVY_OFF });
    cvy_embedded_advance(e, 1u << 30);
    close_with(e, &l, "");
}
END_TEST

/* M6: A write of many megabytes is not idle while the kernel takes a little of it now and then. */
START_TEST(progress_of_a_large_write_is_activity)
{
    static char big[60000];
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .write_ms = 100 });
    int script[12];
    for (int i = 0; i < 12; i++)
        script[i] = i % 2 ? UV_EAGAIN : 1000;
    ck_assert_int_eq(cvy_embedded_script(e, script, 12), 0);
    cvy_fire_outbound_copy(l.ctx, big, sizeof big);
    cvy_embedded_run(e);
    for (int i = 0; i < 6; i++) { /* 80 ms each: 1000 bytes leave */
        pass(e, 80);
        cvy_embedded_unblock(e);
    }
    ck_assert_str_eq(l.text, "");
    pass(e, 100);
    close_with(e, &l, "580W");
}
END_TEST

static size_t under_way;

static size_t count_unsent(const cvy_transport_t *unused)
{
    (void)unused;
    return under_way;
}

/* M6: also of one that tells nothing before all of it has gone, as libuv's. */
START_TEST(a_part_of_a_write_under_way_is_activity)
{
    static cvy__kind_t kind; /* outlives e */
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .write_ms = 100 });
    cvy_transport_t *t = cvy_embedded_transport(e);
    kind = *t->kind;
    kind.unsent = count_unsent;
    t->kind = &kind;
    under_way = 10;
    cvy_embedded_block(e, true);
    cvy_fire_outbound_copy(l.ctx, "0123456789", 10);
    cvy_embedded_run(e);
    pass(e, 60);
    under_way = 9;
    pass(e, 139);
    ck_assert_str_eq(l.text, "");
    pass(e, 1);
    close_with(e, &l, "200W");
}
END_TEST

/* M6 */
START_TEST(a_blocked_write_is_idle)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .write_ms = 100 });
    cvy_embedded_block(e, true);
    pass(e, 50);
    cvy_fire_outbound_copy(l.ctx, "x", 1);
    cvy_embedded_run(e);
    pass(e, 60);
    close_with(e, &l, "100W");
}
END_TEST

/* M6 */
START_TEST(while_reading_is_suspended_nothing_is_read_idle)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100, .all_ms = 150 });
    pass(e, 50);
    cvy_ctx_suspend(l.ctx);
    pass(e, 1000);
    ck_assert_str_eq(l.text, "");
    cvy_ctx_resume(l.ctx); /* at 1050 */
    cvy_embedded_run(e);
    pass(e, 99);
    ck_assert_str_eq(l.text, "");
    pass(e, 51);
    close_with(e, &l, "1150R 1200A");
}
END_TEST

/* M6 */
START_TEST(a_suspend_between_two_looks_counts_as_well)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100 });
    pass(e, 10);
    cvy_embedded_feed(e, "x", 1);
    cvy_ctx_suspend(l.ctx);
    pass(e, 80);
    cvy_ctx_resume(l.ctx); /* at 90 */
    cvy_embedded_run(e);
    pass(e, 120);
    close_with(e, &l, "190R");
}
END_TEST

/* M6: "first" says whether anything has happened since the last event */
START_TEST(an_event_is_the_first_again_after_activity_and_not_after_a_suspend_alone)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100 });
    pass(e, 100);
    cvy_embedded_feed(e, "x", 1); /* in the millisecond of the event, behind it */
    pass(e, 120);
    cvy_embedded_feed(e, "x", 1); /* at 220 */
    cvy_ctx_suspend(l.ctx);
    pass(e, 30);
    cvy_ctx_resume(l.ctx);
    cvy_embedded_run(e);
    pass(e, 120); /* 370 */
    cvy_ctx_suspend(l.ctx);
    pass(e, 30);
    cvy_ctx_resume(l.ctx);
    cvy_embedded_run(e);
    pass(e, 100);
    close_with(e, &l, "100R 200R 350R 500r");
}
END_TEST

START_TEST(after_the_end_of_stream_nothing_is_read_idle)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100, .write_ms = 300 });
    pass(e, 150);
    cvy_embedded_end(e);
    pass(e, 200);
    close_with(e, &l, "100R 300W");
}
END_TEST

/* M6: The stage may be gone when fire returns. */
START_TEST(an_idle_stage_may_be_removed_in_its_own_event)
{
    log_t l = { .remove = true };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100, .write_ms = 100 });
    pass(e, 1000);
    close_with(e, &l, "100R");
}
END_TEST

START_TEST(a_connection_may_be_closed_in_an_idle_event)
{
    log_t l = { .close = true };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .read_ms = 100, .write_ms = 100 });
    pass(e, 1000);
    close_with(e, &l, "100R");
}
END_TEST

START_TEST(one_big_step_of_the_clock_fires_each_span_once)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ .all_ms = 100 });
    cvy_embedded_advance(e, 250);
    close_with(e, &l, "100A 200a");
}
END_TEST

/* Added to a connection that was idle before: its time starts with it. */
START_TEST(a_late_stage_counts_from_when_it_was_added)
{
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ 0 });
    pass(e, 500);
    const cvy_idle_opts_t o = { .read_ms = 100 };
    ck_assert_int_eq(cvy_conveyor_add_first(cvy_embedded_conveyor(e), &cvy_idle_stage, &o, &l.idle), 0);
    pass(e, 150);
    close_with(e, &l, "600R");
}
END_TEST

START_TEST(times_that_can_not_be_are_refused)
{
    static const cvy_idle_opts_t bad[] = { { .read_ms = -2 }, { .write_ms = -2 }, { .all_ms = INT64_MAX } };
    log_t l = { 0 };
    cvy_embedded_t *e = open_with(&l, (cvy_idle_opts_t){ 0 });
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(cvy_idle_add(cvy_embedded_conveyor(e), &bad[i]), UV_EINVAL);
    ck_assert_int_eq(cvy_idle_add(cvy_embedded_conveyor(e), NULL), 0);
    close_with(e, &l, "");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("idle");
    ADD_TESTS(s, "idle", read_idle_counts_from_active_and_repeats, a_read_starts_the_time_anew,
              reads_and_writes_do_not_touch_the_timer, write_and_all_have_clocks_of_their_own, off_is_off,
              progress_of_a_large_write_is_activity, a_part_of_a_write_under_way_is_activity, a_blocked_write_is_idle,
              while_reading_is_suspended_nothing_is_read_idle, a_suspend_between_two_looks_counts_as_well,
              an_event_is_the_first_again_after_activity_and_not_after_a_suspend_alone,
              after_the_end_of_stream_nothing_is_read_idle, an_idle_stage_may_be_removed_in_its_own_event,
              a_connection_may_be_closed_in_an_idle_event, one_big_step_of_the_clock_fires_each_span_once,
              a_late_stage_counts_from_when_it_was_added, times_that_can_not_be_are_refused);
    return test_run(s);
}
