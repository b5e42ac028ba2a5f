/*
 * The states of a listener, drawn in conveyor/listener.h. Any thread may close it, so a change is a compare-and-swap along an edge of the
 * table; whoever comes too late is told the state that it found.
 */
#include <assert.h>
#include <uv.h>

#include "endpoint/listener.h"

typedef struct edge {
    cvy_listener_state_t from, to;
    const char *cause; /* for whoever reads: the causes are the callers */
} edge_t;

static const edge_t edges[] = {
    { CVY_LISTENER_STARTING, CVY_LISTENER_RUNNING, "cvy_listener_start, cvy_listener_listen_and_wait" },
    { CVY_LISTENER_RUNNING, CVY_LISTENER_PAUSED, "cvy_listener_pause" },
    { CVY_LISTENER_PAUSED, CVY_LISTENER_RUNNING, "cvy_listener_resume" },
    { CVY_LISTENER_STARTING, CVY_LISTENER_CLOSED, "cvy_listener_shutdown, cvy_listener_free" },
    { CVY_LISTENER_RUNNING, CVY_LISTENER_CLOSED,
      "cvy_listener_shutdown, cvy_listener_free, a failure, the first loop's end" },
    { CVY_LISTENER_PAUSED, CVY_LISTENER_CLOSED,
      "cvy_listener_shutdown, cvy_listener_free, a failure, the first loop's end" },
};

bool cvy__listener_edge(cvy_listener_state_t from, cvy_listener_state_t to)
{
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        if (edges[i].from == from && edges[i].to == to) return true;
    return false;
}

cvy_listener_state_t cvy__listener_move(cvy_listener_t *l, cvy_listener_state_t from, cvy_listener_state_t to)
{
    int found = (int)from;
    assert(cvy__listener_edge(from, to));
    atomic_compare_exchange_strong(&l->state, &found, (int)to);
    return (cvy_listener_state_t)found;
}

void cvy__listener_set_closed(cvy_listener_t *l)
{
    cvy_listener_state_t from = cvy_listener_state(l), found;
    while (from != CVY_LISTENER_CLOSED && (found = cvy__listener_move(l, from, CVY_LISTENER_CLOSED)) != from)
        from = found;
}

cvy_listener_state_t cvy_listener_state(const cvy_listener_t *l)
{
    return (cvy_listener_state_t)atomic_load(&l->state);
}
