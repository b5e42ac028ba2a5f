/*
 * Places of max_connections. One is held before the accept, and then either used by the connection until its end, or let go where nobody
 * came. So the limit is exact, however many threads accept: it is reached when all places are used, not when the last one is
 * merely held by someone who looks. From then on nobody gets one until used ones are down to 5 % below. Thread: any.
 */
#ifndef CVY_ENDPOINT_PLACES_H
#define CVY_ENDPOINT_PLACES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct cvy__places {
    _Atomic uint64_t word; /* see places.c */
    uint32_t max, resume_at;
} cvy__places_t;

/* max <= 0: no limit. */
void cvy__places_init(cvy__places_t *p, int64_t max);
/* False: none to be had. The next let_go or give_back that changes this answers true: who was refused asks again. */
bool cvy__places_hold(cvy__places_t *p);
void cvy__places_use(cvy__places_t *p);       /* a held one */
bool cvy__places_let_go(cvy__places_t *p);    /* a held one */
bool cvy__places_give_back(cvy__places_t *p); /* a used one */
/* The limit was reached, and used places are not yet down to 5 % below. */
bool cvy__places_resting(const cvy__places_t *p);
/* Whether any is held or used. */
bool cvy__places_any(const cvy__places_t *p);

#endif
