/*
 * The floor: what an echo server on a socket costs at least. Level-triggered epoll, one shared read buffer, whole frames written from where
 * they were read; only a frame that is not yet whole, and what the kernel does not take, is kept.
 */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "wire.h"

typedef struct bytes {
    uint8_t *data; /* NULL while empty */
    size_t begin, end, size;
} bytes_t;

typedef struct connection {
    int fd;
    bool waits; /* for room to write: does not read meanwhile */
    bytes_t in; /* the beginning of a frame */
    bytes_t out;
} connection_t;

static uint8_t shared[WIRE_READ_BYTES];
static int poller, listener;
static wire_address_t address;

static void reserve(bytes_t *b, size_t n)
{
    if (b->size - b->end >= n) return;
    size_t held = b->end - b->begin;
    if (b->begin) memmove(b->data, b->data + b->begin, held);
    b->begin = 0;
    b->end = held;
    if (b->size - held >= n) return;
    b->size = held + n;
    b->data = realloc(b->data, b->size);
    if (!b->data) wire_die("realloc");
}

static void keep(bytes_t *b, const uint8_t *bytes, size_t n)
{
    reserve(b, n);
    memcpy(b->data + b->end, bytes, n);
    b->end += n;
}

static void clear(bytes_t *b)
{
    free(b->data);
    *b = (bytes_t){ 0 };
}

static void end(connection_t *c)
{
    close(c->fd);
    clear(&c->in);
    clear(&c->out);
    free(c);
}

static void wait_for(connection_t *c, bool room)
{
    struct epoll_event ev = { .events = room ? EPOLLOUT : EPOLLIN, .data.ptr = c };
    if (c->waits == room) return;
    c->waits = room;
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &ev);
}

/* False: the connection is gone. */
static bool send_bytes(connection_t *c, const uint8_t *bytes, size_t n)
{
    ssize_t taken = n ? write(c->fd, bytes, n) : 0;
    if (taken < 0 && errno != EAGAIN) {
        end(c);
        return false;
    }
    if (taken < 0) taken = 0;
    if ((size_t)taken == n) return true;
    keep(&c->out, bytes + taken, n - (size_t)taken);
    wait_for(c, true);
    return true;
}

/* A frame that did not fit the shared buffer, or was cut: it is read into memory of its own until it is whole. */
static void read_rest(connection_t *c)
{
    size_t missing;
    wire_whole(c->in.data + c->in.begin, c->in.end - c->in.begin, &missing);
    reserve(&c->in, missing);
    ssize_t n = read(c->fd, c->in.data + c->in.end, missing < WIRE_READ_BYTES ? missing : WIRE_READ_BYTES);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end(c);
        return;
    }
    c->in.end += (size_t)n;
    size_t whole = wire_whole(c->in.data + c->in.begin, c->in.end - c->in.begin, &missing);
    if (!whole || !send_bytes(c, c->in.data + c->in.begin, whole)) return;
    c->in.begin += whole;
    if (c->in.begin == c->in.end) c->in.begin = c->in.end = 0;
    if (!c->in.end && c->in.size < 1024 * 1024) clear(&c->in);
}

static void read_some(connection_t *c)
{
    if (c->in.end) {
        read_rest(c);
        return;
    }
    ssize_t n = read(c->fd, shared, sizeof shared);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end(c);
        return;
    }
    size_t missing, whole = wire_whole(shared, (size_t)n, &missing);
    if (!send_bytes(c, shared, whole) || whole == (size_t)n) return;
    keep(&c->in, shared + whole, (size_t)n - whole);
}

static void write_some(connection_t *c)
{
    ssize_t n = write(c->fd, c->out.data + c->out.begin, c->out.end - c->out.begin);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
        end(c);
        return;
    }
    c->out.begin += (size_t)n;
    if (c->out.begin < c->out.end) return;
    clear(&c->out);
    wait_for(c, false);
}

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        connection_t *c = calloc(1, sizeof *c);
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
        if (!c) wire_die("calloc");
        c->fd = fd;
        wire_tune(fd, &address);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev);
    }
}

int main(int argc, char **argv)
{
    address = wire_parse(argc > 1 ? argv[1] : "");
    listener = wire_listen(&address);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = { .events = EPOLLIN };
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &ev);
    wire_ready();
    for (;;) {
        struct epoll_event events[1024];
        int n = epoll_wait(poller, events, 1024, -1);
        for (int i = 0; i < n; i++) {
            connection_t *c = events[i].data.ptr;
            if (!c)
                accept_all();
            else if (c->waits)
                write_some(c);
            else
                read_some(c);
        }
    }
}
