/*
 * A watch is one uv_poll_t. Interest lives here, as two callbacks; the handle follows it. A callback is looked up at the moment it
 * is due, so that one which was taken away is never called, and libuv drops the events of a descriptor that it stops from the batch it
 * is working on, so that a new watch never sees the old one's (R8).
 *
 * While it watches it is a resident and keeps the loop alive; else a guest, whose handle still has to be closed when the loop ends.
 * libuv closes asynchronously: the memory goes when both libuv and the owner have let go.
 */
#include <conveyor/watch.h>

#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

typedef struct interest {
    cvy_watch_cb cb; /* NULL: none */
    void *arg;
} interest_t;

struct cvy_watch {
    cvy__resident_t resident;
    cvy_loop_t *loop;
    cvy_socket_t fd;
    uv_poll_t poll;
    int events; /* what the handle watches */
    interest_t read, write;
    bool closing; /* the handle */
    bool closed;
    bool freed; /* by its owner */
};

static void set_resident(cvy_watch_t *watch, bool resident)
{
    if (resident != watch->resident.guest) return;
    cvy__resident_remove(watch->loop, &watch->resident);
    if (resident)
        cvy__resident_add(watch->loop, &watch->resident);
    else
        cvy__guest_add(watch->loop, &watch->resident);
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* Makes the handle watch what is wanted. */
static int follow(cvy_watch_t *watch)
{
    int wanted = (watch->read.cb ? UV_READABLE : 0) | (watch->write.cb ? UV_WRITABLE : 0);
    if (watch->closing || wanted == watch->events) return 0;
    int err = wanted ? uv_poll_start(&watch->poll, wanted, on_poll) : uv_poll_stop(&watch->poll);
    if (err) return err;
    watch->events = wanted;
    set_resident(watch, wanted != 0);
    return 0;
}

static void fire(cvy_watch_t *watch, interest_t *interest, int status)
{
    interest_t now = *interest;
    if (!now.cb) return;
    if (status) interest->cb = NULL;
    now.cb(watch, status, now.arg);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    cvy_watch_t *watch = poll->data;
    cvy__loop_enter(watch->loop);
    if (status) watch->events = 0; /* libuv has stopped it */
    if (status || (events & UV_READABLE)) fire(watch, &watch->read, status);
    if (status || (events & UV_WRITABLE)) fire(watch, &watch->write, status);
    if (status) follow(watch);
    if (!watch->events && !watch->closing) set_resident(watch, false);
    cvy__loop_leave(watch->loop);
}

static void on_closed(uv_handle_t *handle)
{
    cvy_watch_t *watch = handle->data;
    cvy_loop_t *loop = watch->loop;
    cvy__loop_enter(loop);
    cvy__resident_remove(loop, &watch->resident);
    watch->closed = true;
    if (watch->freed) cvy__free(watch);
    cvy__loop_leave(loop);
}

static void close_handle(cvy_watch_t *watch)
{
    watch->read.cb = watch->write.cb = NULL;
    if (watch->closing) return;
    follow(watch);
    watch->closing = true;
    set_resident(watch, false);
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}

static void on_loop_end(cvy__resident_t *resident)
{
    close_handle(CVY__OF(resident, cvy_watch_t, resident));
}

int cvy_watch_new(cvy_watch_t **out, cvy_loop_t *loop, cvy_socket_t fd)
{
    if (cvy__loop_own(loop)) return UV_EPERM;
    if (cvy__loop_ending(loop)) return UV_ESHUTDOWN;
    if (!loop->uv) return UV_ENOTSUP;
    cvy_watch_t *watch = cvy__calloc(1, sizeof *watch);
    if (!watch) return UV_ENOMEM;
    int err = uv_poll_init_socket(loop->uv, &watch->poll, (uv_os_sock_t)fd);
    if (err) {
        cvy__free(watch);
        return err;
    }
    watch->loop = loop;
    watch->fd = fd;
    watch->poll.data = watch;
    watch->resident.close = on_loop_end;
    cvy__guest_add(loop, &watch->resident);
    *out = watch;
    return 0;
}

void cvy_watch_free(cvy_watch_t *watch)
{
    if (!watch) return;
    if (watch->closed) {
        cvy__free(watch); /* the loop ended before, and may be gone */
        return;
    }
    if (cvy__loop_own(watch->loop)) return;
    watch->freed = true;
    close_handle(watch);
}

static int set(cvy_watch_t *watch, interest_t *interest, interest_t next)
{
    if (watch->closing) return UV_ESHUTDOWN;
    if (cvy__loop_own(watch->loop)) return UV_EPERM;
    interest_t old = *interest;
    *interest = next;
    int err = follow(watch);
    if (err) *interest = old;
    return err;
}

int cvy_watch_read(cvy_watch_t *watch, cvy_watch_cb cb, void *arg)
{
    return set(watch, &watch->read, (interest_t){ cb, arg });
}

int cvy_watch_write(cvy_watch_t *watch, cvy_watch_cb cb, void *arg)
{
    return set(watch, &watch->write, (interest_t){ cb, arg });
}

void cvy_unwatch_read(cvy_watch_t *watch)
{
    set(watch, &watch->read, (interest_t){ NULL, NULL });
}

void cvy_unwatch_write(cvy_watch_t *watch)
{
    set(watch, &watch->write, (interest_t){ NULL, NULL });
}

cvy_socket_t cvy_watch_fd(const cvy_watch_t *watch)
{
    return watch->fd;
}
