/*
 * M3, setting up: whichever allocation fails, the call answers UV_ENOMEM, nothing of it stays, and with memory the same call on the same
 * loop succeeds. Each test is one call, or a few that belong together.
 */
#include <stdatomic.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "failing.h"
#include "net.h"
#include "support.h"
#include "wire.h"

static cvy_loop_t *new_loop(void)
{
    cvy_loop_t *loop;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    return loop;
}

/* Ends what is open on it. */
static void end_loop(cvy_loop_t *loop)
{
    cvy_loop_stop(loop);
    cvy_loop_run(loop);
    cvy_loop_unref(loop);
}

/* Loops and what runs on them */

/* M3 */
START_TEST(a_new_loop)
{
    FAILING_EACH(f)
    {
        cvy_loop_t *loop = NULL;
        failing_arm(&f);
        int err = cvy_loop_new(&loop, NULL);
        failing_setup(&f, err);
        if (err) ck_assert_ptr_null(loop);
        if (err) loop = new_loop();
        end_loop(loop);
        if (!f.failed && f.source == FAILING_OURS) ck_assert_int_ge(f.failures[FAILING_OURS], 2);
    }
}
END_TEST

static void attach_and_detach(uv_loop_t *uv, failing_t *f)
{
    cvy_loop_t *loop = NULL;
    failing_arm(f);
    int err = cvy_loop_attach(&loop, uv, NULL);
    failing_setup(f, err);
    if (err) {
        ck_assert_ptr_null(loop);
        ck_assert_int_eq(cvy_loop_attach(&loop, uv, NULL), 0);
    }
    failing_arm(f); /* leaving needs no memory */
    ck_assert_int_eq(cvy_loop_detach(loop, CVY_DETACH_CLOSE, NULL, NULL), 0);
    uv_run(uv, UV_RUN_DEFAULT);
    ck_assert(!failing_happened(f));
    bool failed = f->failed;
    failing_over(f);
    f->failed = failed;
    cvy_loop_unref(loop);
}

/* M3 */
START_TEST(a_loop_attached_and_detached)
{
    FAILING_EACH(f)
    {
        uv_loop_t uv;
        ck_assert_int_eq(uv_loop_init(&uv), 0);
        attach_and_detach(&uv, &f);
        ck_assert_int_eq(uv_loop_close(&uv), 0);
    }
}
END_TEST

typedef struct errand {
    cvy_task_t task;
    uv_sem_t done;
    int status, calls;
} errand_t;

static void on_errand(cvy_task_t *task, int status)
{
    errand_t *errand = task->arg;
    errand->status = status;
    errand->calls++;
    uv_sem_post(&errand->done);
}

static void post_here(void *arg)
{
    errand_t *errand = arg;
    errand->task.run = on_errand;
    errand->task.arg = errand;
    ck_assert_int_eq(cvy_loop_post(errand->task.loop, &errand->task), 0);
}

/* M3: Starting, posting from this thread and another, and ending take no memory of ours. */
START_TEST(a_started_loop_runs_tasks_posted_from_any_thread_without_memory)
{
    FAILING_EACH(f)
    {
        errand_t mine = { .calls = 0 }, others = { .calls = 0 };
        uv_thread_t thread;
        cvy_loop_t *loop = new_loop();
        uv_sem_init(&mine.done, 0);
        uv_sem_init(&others.done, 0);
        mine.task.loop = others.task.loop = loop;
        failing_arm(&f);
        ck_assert_int_eq(cvy_loop_start(loop), 0);
        post_here(&mine);
        ck_assert_int_eq(uv_thread_create(&thread, post_here, &others), 0);
        uv_thread_join(&thread);
        uv_sem_wait(&mine.done);
        uv_sem_wait(&others.done);
        ck_assert(!failing_over(&f));
        cvy_loop_unref(loop);
        ck_assert_int_eq(mine.calls + others.calls, 2);
        ck_assert_int_eq(mine.status | others.status, 0);
        uv_sem_destroy(&mine.done);
        uv_sem_destroy(&others.done);
    }
}
END_TEST

static int fired;
static void count_timer(cvy_timer_t *timer)
{
    (void)timer;
    fired++;
}

/* M3, M6: the wheel is made of the timers themselves. */
START_TEST(any_number_of_timers_takes_no_memory)
{
    enum { TIMERS = 10000 };
    static cvy_timer_t timers[TIMERS];
    FAILING_EACH(f)
    {
        cvy_loop_t *loop = new_loop();
        fired = 0;
        failing_arm(&f);
        for (int i = 0; i < TIMERS; i++) {
            cvy_timer_init(&timers[i], loop, count_timer, NULL);
            cvy_timer_start(&timers[i], i % 3 ? (uint64_t)i * 1000 * 1000 : 0);
        }
        while (fired < TIMERS / 3)
            cvy_loop_turn(loop, 10);
        for (int i = 0; i < TIMERS; i++)
            cvy_timer_stop(&timers[i]);
        ck_assert(!failing_over(&f));
        end_loop(loop);
    }
}
END_TEST

static void count_ready(cvy_watch_t *watch, int status, void *arg)
{
    (void)watch;
    ck_assert_int_eq(status, 0);
    ++*(int *)arg;
}

static int watch_both(cvy_watch_t **out, cvy_loop_t *loop, cvy_socket_t fd, int *ready)
{
    int err = cvy_watch_new(out, loop, fd);
    if (err) return err;
    err = cvy_watch_read(*out, count_ready, ready);
    return err ? err : cvy_watch_write(*out, count_ready, ready);
}

/* M3 */
START_TEST(a_watch)
{
    FAILING_EACH(f)
    {
        cvy_loop_t *loop = new_loop();
        cvy_socket_t fds[2];
        cvy_watch_t *watch = NULL;
        int ready = 0;
        wire_tcp_fds(fds);
        failing_arm(&f);
        int err = watch_both(&watch, loop, fds[0], &ready);
        failing_setup(&f, err);
        if (err) ck_assert_int_eq(watch_both(&watch, loop, fds[0], &ready), 0);
        while (!ready)
            cvy_loop_turn(loop, 10);
        cvy_watch_free(watch);
        end_loop(loop);
        wire_drop_fd(WIRE_TCP, fds[0]);
        wire_drop_fd(WIRE_TCP, fds[1]);
    }
}
END_TEST

static atomic_int entered;
static int enter(cvy_loop_t *loop, int id, void *params)
{
    (void)loop;
    (void)id;
    (void)params;
    atomic_fetch_add(&entered, 1);
    return 0;
}

static const cvy_group_opts_t three = { .loops = 3, .entry = enter };

/* M3 */
START_TEST(a_group_of_three_loops)
{
    FAILING_EACH(f)
    {
        cvy_group_t *group = NULL;
        failing_arm(&f);
        int err = cvy_group_new(&group, &three);
        failing_setup(&f, err);
        if (err) {
            ck_assert_ptr_null(group);
            ck_assert_int_eq(cvy_group_new(&group, &three), 0);
        }
        cvy_group_free(group);
        if (!f.failed && f.source == FAILING_OURS) ck_assert_int_ge(f.failures[FAILING_OURS], 7);
    }
}
END_TEST

/* M3: Once there is a group, running it takes no memory. */
START_TEST(a_group_started_with_entries)
{
    FAILING_EACH(f)
    {
        cvy_group_t *group;
        ck_assert_int_eq(cvy_group_new(&group, &three), 0);
        atomic_store(&entered, 0);
        failing_arm(&f);
        ck_assert_int_eq(cvy_group_start(group), 0);
        while (atomic_load(&entered) < 3)
            uv_sleep(0);
        cvy_group_stop(group);
        ck_assert_int_eq(cvy_group_join(group), 0);
        ck_assert(!failing_over(&f));
        cvy_group_free(group);
    }
}
END_TEST

/* M3 */
START_TEST(a_pool)
{
    FAILING_EACH(f)
    {
        cvy_pool_t *pool = NULL;
        failing_arm(&f);
        int err = cvy_pool_new(&pool, NULL);
        failing_setup(&f, err);
        if (err) ck_assert_int_eq(cvy_pool_new(&pool, NULL), 0);
        cvy_pool_free(pool);
    }
}
END_TEST

/* Transports that are not accepted or dialed */

/* M3 */
START_TEST(an_embedded_transport_with_its_input_and_script)
{
    static const int script[] = { 3, UV_EAGAIN };
    FAILING_EACH(f)
    {
        cvy_embedded_t *e = NULL;
        failing_arm(&f);
        int err = cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = net_echo });
        failing_setup(&f, err);
        if (err) ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = net_echo }), 0);
        cvy_embedded_free(e);
    }
    FAILING_EACH(f)
    {
        cvy_embedded_t *e;
        ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = net_echo }), 0);
        failing_arm(&f);
        int scripted = cvy_embedded_script(e, script, 2);
        int fed = cvy_embedded_feed(e, "hello", 5);
        failing_over(&f);
        ck_assert(!scripted || (scripted == UV_ENOMEM && f.failed));
        ck_assert(!fed || (fed == UV_ENOMEM && f.failed));
        if (!scripted) cvy_embedded_unblock(e);
        bool whole = cvy_buf_equal(cvy_embedded_sent(e), "hello", 5);
        ck_assert(whole || f.failed);
        if (fed) { /* the same bytes again */
            ck_assert_int_eq(cvy_embedded_feed(e, "hello", 5), 0);
            cvy_embedded_unblock(e);
            ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "hello", 5));
        } else if (!whole) { /* the read of them failed */
            ck_assert(cvy_embedded_closed(e, NULL));
        }
        cvy_embedded_free(e);
    }
}
END_TEST

/* The second side of a pair fails on its own loop, which the first sees: as a reset where there never was one, as an end where its
 * conveyor could not be built. Everything else is the call's own failure. */
static void opened_or_not(failing_t *f, wire_t *x, int err)
{
    if (err || x->kind != WIRE_PAIR) {
        failing_setup(f, err);
    } else if (failing_over(f)) {
        WIRE_UNTIL(x, wire_gone(x));
        ck_assert_int_eq(x->a.cause, x->b.opened ? 0 : UV_ECONNRESET);
        if (x->b.opened) ck_assert_int_eq(x->b.cause, UV_ENOMEM);
    }
}

/* Adopting a socket or a pipe, a watched descriptor, a pair on one loop. */
static void open_one(wire_kind_t kind)
{
    FAILING_EACH(f)
    {
        wire_t x, again;
        cvy_loop_t *loop = new_loop();
        wire_init(&x, kind);
        wire_init(&again, kind);
        x.a.r.flags = x.b.r.flags = again.a.r.flags = again.b.r.flags = RECORD_SILENT;
        failing_arm(&f);
        int err = wire_open(&x, loop);
        opened_or_not(&f, &x, err);
        wire_fini(&x);
        ck_assert_int_eq(wire_open(&again, loop), 0);
        wire_text(&again.a, "hello");
        WIRE_UNTIL(&again, again.b.r.bytes == 5);
        wire_fini(&again);
        end_loop(loop);
    }
}

/* M3 */
START_TEST(a_transport_of_each_kind)
{
    static const wire_kind_t kinds[] = { WIRE_TCP, WIRE_PIPE, WIRE_PAIR, WIRE_WATCHED };
    open_one(kinds[_i]);
}
END_TEST

/* M3: The first chunk of slots has 64: the 33rd pair needs another. */
START_TEST(more_transports_than_a_chunk_of_slots)
{
    enum { PAIRS = 34 };
    FAILING_EACH(f)
    {
        wire_t pairs[PAIRS];
        cvy_loop_t *loop = new_loop();
        for (int i = 0; i < PAIRS; i++) {
            wire_init(&pairs[i], WIRE_PAIR);
            pairs[i].a.r.flags = pairs[i].b.r.flags = RECORD_SILENT;
            if (i == 32) failing_arm(&f);
            int err = wire_open(&pairs[i], loop);
            if (i == 32)
                opened_or_not(&f, &pairs[i], err);
            else
                ck_assert_int_eq(err, 0);
        }
        for (int i = 0; i < PAIRS; i++)
            wire_fini(&pairs[i]);
        end_loop(loop);
    }
}
END_TEST

int main(void)
{
    failing_install();
    Suite *suite = suite_create("failing memory, setting up");
    ADD_TESTS(suite, "loops", a_new_loop, a_loop_attached_and_detached,
              a_started_loop_runs_tasks_posted_from_any_thread_without_memory, any_number_of_timers_takes_no_memory,
              a_watch, a_group_of_three_loops, a_group_started_with_entries, a_pool);
    TCase *transports = ADD_TESTS(suite, "transports", an_embedded_transport_with_its_input_and_script,
                                  more_transports_than_a_chunk_of_slots);
    tcase_add_loop_test(transports, a_transport_of_each_kind, 0, 4);
    return test_run(suite);
}
