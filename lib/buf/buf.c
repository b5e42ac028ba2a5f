/*
 * The buffer's core: bytes join at the tail, leave at the head, and views move from one buffer to another.
 *
 * Invariants: len is the sum of the views' lengths; no view is empty; head and tail are NULL together; spare segments hold no
 * bytes. Whatever may fail allocates before it changes anything.
 */
#include <string.h>
#include <uv.h>

#include "base/hints.h"
#include "chain.h"
#include "quick.h"

void cvy_buf_init(cvy_buf_t *b, cvy_pool_t *pool)
{
    *b = (cvy_buf_t){ .pool = pool };
}

static CVY__APART void fini_any(cvy_buf_t *b)
{
    b->consumed += b->len;
    cvy__chain_drop(b, b->len);
    if (!b->spare) return;
    cvy__spare_drop(b->spare);
    b->spare = NULL;
}

void cvy_buf_fini(cvy_buf_t *b)
{
    cvy_view_t *v = b->head;
    if (v && v == b->tail && !b->spare && !cvy__segment_sole(v->segment) && cvy__view_drop_quick(v, v->segment))
        cvy__chain_leave(b);
    else
        fini_any(b);
}

int cvy_buf_append_buf(cvy_buf_t *b, cvy_buf_t *other)
{
    if (b == other) return UV_EINVAL;
    if (!other->len) return 0;
    if (other->len > SIZE_MAX - b->len) return UV_ENOMEM;
    cvy_view_t *first = other->head, *last = other->tail;
    size_t n = other->len;
    cvy__chain_leave(other);
    cvy__chain_join(b, first, last, n);
    return 0;
}

int cvy_buf_take(cvy_buf_t *b, cvy_buf_t *other)
{
    if (b == other) return UV_EINVAL;
    b->consumed += b->len;
    cvy__chain_drop(b, b->len);
    return cvy_buf_append_buf(b, other);
}

/* Bytes in front of v that may be written: its own, or everything when nobody else refers to the segment. */
static size_t front_room(const cvy_view_t *v)
{
    if (v->segment->kind != CVY__FOREIGN && cvy__segment_sole(v->segment)) return (size_t)(v->data - v->segment->base);
    return v->front;
}

/* A view over bytes at the end of a new segment, so that what is put before them later finds room. */
static cvy_view_t *prefix_new(cvy_pool_t *pool, const void *bytes, size_t n)
{
    cvy_segment_t *s = cvy__segment_fit(pool, n);
    if (!s) return NULL;
    s->fill = s->end - n;
    memcpy(s->fill, bytes, n);
    return cvy__segment_open(s, n);
}

static int prepend_view(cvy_buf_t *b, const void *bytes, size_t n)
{
    cvy_view_t *v = b->head, *prefix = prefix_new(cvy__buf_pool(b, v), bytes, n);
    if (!prefix) return UV_ENOMEM;
    prefix->next = v;
    b->head = prefix;
    if (!v) b->tail = prefix;
    return 0;
}

int cvy_buf_prepend(cvy_buf_t *b, const void *bytes, size_t n)
{
    cvy_view_t *v = b->head;
    if (n > SIZE_MAX - b->len) return UV_ENOMEM;
    if (n == 0) return 0;
    if (v && (n <= v->front || n <= front_room(v))) {
        v->data -= n;
        v->len += n;
        v->front = n < v->front ? v->front - (uint32_t)n : 0;
        if (n == 4)
            memcpy(v->data, bytes, 4); /* the usual length prefix: one store instead of a call */
        else
            memcpy(v->data, bytes, n);
    } else if (prepend_view(b, bytes, n)) {
        return UV_ENOMEM;
    }
    b->len += n;
    b->consumed -= n;
    return 0;
}

int cvy_buf_wrap(cvy_buf_t *b, void *base, size_t n, void (*free_cb)(void *arg, void *base, size_t n), void *arg)
{
    if (n > SIZE_MAX - b->len) return UV_ENOMEM;
    if (n == 0) {
        if (free_cb) free_cb(arg, base, 0);
        return 0;
    }
    cvy_segment_t *s = cvy__segment_foreign(b->pool, base, n, free_cb, arg);
    if (!s) return UV_ENOMEM;
    s->view_used = true;
    s->view.data = s->base;
    s->view.len = n;
    s->view.front = 0;
    s->view.shared = true; /* with whoever gave it */
    cvy__chain_join(b, &s->view, &s->view, n);
    return 0;
}

size_t cvy_buf_advance(cvy_buf_t *b, size_t n)
{
    n = cvy__min(n, b->len);
    b->consumed += n;
    cvy__chain_drop(b, n);
    return n;
}

/* Takes the first n bytes (0 < n < len) off b as a chain first..last; dst will get them. */
static int detach(const cvy_buf_t *dst, cvy_buf_t *b, size_t n, cvy_view_t **first, cvy_view_t **last)
{
    cvy_view_t *before = NULL, *v = b->head;
    size_t left = n;
    while (left >= v->len) {
        left -= v->len;
        before = v;
        v = v->next;
    }
    cvy_view_t *cut = before;
    if (left) {
        cvy_pool_t *pool = dst->pool ? dst->pool : cvy__buf_pool(b, v);
        cut = cvy__view_cut(pool, v, left);
        if (!cut) return UV_ENOMEM;
    }
    if (before) before->next = left ? cut : NULL;
    *first = before ? b->head : cut;
    *last = cut;
    b->head = v;
    b->len -= n;
    b->consumed += n;
    return 0;
}

int cvy_buf_move(cvy_buf_t *dst, cvy_buf_t *src, size_t n)
{
    cvy_view_t *first, *last;
    if (dst == src) return UV_EINVAL;
    if (n >= src->len) return cvy_buf_append_buf(dst, src);
    if (n == 0) return 0;
    if (n > SIZE_MAX - dst->len) return UV_ENOMEM;
    int err = detach(dst, src, n, &first, &last);
    if (!err) cvy__chain_join(dst, first, last, n);
    return err;
}

static CVY__APART int split_any(cvy_buf_t *out, cvy_buf_t *b, size_t n)
{
    cvy_view_t *first = NULL, *last = NULL;
    if (n > b->len) return UV_EAGAIN;
    if (n && n < b->head->len) { /* a frame out of the middle of what was read */
        first = last = cvy__view_cut(cvy__buf_pool(b, b->head), b->head, n);
        if (!first) return UV_ENOMEM;
        b->len -= n;
        b->consumed += n;
    } else if (n == b->len) {
        first = b->head;
        last = b->tail;
        cvy__chain_leave(b);
    } else if (n && detach(b, b, n, &first, &last)) {
        return UV_ENOMEM;
    }
    if (last) last->next = NULL;
    *out = (cvy_buf_t){ .len = n, .head = first, .tail = last, .pool = b->pool };
    return 0;
}

int cvy_buf_split(cvy_buf_t *out, cvy_buf_t *b, size_t n)
{
    cvy_view_t *v = b->head;
    return n && v && n < v->len && cvy__buf_cut_quick(out, b, 0, n) ? 0 : split_any(out, b, n);
}

int cvy__buf_cut(cvy_buf_t *out, cvy_buf_t *b, size_t skip, size_t n)
{
    cvy_view_t *v = b->head;
    if (!n || skip + n >= v->len) {
        cvy_buf_advance(b, skip);
        return cvy_buf_split(out, b, n);
    }
    if (skip) cvy__view_advance(v, skip);
    cvy_view_t *first = cvy__view_cut(cvy__buf_pool(b, v), v, n);
    size_t gone = first ? skip + n : skip;
    b->len -= gone;
    b->consumed += gone;
    if (!first) return UV_ENOMEM;
    *out = (cvy_buf_t){ .len = n, .head = first, .tail = first, .pool = b->pool };
    return 0;
}
