/* A listening descriptor that someone else has opened: what it is, and whether it may be listened on. */
#include "base/system_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/system.h"

static int broken(const char **rule, int err, const char *text)
{
    *rule = text;
    return err;
}

static int option(int fd, int name, int *out)
{
    socklen_t n = sizeof *out;
    return getsockopt(fd, SOL_SOCKET, name, out, &n) ? errno : 0;
}

static int check(int fd, const char **rule)
{
    int type = 0, listens = 0, err = option(fd, SO_TYPE, &type);
    if (err == EBADF) return broken(rule, UV_EBADF, "is not open");
    if (err == ENOTSOCK) return broken(rule, UV_ENOTSOCK, "is not a socket");
    if (type == SOCK_DGRAM) return broken(rule, UV_EINVAL, "is a datagram socket, and not a stream's");
    if (type != SOCK_STREAM) return broken(rule, UV_EINVAL, "is not a stream socket");
    if (option(fd, SO_ACCEPTCONN, &listens) || !listens)
        return broken(rule, UV_EINVAL, "is a socket that does not listen");
    return 0;
}

/* Its path, or its abstract name behind a zero byte. */
static void note_name(cvy__listening_t *out, const struct sockaddr_un *name, socklen_t n)
{
    size_t room = n > offsetof(struct sockaddr_un, sun_path) ? n - offsetof(struct sockaddr_un, sun_path) : 0;
    out->abstract = room > 1 && !name->sun_path[0];
    const char *text = name->sun_path + out->abstract;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(room - out->abstract), room ? text : "");
}

int cvy__socket_listening(cvy_socket_t fd, cvy__listening_t *out, const char **rule)
{
    socklen_t n = sizeof *out->address;
    int err = check(fd, rule);
    if (err) return err;
    if (getsockname(fd, (struct sockaddr *)out->address, &n)) return uv_translate_sys_error(errno);
    int family = out->address->ss_family, flags = fcntl(fd, F_GETFL);
    out->tcp = family == AF_INET || family == AF_INET6;
    if (!out->tcp && family != AF_UNIX) return broken(rule, UV_ENOTSUP, "is neither a TCP nor a Unix socket");
    if (!out->tcp) note_name(out, (const struct sockaddr_un *)(const void *)out->address, n);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) return uv_translate_sys_error(errno);
    return cvy__fd_close_on_exec(fd);
}

uint64_t cvy__socket_max(void)
{
    return INT_MAX;
}

int cvy__fd_close_on_exec(cvy_socket_t fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) ? uv_translate_sys_error(errno) : 0;
}
