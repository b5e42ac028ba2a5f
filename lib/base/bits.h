/* Positions of bits. */
#ifndef CVY_BASE_BITS_H
#define CVY_BASE_BITS_H

#include <stdint.h>

/* The index of the lowest (highest) bit that is set; x is not 0. */
#if defined(__GNUC__)
static inline unsigned cvy__bit_lowest(uint64_t x)
{
    return (unsigned)__builtin_ctzll(x);
}

static inline unsigned cvy__bit_highest(uint64_t x)
{
    return 63 - (unsigned)__builtin_clzll(x);
}
#else
static inline unsigned cvy__bit_highest(uint64_t x)
{
    unsigned n = 0;
    for (unsigned step = 32; step; step /= 2)
        if (x >> step) {
            n += step;
            x >>= step;
        }
    return n;
}

static inline unsigned cvy__bit_lowest(uint64_t x)
{
    return cvy__bit_highest(x & (~x + 1));
}
#endif

#endif
