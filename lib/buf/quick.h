/*
 * What the way of every frame uses of a buffer, in the short form of the usual case: bytes of one view in a segment of this thread's. Each of
 * these says no where something else is the case, having changed nothing, and the caller goes the way of everyone.
 */
#ifndef CVY_BUF_QUICK_H
#define CVY_BUF_QUICK_H

#include <string.h>

#include "chain.h"

/* cvy_buf_fini of a buffer that is mostly empty by now. */
static inline void cvy__buf_done(cvy_buf_t *b)
{
    if (b->len || b->spare) cvy_buf_fini(b);
}

/* All of b where it is one view of at most most bytes, as what is flushed mostly is. */
static inline bool cvy__buf_one_view(const cvy_buf_t *b, size_t most, uv_buf_t *out)
{
    const cvy_view_t *v = b->head;
    if (!v || v->next || v->len > most) return false;
    *out = uv_buf_init((char *)v->data, (unsigned)v->len);
    return true;
}

/* Whether the first n bytes lie in one piece: at b->head->data. */
static inline bool cvy__buf_has_front(const cvy_buf_t *b, size_t n)
{
    return b->head && n <= b->head->len;
}

static inline uint32_t cvy__load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void cvy__store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* Puts v, big endian, in front of b, which holds less than SIZE_MAX - 4 bytes. */
static inline bool cvy__buf_prepend_be32_quick(cvy_buf_t *b, uint32_t v)
{
    cvy_view_t *head = b->head;
    if (!head || head->front < 4) return false;
    head->data -= 4;
    head->len += 4;
    head->front -= 4;
    b->len += 4;
    b->consumed -= 4;
    cvy__store_be32(head->data, v);
    return true;
}

/* cvy__buf_cut (below) of all that b holds, n > 0. */
static inline bool cvy__buf_cut_all_quick(cvy_buf_t *out, cvy_buf_t *b, size_t skip, size_t n)
{
    cvy_view_t *v = b->head;
    if (skip + n != v->len || v->next) return false;
    cvy__view_advance(v, skip);
    b->consumed += b->len;
    b->len = 0;
    b->head = b->tail = NULL;
    *out = (cvy_buf_t){ .len = n, .head = v, .tail = v, .pool = b->pool };
    return true;
}

/* cvy__buf_cut within the first view, n > 0. */
static inline bool cvy__buf_cut_quick(cvy_buf_t *out, cvy_buf_t *b, size_t skip, size_t n)
{
    cvy_view_t *v = b->head;
    cvy_segment_t *s = v->segment;
    cvy_pool_t *pool = b->pool;
    if (skip + n >= v->len) return cvy__buf_cut_all_quick(out, b, skip, n);
    if (!pool || !pool->nodes || s->crossed || !s->view_used || skip > UINT32_MAX - v->front) return false;
    cvy_view_t *first = pool->nodes;
    pool->nodes = first->next;
    pool->node_count--;
    cvy__segment_ref_plain(s);
    first->next = NULL;
    first->segment = s;
    first->data = v->data + skip;
    first->len = n;
    first->front = v->shared ? 0 : v->front + (uint32_t)skip;
    first->shared = v->shared;
    v->data += skip + n;
    v->len -= skip + n;
    v->front = 0;
    b->len -= skip + n;
    b->consumed += skip + n;
    *out = (cvy_buf_t){ .len = n, .head = first, .tail = first, .pool = pool };
    return true;
}

/* Moves all of in to b, which holds nothing. */
static inline bool cvy__buf_take_over_quick(cvy_buf_t *b, cvy_buf_t *in)
{
    if (b->len || !b->pool) return false;
    b->len = in->len;
    b->head = in->head;
    b->tail = in->tail;
    cvy__chain_leave(in);
    return true;
}

/* Moves all of in, one view that goes on where b ends, to the tail of b. Together they hold at most SIZE_MAX bytes. Returns that view, which says
 * nothing any more, for cvy__view_drop_merged; NULL: not that. */
static inline cvy_view_t *cvy__buf_join_quick(cvy_buf_t *b, cvy_buf_t *in)
{
    cvy_view_t *tail = b->tail, *v = in->head;
    if (!tail || !v || v->next || !cvy__views_touch(tail, v)) return NULL;
    size_t n = in->len;
    tail->len += n;
    tail->shared |= v->shared;
    b->len += n;
    cvy__chain_leave(in);
    return v;
}

/*
 * Drops the first skip bytes of b and splits the n behind them off into out, which it initialises. skip + n <= b->len.
 *
 * Errors: UV_ENOMEM; the skipped bytes may be gone then.
 */
int cvy__buf_cut(cvy_buf_t *out, cvy_buf_t *b, size_t skip, size_t n);

#endif
