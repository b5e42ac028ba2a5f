/* Streams as Windows has them: sockets and named pipes are different things there, and a pipe is known to libuv by a C descriptor. */
#include "base/system.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static int translated(int code)
{
    return uv_translate_sys_error(code);
}

static int socket_kind(SOCKET s, cvy__fd_kind_t *out)
{
    struct sockaddr_storage peer;
    int n = sizeof peer;
    if (getpeername(s, (struct sockaddr *)&peer, &n)) return WSAGetLastError() == WSAENOTSOCK ? UV_ENOTSOCK : UV_EINVAL;
    if (peer.ss_family != AF_INET && peer.ss_family != AF_INET6) return UV_EINVAL;
    *out = CVY__FD_TCP;
    return 0;
}

int cvy__fd_kind(cvy_socket_t fd, cvy__fd_kind_t *out)
{
    int err = socket_kind((SOCKET)fd, out);
    if (err != UV_ENOTSOCK) return err;
    SetLastError(0);
    DWORD type = GetFileType((HANDLE)fd), flags;
    if (type == FILE_TYPE_UNKNOWN) return GetLastError() == ERROR_INVALID_HANDLE ? UV_EBADF : UV_EINVAL;
    if (type != FILE_TYPE_PIPE || !GetNamedPipeInfo((HANDLE)fd, &flags, NULL, NULL, NULL)) return UV_EINVAL;
    *out = CVY__FD_PIPE;
    return 0;
}

static int duplicate_socket(SOCKET s, cvy_socket_t *out)
{
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW(s, GetCurrentProcessId(), &info)) return translated(WSAGetLastError());
    SOCKET twin = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
    if (twin == INVALID_SOCKET) return translated(WSAGetLastError());
    SetHandleInformation((HANDLE)twin, HANDLE_FLAG_INHERIT, 0);
    *out = (cvy_socket_t)twin;
    return 0;
}

int cvy__fd_duplicate(cvy_socket_t fd, cvy__fd_kind_t kind, cvy_socket_t *out)
{
    HANDLE self = GetCurrentProcess(), twin;
    if (kind == CVY__FD_TCP) return duplicate_socket((SOCKET)fd, out);
    if (!DuplicateHandle(self, (HANDLE)fd, self, &twin, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return translated((int)GetLastError());
    *out = (cvy_socket_t)twin;
    return 0;
}

void cvy__fd_release(cvy_socket_t fd, cvy__fd_kind_t kind)
{
    HANDLE h = (HANDLE)fd;
    if (kind == CVY__FD_TCP)
        closesocket((SOCKET)fd);
    else if (h != GetStdHandle(STD_INPUT_HANDLE) && h != GetStdHandle(STD_OUTPUT_HANDLE) &&
             h != GetStdHandle(STD_ERROR_HANDLE))
        CloseHandle(h);
}

int cvy__socket_linger(cvy_socket_t fd, int64_t seconds)
{
    struct linger l = { .l_onoff = 1, .l_linger = seconds > USHRT_MAX ? USHRT_MAX : (u_short)seconds };
    int err = setsockopt((SOCKET)fd, SOL_SOCKET, SO_LINGER, (const char *)&l, sizeof l);
    return err ? translated(WSAGetLastError()) : 0;
}

int cvy__socket_user_timeout(cvy_socket_t fd, int64_t ms)
{
    (void)fd;
    (void)ms;
    return UV_ENOTSUP;
}

/* libuv's sockets do not block, so that looking takes no time; a pipe knows no reset. */
int cvy__socket_probe(cvy_socket_t fd)
{
    int err = cvy__socket_error(fd);
    if (err) return err == UV_ENOTSOCK ? 0 : err;
    char byte;
    if (recv((SOCKET)fd, &byte, 1, MSG_PEEK) >= 0 || WSAGetLastError() == WSAEWOULDBLOCK) return 0;
    return translated(WSAGetLastError());
}

/*
 * Windows takes a send of any size and pins all of it: 256 KiB is what one connection may pin. A pipe's uv_try_write never takes
 * anything, and its uv_write copies as soon as there are two views.
 */
const cvy__write_limits_t *cvy__write_limits(bool tcp)
{
    static const cvy__write_limits_t sockets = {
        .try_views = 64, .try_bytes = 256 * 1024, .views = 64, .bytes = 256 * 1024
    };
    static const cvy__write_limits_t pipes = { .try_views = 0, .views = 64, .bytes = 256 * 1024 };
    return tcp ? &sockets : &pipes;
}

/* Closing a named pipe takes what the peer has not read yet; a socket's pending operations may turn its close into a reset. */
bool cvy__close_ends_stream(bool tcp)
{
    (void)tcp;
    return false;
}

int cvy__stream_try_write(struct uv_stream_s *stream, cvy_socket_t fd, const uv_buf_t *views, unsigned n)
{
    (void)fd;
    return uv_try_write(stream, views, n);
}

/*
 * On Windows a send that ended well was taken whole, and libuv does not look. Under wine (8, and its head) it need not be: the peer's
 * end of stream, seen by a read that waits, completes the waiting send too, with success and with what it had sent so far. The rest
 * would be a hole in the stream; counted it stays in our queue and goes out next. libuv believes the same count for reads, however
 * they complete. For a pipe it is not always set.
 */
size_t cvy__write_count(const struct uv_write_s *req, bool tcp, size_t bytes)
{
    size_t n = (size_t)req->u.io.overlapped.InternalHigh;
    return tcp && n < bytes ? n : bytes;
}

int cvy__tcp_open(struct uv_tcp_s *tcp, cvy_socket_t fd)
{
    return uv_tcp_open(tcp, (uv_os_sock_t)fd);
}

int cvy__pipe_open(struct uv_pipe_s *pipe, cvy_socket_t fd)
{
    int file = _open_osfhandle((intptr_t)fd, _O_BINARY);
    if (file < 0) return UV_EMFILE;
    return uv_pipe_open(pipe, file); /* a file that is left behind on failure would close fd as well */
}

/* libuv answers \\?\pipe\name or \\.\pipe\name; clients and servers share the one name. */
int cvy__pipe_endpoint(const struct uv_pipe_s *pipe, bool peer, char *text, size_t n, struct sockaddr_storage *address)
{
    static const char prefix[] = "\\pipe\\";
    char name[512];
    size_t len = sizeof name - 1;
    memset(address, 0, sizeof *address);
    snprintf(text, n, "pipe:");
    if (peer ? uv_pipe_getpeername(pipe, name, &len) : uv_pipe_getsockname(pipe, name, &len)) return 0;
    name[len] = 0;
    const char *at = strstr(name, prefix);
    if (at) snprintf(text, n, "pipe://%s", at + sizeof prefix - 1);
    return 0;
}
