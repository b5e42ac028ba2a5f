/*
 * Closing.
 *
 *   open ──graceful──▶ draining ──all sent, our end──▶ lingering ──peer's end──▶ closing ──the kind is done──▶ closed
 *     └────now, reset, an error, a deadline (also from draining and lingering)────▶ ┘
 *
 * The call takes effect at once: fires and writes answer UV_EPIPE. All that runs user code comes from cvy__transport_closed, which the kind
 * calls from the system's close callback. The first cause stays; a second close only escalates.
 */
#include <assert.h>
#include <uv.h>

#include "transport/transport.h"

static void finish(cvy_transport_t *t, bool reset)
{
    t->phase = CVY__CLOSING;
    t->waiting = true; /* a flush that is on the stack ends here: nothing more is asked of the kind */
    cvy__transport_disarm_all(t);
    cvy__loop_undefer(&t->flush);
    if (t->read_armed) t->kind->read_stop(t);
    t->read_armed = false;
    t->kind->close(t, reset);
}

static void linger(cvy_transport_t *t)
{
    if (t->read_state >= CVY_READ_EOF) {
        finish(t, false);
        return;
    }
    t->phase = CVY__LINGERING;
    cvy__transport_arm(t, CVY__DUE_CLOSE, t->opts->limits.linger_ms);
    cvy__transport_update_reading(t);
}

static void drain(cvy_transport_t *t)
{
    bool connected = t->phase != CVY__CONNECTING;
    if (!connected || t->write_state == CVY_WRITE_ERROR) {
        finish(t, false);
        return;
    }
    t->phase = CVY__DRAINING;
    cvy__transport_disarm(t, CVY__DUE_HALF_CLOSE);
    cvy__transport_disarm(t, CVY__DUE_SUSPEND);
    cvy__transport_disarm(t, CVY__DUE_PROBE);
    cvy__transport_disarm(t, CVY__DUE_CLOSE); /* of a stage that kept it back */
    if (t->write_state == CVY_WRITE_SHUT) {
        linger(t);
        return;
    }
    t->shut_asked = true;
    cvy__transport_set_write(t, CVY_WRITE_SHUTTING, "graceful close");
    cvy__transport_update_reading(t);
    cvy__transport_dirty(t); /* the flush that leaves something arms the deadline: most leave nothing */
}

void cvy__transport_close_with(cvy_transport_t *t, cvy_close_verb_t verb, int cause, bool own_error)
{
    if (t->phase >= CVY__CLOSING) return;
    bool first = t->phase < CVY__DRAINING;
    if (own_error && !t->lost) t->lost = cause;
    if (!first && verb <= t->verb) return;
    t->verb = (uint8_t)verb;
    if (!t->cause && cause) {
        t->cause = cause;
        t->error_is_own = own_error;
    }
    cvy__conveyor_closing(&t->conveyor);
    if (verb == CVY_CLOSE_GRACEFUL)
        drain(t);
    else
        finish(t, verb == CVY_CLOSE_RESET);
}

void cvy__transport_try_shutdown(cvy_transport_t *t)
{
    if (!t->shut_asked || t->shut_called || t->out.len || t->waiting || t->phase > CVY__DRAINING) return;
    t->shut_called = true;
    int err = t->kind->shutdown ? t->kind->shutdown(t) : UV_ENOTSUP;
    if (err == UV_ENOMEM) /* the peer would wait for an end that was never sent */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, err, true);
    else if (err)
        cvy__transport_shut(t, err);
}

/* Whatever the status: nothing more can be said to the peer. */
void cvy__transport_shut(cvy_transport_t *t, int status)
{
    (void)status;
    if (t->phase > CVY__DRAINING) return;
    cvy__transport_set_write(t, CVY_WRITE_SHUT, "flush done");
    if (t->phase == CVY__DRAINING)
        linger(t);
    else if (t->conveyor.read_closed_done)
        cvy__transport_close_with(t, CVY_CLOSE_GRACEFUL, 0, false);
}

static void end_states(cvy_transport_t *t)
{
    t->name.id = cvy_transport_id(t);
    t->phase = CVY__CLOSED;
    cvy__transport_set_read(t, CVY_READ_CLOSED, "end of the connection");
    cvy__transport_set_write(t, CVY_WRITE_CLOSED, "end of the connection");
    uint64_t written = t->out.consumed;
    cvy_buf_fini(&t->out);
    t->out.consumed = written;
}

void cvy__transport_closed(cvy_transport_t *t)
{
    cvy_error_t error = { t->cause, "transport", NULL, 0, 0 };
    end_states(t);
    cvy__transport_fail_tickets(t);
    cvy__conveyor_tear_down(&t->conveyor, t->error_is_own ? &error : NULL);
    if (t->on_shutdown_completed) t->on_shutdown_completed(t, t->cause, t->on_shutdown_completed_arg);
    if (t->maker) t->maker->gone(t->maker, t);
    cvy__tenant_remove(t->conveyor.loop, t->name.id);
    cvy_transport_unref(t);
}

int cvy_transport_close(cvy_transport_t *t, cvy_close_verb_t verb)
{
    if (cvy__loop_own(t->conveyor.loop)) return UV_EPERM;
    cvy__transport_close_with(t, verb, 0, false);
    return 0;
}

/*
 * A stage keeps back a close that was fired: to say goodbye first, or for ever, by forgetting it. It has as long as sending what is
 * queued may take; a later one does not extend that.
 */
void cvy__transport_close_kept(cvy_transport_t *t, const cvy_close_t *how)
{
    if (cvy__transport_due(t, CVY__DUE_CLOSE) != UINT64_MAX) return;
    cvy__transport_arm(t, CVY__DUE_CLOSE, t->opts->limits.drain_ms);
    if (t->extra) t->extra->kept_cause = how->err;
}

/* Our side is about to end: what stages hold until the turn's flush goes first. From inside that flush it is on its way already. */
static void flush_stages(cvy_transport_t *t)
{
    if (!cvy__conveyor_flushes(&t->conveyor) || t->conveyor.in_flush) return;
    bool outermost = cvy__loop_hold(t->conveyor.loop);
    cvy__conveyor_walk_flush(&t->conveyor);
    if (outermost) cvy__loop_let_go(t->conveyor.loop);
}

int cvy_transport_shutdown(cvy_transport_t *t, int err)
{
    if (cvy__loop_own(t->conveyor.loop)) return UV_EPERM;
    if (t->phase > CVY__OPEN) return 0;
    cvy_close_t how = { CVY_CLOSE_GRACEFUL, err };
    flush_stages(t);
    cvy_fire_outbound_close(&t->conveyor.ends, &how);
    return 0;
}

int cvy_transport_shutdown_write(cvy_transport_t *t)
{
    if (cvy__loop_own(t->conveyor.loop)) return UV_EPERM;
    if (t->phase != CVY__OPEN) return UV_EPIPE;
    if (t->shut_asked) return 0;
    flush_stages(t);
    if (t->phase != CVY__OPEN) return UV_EPIPE;
    if (t->shut_asked) return 0; /* a stage did the same, and it may be done by now */
    t->shut_asked = true;
    cvy__transport_disarm(t, CVY__DUE_HALF_CLOSE);
    cvy__conveyor_shut(&t->conveyor);
    cvy__transport_set_write(t, CVY_WRITE_SHUTTING, "cvy_transport_shutdown_write");
    cvy__transport_dirty(t);
    return 0;
}

void cvy_transport_on_shutdown_completed(cvy_transport_t *t, void (*cb)(cvy_transport_t *t, int cause, void *arg),
                                         void *arg)
{
    t->on_shutdown_completed = cb;
    t->on_shutdown_completed_arg = arg;
}

bool cvy_transport_closing(const cvy_transport_t *t)
{
    return cvy__conveyor_is_closing(&t->conveyor);
}
