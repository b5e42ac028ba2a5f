/*
 * What a process has to do with who started it, who talks to it and who stops it; lib/posix and lib/win implement it. Codes are libuv's.
 */
#ifndef CVY_BASE_SYSTEM_SERVICE_H
#define CVY_BASE_SYSTEM_SERVICE_H

#include <conveyor/base.h>

/* Whether anything of a peer can be had here. */
bool cvy__has_credentials(void);
/* Who is at the other end of a local socket; what the system does not tell stays as it is. UV_ENOTSUP: fd is none, UV_ENOTCONN. */
int cvy__peer_credentials(cvy_socket_t fd, int64_t *pid, int64_t *uid, int64_t *gid);

/* The number of a user, or of a group, by its name. UV_ENOENT: there is none; UV_ENOMEM, UV_ENOTSUP. May look anywhere, and take its time. */
int cvy__owner_find(const char *name, bool group, int64_t *out);

/* Whether there can be a service manager that passes descriptors and wants to be told. */
bool cvy__has_services(void);
/* Sends text to the manager's socket: a path, or @name. UV_EINVAL, UV_ENAMETOOLONG, UV_ENOTSUP, and what sendto answers. */
int cvy__service_tell(const char *path, const char *text);

/* The signals that ask a program to end, with a zero behind them: see uv_signal. */
const int *cvy__stop_signals(void);

#endif
