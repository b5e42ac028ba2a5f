/* Writes, closes and calls posted from other threads, on real loops and on ids of transports that are gone. */
#include "support.h"

#include <conveyor/adopt.h>
#include <conveyor/cursor.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

enum { THREADS = 4, EACH = 3000 };

static cvy_loop_t *loop;
static cvy_transport_t *near_end; /* what is posted to */
static cvy_transport_id_t id;
static int cause; /* of the near end; 1: open */
static uint64_t received, wanted;
static uint32_t next_number[THREADS];
static cvy_buf_t rest;                    /* of a record that came in pieces */
static atomic_int callbacks, statuses[4]; /* 0, UV_ECANCELED, UV_ESRCH, UV_EPIPE */
static size_t memory_before;
static const cvy_transport_opts_t *near_opts;
static bool check_records;

static void on_end(cvy_transport_t *t, int why, void *arg)
{
    (void)t, (void)arg;
    cause = why;
    if (wanted == UINT64_MAX) cvy_loop_stop(loop);
}

static int init_near(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    near_end = cvy_conveyor_transport(c);
    cvy_transport_on_shutdown_completed(near_end, on_end, NULL);
    return 0;
}

/* Each record: its producer and its number, four bytes each. */
static void check(void)
{
    while (cvy_buf_len(&rest) >= 8) {
        uint32_t producer, number;
        cvy_buf_read_u32(&rest, &producer);
        cvy_buf_read_u32(&rest, &number);
        if (producer >= THREADS || number != next_number[producer]++) abort();
    }
}

static void receive(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)ctx;
    received += cvy_buf_len(in);
    cvy_buf_append_buf(&rest, in);
    if (check_records) check();
    if (received == wanted) cvy_loop_stop(loop);
}

static const cvy_stage_t receiver = { .name = "receiver", .on_inbound_bytes = receive };

static int init_far(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &receiver, NULL, NULL);
}

static void open_pair(void)
{
    cvy_transport_t *first;
    ck_assert_int_eq(cvy_transport_pair(&(cvy_pair_end_t){ .loop = loop, .init = init_near, .opts = near_opts },
                                        &(cvy_pair_end_t){ .loop = loop, .init = init_far }, &first),
                     0);
    ck_assert_ptr_ne(near_end, NULL);
    id = cvy_transport_id(near_end);
}

static void setup(void)
{
    memory_before = cvy__memory_live();
    near_end = NULL;
    near_opts = NULL;
    cause = 1;
    received = wanted = 0;
    check_records = false;
    memset(next_number, 0, sizeof next_number);
    callbacks = 0;
    for (int i = 0; i < 4; i++)
        statuses[i] = 0;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    cvy_buf_init(&rest, NULL);
}

static void teardown(void)
{
    cvy_loop_stop(loop);
    int err = cvy_loop_run(loop);
    ck_assert(!err || err == UV_EALREADY);
    cvy_buf_fini(&rest);
    ck_assert_uint_eq(cvy_pool_live(cvy_loop_pool(loop)), 0);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
    ck_assert_uint_eq(cvy__memory_live(), memory_before);
}

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        cvy_loop_turn(loop, 0);
}

static void on_posted(void *arg, int status)
{
    if (arg && !cvy_loop_in_thread(loop)) abort();
    callbacks++;
    statuses[status == 0 ? 0 : status == UV_ECANCELED ? 1 : status == UV_ESRCH ? 2 : 3]++;
    if (status && status != UV_ECANCELED && status != UV_ESRCH && status != UV_EPIPE) abort();
}

static int post_n(size_t n)
{
    cvy_buf_t b;
    static const char zeros[2000];
    cvy_buf_init(&b, NULL);
    ck_assert_int_eq(cvy_buf_append(&b, zeros, n), 0);
    int err = cvy_transport_post_write(loop, id, &b, on_posted, NULL);
    ck_assert_uint_eq(cvy_buf_len(&b), err ? n : 0); /* moved, or left */
    cvy_buf_fini(&b);
    return err;
}

static atomic_int accepted, refused, stopping;

static void produce(void *arg)
{
    uint32_t producer = (uint32_t)(uintptr_t)arg;
    for (uint32_t i = 0; i < EACH; i++) {
        cvy_buf_t b = CVY_BUF_INIT, mine = CVY_BUF_INIT;
        if (cvy_buf_append_u32(&b, producer) || cvy_buf_append_u32(&b, i)) abort();
        if (cvy_buf_share(&mine, &b)) abort(); /* its segment stays in use here as well */
        int err = cvy_transport_post_write(loop, id, &b, on_posted, (void *)1);
        if (err && (!stopping || (err != UV_ESHUTDOWN && err != UV_ESRCH) || cvy_buf_len(&b) != 8)) abort();
        if (err)
            refused++;
        else
            accepted++;
        uint32_t back;
        if (cvy_buf_read_u32(&mine, &back) || back != producer) abort();
        cvy_buf_fini(&mine);
        cvy_buf_fini(&b);
    }
}

static void start(uv_thread_t *threads, void (*run)(void *))
{
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(uv_thread_create(&threads[i], run, (void *)i), 0);
}

static void join(uv_thread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
}

static const cvy_transport_opts_t unlimited = { .high_bytes = CVY_OFF };

/* R2, R3 */
START_TEST(posted_writes_arrive_in_each_threads_order)
{
    uv_thread_t threads[THREADS];
    near_opts = &unlimited;
    check_records = true;
    stopping = accepted = refused = 0;
    wanted = UINT64_C(8) * THREADS * EACH;
    open_pair();
    start(threads, produce);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    join(threads);
    ck_assert_uint_eq(received, wanted);
    ck_assert_int_eq(callbacks, THREADS * EACH);
    ck_assert_int_eq(statuses[0], THREADS * EACH);
}
END_TEST

static void stop_it(void *arg)
{
    (void)arg;
    while (accepted < THREADS * EACH / 4)
        uv_sleep(0);
    stopping = 1;
    cvy_loop_stop(loop);
}

/* R3: also when the loop stops */
START_TEST(each_post_that_was_taken_is_run_or_cancelled_once_while_the_loop_stops)
{
    uv_thread_t threads[THREADS], stopper;
    near_opts = &unlimited;
    stopping = accepted = refused = 0;
    open_pair();
    start(threads, produce);
    uv_thread_create(&stopper, stop_it, NULL);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    join(threads);
    uv_thread_join(&stopper);
    ck_assert_int_eq(accepted + refused, THREADS * EACH);
    ck_assert_int_eq(callbacks, accepted);
    ck_assert_int_eq(cause, 0);
}
END_TEST

static atomic_int called;

static void on_call(cvy_transport_t *t, void *arg, int status)
{
    (void)arg;
    if (!cvy_loop_in_thread(loop) || (t == NULL) != (status != 0) || (t && t != near_end)) abort();
    called++;
}

static void mix(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++) {
        int err;
        if (i % 3) {
            err = post_n((size_t)(i % 50));
            accepted += !err;
        } else {
            err = cvy_transport_post_call(loop, id, on_call, NULL);
            refused += !err; /* here: the calls that were taken */
        }
        if (err && err != UV_ESRCH && err != UV_ESHUTDOWN) abort();
        if (i == EACH / 2) {
            static const cvy_close_t hows[] = { { CVY_CLOSE_GRACEFUL, UV_EPROTO },
                                                { CVY_CLOSE_NOW, 0 },
                                                { CVY_CLOSE_RESET, 0 } };
            err = cvy_transport_post_close(loop, id, &hows[(uintptr_t)arg % 3]);
            if (err && err != UV_ESRCH) abort();
        }
    }
}

/* R2, R3 */
START_TEST(posts_that_race_with_a_close_hit_it_or_find_nobody)
{
    uv_thread_t threads[THREADS];
    near_opts = &unlimited;
    accepted = refused = called = 0;
    wanted = 0;
    open_pair();
    start(threads, mix);
    for (int i = 0; cause == 1; i++)
        cvy_loop_turn(loop, 10);
    join(threads);
    while (callbacks < accepted || called < refused)
        cvy_loop_turn(loop, 10);
    turns(3);
    ck_assert_int_eq(callbacks, accepted);
    ck_assert_int_eq(called, refused);
    ck_assert_int_eq(statuses[1], 0);
}
END_TEST

/* R3, T5 */
START_TEST(posted_bytes_count_against_the_hard_limit_when_they_are_posted)
{
    near_opts = &(cvy_transport_opts_t){ .high_bytes = 100, .hard_bytes = 1000 };
    open_pair();
    turns(3);
    ck_assert_int_eq(post_n(1000), 0);
    ck_assert_int_eq(post_n(1500), 0); /* at the limit one more of any size */
    ck_assert_int_eq(post_n(1), UV_ENOBUFS);
    cvy_buf_t b = CVY_BUF_INIT;
    cvy_buf_append(&b, "x", 1);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(near_end), &b), UV_ENOBUFS);
    ck_assert_int_eq(cvy_transport_write(near_end, &b), UV_ENOBUFS);
    ck_assert_uint_eq(cvy_buf_len(&b), 1);
    cvy_buf_fini(&b);
    turns(10);
    ck_assert_uint_eq(received, 2500); /* both were let in, and neither is refused at HEAD */
    ck_assert_int_eq(cause, 1);
    ck_assert_int_eq(post_n(1), 0); /* released */
    turns(10);
    ck_assert_uint_eq(received, 2501);
    ck_assert_int_eq(statuses[0], 3);
}
END_TEST

/* R2 */
START_TEST(an_id_that_is_gone_answers_or_completes_with_esrch_and_hits_no_later_transport)
{
    cvy_close_t now = { CVY_CLOSE_NOW, 0 };
    open_pair();
    turns(3);
    ck_assert_int_eq(post_n(10), 0);
    called = 0;
    ck_assert_int_eq(cvy_transport_post_close(loop, id, &now), 0);
    ck_assert_int_eq(post_n(20), 0); /* closing by then */
    ck_assert_int_eq(cvy_transport_post_call(loop, id, on_call, NULL), 0);
    turns(10);
    ck_assert_int_eq(cause, 0);
    ck_assert_int_eq(statuses[0], 1);
    ck_assert_int_eq(statuses[3] + statuses[2], 1); /* closing, or gone: a slow turn ends its posts after 1 ms (R9) */
    ck_assert_int_eq(called, 1);
    cvy_transport_id_t old = id;
    open_pair();
    turns(3);
    ck_assert_uint_ne(id, old);
    id = old;
    ck_assert_int_eq(post_n(30), UV_ESRCH);
    ck_assert_int_eq(cvy_transport_post_close(loop, old, &now), UV_ESRCH);
    ck_assert_int_eq(cvy_transport_post_call(loop, old, on_call, NULL), UV_ESRCH);
    id = 0;
    ck_assert_int_eq(post_n(30), UV_ESRCH);
    id = UINT64_MAX;
    ck_assert_int_eq(post_n(30), UV_ESRCH);
    turns(10);
    ck_assert(!cvy_transport_closing(near_end));
    ck_assert_uint_eq(received, 0); /* now drops the queue */
}
END_TEST

/* R2 */
START_TEST(a_post_whose_transport_went_meanwhile_completes_with_esrch)
{
    cvy_loop_unref(loop);
    ck_assert_int_eq(cvy_loop_new(&loop, &(cvy_loop_opts_t){ .task_budget = 1 }),
                     0); /* the rest waits for another turn */
    open_pair();
    turns(3);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(post_n(10), 0);
    ck_assert_int_eq(cvy_transport_close(near_end, CVY_CLOSE_NOW), 0);
    turns(10);
    ck_assert_int_eq(cause, 0);
    ck_assert_int_eq(callbacks, 5);
    ck_assert_int_ge(statuses[2], 3);
    ck_assert_int_eq(statuses[0], 0);
    ck_assert_uint_eq(received, 0);
}
END_TEST

/* R3, T3 */
START_TEST(a_post_behind_our_end_or_our_close_completes_with_epipe)
{
    open_pair();
    turns(3);
    ck_assert_int_eq(cvy_transport_shutdown_write(near_end), 0);
    ck_assert_int_eq(post_n(10), 0);
    turns(3);
    ck_assert_int_eq(statuses[3], 1);
    ck_assert_uint_eq(received, 0);
}
END_TEST

/* R2 */
START_TEST(a_post_after_stop_answers_eshutdown_and_keeps_nothing)
{
    open_pair();
    cvy_loop_stop(loop);
    cvy_close_t now = { CVY_CLOSE_NOW, 0 };
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    cvy_pool_t *pool = cvy_loop_pool(loop);
    cvy_buf_t b;
    cvy_cursor_t cursor;
    size_t offset = 1;
    cvy_buf_init(&b, pool);
    cvy_buf_append(&b, "kept", 4);
    cvy_cursor_init(&cursor, &b);
    ck_assert_int_eq(cvy_transport_post_write(loop, id, &b, on_posted, NULL), UV_ESHUTDOWN);
    ck_assert(cvy_buf_equal(&b, "kept", 4));
    ck_assert_ptr_eq(b.pool, pool);
    ck_assert_int_eq(cvy_cursor_offset(&cursor, &offset), 0); /* untouched: B8 */
    ck_assert_uint_eq(offset, 0);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(atomic_load(&slot->posted), 0);
    ck_assert_int_eq(cvy_transport_post_close(loop, id, &now), UV_ESHUTDOWN);
    ck_assert_int_eq(cvy_transport_post_call(loop, id, on_call, NULL), UV_ESHUTDOWN);
    ck_assert_int_eq(callbacks, 0);
}
END_TEST

/* R3 */
START_TEST(what_waits_when_the_loop_ends_is_cancelled_once)
{
    open_pair();
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(post_n(10), 0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(statuses[1], 10);
    ck_assert_int_eq(callbacks, 10);
    ck_assert_int_eq(cause, 0);
    ck_assert_int_eq(post_n(10), UV_ESRCH);
}
END_TEST

/* T9 */
START_TEST(a_posted_graceful_close_is_a_shutdown_with_its_cause_behind_what_was_posted)
{
    open_pair();
    turns(3);
    wanted = UINT64_MAX; /* the end stops the loop */
    cvy_close_t how = { CVY_CLOSE_GRACEFUL, UV_EPROTO };
    ck_assert_int_eq(post_n(1234), 0);
    ck_assert_int_eq(cvy_transport_post_close(loop, id, &how), 0);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(cause, UV_EPROTO);
    ck_assert_uint_eq(received, 1234);
}
END_TEST

/* M3, R3 */
START_TEST(a_post_without_memory_leaves_the_buffer)
{
    cvy_close_t now = { CVY_CLOSE_NOW, 0 };
    open_pair();
    cvy__memory_fail(1);
    ck_assert_int_eq(post_n(10), UV_ENOMEM);
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_transport_post_close(loop, id, &now), UV_ENOMEM);
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_transport_post_call(loop, id, on_call, NULL), UV_ENOMEM);
    cvy__memory_fail(0);
    ck_assert_uint_eq(atomic_load(&cvy__slots_at(loop, id)->posted), 0);
    ck_assert_int_eq(callbacks, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport_post");
    TCase *threads = ADD_TESTS(suite, "threads", posted_writes_arrive_in_each_threads_order,
                               each_post_that_was_taken_is_run_or_cancelled_once_while_the_loop_stops,
                               posts_that_race_with_a_close_hit_it_or_find_nobody);
    tcase_add_checked_fixture(threads, setup, teardown);
    TCase *one = ADD_TESTS(suite, "one", posted_bytes_count_against_the_hard_limit_when_they_are_posted,
                           an_id_that_is_gone_answers_or_completes_with_esrch_and_hits_no_later_transport,
                           a_post_whose_transport_went_meanwhile_completes_with_esrch,
                           a_post_behind_our_end_or_our_close_completes_with_epipe,
                           a_post_after_stop_answers_eshutdown_and_keeps_nothing,
                           what_waits_when_the_loop_ends_is_cancelled_once,
                           a_posted_graceful_close_is_a_shutdown_with_its_cause_behind_what_was_posted,
                           a_post_without_memory_leaves_the_buffer);
    tcase_add_checked_fixture(one, setup, teardown);
    return test_run(suite);
}
