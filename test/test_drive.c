/*
 * Random lives of a connection, each told by its seed: see drive/drive.h. What a seed does is printed when it breaks.
 *
 *   CVY_SEEDS=n        so many lives on each backend; else a number that takes a few seconds
 *   CVY_SECONDS=n      as many as fit, on each
 *   CVY_FIRST=n        the first seed; 0
 *   CVY_SEED=n         this one alone
 *   CVY_SHRINK=1       and the shortest life found that breaks as that one does
 *   CVY_BACKEND=name   embedded, tcp or pipe alone
 *   CVY_COVERAGE=1     prints what was walked, also where nothing is missing
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "drive/drive.h"

typedef struct seeded {
    uint64_t state;
    size_t operations, left;
} seeded_t;

#ifdef _WIN32
enum { TCP_LIVES = 1500 }; /* wine takes 15 ms for each */
#else
enum { TCP_LIVES = 3000 };
#endif

static const struct {
    const char *name;
    unsigned lives;
} backends[DRIVE_BACKENDS] = { { "embedded", 20000 }, { "tcp", TCP_LIVES }, { "pipe", 3000 } };

static uint32_t next_number(void *arg, unsigned bytes)
{
    seeded_t *s = arg;
    s->state = s->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(s->state >> 33) & ((1U << 8 * bytes) - 1);
}

static bool more(void *arg)
{
    return ((seeded_t *)arg)->left-- > 0;
}

static seeded_t from_seed(unsigned long seed)
{
    seeded_t s = { .state = (uint64_t)seed * UINT64_C(0x9E3779B97F4A7C15) + 1, .operations = 10 + seed % 190 };
    s.left = s.operations;
    next_number(&s, 1);
    return s;
}

static void live(unsigned long seed, drive_backend_t backend)
{
    char name[64];
    seeded_t s = from_seed(seed);
    snprintf(name, sizeof name, "CVY_BACKEND=%s CVY_SEED=%lu", backends[backend].name, seed);
    drive_life((drive_numbers_t){ next_number, more, &s, name }, backend);
}

/* More numbers than a life asks for. */
static void shrink(unsigned long seed, drive_backend_t backend)
{
    static uint32_t numbers[8192];
    enum { NUMBERS = sizeof numbers / sizeof *numbers };
    seeded_t s = from_seed(seed);
    for (size_t i = 0; i < NUMBERS; i++)
        numbers[i] = next_number(&s, 3);
    drive_shrink(numbers, NUMBERS, s.operations, backend);
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

static bool left_out(drive_backend_t backend)
{
    const char *only = getenv("CVY_BACKEND");
    return !drive_backend_name(backend) || (only && *only && strcmp(only, backends[backend].name) != 0);
}

static unsigned long live_many(drive_backend_t backend, unsigned long lives)
{
    unsigned long first = setting("CVY_FIRST", 0), seconds = setting("CVY_SECONDS", 0), n = 0;
    uint64_t until = uv_hrtime() + seconds * UINT64_C(1000000000);
    for (; seconds ? uv_hrtime() < until : n < lives; n++)
        live(first + n, backend);
    return n;
}

/* T1, T2, T3, T4, T5, T6, T7, T8, T9, T17, R3, E5, B11, M3 */
START_TEST(random_lives_keep_every_promise)
{
    drive_backend_t backend = (drive_backend_t)_i;
    if (left_out(backend)) return;
    if (getenv("CVY_SEED")) {
        unsigned long seed = setting("CVY_SEED", 0);
        if (setting("CVY_SHRINK", 0))
            shrink(seed, backend);
        else
            live(seed, backend);
        return;
    }
    unsigned long n = live_many(backend, setting("CVY_SEEDS", backends[backend].lives));
    bool enough = n >= backends[backend].lives;
    int missing = enough ? drive_coverage_missing(backend) : 0;
    if (missing || setting("CVY_COVERAGE", 0)) {
        printf("%lu lives. ", n);
        drive_coverage_print(stdout, backend);
    }
    ck_assert_int_eq(missing, 0); /* never walked: see the table */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drive");
    TCase *tc = test_case("lives");
    tcase_add_loop_test(tc, random_lives_keep_every_promise, 0, DRIVE_BACKENDS);
    if (getenv("CVY_SEEDS") || getenv("CVY_SECONDS") || getenv("CVY_SHRINK")) tcase_set_timeout(tc, 0);
#ifdef _WIN32
    printf("drive: not on pipe, because of Windows: a named pipe is no socket, and what plays its peer reads and "
           "writes sockets\n"
           "drive: no reset on tcp, because of wine: bytes in front of a reset make an end of it\n");
#endif
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
