/*
 * The two state machines of a transport, drawn in conveyor/state.h. The tables below hold every legal edge and what takes it; a change says
 * its cause, which has to be one that the edge names.
 */
#include <assert.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "transport/transport.h"

typedef struct edge {
    uint8_t from, to;
    const char *cause;
} edge_t;

static const edge_t read_edges[] = {
    { CVY_READ_PAUSED, CVY_READ_READING,
      "active, cvy_ctx_resume, cvy_transport_readable_state_changed, a holder's removal, low mark" },
    { CVY_READ_READING, CVY_READ_PAUSED, "cvy_ctx_suspend, cvy_transport_readable_state_changed, high mark" },
    { CVY_READ_PAUSED, CVY_READ_EOF, "end of stream that was under way, or while closing gracefully" },
    { CVY_READ_READING, CVY_READ_EOF, "end of stream" },
    { CVY_READ_PAUSED, CVY_READ_ERROR, "read error that the probe finds, or while closing gracefully" },
    { CVY_READ_READING, CVY_READ_ERROR, "read error" },
    { CVY_READ_PAUSED, CVY_READ_CLOSED, "end of the connection" },
    { CVY_READ_READING, CVY_READ_CLOSED, "end of the connection" },
    { CVY_READ_EOF, CVY_READ_CLOSED, "end of the connection" },
    { CVY_READ_ERROR, CVY_READ_CLOSED, "end of the connection" },
};

static const edge_t write_edges[] = {
    { CVY_WRITE_IDLE, CVY_WRITE_WRITING,
      "flush that the kernel does not take whole: cvy_transport_flush, or the turn's end" },
    { CVY_WRITE_WRITING, CVY_WRITE_IDLE, "flush done" },
    { CVY_WRITE_IDLE, CVY_WRITE_SHUTTING,
      "cvy_transport_shutdown_write; graceful close: cvy_transport_close, cvy_transport_shutdown, read-closed" },
    { CVY_WRITE_WRITING, CVY_WRITE_SHUTTING,
      "cvy_transport_shutdown_write; graceful close: cvy_transport_close, cvy_transport_shutdown, read-closed" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_SHUT, "flush done, and our end of stream sent" },
    { CVY_WRITE_IDLE, CVY_WRITE_ERROR, "flush failed" },
    { CVY_WRITE_WRITING, CVY_WRITE_ERROR, "flush failed" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_ERROR, "flush failed" },
    { CVY_WRITE_IDLE, CVY_WRITE_CLOSED, "end of the connection" },
    { CVY_WRITE_WRITING, CVY_WRITE_CLOSED, "end of the connection" },
    { CVY_WRITE_SHUTTING, CVY_WRITE_CLOSED, "end of the connection" },
    { CVY_WRITE_SHUT, CVY_WRITE_CLOSED, "end of the connection" },
    { CVY_WRITE_ERROR, CVY_WRITE_CLOSED, "end of the connection" },
};

static const edge_t *find(const edge_t *edges, size_t n, unsigned from, unsigned to)
{
    for (size_t i = 0; i < n; i++)
        if (edges[i].from == from && edges[i].to == to) return &edges[i];
    return NULL;
}

static const edge_t *read_edge(unsigned from, unsigned to)
{
    return find(read_edges, sizeof read_edges / sizeof read_edges[0], from, to);
}

static const edge_t *write_edge(unsigned from, unsigned to)
{
    return find(write_edges, sizeof write_edges / sizeof write_edges[0], from, to);
}

bool cvy__read_edge(cvy_read_state_t from, cvy_read_state_t to)
{
    return read_edge(from, to) != NULL;
}

bool cvy__write_edge(cvy_write_state_t from, cvy_write_state_t to)
{
    return write_edge(from, to) != NULL;
}

#ifndef NDEBUG
cvy__edge_hook_t cvy__transport_edge_hook;
#define walked(t, side, from, to) (cvy__transport_edge_hook ? cvy__transport_edge_hook(t, side, from, to) : (void)0)
#else
#define walked(t, side, from, to) ((void)0)
#endif

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
    const edge_t *edge = read_edge(from, to);
    if (!edge) {
        illegal(t, "read", from, to, cause);
        return;
    }
    assert(strstr(edge->cause, cause)); /* or the picture is wrong */
    t->read_state = (uint8_t)to;
    walked(t, CVY__SIDE_READ, from, to);
}

void cvy__transport_set_write(cvy_transport_t *t, cvy_write_state_t to, const char *cause)
{
    cvy_write_state_t from = (cvy_write_state_t)t->write_state;
    if (from == to) return;
    const edge_t *edge = write_edge(from, to);
    if (!edge) {
        illegal(t, "write", from, to, cause);
        return;
    }
    assert(strstr(edge->cause, cause)); /* or the picture is wrong */
    t->write_state = (uint8_t)to;
    walked(t, CVY__SIDE_WRITE, from, to);
}

cvy_read_state_t cvy_transport_read_state(const cvy_transport_t *t)
{
    return (cvy_read_state_t)t->read_state;
}

cvy_write_state_t cvy_transport_write_state(const cvy_transport_t *t)
{
    return (cvy_write_state_t)t->write_state;
}
