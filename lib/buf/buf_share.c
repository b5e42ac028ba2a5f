/*
 * Sharing: several views of the same bytes, within a thread and across threads.
 *
 * What two views can see belongs to neither: sharing ends the front of both, and what they consume later does not become front.
 */
#include <uv.h>

#include "chain.h"

/* A view of n bytes of v from offset on, with its reference. */
static cvy_view_t *view_share(cvy_pool_t *pool, const cvy_view_t *v, size_t offset, size_t n)
{
    cvy_view_t *twin = cvy__view_take(pool, v->segment);
    if (!twin) return NULL;
    cvy__segment_ref(v->segment);
    twin->next = NULL;
    twin->data = v->data + offset;
    twin->len = n;
    twin->front = 0;
    twin->shared = true;
    return twin;
}

int cvy_buf_share(cvy_buf_t *out, const cvy_buf_t *b)
{
    return cvy_buf_slice(out, b, 0, b->len);
}

int cvy_buf_slice(cvy_buf_t *out, const cvy_buf_t *b, size_t offset, size_t n)
{
    if (offset > b->len || n > b->len - offset) return UV_ERANGE;
    cvy_buf_t slice = { .pool = b->pool };
    cvy_view_t *first = n ? cvy__view_at(b, &offset) : NULL;
    size_t touched = n + offset; /* from the start of first on */
    for (cvy_view_t *v = first; slice.len < n; v = v->next) {
        size_t part = cvy__min(n - slice.len, v->len - offset);
        cvy_view_t *twin = view_share(cvy__buf_pool(b, v), v, offset, part);
        if (!twin) {
            cvy__chain_drop(&slice, slice.len);
            return UV_ENOMEM;
        }
        cvy__chain_join(&slice, twin, twin, part);
        offset = 0;
    }
    for (cvy_view_t *v = first; v && touched; v = v->next) {
        v->shared = true;
        v->front = 0;
        touched -= cvy__min(touched, v->len);
    }
    *out = slice;
    return 0;
}

void cvy_buf_hand_over(cvy_buf_t *b)
{
    cvy__spare_drop(b->spare);
    b->spare = NULL;
    b->pool = NULL;
    for (cvy_view_t *v = b->head; v; v = v->next) {
        if (!v->segment->crossed) v->segment->crossed = true;
        v->node |= CVY__NODE_CROSSED;
    }
}
