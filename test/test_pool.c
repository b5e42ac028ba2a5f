/*
 * Proves lib/buf/pool.c, segment.c and alloc.c: where segments come from and how they find back (contracts B1, B9, B11, M4, M7). The tests
 * with threads are for ThreadSanitizer as much as for themselves.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "drive_buf.h"

static drive_alloc_t memory; /* for tests on one thread only */
static cvy_pool_t *pool;

/* Any thread's: counts blocks. */
static _Atomic size_t blocks;

static void *count_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    (void)align;
    atomic_fetch_add(&blocks, 1);
    return malloc(n);
}

static void count_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    (void)align;
    memset(p, 0xdd, n);
    atomic_fetch_sub(&blocks, 1);
    free(p);
}

static const cvy_alloc_t counting = { count_alloc, count_free, NULL };

static void new_pool(cvy_pool_opts_t opts)
{
    drive_alloc_init(&memory);
    if (!opts.alloc) opts.alloc = &memory.alloc;
    ck_assert_int_eq(cvy_pool_new(&pool, &opts), 0);
}

START_TEST(sizes_below_64_bytes_are_refused)
{
    cvy_pool_t *out = NULL;
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .small_bytes = 63 }), UV_EINVAL);
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .large_bytes = CVY_OFF }), UV_EINVAL);
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .large_bytes = 100 }), UV_EINVAL); /* below small's 1024 */
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .keep_bytes = -2 }), UV_EINVAL);
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .large_bytes = INT64_MAX }), UV_EINVAL);
    ck_assert_ptr_null(out);
    cvy_pool_free(NULL);
}
END_TEST

START_TEST(a_pool_without_memory_is_not_made)
{
    cvy_pool_t *out = NULL;
    drive_alloc_init(&memory);
    memory.fail_at = 1;
    ck_assert_int_eq(cvy_pool_new(&out, &(cvy_pool_opts_t){ .alloc = &memory.alloc }), UV_ENOMEM);
    ck_assert_ptr_null(out);
}
END_TEST

/* M4 */
START_TEST(freed_segments_and_nodes_serve_the_next_taker)
{
    new_pool((cvy_pool_opts_t){ 0 });
    uint64_t asked = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 1) asked = memory.asked;
        cvy_buf_t b = { .pool = pool }, share;
        ck_assert_int_eq(cvy_buf_append(&b, "small", 5), 0);
        ck_assert_int_eq(cvy_buf_reserve(&b, 200000), 0);
        ck_assert_int_eq(cvy_buf_share(&share, &b), 0);
        cvy_buf_fini(&b);
        cvy_buf_fini(&share);
    }
    ck_assert_uint_eq(memory.asked, asked);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
}
END_TEST

START_TEST(a_pool_keeps_no_more_than_its_limit)
{
    new_pool((cvy_pool_opts_t){ .keep_bytes = 10000 });
    cvy_buf_t b = { .pool = pool };
    ck_assert_int_eq(cvy_buf_reserve(&b, 16000), 0);
    ck_assert_int_eq(cvy_buf_reserve(&b, 300000), 0);
    cvy_buf_fini(&b);
    ck_assert_uint_le(memory.live_bytes, 10000 + 10 * sizeof(cvy_segment_t) + sizeof(cvy_pool_t));
    cvy_pool_free(pool);

    new_pool((cvy_pool_opts_t){ .keep_bytes = CVY_OFF });
    uint64_t live = memory.live;
    b = (cvy_buf_t){ .pool = pool };
    ck_assert_int_eq(cvy_buf_append(&b, "a", 1), 0);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(memory.live, live);
    cvy_pool_free(pool);
}
END_TEST

/* B1: memory outlives the pool's owner */
START_TEST(a_buffer_outlives_its_pool)
{
    new_pool((cvy_pool_opts_t){ 0 });
    cvy_buf_t b = { .pool = pool }, front;
    ck_assert_int_eq(cvy_buf_append(&b, "still here", 10), 0);
    ck_assert_int_eq(cvy_buf_split(&front, &b, 5), 0);
    cvy_pool_free(pool);
    ck_assert(cvy_buf_equal(&front, "still", 5));
    ck_assert(cvy_buf_equal(&b, " here", 5));
    ck_assert_uint_gt(memory.live, 0);
    cvy_buf_fini(&front);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(memory.live, 0);
}
END_TEST

START_TEST(a_closed_pool_is_not_adopted)
{
    new_pool((cvy_pool_opts_t){ 0 });
    cvy_buf_t b = { .pool = pool }, zero = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_append(&b, "orphan", 6), 0);
    cvy_pool_free(pool);
    ck_assert_int_eq(cvy_buf_append_buf(&zero, &b), 0);
    ck_assert_ptr_null(zero.pool);
    ck_assert_int_eq(cvy_buf_append(&zero, " more", 5), 0);
    cvy_buf_fini(&zero);
    ck_assert_uint_eq(memory.live, 0);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
}
END_TEST

/* B1: one piece of what outlives its pool has the room that it needs, whatever the pool's small segments held */
START_TEST(a_closed_pool_s_sizes_do_not_count)
{
    static const uint8_t bytes[3000];
    const uint8_t *piece;
    new_pool((cvy_pool_opts_t){ .small_bytes = 8192 });
    cvy_buf_t b = CVY_BUF_INIT, other = { .pool = pool }; /* b takes from the pool of what joins it */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(cvy_buf_append(&other, bytes, sizeof bytes / 2), 0);
        ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    }
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    cvy_pool_free(pool);
    ck_assert_int_eq(cvy_buf_pullup(&b, sizeof bytes, &piece), 0);
    ck_assert_uint_ge(cvy__segment_capacity(b.head->segment), sizeof bytes);
    ck_assert_mem_eq(piece, bytes, sizeof bytes);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(memory.live, 0);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
}
END_TEST

START_TEST(malloc_aligns_as_it_is_asked)
{
    const cvy_alloc_t *a = cvy_alloc_malloc();
    for (size_t align = 1; align <= 4096; align *= 2) {
        void *p = a->alloc(a->arg, 100, align);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % align, 0);
        memset(p, 1, 100);
        a->free(a->arg, p, 100, align);
    }
    ck_assert_ptr_null(a->alloc(a->arg, SIZE_MAX - 10, 64));
    a->free(a->arg, NULL, 0, 64);
}
END_TEST

/* M7 */
START_TEST(the_default_allocator_can_be_set_and_set_back)
{
    ck_assert_ptr_eq(cvy_alloc_default(), cvy_alloc_malloc());
    cvy_alloc_set_default(&counting);
    ck_assert_ptr_eq(cvy_alloc_default(), &counting);
    cvy_alloc_set_default(NULL);
    ck_assert_ptr_eq(cvy_alloc_default(), cvy_alloc_malloc());
}
END_TEST

/* B9 */
START_TEST(counts_are_plain_until_a_buffer_is_handed_over)
{
    new_pool((cvy_pool_opts_t){ 0 });
    cvy_buf_t b = { .pool = pool }, share;
    ck_assert_int_eq(cvy_buf_append(&b, "bytes", 5), 0);
    ck_assert_int_eq(cvy_buf_share(&share, &b), 0);
    ck_assert(!b.head->segment->crossed);
    cvy_buf_hand_over(&share);
    ck_assert(b.head->segment->crossed);
    ck_assert(share.head->node == CVY__NODE_CROSSED);
    ck_assert(!b.head->node);
    cvy_buf_fini(&share);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    /* it came back through the return stack; the next taker finds it, counted plainly */
    uint64_t asked = memory.asked;
    ck_assert_int_eq(cvy_buf_append(&b, "bytes", 5), 0);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    ck_assert(!b.head->segment->crossed);
    ck_assert_int_eq(cvy_buf_share(&share, &b), 0);
    ck_assert(!share.head->node);
    ck_assert_uint_eq(memory.asked, asked);
    cvy_buf_fini(&share);
    cvy_buf_fini(&b);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* B9: two threads could not tell which of them has it */
START_TEST(the_node_of_a_segment_that_crossed_serves_nobody)
{
    new_pool((cvy_pool_opts_t){ 0 });
    cvy_buf_t b = { .pool = pool }, share, again;
    ck_assert_int_eq(cvy_buf_append(&b, "bytes", 5), 0);
    ck_assert_int_eq(cvy_buf_share(&share, &b), 0);
    cvy_buf_fini(&b);
    ck_assert(!share.head->segment->view_used);
    cvy_buf_hand_over(&share);
    ck_assert_int_eq(cvy_buf_share(&again, &share), 0);
    ck_assert_ptr_ne(again.head, &again.head->segment->view);
    cvy_buf_fini(&again);
    cvy_buf_fini(&share);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
}
END_TEST

START_TEST(what_comes_back_from_other_threads_is_limited_too)
{
    new_pool((cvy_pool_opts_t){ .keep_bytes = 5000 });
    cvy_buf_t all[40];
    for (int i = 0; i < 40; i++) {
        cvy_buf_init(&all[i], pool);
        ck_assert_int_eq(cvy_buf_append(&all[i], "x", 1), 0);
        cvy_buf_hand_over(&all[i]);
    }
    for (int i = 0; i < 40; i++)
        cvy_buf_fini(&all[i]);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    ck_assert_uint_le(memory.live, 1 + 4);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
}
END_TEST

/* A queue of handed-over buffers, as the posts of a loop are. */
enum { THREADS = 3, MESSAGES = 3000, RING = 64 };

typedef struct mailbox {
    uv_mutex_t lock;
    uv_cond_t changed;
    cvy_buf_t ring[RING];
    unsigned head, tail;
    bool reply; /* the receiver appends bytes of its own and takes the buffer apart */
    size_t received;
} mailbox_t;

static void post(mailbox_t *m, cvy_buf_t *b)
{
    uv_mutex_lock(&m->lock);
    while (m->tail - m->head == RING)
        uv_cond_wait(&m->changed, &m->lock);
    m->ring[m->tail++ % RING] = *b;
    uv_cond_broadcast(&m->changed);
    uv_mutex_unlock(&m->lock);
}

static cvy_buf_t fetch(mailbox_t *m)
{
    uv_mutex_lock(&m->lock);
    while (m->tail == m->head)
        uv_cond_wait(&m->changed, &m->lock);
    cvy_buf_t b = m->ring[m->head++ % RING];
    uv_cond_broadcast(&m->changed);
    uv_mutex_unlock(&m->lock);
    return b;
}

/* Moves what comes into a buffer of its own pool, works on it, and drops it. */
static void receiver(void *arg)
{
    mailbox_t *m = arg;
    cvy_pool_t *own;
    if (cvy_pool_new(&own, &(cvy_pool_opts_t){ .alloc = &counting })) abort();
    for (int i = 0; i < MESSAGES; i++) {
        cvy_buf_t in = fetch(m), mine, front;
        cvy_buf_init(&mine, own);
        if (cvy_buf_append_buf(&mine, &in)) abort();
        if (cvy_buf_append(&mine, "reply", 5) || cvy_buf_split(&front, &mine, 7)) abort();
        if (cvy_buf_prepend(&front, "head", 4) || cvy_buf_append_buf(&front, &mine)) abort();
        char out[64] = { 0 };
        size_t n = cvy_buf_read(&front, out, sizeof out - 1);
        if (n != 4 + 14 + 5 || memcmp(out, "headshared message", 18) != 0) abort();
        m->received += n;
        cvy_buf_fini(&front);
        cvy_buf_fini(&mine);
    }
    if (cvy_pool_live(own)) abort();
    cvy_pool_free(own);
}

/* B1, B9: one message to all threads; whoever lets go last gives it back, also when the pool has gone by then */
START_TEST(shared_segments_are_released_by_whichever_thread_is_last)
{
    static mailbox_t box[THREADS];
    uv_thread_t threads[THREADS];
    bool pool_goes_first = _i;
    new_pool((cvy_pool_opts_t){ .alloc = &counting, .keep_bytes = 20000 });
    for (int t = 0; t < THREADS; t++) {
        box[t] = (mailbox_t){ .reply = true };
        uv_mutex_init(&box[t].lock);
        uv_cond_init(&box[t].changed);
        uv_thread_create(&threads[t], receiver, &box[t]);
    }
    for (int i = 0; i < MESSAGES; i++) {
        cvy_buf_t b = { .pool = pool }, share;
        if (cvy_buf_append(&b, "shared message", 14)) abort();
        for (int t = 0; t < THREADS; t++) {
            if (cvy_buf_share(&share, &b)) abort();
            cvy_buf_hand_over(&share);
            post(&box[t], &share);
        }
        cvy_buf_fini(&b);
    }
    if (pool_goes_first) cvy_pool_free(pool);
    for (int t = 0; t < THREADS; t++) {
        uv_thread_join(&threads[t]);
        ck_assert_uint_eq(box[t].received, (size_t)MESSAGES * 23);
        uv_mutex_destroy(&box[t].lock);
        uv_cond_destroy(&box[t].changed);
    }
    if (!pool_goes_first) {
        ck_assert_uint_eq(cvy_pool_live(pool), 0);
        cvy_pool_free(pool);
    }
    ck_assert_uint_eq(atomic_load(&blocks), 0);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
}
END_TEST

static void drop_all(void *arg)
{
    cvy_buf_t *all = arg;
    for (int i = 0; i < 100; i++)
        cvy_buf_fini(&all[i]);
}

/* B1: many closings of a pool against many releases */
START_TEST(a_pool_may_go_while_its_segments_come_back)
{
    for (int round = 0; round < 200; round++) {
        static cvy_buf_t all[2][100];
        uv_thread_t threads[2];
        cvy_pool_opts_t opts = { .alloc = &counting, .keep_bytes = round % 2 ? 30000 : CVY_OFF };
        if (cvy_pool_new(&pool, &opts)) abort();
        for (int i = 0; i < 100; i++) {
            cvy_buf_init(&all[0][i], pool);
            if (cvy_buf_append(&all[0][i], "both hold this", 14) || cvy_buf_share(&all[1][i], &all[0][i])) abort();
            cvy_buf_hand_over(&all[0][i]);
            cvy_buf_hand_over(&all[1][i]);
        }
        for (int t = 0; t < 2; t++)
            uv_thread_create(&threads[t], drop_all, all[t]);
        cvy_pool_free(pool);
        for (int t = 0; t < 2; t++)
            uv_thread_join(&threads[t]);
        if (atomic_load(&blocks) != 0) ck_abort_msg("round %d leaks", round);
    }
}
END_TEST

static _Atomic size_t unwrapped;

static void unwrap(void *arg, void *base, size_t n)
{
    (void)arg;
    (void)base;
    atomic_fetch_add(&unwrapped, n);
}

/* B1: a free callback may run on any thread */
START_TEST(foreign_memory_is_freed_by_the_last_thread)
{
    static char bytes[100];
    static cvy_buf_t all[2][100];
    uv_thread_t threads[2];
    new_pool((cvy_pool_opts_t){ .alloc = &counting });
    for (int i = 0; i < 100; i++) {
        cvy_buf_init(&all[0][i], pool);
        if (cvy_buf_wrap(&all[0][i], bytes + i, 1, unwrap, NULL) || cvy_buf_share(&all[1][i], &all[0][i])) abort();
        cvy_buf_hand_over(&all[0][i]);
        cvy_buf_hand_over(&all[1][i]);
    }
    for (int t = 0; t < 2; t++)
        uv_thread_create(&threads[t], drop_all, all[t]);
    for (int t = 0; t < 2; t++)
        uv_thread_join(&threads[t]);
    ck_assert_uint_eq(atomic_load(&unwrapped), 100);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    cvy_pool_free(pool);
    ck_assert_uint_eq(atomic_load(&blocks), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    ADD_TESTS(suite, "pool", sizes_below_64_bytes_are_refused, a_pool_without_memory_is_not_made,
              freed_segments_and_nodes_serve_the_next_taker, a_pool_keeps_no_more_than_its_limit,
              a_buffer_outlives_its_pool, a_closed_pool_is_not_adopted, a_closed_pool_s_sizes_do_not_count,
              malloc_aligns_as_it_is_asked, the_default_allocator_can_be_set_and_set_back,
              counts_are_plain_until_a_buffer_is_handed_over, the_node_of_a_segment_that_crossed_serves_nobody,
              what_comes_back_from_other_threads_is_limited_too);
    TCase *threads = ADD_TESTS(suite, "threads", a_pool_may_go_while_its_segments_come_back,
                               foreign_memory_is_freed_by_the_last_thread);
    tcase_add_loop_test(threads, shared_segments_are_released_by_whichever_thread_is_last, 0, 2);
    return test_run(suite);
}
