/*
 * The inside of a pool: free lists of segments and of view nodes for the one thread that takes, and a stack for what comes back
 * from other threads.
 */
#ifndef CVY_BUF_POOL_H
#define CVY_BUF_POOL_H

#include "base/hints.h"
#include "segment.h"

/* Without a pool, and by default with one. 128 KiB: 16 KiB frames cost 1.02 x raw epoll instead of 1.09 x with 64 KiB. */
#define CVY__SMALL_BYTES 1024
#define CVY__LARGE_BYTES 131072
/* Two echoes of 1 MiB frames have more than 1 MiB under way: with that kept, every second message of theirs went to malloc over Unix sockets. */
#define CVY__KEEP_BYTES  ((size_t)4 * 1024 * 1024)
/* Free nodes a pool keeps, 48 bytes each: more frames than most reads carry. */
#define CVY__KEEP_NODES  1024

struct cvy_pool {
    /* the taking thread's */
    cvy_view_t *nodes; /* free nodes; of their fields only next means anything */
    size_t node_count;
    size_t node_max;
    size_t out;          /* segments taken and not put back here, and nodes made, free ones among them */
    cvy_view_t *free[2]; /* free segments, small and large, by their embedded views */
    size_t size[2];      /* capacity without the front */
    size_t kept_bytes;   /* in free[] */
    size_t keep_bytes;   /* its limit */
    bool closed;         /* freed by its owner; the memory stays until the last segment and node are back */
    const cvy_alloc_t *alloc;
    _Atomic size_t live; /* segments taken and not put back here */
    /* every thread's */
    _Atomic(cvy_view_t *) returned; /* what came back after crossing; the pool's own address once it is closed */
    _Atomic size_t returned_bytes;
    _Atomic size_t back;  /* segments that came back after crossing and are still in live */
    _Atomic size_t holds; /* bias - freed past the pool; once closed: what is still out. At 0 the pool's memory goes */
};

static inline cvy__node_t *cvy__view_node(cvy_view_t *v)
{
    return (cvy__node_t *)(void *)v;
}

/* Slow sides of those below. */
cvy_view_t *cvy__node_take_slow(cvy_pool_t *pool);
void cvy__node_give_slow(cvy_view_t *v);
CVY__COLD void cvy__view_drop_slow(cvy_view_t *v);
/* A segment that has no reference left and belongs to a pool. */
void cvy__pool_give(cvy_segment_t *s);
/* A segment of one of the two sizes, not initialised; NULL: none is free. */
cvy_segment_t *cvy__pool_reuse(cvy_pool_t *pool, cvy__segment_kind_t kind);

static inline void cvy__pool_add_live(cvy_pool_t *pool, size_t n)
{
    atomic_store_explicit(&pool->live, atomic_load_explicit(&pool->live, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* A view node for one more view of s: its own where that is free, else one of the pool's. No reference is taken. NULL: no memory. */
static inline cvy_view_t *cvy__view_take(cvy_pool_t *pool, cvy_segment_t *s)
{
    if (!s->crossed && !s->view_used) {
        s->view_used = true;
        return &s->view;
    }
    cvy_view_t *v = pool ? pool->nodes : NULL;
    if (!v) {
        v = cvy__node_take_slow(pool);
        if (!v) return NULL;
    } else {
        pool->nodes = v->next;
        pool->node_count--;
    }
    v->segment = s;
    return v;
}

/* Gives the node back, not the reference. */
static inline void cvy__view_give(cvy_view_t *v)
{
    cvy_segment_t *s = v->segment;
    if (v == &s->view) {
        if (!s->crossed) s->view_used = false;
        return;
    }
    cvy_pool_t *pool = cvy__view_node(v)->home.pool; /* of one that is loose: none, as node says */
    if (v->node || pool->node_count >= pool->node_max) {
        cvy__node_give_slow(v);
        return;
    }
    v->next = pool->nodes;
    pool->nodes = v;
    pool->node_count++;
}

/* cvy__view_drop (below) of what a frame mostly is, a node of its pool, while others hold the segment s of v: calls nothing. False: not that. */
static inline bool cvy__view_drop_quick(cvy_view_t *v, cvy_segment_t *s)
{
    if (v == &s->view || v->node || s->crossed) return false;
    cvy_pool_t *pool = cvy__view_node(v)->home.pool;
    if (pool->node_count >= pool->node_max) return false; /* a closed one has no room either */
    v->next = pool->nodes;
    pool->nodes = v;
    pool->node_count++;
    cvy__segment_unref_plain(s);
    return true;
}

/* cvy__view_drop of a view whose bytes became another's, which holds the segment as well. */
static inline void cvy__view_drop_merged(cvy_view_t *v)
{
    if (!cvy__view_drop_quick(v, v->segment)) cvy__view_drop_slow(v);
}

/* The view and its reference are gone. */
static inline void cvy__view_drop(cvy_view_t *v)
{
    cvy_segment_t *s = v->segment;
    cvy__view_give(v);
    cvy__segment_unref(s);
}

#endif
