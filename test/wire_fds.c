/* Connected descriptors of either system. */
#include "wire_fds.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#define close_fd(fd)   closesocket((SOCKET)(fd))
#define last_code()    uv_translate_sys_error(WSAGetLastError())
#define END_OF_WRITING SD_SEND
#else
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#define close_fd(fd)   close(fd)
#define last_code()    uv_translate_sys_error(errno)
#define END_OF_WRITING SHUT_WR
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

#include "base/system.h"

#define need(condition) ((condition) ? (void)0 : failed(#condition))

static void failed(const char *what)
{
    fprintf(stderr, "wire_fds: %s: %s\n", what, uv_strerror(last_code()));
    abort();
}

#ifdef _WIN32
static void start_sockets(void)
{
    WSADATA data; /* libuv does so with its first loop, which may come later; it is counted */
    need(!WSAStartup(MAKEWORD(2, 2), &data));
}
#else
static void start_sockets(void)
{
}
#endif

void wire_tcp_fds(cvy_socket_t fds[2])
{
    start_sockets();
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    cvy_socket_t listener = (cvy_socket_t)socket(AF_INET, SOCK_STREAM, 0);
    need(!bind(listener, (struct sockaddr *)&at, sizeof at));
    need(!listen(listener, 1));
    need(!getsockname(listener, (struct sockaddr *)&at, &n));
    fds[0] = (cvy_socket_t)socket(AF_INET, SOCK_STREAM, 0);
    need(!connect(fds[0], (struct sockaddr *)&at, sizeof at));
    fds[1] = (cvy_socket_t)accept(listener, NULL, NULL);
    close_fd(listener);
}

#ifdef _WIN32
void wire_pipe_fds(cvy_socket_t fds[2])
{
    static int serial;
    char name[64];
    snprintf(name, sizeof name, "\\\\.\\pipe\\cvy-wire-%lu-%d", (unsigned long)GetCurrentProcessId(), serial++);
    HANDLE server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                     PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT, 1, 65536, 65536, 0, NULL);
    HANDLE client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE | FILE_WRITE_ATTRIBUTES, 0, NULL, OPEN_EXISTING,
                                FILE_FLAG_OVERLAPPED, NULL);
    need(server != INVALID_HANDLE_VALUE && client != INVALID_HANDLE_VALUE);
    fds[0] = (cvy_socket_t)server;
    fds[1] = (cvy_socket_t)client;
}

void wire_pipe_fd_close(cvy_socket_t fd)
{
    CloseHandle((HANDLE)fd);
}
#else
void wire_pipe_fds(cvy_socket_t fds[2])
{
    need(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

void wire_pipe_fd_close(cvy_socket_t fd)
{
    close_fd(fd);
}
#endif

void wire_fd_nonblocking(cvy_socket_t fd)
{
#ifdef _WIN32
    u_long on = 1;
    need(!ioctlsocket((SOCKET)fd, (long)FIONBIO, &on));
#else
    need(!fcntl(fd, F_SETFL, O_NONBLOCK));
#endif
}

int wire_fd_read(cvy_socket_t fd, void *bytes, size_t n)
{
    int got = (int)recv(fd, bytes, (int)n, 0);
    return got < 0 ? last_code() : got;
}

int wire_fd_write(cvy_socket_t fd, const void *bytes, size_t n)
{
    int sent = (int)send(fd, bytes, (int)n, MSG_NOSIGNAL);
    return sent < 0 ? last_code() : sent;
}

int wire_fd_shut(cvy_socket_t fd)
{
    return shutdown(fd, END_OF_WRITING) ? last_code() : 0;
}

void wire_fd_close(cvy_socket_t fd, bool reset)
{
    if (reset) cvy__socket_linger(fd, 0);
    close_fd(fd);
}

void wire_fd_buffers(cvy_socket_t fd, int send, int receive)
{
    if (send) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, (const void *)&send, sizeof send);
    if (receive) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, (const void *)&receive, sizeof receive);
}
