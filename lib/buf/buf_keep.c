/*
 * Keeping bytes without keeping what surrounds them: keep, compact, and the outbound queue.
 *
 * Bytes are looked at in groups: neighbouring views of one segment, since a segment is let go by the last of them only. A group that
 * is small for what it pins is copied, any other is linked. All memory for the copies is taken first, so that nothing fails half way.
 */
#include <string.h>
#include <uv.h>

#include "chain.h"
#include "queue.h"

/* Kept bytes are copied up to an eighth of their segment, so that what is pinned is at most eight times what is held: of a 128 KiB
 * slab up to 16 KiB, 155 ns to copy (bench_buf), about a hundredth of what reading 128 KiB costs. */
#define KEEP_FRACTION 8
/* Up to here a copy costs no more than moving a view and dropping it: 12 and 11 ns (bench_buf). */
#define KEEP_BYTES    128
/* Queued bytes are copied up to here, 14 ns (bench_buf): a view costs 11 ns to move and drop, and writev another 8 to 15. */
#define QUEUE_BYTES   512
/* While the kernel takes nothing: 64 KiB of frames (the high mark) then pin 16 slabs at most, 2 MiB, where frames of 600 bytes could pin a slab
 * each, 14 MiB. A copy of 4 KiB is 39 ns (bench_buf). */
#define BLOCKED_BYTES 4096

typedef struct cvy__group {
    cvy_view_t *first;
    cvy_view_t *last;
    size_t bytes;
} group_t;

typedef bool (*copies_fn)(const group_t *g, size_t small_bytes);

static group_t group_at(cvy_view_t *first)
{
    group_t g = { first, first, first->len };
    while (g.last->next && g.last->next->segment == first->segment) {
        g.last = g.last->next;
        g.bytes += g.last->len;
    }
    return g;
}

static bool keep_copies(const group_t *g, size_t small_bytes)
{
    (void)small_bytes;
    return g->bytes <= KEEP_BYTES || g->bytes <= cvy__segment_capacity(g->first->segment) / KEEP_FRACTION;
}

static bool compact_copies(const group_t *g, size_t small_bytes)
{
    size_t capacity = cvy__segment_capacity(g->first->segment);
    return capacity > small_bytes + CVY__FRONT_BYTES && g->bytes <= capacity / 2;
}

/* Segments with exactly as much room as a run of copies that ends with n more bytes needs; *room is what is left of the last. */
static bool plan_copy(cvy_pool_t *pool, size_t n, size_t *room, cvy_segment_t **first, cvy_segment_t **last)
{
    if (n > *room) {
        cvy_segment_t *s = cvy__segment_fit(pool, n - *room);
        if (!s) return false;
        if (*last)
            (*last)->view.next = &s->view;
        else
            *first = s;
        *last = s;
        *room += cvy__segment_room(s);
    }
    *room -= n;
    return true;
}

/* Takes the segments for all copies that gather will make. */
static bool plan(const cvy_buf_t *dst, const cvy_buf_t *src, cvy_pool_t *pool, copies_fn copies, cvy_segment_t **out)
{
    size_t small = pool ? pool->size[CVY__SMALL] : CVY__SMALL_BYTES;
    size_t room = cvy__tail_room(dst);
    cvy_segment_t *first = NULL, *last = NULL;
    for (cvy_view_t *v = src->head; v;) {
        group_t g = group_at(v);
        if (!copies(&g, small)) {
            room = 0;
        } else if (!plan_copy(pool, g.bytes, &room, &first, &last)) {
            cvy__spare_drop(first);
            return false;
        }
        v = g.last->next;
    }
    *out = first;
    return true;
}

/* Puts planned segments in front of what b had reserved: copies use them in the order they were planned. */
static void spare_prepend(cvy_buf_t *b, cvy_segment_t *planned)
{
    cvy_segment_t *last = NULL;
    for (cvy_segment_t *s = planned; s; s = cvy__spare_next(s))
        last = s;
    if (!last) return;
    last->view.next = b->spare ? &b->spare->view : NULL;
    b->spare = planned;
}

/* Drops those that were planned and are left. */
static void spare_trim(cvy_buf_t *b, const cvy_segment_t *reserved)
{
    while (b->spare != reserved) {
        cvy_segment_t *s = b->spare;
        b->spare = cvy__spare_next(s);
        cvy__segment_unref(s);
    }
}

static void copy_group(cvy_buf_t *dst, const group_t *g)
{
    cvy_view_t *end = g->last->next;
    for (cvy_view_t *v = g->first, *next; v != end; v = next) {
        next = v->next;
        cvy__room_write(dst, v->data, v->len);
        cvy__view_drop(v);
    }
}

/* Moves all of src behind dst, copying the groups that copies names. */
static int gather(cvy_buf_t *dst, cvy_buf_t *src, copies_fn copies)
{
    cvy_segment_t *planned;
    const cvy_segment_t *reserved = dst->spare;
    cvy_pool_t *pool = cvy__buf_pool(dst, src->head);
    size_t small = pool ? pool->size[CVY__SMALL] : CVY__SMALL_BYTES;
    if (!plan(dst, src, pool, copies, &planned)) return UV_ENOMEM;
    spare_prepend(dst, planned);
    dst->pool = pool;
    cvy_view_t *v = src->head;
    cvy__chain_leave(src);
    while (v) {
        group_t g = group_at(v);
        v = g.last->next;
        if (copies(&g, small))
            copy_group(dst, &g);
        else
            cvy__chain_join(dst, g.first, g.last, g.bytes);
    }
    spare_trim(dst, reserved);
    return 0;
}

int cvy_buf_keep(cvy_buf_t *b, cvy_buf_t *other)
{
    if (b == other) return UV_EINVAL;
    if (!other->len) return 0;
    if (other->len > SIZE_MAX - b->len) return UV_ENOMEM;
    /* Next to what is held already, nothing more is pinned. */
    if (b->tail && !other->head->next && cvy__views_touch(b->tail, other->head)) return cvy_buf_append_buf(b, other);
    return gather(b, other, keep_copies);
}

int cvy_buf_compact(cvy_buf_t *b)
{
    cvy_buf_t fresh = { .pool = b->pool };
    uint64_t consumed = b->consumed;
    if (!b->len) return 0;
    int err = gather(&fresh, b, compact_copies);
    if (err) return err;
    b->head = fresh.head;
    b->tail = fresh.tail;
    b->len = fresh.len;
    b->consumed = consumed;
    return 0;
}

static bool fits_tail(cvy_buf_t *b, size_t n)
{
    return n <= cvy__tail_room(b);
}

/* Room for n bytes: behind the last one, or in a small segment of its own where out has bytes that a copy can save a view from. */
static bool queue_room(cvy_buf_t *out, const cvy_buf_t *in)
{
    if (fits_tail(out, in->len)) return true;
    /* The first view costs nothing extra, and one with room behind it becomes the tail that later ones are copied into. */
    if (!out->len || cvy__tail_room(in)) return false;
    return cvy_buf_reserve(out, in->len) == 0;
}

int cvy__buf_queue(cvy_buf_t *out, cvy_buf_t *in, bool blocked)
{
    size_t most = blocked ? BLOCKED_BYTES : QUEUE_BYTES;
    if (out == in || in->len > most || !in->len || in->len > SIZE_MAX - out->len) return cvy_buf_append_buf(out, in);
    if (out->tail && cvy__views_touch(out->tail, in->head)) return cvy_buf_append_buf(out, in);
    if (!queue_room(out, in)) return cvy_buf_append_buf(out, in);
    for (const cvy_view_t *v = in->head; v; v = v->next)
        cvy__room_write(out, v->data, v->len);
    cvy_buf_advance(in, in->len);
    return 0;
}
