/*
 * Slots with generations. id = generation << 32 | index. Chunks double in size and are reached through a fixed table of atomic
 * pointers, so that any thread can look while the loop adds. `posted` belongs to the slot, not to its tenant: each reservation is
 * released once whoever lives there by then, so that a reservation that races with a removal corrupts nothing.
 */
#include "loop/loop.h"

#include <assert.h>
#include <uv.h>

#include "base/memory.h"

#define FIRST UINT32_C(64)

/* Chunk k begins at index 64 * (2^k - 1). */
static void locate(uint32_t index, unsigned *chunk, uint32_t *offset)
{
    unsigned k = 0;
    uint64_t begin = 0, size = FIRST;
    while (index >= begin + size) {
        begin += size;
        size *= 2;
        k++;
    }
    *chunk = k;
    *offset = (uint32_t)(index - begin);
}

static cvy__slot_t *slot_at(cvy__slots_t *slots, uint32_t index)
{
    unsigned chunk;
    uint32_t offset;
    locate(index, &chunk, &offset);
    if (chunk >= CVY__SLOT_CHUNKS) return NULL;
    cvy__slot_t *base = atomic_load_explicit(&slots->chunks[chunk], memory_order_acquire);
    return base ? &base[offset] : NULL;
}

/* A slot that was never used. */
static cvy__slot_t *grow(cvy__slots_t *slots)
{
    unsigned chunk;
    uint32_t offset;
    locate(slots->count, &chunk, &offset);
    if (chunk >= CVY__SLOT_CHUNKS) return NULL;
    cvy__slot_t *base = atomic_load_explicit(&slots->chunks[chunk], memory_order_relaxed);
    if (!base) {
        base = cvy__calloc((size_t)FIRST << chunk, sizeof *base);
        if (!base) return NULL;
        atomic_store_explicit(&slots->chunks[chunk], base, memory_order_release);
    }
    base[offset].index = slots->count++;
    return &base[offset];
}

int cvy__slots_add(cvy_loop_t *loop, void *object, uint64_t *id)
{
    cvy__slots_t *slots = &loop->slots;
    cvy__slot_t *slot;
    if (slots->free) {
        slot = slot_at(slots, slots->free - 1);
        assert(slot); /* it was in use */
        slots->free = slot->is.next_free;
    } else if (!(slot = grow(slots))) {
        return UV_ENOMEM;
    }
    slot->is.object = object;
    atomic_store_explicit(&slot->room, INT64_MAX, memory_order_relaxed);
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_relaxed) + 1;
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
    *id = (uint64_t)generation << 32 | slot->index;
    return 0;
}

cvy__slot_t *cvy__slots_at(cvy_loop_t *loop, uint64_t id)
{
    cvy__slot_t *slot = slot_at(&loop->slots, (uint32_t)id);
    uint32_t generation = (uint32_t)(id >> 32);
    if (!slot || !(generation & 1) || atomic_load_explicit(&slot->generation, memory_order_acquire) != generation)
        return NULL;
    return slot;
}

void *cvy__slots_find(cvy_loop_t *loop, uint64_t id)
{
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    return slot ? slot->is.object : NULL;
}

void *cvy__slots_next(cvy_loop_t *loop, uint32_t *index)
{
    while (*index < loop->slots.count) {
        cvy__slot_t *slot = slot_at(&loop->slots, (*index)++);
        if (slot && atomic_load_explicit(&slot->generation, memory_order_relaxed) & 1) return slot->is.object;
    }
    return NULL;
}

void cvy__slots_remove(cvy_loop_t *loop, uint64_t id)
{
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    if (!slot) return;
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_relaxed) + 1;
    atomic_store_explicit(&slot->generation, generation, memory_order_release);
    if (generation == UINT32_MAX - 1) return; /* used up: the next generations would come back as old names */
    slot->is.next_free = loop->slots.free;
    loop->slots.free = slot->index + 1;
}

int cvy__slot_reserve(cvy_loop_t *loop, uint64_t id, uint64_t n)
{
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    if (!slot) return UV_ESRCH;
    int64_t room = atomic_load_explicit(&slot->room, memory_order_relaxed);
    uint64_t posted = atomic_load_explicit(&slot->posted, memory_order_relaxed);
    do {
        if (room < 0 || posted > (uint64_t)room || n > UINT64_MAX - posted) return UV_ENOBUFS;
    } while (!atomic_compare_exchange_weak(&slot->posted, &posted, posted + n));
    return 0;
}

void cvy__slot_release(cvy_loop_t *loop, uint64_t id, uint64_t n)
{
    cvy__slot_t *slot = slot_at(&loop->slots, (uint32_t)id);
    if (slot) atomic_fetch_sub(&slot->posted, n);
}

void cvy__slots_fini(cvy__slots_t *slots)
{
    for (unsigned i = 0; i < CVY__SLOT_CHUNKS; i++) {
        cvy__free(atomic_load(&slots->chunks[i]));
        atomic_store(&slots->chunks[i], NULL);
    }
}
