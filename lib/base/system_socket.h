/*
 * What listeners and dialers need from the system; lib/posix and lib/win implement it. Codes are libuv's; descriptors that are made
 * here are close-on-exec and not inherited.
 */
#ifndef CVY_BASE_SYSTEM_SOCKET_H
#define CVY_BASE_SYSTEM_SOCKET_H

#include <conveyor/base.h>

struct sockaddr_storage;

/* Which kinds of addresses exist here. */
bool cvy__has_unix(void);
bool cvy__has_abstract(void);
bool cvy__has_pipes(void);
/* Whether the system shares clients out among the sockets that listen on one port. */
bool cvy__has_balancing(void);
/* The longest path of a Unix socket, in bytes; an abstract name has as much room. */
size_t cvy__unix_path_max(void);

typedef struct cvy__listen_opts {
    int backlog;
    bool ipv6_only;
    bool reuse_port; /* UV_ENOTSUP where the system does not balance */
} cvy__listen_opts_t;

/* A non-blocking listening TCP socket: SO_REUSEADDR on POSIX, SO_EXCLUSIVEADDRUSE on Windows. */
int cvy__tcp_listen(cvy_socket_t *out, const struct sockaddr *address, const cvy__listen_opts_t *opts);
/* The address that a socket is bound to. */
int cvy__socket_name(cvy_socket_t fd, struct sockaddr_storage *out);

/* Which file a socket of ours made: whoever removes it looks whether it is still that one. */
typedef struct cvy__file_id {
    uint64_t device, inode;
} cvy__file_id_t;

typedef struct cvy__unix_listen {
    const char *name;
    bool abstract;
    int backlog;
    int mode;            /* bits of the file; 0: what umask gives */
    int64_t user, group; /* whose it becomes; -1: as it is made */
} cvy__unix_listen_t;

/*
 * A non-blocking listening Unix socket. A file that nobody listens on is replaced. Mode and owner are set before it listens: until
 * then everyone is refused. On failure *which is "mode" or "owner" where it is that; else it stays.
 *
 * Errors: UV_EADDRINUSE (someone listens, or the file is no socket), UV_ENOTSUP; of chmod and chown: UV_EPERM.
 */
int cvy__unix_listen(cvy_socket_t *out, const cvy__unix_listen_t *how, cvy__file_id_t *file, const char **which);
/* Removes the file, if it is still ours. */
void cvy__unix_unlink(const char *path, const cvy__file_id_t *file);
/* A connected Unix socket, non-blocking, at once. UV_EAGAIN: its backlog is full. UV_ENOTSUP. */
int cvy__unix_connect(cvy_socket_t *out, const char *name, bool abstract);

/*
 * Where ipc://name is: the path of a Unix socket or the name of a pipe. make: makes the user's own folder, where that is the place.
 *
 * Errors: UV_ENAMETOOLONG; UV_EPERM (the folder is not the user's own, or open to others); what mkdir answers.
 */
int cvy__ipc_path(char *out, size_t n, const char *name, bool make);

struct uv_pipe_s;
/* Lets everyone read from, or write to, a bound named pipe, as the last digit of mode says. UV_ENOTSUP: it lets nobody, which a pipe can't. */
int cvy__pipe_mode(struct uv_pipe_s *pipe, int mode);

/* What an open descriptor is that listens. */
typedef struct cvy__listening {
    struct sockaddr_storage *address; /* the caller's room */
    char name[128];                   /* of a Unix socket: its path or its abstract name */
    bool tcp, abstract;
} cvy__listening_t;
/*
 * Looks at one that someone else has opened, and makes it non-blocking and close-on-exec. *rule says what it is not.
 *
 * Errors: UV_EBADF, UV_ENOTSOCK, UV_EINVAL (no stream, or does not listen), UV_ENOTSUP (of another family).
 */
int cvy__socket_listening(cvy_socket_t fd, cvy__listening_t *out, const char **rule);
/* The largest descriptor there can be. */
uint64_t cvy__socket_max(void);

/* A thread that accepts (Windows). on_accept runs on that thread: true, go on; false, wait until woken. */
typedef struct cvy__acceptor_thread cvy__acceptor_thread_t;
typedef struct cvy__accept_events {
    bool (*may_accept)(void *arg);                /* true: there is room, and it is taken; false: wait to be woken */
    void (*accepted)(void *arg, cvy_socket_t fd); /* uses the room */
    bool (*refused)(void *arg, int err); /* gives the room back; UV_EAGAIN: nobody waited. False: wait to be woken */
    void *arg;
} cvy__accept_events_t;
int cvy__acceptor_thread_start(cvy__acceptor_thread_t **out, cvy_socket_t listener, const cvy__accept_events_t *events);
void cvy__acceptor_thread_wake(cvy__acceptor_thread_t *thread); /* Thread: any */
void cvy__acceptor_thread_stop(
    cvy__acceptor_thread_t *thread); /* joins and frees; no event after it; the listener stays open */

#endif
