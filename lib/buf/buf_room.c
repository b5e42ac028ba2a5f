/*
 * Room at the tail: the rest of the last segment, where this buffer alone holds it, then reserved segments that hold no bytes yet.
 *
 * A reserved segment brings its own view node, so that making room readable allocates nothing and cannot fail.
 */
#include <assert.h>
#include <string.h>
#include <uv.h>

#include "base/hints.h"
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

static void link_segment(cvy_buf_t *b, cvy_segment_t *s, size_t n)
{
    cvy_view_t *v = cvy__segment_open(s, n);
    if (b->tail)
        b->tail->next = v;
    else
        b->head = v;
    b->tail = v;
    b->len += n;
}

static void spare_open(cvy_buf_t *b, size_t n)
{
    cvy_segment_t *s = b->spare;
    b->spare = cvy__spare_next(s);
    link_segment(b, s, n);
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

/* Copies what fits into the room behind the last byte; answers how much that was. */
static size_t tail_write(cvy_buf_t *b, const void *bytes, size_t n)
{
    cvy_view_t *v = b->tail;
    n = cvy__min(cvy__tail_room(b), n);
    if (!v || !n) return 0;
    memcpy(v->segment->fill, bytes, n);
    v->segment->fill += n;
    v->len += n;
    b->len += n;
    return n;
}

void cvy__room_write(cvy_buf_t *b, const void *bytes, size_t n)
{
    const uint8_t *from = bytes;
    size_t done = tail_write(b, from, n);
    while (done < n) {
        cvy_segment_t *s = b->spare;
        assert(s); /* reserved by the caller */
        size_t part = cvy__min(cvy__segment_room(s), n - done);
        memcpy(s->fill, from + done, part);
        spare_open(b, part);
        done += part;
    }
}

/* How much room there is, counted until it is enough. */
static size_t room_up_to(const cvy_buf_t *b, size_t enough)
{
    size_t room = cvy__tail_room(b);
    for (const cvy_segment_t *s = b->spare; s && room < enough; s = cvy__spare_next(s))
        room += cvy__segment_room(s);
    return cvy__min(room, SIZE_MAX - b->len);
}

size_t cvy_buf_writable(const cvy_buf_t *b)
{
    return room_up_to(b, SIZE_MAX);
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
}

int cvy_buf_reserve(cvy_buf_t *b, size_t n)
{
    size_t room = room_up_to(b, n);
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

/* The rest, where one new segment takes it and nothing is reserved: without the detour of a reservation. */
static int append_segment(cvy_buf_t *b, cvy_pool_t *pool, const void *bytes, size_t n)
{
    size_t room = cvy__tail_room(b);
    cvy_segment_t *s = take_for(pool, n - room, b->len);
    if (!s) return UV_ENOMEM;
    tail_write(b, bytes, room);
    memcpy(s->fill, (const uint8_t *)bytes + room, n - room);
    link_segment(b, s, n - room);
    return 0;
}

/* More than there is room for behind the last byte, or than a buffer holds, or nothing. */
static CVY__APART int append_any(cvy_buf_t *b, const void *bytes, size_t n)
{
    cvy_pool_t *pool = cvy__buf_pool(b, b->tail);
    size_t small = pool && !pool->closed ? pool->size[CVY__SMALL] : CVY__SMALL_BYTES;
    if (!n) return 0;
    if (n <= small && !b->spare && n <= SIZE_MAX - b->len) return append_segment(b, pool, bytes, n);
    int err = cvy_buf_reserve(b, n);
    if (!err) cvy__room_write(b, bytes, n);
    return err;
}

/* As memcpy. A call of that through the library's table costs 2 of the 7 ns that appending 64 bytes takes (bench/inproc): so short, they are moved
 * in line, by 16 at a time, of which the last may overlap. */
static inline void copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n < 16 || n > 64) {
        memcpy(to, from, n);
        return;
    }
    memcpy(to, from, 16);
    if (n > 32) {
        memcpy(to + 16, from + 16, 16);
        memcpy(to + n - 32, from + n - 32, 16);
    }
    memcpy(to + n - 16, from + n - 16, 16);
}

int cvy_buf_append(cvy_buf_t *b, const void *bytes, size_t n)
{
    cvy_view_t *v = b->tail;
    if (!v || n > cvy__tail_room(b) || n > SIZE_MAX - b->len) return append_any(b, bytes, n);
    uint8_t *to = v->segment->fill;
    v->segment->fill = to + n;
    v->len += n;
    b->len += n;
    copy(to, bytes, n); /* last, so that nothing has to be kept across the call */
    return 0;
}

size_t cvy_buf_commit(cvy_buf_t *b, size_t n)
{
    n = cvy__min(n, room_up_to(b, n));
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
