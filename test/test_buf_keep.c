/* Proves lib/buf/buf_keep.c: keep, the outbound queue and compact (contracts B3, B5, B6). */
#include "fixture_buf.h"

/* B5: kept byte by byte, from a segment per read that would pin 128 KiB each */
START_TEST(a_peer_that_sends_byte_by_byte_costs_twice_its_bytes)
{
    enum { BYTES = 1 << 20 };
    for (size_t i = 0; i < BYTES; i++) {
        uv_buf_t room;
        must(cvy_buf_reserve(&other, 60000) == 0 && cvy_buf_tail_views(&other, &room, 1) == 1);
        *room.base = (char)(i * 11);
        must(cvy_buf_commit(&other, 1) == 1 && cvy_buf_keep(&b, &other) == 0 && cvy_buf_len(&other) == 0);
    }
    ck_assert_uint_eq(cvy_buf_len(&b), BYTES);
    cvy_buf_fini(&other);
    size_t pinned = 0;
    for (cvy_view_t *v = b.head; v; v = v->next)
        pinned += cvy__segment_capacity(v->segment) + sizeof(cvy_segment_t);
    ck_assert_uint_le(pinned, 2 * (size_t)BYTES + CVY__LARGE_BYTES);
    ck_assert_uint_le(pinned, memory.live_bytes);
    for (size_t i = 0; i < BYTES; i += 997) {
        uint8_t byte;
        ck_assert_uint_eq(cvy_buf_peek_at(&b, i, &byte, 1), 1);
        ck_assert_uint_eq(byte, (uint8_t)(i * 11));
    }
}
END_TEST

/* B5 */
START_TEST(keep_links_what_fills_its_segment)
{
    put_pattern(&other, 900);
    const void *place = first_byte(&other);
    put(&b, "before");
    ck_assert_int_eq(cvy_buf_keep(&b, &other), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 2);
    ck_assert_ptr_eq(b.tail->data, place);
}
END_TEST

/* B5 */
START_TEST(keep_copies_a_small_view_of_a_large_segment)
{
    ck_assert_int_eq(cvy_buf_reserve(&other, 100000), 0);
    ck_assert_uint_eq(cvy_buf_commit(&other, 1000), 1000);
    const void *place = first_byte(&other);
    ck_assert_int_eq(cvy_buf_keep(&b, &other), 0);
    ck_assert_ptr_ne(first_byte(&b), place);
    ck_assert_uint_eq(cvy_buf_len(&b), 1000);
    ck_assert_uint_le(cvy__segment_capacity(b.head->segment), 1024 + 16);
}
END_TEST

START_TEST(keep_links_the_neighbour_of_what_is_held)
{
    ck_assert_int_eq(cvy_buf_reserve(&other, 100000), 0);
    ck_assert_uint_eq(cvy_buf_commit(&other, 50010), 50010);
    ck_assert_int_eq(cvy_buf_move(&b, &other, 50000), 0);
    ck_assert_int_eq(cvy_buf_keep(&b, &other), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&b), 1);
    ck_assert_uint_eq(cvy_buf_len(&b), 50010);
}
END_TEST

/* small, large, small, large ...: copies go to the tail, links between them, in order */
START_TEST(keep_mixes_copies_and_links_in_order)
{
    static uint8_t all[40000];
    size_t at = 0;
    for (int i = 0; i < 12; i++) {
        cvy_buf_t piece;
        cvy_buf_init(&piece, pool);
        size_t n = i % 3 == 1 ? 800 : 30 + (size_t)i;
        for (size_t k = 0; k < n; k++)
            all[at + k] = (uint8_t)((at + k) * 13);
        ck_assert_int_eq(cvy_buf_append(&piece, all + at, n), 0);
        ck_assert_int_eq(cvy_buf_append_buf(&other, &piece), 0);
        at += n;
    }
    ck_assert_int_eq(cvy_buf_keep(&b, &other), 0);
    drive_check_shape(&b);
    ck_assert(cvy_buf_equal(&b, all, at));
    ck_assert_uint_eq(cvy_buf_len(&other), 0);
}
END_TEST

/* B3 */
START_TEST(keep_without_memory_changes_nothing)
{
    put(&b, "held");
    ck_assert_int_eq(cvy_buf_share(&third, &b), 0); /* so that there is no room in place */
    put(&other, "more");
    size_t room = cvy_buf_writable(&other);
    cvy_pool_t *all = pool;
    memory_ends();
    b.pool = NULL;
    ck_assert_int_eq(cvy_buf_keep(&b, &other), UV_ENOMEM);
    b.pool = all;
    memory_returns();
    holds(&b, "held");
    holds(&other, "more");
    ck_assert_uint_eq(cvy_buf_writable(&b), 0);
    ck_assert_uint_eq(cvy_buf_writable(&other), room);
}
END_TEST

/* B5: the outbound queue */
START_TEST(the_queue_copies_few_bytes_into_its_tail)
{
    put(&b, "reply 1;");
    put(&other, "reply 2;");
    ck_assert_int_eq(cvy__buf_queue(&third, &b, false), 0);
    ck_assert_int_eq(cvy__buf_queue(&third, &other, false), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&third), 1);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
    holds(&third, "reply 1;reply 2;");
    holds(&other, "");
}
END_TEST

/* B5 */
START_TEST(the_queue_links_many_bytes)
{
    put(&b, "small");
    put_pattern(&other, 900);
    const void *place = first_byte(&other);
    ck_assert_int_eq(cvy__buf_queue(&third, &b, false), 0);
    ck_assert_int_eq(cvy__buf_queue(&third, &other, false), 0);
    ck_assert_uint_eq(cvy_buf_view_count(&third), 2);
    ck_assert_ptr_eq(third.tail->data, place);
}
END_TEST

static bool has_view_at(const cvy_buf_t *buf, const void *place)
{
    const cvy_view_t *v = buf->head;
    while (v && v->data != place)
        v = v->next;
    return v != NULL;
}

/* B5, B6: small for what it pins, and nobody takes it soon */
START_TEST(the_queue_copies_more_while_it_is_blocked)
{
    put_pattern(&b, 100000);
    ck_assert_int_eq(cvy_buf_move(&third, &b, 1000), 0);
    cvy_buf_advance(&b, 1);
    ck_assert_int_eq(cvy_buf_move(&other, &b, 3000), 0);
    const void *place = first_byte(&other);
    ck_assert_int_eq(cvy__buf_queue(&third, &other, true), 0);
    ck_assert_uint_eq(cvy_buf_len(&third), 4000);
    ck_assert(!has_view_at(&third, place));
    cvy_buf_advance(&b, 1);
    ck_assert_int_eq(cvy_buf_move(&other, &b, 5000), 0);
    place = first_byte(&other);
    ck_assert_int_eq(cvy__buf_queue(&third, &other, true), 0);
    ck_assert(has_view_at(&third, place)); /* large enough to be worth what it pins */
}
END_TEST

/* B5 */
START_TEST(the_queue_gathers_tiny_pieces_of_a_shared_segment)
{
    put_pattern(&b, 1000);
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(cvy_buf_move(&other, &b, 1), 0);
        cvy_buf_advance(&b, 1);
        ck_assert_int_eq(cvy__buf_queue(&third, &other, false), 0);
    }
    ck_assert_uint_eq(cvy_buf_len(&third), 100);
    ck_assert_uint_le(cvy_buf_view_count(&third), 2);
    for (size_t i = 0; i < 100; i++) {
        uint8_t byte;
        cvy_buf_peek_at(&third, i, &byte, 1);
        ck_assert_uint_eq(byte, (uint8_t)(2 * i * 7 + 2 * i / 256));
    }
}
END_TEST

START_TEST(the_queue_links_when_there_is_no_memory_to_copy)
{
    cvy_buf_t pieces = CVY_BUF_INIT;
    put(&pieces, "a-b-c");
    cvy_buf_t out = CVY_BUF_INIT, in = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_slice(&out, &pieces, 0, 1), 0);
    ck_assert_int_eq(cvy_buf_slice(&in, &pieces, 2, 1), 0);
    memory_ends();
    ck_assert_int_eq(cvy__buf_queue(&out, &in, false), 0);
    memory_returns();
    holds(&out, "ab");
    ck_assert_uint_eq(cvy_buf_view_count(&out), 2);
    cvy_buf_fini(&out);
    cvy_buf_fini(&pieces);
}
END_TEST

/* B6 */
START_TEST(compact_frees_a_large_segment_that_little_is_held_of)
{
    ck_assert_int_eq(cvy_buf_reserve(&other, 100000), 0);
    ck_assert_uint_eq(cvy_buf_commit(&other, 100000), 100000);
    ck_assert_int_eq(cvy_buf_slice(&b, &other, 5000, 10), 0);
    cvy_buf_fini(&other);
    ck_assert_uint_ge(cvy__segment_capacity(b.head->segment), 100000);
    uint64_t consumed = b.consumed;
    ck_assert_int_eq(cvy_buf_compact(&b), 0);
    drive_check_shape(&b);
    ck_assert_uint_le(cvy__segment_capacity(b.head->segment), 1024 + 16);
    ck_assert_uint_eq(cvy_buf_len(&b), 10);
    ck_assert_uint_eq(b.consumed, consumed);
    ck_assert_uint_eq(cvy_pool_live(pool), 1);
}
END_TEST

START_TEST(compact_leaves_full_segments_and_its_own_work_alone)
{
    put_pattern(&b, 5000);
    ck_assert_int_eq(cvy_buf_reserve(&other, 100000), 0);
    ck_assert_uint_eq(cvy_buf_commit(&other, 3000), 3000);
    ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    const void *place = first_byte(&b);
    ck_assert_int_eq(cvy_buf_compact(&b), 0);
    ck_assert_ptr_eq(first_byte(&b), place);
    ck_assert_uint_le(cvy__segment_capacity(b.tail->segment), 3016);
    uint64_t asked = memory.asked;
    const void *tail = b.tail->data;
    ck_assert_int_eq(cvy_buf_compact(&b), 0);
    ck_assert_ptr_eq(b.tail->data, tail);
    ck_assert_uint_eq(memory.asked, asked);
}
END_TEST

/* B3 */
START_TEST(compact_without_memory_changes_nothing)
{
    ck_assert_int_eq(cvy_buf_reserve(&b, 100000), 0);
    ck_assert_uint_eq(cvy_buf_commit(&b, 5000), 5000);
    const void *place = first_byte(&b);
    memory_ends();
    ck_assert_int_eq(cvy_buf_compact(&b), UV_ENOMEM);
    memory_returns();
    ck_assert_ptr_eq(first_byte(&b), place);
    ck_assert_uint_eq(cvy_buf_len(&b), 5000);
    drive_check_shape(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf_keep");
    add(ADD_TESTS(suite, "keep", a_peer_that_sends_byte_by_byte_costs_twice_its_bytes,
                  keep_links_what_fills_its_segment, keep_copies_a_small_view_of_a_large_segment,
                  keep_links_the_neighbour_of_what_is_held, keep_mixes_copies_and_links_in_order,
                  keep_without_memory_changes_nothing, the_queue_copies_few_bytes_into_its_tail,
                  the_queue_links_many_bytes, the_queue_copies_more_while_it_is_blocked,
                  the_queue_gathers_tiny_pieces_of_a_shared_segment, the_queue_links_when_there_is_no_memory_to_copy,
                  compact_frees_a_large_segment_that_little_is_held_of,
                  compact_leaves_full_segments_and_its_own_work_alone, compact_without_memory_changes_nothing));
    return test_run(suite);
}
