/* An error as one line of text. */
#include "support.h"

#include <conveyor/base.h>
#include <string.h>
#include <uv.h>

static const char *text(cvy_error_t err, size_t n)
{
    static char out[128];
    memset(out, '#', sizeof out);
    cvy_error_format(out, n, &err);
    ck_assert_int_eq(out[n], '#');
    return out;
}

START_TEST(an_error_reads_as_stage_rule_figures_and_code)
{
    cvy_error_t err = { .code = UV_EMSGSIZE,
                        .stage = "frame",
                        .detail = "frame longer than max_frame",
                        .value = 4294967295,
                        .limit = 1048576 };
    ck_assert_str_eq(text(err, 120), "frame: frame longer than max_frame (4294967295 > 1048576): EMSGSIZE");
}
END_TEST

START_TEST(what_an_error_does_not_know_is_left_out_or_said_in_the_systems_words)
{
    ck_assert_str_eq(text((cvy_error_t){ .code = UV_ECONNRESET, .stage = "transport" }, 120),
                     "transport: connection reset by peer: ECONNRESET");
    ck_assert_str_eq(text((cvy_error_t){ .code = UV_EPIPE }, 120), "broken pipe: EPIPE");
    ck_assert_str_eq(text((cvy_error_t){ .code = UV_EPIPE, .detail = "gone" }, 120), "gone: EPIPE");
    ck_assert_str_eq(text((cvy_error_t){ .code = UV_ENOBUFS, .detail = "full", .value = 3, .limit = 2 }, 120),
                     "full (3 > 2): ENOBUFS");
}
END_TEST

START_TEST(text_that_does_not_fit_is_cut)
{
    cvy_error_t err = { .code = UV_ECONNRESET, .stage = "transport" };
    ck_assert_str_eq(text(err, 6), "trans");
    ck_assert_str_eq(text(err, 1), "");
    text(err, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    ADD_TESTS(suite, "format", an_error_reads_as_stage_rule_figures_and_code,
              what_an_error_does_not_know_is_left_out_or_said_in_the_systems_words, text_that_does_not_fit_is_cut);
    return test_run(suite);
}
