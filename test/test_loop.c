/* The loop: attached and our own, what is deferred, how it sleeps and how it ends. */
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

static uv_loop_t uv;
static cvy_loop_t *loop;
static int mark; /* uv->data */
static char log_[256];
static int detached;

static void attach(void)
{
    log_[0] = '\0';
    detached = 0;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    uv.data = &mark;
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
}

static void on_detached(cvy_loop_t *l, void *arg)
{
    ck_assert_ptr_eq(l, loop);
    ck_assert_ptr_eq(arg, &detached);
    detached++;
}

static void detach(void)
{
    int err = cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, &detached);
    ck_assert(err == 0 || err == UV_EALREADY);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(detached, 1);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    ck_assert_ptr_eq(uv.data, &mark);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

/* Something open, whose closing takes a turn. */
typedef struct thing {
    cvy__resident_t resident;
    cvy__work_t gone;
    cvy_loop_t *loop;
    int closes;
} thing_t;

static void thing_gone(cvy__work_t *work)
{
    thing_t *thing = CVY__OF(work, thing_t, gone);
    cvy__resident_remove(thing->loop, &thing->resident);
    strcat(log_, "gone ");
}

static void thing_close(cvy__resident_t *resident)
{
    thing_t *thing = CVY__OF(resident, thing_t, resident);
    thing->closes++;
    cvy__loop_defer(thing->loop, &thing->gone);
}

static void thing_open(thing_t *thing, cvy_loop_t *on)
{
    *thing = (thing_t){ .loop = on, .resident.close = thing_close };
    cvy__work_init(&thing->gone, thing_gone);
    cvy__resident_add(on, &thing->resident);
}

/* R5 */
START_TEST(after_detach_the_applications_loop_can_be_closed)
{
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, on_detached, &detached), 0);
    ck_assert_int_eq(detached, 0); /* never inside the call */
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, &detached), UV_EALREADY);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(detached, 1);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, &detached), UV_EALREADY);
    cvy_task_t task = { .run = NULL };
    ck_assert_int_eq(cvy_loop_post(loop, &task), UV_ESHUTDOWN);
    cvy_loop_stop(loop);
    cvy_loop_wake(loop);
}
END_TEST

/* R5 */
START_TEST(detach_refuses_while_something_is_open_and_closes_it_when_told)
{
    thing_t thing;
    thing_open(&thing, loop);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, on_detached, &detached), UV_EBUSY);
    ck_assert(!cvy__loop_ending(loop));
    ck_assert_int_eq(uv_run(&uv, UV_RUN_NOWAIT), 1); /* it keeps the loop alive */
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, &detached), 0);
    ck_assert(cvy__loop_ending(loop));
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(thing.closes, 1);
    ck_assert_str_eq(log_, "gone ");
}
END_TEST

/* R5 */
START_TEST(stopping_an_attached_loop_detaches_it)
{
    thing_t thing;
    thing_open(&thing, loop);
    cvy_loop_stop(loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_int_eq(thing.closes, 1);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
    ck_assert_int_eq(uv_loop_init(&uv), 0); /* for the fixture */
    uv.data = &mark;
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, on_detached, &detached), UV_EALREADY);
    detached = 1;
}
END_TEST

static void start_timer(uv_check_t *check)
{
    cvy_timer_start(check->data, 1);
}

static void never(cvy_timer_t *timer)
{
    (void)timer;
    ck_abort();
}

/* Also one that a callback of the application's starts while our handles close. */
START_TEST(a_loop_that_ends_leaves_no_timer_armed)
{
    static uv_check_t check; /* it closes in the fixture's last run */
    cvy_timer_t timer;
    cvy_timer_init(&timer, loop, never, NULL);
    uv_check_init(&uv, &check);
    check.data = &timer;
    uv_check_start(&check, start_timer);
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, on_detached, &detached), 0);
    while (!detached)
        uv_run(&uv, UV_RUN_ONCE);
    ck_assert(!cvy_timer_armed(&timer));
    uv_close((uv_handle_t *)&check, NULL);
}
END_TEST

/* R5 */
START_TEST(calls_for_loops_of_our_own_refuse_an_attached_one)
{
    ck_assert_int_eq(cvy_loop_run(loop), UV_EINVAL);
    ck_assert_int_eq(cvy_loop_turn(loop, 0), UV_EINVAL);
    ck_assert_int_eq(cvy_loop_start(loop), UV_EINVAL);
    ck_assert_int_eq(cvy_loop_join(loop), UV_EINVAL);
}
END_TEST

/* R7: nothing of ours keeps the application's loop alive */
START_TEST(an_idle_attached_loop_lets_uv_run_return)
{
    ck_assert_int_eq(uv_loop_alive(&uv), 0);
    ck_assert_int_eq(uv_run(&uv, UV_RUN_DEFAULT), 0);
}
END_TEST

static void on_app_timer(uv_timer_t *timer)
{
    (void)timer;
}

static uint64_t turns_while_idle(uint64_t ms)
{
    uv_timer_t timer;
    uv_timer_init(&uv, &timer);
    uv_timer_start(&timer, on_app_timer, ms, 0);
    uv_run(&uv, UV_RUN_NOWAIT); /* whatever is left over */
    uv_run(&uv, UV_RUN_NOWAIT);
    uint64_t before = loop->turns;
    uv_run(&uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&uv, UV_RUN_NOWAIT);
    return loop->turns - before;
}

/* R4 */
START_TEST(an_idle_loop_never_wakes_up)
{
    cvy_timer_t distant;
    cvy_timer_init(&distant, loop, NULL, NULL);
    cvy_timer_start(&distant, 100000);
    cvy_timer_stop(&distant);
    ck_assert_uint_le(turns_while_idle(150), 3);
}
END_TEST

/* R7: in whatever order the handles were started */

static cvy__work_t work;
static uint64_t deferred_in, left_in;
static uv_timer_t app_timer;
static uv_prepare_t app_prepare;
static uv_check_t app_check;
static bool deferred_once;

static void left(cvy__work_t *w)
{
    (void)w;
    strcat(log_, "left ");
    left_in = loop->turns;
    uv_stop(&uv);
}

static void write_something(void)
{
    if (deferred_once) return;
    deferred_once = true;
    deferred_in = loop->turns;
    cvy__loop_defer_flush(loop, &work);
}

static void timer_writes(uv_timer_t *h)
{
    (void)h;
    write_something();
}

static void prepare_writes(uv_prepare_t *h)
{
    (void)h;
    write_something();
}

/* Started before ours it runs after ours: the last moment before the wait. */
static void prepare_looks(uv_prepare_t *h)
{
    (void)h;
    if (deferred_once) ck_assert_str_eq(log_, "left ");
}

static void check_writes(uv_check_t *h)
{
    (void)h;
    write_something();
}

enum { LIMIT_MS = 20000 }; /* what ends a wait that nothing of ours does */

static void stop_on_timeout(uv_timer_t *h)
{
    (void)h;
    uv_stop(&uv);
}

/* It may come before the first wait, on a busy machine: then once more. */
static void until_written(uv_timer_t *h)
{
    if (!deferred_once) uv_timer_start(h, until_written, 2, 0);
}

static void start_app_handle(int kind)
{
    uv_timer_init(&uv, &app_timer);
    uv_prepare_init(&uv, &app_prepare);
    uv_check_init(&uv, &app_check);
    if (kind == 0) uv_timer_start(&app_timer, timer_writes, 1, 0);
    if (kind == 1) uv_prepare_start(&app_prepare, prepare_writes);
    if (kind == 2) uv_check_start(&app_check, check_writes);
}

static void expect_that_it_leaves(int kind)
{
    uv_timer_t limit, once;
    uv_timer_init(&uv, &limit);
    uv_timer_start(&limit, stop_on_timeout, LIMIT_MS, 0);
    uv_timer_init(&uv, &once);
    if (kind == 2)
        uv_timer_start(&once, until_written, 2, 0); /* so that check runs at all; nothing else ends the wait */
    uint64_t begin = uv_now(&uv);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_str_eq(log_, "left ");
    ck_assert_uint_lt(uv_now(&uv) - begin, LIMIT_MS);
    /* Before the next poll, or right after it where the application's prepare ran last. */
    ck_assert_uint_le(left_in, deferred_in + (kind == 1));
    uv_close((uv_handle_t *)&app_prepare, NULL);
    uv_close((uv_handle_t *)&app_check, NULL);
    uv_close((uv_handle_t *)&app_timer, NULL);
    uv_close((uv_handle_t *)&limit, NULL);
    uv_close((uv_handle_t *)&once, NULL);
    uv_run(&uv, UV_RUN_NOWAIT);
    ck_assert_uint_le(turns_while_idle(60), 3); /* and nothing spins afterwards */
}

/* R7 */
START_TEST(what_the_application_writes_in_its_own_callbacks_leaves_before_the_loop_waits)
{
    deferred_once = false;
    cvy__work_init(&work, left);
    start_app_handle(_i);
    expect_that_it_leaves(_i);
}
END_TEST

/* R7 */
START_TEST(so_it_does_when_the_applications_handles_were_started_first)
{
    /* The fixture's loop goes; ours is attached after the application's handles. */
    detach();
    log_[0] = '\0';
    detached = 0;
    deferred_once = false;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    uv.data = &mark;
    cvy__work_init(&work, left);
    start_app_handle(_i);
    if (_i != 1) uv_prepare_start(&app_prepare, prepare_looks);
    ck_assert_int_eq(cvy_loop_attach(&loop, &uv, NULL), 0);
    expect_that_it_leaves(_i);
}
END_TEST

static void timer_defers(cvy_timer_t *timer)
{
    deferred_in = timer->loop->turns;
    cvy__loop_defer_flush(timer->loop, &work);
}

/* R7 */
START_TEST(what_our_own_timers_write_leaves_in_their_turn)
{
    cvy_timer_t timer;
    cvy__work_init(&work, left);
    cvy_timer_init(&timer, loop, timer_defers, NULL);
    cvy_timer_start(&timer, 3);
    uv_run(&uv, UV_RUN_DEFAULT);
    ck_assert_str_eq(log_, "left ");
    ck_assert_uint_eq(left_in, deferred_in); /* check counts the turn when it has settled */
    ck_assert_uint_eq(loop->turns, left_in + 1);
}
END_TEST

static void close_writes(uv_handle_t *handle)
{
    (void)handle;
    cvy__loop_enter(loop);
    deferred_in = loop->turns;
    cvy__loop_defer_flush(loop, &work);
    cvy__loop_leave(loop);
}

/* A close callback is the last thing in a turn: there may be no next one */
START_TEST(what_our_own_close_callbacks_write_leaves_in_their_turn)
{
    uv_timer_t closing;
    cvy__work_init(&work, left);
    uv_timer_init(&uv, &closing);
    uv_close((uv_handle_t *)&closing, close_writes);
    uv_run(&uv, UV_RUN_NOWAIT);
    ck_assert_str_eq(log_, "left ");
}
END_TEST

/* Deferred work, without any system */

typedef struct item {
    cvy__work_t work;
    cvy_loop_t *loop;
    const char *name;
    struct item *then;
    bool then_flush;
} item_t;

static void item_run(cvy__work_t *w)
{
    item_t *item = CVY__OF(w, item_t, work);
    ck_assert_uint_eq(item->loop->root, 1);
    strcat(log_, item->name);
    if (!item->then) return;
    cvy__loop_enter(item->loop); /* a nested dispatch does not run what is deferred in it */
    if (item->then_flush)
        cvy__loop_defer_flush(item->loop, &item->then->work);
    else
        cvy__loop_defer(item->loop, &item->then->work);
    cvy__loop_leave(item->loop);
    strcat(log_, ".");
}

static item_t make_item(cvy_loop_t *on, const char *name)
{
    return (item_t){ .loop = on, .name = name };
}

static cvy_loop_t *embedded(const cvy_loop_opts_t *opts)
{
    cvy_loop_t *out;
    ck_assert_int_eq(cvy__loop_new_embedded(&out, opts), 0);
    return out;
}

#define INIT(item) cvy__work_init(&(item).work, item_run)

/* R10 */
START_TEST(the_outermost_leave_runs_deferred_work_and_settle_the_flushes)
{
    cvy_loop_t *l = embedded(NULL);
    item_t a = make_item(l, "a"), b = make_item(l, "b"), f = make_item(l, "f");
    INIT(a);
    INIT(b);
    INIT(f);
    a.then = &b;
    cvy__loop_enter(l);
    cvy__loop_enter(l);
    cvy__loop_defer(l, &a.work);
    cvy__loop_defer(l, &a.work);
    cvy__loop_defer_flush(l, &f.work);
    cvy__loop_leave(l);
    ck_assert_str_eq(log_, "");
    cvy__loop_leave(l);
    ck_assert_str_eq(log_, "a.b");
    cvy__loop_settle(l);
    ck_assert_str_eq(log_, "a.bf");
    ck_assert_int_eq(l->flush_count, 0);
    cvy__loop_end_embedded(l);
}
END_TEST

/* T7 */
START_TEST(flushes_leave_early_when_as_many_as_the_limit_wait)
{
    cvy_loop_t *l = embedded(&(cvy_loop_opts_t){ .flush_limit = 3 });
    item_t f[3];
    cvy__loop_enter(l);
    for (int i = 0; i < 3; i++) {
        f[i] = make_item(l, "f");
        INIT(f[i]);
        cvy__loop_defer_flush(l, &f[i].work);
    }
    ck_assert_str_eq(log_, "");
    cvy__loop_leave(l);
    ck_assert_str_eq(log_, "fff");
    ck_assert_int_eq(l->flush_count, 0);
    cvy__loop_end_embedded(l);
}
END_TEST

/* R10 */
START_TEST(undefer_takes_out_of_either_list_and_is_idempotent)
{
    cvy_loop_t *l = embedded(NULL);
    item_t a = make_item(l, "a"), f = make_item(l, "f");
    INIT(a);
    INIT(f);
    cvy__loop_defer(l, &a.work);
    cvy__loop_defer_flush(l, &f.work);
    for (int i = 0; i < 2; i++) {
        cvy__loop_undefer(&a.work);
        cvy__loop_undefer(&f.work);
    }
    cvy__loop_settle(l);
    ck_assert_str_eq(log_, "");
    cvy__loop_end_embedded(l);
}
END_TEST

static int turns_run;

static void next_turn_again(cvy__work_t *w)
{
    if (++turns_run < 5) cvy__loop_defer_turn(loop, w);
}

START_TEST(work_put_off_to_the_next_turn_runs_once_a_turn_and_the_loop_does_not_wait)
{
    item_t a = make_item(loop, "");
    turns_run = 0;
    cvy__work_init(&a.work, next_turn_again);
    cvy__loop_defer_turn(loop, &a.work);
    for (int turn = 0, before = 0; turns_run < 5; turn++, before = turns_run) {
        ck_assert_int_lt(turn, 5);
        ck_assert_int_eq(uv_run(&uv, UV_RUN_ONCE) >= 0, 1);
        ck_assert_int_gt(turns_run, before);
        ck_assert_int_le(turns_run, before + 2); /* prepare and check both end something */
    }
    ck_assert_uint_le(turns_while_idle(50), 3);
}
END_TEST

static void forever(cvy__work_t *w)
{
    item_t *item = CVY__OF(w, item_t, work);
    cvy__loop_defer(item->loop, w);
}

/* R10 */
START_TEST(work_that_defers_itself_for_ever_does_not_stop_the_loop)
{
    item_t a = make_item(loop, "");
    cvy__work_init(&a.work, forever);
    cvy__loop_defer(loop, &a.work);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(uv_run(&uv, UV_RUN_ONCE), 1);
    cvy__loop_undefer(&a.work);
    ck_assert_uint_le(turns_while_idle(50), 3);
}
END_TEST

/* Loops of our own */

static cvy_loop_t *own(void)
{
    cvy_loop_t *out;
    ck_assert_int_eq(cvy_loop_new(&out, NULL), 0);
    return out;
}

/* TD3 */
START_TEST(stop_before_run_makes_run_return_at_once)
{
    cvy_loop_t *l = own();
    cvy_loop_stop(l);
    cvy_loop_stop(l);
    ck_assert_int_eq(cvy_loop_run(l), 0);
    ck_assert_int_eq(cvy_loop_run(l), UV_EALREADY);
    ck_assert_int_eq(cvy_loop_turn(l, 0), UV_ESHUTDOWN);
    cvy_loop_stop(l);
    cvy_loop_unref(l);
}
END_TEST

START_TEST(a_loop_that_never_ran_can_be_freed)
{
    cvy_loop_unref(own());
    cvy_loop_unref(NULL);
}
END_TEST

static void stop_it(cvy_timer_t *timer)
{
    cvy_loop_stop(timer->loop);
}

START_TEST(run_closes_what_is_open_when_it_is_stopped)
{
    cvy_loop_t *l = own();
    thing_t a, b;
    thing_open(&a, l);
    thing_open(&b, l);
    cvy_timer_t timer, never;
    cvy_timer_init(&timer, l, stop_it, NULL);
    cvy_timer_init(&never, l, stop_it, NULL);
    cvy_timer_start(&timer, 1);
    cvy_timer_start(&never, 100000);
    ck_assert_int_eq(cvy_loop_run(l), 0);
    ck_assert_str_eq(log_, "gone gone ");
    ck_assert_int_eq(a.closes, 1);
    ck_assert(!cvy_timer_armed(&never));
    cvy_timer_start(&never, 5); /* harmless */
    ck_assert(!cvy_timer_armed(&never));
    cvy_loop_unref(l);
}
END_TEST

static atomic_int in_thread;

static void look(cvy_task_t *task, int status)
{
    ck_assert_int_eq(status, 0);
    atomic_store(&in_thread, 1 + cvy_loop_in_thread(task->arg));
    ck_assert_int_eq(cvy_loop_run(task->arg), UV_EALREADY);
    ck_assert_int_eq(cvy_loop_turn(task->arg, 0), UV_EALREADY);
    ck_assert_int_eq(cvy_loop_join(task->arg), UV_EINVAL);
    cvy_loop_stop(task->arg);
}

/* R1 */
START_TEST(a_started_loop_runs_on_its_own_thread)
{
    cvy_loop_t *l = own();
    ck_assert(cvy_loop_in_thread(l));
    ck_assert_int_eq(cvy_loop_join(l), UV_EINVAL);
    ck_assert_int_eq(cvy_loop_start(l), 0);
    ck_assert(!cvy_loop_in_thread(l));
    ck_assert_int_eq(cvy_loop_start(l), UV_EALREADY);
    ck_assert_int_eq(cvy_loop_run(l), UV_EALREADY);
    cvy_task_t task = { .run = look, .arg = l };
    ck_assert_int_eq(cvy_loop_post(l, &task), 0);
    ck_assert_int_eq(cvy_loop_join(l), 0);
    ck_assert_int_eq(cvy_loop_join(l), 0);
    ck_assert_int_eq(atomic_load(&in_thread), 2);
    cvy_loop_unref(l);
}
END_TEST

START_TEST(the_last_unref_stops_and_joins_a_started_loop)
{
    cvy_loop_t *l = own();
    ck_assert_int_eq(cvy_loop_start(l), 0);
    cvy_loop_unref(l);
    ck_assert_uint_ne(cvy__memory_live(), 0); /* the fixture's own */
}
END_TEST

static void stop_from_afar(void *arg)
{
    cvy_loop_stop(arg);
}

/* TD3: 1000 times */
START_TEST(stop_races_with_run_and_always_wins)
{
    for (int i = 0; i < 1000; i++) {
        cvy_loop_t *l = own();
        uv_thread_t stopper;
        if (i % 2) ck_assert_int_eq(cvy_loop_start(l), 0);
        uv_thread_create(&stopper, stop_from_afar, l);
        ck_assert_int_eq(i % 2 ? cvy_loop_join(l) : cvy_loop_run(l), 0);
        uv_thread_join(&stopper);
        cvy_loop_unref(l);
    }
}
END_TEST

/* MA5 */
START_TEST(a_turn_waits_no_longer_than_its_timeout)
{
    cvy_loop_t *l = own();
    cvy_timer_t timer;
    cvy_timer_init(&timer, l, stop_it, NULL);
    ck_assert_int_eq(cvy_loop_turn(l, 0), 0);
    cvy_timer_start(&timer, 20000); /* what would end a longer wait */
    uint64_t begin = uv_hrtime();
    ck_assert_int_eq(cvy_loop_turn(l, 0), 1);
    ck_assert_int_eq(cvy_loop_turn(l, 20), 1);
    ck_assert_uint_ge(uv_hrtime() - begin, 18 * 1000000); /* whole milliseconds, of two clocks */
    ck_assert(cvy_timer_armed(&timer));
    cvy_timer_stop(&timer);
    ck_assert_int_eq(cvy_loop_turn(l, 20), 0);
    cvy_timer_start(&timer, 5);
    ck_assert_int_eq(cvy_loop_turn(l, CVY_OFF), UV_ESHUTDOWN);
    cvy_loop_unref(l);
}
END_TEST

static void wake_from_afar(void *arg)
{
    cvy_loop_wake(arg);
}

START_TEST(wake_ends_the_wait_of_a_turn)
{
    cvy_loop_t *l = own();
    uv_thread_t waker;
    uv_thread_create(&waker, wake_from_afar, l);
    ck_assert_int_eq(cvy_loop_turn(l, CVY_OFF), 0);
    uv_thread_join(&waker);
    cvy_loop_unref(l);
}
END_TEST

START_TEST(what_the_application_left_on_our_loop_is_closed_with_it)
{
    cvy_loop_t *l = own();
    uv_timer_t left_over;
    uv_timer_init(cvy_loop_uv(l), &left_over);
    uv_timer_start(&left_over, on_app_timer, 100000, 0);
    cvy_loop_stop(l);
    ck_assert_int_eq(cvy_loop_run(l), 0);
    ck_assert(uv_is_closing((uv_handle_t *)&left_over));
    cvy_loop_unref(l);
}
END_TEST

static int turns_elsewhere;

static void call_from_another_thread(void *arg)
{
    turns_elsewhere = cvy_loop_detach(arg, CVY_DETACH_IF_IDLE, NULL, NULL);
}

/* R1: an assertion, or where they are off a code. Aborts where check can fork. */
START_TEST(a_call_from_another_thread_asserts)
{
    uv_thread_t other;
    uv_thread_create(&other, call_from_another_thread, loop);
    uv_thread_join(&other);
    ck_assert_int_eq(turns_elsewhere, UV_EPERM);
}
END_TEST

/* With assertions on, the test has to end by SIGABRT, which only a child process can show. */
static void add_thread_test(TCase *tc)
{
#ifdef NDEBUG
    tcase_add_test(tc, a_call_from_another_thread_asserts);
#elif !defined(_WIN32)
    const char *fork = getenv("CK_FORK");
    if (!fork || strcmp(fork, "no")) tcase_add_test_raise_signal(tc, a_call_from_another_thread_asserts, SIGABRT);
#else
    (void)tc;
    (void)a_call_from_another_thread_asserts;
#endif
}

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tc = ADD_TESTS(
        suite, "attached", after_detach_the_applications_loop_can_be_closed,
        detach_refuses_while_something_is_open_and_closes_it_when_told, stopping_an_attached_loop_detaches_it,
        a_loop_that_ends_leaves_no_timer_armed, calls_for_loops_of_our_own_refuse_an_attached_one,
        an_idle_attached_loop_lets_uv_run_return, an_idle_loop_never_wakes_up,
        what_our_own_timers_write_leaves_in_their_turn, what_our_own_close_callbacks_write_leaves_in_their_turn,
        the_outermost_leave_runs_deferred_work_and_settle_the_flushes,
        flushes_leave_early_when_as_many_as_the_limit_wait, undefer_takes_out_of_either_list_and_is_idempotent,
        work_put_off_to_the_next_turn_runs_once_a_turn_and_the_loop_does_not_wait,
        work_that_defers_itself_for_ever_does_not_stop_the_loop);
    tcase_add_loop_test(tc, what_the_application_writes_in_its_own_callbacks_leaves_before_the_loop_waits, 0, 3);
    tcase_add_loop_test(tc, so_it_does_when_the_applications_handles_were_started_first, 0, 3);
    tcase_add_checked_fixture(tc, attach, detach);
    tc = ADD_TESTS(suite, "own", stop_before_run_makes_run_return_at_once, a_loop_that_never_ran_can_be_freed,
                   run_closes_what_is_open_when_it_is_stopped, a_started_loop_runs_on_its_own_thread,
                   the_last_unref_stops_and_joins_a_started_loop, stop_races_with_run_and_always_wins,
                   a_turn_waits_no_longer_than_its_timeout, wake_ends_the_wait_of_a_turn,
                   what_the_application_left_on_our_loop_is_closed_with_it);
    tcase_add_checked_fixture(tc, attach, detach);
    tc = test_case("threads");
    tcase_add_checked_fixture(tc, attach, detach);
    add_thread_test(tc);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
