/* What the files of the buffer share: joining and cutting its chain of views, and the room behind its last byte. */
#ifndef CVY_BUF_CHAIN_H
#define CVY_BUF_CHAIN_H

#include "pool.h"

static inline size_t cvy__min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The pool that b takes from when v is what it holds or is about to: its own, else that of v, where that is this thread's. */
static inline cvy_pool_t *cvy__buf_pool(const cvy_buf_t *b, const cvy_view_t *v)
{
    if (b->pool || !v) return b->pool;
    const cvy_segment_t *s = v->segment;
    return s->loose || s->crossed || s->home.pool->closed ? NULL : s->home.pool;
}

static inline bool cvy__views_touch(const cvy_view_t *a, const cvy_view_t *b)
{
    return a->segment == b->segment && a->data + a->len == b->data;
}

/* Links first..last (n bytes) behind b's bytes; neighbours in one segment become one view. Cannot fail. */
static inline void cvy__chain_join(cvy_buf_t *b, cvy_view_t *first, cvy_view_t *last, size_t n)
{
    cvy_view_t *tail = b->tail;
    b->pool = cvy__buf_pool(b, first);
    b->len += n;
    last->next = NULL;
    if (!tail) {
        b->head = first;
        b->tail = last;
        return;
    }
    if (!cvy__views_touch(tail, first)) {
        tail->next = first;
        b->tail = last;
        return;
    }
    /* The bytes before first are tail's, so first has no front of its own to lose. */
    tail->len += first->len;
    tail->shared |= first->shared;
    tail->next = first->next;
    if (first != last) b->tail = last;
    cvy__view_drop(first);
}

/* Takes n < v->len bytes off the front of v. */
static inline void cvy__view_advance(cvy_view_t *v, size_t n)
{
    v->data += n;
    v->len -= n;
    if (v->shared)
        v->front = 0;
    else
        v->front = n > UINT32_MAX - v->front ? UINT32_MAX : v->front + (uint32_t)n;
}

/* Drops n <= b->len bytes from the head; the stream position is the caller's. */
static inline void cvy__chain_drop(cvy_buf_t *b, size_t n)
{
    b->len -= n;
    while (n) {
        cvy_view_t *v = b->head;
        assert(v); /* the views hold b->len bytes */
        if (n < v->len) {
            cvy__view_advance(v, n);
            return;
        }
        n -= v->len;
        b->head = v->next;
        if (!b->head) b->tail = NULL;
        cvy__view_drop(v);
    }
}

/* Forgets all views without dropping them: they went elsewhere. */
static inline void cvy__chain_leave(cvy_buf_t *b)
{
    b->consumed += b->len;
    b->len = 0;
    b->head = NULL;
    b->tail = NULL;
}

/* Splits v after n < v->len bytes: returns the first part as a view of its own, v is the rest. NULL: no memory. */
static inline cvy_view_t *cvy__view_cut(cvy_pool_t *pool, cvy_view_t *v, size_t n)
{
    cvy_view_t *first = cvy__view_take(pool, v->segment);
    if (!first) return NULL;
    cvy__segment_ref(v->segment);
    first->next = NULL;
    first->data = v->data;
    first->len = n;
    first->front = v->front;
    first->shared = v->shared;
    v->data += n;
    v->len -= n;
    v->front = 0;
    return first;
}

/* Room behind the last byte, in its own segment. None in one that has crossed: this thread may become its sole holder at any moment, and who was
 * told that there is no room, and reserved some elsewhere, would then find it in another place. */
static inline size_t cvy__tail_room(const cvy_buf_t *b)
{
    const cvy_view_t *v = b->tail;
    if (!v || v->segment->crossed || !cvy__segment_sole(v->segment) || v->data + v->len != v->segment->fill) return 0;
    return (size_t)(v->segment->end - v->segment->fill);
}

static inline size_t cvy__segment_room(const cvy_segment_t *s)
{
    return (size_t)(s->end - s->fill);
}

static inline cvy_segment_t *cvy__spare_next(const cvy_segment_t *s)
{
    return s->view.next ? s->view.next->segment : NULL;
}

/* The next stretch of room; *n is 0 when there is none. */
static inline uint8_t *cvy__room(const cvy_buf_t *b, size_t *n)
{
    *n = cvy__tail_room(b);
    if (*n) return b->tail->segment->fill;
    if (!b->spare) return NULL;
    *n = cvy__segment_room(b->spare);
    return b->spare->fill;
}

/* Segments with room for n > 0 bytes in all, linked as spare; held: what the buffer has already. NULL: no memory. */
cvy_segment_t *cvy__spare_take(cvy_pool_t *pool, size_t n, size_t held);
void cvy__spare_drop(cvy_segment_t *spare);
/* Makes the first n bytes of the next stretch of room readable; n is at most its length. */
void cvy__room_fill(cvy_buf_t *b, size_t n);
/* Copies n bytes into room that is there. */
void cvy__room_write(cvy_buf_t *b, const void *bytes, size_t n);
/* Makes a fresh segment that holds n bytes at its fill mark a view that owns front bytes before them. */
cvy_view_t *cvy__segment_open(cvy_segment_t *s, size_t n);
/* Finds the view with byte offset (< b->len) and where in it. */
cvy_view_t *cvy__view_at(const cvy_buf_t *b, size_t *offset);

#endif
