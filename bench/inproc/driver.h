/*
 * One contender of the in-process bench: a program that measures on demand, so that bench/inproc.py can interleave several.
 *
 * It reads lines "NAME SIZE SECONDS" (SIZE: the bench's variable, 0 where it has none), does what NAME says for so long, and answers with
 * nanoseconds of its thread's processor clock per operation, or "-" where it does not have that bench.
 */
#ifndef CVY_BENCH_INPROC_DRIVER_H
#define CVY_BENCH_INPROC_DRIVER_H

#include <stdint.h>
#include <stdlib.h>

enum { PIECE = 64, PIECES = 1024, TIMES = 64, BLOCK = 1 << 20 };

typedef struct inproc {
    const char *name;
    /* Sets up for this size; may be NULL. What is set up is left as it is afterwards. */
    void (*prepare)(int size);
    /* Once, or several times in a row where one is too short for the clock; answers how many operations that was. */
    long (*run)(int size);
    /* What has to be done between two runs and is no part of it; may be NULL. */
    void (*restore)(int size);
} inproc_t;

/* Serves requests until the input ends. benches: the last one's name is NULL. Answers main's result. */
int inproc_serve(const inproc_t *benches);

static inline void must(int err)
{
    if (err) abort();
}

/* Makes the compiler believe that memory behind p is looked at. */
static inline void inproc_use(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

#endif
