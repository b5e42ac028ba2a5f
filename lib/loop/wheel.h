/*
 * A hierarchical timer wheel: five levels of 64 slots, 1 ms at the bottom, so 2^30 ms; what is due later waits in the top level.
 * Starting and stopping an entry costs the same however many there are. It knows no clock: its user moves it.
 * Source: Varghese and Lauck, Hashed and Hierarchical Timing Wheels (1987), scheme 6.
 */
#ifndef CVY_LOOP_WHEEL_H
#define CVY_LOOP_WHEEL_H

#include <conveyor/loop.h>

#define CVY__WHEEL_BITS   6
#define CVY__WHEEL_SLOTS  (1 << CVY__WHEEL_BITS)
#define CVY__WHEEL_LEVELS 5
#define CVY__NEVER        UINT64_MAX

typedef struct cvy__wheel {
    uint64_t now;  /* all that is due until now is in due */
    uint64_t next; /* what cvy__wheel_next answered, while known */
    bool known;
    size_t count;
    uint64_t bits[CVY__WHEEL_LEVELS]; /* which slots hold something */
    cvy__entry_t slots[CVY__WHEEL_LEVELS][CVY__WHEEL_SLOTS];
    cvy__entry_t due;
} cvy__wheel_t;

void cvy__wheel_init(cvy__wheel_t *wheel, uint64_t now);

/* entry->due and entry->fire are set, and entry is in no wheel. now: the caller's clock, not before wheel->now. */
void cvy__wheel_add(cvy__wheel_t *wheel, cvy__entry_t *entry, uint64_t now);
/* entry is in the wheel; also while others of its batch fire. */
void cvy__wheel_remove(cvy__wheel_t *wheel, cvy__entry_t *entry);
static inline bool cvy__wheel_holds(const cvy__entry_t *entry)
{
    return entry->next != NULL;
}

/* When to advance next: the first entry's due time, or a little before it when very many share its slot. CVY__NEVER: empty. */
uint64_t cvy__wheel_find_next(cvy__wheel_t *wheel);
static inline uint64_t cvy__wheel_next(cvy__wheel_t *wheel)
{
    return wheel->known && wheel->due.next == &wheel->due ? wheel->next : cvy__wheel_find_next(wheel);
}

/*
 * Moves the wheel to now and fires at most limit entries that are due, in the order of due time, those of one millisecond in the order
 * in which they were added. What is added meanwhile fires in a later call, even if it is due. Answers how many fired.
 */
size_t cvy__wheel_fire(cvy__wheel_t *wheel, uint64_t now, size_t limit);

/* Takes out all entries with this fire (NULL: all), as a chain by next, in about the order of due time. Nothing is fired. */
cvy__entry_t *cvy__wheel_take(cvy__wheel_t *wheel, void (*fire)(cvy__entry_t *));

#endif
