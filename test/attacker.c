/* Attackers. What differs per system is named at the top. */
#include "attacker.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#define END_OF_WRITING SD_SEND
static void make_nonblocking(cvy_socket_t fd)
{
    u_long on = 1;
    ioctlsocket((SOCKET)fd, (long)FIONBIO, &on);
}

size_t attacker_descriptors(size_t wanted)
{
    return wanted;
}
#else
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#define END_OF_WRITING SHUT_WR
static void make_nonblocking(cvy_socket_t fd)
{
    ck_assert(!fcntl(fd, F_SETFL, O_NONBLOCK));
}

size_t attacker_descriptors(size_t wanted)
{
    enum { SPARE = 64 };
    struct rlimit limit;
    ck_assert(!getrlimit(RLIMIT_NOFILE, &limit));
    struct rlimit more = { limit.rlim_max < wanted + SPARE ? limit.rlim_max : wanted + SPARE, limit.rlim_max };
    if (limit.rlim_cur < more.rlim_cur && !setrlimit(RLIMIT_NOFILE, &more)) limit = more;
    return limit.rlim_cur < wanted + SPARE ? (size_t)limit.rlim_cur - SPARE : wanted;
}
#endif

#include "base/system.h"

cvy_socket_t attacker_connect(const char *address, int receive_bytes)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    to.sin_port = htons((unsigned short)atoi(strrchr(address, ':') + 1));
    cvy_socket_t fd = (cvy_socket_t)socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, (const void *)&receive_bytes, sizeof receive_bytes);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) ck_abort_msg("an attacker can not connect");
    make_nonblocking(fd);
    return fd;
}

size_t attacker_send(cvy_socket_t fd, const void *bytes, size_t n)
{
    int sent = (int)send(fd, bytes, n, 0);
    return sent > 0 ? (size_t)sent : 0;
}

void attacker_end(cvy_socket_t fd)
{
    shutdown(fd, END_OF_WRITING);
}

void attacker_close(cvy_socket_t fd)
{
    cvy__socket_close(fd);
}

void attacker_reset(cvy_socket_t fd)
{
    cvy__socket_linger(fd, 0);
    cvy__socket_close(fd);
}
