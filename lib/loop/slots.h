/*
 * Names for transports that any thread may hold: a slot and its generation. Slots live until the loop's memory goes, so that a
 * stale name is always safe to look at. (To be completed by the room's engineer.)
 */
#ifndef CVY_LOOP_SLOTS_H
#define CVY_LOOP_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct cvy__slot {
    _Atomic uint32_t generation; /* odd while taken */
    _Atomic uint64_t posted;     /* bytes posted from other threads and not yet written */
    _Atomic uint64_t limit;      /* of posted + queued */
    _Atomic uint64_t queued;     /* the transport's outbound bytes, kept up to date by it when posts are in use */
    void *object;                /* loop thread only */
    uint32_t next_free;
    uint32_t index;
} cvy__slot_t;

typedef struct cvy__slots cvy__slots_t;

#endif
