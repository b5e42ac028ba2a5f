/* What a server's malloc counts (count.c), in memory that the load can read. */
#ifndef CVY_BENCH_ECHO_COUNT_H
#define CVY_BENCH_ECHO_COUNT_H

#include <stdint.h>

typedef struct counts {
    uint64_t calls; /* to malloc, calloc, realloc, posix_memalign, aligned_alloc, memalign */
    int64_t held;   /* bytes of the heap in use, with malloc's own; only with CVY_BENCH_HEAP=1 */
} counts_t;

#endif
