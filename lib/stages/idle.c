/*
 * Idleness is looked up, not tracked: the transport stamps every read and every progress of a write, so that bytes step over this
 * stage and a read costs it nothing. One timer looks at the stamps when the first kind could be due, and is armed anew before an
 * event is fired: the stage may be gone afterwards.
 */
#include <conveyor/idle.h>
#include <conveyor/transport.h>
#include <uv.h>

#include "stages/options.h"

#define KINDS 3

const cvy_event_type_t cvy_idle_event = { .name = "cvy_idle" };

typedef struct idle {
    /* idle from then on, as far as is known: activity, the last event, or the end of a suspend */
    uint64_t since[KINDS];
    uint32_t ms[KINDS]; /* 0: off */
    bool again[KINDS];  /* fired since the last activity */
    bool read_closed;
} idle_t;

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes in what has happened on the transport. An event fires when nothing has for a while: what bears the time of the last event or a later
 * one came after it. */
static void look(cvy_ctx_t *ctx, idle_t *s)
{
    cvy_transport_stats_t stats;
    cvy_transport_stats(cvy_ctx_transport(ctx), &stats);
    const uint64_t at[KINDS] = { stats.last_read_ms, stats.last_write_ms,
                                 later(stats.last_read_ms, stats.last_write_ms) };
    for (int k = 0; k < KINDS; k++) {
        if (at[k] < s->since[k]) continue;
        s->since[k] = at[k];
        s->again[k] = false;
    }
}

/* Nothing can be read while reading is suspended: that time does not count, what came before it does. */
static void restart_reading(cvy_ctx_t *ctx, idle_t *s)
{
    look(ctx, s);
    uint64_t now = cvy_loop_now(cvy_ctx_loop(ctx));
    s->since[CVY_IDLE_READ] = now;
    s->since[CVY_IDLE_ALL] = now;
}

static bool is_on(const idle_t *s, int k)
{
    return s->ms[k] && !(k == CVY_IDLE_READ && s->read_closed);
}

static void arm(cvy_ctx_t *ctx, const idle_t *s, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (int k = 0; k < KINDS; k++) {
        uint64_t due = s->since[k] + s->ms[k];
        if (is_on(s, k) && due < next) next = due;
    }
    if (next < UINT64_MAX) cvy_ctx_timer(ctx, next > now ? (int64_t)(next - now) : 1);
}

static void idle_timer(cvy_ctx_t *ctx)
{
    idle_t *s = cvy_ctx_state(ctx);
    uint64_t now = cvy_loop_now(cvy_ctx_loop(ctx));
    bool due[KINDS];
    if (cvy_transport_suspended(cvy_ctx_transport(ctx)))
        restart_reading(ctx, s);
    else
        look(ctx, s);
    for (int k = 0; k < KINDS; k++) {
        due[k] = is_on(s, k) && now >= s->since[k] + s->ms[k];
        if (due[k]) s->since[k] = now;
    }
    arm(ctx, s, now);
    for (int k = 0; k < KINDS; k++) {
        if (!due[k]) continue;
        cvy_idle_t ev = { CVY_EVENT_OF(cvy_idle), (cvy_idle_kind_t)k, !s->again[k], ctx };
        s->again[k] = true;
        int stop = cvy_fire_inbound(ctx, &ev.event);
        if (stop == UV_EPIPE || stop == UV_ECANCELED) return;
    }
}

static int idle_active(cvy_ctx_t *ctx)
{
    idle_t *s = cvy_ctx_state(ctx);
    uint64_t now = cvy_loop_now(cvy_ctx_loop(ctx));
    for (int k = 0; k < KINDS; k++)
        s->since[k] = now;
    arm(ctx, s, now);
    return 0;
}

static void idle_resume(cvy_ctx_t *ctx)
{
    restart_reading(ctx, cvy_ctx_state(ctx));
}

static int idle_read_closed(cvy_ctx_t *ctx)
{
    idle_t *s = cvy_ctx_state(ctx);
    s->read_closed = true;
    return 0;
}

static int idle_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_idle_opts_t defaults;
    const cvy_idle_opts_t *o = opts ? opts : &defaults;
    idle_t *s = cvy_ctx_state(ctx);
    int err = cvy__opt_ms(&s->ms[CVY_IDLE_READ], o->read_ms, 0);
    if (!err) err = cvy__opt_ms(&s->ms[CVY_IDLE_WRITE], o->write_ms, 0);
    if (!err) err = cvy__opt_ms(&s->ms[CVY_IDLE_ALL], o->all_ms, 0);
    return err;
}

const cvy_stage_t cvy_idle_stage = {
    .name = "idle",
    .state_size = sizeof(idle_t),
    .on_added = idle_added,
    .on_timer = idle_timer,
    .on_active = idle_active,
    .on_read_closed = idle_read_closed,
    .on_inbound_resume = idle_resume,
};

int cvy_idle_add(cvy_conveyor_t *c, const cvy_idle_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_idle_stage, opts, NULL);
}
