/* The version: the macros, the text and what the library answers are one. */
#include <conveyor/conveyor.h>
#include <stdio.h>

#include "support.h"

START_TEST(the_macros_are_what_the_library_answers)
{
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", CVY_VERSION_MAJOR, CVY_VERSION_MINOR, CVY_VERSION_PATCH);
    ck_assert_str_eq(text, CVY_VERSION);
    ck_assert_str_eq(text, cvy_version());
    ck_assert_str_eq(text, PROJECT_VERSION); /* meson.build's */
}
END_TEST

START_TEST(the_number_orders_versions)
{
    ck_assert_int_eq(CVY_VERSION_NUMBER >> 16, CVY_VERSION_MAJOR);
    ck_assert_int_eq(CVY_VERSION_NUMBER >> 8 & 255, CVY_VERSION_MINOR);
    ck_assert_int_eq(CVY_VERSION_NUMBER & 255, CVY_VERSION_PATCH);
#if CVY_VERSION_NUMBER < 0x000100
    ck_abort_msg("the preprocessor can't compare it");
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("version");
    ADD_TESTS(suite, "version", the_macros_are_what_the_library_answers, the_number_orders_versions);
    return test_run(suite);
}
