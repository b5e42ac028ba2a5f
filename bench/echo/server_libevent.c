/*
 * libevent, both ways: with an evbuffer per direction and plain events (the default), or with bufferevents (second argument: bufferevent).
 * Whole frames are moved from the input to the output without a copy.
 */
#define _GNU_SOURCE /* accept4 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire.h"

static struct event_base *base;
static wire_address_t address;
static bool bufferevents;

/* Moves what is whole; large moves are of chains, not of bytes. */
static void move_frames(struct evbuffer *in, struct evbuffer *out)
{
    size_t n = evbuffer_get_length(in), whole = 0;
    struct evbuffer_ptr at;
    evbuffer_ptr_set(in, &at, 0, EVBUFFER_PTR_SET);
    while (n - whole >= WIRE_HEADER) {
        uint8_t header[WIRE_HEADER];
        evbuffer_copyout_from(in, &at, header, WIRE_HEADER);
        size_t frame = WIRE_HEADER + (size_t)wire_length(header);
        if (n - whole < frame) break;
        whole += frame;
        if (whole < n) evbuffer_ptr_set(in, &at, frame, EVBUFFER_PTR_ADD);
    }
    if (whole) evbuffer_remove_buffer(in, out, whole);
}

/* Bufferevents */

static void on_bytes(struct bufferevent *bev, void *arg)
{
    (void)arg;
    move_frames(bufferevent_get_input(bev), bufferevent_get_output(bev));
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
    (void)what, (void)arg;
    bufferevent_free(bev);
}

static void add_bufferevent(int fd)
{
    struct bufferevent *bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_bytes, NULL, on_end, NULL);
    bufferevent_set_max_single_read(bev, WIRE_READ_BYTES);
    bufferevent_set_max_single_write(bev, WIRE_READ_BYTES);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* Evbuffers */

typedef struct connection {
    struct event *readable, *writable;
    struct evbuffer *in, *out;
} connection_t;

static void end(connection_t *c, int fd)
{
    event_free(c->readable);
    event_free(c->writable);
    evbuffer_free(c->in);
    evbuffer_free(c->out);
    free(c);
    close(fd);
}

static void send_some(connection_t *c, int fd)
{
    int n = evbuffer_get_length(c->out) ? evbuffer_write(c->out, fd) : 0;
    if (n < 0 && errno != EAGAIN) {
        end(c, fd);
    } else if (evbuffer_get_length(c->out)) {
        event_del(c->readable);
        event_add(c->writable, NULL);
    } else {
        event_add(c->readable, NULL);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    connection_t *c = arg;
    (void)what;
    int n = evbuffer_read(c->in, fd, WIRE_READ_BYTES);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end(c, fd);
        return;
    }
    move_frames(c->in, c->out);
    if (evbuffer_get_length(c->out)) send_some(c, fd);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    send_some(arg, fd);
}

static void add_evbuffers(int fd)
{
    connection_t *c = calloc(1, sizeof *c);
    c->in = evbuffer_new();
    c->out = evbuffer_new();
    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
    event_add(c->readable, NULL);
}

static void on_connection(evutil_socket_t listener, short what, void *arg)
{
    int fd;
    (void)what, (void)arg;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        wire_tune(fd, &address);
        if (bufferevents)
            add_bufferevent(fd);
        else
            add_evbuffers(fd);
    }
}

int main(int argc, char **argv)
{
    address = wire_parse(argc > 1 ? argv[1] : "");
    bufferevents = argc > 2 && !strcmp(argv[2], "bufferevent");
    base = event_base_new();
    struct event *listening = event_new(base, wire_listen(&address), EV_READ | EV_PERSIST, on_connection, NULL);
    event_add(listening, NULL);
    wire_ready();
    return event_base_dispatch(base);
}
