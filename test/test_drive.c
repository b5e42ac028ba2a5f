/* Random lives of a connection, each told by its seed: see drive_transport.h. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#include "drive_transport.h"

enum { SEEDS = 20000, TCASES = 4 };

typedef struct seeded {
    uint64_t state;
    int left;
} seeded_t;

static uint32_t next_number(void *arg)
{
    seeded_t *s = arg;
    s->state = s->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->state >> 33);
}

static bool more(void *arg)
{
    return ((seeded_t *)arg)->left-- > 0;
}

/* C14 of the seeds: T2-T9, E5, B11 */
START_TEST(random_lives_keep_every_promise)
{
    const char *one = getenv("CVY_SEED");
    int first = _i * (SEEDS / TCASES), last = first + SEEDS / TCASES;
    if (one) first = atoi(one), last = first + 1;
    for (int seed = first; seed < last; seed++) {
        seeded_t s = { (uint64_t)seed * UINT64_C(0x9E3779B97F4A7C15) + 1, 10 + seed % 190 };
        next_number(&s);
        if (one) fprintf(stderr, "seed %d\n", seed);
        drive_transport((drive_numbers_t){ next_number, more, &s });
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drive");
    TCase *tc = tcase_create("lives");
    tcase_add_loop_test(tc, random_lives_keep_every_promise, 0, TCASES);
    tcase_set_timeout(tc, 100);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
