/* Sockets as Winsock has them: not inherited, codes translated by libuv. */
#include "base/system.h"

#include <winsock2.h>
#include <windows.h>
#include <uv.h>

static int last_error(void)
{
    return uv_translate_sys_error(WSAGetLastError());
}

int cvy__socket_accept(cvy_socket_t listener, cvy_socket_t *out, struct sockaddr_storage *peer)
{
    /* The peer's name is asked for when the connection is built: wine's accept fails with that of a client that has reset meanwhile. */
    SOCKET s = accept((SOCKET)listener, NULL, NULL);
    if (peer) peer->ss_family = 0;
    if (s == INVALID_SOCKET) return WSAGetLastError() == WSAEWOULDBLOCK ? UV_EAGAIN : last_error();
    u_long on = 1;
    if (!SetHandleInformation((HANDLE)s, HANDLE_FLAG_INHERIT, 0) || ioctlsocket(s, (long)FIONBIO, &on)) {
        int err = uv_translate_sys_error((int)GetLastError());
        closesocket(s);
        return err;
    }
    *out = (cvy_socket_t)s;
    return 0;
}

/*
 * Wine's server takes this error for itself and tells it only to a read that waits at that moment. So under wine (8) a reset behind bytes,
 * or before the first read, is an end of stream to recv as well as to this; only a send knows of it.
 */
int cvy__socket_error(cvy_socket_t fd)
{
    int err = 0, n = sizeof err;
    if (getsockopt((SOCKET)fd, SOL_SOCKET, SO_ERROR, (char *)&err, &n)) return last_error();
    return err ? uv_translate_sys_error(err) : 0;
}

int cvy__socket_close(cvy_socket_t fd)
{
    return closesocket((SOCKET)fd) ? last_error() : 0;
}
