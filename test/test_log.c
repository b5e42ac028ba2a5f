/* The logging hook. */
#include "support.h"

#include <stdatomic.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"

static char last[600];
static cvy_log_level_t last_level;

static void keep(void *arg, cvy_log_level_t level, const char *line)
{
    ck_assert_ptr_eq(arg, last);
    last_level = level;
    strcpy(last, line);
}

START_TEST(a_line_goes_to_the_hook_with_its_level_and_argument)
{
    cvy_log_set(keep, last);
    cvy__log(CVY_LOG_INFO, "%d bytes", 7);
    ck_assert_str_eq(last, "7 bytes");
    ck_assert_int_eq(last_level, CVY_LOG_INFO);
    cvy_log_set(NULL, NULL);
    cvy__log(CVY_LOG_ERROR, "nobody hears this");
    ck_assert_str_eq(last, "7 bytes");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
    static char text[2000];
    memset(text, 'x', sizeof text - 1);
    cvy_log_set(keep, last);
    cvy__log(CVY_LOG_WARN, "%s", text);
    ck_assert_uint_eq(strlen(last), 511);
}
END_TEST

static void set_and_log(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
    cvy_log_set(keep, last);
    cvy__log(CVY_LOG_DEBUG, "inner");
}

START_TEST(a_hook_may_log_and_replace_itself)
{
    cvy_log_set(set_and_log, NULL);
    cvy__log(CVY_LOG_DEBUG, "outer");
    ck_assert_str_eq(last, "inner");
}
END_TEST

/* M7: callback and argument change together */
static void expect_own_argument_a(void *arg, cvy_log_level_t level, const char *line)
{
    (void)level;
    (void)line;
    ck_assert_str_eq(arg, "a");
}

static void expect_own_argument_b(void *arg, cvy_log_level_t level, const char *line)
{
    (void)level;
    (void)line;
    ck_assert_str_eq(arg, "b");
}

static atomic_int stop;

static void log_for_ever(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop))
        cvy__log(CVY_LOG_INFO, "line");
}

/* M7 */
START_TEST(the_hook_can_be_changed_while_others_log)
{
    uv_thread_t threads[2];
    cvy_log_set(expect_own_argument_a, (char *)"a");
    for (int i = 0; i < 2; i++)
        uv_thread_create(&threads[i], log_for_ever, NULL);
    for (int i = 0; i < 20000; i++)
        cvy_log_set(i % 2 ? expect_own_argument_a : expect_own_argument_b, (char *)(i % 2 ? "a" : "b"));
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        uv_thread_join(&threads[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    ADD_TESTS(suite, "hook", a_line_goes_to_the_hook_with_its_level_and_argument, a_long_line_is_cut,
              a_hook_may_log_and_replace_itself, the_hook_can_be_changed_while_others_log);
    return test_run(suite);
}
