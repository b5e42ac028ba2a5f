/* Proves lib/buf/cursor.c: a cursor is a position in the stream (contract B8). */
#include "support.h"

#include <string.h>
#include <uv.h>

#include <conveyor/cursor.h>

static cvy_pool_t *pool;
static cvy_buf_t b, other;
static cvy_cursor_t c;

static void setup(void)
{
    ck_assert_int_eq(cvy_pool_new(&pool, NULL), 0);
    cvy_buf_init(&b, pool);
    cvy_buf_init(&other, pool);
    cvy_cursor_init(&c, &b);
}

static void teardown(void)
{
    cvy_buf_fini(&b);
    cvy_buf_fini(&other);
    ck_assert_uint_eq(cvy_pool_live(pool), 0);
    cvy_pool_free(pool);
}

static void reads(const char *text)
{
    char out[64] = { 0 };
    ck_assert_int_eq(cvy_cursor_read(&c, out, strlen(text)), 0);
    ck_assert_str_eq(out, text);
}

static void is_at(size_t want)
{
    size_t offset = SIZE_MAX;
    ck_assert_int_eq(cvy_cursor_offset(&c, &offset), 0);
    ck_assert_uint_eq(offset, want);
}

/* B8 */
START_TEST(reading_moves_the_cursor_and_consumes_nothing)
{
    cvy_buf_append(&b, "hello, world", 12);
    reads("hello");
    is_at(5);
    ck_assert_uint_eq(cvy_buf_len(&b), 12);
    reads(", world");
    is_at(12);
}
END_TEST

/* B8 */
START_TEST(a_short_read_moves_nothing)
{
    char out[8] = "kept";
    cvy_buf_append(&b, "abc", 3);
    reads("a");
    ck_assert_int_eq(cvy_cursor_read(&c, out, 3), UV_EAGAIN);
    ck_assert_int_eq(cvy_cursor_read(&c, out, SIZE_MAX), UV_EAGAIN);
    ck_assert_str_eq(out, "kept");
    is_at(1);
    reads("bc");
    ck_assert_int_eq(cvy_cursor_read(&c, out, 1), UV_EAGAIN);
    ck_assert_int_eq(cvy_cursor_read(&c, out, 0), 0);
}
END_TEST

/* B8: The seeds say both that it does and that it does not move. It does not. */
START_TEST(an_append_does_not_move_the_cursor)
{
    cvy_buf_append(&b, "abc", 3);
    reads("abc");
    cvy_buf_append(&b, "def", 3);
    is_at(3);
    cvy_buf_append(&other, "ghi", 3);
    ck_assert_int_eq(cvy_buf_append_buf(&b, &other), 0);
    is_at(3);
    reads("defghi");
}
END_TEST

/* B8 */
START_TEST(the_cursor_stays_at_its_byte_when_bytes_leave_in_front)
{
    cvy_buf_append(&b, "0123456789", 10);
    ck_assert_int_eq(cvy_cursor_seek(&c, 6), 0);
    cvy_buf_advance(&b, 2);
    is_at(4);
    ck_assert_int_eq(cvy_buf_move(&other, &b, 3), 0);
    is_at(1);
    ck_assert_int_eq(cvy_buf_prepend(&b, "xyz", 3), 0);
    is_at(4);
    reads("6789");
}
END_TEST

/* B8 */
START_TEST(a_place_already_advanced_past_is_out_of_range)
{
    size_t offset = 77;
    uint8_t byte = 77;
    uint64_t v = 77;
    cvy_buf_append(&b, "0123456789", 10);
    reads("012");
    cvy_buf_advance(&b, 4);
    ck_assert_int_eq(cvy_cursor_offset(&c, &offset), UV_ERANGE);
    ck_assert_int_eq(cvy_cursor_read(&c, &byte, 1), UV_ERANGE);
    ck_assert_int_eq(cvy_cursor_read_u8(&c, &byte), UV_ERANGE);
    ck_assert_int_eq(cvy_cursor_read_varint(&c, &v), UV_ERANGE);
    ck_assert(offset == 77 && byte == 77 && v == 77);
    ck_assert_int_eq(cvy_cursor_seek(&c, 0), 0);
    reads("4");
}
END_TEST

/* B8 */
START_TEST(a_seek_stays_within_the_bytes)
{
    cvy_buf_append(&b, "abc", 3);
    ck_assert_int_eq(cvy_cursor_seek(&c, 3), 0);
    ck_assert_int_eq(cvy_cursor_seek(&c, 4), UV_ERANGE);
    ck_assert_int_eq(cvy_cursor_seek(&c, SIZE_MAX), UV_ERANGE);
    is_at(3);
    ck_assert_int_eq(cvy_cursor_seek(&c, 1), 0);
    reads("bc");
}
END_TEST

/* B8 */
START_TEST(what_replaced_the_bytes_is_not_what_the_cursor_meant)
{
    size_t offset;
    cvy_buf_append(&b, "old", 3);
    reads("o");
    cvy_buf_append(&other, "newer", 5);
    ck_assert_int_eq(cvy_buf_take(&b, &other), 0);
    ck_assert_int_eq(cvy_cursor_offset(&c, &offset), UV_ERANGE);
    cvy_buf_fini(&b);
    ck_assert_int_eq(cvy_cursor_offset(&c, &offset), UV_ERANGE);
}
END_TEST

#define CHECK_INT(name, type, value)                                               \
    do {                                                                           \
        type v_ = 1;                                                               \
        cvy_cursor_init(&c, &b);                                                   \
        ck_assert_int_eq(cvy_cursor_read_##name(&c, &v_), 0);                      \
        ck_assert(v_ == (type)(value));                                            \
        is_at(sizeof v_);                                                          \
        ck_assert_int_eq(cvy_cursor_seek(&c, cvy_buf_len(&b) - sizeof v_ + 1), 0); \
        v_ = 1;                                                                    \
        ck_assert_int_eq(cvy_cursor_read_##name(&c, &v_), UV_EAGAIN);              \
        ck_assert(v_ == 1);                                                        \
        is_at(cvy_buf_len(&b) - sizeof v_ + 1);                                    \
    } while (0)

/* B7 */
START_TEST(integers_are_read_in_both_orders)
{
    static const uint8_t wire[] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0x01 };
    for (size_t i = 0; i < sizeof wire; i++) { /* each byte in a view of its own */
        cvy_buf_append(&other, wire + i, 1);
        cvy_buf_append_buf(&b, &other);
    }
    CHECK_INT(u8, uint8_t, 0xfe);
    CHECK_INT(u16, uint16_t, 0xfedc);
    CHECK_INT(u32, uint32_t, 0xfedcba98);
    CHECK_INT(u64, uint64_t, 0xfedcba9876543210);
    CHECK_INT(i8, int8_t, -2);
    CHECK_INT(i16, int16_t, -292);
    CHECK_INT(i32, int32_t, -19088744);
    CHECK_INT(i64, int64_t, -81985529216486896);
    CHECK_INT(u16_le, uint16_t, 0xdcfe);
    CHECK_INT(u32_le, uint32_t, 0x98badcfe);
    CHECK_INT(u64_le, uint64_t, 0x1032547698badcfe);
    CHECK_INT(i16_le, int16_t, -8962);
    CHECK_INT(i32_le, int32_t, -1732584194);
    CHECK_INT(i64_le, int64_t, 0x1032547698badcfe);
}
END_TEST

/* B7 */
START_TEST(varints_are_read_whole_or_not_at_all)
{
    uint64_t v = 7;
    cvy_buf_append(&b, "\xac\x02\x80", 3);
    ck_assert_int_eq(cvy_cursor_read_varint(&c, &v), 0);
    ck_assert_uint_eq(v, 300);
    ck_assert_int_eq(cvy_cursor_read_varint(&c, &v), UV_EAGAIN);
    is_at(2);
    cvy_buf_append(&b, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    ck_assert_int_eq(cvy_cursor_read_varint(&c, &v), UV_EINVAL);
    is_at(2);
    ck_assert_uint_eq(v, 300);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *tc = ADD_TESTS(suite, "cursor", reading_moves_the_cursor_and_consumes_nothing, a_short_read_moves_nothing,
                          an_append_does_not_move_the_cursor, the_cursor_stays_at_its_byte_when_bytes_leave_in_front,
                          a_place_already_advanced_past_is_out_of_range, a_seek_stays_within_the_bytes,
                          what_replaced_the_bytes_is_not_what_the_cursor_meant, integers_are_read_in_both_orders,
                          varints_are_read_whole_or_not_at_all);
    tcase_add_checked_fixture(tc, setup, teardown);
    return test_run(suite);
}
