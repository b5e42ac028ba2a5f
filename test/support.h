/* What every test executable shares: its main() builds a Suite and ends with `return test_run(suite);`. */
#ifndef CVY_TEST_SUPPORT_H
#define CVY_TEST_SUPPORT_H

#include <check.h>
#include <stdint.h>

/* Adds a test case with these START_TEST names: ADD_TESTS(suite, "split", split_shares_storage, split_of_zero_is_empty) */
#define ADD_TESTS(suite, name, ...)                              \
    test_add(suite, name, (const TTest *const[]){ __VA_ARGS__ }, \
             sizeof((const TTest *const[]){ __VA_ARGS__ }) / sizeof(TTest *))

/* An empty case, in no suite yet. Every case has the same limit of time, which is for hangs alone: no test is about how fast it is. */
TCase *test_case(const char *name);
/* Returns the case, for whoever wants a fixture or loop tests. */
TCase *test_add(Suite *suite, const char *name, const TTest *const *tests, size_t n);

/**
 * Runs the suite and frees it; returns what main() returns. Prints check's own lines.
 * CK_FORK=no runs all in one process, CK_RUN_CASE=name one case; both are check's own.
 */
int test_run(Suite *suite);

/* n, or an nth of it where CVY_TEST_SCALE=n asks for less work: under slow instruments. */
int test_scaled(int n);
/* Where a test's random numbers begin: CVY_TEST_SEED=n, or always the same: a run that breaks breaks again. CVY_TEST_SEED=day chooses another
 * each second. Printed, so that a run can be repeated. */
uint64_t test_seed(void);
/* Processor time of this process in microseconds: what others do on the machine does not count. */
uint64_t test_cpu_us(void);

#endif
