/* Lines: contracts E7, M1, M2, M3; security classes S5, S6, S7. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1
#define LINES(...)     \
    &(cvy_line_opts_t) \
    {                  \
        __VA_ARGS__    \
    }

static rig_t line(const cvy_line_opts_t *o)
{
    return (rig_t){ .stage = &cvy_line_stage, .opts = o, .handle = true };
}

START_TEST(lines_end_with_lf_and_may_have_a_cr_before_it)
{
    rig_t r = line(NULL);
    rig_open(&r);
    rig_feed(&r, LIT("one\ntwo\r\n\n\r\na\rb\r\r\nrest"));
    rig_expect(&r, "one", "two", "", "", "a\rb\r", NULL);
    rig_feed(&r, LIT("!\n"));
    ck_assert_uint_eq(r.frames, 6);
    rig_close(&r);
}
END_TEST

START_TEST(ends_can_be_kept)
{
    rig_t r = line(LINES(.keep_end = 1));
    rig_open(&r);
    rig_feed(&r, LIT("one\ntwo\r\n\n\r\n"));
    rig_expect(&r, "one\n", "two\r\n", "\n", "\r\n", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(a_lone_cr_can_end_a_line)
{
    rig_t r = line(LINES(.lone_cr = CVY_LONE_CR_ENDS));
    rig_open(&r);
    rig_feed(&r, LIT("one\rtwo\r\nthree\n\r\r\n\n"));
    rig_expect(&r, "one", "two", "three", "", "", "", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(a_line_that_ends_with_a_cr_does_not_wait_for_what_follows)
{
    rig_t r = line(LINES(.lone_cr = CVY_LONE_CR_ENDS));
    rig_open(&r);
    rig_feed(&r, LIT("one\r"));
    rig_expect(&r, "one", NULL);
    rig_feed(&r, LIT("\n"));
    rig_feed(&r, LIT("\n"));
    rig_expect(&r, "one", "", NULL);
    cvy_embedded_end(r.e); /* and the dropped one is no begun line */
    ck_assert_uint_eq(r.errors, 0);
    rig_close(&r);
}
END_TEST

START_TEST(a_lone_cr_can_be_an_error)
{
    rig_t r = line(LINES(.lone_cr = CVY_LONE_CR_FAILS));
    rig_open(&r);
    rig_feed(&r, LIT("one\r\ntwo\nthr\ree\nfour\n"));
    rig_expect(&r, "one", "two", NULL);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    rig_feed(&r, LIT("five\n"));
    ck_assert_uint_eq(r.frames, 2);
    rig_close(&r);
}
END_TEST

/* S5: CR at the end of a segment, split, doubled, lone; at all cut positions. */
START_TEST(lines_do_not_depend_on_how_the_stream_was_cut)
{
    static const char bytes[] = "one\r\ntwo\n\r\r\n\rx\r\n\n\r\nlast but one\r\n\r\r\r\n";
    static const char plain[] = "one\r\ntwo\n\r\n\n\nlast but one\r\nunfinished\r";
    for (int cr = CVY_LONE_CR_CONTENT; cr <= CVY_LONE_CR_FAILS; cr++)
        for (int64_t max = 1; max < 20; max++) {
            rig_t r = line(LINES(.lone_cr = (cvy_lone_cr_t)cr, .max_line = max));
            rig_cut_everywhere(&r, LIT(bytes));
            rig_cut_everywhere(&r, LIT(plain));
            rig_cut_everywhere(&r, LIT("ab\ncdefg\rhi\n"));
        }
    rig_t kept = line(LINES(.keep_end = 1));
    rig_cut_everywhere(&kept, LIT(bytes));
}
END_TEST

/* M1 */
START_TEST(a_line_of_max_line_passes_and_one_more_does_not)
{
    for (size_t piece = 1; piece < 8; piece++) {
        rig_t a = line(LINES(.max_line = 4)), b = line(LINES(.max_line = 4));
        rig_open(&a);
        rig_feed_pieces(&a, LIT("abcd\r\nabcd\n"), piece);
        rig_expect(&a, "abcd", "abcd", NULL);
        ck_assert_uint_eq(a.errors, 0);
        rig_close(&a);
        rig_open(&b);
        rig_feed_pieces(&b, LIT("abcde\nf\n"), piece);
        ck_assert_uint_eq(b.frames, 0);
        ck_assert_int_eq(b.error.code, UV_EMSGSIZE);
        ck_assert_uint_eq(b.error.limit, 4);
        rig_close(&b);
    }
}
END_TEST

/* M1, S25: before a line end has come. */
START_TEST(an_endless_line_is_refused_as_soon_as_it_is_too_long)
{
    static char bytes[65537];
    rig_t r = line(NULL);
    memset(bytes, 'x', sizeof bytes);
    rig_open(&r);
    rig_feed(&r, bytes, 65536);
    ck_assert_uint_eq(r.errors, 0);
    rig_feed(&r, bytes, 1);
    ck_assert_int_eq(r.error.code, UV_EMSGSIZE);
    ck_assert_uint_eq(rig_live(&r), 0);
    rig_close(&r);
}
END_TEST

START_TEST(a_hundred_thousand_lines_in_one_buffer_are_not_rescanned)
{
    enum { LINES_ = 400000 };
    char *bytes = malloc(2 * LINES_);
    for (int i = 0; i < LINES_; i++)
        memcpy(bytes + 2 * i, "x\n", 2);
    for (int cr = CVY_LONE_CR_CONTENT; cr <= CVY_LONE_CR_FAILS; cr++) {
        rig_t r = line(LINES(.lone_cr = (cvy_lone_cr_t)cr));
        rig_open(&r);
        rig_feed(&r, bytes, 2 * LINES_);
        ck_assert_uint_eq(r.frames, LINES_);
        rig_close(&r);
    }
    free(bytes);
}
END_TEST

/* M2 */
START_TEST(end_of_stream_inside_a_line_is_an_error)
{
    rig_t r = line(NULL);
    rig_open(&r);
    rig_feed(&r, LIT("one\ntw"));
    cvy_embedded_end(r.e);
    rig_expect(&r, "one", NULL);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(a_line_has_a_deadline)
{
    rig_t r = line(LINES(.deadline_ms = 500));
    rig_open(&r);
    rig_feed(&r, LIT("one\n"));
    cvy_embedded_advance(r.e, 10000);
    for (int i = 0; i < 5; i++) {
        rig_feed(&r, "x", 1);
        ck_assert_uint_eq(r.errors, 0);
        cvy_embedded_advance(r.e, 100);
    }
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* T6, E7 */
START_TEST(suspended_lines_wait_and_come_in_order)
{
    rig_t r = line(NULL);
    r.suspend_at = SIZE_MAX;
    rig_open(&r);
    rig_feed(&r, LIT("a\nb\r\nc\nd"));
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(r.frames, i);
        rig_resume(&r);
    }
    rig_expect(&r, "a", "b", "c", NULL);
    rig_close(&r);
}
END_TEST

/* C4 */
START_TEST(a_removed_line_stage_passes_on_what_it_holds)
{
    rig_t r = line(NULL);
    r.remove_at = 1;
    rig_open(&r);
    rig_feed(&r, LIT("a\nb\nc"));
    rig_expect(&r, "a", "b\nc", NULL);
    rig_close(&r);
}
END_TEST

/* E6, E7 */
START_TEST(closing_inside_a_line_stops_the_rest)
{
    rig_t r = line(NULL);
    r.close_at = 1;
    rig_open(&r);
    rig_feed(&r, LIT("a\nb\nc\n"));
    rig_expect(&r, "a", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(outbound_buffers_get_their_end)
{
    static const char *const want[] = { "hello", "hello\n", "hello\r\n" };
    for (int end = CVY_LINE_END_NONE; end <= CVY_LINE_END_CRLF; end++) {
        rig_t r = line(LINES(.outbound = (cvy_line_end_t)end));
        rig_open(&r);
        rig_write(&r, "hello", 5);
        ck_assert(rig_sent(&r, want[end], strlen(want[end])));
        rig_close(&r);
    }
}
END_TEST

START_TEST(options_that_can_not_be_are_refused)
{
    static const cvy_line_opts_t bad[] = { { .max_line = -2 },
                                           { .deadline_ms = -2 },
                                           { .lone_cr = (cvy_lone_cr_t)3 },
                                           { .outbound = (cvy_line_end_t)3 },
                                           { .keep_end = 1, .lone_cr = CVY_LONE_CR_ENDS } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rig_t r = line(&bad[i]);
        ck_assert_int_eq(rig_try(&r), UV_EINVAL);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* M3 */
START_TEST(any_allocation_may_fail)
{
    rig_t r = line(LINES(.outbound = CVY_LINE_END_CRLF));
    r.handle = false;
    rig_fail_every_allocation(&r, LIT("one\ntwo\r\nthree\n"), 100);
    rig_fail_every_allocation(&r, LIT("one\ntwo\r\nthree\n"), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("line");
    ADD_TESTS(s, "ends", lines_end_with_lf_and_may_have_a_cr_before_it, ends_can_be_kept, a_lone_cr_can_end_a_line,
              a_line_that_ends_with_a_cr_does_not_wait_for_what_follows, a_lone_cr_can_be_an_error,
              outbound_buffers_get_their_end);
    ADD_TESTS(s, "long", lines_do_not_depend_on_how_the_stream_was_cut,
              a_hundred_thousand_lines_in_one_buffer_are_not_rescanned);
    ADD_TESTS(s, "limits", a_line_of_max_line_passes_and_one_more_does_not,
              an_endless_line_is_refused_as_soon_as_it_is_too_long, end_of_stream_inside_a_line_is_an_error,
              a_line_has_a_deadline, options_that_can_not_be_are_refused, any_allocation_may_fail);
    ADD_TESTS(s, "flow", suspended_lines_wait_and_come_in_order, a_removed_line_stage_passes_on_what_it_holds,
              closing_inside_a_line_stops_the_rest);
    return test_run(s);
}
