/*
 * malloc, counted. `fail_in` counts down to the allocation that a test wants to fail: it passes 1 exactly once, whatever the
 * number of threads. Steady state allocates nothing (M4), so that the two counters cost nothing that anyone could measure.
 *
 * The library's writable globals (M7), all of them safe from any thread:
 *   memory.c  live, fail_in       counters
 *   log.c     sink                the logging hook
 *   alloc     the default allocator of segments
 *   inproc    the names of in-process listeners
 *   state.c   edge_hook           a test's, set before anything is open; debug builds only
 */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_size_t live;
static atomic_long fail_in;

static int fails(void)
{
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) <= 0) return 0;
    return atomic_fetch_sub(&fail_in, 1) == 1;
}

static void *count(void *p)
{
    if (p) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *cvy__malloc(size_t n)
{
    return fails() ? NULL : count(malloc(n ? n : 1));
}

void *cvy__calloc(size_t n, size_t size)
{
    return fails() ? NULL : count(calloc(n ? n : 1, size ? size : 1));
}

void cvy__free(void *p)
{
    if (!p) return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

void cvy__memory_fail(long n)
{
    atomic_store(&fail_in, n);
}

int cvy__memory_failed(void)
{
    return atomic_load(&fail_in) <= 0;
}

size_t cvy__memory_live(void)
{
    return atomic_load(&live);
}
