/* The shared part of every test executable. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

TCase *test_case(const char *name)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 240); /* only a hang takes so long, also on a slow and busy machine; check's own is 4 s */
    return tc;
}

TCase *test_add(Suite *suite, const char *name, const TTest *const *tests, size_t n)
{
    TCase *tc = test_case(name);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    return tc;
}

int test_run(Suite *suite)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || !run ? EXIT_FAILURE : EXIT_SUCCESS;
}

int test_scaled(int n)
{
    const char *by = getenv("CVY_TEST_SCALE");
    int scale = by ? atoi(by) : 1;
    return scale > 1 ? n / scale : n;
}

uint64_t test_seed(void)
{
    const char *given = getenv("CVY_TEST_SEED");
    uint64_t seed = !given                      ? 1
                    : strcmp(given, "day") == 0 ? (uint64_t)time(NULL) * 2654435761u | 1
                                                : strtoull(given, NULL, 0);
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

uint64_t test_cpu_us(void)
{
    uv_rusage_t u;
    ck_assert_int_eq(uv_getrusage(&u), 0);
    uint64_t seconds = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
    return seconds * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}
