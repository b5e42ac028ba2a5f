/*
 * The inproc kind: two transports that share a link, each on a loop of its own or both on one.
 *
 * A link has two sides, 0 and 1. Each is either opened once, on its loop's thread, or abandoned once, on any thread; the link goes when
 * both sides are done with it. What the first side sends before the second opens waits in the link.
 */
#ifndef CVY_TRANSPORT_PAIR_H
#define CVY_TRANSPORT_PAIR_H

#include "transport/transport.h"

typedef struct cvy__pair_link cvy__pair_link_t;

/* UV_ENOMEM. */
int cvy__pair_link_new(cvy__pair_link_t **out);
/* Makes side a transport on loop, whose thread calls; cvy__transport_open follows. On failure the side is still the caller's, to be
 * abandoned. self, other: endpoints, copied. UV_ENOMEM, UV_ESHUTDOWN. */
int cvy__pair_open(cvy_transport_t **out, cvy__pair_link_t *link, int side, cvy_loop_t *loop, cvy__shared_opts_t *opts,
                   const char *self, const char *other);
/* The side never opens: its peer sees a reset. Thread: any. */
void cvy__pair_link_abandon(cvy__pair_link_t *link, int side);

#endif
