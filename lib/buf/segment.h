/*
 * Segments and views: what a buffer is made of.
 *
 * A segment is one piece of memory, counted by the views (and reservations, and the slab) that refer to it. A view is a stretch of
 * one segment's bytes. Each segment carries one view node, which serves the first view that asks; further nodes come from a pool.
 *
 * Who may write where, since bytes that somebody can read never change:
 *   behind the bytes   into a segment with one reference, at its fill mark;
 *   before the bytes   into a view's front: it alone may use these bytes, because they were reserved, or because it consumed them
 *                      while nobody else could see them. A split leaves the front with the first part; sharing ends it.
 */
#ifndef CVY_BUF_SEGMENT_H
#define CVY_BUF_SEGMENT_H

#include <assert.h>
#include <stdatomic.h>

#include <conveyor/buf.h>

#include "debug.h"

/* Bytes kept free in front of a new segment's first byte: a length prefix, a WebSocket header (14 at most), a varint. */
#define CVY__FRONT_BYTES 16u

typedef union cvy__home {
    cvy_pool_t *pool;
    const cvy_alloc_t *alloc; /* of what is loose, taken without a pool */
} cvy__home_t;

struct cvy_view {
    cvy_view_t *next;
    cvy_segment_t *segment;
    uint8_t *data;
    size_t len;     /* never 0 within a buffer */
    uint32_t front; /* bytes in front of data that are this view's alone; less than it could be when huge */
    bool shared;    /* others may see bytes of this view, so that what it consumes does not become its front */
    uint8_t node;   /* of the node, not of what it says: CVY__NODE_... */
};

/* cvy_view.node; 0: it goes back to its pool by plain loads and stores. */
enum {
    CVY__NODE_CROSSED = 1, /* was handed over: it may be given back on any thread */
    CVY__NODE_LOOSE = 2    /* of no pool */
};

/* A view node that is not part of a segment. */
typedef struct cvy__node {
    cvy_view_t view;
    cvy__home_t home;
} cvy__node_t;

typedef enum cvy__segment_kind {
    CVY__SMALL,
    CVY__LARGE,
    CVY__OWN,     /* a size of its own: goes back to the allocator, not to a free list */
    CVY__FOREIGN, /* wrapped memory; never written to */
} cvy__segment_kind_t;

struct cvy_segment {
    cvy_view_t view;       /* first: free lists and spare chains link segments by it */
    _Atomic uint32_t refs; /* each reference but one needs a node of 48 bytes, so memory ends before the count does */
    uint8_t kind;
    bool crossed;   /* handed over once: counted atomically. Set before the crossing, cleared by a sole holder */
    bool view_used; /* the embedded node is taken; means nothing once crossed */
    bool loose;     /* of no pool */
    cvy__home_t home;
    uint8_t *base;
    uint8_t *fill; /* one past the highest byte ever written; only a sole holder (or the slab) moves it */
    uint8_t *end;
#ifdef CVY_DEBUG_SEGMENTS
    cvy__segment_trace_t trace;
#endif
};

/* Wrapped memory. The segment comes first. */
typedef struct cvy__foreign {
    cvy_segment_t segment;
    void (*free_cb)(void *arg, void *base, size_t n);
    void *arg;
} cvy__foreign_t;

/* All take from pool, or (NULL, or a pool already freed) from the default allocator; one reference; NULL: no memory. */
cvy_segment_t *cvy__segment_take(cvy_pool_t *pool, cvy__segment_kind_t small_or_large);
cvy_segment_t *cvy__segment_own(cvy_pool_t *pool, size_t n);
/* The smallest kind that holds n bytes in one piece and is not much larger: small, or of its own size. */
cvy_segment_t *cvy__segment_fit(cvy_pool_t *pool, size_t n);
cvy_segment_t *cvy__segment_foreign(cvy_pool_t *pool, void *base, size_t n, void (*free_cb)(void *, void *, size_t),
                                    void *arg);
/* The last reference is gone. Any thread, if it has crossed. */
void cvy__segment_release(cvy_segment_t *s);
/* Makes a segment that nobody else refers to as good as new, but for its count. */
void cvy__segment_reset(cvy_segment_t *s);
/* To the allocator, after which its foreign memory's free_cb runs. */
void cvy__segment_free(cvy_segment_t *s, const cvy_alloc_t *alloc);

static inline size_t cvy__segment_capacity(const cvy_segment_t *s)
{
    return (size_t)(s->end - s->base);
}

/* Of one that has not crossed: a load and a store, no locked instruction: 3 ns a frame less. */
static inline void cvy__segment_ref_plain(cvy_segment_t *s)
{
    atomic_store_explicit(&s->refs, atomic_load_explicit(&s->refs, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline void cvy__segment_ref(cvy_segment_t *s)
{
    if (s->crossed)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    else
        cvy__segment_ref_plain(s);
}

/* Of one that has not crossed, and is not the last. */
static inline void cvy__segment_unref_plain(cvy_segment_t *s)
{
    atomic_store_explicit(&s->refs, atomic_load_explicit(&s->refs, memory_order_relaxed) - 1, memory_order_relaxed);
}

static inline void cvy__segment_unref(cvy_segment_t *s)
{
    if (s->crossed) {
        if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) cvy__segment_release(s);
        return;
    }
    uint32_t refs = atomic_load_explicit(&s->refs, memory_order_relaxed) - 1;
    atomic_store_explicit(&s->refs, refs, memory_order_relaxed);
    if (refs == 0) cvy__segment_release(s);
}

/* Whoever asks holds the only reference. Acquires what the others did before they let go. */
static inline bool cvy__segment_sole(const cvy_segment_t *s)
{
    return atomic_load_explicit(&s->refs, memory_order_acquire) == 1;
}

#endif
