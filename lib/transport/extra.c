/* What most connections never need (deadlines, tickets, two setters; cvy__extra_t in transport.h): made when first asked for, freed with them. */
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

cvy__extra_t *cvy__transport_extra(cvy_transport_t *t)
{
    if (t->extra) return t->extra;
    cvy__extra_t *e = cvy__calloc(1, sizeof *e);
    if (!e) return NULL;
    e->transport = t;
    e->alarm.fire = cvy__transport_on_alarm;
    e->tickets_end = &e->tickets;
    for (int i = 0; i < CVY__DUES; i++)
        e->due[i] = UINT64_MAX;
    return t->extra = e;
}

cvy__extra_t *cvy__transport_extra_or_close(cvy_transport_t *t)
{
    cvy__extra_t *e = cvy__transport_extra(t);
    if (!e) cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOMEM, true);
    return e;
}

void cvy__transport_extra_free(cvy_transport_t *t)
{
    cvy__free(t->extra);
    t->extra = NULL;
}
