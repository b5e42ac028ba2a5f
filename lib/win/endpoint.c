/*
 * Listening where there is Winsock. A thread accepts: it waits for the socket's event and one of its own, so that stopping and
 * pausing need no close from another thread. What it accepts is set free of the listener's event before it is handed on.
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

int cvy__unix_listen(cvy_socket_t *out, const char *name, bool abstract, int mode, int backlog, cvy__file_id_t *file)
{
    (void)out, (void)name, (void)abstract, (void)mode, (void)backlog, (void)file;
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
    WSAEVENT ready; /* the listener's: someone waits */
    WSAEVENT woken; /* ours */
    uv_thread_t thread;
    atomic_bool stopping;
};

static int accept_one(cvy__acceptor_thread_t *t, cvy_socket_t *out)
{
    int err = cvy__socket_accept((cvy_socket_t)t->listener, out);
    if (err) return err;
    u_long on = 1;
    if (WSAEventSelect((SOCKET)*out, NULL, 0) || ioctlsocket((SOCKET)*out, (long)FIONBIO, &on)) {
        cvy__socket_close(*out);
        return UV_ECONNABORTED;
    }
    return 0;
}

/* Accepts all that wait. True: the listener's event tells when there are more. */
static bool accept_all(cvy__acceptor_thread_t *t)
{
    while (!atomic_load(&t->stopping)) {
        cvy_socket_t fd;
        if (!t->events.may_accept(t->events.arg)) return false;
        int err = accept_one(t, &fd);
        if (!err)
            t->events.accepted(t->events.arg, fd);
        else if (!t->events.refused(t->events.arg, err))
            return false;
        else if (err == UV_EAGAIN)
            return true;
    }
    return false;
}

static void run(void *arg)
{
    cvy__acceptor_thread_t *t = arg;
    cvy__thread_name("cvy accept");
    bool listening = true;
    while (!atomic_load(&t->stopping)) {
        WSAEVENT events[] = { t->woken, t->ready };
        WSAWaitForMultipleEvents(listening ? 2 : 1, events, FALSE, WSA_INFINITE, FALSE);
        WSAResetEvent(t->woken);
        WSAResetEvent(t->ready); /* accept sets it again while someone waits */
        listening = accept_all(t);
    }
}

static void free_thread(cvy__acceptor_thread_t *t)
{
    WSAEventSelect(t->listener, NULL, 0);
    if (t->ready != WSA_INVALID_EVENT) WSACloseEvent(t->ready);
    if (t->woken != WSA_INVALID_EVENT) WSACloseEvent(t->woken);
    cvy__free(t);
}

int cvy__acceptor_thread_start(cvy__acceptor_thread_t **out, cvy_socket_t listener, const cvy__accept_events_t *events)
{
    cvy__acceptor_thread_t *t = cvy__calloc(1, sizeof *t);
    if (!t) return UV_ENOMEM;
    t->events = *events;
    t->listener = (SOCKET)listener;
    t->ready = WSACreateEvent();
    t->woken = WSACreateEvent();
    int err = 0;
    if (t->ready == WSA_INVALID_EVENT || t->woken == WSA_INVALID_EVENT)
        err = UV_ENOMEM;
    else if (WSAEventSelect(t->listener, t->ready, FD_ACCEPT))
        err = code();
    if (!err) err = uv_thread_create(&t->thread, run, t);
    if (err)
        free_thread(t);
    else
        *out = t;
    return err;
}

void cvy__acceptor_thread_wake(cvy__acceptor_thread_t *t)
{
    WSASetEvent(t->woken);
}

void cvy__acceptor_thread_stop(cvy__acceptor_thread_t *t)
{
    atomic_store(&t->stopping, true);
    cvy__acceptor_thread_wake(t);
    uv_thread_join(&t->thread);
    free_thread(t);
}
