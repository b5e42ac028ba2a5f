/* Proves lib/conveyor/alarm.c: the stages' timers, of which a conveyor has the first in the wheel. M6, R4. */
#include "support.h"

#include <conveyor/adopt.h>

#include "base/system.h"
#include "fixture_chain.h"
#include "loop/loop.h"
#include "wire_fds.h"

static recorder_t *other; /* of a deed */
static uint64_t turn_of[4];

static void open_three(recorder_t *a, recorder_t *b, recorder_t *c)
{
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { &recorder_stage, c }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
}

/* The loop was away for so long: what became due meanwhile is due at once. */
static void oversleep(uint64_t ms)
{
    conn_loop->now_ms += ms;
    cvy_embedded_advance(conn, 0);
}

static uint64_t next_wake_up(void)
{
    uint64_t next = cvy__wheel_next(&conn_loop->wheel);
    return next == CVY__NEVER ? next : next - conn_loop->now_ms;
}

/* M6 */
START_TEST(timers_that_are_due_at_once_fire_in_the_order_of_their_times)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_three(&a, &b, &c);
    cvy_ctx_timer(a.ctx, 20);
    cvy_ctx_timer(b.ctx, 10);
    cvy_ctx_timer(c.ctx, 15);
    oversleep(30);
    history_is("b: timer\nc: timer\na: timer\n");
    ends_clean();
}
END_TEST

/* M6: each at its own time, those that come later too */
START_TEST(timers_of_one_conveyor_each_fire_at_their_own_time)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_three(&a, &b, &c);
    cvy_ctx_timer(b.ctx, 20);
    cvy_ctx_timer(a.ctx, 10);
    cvy_ctx_timer(c.ctx, 30);
    for (int i = 0; i < 3; i++) {
        cvy_embedded_advance(conn, 9);
        history_is("");
        cvy_embedded_advance(conn, 1);
        history_is((const char *const[]){ "a: timer\n", "b: timer\n", "c: timer\n" }[i]);
    }
    ck_assert_uint_eq(next_wake_up(), CVY__NEVER);
    ends_clean();
}
END_TEST

static void set_anew(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)in;
    int seen = recorder_seen(r, "timer");
    turn_of[seen] = conn_loop->turns;
    if (seen < 3) cvy_ctx_timer(ctx, 0);
}

/* M6, R9: a stage that never stops does not keep the turn, nor its neighbours */
START_TEST(what_a_timer_sets_anew_with_0_fires_in_a_later_turn)
{
    recorder_t a = { .name = "a", .log = &history, DOES("timer", set_anew) }, b = RECORDER("b"), c = RECORDER("c");
    open_three(&a, &b, &c);
    cvy_ctx_timer(a.ctx, 10);
    cvy_ctx_timer(b.ctx, 10);
    cvy_embedded_advance(conn, 10);
    history_is("a: timer\nb: timer\na: timer\na: timer\n");
    ck_assert_uint_gt(turn_of[2], turn_of[1]);
    ck_assert_uint_gt(turn_of[3], turn_of[2]);
    ck_assert_uint_eq(next_wake_up(), CVY__NEVER);
    ends_clean();
}
END_TEST

/* R4 */
START_TEST(a_stopped_first_timer_leaves_nothing_in_the_wheel)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_three(&a, &b, &c);
    cvy_ctx_timer(a.ctx, 10);
    cvy_ctx_timer(b.ctx, 50);
    ck_assert_uint_eq(next_wake_up(), 10);
    cvy_ctx_timer(a.ctx, CVY_OFF);
    ck_assert_uint_eq(next_wake_up(), 50);
    cvy_ctx_timer(b.ctx, 80);
    ck_assert_uint_eq(next_wake_up(), 80);
    cvy_ctx_timer(c.ctx, 20);
    cvy_conveyor_remove(chain, cvy_at_ctx(c.ctx)); /* with its timer */
    ck_assert_uint_eq(next_wake_up(), 80);
    cvy_ctx_timer(b.ctx, CVY_OFF);
    ck_assert_uint_eq(next_wake_up(), CVY__NEVER);
    cvy_embedded_advance(conn, 1000);
    history_is("c: removed\n");
    ends_clean();
}
END_TEST

static void stop_other(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    cvy_ctx_timer(other->ctx, CVY_OFF);
}

static void put_off_other(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    cvy_ctx_timer(other->ctx, 40);
}

static void remove_both(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_conveyor_remove(chain, cvy_at_ctx(other->ctx));
    cvy_conveyor_remove(chain, cvy_at_ctx(ctx));
}

/* C3: a callback changes what is due beside it */
START_TEST(a_timer_may_stop_put_off_and_remove_others_that_are_due)
{
    static const struct {
        void (*deed)(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in);
        const char *now, *later;
    } rows[] = {
        { stop_other, "a: timer\nc: timer\n", "" },
        { put_off_other, "a: timer\nc: timer\n", "b: timer\n" },
        { remove_both, "a: timer\nb: removed\na: removed\nc: timer\n", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        deed_t deed = { "timer", rows[i].deed };
        recorder_t a = { .name = "a", .log = &history, .hook = do_deed, .arg = &deed };
        recorder_t b = RECORDER("b"), c = RECORDER("c");
        open_three(&a, &b, &c);
        other = &b;
        cvy_ctx_timer(a.ctx, 10);
        cvy_ctx_timer(b.ctx, 10);
        cvy_ctx_timer(c.ctx, 12);
        oversleep(20);
        history_is(rows[i].now);
        cvy_embedded_advance(conn, 39);
        history_is("");
        cvy_embedded_advance(conn, 1);
        history_is(rows[i].later);
        ck_assert_uint_eq(next_wake_up(), CVY__NEVER);
        ends_clean();
        recorder_clear(&history);
    }
}
END_TEST

static void end_in_timer(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
}

static void set_at_the_end(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_timer(ctx, 1);
}

/* E5, R4: whatever stages set on their way out */
START_TEST(nothing_fires_after_the_end_of_the_connection)
{
    recorder_t a = { .name = "a", .log = &history, DOES("timer", end_in_timer) };
    recorder_t b = { .name = "b", .log = &history, DOES("inactive", set_at_the_end) };
    recorder_t c = { .name = "c", .log = &history, DOES("removed", set_at_the_end) };
    open_three(&a, &b, &c);
    cvy_ctx_timer(a.ctx, 10);
    cvy_ctx_timer(b.ctx, 20);
    cvy_embedded_advance(conn, 10);
    ck_assert_uint_eq(next_wake_up(), CVY__NEVER);
    cvy_embedded_advance(conn, 100);
    history_is("a: timer\na: inactive\nb: inactive\nc: inactive\nc: removed\nb: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

static void begin(cvy_loop_t **loop, cvy_transport_t **t, cvy_socket_t fds[2], row_t *rows)
{
    ck_assert_int_eq(cvy_loop_new(loop, NULL), 0);
    wire_tcp_fds(fds);
    ck_assert_int_eq(cvy_transport_adopt(t, *loop, fds[0], NULL, add_row, rows), 0);
    for (int i = 0; i < 5; i++)
        cvy_loop_turn(*loop, 0);
    recorder_clear(&history);
}

static void end(cvy_loop_t *loop, cvy_transport_t *t, cvy_socket_t peer)
{
    cvy_transport_close(t, CVY_CLOSE_NOW);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    cvy_loop_unref(loop);
    cvy__socket_close(peer);
    ends_clean();
}

/* R4: also between prepare and the wait, where nothing looks at the wheel again */
START_TEST(stopping_the_first_timer_outside_any_callback_arms_the_next_at_once)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    cvy_loop_t *loop;
    cvy_transport_t *t;
    cvy_socket_t fds[2];
    begin(&loop, &t, fds, rows);
    uint64_t now = cvy_loop_now(loop);
    cvy_ctx_timer(a.ctx, 50000);
    cvy_ctx_timer(b.ctx, 100000);
    ck_assert_uint_eq(loop->armed, now + 50000);
    cvy_ctx_timer(a.ctx, CVY_OFF);
    ck_assert_uint_eq(loop->armed, now + 100000);
    cvy_ctx_timer(b.ctx, 200000);
    ck_assert_uint_eq(loop->armed, now + 200000);
    cvy_ctx_timer(b.ctx, CVY_OFF);
    ck_assert_uint_eq(loop->armed, CVY__NEVER);
    end(loop, t, fds[1]);
}
END_TEST

static void stop_the_loop(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_loop_stop(cvy_ctx_loop(ctx));
}

/* R4: neither one that was stopped nor one that was put off */
START_TEST(the_loop_wakes_only_for_the_timer_that_is_due)
{
    recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, DOES("timer", stop_the_loop) };
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    cvy_loop_t *loop;
    cvy_transport_t *t;
    cvy_socket_t fds[2];
    begin(&loop, &t, fds, rows);
    cvy_ctx_timer(a.ctx, 0);
    cvy_ctx_timer(b.ctx, 30);
    cvy_ctx_timer(b.ctx, 120);
    cvy_ctx_timer(a.ctx, CVY_OFF);
    uint64_t turns = loop->turns;
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(recorder_seen(&a, "timer"), 0);
    ck_assert_int_eq(recorder_seen(&b, "timer"), 1);
    ck_assert_uint_le(loop->turns - turns, 5); /* the end's own turns */
    cvy_loop_unref(loop);
    cvy__socket_close(fds[1]);
    ends_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alarm");
    TCase *tc = ADD_TESTS(
        suite, "alarm", timers_that_are_due_at_once_fire_in_the_order_of_their_times,
        timers_of_one_conveyor_each_fire_at_their_own_time, what_a_timer_sets_anew_with_0_fires_in_a_later_turn,
        a_stopped_first_timer_leaves_nothing_in_the_wheel, a_timer_may_stop_put_off_and_remove_others_that_are_due,
        nothing_fires_after_the_end_of_the_connection,
        stopping_the_first_timer_outside_any_callback_arms_the_next_at_once,
        the_loop_wakes_only_for_the_timer_that_is_due);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    return test_run(suite);
}
