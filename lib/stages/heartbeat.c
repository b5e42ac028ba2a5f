/*
 * Heartbeat: an idle stage of its own in front of it says when; it sends or closes. While bytes are queued nothing is added to
 * them: they will be the sign of life.
 */
#include <assert.h>
#include <string.h>

#include <conveyor/heartbeat.h>
#include <conveyor/idle.h>
#include <conveyor/transport.h>
#include <uv.h>

#include "base/memory.h"
#include "stages/options.h"

#define TIMEOUT_MS  60000 /* RabbitMQ's default; it sends twice as often, so that one lost or late beat does no harm */
#define INTERVAL_MS 30000

typedef struct heartbeat {
    cvy_ctx_t *idle;
    uint8_t *bytes;
    size_t n;
} heartbeat_t;

static void beat(cvy_ctx_t *ctx, const heartbeat_t *h)
{
    if (cvy_transport_queued(cvy_ctx_transport(ctx))) return;
    if (cvy_fire_outbound_copy(ctx, h->bytes, h->n) == UV_ENOMEM)
        cvy_ctx_fail(ctx, UV_ENOMEM, "no memory for a heartbeat");
}

static void on_idle(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    const heartbeat_t *h = cvy_ctx_state(ctx);
    const cvy_idle_t *idle = cvy_event_as(ev, cvy_idle);
    const cvy_close_t dead = { CVY_CLOSE_NOW, UV_ETIMEDOUT };
    assert(idle); /* the stage's table names no other event */
    if (idle->from != h->idle)
        cvy_fire_inbound(ctx, ev);
    else if (idle->kind == CVY_IDLE_WRITE)
        beat(ctx, h);
    else
        cvy_fire_outbound_close(ctx, &dead);
}

/* Errors: UV_EINVAL. */
static int times(cvy_idle_opts_t *idle, const cvy_heartbeat_opts_t *o)
{
    uint32_t read = 0, write = 0;
    int err = cvy__opt_ms(&read, o->timeout_ms, TIMEOUT_MS);
    if (!err) err = cvy__opt_ms(&write, o->interval_ms, read > 1 ? read / 2 : INTERVAL_MS);
    *idle = (cvy_idle_opts_t){ .read_ms = read, .write_ms = write };
    return err;
}

static int heartbeat_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_heartbeat_opts_t defaults;
    const cvy_heartbeat_opts_t *o = opts ? opts : &defaults;
    heartbeat_t *h = cvy_ctx_state(ctx);
    cvy_idle_opts_t idle;
    int err = times(&idle, o);
    if (err) return err;
    if (o->n) {
        h->bytes = cvy__malloc(o->n);
        if (!h->bytes) return UV_ENOMEM;
        memcpy(h->bytes, o->bytes, o->n);
        h->n = o->n;
    }
    err = cvy_conveyor_add_before(cvy_ctx_conveyor(ctx), cvy_at_ctx(ctx), &cvy_idle_stage, &idle, &h->idle);
    if (err) cvy__free(h->bytes);
    return err;
}

static void heartbeat_removed(cvy_ctx_t *ctx)
{
    heartbeat_t *h = cvy_ctx_state(ctx);
    /* At the end of the connection the idle stage goes by itself. */
    if (!cvy_transport_closing(cvy_ctx_transport(ctx))) cvy_conveyor_remove(cvy_ctx_conveyor(ctx), cvy_at_ctx(h->idle));
    cvy__free(h->bytes);
}

static const cvy_on_t events[] = { CVY_ON(cvy_idle, on_idle), { 0 } };

const cvy_stage_t cvy_heartbeat_stage = {
    .name = "heartbeat",
    .state_size = sizeof(heartbeat_t),
    .on_added = heartbeat_added,
    .on_removed = heartbeat_removed,
    .events = events,
};

int cvy_heartbeat_add(cvy_conveyor_t *c, const cvy_heartbeat_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_heartbeat_stage, opts, NULL);
}
