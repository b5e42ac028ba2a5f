/*
 * The timer wheel. An entry lies in the level of the highest 6-bit digit in which its due time differs from the wheel's now, in the
 * slot of that digit; so everything in a level is due before everything in the level above, and a slot's entries are due from
 * the time the slot begins. When now reaches that time the slot's entries move down (or into the list of what is due).
 *
 * Only the top level wraps: it also holds what is due beyond its 2^30 ms, which goes back into it when its slot comes round.
 * `next` is exact while a slot holds at most SCAN entries; beyond that it is the time the slot begins, which costs an early
 * wake-up per level but never a walk over all entries.
 */
#include "loop/wheel.h"

#include <assert.h>

#include "base/bits.h"

#define SCAN 64

static void list_init(cvy__entry_t *head)
{
    head->next = head->prev = head;
}

static bool list_empty(const cvy__entry_t *head)
{
    return head->next == head;
}

static void list_append(cvy__entry_t *head, cvy__entry_t *e)
{
    e->next = head;
    e->prev = head->prev;
    head->prev->next = e;
    head->prev = e;
}

static void list_remove(cvy__entry_t *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    e->next = e->prev = NULL;
}

/* Moves all of from between head and its first member. */
static void list_splice_front(cvy__entry_t *head, cvy__entry_t *from)
{
    if (list_empty(from)) return;
    from->next->prev = head;
    from->prev->next = head->next;
    head->next->prev = from->prev;
    head->next = from->next;
    list_init(from);
}

void cvy__wheel_init(cvy__wheel_t *wheel, uint64_t now)
{
    *wheel = (cvy__wheel_t){ .now = now, .next = CVY__NEVER, .known = true };
    list_init(&wheel->due);
    for (unsigned level = 0; level < CVY__WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < CVY__WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
}

/* Puts an entry where it belongs, seen from now. */
static void place(cvy__wheel_t *wheel, cvy__entry_t *e)
{
    if (e->due <= wheel->now) {
        list_append(&wheel->due, e);
        return;
    }
    unsigned level = cvy__bit_highest(e->due ^ wheel->now) / CVY__WHEEL_BITS;
    if (level >= CVY__WHEEL_LEVELS) level = CVY__WHEEL_LEVELS - 1;
    unsigned slot = (e->due >> (level * CVY__WHEEL_BITS)) & (CVY__WHEEL_SLOTS - 1);
    list_append(&wheel->slots[level][slot], e);
    wheel->bits[level] |= UINT64_C(1) << slot;
}

void cvy__wheel_add(cvy__wheel_t *wheel, cvy__entry_t *e, uint64_t now)
{
    assert(!cvy__wheel_holds(e));
    if (!wheel->count && now > wheel->now) wheel->now = now;
    place(wheel, e);
    wheel->count++;
    if (wheel->known && e->due < wheel->next) wheel->next = e->due;
}

/* The last entry leaves the list with this head: a slot's, or that of what is due. */
static void slot_emptied(cvy__wheel_t *wheel, const cvy__entry_t *head)
{
    const cvy__entry_t *first = &wheel->slots[0][0];
    size_t index = ((uintptr_t)head - (uintptr_t)first) / sizeof *head;
    if (index >= (size_t)CVY__WHEEL_LEVELS * CVY__WHEEL_SLOTS) return; /* also where head lies before */
    wheel->bits[index / CVY__WHEEL_SLOTS] &= ~(UINT64_C(1) << index % CVY__WHEEL_SLOTS);
}

void cvy__wheel_remove(cvy__wheel_t *wheel, cvy__entry_t *e)
{
    if (e->next == e->prev) slot_emptied(wheel, e->next);
    list_remove(e);
    wheel->count--;
    if (e->due <= wheel->next) wheel->known = false;
}

/* The occupied slots of the lowest occupied level, in the order in which the clock will come to them. */
typedef struct walk {
    unsigned level, digit;
    uint64_t bits; /* bit i: the slot i + 1 after now's */
} walk_t;

/* False: all slots are empty. */
static bool walk_start(const cvy__wheel_t *wheel, walk_t *walk)
{
    unsigned level = 0;
    while (level < CVY__WHEEL_LEVELS && !wheel->bits[level])
        level++;
    if (level == CVY__WHEEL_LEVELS) return false;
    unsigned digit = (wheel->now >> (level * CVY__WHEEL_BITS)) & (CVY__WHEEL_SLOTS - 1);
    unsigned turn = (digit + 1) % CVY__WHEEL_SLOTS;
    uint64_t bits = wheel->bits[level];
    *walk = (walk_t){ level, digit, turn ? bits >> turn | bits << (CVY__WHEEL_SLOTS - turn) : bits };
    return true;
}

/* The next slot, and when it begins. */
static unsigned walk_slot(const cvy__wheel_t *wheel, walk_t *walk, uint64_t *begins)
{
    unsigned ahead = cvy__bit_lowest(walk->bits) + 1, shift = walk->level * CVY__WHEEL_BITS;
    walk->bits &= walk->bits - 1;
    *begins = ((wheel->now >> shift) + ahead) << shift;
    return (walk->digit + ahead) % CVY__WHEEL_SLOTS;
}

/* What is due in a later round of the top level may lie before what is due in this one: then the walk goes on. */
static uint64_t find_next(const cvy__wheel_t *wheel)
{
    walk_t walk;
    uint64_t next = CVY__NEVER;
    if (!walk_start(wheel, &walk)) return next;
    for (unsigned seen = 0; walk.bits;) {
        uint64_t begins;
        const cvy__entry_t *head = &wheel->slots[walk.level][walk_slot(wheel, &walk, &begins)];
        if (next < begins) return next;
        for (const cvy__entry_t *e = head->next; e != head; e = e->next) {
            if (++seen > SCAN) return begins;
            if (e->due < next) next = e->due;
        }
    }
    return next;
}

uint64_t cvy__wheel_find_next(cvy__wheel_t *wheel)
{
    if (!list_empty(&wheel->due)) return wheel->due.next->due;
    if (!wheel->known) wheel->next = find_next(wheel);
    wheel->known = true;
    return wheel->next;
}

static void advance(cvy__wheel_t *wheel, uint64_t now)
{
    walk_t walk;
    while (walk_start(wheel, &walk)) {
        uint64_t begins;
        unsigned slot = walk_slot(wheel, &walk, &begins);
        if (begins > now) break;
        cvy__entry_t moving;
        list_init(&moving);
        list_splice_front(&moving, &wheel->slots[walk.level][slot]);
        wheel->bits[walk.level] &= ~(UINT64_C(1) << slot);
        wheel->now = begins;
        while (!list_empty(&moving)) {
            cvy__entry_t *e = moving.next;
            list_remove(e);
            place(wheel, e);
        }
    }
    if (now > wheel->now) wheel->now = now;
    if (wheel->next <= now) wheel->known = false;
}

size_t cvy__wheel_fire(cvy__wheel_t *wheel, uint64_t now, size_t limit)
{
    advance(wheel, now);
    cvy__entry_t batch;
    list_init(&batch);
    list_splice_front(&batch, &wheel->due);
    size_t fired = 0;
    while (fired < limit && !list_empty(&batch)) {
        cvy__entry_t *e = batch.next;
        list_remove(e);
        wheel->count--;
        fired++;
        e->fire(e);
    }
    list_splice_front(&wheel->due, &batch);
    return fired;
}

/* Puts them at the end of a chain; answers where it ends then. */
static cvy__entry_t **take_from(cvy__wheel_t *wheel, cvy__entry_t *head, void (*fire)(cvy__entry_t *),
                                cvy__entry_t **end)
{
    for (cvy__entry_t *e = head->next, *after; e != head; e = after) {
        after = e->next;
        if (fire && e->fire != fire) continue;
        cvy__wheel_remove(wheel, e);
        *end = e;
        end = &e->next;
    }
    return end;
}

cvy__entry_t *cvy__wheel_take(cvy__wheel_t *wheel, void (*fire)(cvy__entry_t *))
{
    cvy__entry_t *chain = NULL, **end = take_from(wheel, &wheel->due, fire, &chain);
    for (unsigned level = 0; level < CVY__WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < CVY__WHEEL_SLOTS; slot++)
            end = take_from(wheel, &wheel->slots[level][slot], fire, end);
    return chain;
}
