/* The peer of a Unix socket. Every system keeps who it was, and each has a call of its own to ask for it. */
#include "base/system_service.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

/* glibc shows struct ucred to GNU programs only. */
#if defined(__linux__) && defined(_GNU_SOURCE)
#define ASKS true
static int ask(int fd, int64_t *pid, int64_t *uid, int64_t *gid)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n)) return uv_translate_sys_error(errno);
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__) || \
    defined(__DragonFly__)
#define ASKS true
static int ask(int fd, int64_t *pid, int64_t *uid, int64_t *gid)
{
    uid_t user;
    gid_t group;
    if (getpeereid(fd, &user, &group)) return uv_translate_sys_error(errno);
    *uid = user;
    *gid = group;
#ifdef LOCAL_PEERPID
    pid_t process;
    socklen_t n = sizeof process;
    if (!getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &process, &n)) *pid = process;
#else
    (void)pid;
#endif
    return 0;
}
#else
#define ASKS false
static int ask(int fd, int64_t *pid, int64_t *uid, int64_t *gid)
{
    (void)fd, (void)pid, (void)uid, (void)gid;
    return UV_ENOTSUP;
}
#endif

bool cvy__has_credentials(void)
{
    return ASKS;
}

/* Linux answers for a TCP socket too: process 0. So the family is looked at first; a plain pipe has none. */
int cvy__peer_credentials(cvy_socket_t fd, int64_t *pid, int64_t *uid, int64_t *gid)
{
    struct sockaddr_storage name = { 0 };
    socklen_t n = sizeof name;
    if (getsockname(fd, (struct sockaddr *)&name, &n))
        return errno == ENOTSOCK ? UV_ENOTSUP : uv_translate_sys_error(errno);
    if (n >= sizeof name.ss_family && name.ss_family != AF_UNIX) return UV_ENOTSUP;
    return ask(fd, pid, uid, gid);
}
