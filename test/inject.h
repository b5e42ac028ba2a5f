/*
 * Faults from outside, as strace --inject makes them: the n-th call of a kind fails with an errno. The executable's own read, write and
 * so on stand in front of libc's, for libuv's shared object too. Linux only; link inject.c into the executable itself.
 *
 *   inject(INJECT_READ, 3, ECONNRESET, 1);       the third read of a socket from now on
 *   ...
 *   ck_assert_int_eq(inject_over(), 1);          it was made
 *
 * Left out, because libuv 1.44 aborts: epoll_ctl but for uv_poll_init's first; any errno of epoll_wait but EINTR; reads of its
 * eventfd; threads of its pool and the signals' pipe (both there once a process has used a loop, see inject_warm_up).
 */
#ifndef CVY_TEST_INJECT_H
#define CVY_TEST_INJECT_H

#include <errno.h>
#include <stdbool.h>

typedef enum inject_call {
    INJECT_NOTHING,
    INJECT_READ,  /* these, and close, shutdown, getsockopt: of sockets only */
    INJECT_WRITE, /* one view */
    INJECT_WRITEV,
    INJECT_SHUTDOWN,
    INJECT_CLOSE, /* which closes all the same, as Linux does */
    INJECT_GETSOCKOPT,
    INJECT_SETSOCKOPT,
    INJECT_ACCEPT, /* accept4, or accept where the library is built without */
    INJECT_CONNECT,
    INJECT_SOCKET,
    INJECT_BIND,
    INJECT_LISTEN,
    INJECT_IOCTL, /* FIONBIO of what is opened */
    INJECT_EPOLL_CREATE,
    INJECT_EPOLL_CTL,
    INJECT_EPOLL_WAIT,
    INJECT_EVENTFD,
    INJECT_PIPE,
    INJECT_THREAD,
    INJECT_CALLS
} inject_call_t;

const char *inject_name(inject_call_t call);

/* From now on: calls nth to nth + times - 1 fail with err. Any thread's. */
void inject(inject_call_t call, int nth, int err, int times);
/* No more; returns how many calls failed. */
int inject_over(void);
/* How many failed so far. */
int inject_hits(void);
/* From now on reads and writes of sockets take 1 to most bytes, at random; 0: all. */
void inject_short(unsigned most, unsigned seed);
/* Calls of a kind so far. */
long inject_calls(inject_call_t call);
/* What libuv keeps for good is there. */
void inject_warm_up(void);

#endif
