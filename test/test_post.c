/* Posted tasks: in order, once, from everywhere, and what happens to them when the loop ends. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

#define PRODUCERS 8
#define EACH      50000

typedef struct numbered {
    cvy_task_t task;
    int producer, number;
} numbered_t;

static cvy_loop_t *loop;
static int next_number[PRODUCERS];
static int ran, cancelled;

static void open_loop(void)
{
    ran = cancelled = 0;
    memset(next_number, 0, sizeof next_number);
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
}

static void end_loop(void)
{
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

static void count_in_order(cvy_task_t *task, int status)
{
    numbered_t *n = CVY__OF(task, numbered_t, task);
    ck_assert_int_eq(status, 0);
    ck_assert(cvy_loop_in_thread(loop));
    ck_assert_int_eq(n->number, next_number[n->producer]++);
    if (++ran == PRODUCERS * EACH) cvy_loop_stop(loop);
}

static void produce(void *arg)
{
    numbered_t *mine = arg;
    for (int i = 0; i < EACH; i++)
        ck_assert_int_eq(cvy_loop_post(loop, &mine[i].task), 0);
}

/* R3 */
START_TEST(posts_of_many_threads_run_once_and_in_each_ones_order)
{
    numbered_t *tasks = calloc((size_t)PRODUCERS * EACH, sizeof *tasks);
    for (int i = 0; i < PRODUCERS * EACH; i++)
        tasks[i] = (numbered_t){ .task.run = count_in_order, .producer = i / EACH, .number = i % EACH };
    uv_thread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        uv_thread_create(&threads[i], produce, &tasks[i * EACH]);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    for (int i = 0; i < PRODUCERS; i++)
        uv_thread_join(&threads[i]);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(next_number[i], EACH);
    free(tasks);
}
END_TEST

static void count(cvy_task_t *task, int status)
{
    (void)task;
    if (status)
        cancelled++;
    else
        ran++;
    ck_assert(!status || status == UV_ECANCELED);
}

/* A driver that only counts how often it is woken. */
static int wakes;

static void count_wake(cvy_loop_t *l)
{
    (void)l;
    wakes++;
}

static void nothing(cvy_loop_t *l)
{
    (void)l;
}

static void nothing_due(cvy_loop_t *l, uint64_t due)
{
    (void)l;
    (void)due;
}

static void nothing_alive(cvy_loop_t *l, bool on)
{
    (void)l;
    (void)on;
}

/* R3 */
START_TEST(a_burst_costs_one_wake_up)
{
    static const cvy__driver_t counting = { nothing, nothing_due, nothing_alive, count_wake };
    cvy_loop_t *embedded;
    static cvy_task_t tasks[1000];
    ck_assert_int_eq(cvy__loop_new_embedded(&embedded, NULL), 0);
    embedded->driver = &counting;
    wakes = 0;
    for (int burst = 1; burst <= 3; burst++) {
        for (int i = 0; i < 1000; i++) {
            tasks[i].run = count;
            ck_assert_int_eq(cvy_loop_post(embedded, &tasks[i]), 0);
        }
        ck_assert_int_eq(wakes, burst);
        while (cvy__posts_waiting(embedded))
            cvy__posts_run(embedded);
    }
    ck_assert_int_eq(ran, 3000);
    embedded->driver = NULL;
    cvy__loop_end_embedded(embedded);
}
END_TEST

/* R9 */
START_TEST(a_turn_runs_at_most_its_budget_and_the_next_one_does_not_wait)
{
    static cvy_task_t tasks[300];
    for (int i = 0; i < 300; i++) {
        tasks[i].run = count;
        ck_assert_int_eq(cvy_loop_post(loop, &tasks[i]), 0);
    }
    int turns = 0;
    for (int before = -1; ran < 300; turns++) {
        before = ran;
        ck_assert_int_eq(cvy_loop_turn(loop, CVY_OFF) >= 0, 1);
        ck_assert_int_le(ran - before, 128);
        ck_assert_int_gt(ran, before);
    }
    ck_assert_int_ge(turns, 3);
}
END_TEST

static void slow(cvy_task_t *task, int status)
{
    uint64_t until = uv_hrtime() + 1100000;
    while (uv_hrtime() < until)
        continue;
    count(task, status);
}

/* R9 */
START_TEST(slow_tasks_end_their_turn_after_a_millisecond)
{
    static cvy_task_t tasks[3];
    for (int i = 0; i < 3; i++) {
        tasks[i].run = slow;
        ck_assert_int_eq(cvy_loop_post(loop, &tasks[i]), 0);
    }
    for (int i = 1; i <= 3; i++) {
        cvy_loop_turn(loop, CVY_OFF);
        ck_assert_int_eq(ran, i);
    }
}
END_TEST

static void post_again(cvy_task_t *task, int status)
{
    count(task, status);
    if (ran < 10)
        ck_assert_int_eq(cvy_loop_post(loop, task), 0);
    else
        cvy_loop_stop(loop);
}

START_TEST(a_task_may_post_itself_again)
{
    cvy_task_t task = { .run = post_again };
    ck_assert_int_eq(cvy_loop_post(loop, &task), 0);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(ran, 10);
}
END_TEST

static cvy_timer_t last;

static void post_for_ever(cvy_task_t *task, int status)
{
    if (!status && !ran) cvy_timer_start(&last, 20); /* when all are at it */
    if (!status && ran++ < 10000000) cvy_loop_post(loop, task);
}

static void fire_for_ever(cvy_timer_t *timer)
{
    cvy_timer_start(timer, 0);
}

static void stop_the_loop(cvy_timer_t *timer)
{
    cvy_loop_stop(timer->loop);
}

/* R9: without budgets the tasks, or the first timer, would have the loop for themselves. */
START_TEST(tasks_and_timers_that_never_end_starve_no_other)
{
    cvy_task_t task = { .run = post_for_ever };
    cvy_timer_t busy;
    cvy_timer_init(&busy, loop, fire_for_ever, NULL);
    cvy_timer_init(&last, loop, stop_the_loop, NULL);
    cvy_timer_start(&busy, 0);
    ck_assert_int_eq(cvy_loop_post(loop, &task), 0);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_gt(ran, 0);
    ck_assert_int_lt(ran, 10000000);
    cvy_timer_stop(&busy);
}
END_TEST

/* R2 */
START_TEST(a_post_after_stop_is_refused_and_never_runs)
{
    cvy_task_t before = { .run = count }, after = { .run = count };
    ck_assert_int_eq(cvy_loop_post(loop, &before), 0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_post(loop, &after), UV_ESHUTDOWN);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(cvy_loop_post(loop, &after), UV_ESHUTDOWN);
    cvy_loop_wake(loop);
    ck_assert_int_eq(ran, 0);
    ck_assert_int_eq(cancelled, 1);
}
END_TEST

/* R3 */
START_TEST(what_waits_is_cancelled_once_when_the_loop_ends)
{
    static cvy_task_t tasks[500];
    for (int i = 0; i < 500; i++) {
        tasks[i].run = count;
        ck_assert_int_eq(cvy_loop_post_after(loop, &tasks[i], i % 2 ? (uint64_t)i * 100000 : 0), 0);
    }
    cvy_loop_turn(loop, 0);
    cvy_loop_turn(loop, 0);
    cvy_loop_turn(loop, 0);
    int done = ran;
    ck_assert_int_gt(done, 0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_turn(loop, 0), UV_ESHUTDOWN);
    ck_assert_int_eq(ran, done);
    ck_assert_int_eq(cancelled, 500 - done);
}
END_TEST

/* R3 */
START_TEST(a_delayed_post_runs_not_before_its_time_and_in_order)
{
    cvy_loop_t *embedded;
    ck_assert_int_eq(cvy__loop_new_embedded(&embedded, NULL), 0);
    cvy_task_t late = { .run = count }, early = { .run = count };
    ck_assert_int_eq(cvy_loop_post_after(embedded, &late, 100), 0);
    ck_assert_int_eq(cvy_loop_post_after(embedded, &early, 50), 0);
    cvy__loop_advance_embedded(embedded, 49);
    ck_assert_int_eq(ran, 0);
    ck_assert_uint_eq(embedded->alive, 2);
    cvy__loop_advance_embedded(embedded, 1);
    ck_assert_int_eq(ran, 1);
    cvy__loop_advance_embedded(embedded, 50);
    ck_assert_int_eq(ran, 2);
    ck_assert_uint_eq(embedded->alive, 0);
    cvy__loop_end_embedded(embedded);
}
END_TEST

static char order[8];

static void note_order(cvy_task_t *task, int status)
{
    ck_assert_int_eq(status, UV_ECANCELED);
    strcat(order, task->arg);
}

/* R3: first in, first out, also where they are cancelled */
START_TEST(delayed_posts_are_cancelled_in_order)
{
    static cvy_task_t tasks[4];
    static char names[4][2] = { "a", "b", "c", "d" };
    order[0] = '\0';
    for (int i = 0; i < 4; i++) {
        tasks[i] = (cvy_task_t){ .run = note_order, .arg = names[i] };
        ck_assert_int_eq(cvy_loop_post_after(loop, &tasks[i], i < 3 ? 100000 : 200000), 0);
    }
    cvy_loop_turn(loop, 0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_turn(loop, 0), UV_ESHUTDOWN);
    ck_assert_str_eq(order, "abcd");
}
END_TEST

/* R7: on the application's loop a queued or delayed post is enough to keep uv_run going */
START_TEST(a_queued_post_keeps_an_attached_loop_alive)
{
    uv_loop_t uv;
    cvy_loop_t *attached;
    ck_assert_int_eq(uv_loop_init(&uv), 0);
    ck_assert_int_eq(cvy_loop_attach(&attached, &uv, NULL), 0);
    cvy_task_t now = { .run = count }, later = { .run = count };
    ck_assert_int_eq(uv_loop_alive(&uv), 0);
    ck_assert_int_eq(cvy_loop_post(attached, &now), 0);
    ck_assert_int_eq(cvy_loop_post_after(attached, &later, 5), 0);
    ck_assert_int_eq(uv_run(&uv, UV_RUN_DEFAULT), 0);
    ck_assert_int_eq(ran, 2);
    ck_assert_int_eq(cvy_loop_detach(attached, CVY_DETACH_IF_IDLE, NULL, NULL), 0);
    ck_assert_int_eq(uv_run(&uv, UV_RUN_DEFAULT), 0);
    cvy_loop_unref(attached);
    ck_assert_int_eq(uv_loop_close(&uv), 0);
}
END_TEST

static void stop_here(cvy_task_t *task, int status)
{
    count(task, status);
    cvy_loop_stop(task->arg);
}

/* R3 */
START_TEST(a_task_that_stops_the_loop_is_the_last_to_run)
{
    static cvy_task_t tasks[20];
    for (int i = 0; i < 20; i++) {
        tasks[i] = (cvy_task_t){ .run = i == 4 ? stop_here : count, .arg = loop };
        ck_assert_int_eq(cvy_loop_post(loop, &tasks[i]), 0);
    }
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(ran, 5);
    ck_assert_int_eq(cancelled, 15);
}
END_TEST

static atomic_int waking, may_return, woken;

static void wake_slowly(cvy_loop_t *l)
{
    (void)l;
    atomic_store(&waking, 1);
    while (!atomic_load(&may_return))
        uv_sleep(0);
    atomic_store(&woken, 1);
}

static void wake_once(void *arg)
{
    cvy_loop_wake(arg);
}

static void let_it_return_when_deaf(void *arg)
{
    cvy_loop_t *l = arg;
    while (!atomic_load(&l->posts.deaf))
        uv_sleep(0);
    atomic_store(&may_return, 1);
}

/* R2: the loop's uv_async_t is not closed while a thread is about to send */
START_TEST(the_end_waits_for_a_wake_up_that_is_under_way_and_lets_no_other_begin)
{
    static const cvy__driver_t slow = { nothing, nothing_due, nothing_alive, wake_slowly };
    cvy_loop_t *embedded;
    uv_thread_t waker, releaser;
    ck_assert_int_eq(cvy__loop_new_embedded(&embedded, NULL), 0);
    embedded->driver = &slow;
    uv_thread_create(&waker, wake_once, embedded);
    while (!atomic_load(&waking))
        uv_sleep(0);
    uv_thread_create(&releaser, let_it_return_when_deaf, embedded);
    cvy__posts_deafen(embedded);
    ck_assert_int_eq(atomic_load(&woken), 1);
    atomic_store(&waking, 0);
    cvy_loop_wake(embedded);
    ck_assert_int_eq(atomic_load(&waking), 0);
    uv_thread_join(&waker);
    uv_thread_join(&releaser);
    embedded->driver = NULL;
    cvy__loop_end_embedded(embedded);
}
END_TEST

static atomic_int answered, refused;

static void count_atomically(cvy_task_t *task, int status)
{
    (void)status;
    atomic_fetch_add(&answered, 1);
    free(task);
}

static void post_until_refused(void *arg)
{
    cvy_loop_t *l = arg;
    int err = 0;
    while (!err) {
        cvy_task_t *task = calloc(1, sizeof *task);
        task->run = count_atomically;
        atomic_fetch_add(&refused, 1);
        err = cvy_loop_post_after(l, task, (uintptr_t)task % 3 == 0 ? 1 : 0);
        if (err) free(task);
    }
    ck_assert_int_eq(err, UV_ESHUTDOWN);
    cvy_loop_wake(l);
    cvy_loop_unref(l);
}

/* R2, R3: each post was refused, or ran or was cancelled, whatever stop overtook */
START_TEST(stop_races_with_posts_and_nothing_is_lost)
{
    for (int round = 0; round < 100; round++) {
        cvy_loop_t *l;
        uv_thread_t threads[3];
        atomic_store(&answered, 0);
        atomic_store(&refused, 0);
        ck_assert_int_eq(cvy_loop_new(&l, NULL), 0);
        ck_assert_int_eq(cvy_loop_start(l), 0);
        for (int i = 0; i < 3; i++)
            uv_thread_create(&threads[i], post_until_refused, cvy_loop_ref(l));
        while (atomic_load(&answered) < round)
            uv_sleep(0);
        cvy_loop_stop(l);
        ck_assert_int_eq(cvy_loop_join(l), 0);
        cvy_loop_unref(l);
        for (int i = 0; i < 3; i++)
            uv_thread_join(&threads[i]);
        ck_assert_int_eq(atomic_load(&answered), atomic_load(&refused) - 3);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("post");
    TCase *tc = ADD_TESTS(suite, "posts", posts_of_many_threads_run_once_and_in_each_ones_order,
                          a_burst_costs_one_wake_up, a_turn_runs_at_most_its_budget_and_the_next_one_does_not_wait,
                          slow_tasks_end_their_turn_after_a_millisecond,
                          tasks_and_timers_that_never_end_starve_no_other, a_task_may_post_itself_again,
                          a_post_after_stop_is_refused_and_never_runs, what_waits_is_cancelled_once_when_the_loop_ends,
                          a_delayed_post_runs_not_before_its_time_and_in_order, delayed_posts_are_cancelled_in_order,
                          a_queued_post_keeps_an_attached_loop_alive, a_task_that_stops_the_loop_is_the_last_to_run,
                          the_end_waits_for_a_wake_up_that_is_under_way_and_lets_no_other_begin,
                          stop_races_with_posts_and_nothing_is_lost);
    tcase_add_checked_fixture(tc, open_loop, end_loop);
    return test_run(suite);
}
