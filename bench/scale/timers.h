/* What the two timer benches share: how long each timer runs, and in which order they are taken at random. */
#ifndef CVY_BENCH_SCALE_TIMERS_H
#define CVY_BENCH_SCALE_TIMERS_H

#include <stdint.h>

#include "driver.h"

static uint64_t timers_seed = 88172645463325252;

static inline uint64_t timers_random(void)
{
    timers_seed ^= timers_seed << 13;
    timers_seed ^= timers_seed >> 7;
    timers_seed ^= timers_seed << 17;
    return timers_seed;
}

/* Timeouts as servers have them: 1 to 61 s. */
static inline uint64_t timers_ms(void)
{
    return 1000 + timers_random() % 60000;
}

#endif
