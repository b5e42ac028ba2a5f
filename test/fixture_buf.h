/* What the tests of the buffer share: a pool over a checking allocator, three buffers, and nothing left of them afterwards (B11). */
#ifndef CVY_TEST_FIXTURE_BUF_H
#define CVY_TEST_FIXTURE_BUF_H

#include "support.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "buf/queue.h"
#include "drive_buf.h"

static drive_alloc_t memory;
static cvy_pool_t *pool;
static cvy_buf_t b, other, third;

static void setup(void)
{
    drive_alloc_init(&memory);
    cvy_alloc_set_default(&memory.alloc);
    ck_assert_int_eq(cvy_pool_new(&pool, &(cvy_pool_opts_t){ .alloc = &memory.alloc }), 0);
    cvy_buf_init(&b, pool);
    cvy_buf_init(&other, pool);
    cvy_buf_init(&third, pool);
}

static void teardown(void)
{
    cvy_buf_fini(&b);
    cvy_buf_fini(&other);
    cvy_buf_fini(&third);
    if (cvy_pool_live(pool)) cvy__segments_dump(stderr);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
    cvy_alloc_set_default(NULL);
}

static inline void put(cvy_buf_t *to, const char *text)
{
    ck_assert_int_eq(cvy_buf_append(to, text, strlen(text)), 0);
    drive_check_shape(to);
}

static inline void holds(const cvy_buf_t *of, const char *text)
{
    drive_check_shape(of);
    ck_assert_uint_eq(cvy_buf_len(of), strlen(text));
    ck_assert(cvy_buf_equal(of, text, strlen(text)));
}

/* ck_assert without the write to check's log that each of those makes: for loops. */
#define must(condition)                                   \
    do {                                                  \
        if (!(condition)) ck_abort_msg("%s", #condition); \
    } while (0)

/* n bytes of a pattern that tells their places. */
static inline void put_pattern(cvy_buf_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must(cvy_buf_append_u8(to, (uint8_t)(i * 7 + i / 256)) == 0);
}

static inline const void *first_byte(const cvy_buf_t *of)
{
    uv_buf_t view;
    ck_assert_uint_eq(cvy_buf_views(of, &view, 1), 1);
    return view.base;
}

/* From here on every allocation fails, until memory_returns. */
static inline void memory_ends(void)
{
    memory.fail_one_in = 1;
}

static inline void memory_returns(void)
{
    memory.fail_one_in = 0;
}

static inline void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
}

#endif
