/* Fixed frames: contracts E7, M1, M2, M3. */
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1

static const rig_t three = { .stage = &cvy_fixed_stage, .opts = &(cvy_fixed_opts_t){ .bytes = 3 }, .handle = true };

START_TEST(frames_of_three_bytes_however_the_stream_was_cut)
{
    rig_t r = three;
    rig_open(&r);
    rig_feed(&r, LIT("abcdefgh"));
    rig_expect(&r, "abc", "def", NULL);
    rig_close(&r);
    rig_cut_everywhere(&three, LIT("abcdefghijkl"));
    rig_cut_everywhere(&three, LIT("abcdefghijk"));
}
END_TEST

/* M2 */
START_TEST(end_of_stream_inside_a_frame_is_an_error)
{
    rig_t r = three;
    rig_open(&r);
    rig_feed(&r, LIT("abcd"));
    cvy_embedded_end(r.e);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(a_frame_has_a_deadline)
{
    rig_t r = three;
    rig_open(&r);
    rig_feed(&r, LIT("abcd"));
    cvy_embedded_advance(r.e, 29999);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_feed(&r, LIT("ef"));
    ck_assert_uint_eq(r.frames, 1);
    rig_close(&r);
}
END_TEST

/* T6, E7 */
START_TEST(suspended_frames_wait_and_come_in_order)
{
    rig_t r = three;
    r.suspend_at = SIZE_MAX;
    rig_open(&r);
    rig_feed(&r, LIT("abcdefghi"));
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(r.frames, i);
        rig_resume(&r);
    }
    rig_expect(&r, "abc", "def", "ghi", NULL);
    rig_close(&r);
}
END_TEST

/* B6: whoever takes frame after frame, suspending in each, leaves a rest that pinned a whole read */
START_TEST(the_rest_behind_suspended_frames_pins_no_large_read)
{
    static const uint8_t bytes[18005];
    rig_t r = { .stage = &cvy_fixed_stage, .opts = &(cvy_fixed_opts_t){ .bytes = 3000 } };
    r.suspend_at = SIZE_MAX;
    r.no_cache = true;
    rig_open(&r);
    rig_feed(&r, bytes, sizeof bytes);
    for (size_t i = 1; i <= 6; i++)
        rig_resume(&r);
    ck_assert_uint_eq(r.frames, 6);
    ck_assert_uint_lt(rig_memory(), 4096);
    rig_close(&r);
}
END_TEST

START_TEST(a_length_that_can_not_be_is_refused)
{
    static const cvy_fixed_opts_t bad[] = { { .bytes = 0 }, { .bytes = -1 }, { .bytes = 1, .deadline_ms = -2 } };
    for (size_t i = 0; i < 4; i++) {
        rig_t r = { .stage = &cvy_fixed_stage, .opts = i < 3 ? &bad[i] : NULL };
        ck_assert_int_eq(rig_try(&r), UV_EINVAL);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* M3 */
START_TEST(any_allocation_may_fail)
{
    rig_t r = three;
    r.handle = false;
    rig_fail_every_allocation(&r, LIT("abcdefghi"), 100);
    rig_fail_every_allocation(&r, LIT("abcdefghi"), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fixed");
    ADD_TESTS(s, "fixed", frames_of_three_bytes_however_the_stream_was_cut, end_of_stream_inside_a_frame_is_an_error,
              a_frame_has_a_deadline, suspended_frames_wait_and_come_in_order,
              the_rest_behind_suspended_frames_pins_no_large_read, a_length_that_can_not_be_is_refused,
              any_allocation_may_fail);
    return test_run(s);
}
