/* The flat oracle: every call moves the whole array. */
#include "model_buf.h"

#include <stdlib.h>
#include <string.h>

static void make_room(model_buf_t *m, size_t n)
{
    if (m->len + n <= m->room) return;
    m->room = 2 * (m->len + n);
    m->bytes = realloc(m->bytes, m->room);
    if (!m->bytes) abort();
}

void model_fini(model_buf_t *m)
{
    m->consumed += m->len;
    free(m->bytes);
    m->bytes = NULL;
    m->len = m->room = 0;
}

void model_append(model_buf_t *m, const void *bytes, size_t n)
{
    if (n == 0) return;
    make_room(m, n);
    memcpy(m->bytes + m->len, bytes, n);
    m->len += n;
}

void model_prepend(model_buf_t *m, const void *bytes, size_t n)
{
    if (n == 0) return;
    make_room(m, n);
    memmove(m->bytes + n, m->bytes, m->len);
    memcpy(m->bytes, bytes, n);
    m->len += n;
    m->consumed -= n;
}

size_t model_advance(model_buf_t *m, size_t n)
{
    if (n > m->len) n = m->len;
    if (n == 0) return 0;
    memmove(m->bytes, m->bytes + n, m->len - n);
    m->len -= n;
    m->consumed += n;
    return n;
}

void model_move(model_buf_t *dst, model_buf_t *src, size_t n)
{
    if (n > src->len) n = src->len;
    model_append(dst, src->bytes, n);
    model_advance(src, n);
}

void model_take(model_buf_t *m, model_buf_t *other)
{
    model_advance(m, m->len);
    model_move(m, other, other->len);
}

void model_replace(model_buf_t *m, const void *bytes, size_t n)
{
    model_advance(m, m->len);
    model_append(m, bytes, n);
}

size_t model_find(const model_buf_t *m, size_t from, const void *seq, size_t n)
{
    for (size_t at = from; at <= m->len && n <= m->len - at; at++) {
        if (memcmp(m->bytes + at, seq, n) == 0) return at;
    }
    return SIZE_MAX;
}
