/* Sockets as POSIX has them. accept4 where it exists saves two calls, and leaves no moment in which a fork could inherit. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#ifdef CVY_HAVE_ACCEPT4
static int accept_one(int listener, struct sockaddr *peer, socklen_t *n)
{
    return accept4(listener, peer, n, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int accept_one(int listener, struct sockaddr *peer, socklen_t *n)
{
    int fd = accept(listener, peer, n);
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

int cvy__socket_accept(cvy_socket_t listener, cvy_socket_t *out, struct sockaddr_storage *peer)
{
    socklen_t n = sizeof *peer;
    int fd;
    do
        fd = accept_one(listener, (struct sockaddr *)peer, &n);
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
    if (err == EPIPE) err = ECONNRESET; /* Linux's word for a reset behind the peer's end */
    return err ? uv_translate_sys_error(err) : 0;
}

int cvy__socket_close(cvy_socket_t fd)
{
    return close(fd) && errno != EINTR ? uv_translate_sys_error(errno) : 0;
}
