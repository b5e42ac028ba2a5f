/*
 * Listening where there is Winsock. A thread accepts: it waits with select for the socket and for a bell, so that stopping and pausing
 * need no close from another thread. (WSAEventSelect would do without the bell, but its events are edges, and wine loses one when an
 * accept finds nobody.)
 */
#include "base/system_socket.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <stdio.h>
#include <stdatomic.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"

static int code(void)
{
    return uv_translate_sys_error(WSAGetLastError());
}

bool cvy__has_unix(void)
{
    return false;
}

bool cvy__has_abstract(void)
{
    return false;
}

bool cvy__has_pipes(void)
{
    return true;
}

bool cvy__has_balancing(void)
{
    return false;
}

size_t cvy__unix_path_max(void)
{
    return 0;
}

static int set(SOCKET s, int level, int option, int value)
{
    return setsockopt(s, level, option, (const char *)&value, sizeof value) ? code() : 0;
}

static int length(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? (int)sizeof(struct sockaddr_in6) : (int)sizeof(struct sockaddr_in);
}

static int tcp_listen(SOCKET s, const struct sockaddr *address, const cvy__listen_opts_t *opts)
{
    u_long on = 1;
    int err = set(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    if (!err && address->sa_family == AF_INET6) err = set(s, IPPROTO_IPV6, IPV6_V6ONLY, opts->ipv6_only);
    if (!err && (ioctlsocket(s, (long)FIONBIO, &on) || bind(s, address, length(address)) ||
                 listen(s, opts->backlog > 0 ? opts->backlog : SOMAXCONN)))
        err = code();
    return err;
}

int cvy__tcp_listen(cvy_socket_t *out, const struct sockaddr *address, const cvy__listen_opts_t *opts)
{
    if (opts->reuse_port) return UV_ENOTSUP;
    SOCKET s =
        WSASocketW(address->sa_family, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (s == INVALID_SOCKET) return code();
    int err = tcp_listen(s, address, opts);
    if (err)
        closesocket(s);
    else
        *out = (cvy_socket_t)s;
    return err;
}

int cvy__socket_name(cvy_socket_t fd, struct sockaddr_storage *out)
{
    int n = (int)sizeof *out;
    return getsockname((SOCKET)fd, (struct sockaddr *)out, &n) ? code() : 0;
}

int cvy__unix_listen(cvy_socket_t *out, const cvy__unix_listen_t *how, cvy__file_id_t *file, const char **which)
{
    (void)out, (void)how, (void)file, (void)which;
    return UV_ENOTSUP;
}

void cvy__unix_unlink(const char *path, const cvy__file_id_t *file)
{
    (void)path, (void)file;
}

int cvy__unix_connect(cvy_socket_t *out, const char *name, bool abstract)
{
    (void)out, (void)name, (void)abstract;
    return UV_ENOTSUP;
}

int cvy__ipc_path(char *out, size_t n, const char *name, bool make)
{
    (void)make;
    if (strlen(name) > 247) /* CreateNamedPipe: 256 characters in all */
        return UV_ENAMETOOLONG;
    int len = snprintf(out, n, "\\\\.\\pipe\\%s", name);
    return len < 0 || (size_t)len >= n ? UV_ENAMETOOLONG : 0;
}

/* The thread that accepts */

struct cvy__acceptor_thread {
    cvy__accept_events_t events;
    SOCKET listener;
    SOCKET bell; /* a datagram socket that only hears itself: what select can wait for besides the listener */
    uv_thread_t thread;
    atomic_bool rung; /* one datagram at most is on its way */
    atomic_bool stopping;
};

static int open_bell(SOCKET *out)
{
    struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int n = (int)sizeof self;
    SOCKET s = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (s == INVALID_SOCKET) return code();
    if (bind(s, (struct sockaddr *)&self, n) || getsockname(s, (struct sockaddr *)&self, &n) ||
        connect(s, (struct sockaddr *)&self, n)) {
        int err = code();
        closesocket(s);
        return err;
    }
    *out = s;
    return 0;
}

/* Accepts all that wait. True: the listener tells when there are more; false: the bell does. */
static bool accept_all(cvy__acceptor_thread_t *t)
{
    while (!atomic_load(&t->stopping)) {
        cvy_socket_t fd;
        if (!t->events.may_accept(t->events.arg)) return false;
        int err = cvy__socket_accept((cvy_socket_t)t->listener, &fd, NULL);
        if (!err)
            t->events.accepted(t->events.arg, fd);
        else if (!t->events.refused(t->events.arg, err))
            return false;
        else if (err == UV_EAGAIN)
            return true;
    }
    return false;
}

static void wait_for(cvy__acceptor_thread_t *t, bool listening)
{
    fd_set ready;
    char byte;
    FD_ZERO(&ready);
    FD_SET(t->bell, &ready);
    if (listening) FD_SET(t->listener, &ready);
    if (select(0, &ready, NULL, NULL, NULL) > 0 && FD_ISSET(t->bell, &ready)) {
        recv(t->bell, &byte, 1, 0);
        atomic_store(&t->rung, false); /* before it is looked at what is wanted */
    }
}

static void run(void *arg)
{
    cvy__acceptor_thread_t *t = arg;
    cvy__thread_name("cvy accept");
    bool listening = false;
    while (!atomic_load(&t->stopping)) {
        wait_for(t, listening);
        listening = accept_all(t);
    }
}

int cvy__acceptor_thread_start(cvy__acceptor_thread_t **out, cvy_socket_t listener, const cvy__accept_events_t *events)
{
    cvy__acceptor_thread_t *t = cvy__calloc(1, sizeof *t);
    if (!t) return UV_ENOMEM;
    t->events = *events;
    t->listener = (SOCKET)listener;
    int err = open_bell(&t->bell);
    if (err) {
        cvy__free(t);
        return err;
    }
    err = uv_thread_create(&t->thread, run, t);
    if (err) {
        closesocket(t->bell);
        cvy__free(t);
        return err;
    }
    *out = t;
    return 0;
}

void cvy__acceptor_thread_wake(cvy__acceptor_thread_t *t)
{
    if (!atomic_exchange(&t->rung, true)) send(t->bell, "", 1, 0);
}

void cvy__acceptor_thread_stop(cvy__acceptor_thread_t *t)
{
    atomic_store(&t->stopping, true);
    cvy__acceptor_thread_wake(t);
    uv_thread_join(&t->thread);
    closesocket(t->bell);
    cvy__free(t);
}
