/*
 * Where a wire's segments come from: the variants' pools, over an allocator that counts.
 *
 * The guarding allocator puts each block at the end of pages of its own, before one that can't be touched. A freed block can't be touched
 * either; its addresses are used again only after 512 later ones. For wires on one thread.
 */
#include "wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
static char *pages_reserve(size_t n)
{
    return VirtualAlloc(NULL, n, MEM_RESERVE, PAGE_NOACCESS);
}
static bool pages_open(char *at, size_t n)
{
    return VirtualAlloc(at, n, MEM_COMMIT, PAGE_READWRITE) != NULL;
}
static void pages_shut(char *at, size_t n)
{
    VirtualFree(at, n, MEM_DECOMMIT);
}
static void pages_release(char *at, size_t n)
{
    (void)n;
    VirtualFree(at, 0, MEM_RELEASE);
}
#else
#include <sys/mman.h>
static char *pages_reserve(size_t n)
{
    char *at = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}
static bool pages_open(char *at, size_t n)
{
    return !mprotect(at, n, PROT_READ | PROT_WRITE);
}
static void pages_shut(char *at, size_t n)
{
    if (mprotect(at, n, PROT_NONE)) abort();
}
static void pages_release(char *at, size_t n)
{
    munmap(at, n);
}
#endif

/* Guarding */

#define PAGE       ((size_t)65536) /* of any system; the gap that alignment leaves is filled */
#define QUARANTINE 512
#define FILLER     0x5a

typedef struct region {
    char *at;
    size_t n; /* without the guarding page */
} region_t;

static region_t quarantine[QUARANTINE];
static size_t quarantined;

/* The region of a block of n bytes, and where in it the block begins. */
static region_t region_of(size_t n, size_t align, size_t *start)
{
    size_t whole = (n + PAGE - 1) / PAGE * PAGE;
    *start = (whole - n) / align * align;
    return (region_t){ NULL, whole };
}

/* The oldest freed one where it fits, else a new one. */
static char *take_region(size_t n)
{
    region_t *oldest = &quarantine[quarantined % QUARANTINE];
    char *at = oldest->at;
    if (at && oldest->n == n)
        oldest->at = NULL;
    else
        at = pages_reserve(n + PAGE);
    if (at && pages_open(at, n)) return at;
    if (at) pages_release(at, n + PAGE);
    return NULL;
}

static void *guard_alloc(void *arg, size_t n, size_t align)
{
    size_t start;
    region_t r = region_of(n, align, &start);
    (void)arg;
    r.at = take_region(r.n);
    if (!r.at) return NULL;
    memset(r.at + start + n, FILLER, r.n - start - n);
    return r.at + start;
}

static void guard_free(void *arg, void *p, size_t n, size_t align)
{
    size_t start;
    region_t r = region_of(n, align, &start);
    region_t *place = &quarantine[quarantined++ % QUARANTINE];
    (void)arg;
    r.at = (char *)p - start;
    for (size_t i = start + n; i < r.n; i++)
        if (r.at[i] != FILLER) ck_abort_msg("a byte was written behind a segment's end");
    pages_shut(r.at, r.n);
    if (place->at) pages_release(place->at, place->n + PAGE);
    *place = r;
}

const cvy_alloc_t wire_guarding = { guard_alloc, guard_free, NULL };

/* Variants. 6 in a row have every pair of reading and memory, 3 in a row every size: see conform.h about running fewer. */

enum { POOLED, MALLOC, GUARDING };
static const size_t sizes[] = { 65536, 4096, 64 };
static int variant;

void wire_vary(int new_variant)
{
    variant = new_variant;
}

bool wire_manual(void)
{
    return variant % 2;
}

static int memory(void)
{
    return variant % 3;
}

size_t wire_segment_bytes(void)
{
    return sizes[(variant + variant / 6) % 3];
}

uint64_t wire_scaled(uint64_t n)
{
    uint64_t less = wire_segment_bytes() == 64 ? 32 : memory() == GUARDING ? 8 : wire_segment_bytes() == 4096 ? 2 : 1;
    return less < n ? n / less : 1;
}

/* Counting */

atomic_long wire_segments_live, wire_segments_taken;

static const cvy_alloc_t *below(void)
{
    return memory() == GUARDING ? &wire_guarding : cvy_alloc_malloc();
}

static void *segment_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    void *p = below()->alloc(below()->arg, n, align);
    if (p) atomic_fetch_add(&wire_segments_live, 1);
    atomic_fetch_add(&wire_segments_taken, 1);
    return p;
}

static void segment_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    atomic_fetch_sub(&wire_segments_live, 1);
    below()->free(below()->arg, p, n, align);
}

const cvy_loop_opts_t *wire_loop_opts(void)
{
    static const cvy_alloc_t segments = { segment_alloc, segment_free, NULL };
    static cvy_pool_opts_t pool;
    static const cvy_loop_opts_t opts = { .pool = &pool };
    size_t size = wire_segment_bytes();
    pool = (cvy_pool_opts_t){ .alloc = &segments,
                              .small_bytes = size < 1024 ? (int64_t)size : 1024,
                              .large_bytes = (int64_t)size,
                              .keep_bytes = memory() == POOLED ? 0 : CVY_OFF };
    return &opts;
}

cvy_loop_t *wire_new_loop(void)
{
    cvy_loop_t *loop;
    return cvy_loop_new(&loop, wire_loop_opts()) ? NULL : loop;
}

void wire_end_loop(cvy_loop_t *loop)
{
    cvy_loop_stop(loop);
    cvy_loop_run(loop); /* a transport has a reference of its own, so that letting go alone would end nothing */
    cvy_loop_unref(loop);
    ck_assert_int_eq(wire_segments_live, 0);
}
