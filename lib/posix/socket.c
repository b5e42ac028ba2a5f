/* Sockets as POSIX has them. accept4 where it exists saves two calls, and leaves no moment in which a fork could inherit. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#if defined(__linux__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
static int accept_one(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) return fd;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}
#endif

int cvy__socket_accept(cvy_socket_t listener, cvy_socket_t *out)
{
    int fd;
    do
        fd = accept_one(listener);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return errno == EWOULDBLOCK ? UV_EAGAIN : uv_translate_sys_error(errno);
    *out = fd;
    return 0;
}

int cvy__socket_error(cvy_socket_t fd)
{
    int err = 0;
    socklen_t n = sizeof err;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n)) err = errno;
    return err ? uv_translate_sys_error(err) : 0;
}

int cvy__socket_close(cvy_socket_t fd)
{
    return close(fd) && errno != EINTR ? uv_translate_sys_error(errno) : 0;
}
