/* Timers on the embedded loop's clock, and on a real one. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

static cvy_loop_t *loop;
static char log_[256];
static uint64_t fired_at;
static int fired;

static void open_loop(void)
{
    log_[0] = '\0';
    fired = 0;
    ck_assert_int_eq(cvy__loop_new_embedded(&loop, NULL), 0);
}

static void end_loop(void)
{
    cvy__loop_end_embedded(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

static void note(cvy_timer_t *timer)
{
    fired++;
    fired_at = cvy_loop_now(timer->loop);
    if (timer->arg) strcat(log_, timer->arg);
}

/* T15: the clock stands at each due time */
START_TEST(timers_fire_in_order_of_their_due_time)
{
    cvy_timer_t a, b, c;
    cvy_timer_init(&a, loop, note, (char *)"a");
    cvy_timer_init(&b, loop, note, (char *)"b");
    cvy_timer_init(&c, loop, note, (char *)"c");
    cvy_timer_start(&a, 30);
    cvy_timer_start(&b, 10);
    cvy_timer_start(&c, 30);
    cvy__loop_advance_embedded(loop, 9);
    ck_assert_str_eq(log_, "");
    cvy__loop_advance_embedded(loop, 15);
    ck_assert_str_eq(log_, "b");
    ck_assert_uint_eq(fired_at, 10);
    cvy__loop_advance_embedded(loop, 1000);
    ck_assert_str_eq(log_, "bac");
    ck_assert_uint_eq(fired_at, 30);
    ck_assert_uint_eq(cvy_loop_now(loop), 1024);
}
END_TEST

START_TEST(a_stopped_timer_does_not_fire)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, note, NULL);
    cvy_timer_stop(&a);
    cvy_timer_start(&a, 10);
    ck_assert(cvy_timer_armed(&a));
    cvy_timer_stop(&a);
    cvy_timer_stop(&a);
    ck_assert(!cvy_timer_armed(&a));
    cvy__loop_advance_embedded(loop, 100);
    ck_assert_int_eq(fired, 0);
}
END_TEST

START_TEST(a_timer_started_again_counts_anew)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, note, NULL);
    cvy_timer_start(&a, 10);
    cvy__loop_advance_embedded(loop, 9);
    cvy_timer_start(&a, 10);
    cvy__loop_advance_embedded(loop, 9);
    ck_assert_int_eq(fired, 0);
    cvy__loop_advance_embedded(loop, 1);
    ck_assert_int_eq(fired, 1);
    ck_assert(!cvy_timer_armed(&a));
    ck_assert_uint_eq(loop->alive, 0);
}
END_TEST

static cvy_timer_t other;

static void stop_other(cvy_timer_t *timer)
{
    note(timer);
    cvy_timer_stop(&other);
}

START_TEST(a_timer_stopped_by_one_of_the_same_millisecond_does_not_fire)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, stop_other, (char *)"a");
    cvy_timer_init(&other, loop, note, (char *)"b");
    cvy_timer_start(&a, 10);
    cvy_timer_start(&other, 10);
    cvy__loop_advance_embedded(loop, 10);
    ck_assert_str_eq(log_, "a");
}
END_TEST

static void again(cvy_timer_t *timer)
{
    note(timer);
    cvy_timer_start(timer, 7);
}

START_TEST(a_timer_may_start_itself_again)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, again, NULL);
    cvy_timer_start(&a, 7);
    cvy__loop_advance_embedded(loop, 70);
    ck_assert_int_eq(fired, 10);
    cvy_timer_stop(&a);
}
END_TEST

static void at_once(cvy_timer_t *timer)
{
    note(timer);
    cvy_timer_start(timer, 0);
}

START_TEST(a_timer_that_restarts_itself_for_now_can_not_hold_the_clock)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, at_once, NULL);
    cvy_timer_start(&a, 1);
    cvy__loop_advance_embedded(loop, 5);
    ck_assert_uint_eq(cvy_loop_now(loop), 5);
    cvy_timer_stop(&a);
}
END_TEST

/* T15 */
START_TEST(any_number_of_timers_may_be_due_at_once)
{
    enum { MANY = 20000 };
    static cvy_timer_t timers[MANY];
    for (int i = 0; i < MANY; i++) {
        cvy_timer_init(&timers[i], loop, note, NULL);
        cvy_timer_start(&timers[i], 5);
    }
    cvy__loop_advance_embedded(loop, 5);
    ck_assert_int_eq(fired, MANY);
}
END_TEST

START_TEST(the_longest_delay_never_fires)
{
    cvy_timer_t a;
    cvy_timer_init(&a, loop, note, NULL);
    cvy_timer_start(&a, UINT64_MAX);
    cvy__loop_advance_embedded(loop, UINT64_C(1) << 40);
    ck_assert_int_eq(fired, 0);
    cvy_timer_stop(&a);
}
END_TEST

/* R7 */
START_TEST(armed_timers_of_the_application_keep_the_loop_alive_and_ours_do_not)
{
    cvy_timer_t user, ours;
    cvy_timer_init(&user, loop, note, NULL);
    cvy__timer_init_internal(&ours, loop, note, NULL);
    cvy_timer_start(&ours, 10);
    ck_assert_uint_eq(loop->alive, 0);
    cvy_timer_start(&user, 10);
    cvy_timer_start(&user, 20);
    ck_assert_uint_eq(loop->alive, 1);
    cvy__loop_advance_embedded(loop, 20);
    ck_assert_uint_eq(loop->alive, 0);
}
END_TEST

static cvy__work_t deferred;

static void note_deferred(cvy__work_t *work)
{
    (void)work;
    strcat(log_, "w");
}

static void defer(cvy_timer_t *timer)
{
    note(timer);
    cvy__loop_defer_flush(loop, &deferred);
}

START_TEST(each_timer_settles_before_the_next_fires)
{
    cvy_timer_t a, b;
    cvy__work_init(&deferred, note_deferred);
    cvy_timer_init(&a, loop, defer, (char *)"a");
    cvy_timer_init(&b, loop, defer, (char *)"b");
    cvy_timer_start(&a, 10);
    cvy_timer_start(&b, 10);
    cvy__loop_advance_embedded(loop, 10);
    ck_assert_str_eq(log_, "awbw");
}
END_TEST

/* A real clock */

static void stop_loop(cvy_timer_t *timer)
{
    note(timer);
    cvy_loop_stop(timer->loop);
}

START_TEST(a_timer_on_libuv_fires_not_before_its_time_and_once)
{
    cvy_loop_t *real;
    cvy_timer_t a, b;
    ck_assert_int_eq(cvy_loop_new(&real, NULL), 0);
    cvy_timer_init(&a, real, note, (char *)"a");
    cvy_timer_init(&b, real, stop_loop, (char *)"b");
    cvy_timer_start(&a, 5);
    cvy_timer_start(&b, 20);
    uint64_t begin = cvy_loop_now(real);
    ck_assert_int_eq(cvy_loop_run(real), 0);
    ck_assert_str_eq(log_, "ab");
    ck_assert_uint_ge(fired_at - begin, 20);
    cvy_loop_unref(real);
}
END_TEST

/* R9 */
START_TEST(no_more_timers_than_the_budget_fire_in_a_turn)
{
    enum { MANY = 600 };
    static cvy_timer_t timers[MANY];
    cvy_loop_t *real;
    ck_assert_int_eq(cvy_loop_new(&real, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        cvy_timer_init(&timers[i], real, note, NULL);
        cvy_timer_start(&timers[i], 0);
    }
    int turns = 0;
    for (int before; fired < MANY; turns++) {
        before = fired;
        ck_assert_int_ge(cvy_loop_turn(real, CVY_OFF), 0);
        ck_assert_int_le(fired - before, 256);
        ck_assert_int_gt(fired, before);
    }
    ck_assert_int_eq(turns, 3);
    cvy_loop_unref(real);
}
END_TEST

/* R4: neither before it is due nor because of one that was stopped */
START_TEST(the_loop_wakes_only_for_what_is_due)
{
    cvy_loop_t *real;
    cvy_timer_t a, b;
    ck_assert_int_eq(cvy_loop_new(&real, NULL), 0);
    cvy_timer_init(&a, real, stop_loop, NULL);
    cvy_timer_init(&b, real, note, NULL);
    cvy_timer_start(&a, 150);
    cvy_timer_start(&b, 20);
    cvy_timer_stop(&b);
    ck_assert_int_eq(cvy_loop_run(real), 0);
    ck_assert_int_eq(fired, 1);
    ck_assert_uint_le(real->turns, 3); /* the stop's own turns */
    cvy_loop_unref(real);
}
END_TEST

/* R4: also between prepare and the wait */
START_TEST(stopping_the_first_timer_outside_any_callback_arms_the_next_at_once)
{
    cvy_loop_t *real;
    cvy_timer_t a, b;
    ck_assert_int_eq(cvy_loop_new(&real, NULL), 0);
    cvy_timer_init(&a, real, note, NULL);
    cvy_timer_init(&b, real, note, NULL);
    cvy_timer_start(&a, 100000);
    ck_assert_uint_eq(real->armed, a.entry.due);
    cvy_timer_start(&b, 50000);
    ck_assert_uint_eq(real->armed, b.entry.due);
    cvy_timer_stop(&b);
    ck_assert_uint_eq(real->armed, a.entry.due);
    cvy_timer_stop(&a);
    ck_assert_uint_eq(real->armed, UINT64_MAX);
    cvy_loop_unref(real);
}
END_TEST

/* R4: what was kicked for it is at rest again */
START_TEST(a_timer_started_for_now_and_stopped_leaves_the_loop_asleep)
{
    cvy_loop_t *real;
    cvy_timer_t a, b;
    ck_assert_int_eq(cvy_loop_new(&real, NULL), 0);
    cvy_timer_init(&a, real, stop_loop, NULL);
    cvy_timer_init(&b, real, note, NULL);
    cvy_timer_start(&b, 0);
    cvy_timer_stop(&b);
    cvy_timer_start(&a, 100);
    ck_assert_int_eq(cvy_loop_run(real), 0);
    ck_assert_int_eq(fired, 1);
    ck_assert_uint_le(real->turns, 4); /* the stop's own turns */
    cvy_loop_unref(real);
}
END_TEST

static cvy_loop_t *attached;
static cvy_timer_t late;

static void start_late(uv_handle_t *handle)
{
    (void)handle;
    cvy__loop_enter(attached);
    cvy_timer_start(&late, 100000);
    cvy__loop_leave(attached);
}

static void let_it_become_due(uv_check_t *check)
{
    uint64_t until = uv_hrtime() + 25 * 1000000;
    while (uv_hrtime() < until)
        ;
    uv_check_stop(check);
}

/* R5: whoever polls the backend's descriptor by himself waits as long as libuv says. 0: our close callback starts it; 1: it becomes due
 * behind our check. */
START_TEST(between_two_runs_libuv_knows_when_the_next_timer_is_due)
{
    uv_loop_t uv;
    uv_check_t app;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&attached, &uv, NULL), 0);
    uv_check_init(&uv, &app);
    cvy_timer_init(&late, attached, note, NULL);
    if (_i == 0) {
        uv_close((uv_handle_t *)&app, start_late);
        uv_run(&uv, UV_RUN_NOWAIT);
    } else {
        uv_check_start(&app, let_it_become_due);
        cvy_timer_start(&late, 20);
        cvy_loop_wake(attached);
        uv_run(&uv, UV_RUN_ONCE);
    }
    if (cvy_timer_armed(&late)) ck_assert_int_ge(uv_backend_timeout(&uv), 0);
    cvy_timer_stop(&late);
    if (_i == 1) uv_close((uv_handle_t *)&app, NULL);
    ck_assert_int_eq(cvy_loop_detach(attached, CVY_DETACH_IF_IDLE, NULL, NULL), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    cvy_loop_unref(attached);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tc = ADD_TESTS(
        suite, "timer", timers_fire_in_order_of_their_due_time, a_stopped_timer_does_not_fire,
        a_timer_started_again_counts_anew, a_timer_stopped_by_one_of_the_same_millisecond_does_not_fire,
        a_timer_may_start_itself_again, a_timer_that_restarts_itself_for_now_can_not_hold_the_clock,
        any_number_of_timers_may_be_due_at_once, the_longest_delay_never_fires,
        armed_timers_of_the_application_keep_the_loop_alive_and_ours_do_not, each_timer_settles_before_the_next_fires,
        a_timer_on_libuv_fires_not_before_its_time_and_once, no_more_timers_than_the_budget_fire_in_a_turn,
        stopping_the_first_timer_outside_any_callback_arms_the_next_at_once, the_loop_wakes_only_for_what_is_due,
        a_timer_started_for_now_and_stopped_leaves_the_loop_asleep);
    tcase_add_loop_test(tc, between_two_runs_libuv_knows_when_the_next_timer_is_due, 0, 2);
    tcase_add_checked_fixture(tc, open_loop, end_loop);
    return test_run(suite);
}
