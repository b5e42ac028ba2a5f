/*
 * Segments: one block of memory each, header first, taken from a pool's free list or from its allocator.
 *
 * A segment stands in exactly one place: referred to (refs > 0), in a free list, or on its pool's return stack. Where it came from
 * is written in it, so that it finds its way back from any thread and after the pool's owner has gone.
 */
#include "segment.h"

#include <stdlib.h>

#include "pool.h"

#define ALIGN (_Alignof(max_align_t))

/* Live segments of no pool. */
static _Atomic size_t loose_live;

static size_t block_bytes(const cvy_segment_t *s)
{
    if (s->kind == CVY__FOREIGN) return sizeof(cvy__foreign_t);
    return sizeof(cvy_segment_t) + cvy__segment_capacity(s);
}

static cvy_pool_t *open_pool(cvy_pool_t *pool)
{
    return pool && !pool->closed ? pool : NULL;
}

/* Counts a segment as taken: by its pool, or among the loose ones. */
static void settle_home(cvy_segment_t *s, cvy_pool_t *pool, const cvy_alloc_t *alloc)
{
    s->loose = !pool;
    if (pool) {
        s->home.pool = pool;
        pool->out++;
        cvy__pool_add_live(pool, 1);
    } else {
        s->home.alloc = alloc;
        atomic_fetch_add_explicit(&loose_live, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
    cvy__segment_born(s);
}

void cvy__segment_reset(cvy_segment_t *s)
{
    s->view.next = NULL;
    s->view.segment = s;
    s->view.len = 0;
    s->view.shared = false;
    s->view.node = 0;
    s->crossed = false;
    s->view_used = false;
    s->fill = s->kind == CVY__FOREIGN ? s->end : s->base + CVY__FRONT_BYTES;
}

static cvy_segment_t *segment_new(cvy_pool_t *pool, cvy__segment_kind_t kind, size_t n)
{
    const cvy_alloc_t *alloc = pool ? pool->alloc : cvy_alloc_default();
    size_t capacity = n + CVY__FRONT_BYTES;
    if (n > SIZE_MAX / 2) return NULL;
    cvy_segment_t *s = alloc->alloc(alloc->arg, sizeof *s + capacity, ALIGN);
    if (!s) return NULL;
    s->kind = (uint8_t)kind;
    s->base = (uint8_t *)(s + 1);
    s->end = s->base + capacity;
    cvy__segment_reset(s);
    settle_home(s, pool, alloc);
    return s;
}

cvy_segment_t *cvy__segment_take(cvy_pool_t *pool, cvy__segment_kind_t kind)
{
    pool = open_pool(pool);
    if (!pool) return segment_new(NULL, kind, kind == CVY__SMALL ? CVY__SMALL_BYTES : CVY__LARGE_BYTES);
    cvy_segment_t *s = cvy__pool_reuse(pool, kind);
    if (!s) return segment_new(pool, kind, pool->size[kind]);
    cvy__segment_reset(s);
    settle_home(s, pool, NULL);
    return s;
}

cvy_segment_t *cvy__segment_own(cvy_pool_t *pool, size_t n)
{
    return segment_new(open_pool(pool), CVY__OWN, n);
}

cvy_segment_t *cvy__segment_fit(cvy_pool_t *pool, size_t n)
{
    pool = open_pool(pool); /* the sizes of one that is closed are not those that there will be */
    size_t small = pool ? pool->size[CVY__SMALL] : CVY__SMALL_BYTES;
    return n <= small ? cvy__segment_take(pool, CVY__SMALL) : cvy__segment_own(pool, n);
}

cvy_segment_t *cvy__segment_foreign(cvy_pool_t *pool, void *base, size_t n, void (*free_cb)(void *, void *, size_t),
                                    void *arg)
{
    pool = open_pool(pool);
    const cvy_alloc_t *alloc = pool ? pool->alloc : cvy_alloc_default();
    cvy__foreign_t *f = alloc->alloc(alloc->arg, sizeof *f, ALIGN);
    if (!f) return NULL;
    cvy_segment_t *s = &f->segment;
    f->free_cb = free_cb;
    f->arg = arg;
    s->kind = CVY__FOREIGN;
    s->base = base;
    s->end = s->base + n;
    cvy__segment_reset(s);
    settle_home(s, pool, alloc);
    return s;
}

void cvy__segment_free(cvy_segment_t *s, const cvy_alloc_t *alloc)
{
    if (s->kind != CVY__FOREIGN) {
        alloc->free(alloc->arg, s, block_bytes(s), ALIGN);
        return;
    }
    cvy__foreign_t f = *(cvy__foreign_t *)(void *)s;
    alloc->free(alloc->arg, s, sizeof f, ALIGN);
    if (f.free_cb) f.free_cb(f.arg, f.segment.base, cvy__segment_capacity(&f.segment));
}

void cvy__segment_release(cvy_segment_t *s)
{
    cvy__segment_died(s);
    if (!s->loose) {
        cvy__pool_give(s);
        return;
    }
    atomic_fetch_sub_explicit(&loose_live, 1, memory_order_relaxed);
    cvy__segment_free(s, s->home.alloc);
}

size_t cvy_pool_live(const cvy_pool_t *pool)
{
    if (!pool) return atomic_load_explicit(&loose_live, memory_order_relaxed);
    /* back first: a segment is in live before it can come back, so the difference is never below zero for long. */
    size_t back = atomic_load_explicit(&pool->back, memory_order_acquire);
    size_t live = atomic_load_explicit(&pool->live, memory_order_relaxed);
    return live > back ? live - back : 0;
}
