/*
 * What differs per system, as small named functions; lib/posix and lib/win implement them. Codes are libuv's.
 */
#ifndef CVY_BASE_SYSTEM_H
#define CVY_BASE_SYSTEM_H

#include <conveyor/base.h>

/* Signals and threads (lib/posix/thread.c, lib/win/thread.c) */

/* Blocks SIGPIPE on the calling thread. Nothing where there is none. */
void cvy__sigpipe_block(void);
/* Ignores SIGPIPE in the process, if the application left the default. */
void cvy__sigpipe_ignore(void);
/* Names the calling thread for debuggers; at most 15 bytes. */
void cvy__thread_name(const char *name);

/* Sockets (lib/posix/socket.c, lib/win/socket.c) */

/* Accepts one connection: close-on-exec and non-blocking. UV_EAGAIN: nobody waits; UV_EMFILE, UV_ENFILE, UV_ENOBUFS, UV_ENOMEM;
 * UV_ECONNABORTED and what else the one connection failed with. */
int cvy__socket_accept(cvy_socket_t listener, cvy_socket_t *out);
/* The socket's pending error, which this clears: 0 or UV_E*. */
int cvy__socket_error(cvy_socket_t fd);
int cvy__socket_close(cvy_socket_t fd);

#endif
