/*
 * The library's memory, segments excepted: malloc with a count of what is live, and a way for tests to fail the n-th call.
 *
 * Thread: any.
 */
#ifndef CVY_BASE_MEMORY_H
#define CVY_BASE_MEMORY_H

#include <stddef.h>

void *cvy__malloc(size_t n);
void *cvy__calloc(size_t n, size_t size);
void cvy__free(void *p); /* NULL is fine */

/* For tests: the n-th allocation from now on fails, once; 0: none. */
void cvy__memory_fail(long n);
/* Whether the failure that was asked for has happened. */
int cvy__memory_failed(void);
/* Allocations that have not been freed. */
size_t cvy__memory_live(void);

#endif
