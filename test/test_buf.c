/*
 * Proves lib/buf/buf*.c: what a buffer promises (contracts B1 to B4, B7, B10, B11, M4). Keeping has test_buf_keep.c, the oracle
 * test_buf_model.c; cursors, pools with threads, and the slab have tests of their own.
 */
#include "fixture_buf.h"

static int freed;

static void count_free(void *arg, void *base, size_t n)
{
    (void)base;
    (void)n;
    ++*(int *)arg;
}

/* B7: a zeroed buffer is a valid empty one */
START_TEST(a_zeroed_buffer_is_empty_and_usable)
{
    cvy_buf_t zero = CVY_BUF_INIT;
    uv_buf_t view;
    ck_assert_uint_eq(cvy_buf_len(&zero), 0);
    ck_assert_uint_eq(cvy_buf_views(&zero, &view, 1), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&zero), 0);
    ck_assert_uint_eq(cvy_buf_writable(&zero), 0);
    ck_assert_uint_eq(cvy_buf_advance(&zero, 10), 0);
    ck_assert_uint_eq(cvy_buf_commit(&zero, 10), 0);
    ck_assert_uint_eq(cvy_buf_peek(&zero, &view, 1), 0);
    ck_assert(cvy_buf_equal(&zero, "", 0));
    ck_assert(!cvy_buf_equal(&zero, "a", 1));
    put(&zero, "abc");
    holds(&zero, "abc");
    cvy_buf_fini(&zero);
    put(&zero, "used again");
    cvy_buf_fini(&zero);
}
END_TEST

/* B1: the free callback runs once, when the last view is gone */
START_TEST(wrapped_memory_is_freed_by_its_last_view)
{
    char text[] = "wrapped";
    freed = 0;
    ck_assert_int_eq(cvy_buf_wrap(&b, text, 7, count_free, &freed), 0);
    ck_assert_ptr_eq(first_byte(&b), text);
    ck_assert_int_eq(cvy_buf_slice(&other, &b, 1, 3), 0);
    ck_assert_int_eq(cvy_buf_move(&third, &b, 2), 0);
    cvy_buf_fini(&b);
    cvy_buf_fini(&third);
    ck_assert_int_eq(freed, 0);
    holds(&other, "rap");
    cvy_buf_advance(&other, 3);
    ck_assert_int_eq(freed, 1);
}
END_TEST

/* B1, B3 */
START_TEST(a_wrap_that_fails_does_not_free)
{
    char text[] = "x";
    freed = 0;
    memory_ends();
    ck_assert_int_eq(cvy_buf_wrap(&b, text, 1, count_free, &freed), UV_ENOMEM);
    memory_returns();
    ck_assert_int_eq(freed, 0);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
}
END_TEST

/* B1 */
START_TEST(wrapping_nothing_frees_at_once)
{
    freed = 0;
    ck_assert_int_eq(cvy_buf_wrap(&b, NULL, 0, count_free, &freed), 0);
    ck_assert_int_eq(freed, 1);
    ck_assert_int_eq(cvy_buf_wrap(&b, (void *)"forever", 7, NULL, NULL), 0);
    holds(&b, "forever");
}
END_TEST

/* B4: foreign memory may be constant */
START_TEST(wrapped_memory_is_never_written)
{
    static const char text[] = "constant";
    ck_assert_int_eq(cvy_buf_wrap(&b, (void *)text, 8, NULL, NULL), 0);
    cvy_buf_advance(&b, 4);
    ck_assert_int_eq(cvy_buf_prepend(&b, "in", 2), 0);
    put(&b, "ly");
    holds(&b, "intantly");
    ck_assert_str_eq(text, "constant");
}
END_TEST

/* B1: a segment goes back to the allocator it came from, whatever the default is by then; the allocator checks size and alignment */
START_TEST(a_segment_goes_back_to_its_own_allocator)
{
    cvy_buf_t loose = CVY_BUF_INIT, slice;
    uint64_t before = memory.live;
    put(&loose, "taken from the first default");
    cvy_alloc_set_default(cvy_alloc_malloc());
    ck_assert_int_eq(cvy_buf_slice(&slice, &loose, 3, 10), 0);
    ck_assert_int_eq(cvy_buf_append_buf(&b, &slice), 0);
    cvy_buf_fini(&loose);
    ck_assert_uint_eq(cvy_pool_live(NULL), 1);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
    ck_assert_uint_eq(memory.live, before);
}
END_TEST

/* B1: segments never move */
START_TEST(bytes_stay_where_they_are_through_joins_and_moves)
{
    put(&b, "stay here");
    const void *place = first_byte(&b);
    ck_assert_int_eq(cvy_buf_append_buf(&other, &b), 0);
    ck_assert_int_eq(cvy_buf_move(&third, &other, 100), 0);
    ck_assert_int_eq(cvy_buf_take(&b, &third), 0);
    ck_assert_ptr_eq(first_byte(&b), place);
    holds(&b, "stay here");
    holds(&other, "");
}
END_TEST

/* B2: joining allocates nothing and cannot fail */
START_TEST(a_join_needs_no_memory)
{
    put_pattern(&b, 5000);
    put_pattern(&other, 5000);
    memory_ends();
    ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    ck_assert_int_eq(cvy_buf_take(&third, &b), 0);
    memory_returns();
    ck_assert_uint_eq(cvy_buf_len(&third), 10000);
    ck_assert_uint_eq(cvy_buf_len(&b) + cvy_buf_len(&other), 0);
    drive_check_shape(&third);
}
END_TEST

/* B2 */
START_TEST(taking_over_drops_what_was_held)
{
    put(&b, "old");
    put(&other, "new");
    ck_assert_int_eq(cvy_buf_take(&b, &other), 0);
    holds(&b, "new");
    ck_assert_int_eq(cvy_buf_take(&b, &other), 0);
    holds(&b, "");
}
END_TEST

/* B8: a buffer joined to itself */
START_TEST(a_buffer_does_not_join_itself)
{
    put(&b, "self");
    ck_assert_int_eq(cvy_buf_append_buf(&b, &b), UV_EINVAL);
    ck_assert_int_eq(cvy_buf_take(&b, &b), UV_EINVAL);
    ck_assert_int_eq(cvy_buf_keep(&b, &b), UV_EINVAL);
    ck_assert_int_eq(cvy_buf_move(&b, &b, 2), UV_EINVAL);
    ck_assert_int_eq(cvy__buf_queue(&b, &b, false), UV_EINVAL);
    holds(&b, "self");
}
END_TEST

/* B2: a merge of neighbours, and of neighbours only */
START_TEST(neighbours_of_one_segment_merge)
{
    put(&b, "one two three");
    for (int i = 0; i < 3; i++) {
        cvy_buf_t word;
        ck_assert_int_eq(cvy_buf_split(&word, &b, i == 2 ? 5 : 4), 0);
        ck_assert_int_eq(cvy_buf_append_buf(&other, &word), 0);
    }
    holds(&other, "one two three");
    ck_assert_uint_eq(cvy_buf_view_count(&other), 1);
}
END_TEST

/* B2 */
START_TEST(what_is_not_adjacent_does_not_merge)
{
    put(&b, "one-two");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 3), 0);
    cvy_buf_advance(&b, 1);
    ck_assert_int_eq(cvy_buf_append_buf(&other, &b), 0);
    holds(&other, "onetwo");
    ck_assert_uint_eq(cvy_buf_view_count(&other), 2);
    put(&b, "xyz");
    ck_assert_int_eq(cvy_buf_append_buf(&other, &b), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&other), 3);
    holds(&other, "onetwoxyz");
}
END_TEST

/* B2: at most one view is split, so one node is taken */
START_TEST(a_partial_move_splits_one_view)
{
    for (int i = 0; i < 5; i++) {
        put(&third, "0123456789");
        ck_assert_int_eq(cvy_buf_append_buf(&b, &third), 0);
    }
    ck_assert_uint_eq(cvy_buf_view_count(&b), 5);
    uint64_t asked = memory.asked;
    ck_assert_int_eq(cvy_buf_move(&other, &b, 25), 0);
    ck_assert_uint_eq(memory.asked, asked + 1);
    ck_assert_uint_eq(cvy_buf_view_count(&other), 3);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 3);
    ck_assert(cvy_buf_equal(&other, "0123456789012345678901234", 25));
    holds(&b, "5678901234567890123456789");
}
END_TEST

/* B2 */
START_TEST(a_move_between_views_splits_none)
{
    for (int i = 0; i < 3; i++) {
        put(&third, "0123456789");
        ck_assert_int_eq(cvy_buf_append_buf(&b, &third), 0);
    }
    memory_ends();
    ck_assert_int_eq(cvy_buf_move(&other, &b, 20), 0);
    memory_returns();
    ck_assert_uint_eq(cvy_buf_view_count(&other), 2);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
}
END_TEST

START_TEST(a_move_takes_at_most_what_there_is)
{
    put(&b, "few");
    ck_assert_int_eq(cvy_buf_move(&other, &b, SIZE_MAX), 0);
    holds(&other, "few");
    holds(&b, "");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 1), 0);
    ck_assert_int_eq(cvy_buf_move(&b, &other, 0), 0);
    holds(&other, "few");
}
END_TEST

/* B7 */
START_TEST(a_split_wants_all_its_bytes)
{
    cvy_buf_t out = { .len = 77 };
    put(&b, "short");
    ck_assert_int_eq(cvy_buf_split(&out, &b, 6), UV_EAGAIN);
    ck_assert_uint_eq(out.len, 77);
    holds(&b, "short");
    ck_assert_int_eq(cvy_buf_split(&out, &b, 5), 0);
    holds(&out, "short");
    cvy_buf_fini(&out);
    ck_assert_int_eq(cvy_buf_split(&out, &b, 0), 0);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* B4, B2: the header is rebuilt in place, and the burst leaves as one view. M4: no allocation but the first round's */
START_TEST(an_echoed_burst_of_frames_leaves_as_one_view)
{
    enum { FRAMES = 50, PAYLOAD = 12 };
    uint64_t asked = 0;
    for (int round = 0; round < 20; round++) {
        if (round == 1) asked = memory.asked;
        for (int i = 0; i < FRAMES; i++) {
            ck_assert_int_eq(cvy_buf_append_u32(&b, PAYLOAD), 0);
            ck_assert_int_eq(cvy_buf_append(&b, "hello, world", PAYLOAD), 0);
        }
        for (int i = 0; i < FRAMES; i++) {
            uint32_t n;
            uint8_t header[4] = { 0, 0, 0, PAYLOAD };
            cvy_buf_t frame;
            ck_assert_int_eq(cvy_buf_read_u32(&b, &n), 0);
            ck_assert_int_eq(cvy_buf_split(&frame, &b, n), 0);
            ck_assert_int_eq(cvy_buf_prepend(&frame, header, 4), 0);
            ck_assert_int_eq(cvy__buf_queue(&other, &frame, false), 0);
        }
        ck_assert_uint_eq(cvy_buf_view_count(&other), 1);
        ck_assert_uint_eq(cvy_buf_len(&other), FRAMES * (PAYLOAD + 4));
        cvy_buf_fini(&other);
    }
    ck_assert_uint_eq(memory.asked, asked);
}
END_TEST

/* B4: in place at the fill mark of a segment held alone */
START_TEST(append_continues_in_place)
{
    put(&b, "one");
    put(&b, "two");
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    holds(&b, "onetwo");
}
END_TEST

/* B4 */
START_TEST(append_behind_shared_bytes_takes_a_new_segment)
{
    put(&b, "seen");
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    ck_assert_uint_eq(cvy_buf_writable(&b), 0);
    put(&b, "+mine");
    put(&other, "+yours");
    holds(&b, "seen+mine");
    holds(&other, "seen+yours");
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    cvy_buf_fini(&other);
    put(&b, "!");
    holds(&b, "seen+mine!");
}
END_TEST

/* B4 */
START_TEST(append_is_in_place_again_once_the_share_is_gone)
{
    put(&b, "seen");
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    cvy_buf_fini(&other);
    put(&b, " again");
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
}
END_TEST

/* B4 */
START_TEST(append_in_place_starts_at_the_highest_filled_byte_only)
{
    put(&b, "front|rest");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 5), 0);
    cvy_buf_fini(&b);
    put(&other, "ier");
    ck_assert_uint_eq(cvy_buf_view_count(&other), 2);
    holds(&other, "frontier");
}
END_TEST

/* B4 */
START_TEST(append_to_the_first_part_of_a_split_spares_the_rest)
{
    put(&b, "front|rest");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 5), 0);
    put(&other, "XXXX");
    holds(&b, "|rest");
    holds(&other, "frontXXXX");
}
END_TEST

/* B4: new segments keep 16 bytes free in front */
START_TEST(prepend_uses_the_reserved_front)
{
    put(&b, "payload");
    const char *place = first_byte(&b);
    ck_assert_int_eq(cvy_buf_prepend(&b, "0123456789abcdef", 16), 0);
    ck_assert_ptr_eq(first_byte(&b), place - 16);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
    holds(&b, "0123456789abcdefpayload");
    ck_assert_int_eq(cvy_buf_prepend(&b, "-", 1), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    holds(&b, "-0123456789abcdefpayload");
    /* the small segment was filled from its end: the next one is in place */
    static const char more[500];
    ck_assert_int_eq(cvy_buf_prepend(&b, more, sizeof more), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    ck_assert_uint_eq(cvy_pool_live(pool), 2);
}
END_TEST

/* B4 */
START_TEST(prepend_uses_what_the_view_consumed)
{
    put(&b, "[hdr]payload|next");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 12), 0);
    cvy_buf_advance(&other, 5);
    const char *place = first_byte(&other);
    ck_assert_int_eq(cvy_buf_prepend(&other, "<HDR>", 5), 0);
    ck_assert_ptr_eq(first_byte(&other), place - 5);
    holds(&other, "<HDR>payload");
    holds(&b, "|next");
}
END_TEST

/* B4 */
START_TEST(a_split_leaves_the_front_with_the_first_part)
{
    put(&b, "firstsecond");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 5), 0);
    ck_assert_int_eq(cvy_buf_prepend(&b, "no", 2), 0);
    holds(&other, "first");
    holds(&b, "nosecond");
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    ck_assert_int_eq(cvy_buf_prepend(&other, "yes", 3), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&other), 1);
    holds(&other, "yesfirst");
}
END_TEST

/* B4 */
START_TEST(a_share_ends_the_front_of_both)
{
    put(&b, "[hdr]payload");
    cvy_buf_advance(&b, 5);
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    ck_assert_int_eq(cvy_buf_prepend(&b, "A", 1), 0);
    ck_assert_int_eq(cvy_buf_prepend(&other, "B", 1), 0);
    holds(&b, "Apayload");
    holds(&other, "Bpayload");
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    ck_assert_uint_eq(cvy_buf_view_count(&other), 2);
}
END_TEST

/* B4 */
START_TEST(what_a_shared_view_consumes_is_not_its_front)
{
    put(&b, "[hdr]payload");
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    cvy_buf_advance(&b, 5);
    ck_assert_int_eq(cvy_buf_prepend(&b, "<new>", 5), 0);
    holds(&other, "[hdr]payload");
    holds(&b, "<new>payload");
}
END_TEST

/* A slice of the end leaves the view's start unseen, but its view is shared as one. */
START_TEST(a_slice_shares_the_whole_views_it_touches)
{
    put(&b, "abc");
    put(&third, "defghi");
    ck_assert_int_eq(cvy_buf_append_buf(&b, &third), 0);
    ck_assert_int_eq(cvy_buf_slice(&other, &b, 2, 2), 0);
    holds(&other, "cd");
    cvy_buf_advance(&b, 4);
    ck_assert_int_eq(cvy_buf_prepend(&b, "XYZ!", 4), 0);
    holds(&other, "cd");
    holds(&b, "XYZ!efghi");
}
END_TEST

/* B4 */
START_TEST(a_merged_view_does_not_own_what_another_shares)
{
    cvy_buf_t seen;
    put(&b, "abc");
    ck_assert_int_eq(cvy_buf_move(&other, &b, 1), 0);
    ck_assert_int_eq(cvy_buf_share(&seen, &b), 0);
    ck_assert_int_eq(cvy_buf_append_buf(&other, &b), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&other), 1);
    cvy_buf_advance(&other, 2);
    ck_assert_int_eq(cvy_buf_prepend(&other, "XY", 2), 0);
    holds(&seen, "bc");
    holds(&other, "XYc");
    cvy_buf_fini(&seen);
}
END_TEST

START_TEST(prepend_to_nothing_and_of_nothing)
{
    ck_assert_int_eq(cvy_buf_prepend(&b, "", 0), 0);
    holds(&b, "");
    ck_assert_int_eq(cvy_buf_prepend(&b, "a", 1), 0);
    ck_assert_int_eq(cvy_buf_prepend(&b, NULL, 0), 0);
    holds(&b, "a");
    put(&b, "z");
    holds(&b, "az");
}
END_TEST

/* B7 */
START_TEST(a_long_prepend_gets_a_segment_of_its_own)
{
    static char text[3000];
    memset(text, 'p', sizeof text);
    put(&b, "tail");
    ck_assert_int_eq(cvy_buf_prepend(&b, text, sizeof text), 0);
    ck_assert_uint_eq(cvy_buf_len(&b), 3004);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    cvy_buf_advance(&b, 3000);
    holds(&b, "tail");
}
END_TEST

/* B7: reserve, tail views, commit */
START_TEST(room_is_reserved_filled_and_committed)
{
    uv_buf_t views[4];
    put(&b, "ab");
    ck_assert_int_eq(cvy_buf_reserve(&b, 3000), 0);
    ck_assert_uint_ge(cvy_buf_writable(&b), 3000);
    ck_assert_uint_eq(cvy_buf_len(&b), 2);
    uint64_t asked = memory.asked;
    ck_assert_int_eq(cvy_buf_reserve(&b, 3000), 0);
    ck_assert_uint_eq(memory.asked, asked);
    size_t count = cvy_buf_tail_views(&b, views, 4), room = 0;
    for (size_t i = 0; i < count; i++) {
        memset(views[i].base, 'a' + (int)i, views[i].len);
        room += views[i].len;
    }
    ck_assert_uint_eq(room, cvy_buf_writable(&b));
    ck_assert_uint_eq(cvy_buf_commit(&b, 1500), 1500);
    ck_assert_uint_eq(cvy_buf_len(&b), 1502);
    ck_assert_uint_eq(cvy_buf_writable(&b), room - 1500);
    ck_assert_uint_eq(cvy_buf_commit(&b, SIZE_MAX), room - 1500);
    ck_assert_uint_eq(cvy_buf_commit(&b, 1), 0);
    ck_assert_uint_eq(cvy_buf_tail_views(&b, views, 0), 0);
    drive_check_shape(&b);
}
END_TEST

/* B2, B7 */
START_TEST(append_takes_what_was_reserved_first)
{
    put(&b, "ab");
    ck_assert_int_eq(cvy_buf_reserve(&b, 3000), 0);
    uint64_t asked = memory.asked;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cvy_buf_append(&b, memset((char[1000]){ 0 }, 'a' + i, 1000), 1000), 0);
    drive_check_shape(&b);
    ck_assert_uint_eq(memory.asked, asked);
}
END_TEST

/* B7 */
START_TEST(an_end_drops_what_was_reserved)
{
    put(&b, "a frame, and more");
    ck_assert_int_eq(cvy_buf_split(&other, &b, 7), 0);
    ck_assert_int_eq(cvy_buf_reserve(&other, 2000), 0);
    ck_assert_uint_gt(cvy_pool_live(pool), 1);
    cvy_buf_fini(&other);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    ck_assert_uint_eq(cvy_buf_writable(&other), 0);
    holds(&b, ", and more");
}
END_TEST

/* B7 */
START_TEST(reserve_total_counts_what_is_held)
{
    put(&b, "0123456789");
    ck_assert_int_eq(cvy_buf_reserve_total(&b, 5), 0);
    ck_assert_int_eq(cvy_buf_reserve_total(&b, 5000), 0);
    ck_assert_uint_ge(cvy_buf_writable(&b), 4990);
    ck_assert_uint_lt(cvy_buf_writable(&b), 4990 + 1024);
}
END_TEST

/* B10 */
START_TEST(sizes_do_not_overflow)
{
    static char one[1];
    put(&b, "x");
    ck_assert_int_eq(cvy_buf_reserve(&b, SIZE_MAX), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_reserve(&b, SIZE_MAX / 2), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_reserve_total(&b, SIZE_MAX), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_reserve(&other, SIZE_MAX), UV_ENOMEM);
    /* never read: only the lengths count */
    ck_assert_int_eq(cvy_buf_wrap(&b, one, SIZE_MAX / 2, NULL, NULL), 0);
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    ck_assert_int_eq(cvy_buf_share(&third, &b), 0);
    ck_assert_int_eq(cvy_buf_append_buf(&third, &other), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_keep(&third, &other), UV_ENOMEM);
    ck_assert_int_eq(cvy__buf_queue(&third, &other, false), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_move(&third, &other, SIZE_MAX / 2), 0);
    ck_assert_uint_eq(cvy_buf_len(&third), SIZE_MAX);
    ck_assert_int_eq(cvy_buf_prepend(&third, "x", 1), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_reserve(&third, 1), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_move(&third, &b, 1), UV_ENOMEM);
    ck_assert_int_eq(cvy_buf_wrap(&b, one, SIZE_MAX / 2 + 2, NULL, NULL), UV_ENOMEM);
    ck_assert_uint_eq(cvy_buf_len(&other), 1);
    cvy_buf_advance(&b, SIZE_MAX);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
}
END_TEST

/* B10: the quick way in, where the last segment has room */
START_TEST(room_at_the_tail_ends_at_size_max)
{
    static char one[1];
    ck_assert_int_eq(cvy_buf_wrap(&b, one, SIZE_MAX / 2, NULL, NULL), 0);
    ck_assert_int_eq(cvy_buf_share(&other, &b), 0);
    ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    ck_assert_int_eq(cvy_buf_append(&b, "x", 1), 0);
    ck_assert_uint_eq(cvy_buf_len(&b), SIZE_MAX);
    ck_assert_uint_eq(cvy_buf_writable(&b), 0);
    ck_assert_int_eq(cvy_buf_append(&b, "x", 1), UV_ENOMEM);
    ck_assert_uint_eq(cvy_buf_commit(&b, 1), 0);
    ck_assert_uint_eq(cvy_buf_len(&b), SIZE_MAX);
    cvy_buf_advance(&b, SIZE_MAX);
}
END_TEST

/* B7 */
START_TEST(a_slice_stays_inside)
{
    cvy_buf_t out = { .len = 77 };
    put(&b, "0123456789");
    ck_assert_int_eq(cvy_buf_slice(&out, &b, 11, 0), UV_ERANGE);
    ck_assert_int_eq(cvy_buf_slice(&out, &b, 5, 6), UV_ERANGE);
    ck_assert_int_eq(cvy_buf_slice(&out, &b, 5, SIZE_MAX), UV_ERANGE);
    ck_assert_uint_eq(out.len, 77);
    ck_assert_int_eq(cvy_buf_slice(&out, &b, 10, 0), 0);
    ck_assert_uint_eq(out.len, 0);
    ck_assert_int_eq(cvy_buf_slice(&out, &b, 3, 4), 0);
    holds(&out, "3456");
    cvy_buf_fini(&out);
}
END_TEST

/* B7: gathered views longer than a uv_buf_t's 32 bits on Windows come in pieces */
START_TEST(a_view_too_long_for_one_uv_buf_comes_in_pieces)
{
    static char one[1];
    if (SIZE_MAX == UINT32_MAX) return;
    size_t n = (size_t)3 << 32;
    uv_buf_t views[8];
    ck_assert_int_eq(cvy_buf_wrap(&b, one, n, NULL, NULL), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 4);
    ck_assert_uint_eq(cvy_buf_views(&b, views, 8), 4);
    size_t total = 0;
    for (int i = 0; i < 4; i++)
        total += views[i].len;
    ck_assert_uint_eq(total, n);
    ck_assert_uint_eq(cvy_buf_views(&b, views, 2), 2);
}
END_TEST

/* B7: replace copies, and the old content stays on failure (B3) */
START_TEST(replace_copies_all_or_nothing)
{
    char left[] = "left ", right[] = "right";
    uv_buf_t views[] = { uv_buf_init(left, 5), uv_buf_init(NULL, 0), uv_buf_init(right, 5) };
    put(&b, "old");
    memory_ends();
    cvy_buf_t loose = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_replace(&loose, views, 3), UV_ENOMEM);
    memory_returns();
    ck_assert_int_eq(cvy_buf_replace(&b, views, 3), 0);
    left[0] = 'X';
    holds(&b, "left right");
    cvy_buf_views(&b, views, 1);
    ck_assert_int_eq(cvy_buf_replace(&b, views, 1), 0); /* from its own views */
    holds(&b, "left right");
    ck_assert_int_eq(cvy_buf_replace(&b, NULL, 0), 0);
    holds(&b, "");
}
END_TEST

/* B7: find from an offset, across views */
START_TEST(find_sees_across_views_and_from_an_offset)
{
    size_t at = 99;
    for (const char *p = "abc\r\nd\r\r\n\r"; *p; p++) {
        ck_assert_int_eq(cvy_buf_append(&other, p, 1), 0);
        ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    }
    ck_assert_uint_eq(cvy_buf_view_count(&b), 10);
    ck_assert_int_eq(cvy_buf_find(&b, 0, "\r\n", 2, &at), 0);
    ck_assert_uint_eq(at, 3);
    ck_assert_int_eq(cvy_buf_find(&b, 4, "\r\n", 2, &at), 0);
    ck_assert_uint_eq(at, 7);
    ck_assert_int_eq(cvy_buf_find_byte(&b, 8, '\r', &at), 0);
    ck_assert_uint_eq(at, 9);
    at = 99;
    ck_assert_int_eq(cvy_buf_find(&b, 8, "\r\n", 2, &at), UV_EAGAIN);
    ck_assert_int_eq(cvy_buf_find(&b, 10, "\r\n", 2, &at), UV_EAGAIN);
    ck_assert_int_eq(cvy_buf_find_byte(&b, 10, 'a', &at), UV_EAGAIN);
    ck_assert_int_eq(cvy_buf_find(&b, 11, "a", 1, &at), UV_ERANGE);
    ck_assert_int_eq(cvy_buf_find(&b, 0, "", 0, &at), UV_EINVAL);
    ck_assert_uint_eq(at, 99);
}
END_TEST

/* B7: contiguous */
START_TEST(pullup_joins_only_what_it_must)
{
    const uint8_t *piece = NULL;
    put(&b, "abc");
    put(&other, "def");
    put(&third, "ghi");
    cvy_buf_append_buf(&b, &other);
    cvy_buf_append_buf(&b, &third);
    const void *place = first_byte(&b), *last = b.tail->data;
    ck_assert_int_eq(cvy_buf_pullup(&b, 3, &piece), 0);
    ck_assert_ptr_eq(piece, place);
    ck_assert_int_eq(cvy_buf_pullup(&b, 10, &piece), UV_EAGAIN);
    uint64_t position = b.consumed;
    ck_assert_int_eq(cvy_buf_pullup(&b, 5, &piece), 0);
    ck_assert_mem_eq(piece, "abcde", 5);
    ck_assert_ptr_eq(b.tail->data, last);
    ck_assert_uint_eq(b.consumed, position);
    holds(&b, "abcdefghi");
    ck_assert_int_eq(cvy_buf_pullup(&b, 9, &piece), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
    ck_assert_int_eq(cvy_buf_pullup(&other, 0, &piece), 0);
    ck_assert_ptr_nonnull(piece);
}
END_TEST

/* B3 */
START_TEST(pullup_without_memory_changes_nothing)
{
    const uint8_t *piece = NULL;
    put_pattern(&b, 3000);
    memory_ends();
    ck_assert_int_eq(cvy_buf_pullup(&b, 2000, &piece), UV_ENOMEM);
    memory_returns();
    ck_assert_ptr_null(piece);
    ck_assert_uint_eq(cvy_buf_len(&b), 3000);
    drive_check_shape(&b);
}
END_TEST

/* B7: integers, as bytes on the wire */
#define CHECK_INT(name, type, value, ...)                                 \
    do {                                                                  \
        type back_ = 0;                                                   \
        const uint8_t wire_[] = { __VA_ARGS__ };                          \
        ck_assert_int_eq(cvy_buf_append_##name(&b, (type)(value)), 0);    \
        ck_assert(cvy_buf_equal(&b, wire_, sizeof wire_));                \
        ck_assert_int_eq(cvy_buf_read_##name(&b, &back_), 0);             \
        ck_assert(back_ == (type)(value));                                \
        ck_assert_int_eq(cvy_buf_append(&b, wire_, sizeof wire_ - 1), 0); \
        back_ = 1;                                                        \
        ck_assert_int_eq(cvy_buf_read_##name(&b, &back_), UV_EAGAIN);     \
        ck_assert(back_ == 1);                                            \
        ck_assert_uint_eq(cvy_buf_len(&b), sizeof wire_ - 1);             \
        cvy_buf_fini(&b);                                                 \
    } while (0)

/* B7 */
START_TEST(integers_have_one_form_on_the_wire)
{
    CHECK_INT(u8, uint8_t, 0xfe, 0xfe);
    CHECK_INT(i8, int8_t, -2, 0xfe);
    CHECK_INT(u16, uint16_t, 0xfedc, 0xfe, 0xdc);
    CHECK_INT(u32, uint32_t, 0xfedcba98, 0xfe, 0xdc, 0xba, 0x98);
    CHECK_INT(u64, uint64_t, 0xfedcba9876543210, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10);
    CHECK_INT(i16, int16_t, -2, 0xff, 0xfe);
    CHECK_INT(i32, int32_t, INT32_MIN, 0x80, 0, 0, 0);
    CHECK_INT(i64, int64_t, INT64_MIN + 1, 0x80, 0, 0, 0, 0, 0, 0, 1);
    CHECK_INT(u16_le, uint16_t, 0xfedc, 0xdc, 0xfe);
    CHECK_INT(u32_le, uint32_t, 0xfedcba98, 0x98, 0xba, 0xdc, 0xfe);
    CHECK_INT(u64_le, uint64_t, 0xfedcba9876543210, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe);
    CHECK_INT(i16_le, int16_t, -2, 0xfe, 0xff);
    CHECK_INT(i32_le, int32_t, -2, 0xfe, 0xff, 0xff, 0xff);
    CHECK_INT(i64_le, int64_t, -2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    CHECK_INT(varint, uint64_t, 300, 0xac, 0x02);
    CHECK_INT(varint, uint64_t, UINT64_MAX, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    CHECK_INT(varint, uint64_t, 127, 0x7f);
    CHECK_INT(varint, uint64_t, 128, 0x80, 0x01);
}
END_TEST

START_TEST(a_varint_of_more_than_64_bits_is_refused)
{
    uint64_t v = 5;
    put(&b, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    ck_assert_int_eq(cvy_buf_read_varint(&b, &v), UV_EINVAL);
    ck_assert_uint_eq(cvy_buf_len(&b), 10);
    cvy_buf_fini(&b);
    put(&b, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
    ck_assert_int_eq(cvy_buf_read_varint(&b, &v), UV_EINVAL);
    ck_assert_uint_eq(v, 5);
}
END_TEST

/* B1: whichever way a length is copied, its bytes come and the one behind them stays */
START_TEST(an_append_of_any_short_length_writes_its_bytes_and_no_more)
{
    uint8_t from[200], back[200];
    uv_buf_t room;
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (uint8_t)(i + 1);
    for (size_t n = 0; n < sizeof from; n++) {
        ck_assert_int_eq(cvy_buf_append(&b, "x", 1), 0);
        ck_assert_int_eq(cvy_buf_reserve(&b, sizeof from + 1), 0);
        ck_assert_uint_eq(cvy_buf_tail_views(&b, &room, 1), 1);
        ck_assert_uint_gt(room.len, sizeof from);
        memset(room.base, 0xee, sizeof from + 1);
        ck_assert_int_eq(cvy_buf_append(&b, from, n), 0);
        ck_assert_uint_eq(cvy_buf_len(&b), n + 1);
        ck_assert_uint_eq(cvy_buf_peek_at(&b, 1, back, n), n);
        ck_assert_mem_eq(back, from, n);
        ck_assert_int_eq((uint8_t)room.base[n], 0xee);
        cvy_buf_fini(&b);
    }
}
END_TEST

/* B9: after handing over nothing in the buffer names the sender's pool, and its bytes are not adopted from */
START_TEST(a_handed_over_buffer_forgets_the_pool)
{
    cvy_buf_t zero = CVY_BUF_INIT;
    put(&b, "crossing");
    ck_assert_int_eq(cvy_buf_reserve(&b, 5000), 0);
    cvy_buf_hand_over(&b);
    ck_assert_ptr_null(b.pool);
    ck_assert_ptr_null(b.spare);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    ck_assert_int_eq(cvy_buf_append_buf(&zero, &b), 0);
    ck_assert_ptr_null(zero.pool);
    holds(&zero, "crossing");
    cvy_buf_fini(&zero);
}
END_TEST

START_TEST(a_buffer_without_a_pool_adopts_the_one_of_its_first_bytes)
{
    cvy_buf_t zero = CVY_BUF_INIT;
    put(&b, "mine");
    ck_assert_int_eq(cvy_buf_append_buf(&zero, &b), 0);
    ck_assert_ptr_eq(zero.pool, pool);
    cvy_buf_fini(&zero);
}
END_TEST

/* B11 */
START_TEST(live_segments_are_counted)
{
    cvy_buf_t loose = CVY_BUF_INIT;
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    put(&b, "one");
    put(&loose, "another");
    ck_assert_int_eq(cvy_buf_wrap(&other, (void *)"third", 5, NULL, NULL), 0);
    ck_assert_uint_eq(cvy_pool_live(pool), 2);
    ck_assert_uint_eq(cvy_pool_live(NULL), 1);
    ck_assert_int_eq(cvy_buf_share(&third, &b), 0);
    ck_assert_uint_eq(cvy_pool_live(pool), 2);
    cvy_buf_fini(&b);
    ck_assert_uint_eq(cvy_pool_live(pool), 2);
    cvy_buf_fini(&third);
    cvy_buf_fini(&loose);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
}
END_TEST

/* B11: in debug builds the dump names who took a segment and whom it passed last */
START_TEST(a_live_segment_tells_its_way)
{
#ifdef CVY_DEBUG_SEGMENTS
    static const char *const stages[] = { "one", "two", "three", "four", "five" };
    char line[200] = "";
    ck_assert_ptr_null(cvy__buf_taker("reader"));
    put(&b, "tracked");
    ck_assert_str_eq(cvy__buf_taker(NULL), "reader");
    for (size_t i = 0; i < 5; i++) {
        cvy__buf_touch(&b, stages[i]);
        cvy__buf_touch(&b, stages[i]);
    }
    FILE *out = tmpfile();
    cvy__segments_dump(out);
    rewind(out);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, out));
    fclose(out);
    ck_assert_ptr_nonnull(strstr(line, "taken by reader"));
    ck_assert_ptr_nonnull(strstr(line, "passed two three four five"));
#else
    cvy__buf_touch(&b, "nobody");
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    add(ADD_TESTS(suite, "wrap", a_zeroed_buffer_is_empty_and_usable, wrapped_memory_is_freed_by_its_last_view,
                  a_wrap_that_fails_does_not_free, wrapping_nothing_frees_at_once, wrapped_memory_is_never_written,
                  a_segment_goes_back_to_its_own_allocator, bytes_stay_where_they_are_through_joins_and_moves));
    add(ADD_TESTS(suite, "move", a_join_needs_no_memory, taking_over_drops_what_was_held, a_buffer_does_not_join_itself,
                  neighbours_of_one_segment_merge, what_is_not_adjacent_does_not_merge, a_partial_move_splits_one_view,
                  a_move_between_views_splits_none, a_move_takes_at_most_what_there_is, a_split_wants_all_its_bytes,
                  an_echoed_burst_of_frames_leaves_as_one_view));
    add(ADD_TESTS(suite, "in place", append_continues_in_place, append_behind_shared_bytes_takes_a_new_segment,
                  append_is_in_place_again_once_the_share_is_gone,
                  append_in_place_starts_at_the_highest_filled_byte_only,
                  append_to_the_first_part_of_a_split_spares_the_rest, prepend_uses_the_reserved_front,
                  prepend_uses_what_the_view_consumed, a_split_leaves_the_front_with_the_first_part,
                  a_share_ends_the_front_of_both, what_a_shared_view_consumes_is_not_its_front,
                  a_slice_shares_the_whole_views_it_touches, a_merged_view_does_not_own_what_another_shares,
                  prepend_to_nothing_and_of_nothing, a_long_prepend_gets_a_segment_of_its_own));
    add(ADD_TESTS(suite, "calls", room_is_reserved_filled_and_committed, append_takes_what_was_reserved_first,
                  an_end_drops_what_was_reserved, reserve_total_counts_what_is_held, sizes_do_not_overflow,
                  room_at_the_tail_ends_at_size_max, a_slice_stays_inside,
                  a_view_too_long_for_one_uv_buf_comes_in_pieces, replace_copies_all_or_nothing,
                  find_sees_across_views_and_from_an_offset, pullup_joins_only_what_it_must,
                  pullup_without_memory_changes_nothing, integers_have_one_form_on_the_wire,
                  a_varint_of_more_than_64_bits_is_refused, an_append_of_any_short_length_writes_its_bytes_and_no_more,
                  a_handed_over_buffer_forgets_the_pool, a_buffer_without_a_pool_adopts_the_one_of_its_first_bytes,
                  live_segments_are_counted, a_live_segment_tells_its_way));
    return test_run(suite);
}
