/*
 * Names for transports that any thread may hold: a slot and its generation. Slots live until the loop's memory goes and never move, so
 * that a stale name is always safe to look at. A slot's generation is odd while it is taken and never comes back. They are also where a loop
 * finds all its transports.
 */
#ifndef CVY_LOOP_SLOTS_H
#define CVY_LOOP_SLOTS_H

#include <conveyor/loop.h>
#include <stdatomic.h>

typedef struct cvy__slot {
    _Atomic uint32_t generation; /* odd while taken */
    uint32_t index;
    _Atomic uint64_t posted; /* bytes posted from other threads and not yet released */
    _Atomic int64_t room;    /* for what is posted, beside what is queued: the transport keeps it; below 0: none */
    union {                  /* loop thread only */
        void *object;        /* while taken */
        uint32_t next_free;  /* index + 1; 0: none */
    } is;
} cvy__slot_t;

#define CVY__SLOT_CHUNKS 24 /* chunk k has 64 << k slots */

typedef struct cvy__slots {
    _Atomic(cvy__slot_t *) chunks[CVY__SLOT_CHUNKS];
    uint32_t count; /* slots made so far */
    uint32_t free;  /* index + 1; 0: none */
} cvy__slots_t;

/* Loop thread. The id is never 0. UV_ENOMEM. */
int cvy__slots_add(cvy_loop_t *loop, void *object, uint64_t *id);
/* Loop thread, while it is taken: the id it was added by. */
static inline uint64_t cvy__slot_id(const cvy__slot_t *slot)
{
    return (uint64_t)atomic_load_explicit(&slot->generation, memory_order_relaxed) << 32 | slot->index;
}
/* Loop thread: the object, or NULL when it is gone. */
void *cvy__slots_find(cvy_loop_t *loop, uint64_t id);
/* Loop thread: the first that is taken at or behind *index, which moves behind it; NULL: none. Slots may come and go between two calls. */
void *cvy__slots_next(cvy_loop_t *loop, uint32_t *index);
/* Loop thread. From here on the id finds nothing. */
void cvy__slots_remove(cvy_loop_t *loop, uint64_t id);
/* The slot of an id that is not stale (yet), else NULL: for its atomic fields. Thread: any. */
cvy__slot_t *cvy__slots_at(cvy_loop_t *loop, uint64_t id);

/*
 * Counts n bytes as posted. Every success is followed by one release, whether or not the transport still lives then.
 *
 * Errors: UV_ESRCH (gone), UV_ENOBUFS (what is posted already exceeds the room).
 * Thread: any.
 */
int cvy__slot_reserve(cvy_loop_t *loop, uint64_t id, uint64_t n);
/* Thread: any; the id may be stale. */
void cvy__slot_release(cvy_loop_t *loop, uint64_t id, uint64_t n);

/* With the loop's memory. */
void cvy__slots_fini(cvy__slots_t *slots);

#endif
