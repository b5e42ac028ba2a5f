/*
 * Each call has a front, a function whose name in the object file is the call's, and goes on to what stands behind: a sanitizer's own where
 * there is one (it must see threads and descriptors), else libc's.
 */
#include "inject.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <uv.h>

static atomic_int armed, first, last, failing_with, seen, hits;
static atomic_uint short_most, short_state;
static atomic_long calls[INJECT_CALLS];

static bool is_socket(int fd)
{
    struct stat st;
    return !fstat(fd, &st) && S_ISSOCK(st.st_mode);
}

static bool hit(inject_call_t call)
{
    if (atomic_load(&armed) != (int)call) return false;
    int n = atomic_fetch_add(&seen, 1) + 1;
    if (n < atomic_load(&first) || n > atomic_load(&last)) return false;
    atomic_fetch_add(&hits, 1);
    return true;
}

/* Whether this one fails; errno is set then. */
static bool fails(inject_call_t call)
{
    atomic_fetch_add(&calls[call], 1);
    if (!hit(call)) return false;
    errno = atomic_load(&failing_with);
    return true;
}

static bool socket_fails(inject_call_t call, int fd)
{
    return is_socket(fd) && fails(call);
}

/* How many of n bytes this read or write may take. */
static size_t cut(int fd, size_t n)
{
    unsigned most = atomic_load(&short_most);
    if (!most || !n || !is_socket(fd)) return n;
    unsigned state = atomic_load(&short_state) * 1103515245u + 12345u;
    atomic_store(&short_state, state);
    size_t some = 1 + (state >> 16) % most;
    return some < n ? some : n;
}

/* The front of a call, and (as behind) what stands behind it. */
#define FRONT(result, name, parameters)                                                   \
    typedef result(*name##_call_t) parameters;                                            \
    extern result __interceptor_##name parameters __attribute__((weak));                  \
    static name##_call_t behind_##name(void)                                              \
    {                                                                                     \
        union {                                                                           \
            void *found;                                                                  \
            name##_call_t call;                                                           \
        } behind = { .call = __interceptor_##name };                                      \
        if (!behind.call) behind.found = dlsym(RTLD_NEXT, #name);                         \
        if (!behind.call) abort();                                                        \
        return behind.call;                                                               \
    }                                                                                     \
    result front_##name parameters __asm__(#name) __attribute__((visibility("default"))); \
    result front_##name parameters
#define BEHIND(name) behind_##name()

FRONT(ssize_t, read, (int fd, void *buf, size_t n))
{
    return socket_fails(INJECT_READ, fd) ? -1 : BEHIND(read)(fd, buf, cut(fd, n));
}

FRONT(ssize_t, write, (int fd, const void *buf, size_t n))
{
    return socket_fails(INJECT_WRITE, fd) ? -1 : BEHIND(write)(fd, buf, cut(fd, n));
}

FRONT(ssize_t, writev, (int fd, const struct iovec *views, int n))
{
    if (socket_fails(INJECT_WRITEV, fd)) return -1;
    if (!atomic_load(&short_most) || !is_socket(fd)) return BEHIND(writev)(fd, views, n);
    return BEHIND(write)(fd, views[0].iov_base, cut(fd, views[0].iov_len));
}

FRONT(int, shutdown, (int fd, int how))
{
    return socket_fails(INJECT_SHUTDOWN, fd) ? -1 : BEHIND(shutdown)(fd, how);
}

FRONT(int, close, (int fd))
{
    bool fail = socket_fails(INJECT_CLOSE, fd);
    int err = errno, result = BEHIND(close)(fd);
    if (fail) errno = err;
    return fail ? -1 : result;
}

/* libuv closes by syscall(2). */
FRONT(long, syscall, (long number, long a, long b, long c, long d, long e, long f))
{
    return number == SYS_close ? front_close((int)a) : BEHIND(syscall)(number, a, b, c, d, e, f);
}

FRONT(int, getsockopt, (int fd, int level, int option, void *value, void *n))
{
    return socket_fails(INJECT_GETSOCKOPT, fd) ? -1 : BEHIND(getsockopt)(fd, level, option, value, n);
}

FRONT(int, setsockopt, (int fd, int level, int option, const void *value, unsigned n))
{
    return fails(INJECT_SETSOCKOPT) ? -1 : BEHIND(setsockopt)(fd, level, option, value, n);
}

FRONT(int, accept4, (int fd, void *address, void *n, int flags))
{
    return fails(INJECT_ACCEPT) ? -1 : BEHIND(accept4)(fd, address, n, flags);
}

FRONT(int, accept, (int fd, void *address, void *n))
{
    return fails(INJECT_ACCEPT) ? -1 : BEHIND(accept)(fd, address, n);
}

FRONT(int, connect, (int fd, const void *address, unsigned n))
{
    return fails(INJECT_CONNECT) ? -1 : BEHIND(connect)(fd, address, n);
}

FRONT(int, socket, (int family, int type, int protocol))
{
    return fails(INJECT_SOCKET) ? -1 : BEHIND(socket)(family, type, protocol);
}

FRONT(int, bind, (int fd, const void *address, unsigned n))
{
    return fails(INJECT_BIND) ? -1 : BEHIND(bind)(fd, address, n);
}

FRONT(int, listen, (int fd, int backlog))
{
    return fails(INJECT_LISTEN) ? -1 : BEHIND(listen)(fd, backlog);
}

FRONT(int, ioctl, (int fd, unsigned long request, ...))
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    return socket_fails(INJECT_IOCTL, fd) ? -1 : BEHIND(ioctl)(fd, request, arg);
}

FRONT(int, epoll_create1, (int flags))
{
    return fails(INJECT_EPOLL_CREATE) ? -1 : BEHIND(epoll_create1)(flags);
}

FRONT(int, epoll_ctl, (int epoll, int what, int fd, struct epoll_event *event))
{
    return fails(INJECT_EPOLL_CTL) ? -1 : BEHIND(epoll_ctl)(epoll, what, fd, event);
}

FRONT(int, epoll_wait, (int epoll, struct epoll_event *events, int n, int timeout))
{
    return fails(INJECT_EPOLL_WAIT) ? -1 : BEHIND(epoll_wait)(epoll, events, n, timeout);
}

FRONT(int, epoll_pwait, (int epoll, struct epoll_event *events, int n, int timeout, const void *mask))
{
    return fails(INJECT_EPOLL_WAIT) ? -1 : BEHIND(epoll_pwait)(epoll, events, n, timeout, mask);
}

FRONT(int, eventfd, (unsigned value, int flags))
{
    return fails(INJECT_EVENTFD) ? -1 : BEHIND(eventfd)(value, flags);
}

FRONT(int, pipe2, (int fds[2], int flags))
{
    return fails(INJECT_PIPE) ? -1 : BEHIND(pipe2)(fds, flags);
}

FRONT(int, pthread_create, (pthread_t * out, const void *how, void *(*run)(void *), void *arg))
{
    return fails(INJECT_THREAD) ? atomic_load(&failing_with) : BEHIND(pthread_create)(out, how, run, arg);
}

const char *inject_name(inject_call_t call)
{
    static const char *const names[] = { "nothing",   "read",       "write",      "writev",  "shutdown",
                                         "close",     "getsockopt", "setsockopt", "accept4", "connect",
                                         "socket",    "bind",       "listen",     "ioctl",   "epoll_create1",
                                         "epoll_ctl", "epoll_wait", "eventfd",    "pipe2",   "pthread_create" };
    return names[call];
}

void inject(inject_call_t call, int nth, int err, int times)
{
    atomic_store(&armed, INJECT_NOTHING);
    atomic_store(&first, nth);
    atomic_store(&last, nth + times - 1);
    atomic_store(&failing_with, err);
    atomic_store(&seen, 0);
    atomic_store(&hits, 0);
    atomic_store(&armed, call);
}

int inject_over(void)
{
    atomic_store(&armed, INJECT_NOTHING);
    return atomic_load(&hits);
}

int inject_hits(void)
{
    return atomic_load(&hits);
}

void inject_short(unsigned most, unsigned seed)
{
    atomic_store(&short_state, seed);
    atomic_store(&short_most, most);
}

long inject_calls(inject_call_t call)
{
    return atomic_load(&calls[call]);
}

static void nothing(uv_work_t *work)
{
    (void)work;
}

void inject_warm_up(void)
{
    uv_loop_t loop;
    uv_work_t work;
    if (uv_loop_init(&loop) || uv_queue_work(&loop, &work, nothing, NULL)) abort();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
