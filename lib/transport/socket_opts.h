/* Applies the first-class socket options of cvy_transport_opts_t to an open handle. */
#ifndef CVY_TRANSPORT_SOCKET_OPTS_H
#define CVY_TRANSPORT_SOCKET_OPTS_H

#include <conveyor/transport.h>
#include <uv.h>

/* 0, or what the system said to an option that was asked for; one that it does not have at all is passed over. */
int cvy__socket_apply(uv_stream_t *handle, const cvy_transport_opts_t *opts);

#endif
