/* Proves all of lib/buf by comparing it with the flat oracle, in and out of memory (contracts B3, B12, M3). CVY_TEST_SEED repeats a run. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "drive_buf.h"

/* B12: the generator; xorshift64 */
static uint32_t next_number(void *arg)
{
    uint64_t *x = arg;
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return (uint32_t)(*x >> 16);
}

static const cvy_pool_opts_t sizes[] = {
    { .small_bytes = 64, .large_bytes = 64, .keep_bytes = 4096 },
    { .small_bytes = 64, .large_bytes = 4096 },
    { .small_bytes = 1024, .large_bytes = 65536 },
    { .small_bytes = 4096, .large_bytes = 131072, .keep_bytes = CVY_OFF },
};

static uint64_t operations(void)
{
    const char *given = getenv("CVY_TEST_OPS"); /* fewer, where each costs fifty times as much */
    return given ? strtoull(given, NULL, 0) : 1000000;
}

static void drive(const cvy_pool_opts_t *opts, uint64_t seed, uint64_t steps, uint32_t fail_one_in)
{
    drive_t d;
    uint64_t state = seed * 0x9e3779b97f4a7c15u | 1;
    drive_init(&d, opts, (drive_source_t){ next_number, &state });
    d.memory.fail_one_in = fail_one_in;
    d.memory.dice = (uint32_t)seed;
    for (uint64_t i = 0; i < steps; i++)
        drive_step(&d);
    d.memory.fail_one_in = 0;
    drive_fini(&d);
}

/* B1, B2, B4, B6, B7, B8, B9, B10, B12 */
START_TEST(a_million_operations_agree_with_the_oracle)
{
    drive(&sizes[_i], test_seed(), operations() / 4, 0);
}
END_TEST

/* B3, B12 */
START_TEST(operations_agree_with_the_oracle_while_memory_fails_at_random)
{
    uint64_t seed = test_seed();
    drive(&sizes[_i], seed, operations() / 8, 3);
    drive(&sizes[_i], seed + 1, operations() / 8, 20);
}
END_TEST

/* B3, M3: the same script, with the k-th allocation failing, for every k */
START_TEST(the_kth_allocation_fails_for_every_k)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        for (uint64_t k = 2, last = 2; k <= last; k++) {
            drive_t d;
            uint64_t state = seed * 0x9e3779b97f4a7c15u | 1;
            drive_init(&d, &sizes[_i], (drive_source_t){ next_number, &state });
            d.memory.fail_at = k;
            for (int i = 0; i < 400; i++)
                drive_step(&d);
            last = d.memory.asked;
            d.memory.fail_at = 0;
            drive_fini(&d);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf_model");
    TCase *model = test_case("model");
    tcase_add_loop_test(model, a_million_operations_agree_with_the_oracle, 0, 4);
    tcase_add_loop_test(model, operations_agree_with_the_oracle_while_memory_fails_at_random, 0, 4);
    tcase_add_loop_test(model, the_kth_allocation_fails_for_every_k, 0, 4);
    suite_add_tcase(suite, model);
    return test_run(suite);
}
