/*
 * A doubly linked ring with its links inside the members. A link that is in no list points to itself.
 */
#ifndef CVY_BASE_LIST_H
#define CVY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cvy__link {
    struct cvy__link *next;
    struct cvy__link *prev;
} cvy__link_t;

#define CVY__OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void cvy__link_init(cvy__link_t *l)
{
    l->next = l->prev = l;
}

static inline bool cvy__link_alone(const cvy__link_t *l)
{
    return l->next == l;
}

/* Puts l at the end of the list whose head is given. l must be in no list. */
static inline void cvy__link_append(cvy__link_t *head, cvy__link_t *l)
{
    l->next = head;
    l->prev = head->prev;
    head->prev->next = l;
    head->prev = l;
}

static inline void cvy__link_remove(cvy__link_t *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    cvy__link_init(l);
}

/* Moves every member of from to the end of to. */
static inline void cvy__link_splice(cvy__link_t *to, cvy__link_t *from)
{
    if (cvy__link_alone(from)) return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    cvy__link_init(from);
}

#endif
