/*
 * The slab holds one reference to its segment all the time, so that nobody else is ever its sole holder: only the slab writes into
 * the rest of it. Once the slab's is the only reference left, nobody can see what was read, and reading starts over.
 */
#include "slab.h"

#include <uv.h>

#include "chain.h"

/* The least room worth a read; below it a new segment is cheaper than the extra system calls. */
#define ROOM_BYTES 4096

static size_t room_of(const cvy_segment_t *s)
{
    size_t least = cvy__min(ROOM_BYTES, cvy__segment_capacity(s) / 2);
    return cvy__segment_room(s) >= least ? cvy__segment_room(s) : 0;
}

void cvy__slab_settle(cvy__slab_t *slab)
{
    cvy_segment_t *s = slab->segment;
    if (!s || slab->offset == 0 || !cvy__segment_sole(s)) return;
    cvy__segment_reset(s);
    slab->offset = 0;
}

int cvy__slab_room(cvy__slab_t *slab, char **base, size_t *len)
{
    cvy__slab_settle(slab);
    if (!slab->segment || !room_of(slab->segment)) {
        cvy_segment_t *s = cvy__segment_take(slab->pool, CVY__LARGE);
        if (!s) return UV_ENOMEM;
        cvy__slab_fini(slab);
        slab->segment = s;
    }
    *base = (char *)slab->segment->fill;
    *len = cvy__segment_room(slab->segment);
    return 0;
}

int cvy__slab_lend(cvy__slab_t *slab, cvy_buf_t *out, size_t n)
{
    cvy_segment_t *s = slab->segment;
    assert(!n || n <= cvy__segment_room(s));
    cvy_view_t *v = n ? cvy__view_take(slab->pool, s) : NULL;
    if (n && !v) return UV_ENOMEM;
    if (v) {
        cvy__segment_ref(s);
        v->next = NULL;
        v->data = s->fill;
        v->len = n;
        v->front = slab->offset ? 0 : CVY__FRONT_BYTES;
        v->shared = false;
        s->fill += n;
        slab->offset += n;
    }
    *out = (cvy_buf_t){ .len = n, .head = v, .tail = v, .pool = slab->pool };
    return 0;
}

void cvy__slab_fini(cvy__slab_t *slab)
{
    if (slab->segment) cvy__segment_unref(slab->segment);
    slab->segment = NULL;
    slab->offset = 0;
}
