/* Groups: every loop entered once, all joined, one result. And SIGPIPE, which loops keep from their threads. */
#include "support.h"

#include <conveyor/group.h>
#include <conveyor/timer.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "base/memory.h"

#define MOST 16

static atomic_int entered[MOST], entries;

static void open_group(void)
{
    for (int i = 0; i < MOST; i++)
        atomic_store(&entered[i], 0);
    atomic_store(&entries, 0);
}

static void end_group(void)
{
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

static cvy_group_t *group_of(int loops, int (*entry)(cvy_loop_t *, int, void *), void *params)
{
    cvy_group_t *group = NULL;
    ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = loops, .entry = entry, .params = params }), 0);
    return group;
}

static int enter(cvy_loop_t *loop, int id, void *params)
{
    ck_assert(cvy_loop_in_thread(loop));
    ck_assert_int_eq(*(int *)params, 42);
    atomic_fetch_add(&entered[id], 1);
    atomic_fetch_add(&entries, 1);
    return 0;
}

static int enter_and_stop_when_all_are_in(cvy_loop_t *loop, int id, void *params)
{
    cvy_group_t **group = params;
    (void)loop;
    atomic_fetch_add(&entered[id], 1);
    if (atomic_fetch_add(&entries, 1) + 1 == cvy_group_size(*group)) cvy_group_stop(*group);
    return 0;
}

/* TD1 */
START_TEST(every_loop_is_entered_once_with_its_number)
{
    cvy_group_t *group;
    group = group_of(4, enter_and_stop_when_all_are_in, &group);
    ck_assert_int_eq(cvy_group_run(group), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(atomic_load(&entered[i]), 1);
    ck_assert_int_eq(cvy_group_run(group), UV_EALREADY);
    ck_assert_int_eq(cvy_group_start(group), UV_EALREADY);
    ck_assert_int_eq(cvy_group_join(group), 0);
    cvy_group_free(group);
}
END_TEST

START_TEST(a_started_group_runs_beside_its_caller)
{
    int params = 42;
    cvy_group_t *group = group_of(3, enter, &params);
    ck_assert_int_eq(cvy_group_start(group), 0);
    while (atomic_load(&entries) < 3)
        uv_sleep(0);
    cvy_group_stop(group);
    cvy_group_stop(group);
    ck_assert_int_eq(cvy_group_join(group), 0);
    cvy_group_free(group);
}
END_TEST

static int second_fails(cvy_loop_t *loop, int id, void *params)
{
    (void)loop;
    (void)params;
    return id == 1 ? UV_EADDRINUSE : 0;
}

/* TD1: and nobody waits for ever */
START_TEST(an_entry_that_fails_stops_the_group_and_is_its_result)
{
    cvy_group_t *group = group_of(4, second_fails, NULL);
    ck_assert_int_eq(cvy_group_run(group), UV_EADDRINUSE);
    ck_assert_int_eq(cvy_group_join(group), UV_EADDRINUSE);
    cvy_group_free(group);
    group = group_of(2, second_fails, NULL);
    ck_assert_int_eq(cvy_group_start(group), 0);
    ck_assert_int_eq(cvy_group_join(group), UV_EADDRINUSE);
    cvy_group_free(group);
}
END_TEST

/* TD3 */
START_TEST(a_group_stopped_before_it_ran_ends_at_once)
{
    cvy_group_t *group = group_of(3, NULL, NULL);
    cvy_group_stop(group);
    ck_assert_int_eq(cvy_group_run(group), 0);
    cvy_group_free(group);
}
END_TEST

START_TEST(a_group_that_never_ran_can_be_freed)
{
    cvy_group_free(group_of(CVY_GROUP_SINGLE, NULL, NULL));
    cvy_group_free(NULL);
}
END_TEST

START_TEST(free_stops_and_joins_a_running_group)
{
    cvy_group_t *group = group_of(3, NULL, NULL);
    ck_assert_int_eq(cvy_group_start(group), 0);
    cvy_group_free(group);
}
END_TEST

static cvy_group_t *ping_group;
static int hops;

static void hop(cvy_task_t *task, int status)
{
    ck_assert_int_eq(status, 0);
    if (++hops == 1000)
        cvy_group_stop(ping_group);
    else
        ck_assert_int_eq(cvy_loop_post(cvy_group_loop(ping_group, hops % 2), task), 0);
}

START_TEST(a_task_hops_between_two_loops)
{
    cvy_task_t task = { .run = hop };
    hops = 0;
    ping_group = group_of(2, NULL, NULL);
    ck_assert_int_eq(cvy_loop_post(cvy_group_loop(ping_group, 0), &task), 0);
    ck_assert_int_eq(cvy_group_run(ping_group), 0);
    ck_assert_int_eq(hops, 1000);
    cvy_group_free(ping_group);
}
END_TEST

/* TD1 */
START_TEST(sizes_can_be_given_in_words)
{
    int all = (int)uv_available_parallelism();
    cvy_group_t *group = group_of(CVY_GROUP_ALL, NULL, NULL);
    ck_assert_int_eq(cvy_group_size(group), all);
    ck_assert_ptr_null(cvy_group_loop(group, all));
    ck_assert_ptr_null(cvy_group_loop(group, -1));
    cvy_group_free(group);
    group = group_of(CVY_GROUP_AUTO, NULL, NULL);
    ck_assert_int_eq(cvy_group_size(group), all / 2 - 1 > 1 ? all / 2 - 1 : 1);
    cvy_group_free(group);
    ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = -7 }), UV_EINVAL);
}
END_TEST

/* SIGPIPE, where it exists */
#ifdef SIGPIPE

static int raise_here(cvy_loop_t *loop, int id, void *params)
{
    (void)id;
    (void)params;
    raise(SIGPIPE);
    cvy_loop_stop(loop);
    return 0;
}

/* R6 */
START_TEST(a_loops_own_thread_blocks_sigpipe_and_the_process_keeps_its_default)
{
    signal(SIGPIPE, SIG_DFL);
    cvy_group_t *group = group_of(1, raise_here, NULL);
    ck_assert_int_eq(cvy_group_start(group), 0);
    ck_assert_int_eq(cvy_group_join(group), 0);
    cvy_group_free(group);
    struct sigaction now;
    ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
    ck_assert(now.sa_handler == SIG_DFL);
}
END_TEST

static void own_handler(int signum)
{
    (void)signum;
}

/* R6 */
START_TEST(attaching_ignores_sigpipe_only_where_the_default_was_left)
{
    static void (*const before[])(int) = { SIG_DFL, own_handler, SIG_DFL };
    static void (*const after[])(int) = { SIG_IGN, own_handler, SIG_DFL };
    for (int i = 0; i < 3; i++) {
        uv_loop_t uv;
        cvy_loop_t *loop;
        struct sigaction now;
        cvy_loop_opts_t opts = { .ignore_sigpipe = i == 2 ? CVY_OFF : 0 };
        signal(SIGPIPE, before[i]);
        ck_assert_int_eq(uv_loop_init(&uv), 0);
        ck_assert_int_eq(cvy_loop_attach(&loop, &uv, &opts), 0);
        ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
        ck_assert(now.sa_handler == after[i]);
        ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL), 0);
        cvy_loop_unref(loop);
        uv_run(&uv, UV_RUN_DEFAULT);
        ck_assert_int_eq(uv_loop_close(&uv), 0);
    }
}
END_TEST

/* R6: on the thread of cvy_loop_run and cvy_loop_turn, which is the application's */
START_TEST(running_a_loop_ignores_sigpipe_unless_an_option_says_no)
{
    for (int i = 0; i < 4; i++) {
        cvy_loop_t *loop;
        struct sigaction now;
        bool turns = i & 1, leaves = i & 2;
        cvy_loop_opts_t opts = { .ignore_sigpipe = leaves ? CVY_OFF : 0 };
        signal(SIGPIPE, SIG_DFL);
        ck_assert_int_eq(cvy_loop_new(&loop, &opts), 0);
        if (!turns) cvy_loop_stop(loop);
        ck_assert_int_eq(turns ? cvy_loop_turn(loop, 0) : cvy_loop_run(loop), 0);
        ck_assert_int_eq(sigaction(SIGPIPE, NULL, &now), 0);
        ck_assert(now.sa_handler == (leaves ? SIG_DFL : SIG_IGN));
        cvy_loop_unref(loop);
    }
}
END_TEST

static void add_signal_tests(Suite *suite)
{
    ADD_TESTS(suite, "sigpipe", a_loops_own_thread_blocks_sigpipe_and_the_process_keeps_its_default,
              attaching_ignores_sigpipe_only_where_the_default_was_left,
              running_a_loop_ignores_sigpipe_unless_an_option_says_no);
}

#else

static void add_signal_tests(Suite *suite)
{
    (void)suite;
}

#endif

int main(void)
{
    Suite *suite = suite_create("group");
    TCase *tc =
        ADD_TESTS(suite, "group", every_loop_is_entered_once_with_its_number, a_started_group_runs_beside_its_caller,
                  an_entry_that_fails_stops_the_group_and_is_its_result, a_group_stopped_before_it_ran_ends_at_once,
                  a_group_that_never_ran_can_be_freed, free_stops_and_joins_a_running_group,
                  a_task_hops_between_two_loops, sizes_can_be_given_in_words);
    tcase_add_checked_fixture(tc, open_group, end_group);
    add_signal_tests(suite);
    return test_run(suite);
}
