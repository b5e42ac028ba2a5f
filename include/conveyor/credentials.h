/*
 * Who is at the other end of a local socket, as the system vouches for it: for services that let in some users and not others.
 */
#ifndef CONVEYOR_CREDENTIALS_H
#define CONVEYOR_CREDENTIALS_H

#include <conveyor/transport.h>

CVY_BEGIN_DECLS

/**
 * What is -1 this system does not tell: Windows tells pid alone, some BSDs all but pid.
 *
 * They are those of the moment at which the peer connected, or began to listen; what it did since (setuid, exec, handing the
 * descriptor on, its end and another process with its number) does not show. So uid and gid are to decide by, pid is to log. Who dialed a socket
 * that a service manager listens on sees the manager.
 */
typedef struct cvy_credentials {
    int64_t pid, uid, gid;
} cvy_credentials_t;

/**
 * The peer's process, user and group.
 *
 * Errors: UV_ENOTSUP (not a Unix socket or named pipe, or nothing of it to be had here), UV_EBADF (closed), UV_ENOTCONN.
 * Source: SO_PEERCRED (unix(7)), getpeereid, GetNamedPipeClientProcessId.
 */
CVY_EXPORT int cvy_transport_peer_credentials(const cvy_transport_t *t, cvy_credentials_t *out);

CVY_END_DECLS
#endif
