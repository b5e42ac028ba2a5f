/*
 * Where segments come from: an allocator (two functions), and pools that keep freed segments for the next taker.
 */
#ifndef CONVEYOR_ALLOC_H
#define CONVEYOR_ALLOC_H

#include <conveyor/base.h>

CVY_BEGIN_DECLS

/**
 * The application's memory. Lives as long as any segment that came from it.
 *
 * Thread: free may run on any thread, and after the loop is gone; alloc on the threads that use its pools.
 * Source: seed B, TByteBufAlloc.
 */
typedef struct cvy_alloc {
    void *(*alloc)(void *arg, size_t n, size_t align); /* NULL: no memory */
    void (*free)(void *arg, void *p, size_t n, size_t align);
    void *arg;
} cvy_alloc_t;

/** malloc and free. */
CVY_EXPORT const cvy_alloc_t *cvy_alloc_malloc(void);

/**
 * The allocator of buffers that have no pool and of pools made without one; at first cvy_alloc_malloc().
 *
 * Thread: any; what was allocated before goes back to where it came from.
 */
CVY_EXPORT void cvy_alloc_set_default(const cvy_alloc_t *alloc);
CVY_EXPORT const cvy_alloc_t *cvy_alloc_default(void);

/** A cache of segments of a few fixed sizes and of view nodes. Every loop has one. */
typedef struct cvy_pool cvy_pool_t;

typedef struct cvy_pool_opts {
    const cvy_alloc_t *alloc; /* NULL: the default allocator */
    int64_t small_bytes;      /* bytes a small segment holds (headers, replies, kept bytes); 1024 */
    int64_t large_bytes;      /* bytes a large segment holds (reading), not below small_bytes; 131072 */
    int64_t keep_bytes;       /* free segments kept for the next taker; 4 MiB; CVY_OFF: none */
} cvy_pool_opts_t;

/**
 * A pool of one's own, for buffers outside any loop. One thread at a time takes from it; segments may go back from any.
 *
 * Owns:   the caller, until cvy_pool_free; segments that are still out live on and go back to the allocator. A buffer that names
 *         a freed pool may only be read and finished.
 * Errors: UV_ENOMEM, UV_EINVAL (a size below 64 B).
 */
CVY_EXPORT int cvy_pool_new(cvy_pool_t **out, const cvy_pool_opts_t *opts);
CVY_EXPORT void cvy_pool_free(cvy_pool_t *pool);

/** Segments taken and not yet given back, by this pool, or (NULL) by all buffers without a pool. Thread: any. */
CVY_EXPORT size_t cvy_pool_live(const cvy_pool_t *pool);

CVY_END_DECLS
#endif
