/*
 * The two state machines of a transport. They are independent; the tables below hold every legal edge and the call that causes it.
 *
 *   read    paused <-> reading, either -> eof or error, all -> closed
 *   write   idle <-> writing, either -> shutting -> shut, all but closed -> error, all -> closed
 */
#include <assert.h>
#include <uv.h>

#include "base/log.h"
#include "transport/transport.h"

typedef struct edge {
    uint8_t from, to;
    const char *cause;
} edge_t;

static const edge_t read_edges[] = {
    { CVY_READ_PAUSED, CVY_READ_READING, "active, resume" },
    { CVY_READ_READING, CVY_READ_PAUSED, "suspend" },
    { CVY_READ_READING, CVY_READ_EOF, "end of stream" },
    { CVY_READ_PAUSED, CVY_READ_EOF, "end of stream that was already under way, lingering" },
    { CVY_READ_READING, CVY_READ_ERROR, "read" },
    { CVY_READ_PAUSED, CVY_READ_ERROR, "probe, lingering" },
    { CVY_READ_PAUSED, CVY_READ_CLOSED, "close" },
    { CVY_READ_READING, CVY_READ_CLOSED, "close" },
    { CVY_READ_EOF, CVY_READ_CLOSED, "close" },
    { CVY_READ_ERROR, CVY_READ_CLOSED, "close" },
};

static const edge_t write_edges[] = {
    { CVY_WRITE_IDLE, CVY_WRITE_WRITING, "flush" },
    { CVY_WRITE_WRITING, CVY_WRITE_IDLE, "flush" },
    { CVY_WRITE_IDLE, CVY_WRITE_SHUTTING, "shutdown_write, close" },
    { CVY_WRITE_WRITING, CVY_WRITE_SHUTTING, "shutdown_write, close" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_SHUT, "flush" },
    { CVY_WRITE_IDLE, CVY_WRITE_ERROR, "flush" },
    { CVY_WRITE_WRITING, CVY_WRITE_ERROR, "flush" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_ERROR, "flush" },
    { CVY_WRITE_IDLE, CVY_WRITE_CLOSED, "close" },
    { CVY_WRITE_WRITING, CVY_WRITE_CLOSED, "close" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_CLOSED, "close" },
    { CVY_WRITE_SHUT, CVY_WRITE_CLOSED, "close" },
    { CVY_WRITE_ERROR, CVY_WRITE_CLOSED, "close" },
};

static bool has_edge(const edge_t *edges, size_t n, unsigned from, unsigned to)
{
    for (size_t i = 0; i < n; i++)
        if (edges[i].from == from && edges[i].to == to) return true;
    return false;
}

bool cvy__read_edge(cvy_read_state_t from, cvy_read_state_t to)
{
    return has_edge(read_edges, sizeof read_edges / sizeof *read_edges, from, to);
}

bool cvy__write_edge(cvy_write_state_t from, cvy_write_state_t to)
{
    return has_edge(write_edges, sizeof write_edges / sizeof *write_edges, from, to);
}

/* A bug of ours: stops a debug build; in a release build it costs this connection. */
static void illegal(cvy_transport_t *t, const char *side, unsigned from, unsigned to, const char *cause)
{
    cvy__log(CVY_LOG_ERROR, "transport %s: illegal %s state change %u -> %u by %s", cvy_transport_other_endpoint(t),
             side, from, to, cause);
    assert(!"illegal state change");
    if (t->phase < CVY__CLOSING) cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_EINVAL, true);
}

void cvy__transport_set_read(cvy_transport_t *t, cvy_read_state_t to, const char *cause)
{
    cvy_read_state_t from = (cvy_read_state_t)t->read_state;
    if (from == to) return;
    bool legal = cvy__read_edge(from, to);
    if (legal)
        t->read_state = (uint8_t)to;
    else
        illegal(t, "read", from, to, cause);
}

void cvy__transport_set_write(cvy_transport_t *t, cvy_write_state_t to, const char *cause)
{
    cvy_write_state_t from = (cvy_write_state_t)t->write_state;
    if (from == to) return;
    bool legal = cvy__write_edge(from, to);
    if (legal)
        t->write_state = (uint8_t)to;
    else
        illegal(t, "write", from, to, cause);
}

cvy_read_state_t cvy_transport_read_state(const cvy_transport_t *t)
{
    return (cvy_read_state_t)t->read_state;
}

cvy_write_state_t cvy_transport_write_state(const cvy_transport_t *t)
{
    return (cvy_write_state_t)t->write_state;
}
