/*
 * Looking at bytes without taking them: copies out, views out, searching, and one contiguous piece.
 *
 * A place is found by walking the chain once, one in the last view at once; searching goes on from there, so that a caller who remembers
 * how far it has looked never scans a byte twice.
 */
#include <limits.h>
#include <string.h>
#include <uv.h>

#include "chain.h"

/* The length of a uv_buf_t: 32 bits on Windows, and uv_buf_init takes an unsigned int everywhere. */
#define PIECE_MAX ((size_t)UINT_MAX)

cvy_view_t *cvy__view_at(const cvy_buf_t *b, size_t *offset)
{
    cvy_view_t *v = b->head;
    if (b->tail && *offset < b->len && *offset >= b->len - b->tail->len) {
        *offset -= b->len - b->tail->len;
        return b->tail;
    }
    while (*offset >= v->len) {
        *offset -= v->len;
        v = v->next;
    }
    return v;
}

size_t cvy_buf_peek_at(const cvy_buf_t *b, size_t offset, void *out, size_t n)
{
    uint8_t *to = out;
    if (offset >= b->len) return 0;
    n = cvy__min(n, b->len - offset);
    const cvy_view_t *v = cvy__view_at(b, &offset);
    for (size_t left = n; left; v = v->next) {
        size_t part = cvy__min(left, v->len - offset);
        memcpy(to, v->data + offset, part);
        to += part;
        left -= part;
        offset = 0;
    }
    return n;
}

size_t cvy_buf_peek(const cvy_buf_t *b, void *out, size_t n)
{
    return cvy_buf_peek_at(b, 0, out, n);
}

size_t cvy_buf_read(cvy_buf_t *b, void *out, size_t n)
{
    return cvy_buf_advance(b, cvy_buf_peek_at(b, 0, out, n));
}

/* Adds a stretch in pieces that a uv_buf_t can hold; returns the new count. */
static size_t put_pieces(uv_buf_t *out, size_t max, size_t count, uint8_t *base, size_t n)
{
    while (n && count < max) {
        size_t part = cvy__min(n, PIECE_MAX);
        out[count++] = uv_buf_init((char *)base, (unsigned)part);
        base += part;
        n -= part;
    }
    return count;
}

size_t cvy_buf_views(const cvy_buf_t *b, uv_buf_t *out, size_t max)
{
    const cvy_view_t *first = b->head;
    if (first && !first->next && first->len <= PIECE_MAX &&
        max) { /* most flushes of small frames: they have become one */
        *out = uv_buf_init((char *)first->data, (unsigned)first->len);
        return 1;
    }
    size_t count = 0;
    for (const cvy_view_t *v = b->head; v && count < max; v = v->next)
        count = put_pieces(out, max, count, v->data, v->len);
    return count;
}

size_t cvy_buf_view_count(const cvy_buf_t *b)
{
    size_t count = 0;
    for (const cvy_view_t *v = b->head; v; v = v->next)
        count += v->len / PIECE_MAX + (v->len % PIECE_MAX != 0);
    return count;
}

size_t cvy_buf_tail_views(cvy_buf_t *b, uv_buf_t *out, size_t max)
{
    size_t count = 0, room = cvy__tail_room(b);
    if (room) count = put_pieces(out, max, count, b->tail->segment->fill, room);
    for (const cvy_segment_t *s = b->spare; s && count < max; s = cvy__spare_next(s))
        count = put_pieces(out, max, count, s->fill, cvy__segment_room(s));
    return count;
}

/* The first byte at or behind *offset of v, and on through the chain; moves *v and *offset there, *at by what it passed. */
static bool seek_byte(const cvy_view_t **v, size_t *offset, size_t *at, uint8_t byte)
{
    while (*v) {
        const uint8_t *from = (*v)->data + *offset;
        const uint8_t *hit = memchr(from, byte, (*v)->len - *offset);
        if (hit) {
            *at += (size_t)(hit - from);
            *offset += (size_t)(hit - from);
            return true;
        }
        *at += (*v)->len - *offset;
        *v = (*v)->next;
        *offset = 0;
    }
    return false;
}

/* Whether the n bytes from offset of v on are seq; false where the chain ends before. */
static bool matches(const cvy_view_t *v, size_t offset, const uint8_t *seq, size_t n)
{
    for (; n; v = v->next) {
        if (!v) return false;
        size_t part = cvy__min(n, v->len - offset);
        if (memcmp(v->data + offset, seq, part) != 0) return false;
        seq += part;
        n -= part;
        offset = 0;
    }
    return true;
}

int cvy_buf_find(const cvy_buf_t *b, size_t from, const void *seq, size_t n, size_t *at)
{
    if (n == 0) return UV_EINVAL;
    if (from > b->len) return UV_ERANGE;
    if (n > b->len - from) return UV_EAGAIN;
    size_t offset = from, place = from;
    const cvy_view_t *v = cvy__view_at(b, &offset);
    while (seek_byte(&v, &offset, &place, *(const uint8_t *)seq) && n <= b->len - place) {
        if (matches(v, offset, seq, n)) {
            *at = place;
            return 0;
        }
        place++;
        offset++;
    }
    return UV_EAGAIN;
}

int cvy_buf_find_byte(const cvy_buf_t *b, size_t from, uint8_t byte, size_t *at)
{
    return cvy_buf_find(b, from, &byte, 1, at);
}

bool cvy_buf_equal(const cvy_buf_t *b, const void *bytes, size_t n)
{
    return n == b->len && matches(b->head, 0, bytes, n);
}

int cvy_buf_pullup(cvy_buf_t *b, size_t n, const uint8_t **out)
{
    static const uint8_t nothing;
    if (n > b->len) return UV_EAGAIN;
    if (n == 0 || n <= b->head->len) {
        *out = b->head ? b->head->data : &nothing;
        return 0;
    }
    cvy_segment_t *s = cvy__segment_fit(cvy__buf_pool(b, b->head), n);
    if (!s) return UV_ENOMEM;
    cvy_buf_peek(b, s->fill, n);
    cvy__chain_drop(b, n);
    cvy_view_t *v = cvy__segment_open(s, n);
    v->next = b->head;
    b->head = v;
    if (!b->tail) b->tail = v;
    b->len += n;
    *out = v->data;
    return 0;
}
