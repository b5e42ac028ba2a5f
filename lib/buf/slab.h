/*
 * The loop's reading slab: one large segment that reads go into. A view of what was read is lent to the stages; when nobody
 * kept it the slab is used again from its start, else reading goes on behind it, in the end in a new segment.
 */
#ifndef CVY_BUF_SLAB_H
#define CVY_BUF_SLAB_H

#include <conveyor/buf.h>

typedef struct cvy__slab {
    cvy_pool_t *pool;
    cvy_segment_t *segment; /* NULL until the first read */
    size_t offset;          /* where the next read goes */
} cvy__slab_t;

/* Room for the next read, at least a few KiB. UV_ENOMEM. */
int cvy__slab_room(cvy__slab_t *slab, char **base, size_t *len);
/* Initialises out as a buffer over the n bytes just read into the room. Can not fail while the segment's own view is free; UV_ENOMEM. */
int cvy__slab_lend(cvy__slab_t *slab, cvy_buf_t *out, size_t n);
/* After the dispatch: back to the start where nobody holds what was lent. */
void cvy__slab_settle(cvy__slab_t *slab);
void cvy__slab_fini(cvy__slab_t *slab);

#endif
