/* Streams as POSIX has them: what a descriptor is, options and names that libuv has no call for, and how much one write takes. */
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

static int translated(void)
{
    return uv_translate_sys_error(errno);
}

static int socket_kind(int fd, cvy__fd_kind_t *out)
{
    struct sockaddr_storage peer = { 0 };
    socklen_t n = sizeof peer;
    int type = 0;
    socklen_t m = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) || type != SOCK_STREAM) return UV_EINVAL;
    if (getpeername(fd, (struct sockaddr *)&peer, &n)) return UV_EINVAL;
    if (n < sizeof peer.ss_family || peer.ss_family == AF_UNIX)
        *out = CVY__FD_PIPE;
    else if (peer.ss_family == AF_INET || peer.ss_family == AF_INET6)
        *out = CVY__FD_TCP;
    else
        return UV_EINVAL;
    return 0;
}

int cvy__fd_kind(cvy_socket_t fd, cvy__fd_kind_t *out)
{
    struct stat s;
    if (fstat(fd, &s)) return translated();
    if (S_ISSOCK(s.st_mode)) return socket_kind(fd, out);
    if (!S_ISFIFO(s.st_mode)) return UV_EINVAL;
    *out = CVY__FD_PIPE;
    return 0;
}

int cvy__fd_duplicate(cvy_socket_t fd, cvy__fd_kind_t kind, cvy_socket_t *out)
{
    (void)kind;
    int twin = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (twin < 0) return translated();
    *out = twin;
    return 0;
}

void cvy__fd_release(cvy_socket_t fd, cvy__fd_kind_t kind)
{
    (void)kind;
    if (fd > STDERR_FILENO) close(fd);
}

/* macOS counts SO_LINGER in ticks of its clock, a hundredth of a second, and has another for seconds. */
#ifdef SO_LINGER_SEC
#define LINGER SO_LINGER_SEC
#else
#define LINGER SO_LINGER
#endif

int cvy__socket_linger(cvy_socket_t fd, int64_t seconds)
{
    struct linger l = { .l_onoff = 1, .l_linger = seconds > INT_MAX ? INT_MAX : (int)seconds };
    return setsockopt(fd, SOL_SOCKET, LINGER, &l, sizeof l) ? translated() : 0;
}

int cvy__socket_user_timeout(cvy_socket_t fd, int64_t ms)
{
#ifdef CVY_HAVE_TCP_USER_TIMEOUT
    unsigned value = ms > INT_MAX ? INT_MAX : (unsigned)ms;
    return setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value) ? translated() : 0;
#else
    (void)fd;
    (void)ms;
    return UV_ENOTSUP;
#endif
}

int cvy__socket_probe(cvy_socket_t fd)
{
    int err = cvy__socket_error(fd);
    if (err) return err == UV_ENOTSOCK ? 0 : err;
    char byte;
    if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return 0;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : translated();
}

const cvy__write_limits_t *cvy__write_limits(bool tcp)
{
    /* uv_write copies up to 4 views without allocating. 1 GiB: results are ints, and macOS refuses 2 GB. 256 KiB: more than a local socket holds;
     * by less at a time an echo of 1 MiB over one takes up to half as many calls more. */
    static const cvy__write_limits_t limits = {
        .try_views = 256, .try_bytes = 1 << 30, .views = 4, .bytes = (size_t)256 * 1024
    };
    (void)tcp;
    return &limits;
}

bool cvy__close_ends_stream(bool tcp)
{
    (void)tcp;
    return true;
}

/* What uv_try_write does, without its way there: a uv_buf_t is an iovec. */
int cvy__stream_try_write(struct uv_stream_s *stream, cvy_socket_t fd, const uv_buf_t *views, unsigned n)
{
    (void)stream;
    ssize_t taken;
    do
        taken = n == 1 ? write(fd, views->base, views->len) : writev(fd, (const struct iovec *)views, (int)n);
    while (taken < 0 && errno == EINTR);
    if (taken >= 0) return (int)taken;
    if (errno == EPROTOTYPE) return UV_ECONNRESET; /* macOS: the peer is closing the connection */
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? UV_EAGAIN : translated();
}

/* libuv counts, and writes on until it has written all. */
size_t cvy__write_count(const struct uv_write_s *req, bool tcp, size_t bytes)
{
    (void)req;
    (void)tcp;
    return bytes;
}

/* Where there is such an option libuv sets it on sockets of its own making, and not on those that it is given. What is no socket refuses. */
static void no_sigpipe(int fd)
{
#ifdef CVY_HAVE_SO_NOSIGPIPE
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#else
    (void)fd;
#endif
}

int cvy__tcp_open(struct uv_tcp_s *tcp, cvy_socket_t fd)
{
    no_sigpipe(fd);
    return uv_tcp_open(tcp, fd);
}

int cvy__pipe_open(struct uv_pipe_s *pipe, cvy_socket_t fd)
{
    no_sigpipe(fd);
    return uv_pipe_open(pipe, fd);
}

/* A path, or (Linux) a name behind a zero byte; unnamed and what is no socket have none. */
int cvy__pipe_endpoint(const struct uv_pipe_s *pipe, bool peer, char *text, size_t n, struct sockaddr_storage *address)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    socklen_t len = sizeof name;
    uv_os_fd_t fd;
    memset(address, 0, sizeof *address);
    snprintf(text, n, "unix:");
    int err = uv_fileno((const uv_handle_t *)pipe, &fd);
    if (err) return err;
    if (peer ? getpeername(fd, (struct sockaddr *)&name, &len) : getsockname(fd, (struct sockaddr *)&name, &len))
        return 0;
    memcpy(address, &name, sizeof name);
    if (len <= offsetof(struct sockaddr_un, sun_path)) return 0;
    size_t room = len - offsetof(struct sockaddr_un, sun_path);
    if (name.sun_path[0])
        snprintf(text, n, "unix://%.*s", (int)strnlen(name.sun_path, room), name.sun_path);
    else if (room > 1)
        snprintf(text, n, "unix://@%.*s", (int)room - 1, name.sun_path + 1);
    return 0;
}
