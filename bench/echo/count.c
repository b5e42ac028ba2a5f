/*
 * Counts every call to malloc of the process that it is linked into: a program's own malloc stands in for that of all its libraries, libc's own
 * calls included, and hands on to glibc's. CVY_BENCH_COUNTS names a file for the counts, in memory shared with the load, which reads them at both
 * ends of its span. For servers of one thread.
 */
#define _GNU_SOURCE
#include "count.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

static counts_t unread, *counts = &unread;
static bool heap;

__attribute__((constructor)) static void open_counts(void)
{
    const char *path = getenv("CVY_BENCH_COUNTS"), *with_heap = getenv("CVY_BENCH_HEAP");
    heap = with_heap && *with_heap;
    if (!path || !*path) return;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof *counts)) abort();
    void *shared = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) abort();
    close(fd);
    memcpy(shared, counts, sizeof *counts);
    counts = shared;
}

static void *taken(void *p)
{
    counts->calls++;
    if (heap && p) counts->held += (int64_t)(malloc_usable_size(p) + sizeof(size_t));
    return p;
}

static void given(void *p)
{
    if (heap && p) counts->held -= (int64_t)(malloc_usable_size(p) + sizeof(size_t));
}

void *malloc(size_t n)
{
    return taken(__libc_malloc(n));
}

void *calloc(size_t count, size_t n)
{
    return taken(__libc_calloc(count, n));
}

void *realloc(void *p, size_t n)
{
    given(p);
    return taken(__libc_realloc(p, n));
}

void *memalign(size_t align, size_t n)
{
    return taken(__libc_memalign(align, n));
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = memalign(align, n);
    if (p) *out = p;
    return p ? 0 : ENOMEM;
}

void free(void *p)
{
    given(p);
    __libc_free(p);
}
