/* A listening socket that someone else has opened: what it is, and whether it may be listened on. */
#include "base/system_socket.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <uv.h>

#include "base/system.h"

static int broken(const char **rule, int err, const char *text)
{
    *rule = text;
    return err;
}

static int option(SOCKET s, int name, int *out)
{
    int n = sizeof *out;
    return getsockopt(s, SOL_SOCKET, name, (char *)out, &n) ? WSAGetLastError() : 0;
}

int cvy__socket_listening(cvy_socket_t fd, cvy__listening_t *out, const char **rule)
{
    SOCKET s = (SOCKET)fd;
    int type = 0, listens = 0, n = sizeof *out->address;
    u_long on = 1;
    if (option(s, SO_TYPE, &type)) return broken(rule, UV_ENOTSOCK, "is not a socket");
    if (type == SOCK_DGRAM) return broken(rule, UV_EINVAL, "is a datagram socket, and not a stream's");
    if (type != SOCK_STREAM) return broken(rule, UV_EINVAL, "is not a stream socket");
    if (option(s, SO_ACCEPTCONN, &listens) || !listens)
        return broken(rule, UV_EINVAL, "is a socket that does not listen");
    if (getsockname(s, (struct sockaddr *)out->address, &n)) return uv_translate_sys_error(WSAGetLastError());
    out->tcp = out->address->ss_family == AF_INET || out->address->ss_family == AF_INET6;
    if (!out->tcp) return broken(rule, UV_ENOTSUP, "is not a TCP socket");
    if (ioctlsocket(s, (long)FIONBIO, &on)) return uv_translate_sys_error(WSAGetLastError());
    return cvy__fd_close_on_exec(fd);
}

uint64_t cvy__socket_max(void)
{
    return UINTPTR_MAX - 1; /* the largest is INVALID_SOCKET */
}

int cvy__fd_close_on_exec(cvy_socket_t fd)
{
    return SetHandleInformation((HANDLE)fd, HANDLE_FLAG_INHERIT, 0) ? 0 : uv_translate_sys_error((int)GetLastError());
}
