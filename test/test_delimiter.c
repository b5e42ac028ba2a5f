/* Delimiters: contracts E7, M1, M2, M3; security classes S6, S7. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1
#define ONE(text) .delimiters = &(cvy_delimiter_t){ LIT(text) }, .count = 1

static rig_t delimited(const cvy_delimiter_opts_t *o)
{
    return (rig_t){ .stage = &cvy_delimiter_stage, .opts = o, .handle = true };
}

START_TEST(frames_end_with_the_delimiter)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ ONE("--") });
    rig_open(&r);
    rig_feed(&r, LIT("one--two----a-b---rest"));
    rig_expect(&r, "one", "two", "", "a-b", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(without_options_a_zero_byte_ends_a_frame)
{
    rig_t r = delimited(NULL);
    rig_open(&r);
    rig_feed(&r, LIT("one\0two\0\0"));
    rig_expect(&r, "one", "two", "", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(delimiters_can_be_kept)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ ONE("--"), .keep_end = 1 });
    rig_open(&r);
    rig_feed(&r, LIT("one----"));
    rig_expect(&r, "one--", "--", NULL);
    rig_close(&r);
}
END_TEST

static const cvy_delimiter_t several[] = { { LIT("\r\n") }, { LIT("\n") }, { LIT("xyz") }, { LIT("y") } };

START_TEST(of_several_the_first_to_be_complete_ends_the_frame_and_of_those_the_longest)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ .delimiters = several, .count = 4 });
    rig_open(&r);
    rig_feed(&r, LIT("a\r\nb\ncxyz\n"));
    rig_expect(&r, "a", "b", "cx", "z", NULL);
    rig_close(&r);
}
END_TEST

/* S7: one that straddles a cut is found. */
START_TEST(frames_do_not_depend_on_how_the_stream_was_cut)
{
    static const char bytes[] = "abababc--aab-ab--\r\nabc\n\n\rxyzababababaaabc";
    static const cvy_delimiter_t overlapping[] = { { LIT("ababc") }, { LIT("aab") }, { LIT("--") } };
    rig_t a = delimited(&(cvy_delimiter_opts_t){ .delimiters = several, .count = 4 });
    rig_t b = delimited(&(cvy_delimiter_opts_t){ .delimiters = overlapping, .count = 3 });
    rig_cut_everywhere(&a, LIT(bytes));
    rig_cut_everywhere(&b, LIT(bytes));
    for (int64_t max = 1; max < 16; max++) {
        rig_t c = delimited(&(cvy_delimiter_opts_t){ .delimiters = overlapping, .count = 3, .max_frame = max });
        rig_cut_everywhere(&c, LIT(bytes));
    }
}
END_TEST

/* M1 */
START_TEST(a_frame_of_max_frame_passes_and_one_more_does_not)
{
    for (size_t piece = 1; piece < 9; piece++) {
        rig_t a = delimited(&(cvy_delimiter_opts_t){ ONE("1234"), .max_frame = 4 }), b = a;
        rig_open(&a);
        rig_feed_pieces(&a, LIT("abcd1234123412"), piece);
        rig_expect(&a, "abcd", "", NULL);
        ck_assert_uint_eq(a.errors, 0);
        rig_close(&a);
        rig_open(&b);
        rig_feed_pieces(&b, LIT("abcde1234f1234"), piece);
        ck_assert_uint_eq(b.frames, 0);
        ck_assert_int_eq(b.error.code, UV_EMSGSIZE);
        rig_close(&b);
    }
}
END_TEST

/* M1 */
START_TEST(an_endless_frame_is_refused_when_no_delimiter_can_save_it)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ ONE("1234"), .max_frame = 4 });
    rig_open(&r);
    rig_feed(&r, LIT("abcd123"));
    ck_assert_uint_eq(r.errors, 0);
    rig_feed(&r, LIT("5"));
    ck_assert_int_eq(r.error.code, UV_EMSGSIZE);
    ck_assert_uint_eq(rig_live(&r), 0);
    rig_close(&r);
}
END_TEST

/* S6. */
START_TEST(a_burst_is_not_rescanned)
{
    enum { N = 400000 };
    rig_t r = delimited(&(cvy_delimiter_opts_t){ .delimiters = several, .count = 2, .max_frame = 1 << 20 });
    char *bytes = malloc(2 * N);
    for (int i = 0; i < N; i++)
        memcpy(bytes + 2 * i, "x\n", 2);
    rig_open(&r);
    rig_feed(&r, bytes, 2 * N);
    ck_assert_uint_eq(r.frames, N);
    free(bytes);
    rig_close(&r);
}
END_TEST

/* M2 */
START_TEST(end_of_stream_inside_a_frame_is_an_error)
{
    rig_t r = delimited(NULL);
    rig_open(&r);
    rig_feed(&r, LIT("one\0tw"));
    cvy_embedded_end(r.e);
    rig_expect(&r, "one", NULL);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    rig_close(&r);
}
END_TEST

START_TEST(outbound_buffers_get_the_first_delimiter)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ .delimiters = several, .count = 4, .append_outbound = 1 });
    rig_open(&r);
    rig_write(&r, "hello", 5);
    ck_assert(rig_sent(&r, LIT("hello\r\n")));
    rig_close(&r);
}
END_TEST

START_TEST(options_that_can_not_be_are_refused)
{
    static const cvy_delimiter_t empty = { "", 0 }, seventeen = { "12345678901234567", 17 };
    static const cvy_delimiter_opts_t bad[] = { { .delimiters = &empty, .count = 1 },
                                                { .delimiters = &seventeen, .count = 1 },
                                                { .delimiters = several, .count = 5 },
                                                { .max_frame = -2 },
                                                { .deadline_ms = -2 } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rig_t r = delimited(&bad[i]);
        ck_assert_int_eq(rig_try(&r), UV_EINVAL);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

START_TEST(sixteen_bytes_are_not_too_many)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ ONE("1234567890123456") });
    rig_cut_everywhere(&r, LIT("a1234567890123456b112345678901234561234567890123456"));
}
END_TEST

/* M3 */
START_TEST(any_allocation_may_fail)
{
    rig_t r = delimited(&(cvy_delimiter_opts_t){ ONE("--"), .append_outbound = 1 });
    r.handle = false;
    rig_fail_every_allocation(&r, LIT("one--two--three--"), 100);
    rig_fail_every_allocation(&r, LIT("one--two--three--"), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("delimiter");
    ADD_TESTS(s, "ends", frames_end_with_the_delimiter, without_options_a_zero_byte_ends_a_frame,
              delimiters_can_be_kept, of_several_the_first_to_be_complete_ends_the_frame_and_of_those_the_longest,
              outbound_buffers_get_the_first_delimiter, sixteen_bytes_are_not_too_many);
    ADD_TESTS(s, "long", frames_do_not_depend_on_how_the_stream_was_cut, a_burst_is_not_rescanned);
    ADD_TESTS(s, "limits", a_frame_of_max_frame_passes_and_one_more_does_not,
              an_endless_frame_is_refused_when_no_delimiter_can_save_it, end_of_stream_inside_a_frame_is_an_error,
              options_that_can_not_be_are_refused, any_allocation_may_fail);
    return test_run(s);
}
