/*
 * Pools: free lists of two sizes of segments and of view nodes.
 *
 * One thread takes. What never crossed threads comes back on that thread, by plain loads and stores. What crossed comes back from
 * any thread onto the return stack, which the taking thread empties when a free list is: pushes only and whole-stack exchanges, so
 * no ABA. Beyond keep_bytes things go straight to the allocator.
 *
 * The pool's memory outlives its owner until the last segment and node are back. Nobody counts for that while the pool is open:
 * holds starts at a bias, those who free past the pool subtract, and closing replaces the bias by what is still out. Once closed
 * the return stack holds the pool's own address, so that whoever comes later frees by itself.
 */
#include "pool.h"

#include <string.h>
#include <uv.h>

#define ALIGN      (_Alignof(max_align_t))
#define HOLDS_BIAS (SIZE_MAX / 2)

static cvy_view_t *closed_mark(cvy_pool_t *pool)
{
    return (cvy_view_t *)(void *)pool;
}

static bool is_segment(const cvy_view_t *item)
{
    return item->segment && item == &item->segment->view;
}

static size_t item_bytes(const cvy_view_t *item)
{
    return is_segment(item) ? cvy__segment_capacity(item->segment) : sizeof(cvy__node_t);
}

static void item_free(const cvy_alloc_t *alloc, cvy_view_t *item)
{
    if (is_segment(item))
        cvy__segment_free(item->segment, alloc);
    else
        alloc->free(alloc->arg, item, sizeof(cvy__node_t), ALIGN);
}

static int pool_size(size_t *out, int64_t opt, size_t otherwise)
{
    if (opt == 0) {
        *out = otherwise;
        return 0;
    }
    if (opt < 64 || (uint64_t)opt > SIZE_MAX / 4) return UV_EINVAL;
    *out = (size_t)opt;
    return 0;
}

int cvy_pool_new(cvy_pool_t **out, const cvy_pool_opts_t *opts)
{
    cvy_pool_opts_t o = opts ? *opts : (cvy_pool_opts_t){ 0 };
    const cvy_alloc_t *alloc = o.alloc ? o.alloc : cvy_alloc_default();
    size_t small, large;
    int err = pool_size(&small, o.small_bytes, CVY__SMALL_BYTES);
    if (!err) err = pool_size(&large, o.large_bytes, CVY__LARGE_BYTES);
    if (!err && (large < small || o.keep_bytes < CVY_OFF)) err = UV_EINVAL;
    if (err) return err;
    cvy_pool_t *pool = alloc->alloc(alloc->arg, sizeof *pool, ALIGN);
    if (!pool) return UV_ENOMEM;
    memset(pool, 0, sizeof *pool);
    pool->alloc = alloc;
    pool->size[CVY__SMALL] = small;
    pool->size[CVY__LARGE] = large;
    pool->keep_bytes = o.keep_bytes == CVY_OFF ? 0 : o.keep_bytes ? (size_t)o.keep_bytes : CVY__KEEP_BYTES;
    pool->node_max = pool->keep_bytes ? CVY__KEEP_NODES : 0;
    atomic_init(&pool->live, 0);
    atomic_init(&pool->returned, NULL);
    atomic_init(&pool->returned_bytes, 0);
    atomic_init(&pool->back, 0);
    atomic_init(&pool->holds, HOLDS_BIAS);
    *out = pool;
    return 0;
}

static void free_all(const cvy_alloc_t *alloc, cvy_view_t *item)
{
    while (item) {
        cvy_view_t *next = item->next;
        item_free(alloc, item);
        item = next;
    }
}

static void pool_release(cvy_pool_t *pool)
{
    pool->alloc->free(pool->alloc->arg, pool, sizeof *pool, ALIGN);
}

/* A node's segment is only told apart from a free node's by is_segment, so a free node has none. */
static void node_put(cvy_pool_t *pool, cvy_view_t *node)
{
    if (pool->node_count >= pool->node_max) {
        item_free(pool->alloc, node);
        pool->out--;
        return;
    }
    node->next = pool->nodes;
    pool->nodes = node;
    pool->node_count++;
}

static void segment_put(cvy_pool_t *pool, cvy_segment_t *s)
{
    size_t bytes = cvy__segment_capacity(s);
    if (s->kind > CVY__LARGE || pool->kept_bytes > pool->keep_bytes || bytes > pool->keep_bytes - pool->kept_bytes) {
        cvy__segment_free(s, pool->alloc);
        return;
    }
    pool->kept_bytes += bytes;
    s->view.next = pool->free[s->kind];
    pool->free[s->kind] = &s->view;
}

/* Takes in what other threads gave back. */
static void drain(cvy_pool_t *pool)
{
    if (!atomic_load_explicit(&pool->returned, memory_order_relaxed)) return;
    cvy_view_t *item = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (item) {
        cvy_view_t *next = item->next;
        atomic_fetch_sub_explicit(&pool->returned_bytes, item_bytes(item), memory_order_relaxed);
        if (is_segment(item)) {
            pool->out--;
            cvy__pool_add_live(pool, (size_t)0 - 1);
            atomic_fetch_sub_explicit(&pool->back, 1, memory_order_relaxed);
            segment_put(pool, item->segment);
        } else {
            item->node = 0;
            node_put(pool, item);
        }
        item = next;
    }
}

/* From any thread: onto the return stack where that has room and the pool is open, else past it. */
static void give_back(cvy_pool_t *pool, cvy_view_t *item, bool keep)
{
    if (is_segment(item)) atomic_fetch_add_explicit(&pool->back, 1, memory_order_release);
    size_t bytes = item_bytes(item);
    if (keep && atomic_load_explicit(&pool->returned_bytes, memory_order_relaxed) + bytes <= pool->keep_bytes) {
        atomic_fetch_add_explicit(&pool->returned_bytes, bytes, memory_order_relaxed);
        cvy_view_t *top = atomic_load_explicit(&pool->returned, memory_order_relaxed);
        while (top != closed_mark(pool)) {
            item->next = top;
            if (atomic_compare_exchange_weak_explicit(&pool->returned, &top, item, memory_order_release,
                                                      memory_order_relaxed))
                return; /* from here on the pool may be gone */
        }
    }
    item_free(pool->alloc, item);
    if (atomic_fetch_sub_explicit(&pool->holds, 1, memory_order_acq_rel) == 1) pool_release(pool);
}

void cvy_pool_free(cvy_pool_t *pool)
{
    if (!pool) return;
    pool->closed = true;
    cvy_view_t *back = atomic_exchange_explicit(&pool->returned, closed_mark(pool), memory_order_acq_rel);
    for (cvy_view_t *v = back; v; v = v->next)
        pool->out--;
    pool->out -= pool->node_count;
    free_all(pool->alloc, back);
    free_all(pool->alloc, pool->nodes);
    free_all(pool->alloc, pool->free[CVY__SMALL]);
    free_all(pool->alloc, pool->free[CVY__LARGE]);
    pool->nodes = NULL;
    pool->node_count = 0;
    pool->node_max = 0;
    pool->free[CVY__SMALL] = pool->free[CVY__LARGE] = NULL;
    size_t change = pool->out - HOLDS_BIAS;
    if (atomic_fetch_add_explicit(&pool->holds, change, memory_order_acq_rel) + change == 0) pool_release(pool);
}

cvy_segment_t *cvy__pool_reuse(cvy_pool_t *pool, cvy__segment_kind_t kind)
{
    if (!pool->free[kind]) drain(pool);
    cvy_view_t *v = pool->free[kind];
    if (!v) return NULL;
    pool->free[kind] = v->next;
    pool->kept_bytes -= cvy__segment_capacity(v->segment);
    return v->segment;
}

void cvy__pool_give(cvy_segment_t *s)
{
    cvy_pool_t *pool = s->home.pool;
    if (s->crossed || pool->closed) {
        bool keep = s->kind <= CVY__LARGE;
        give_back(pool, &s->view, keep);
        return;
    }
    pool->out--;
    cvy__pool_add_live(pool, (size_t)0 - 1);
    segment_put(pool, s);
}

static cvy_view_t *node_new(cvy_pool_t *pool)
{
    const cvy_alloc_t *alloc = pool ? pool->alloc : cvy_alloc_default();
    cvy__node_t *node = alloc->alloc(alloc->arg, sizeof *node, ALIGN);
    if (!node) return NULL;
    *node = (cvy__node_t){ .view = { .node = pool ? 0 : CVY__NODE_LOOSE } };
    if (pool)
        node->home.pool = pool;
    else
        node->home.alloc = alloc;
    return &node->view;
}

cvy_view_t *cvy__node_take_slow(cvy_pool_t *pool)
{
    if (pool && pool->closed) pool = NULL;
    if (!pool) return node_new(NULL);
    drain(pool);
    cvy_view_t *v = pool->nodes;
    if (v) {
        pool->nodes = v->next;
        pool->node_count--;
    } else {
        v = node_new(pool);
        if (!v) return NULL;
        pool->out++;
    }
    return v;
}

void cvy__node_give_slow(cvy_view_t *v)
{
    cvy__node_t *node = cvy__view_node(v);
    v->segment = NULL;
    if (v->node & CVY__NODE_LOOSE) {
        const cvy_alloc_t *alloc = node->home.alloc;
        alloc->free(alloc->arg, node, sizeof *node, ALIGN);
        return;
    }
    cvy_pool_t *pool = node->home.pool;
    if (v->node || pool->closed) {
        give_back(pool, v, pool->keep_bytes > 0);
        return;
    }
    node_put(pool, v);
}

void cvy__view_drop_slow(cvy_view_t *v)
{
    cvy__view_drop(v);
}
