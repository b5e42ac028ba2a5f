/*
 * Room at the tail: the rest of the last segment, where this buffer alone holds it, then reserved segments that hold no bytes yet.
 *
 * A reserved segment brings its own view node, so that making room readable allocates nothing and cannot fail.
 */
#include <string.h>
#include <uv.h>

#include "chain.h"

/* Above this the allocator is asked once, for one segment: it says no at once where many small yeses would fill the memory. */
#define BULK_BYTES     ((size_t)1 << 30)
/* From this fraction of a large segment on one large serves instead of a chain of small ones. */
#define LARGE_FRACTION 8

static cvy_segment_t *take_for(cvy_pool_t *pool, size_t need, size_t held)
{
    size_t large = pool ? pool->size[CVY__LARGE] : CVY__LARGE_BYTES;
    if (need > BULK_BYTES) return cvy__segment_own(pool, need);
    /* What has grown that long is likely to go on, and wastes at most as much as it holds. */
    return cvy__segment_take(pool, need >= large / LARGE_FRACTION || held >= large ? CVY__LARGE : CVY__SMALL);
}

cvy_segment_t *cvy__spare_take(cvy_pool_t *pool, size_t n, size_t held)
{
    cvy_segment_t *first = NULL, *last = NULL;
    for (;;) {
        cvy_segment_t *s = take_for(pool, n, held);
        if (!s) {
            cvy__spare_drop(first);
            return NULL;
        }
        if (last)
            last->view.next = &s->view;
        else
            first = s;
        last = s;
        if (n <= cvy__segment_room(s)) return first;
        n -= cvy__segment_room(s);
    }
}

void cvy__spare_drop(cvy_segment_t *spare)
{
    while (spare) {
        cvy_segment_t *next = cvy__spare_next(spare);
        cvy__segment_unref(spare);
        spare = next;
    }
}

cvy_view_t *cvy__segment_open(cvy_segment_t *s, size_t n)
{
    cvy_view_t *v = &s->view;
    s->view_used = true;
    v->next = NULL;
    v->data = s->fill;
    v->len = n;
    v->front = (uint32_t)cvy__min((size_t)(s->fill - s->base), UINT32_MAX);
    v->shared = false;
    s->fill += n;
    return v;
}

static void spare_open(cvy_buf_t *b, size_t n)
{
    cvy_segment_t *s = b->spare;
    b->spare_bytes -= cvy__segment_room(s);
    b->spare = cvy__spare_next(s);
    cvy_view_t *v = cvy__segment_open(s, n);
    if (b->tail)
        b->tail->next = v;
    else
        b->head = v;
    b->tail = v;
    b->len += n;
}

void cvy__room_fill(cvy_buf_t *b, size_t n)
{
    if (!cvy__tail_room(b)) {
        spare_open(b, n);
        return;
    }
    b->tail->segment->fill += n;
    b->tail->len += n;
    b->len += n;
}

void cvy__room_write(cvy_buf_t *b, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    while (n) {
        size_t part;
        uint8_t *to = cvy__room(b, &part);
        part = cvy__min(part, n);
        memcpy(to, from, part);
        cvy__room_fill(b, part);
        from += part;
        n -= part;
    }
}

size_t cvy_buf_writable(const cvy_buf_t *b)
{
    return cvy__tail_room(b) + b->spare_bytes;
}

static void spare_add(cvy_buf_t *b, cvy_segment_t *more)
{
    cvy_segment_t *last = b->spare;
    while (last && last->view.next)
        last = cvy__spare_next(last);
    if (last)
        last->view.next = &more->view;
    else
        b->spare = more;
    for (; more; more = cvy__spare_next(more))
        b->spare_bytes += cvy__segment_room(more);
}

int cvy_buf_reserve(cvy_buf_t *b, size_t n)
{
    size_t room = cvy_buf_writable(b);
    if (n <= room) return 0;
    if (n > SIZE_MAX / 2 || n > SIZE_MAX - b->len) return UV_ENOMEM;
    cvy_segment_t *more = cvy__spare_take(cvy__buf_pool(b, b->tail), n - room, b->len);
    if (!more) return UV_ENOMEM;
    spare_add(b, more);
    return 0;
}

int cvy_buf_reserve_total(cvy_buf_t *b, size_t capacity)
{
    return capacity <= b->len ? 0 : cvy_buf_reserve(b, capacity - b->len);
}

int cvy_buf_append(cvy_buf_t *b, const void *bytes, size_t n)
{
    if (n == 0) return 0;
    if (n <= cvy__tail_room(b)) {
        memcpy(b->tail->segment->fill, bytes, n);
        b->tail->segment->fill += n;
        b->tail->len += n;
        b->len += n;
        return 0;
    }
    int err = cvy_buf_reserve(b, n);
    if (!err) cvy__room_write(b, bytes, n);
    return err;
}

size_t cvy_buf_commit(cvy_buf_t *b, size_t n)
{
    n = cvy__min(n, cvy_buf_writable(b));
    for (size_t left = n, part; left; left -= part) {
        cvy__room(b, &part);
        part = cvy__min(part, left);
        cvy__room_fill(b, part);
    }
    return n;
}

int cvy_buf_replace(cvy_buf_t *b, const uv_buf_t *views, size_t count)
{
    cvy_buf_t fresh = { .pool = cvy__buf_pool(b, b->head) };
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (views[i].len > SIZE_MAX - total) return UV_ENOMEM;
        total += views[i].len;
    }
    int err = cvy_buf_reserve(&fresh, total);
    if (err) return err;
    for (size_t i = 0; i < count; i++)
        cvy__room_write(&fresh, views[i].base, views[i].len);
    return cvy_buf_take(b, &fresh);
}
