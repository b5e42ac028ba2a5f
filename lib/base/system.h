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

struct sockaddr_storage;

/* Accepts one connection: close-on-exec and non-blocking. peer (NULL is fine) gets its address where accepting tells, else the family 0.
 * UV_EAGAIN: nobody waits; UV_EMFILE, UV_ENFILE, UV_ENOBUFS, UV_ENOMEM; UV_ECONNABORTED and what else the one connection failed with. */
int cvy__socket_accept(cvy_socket_t listener, cvy_socket_t *out, struct sockaddr_storage *peer);
/* The socket's pending error, which this clears: 0 or UV_E*. */
int cvy__socket_error(cvy_socket_t fd);
int cvy__socket_close(cvy_socket_t fd);
/* A program that is started from here does not get it. UV_EBADF. */
int cvy__fd_close_on_exec(cvy_socket_t fd);

/* Streams (lib/posix/stream.c, lib/win/stream.c) */

typedef enum cvy__fd_kind { CVY__FD_TCP, CVY__FD_PIPE } cvy__fd_kind_t;

/* What a connected descriptor is. UV_EBADF; UV_EINVAL: not a connected stream. */
int cvy__fd_kind(cvy_socket_t fd, cvy__fd_kind_t *out);
/* A second descriptor of the same thing, close-on-exec and none of stdin, stdout, stderr. */
int cvy__fd_duplicate(cvy_socket_t fd, cvy__fd_kind_t kind, cvy_socket_t *out);
/* Closes it, unless it is one of stdin, stdout, stderr. */
void cvy__fd_release(cvy_socket_t fd, cvy__fd_kind_t kind);

/* SO_LINGER; 0 seconds: closing resets. */
int cvy__socket_linger(cvy_socket_t fd, int64_t seconds);
/* TCP_USER_TIMEOUT. UV_ENOTSUP where there is none. */
int cvy__socket_user_timeout(cvy_socket_t fd, int64_t ms);
/* Looks for a pending error without consuming a byte: 0, or UV_E*. 0 where it can't tell. */
int cvy__socket_probe(cvy_socket_t fd);

/* How much is worth handing over in one go. */
typedef struct cvy__write_limits {
    size_t try_views, try_bytes; /* to cvy__stream_try_write; 0 views: it never takes anything */
    size_t views;                /* to uv_write, which is to allocate nothing and to copy little */
    size_t bytes;                /* likewise; it tells nothing until all of them are taken */
} cvy__write_limits_t;
const cvy__write_limits_t *cvy__write_limits(bool tcp);

/* Whether closing ends the stream for a peer that has ended its own and was read to the end, as a shutdown before it would. */
bool cvy__close_ends_stream(bool tcp);

struct uv_stream_s;
/* Writes what is taken at once: > 0, so many bytes; UV_EAGAIN; else an error. The stream is open as fd, and has no uv_write under way. */
int cvy__stream_try_write(struct uv_stream_s *stream, cvy_socket_t fd, const uv_buf_t *views, unsigned n);

struct uv_write_s;
/* How many of its bytes a uv_write that ended without an error has written. */
size_t cvy__write_count(const struct uv_write_s *req, bool tcp, size_t bytes);

struct uv_tcp_s;
struct uv_pipe_s;
/* uv_tcp_open and uv_pipe_open, for what the system really calls a descriptor; a write to a peer that is gone then raises no SIGPIPE,
 * where one socket can be told so. */
int cvy__tcp_open(struct uv_tcp_s *tcp, cvy_socket_t fd);
int cvy__pipe_open(struct uv_pipe_s *pipe, cvy_socket_t fd);
/* The pipe's own name (peer: the other end's) in URI form; address->ss_family is 0 where there is none. */
int cvy__pipe_endpoint(const struct uv_pipe_s *pipe, bool peer, char *text, size_t n, struct sockaddr_storage *address);

#endif
