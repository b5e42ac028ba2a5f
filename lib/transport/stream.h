/*
 * Transports over libuv's streams: tcp and pipe. A stream is made in two steps, because an endpoint needs the handle (to connect, to
 * accept into) before there is a connection: new, then become, which makes it a transport.
 */
#ifndef CVY_TRANSPORT_STREAM_H
#define CVY_TRANSPORT_STREAM_H

#include <uv.h>

#include "transport/transport.h"

typedef struct cvy__stream {
    cvy_transport_t transport;
    cvy_socket_t fd; /* once it is a transport */
    uint16_t room;   /* bytes behind it, for the conveyor */
    bool tcp : 1;
    bool one_way : 1;  /* one end of a plain pipe: bytes go in one direction only */
    bool starved : 1;  /* the read that libuv is about to report found no memory */
    bool full : 1;     /* the last write was short: asking again at once is a wasted call */
    bool shutting : 1; /* uv_shutdown is under way */
    bool adopted : 1;  /* someone else may hold its socket as well: closing alone ends no stream */
    union {            /* last: a uv_tcp_t gets no more than its own size */
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
} cvy__stream_t;

/* A stream with its handle on loop, not yet a transport. UV_ENOMEM, what libuv's init answers. */
int cvy__stream_new_tcp(cvy__stream_t **out, cvy_loop_t *loop);
int cvy__stream_new_pipe(cvy__stream_t **out, cvy_loop_t *loop);
/* With room for the stages that connections with these options have. */
int cvy__stream_new(cvy__stream_t **out, cvy_loop_t *loop, bool tcp, const cvy__shared_opts_t *opts);
uv_stream_t *cvy__stream_handle(cvy__stream_t *s);
/* Takes over a connected descriptor. On failure fd is the caller's. */
int cvy__stream_open(cvy__stream_t *s, cvy_socket_t fd);
/* Closes and frees one that never became a transport. NULL is fine. */
void cvy__stream_discard(cvy__stream_t *s);
/* What whoever made the connection knows of its ends; NULL: ask the system. Texts are pipes', addresses (of the Internet) TCP's. */
typedef struct cvy__names {
    const char *self, *other;
    const struct sockaddr *self_address, *other_address;
} cvy__names_t;
/*
 * Makes it a transport: applies the socket options, initialises, names both endpoints. On failure s is the caller's, to be discarded. On success cvy__transport_open follows.
 */
int cvy__stream_become(cvy__stream_t *s, cvy__shared_opts_t *opts, const cvy__names_t *names);

/* Within the room: tcp.c, pipe.c */

extern const cvy__kind_t cvy__tcp_kind, cvy__pipe_kind;

int cvy__stream_read_start(cvy_transport_t *t);
void cvy__stream_read_stop(cvy_transport_t *t);
int cvy__stream_write(cvy_transport_t *t, const cvy_buf_t *out);
size_t cvy__stream_unsent(const cvy_transport_t *t);
int cvy__stream_shutdown(cvy_transport_t *t);
void cvy__stream_close(cvy_transport_t *t, bool reset);
int cvy__stream_probe(cvy_transport_t *t);
int cvy__stream_fd(const cvy_transport_t *t, cvy_socket_t *out);
void cvy__stream_free(cvy_transport_t *t);
void cvy__stream_on_closed(uv_handle_t *handle);

int cvy__tcp_endpoints(cvy__stream_t *s, const cvy__names_t *names);
int cvy__pipe_endpoints(cvy__stream_t *s, const char *self_endpoint, const char *other_endpoint);

static inline cvy_loop_t *cvy__stream_loop(const cvy__stream_t *s)
{
    return s->transport.conveyor.loop;
}

static inline cvy__stream_t *cvy__stream_of(const cvy_transport_t *t)
{
    return (cvy__stream_t *)(uintptr_t)t;
}

#endif
