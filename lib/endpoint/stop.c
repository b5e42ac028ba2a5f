/*
 * Stopping by a signal. The first one drains the listener and takes the handlers away, so that a second one does what it would do without
 * us: it ends the program at once, or is the application's own. The handles are guests of the first loop, and go when the listener leaves it.
 */
#include "base/memory.h"
#include "base/system_service.h"
#include "endpoint/listener.h"

#define SIGNALS_MOST 4

struct cvy__stop {
    uv_signal_t handles[SIGNALS_MOST];
    cvy__resident_t guest;
    cvy_loop_t *loop;
    cvy_listener_t *listener; /* NULL: ended */
    int open;                 /* handles that libuv has not yet closed */
    bool closing;
};

static void on_closed(uv_handle_t *handle)
{
    struct cvy__stop *stop = handle->data;
    cvy_loop_t *loop = stop->loop;
    if (--stop->open) return;
    cvy__loop_enter(loop);
    cvy__resident_remove(loop, &stop->guest);
    cvy__free(stop);
    cvy__loop_leave(loop);
}

static void close_handles(struct cvy__stop *stop)
{
    int open = stop->open;
    if (stop->closing) return;
    stop->closing = true;
    if (!open) {
        cvy__resident_remove(stop->loop, &stop->guest);
        cvy__free(stop);
    }
    for (int i = 0; i < open; i++)
        uv_close((uv_handle_t *)&stop->handles[i], on_closed);
}

static void on_loop_end(cvy__resident_t *guest)
{
    close_handles(CVY__OF(guest, struct cvy__stop, guest));
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct cvy__stop *stop = handle->data;
    cvy_listener_t *l = stop->listener;
    (void)number;
    if (!l) return;
    cvy__loop_enter(stop->loop);
    cvy__stop_end(l);
    cvy_listener_shutdown(l, CVY_DRAIN);
    cvy__loop_leave(stop->loop);
}

static int start_one(struct cvy__stop *stop, int number)
{
    uv_signal_t *handle = &stop->handles[stop->open];
    int err = stop->loop->uv ? uv_signal_init(stop->loop->uv, handle) : UV_ENOTSUP;
    if (err) return err;
    handle->data = stop;
    stop->open++;
    return uv_signal_start(handle, on_signal, number);
}

static int start_all(struct cvy__stop *stop)
{
    int err = 0;
    for (const int *number = cvy__stop_signals(); *number && !err; number++)
        err = start_one(stop, *number);
    return err;
}

int cvy__stop_start(cvy_listener_t *l)
{
    struct cvy__stop *stop = cvy__calloc(1, sizeof *stop);
    int err = stop ? 0 : UV_ENOMEM;
    if (stop) {
        stop->loop = l->lanes[0].loop;
        stop->listener = l;
        stop->guest.close = on_loop_end;
        cvy__guest_add(stop->loop, &stop->guest);
        l->stop = stop;
        err = start_all(stop);
    }
    if (!err) return 0;
    cvy__stop_end(l);
    return cvy__address_say(l->message, sizeof l->message, "stop_on_signals", NULL, err);
}

void cvy__stop_end(cvy_listener_t *l)
{
    struct cvy__stop *stop = l->stop;
    if (!stop) return;
    l->stop = NULL;
    stop->listener = NULL;
    close_handles(stop);
}
