/*
 * All of it is one word, so that every call is one step: used places in the low bits, held ones above, and two flags. RESTING is
 * set by whoever uses the last place and ended by whoever gives back the one at resume_at. ASKED is set by who found the rest of the places held,
 * and answered by whoever frees one.
 */
#include "endpoint/places.h"

#define USED_ONE UINT64_C(1)
#define HELD_ONE (UINT64_C(1) << 31)
#define FEW      (HELD_ONE - 1)
#define ASKED    (UINT64_C(1) << 62)
#define RESTING  (UINT64_C(1) << 63)
#define NO_LIMIT (1 << 30)

static uint32_t used(uint64_t word)
{
    return (uint32_t)(word & FEW);
}

static uint32_t held(uint64_t word)
{
    return (uint32_t)(word >> 31 & FEW);
}

void cvy__places_init(cvy__places_t *p, int64_t max)
{
    p->max = max > 0 && max < NO_LIMIT ? (uint32_t)max : NO_LIMIT;
    p->resume_at = p->max - (p->max + 19) / 20; /* 5 %, at least one */
    atomic_store(&p->word, 0);
}

bool cvy__places_hold(cvy__places_t *p)
{
    uint64_t word = atomic_load(&p->word), next;
    bool free;
    do {
        free = used(word) + held(word) < p->max;
        if (word & RESTING) return false;
        next = free ? word + HELD_ONE : word | ASKED;
    } while (!atomic_compare_exchange_weak(&p->word, &word, next));
    return free;
}

void cvy__places_use(cvy__places_t *p)
{
    uint64_t word = atomic_load(&p->word), next;
    do {
        next = word - HELD_ONE + USED_ONE;
        if (used(next) == p->max) next = (next | RESTING) & ~ASKED;
    } while (!atomic_compare_exchange_weak(&p->word, &word, next));
}

bool cvy__places_let_go(cvy__places_t *p)
{
    uint64_t word = atomic_load(&p->word);
    while (!atomic_compare_exchange_weak(&p->word, &word, (word - HELD_ONE) & ~ASKED))
        continue;
    return word & ASKED;
}

bool cvy__places_give_back(cvy__places_t *p)
{
    uint64_t word = atomic_load(&p->word), next;
    do {
        next = (word - USED_ONE) & ~ASKED;
        if (used(next) <= p->resume_at) next &= ~RESTING;
    } while (!atomic_compare_exchange_weak(&p->word, &word, next));
    return (word ^ next) & (ASKED | RESTING);
}

bool cvy__places_resting(const cvy__places_t *p)
{
    return atomic_load(&p->word) & RESTING;
}

bool cvy__places_any(const cvy__places_t *p)
{
    return used(atomic_load(&p->word)) + held(atomic_load(&p->word)) > 0;
}
