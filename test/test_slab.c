/* Proves lib/buf/slab.c: what was read is lent, and the slab starts over once nobody holds it (contracts B4, B5, M4, M5). */
#include "support.h"

#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "buf/slab.h"
#include "drive_buf.h"

static drive_alloc_t memory;
static cvy_pool_t *pool;
static cvy__slab_t slab;
static cvy_buf_t lent, kept;

static void setup(void)
{
    drive_alloc_init(&memory);
    ck_assert_int_eq(cvy_pool_new(&pool, &(cvy_pool_opts_t){ .alloc = &memory.alloc }), 0);
    slab = (cvy__slab_t){ .pool = pool };
    cvy_buf_init(&lent, pool);
    cvy_buf_init(&kept, pool);
}

static void teardown(void)
{
    cvy_buf_fini(&lent);
    cvy_buf_fini(&kept);
    cvy__slab_fini(&slab);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    cvy_pool_free(pool);
    ck_assert_uint_eq(memory.live, 0);
}

/* As a loop does: room, bytes into it, a view of them. */
static char *read_text(cvy_buf_t *out, const char *text)
{
    char *base = NULL;
    size_t len = 0;
    ck_assert_int_eq(cvy__slab_room(&slab, &base, &len), 0);
    ck_assert_uint_ge(len, 4096);
    memcpy(base, text, strlen(text));
    ck_assert_int_eq(cvy__slab_lend(&slab, out, strlen(text)), 0);
    ck_assert(cvy_buf_equal(out, text, strlen(text)));
    return base;
}

/* M5 */
START_TEST(an_unused_slab_holds_nothing)
{
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    cvy__slab_settle(&slab);
    ck_assert_ptr_null(slab.segment);
}
END_TEST

/* M4 */
START_TEST(the_slab_starts_over_when_nobody_kept_it)
{
    char *place = read_text(&lent, "first");
    cvy_buf_fini(&lent);
    cvy__slab_settle(&slab);
    ck_assert_uint_eq(slab.offset, 0);
    uint64_t asked = memory.asked;
    for (int i = 0; i < 100; i++) {
        ck_assert_ptr_eq(read_text(&lent, "again"), place);
        cvy_buf_fini(&lent);
    }
    ck_assert_uint_eq(memory.asked, asked);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
}
END_TEST

START_TEST(reading_goes_on_behind_what_is_kept_and_joins_it)
{
    char *place = read_text(&lent, "one ");
    ck_assert_int_eq(cvy_buf_append_buf(&kept, &lent), 0);
    cvy__slab_settle(&slab);
    ck_assert_ptr_eq(read_text(&lent, "two"), place + 4);
    ck_assert_int_eq(cvy_buf_append_buf(&kept, &lent), 0);
    ck_assert(cvy_buf_equal(&kept, "one two", 7));
    ck_assert_uint_eq(cvy_buf_view_count(&kept), 1);
}
END_TEST

START_TEST(a_full_slab_makes_way_for_a_new_one)
{
    char *base;
    size_t len;
    ck_assert_int_eq(cvy__slab_room(&slab, &base, &len), 0);
    ck_assert_uint_eq(len, 131072);
    memset(base, 'x', len);
    ck_assert_int_eq(cvy__slab_lend(&slab, &kept, len - 4000), 0);
    cvy_segment_t *first = slab.segment;
    read_text(&lent, "elsewhere");
    ck_assert_ptr_ne(slab.segment, first);
    ck_assert_uint_eq(cvy_pool_live(pool), 2);
    cvy_buf_fini(&kept);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
}
END_TEST

/* B4: only the slab writes behind what it lent */
START_TEST(nobody_appends_in_place_to_a_lent_view)
{
    read_text(&lent, "lent");
    ck_assert_uint_eq(cvy_buf_writable(&lent), 0);
    ck_assert_int_eq(cvy_buf_append(&lent, "MINE", 4), 0);
    read_text(&kept, "next");
    ck_assert(cvy_buf_equal(&lent, "lentMINE", 8));
}
END_TEST

/* B4: the first view has the reserve in front; a later one what it consumed, and not the view before it */
START_TEST(a_lent_view_owns_no_byte_of_another)
{
    char *place = read_text(&kept, "aaaa");
    read_text(&lent, "bbbb");
    ck_assert_int_eq(cvy_buf_prepend(&lent, "XX", 2), 0);
    ck_assert(cvy_buf_equal(&kept, "aaaa", 4));
    ck_assert_uint_eq(cvy_buf_view_count(&lent), 2);
    ck_assert_int_eq(cvy_buf_prepend(&kept, "head", 4), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&kept), 1);
    ck_assert_mem_eq(place - 4, "headaaaa", 8);
}
END_TEST

/* B3: without memory for a node the bytes stay where they were read, and can be lent later */
START_TEST(a_lend_without_memory_loses_nothing)
{
    cvy_buf_t out = { .len = 77 };
    char *base;
    size_t len;
    read_text(&kept, "holds the embedded view");
    ck_assert_int_eq(cvy__slab_room(&slab, &base, &len), 0);
    memcpy(base, "late", 4);
    memory.fail_one_in = 1;
    ck_assert_int_eq(cvy__slab_lend(&slab, &out, 4), UV_ENOMEM);
    ck_assert_uint_eq(out.len, 77);
    memory.fail_one_in = 0;
    ck_assert_int_eq(cvy__slab_lend(&slab, &lent, 4), 0);
    ck_assert(cvy_buf_equal(&lent, "late", 4));
}
END_TEST

/* M3 */
START_TEST(a_first_read_without_memory_says_so)
{
    char *base;
    size_t len;
    memory.fail_one_in = 1;
    ck_assert_int_eq(cvy__slab_room(&slab, &base, &len), UV_ENOMEM);
    ck_assert_ptr_null(slab.segment);
    memory.fail_one_in = 0;
    read_text(&lent, "now");
}
END_TEST

START_TEST(a_read_of_nothing_lends_an_empty_buffer)
{
    char *base;
    size_t len;
    ck_assert_int_eq(cvy__slab_room(&slab, &base, &len), 0);
    ck_assert_int_eq(cvy__slab_lend(&slab, &lent, 0), 0);
    ck_assert_uint_eq(cvy_buf_len(&lent), 0);
    ck_assert_uint_eq(slab.offset, 0);
}
END_TEST

/* B9: a slab whose bytes went to another thread and came to an end there is counted plainly again */
START_TEST(a_slab_that_crossed_is_as_new_when_it_starts_over)
{
    read_text(&lent, "to another thread");
    cvy_buf_hand_over(&lent);
    ck_assert(slab.segment->crossed);
    cvy_buf_fini(&lent);
    cvy__slab_settle(&slab);
    ck_assert(!slab.segment->crossed);
    uint64_t asked = memory.asked;
    read_text(&kept, "the embedded view is free again");
    ck_assert_uint_eq(memory.asked, asked);
}
END_TEST

/* B5: what is kept of short reads does not pin the slab */
START_TEST(kept_short_reads_leave_the_slab_free)
{
    char *place = NULL;
    for (int i = 0; i < 5000; i++) {
        char *base, *before = place;
        size_t len;
        if (cvy__slab_room(&slab, &base, &len) != 0 || (before && base != before)) ck_abort_msg("read %d", i);
        place = base;
        *base = (char)i;
        if (cvy__slab_lend(&slab, &lent, 1) != 0 || cvy_buf_keep(&kept, &lent) != 0) ck_abort_msg("kept %d", i);
    }
    ck_assert_uint_eq(cvy_buf_len(&kept), 5000);
    ck_assert_uint_eq(cvy_pool_live(pool), 1 + 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slab");
    TCase *tc = ADD_TESTS(suite, "slab", an_unused_slab_holds_nothing, the_slab_starts_over_when_nobody_kept_it,
                          reading_goes_on_behind_what_is_kept_and_joins_it, a_full_slab_makes_way_for_a_new_one,
                          nobody_appends_in_place_to_a_lent_view, a_lent_view_owns_no_byte_of_another,
                          a_lend_without_memory_loses_nothing, a_first_read_without_memory_says_so,
                          a_read_of_nothing_lends_an_empty_buffer, a_slab_that_crossed_is_as_new_when_it_starts_over,
                          kept_short_reads_leave_the_slab_free);
    tcase_add_checked_fixture(tc, setup, teardown);
    return test_run(suite);
}
