/*
 * Two stages always stand: `tap` next to HEAD and `sink` next to TAIL see what passes and hold the oracle; between them holders, passers
 * and catchers come and go. Every callback may do any operation.
 */
#include <stdlib.h>

#include "inner.h"

state_t *of(cvy_ctx_t *ctx)
{
    return cvy_ctx_state(ctx);
}

const char *drive_who(cvy_ctx_t *ctx)
{
    return ctx ? cvy_ctx_stage(ctx)->name : "application";
}

/* Before every event but added and removed. */
static state_t *alive(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    must(!s->removed && !s->inactive);
    return s;
}

/* Common to all */

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    state_t *s = of(ctx);
    cvy_buf_init(&s->in, cvy_ctx_pool(ctx));
    cvy_buf_init(&s->out, cvy_ctx_pool(ctx));
    s->slot = opts ? *(const int *)opts : -1;
    if (s->slot >= 0) d.stages[s->slot] = ctx;
    d.added++;
    drive_inside(ctx, "added");
    return 0;
}

static void on_removed(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    must(!s->removed);
    s->removed = true;
    must(!d.ended);
    if (s->slot >= 0 && d.stages[s->slot] == ctx) d.stages[s->slot] = NULL;
    if (cvy_buf_len(&s->in)) cvy_fire_inbound_bytes(ctx, &s->in);
    if (cvy_buf_len(&s->out)) cvy_fire_outbound_bytes(ctx, &s->out);
    cvy_buf_fini(&s->in);
    cvy_buf_fini(&s->out);
    d.removed++;
    drive_inside(NULL, "removed");
}

static void on_timer(cvy_ctx_t *ctx)
{
    must(!of(ctx)->removed);
    drive_inside(ctx, "timer");
}

static int on_active(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(!s->active);
    must(!cvy_transport_closing(d.t));
    s->active = true;
    drive_inside(ctx, "active");
    return 0;
}

static void on_inactive(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(s->active);
    must(d.t->phase == CVY__CLOSED);
    must(d.tickets_done == d.tickets_made);
    s->inactive = true;
    if (ctx == d.tap) d.tap_inactive = true;
    drive_inside(ctx, "inactive");
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    must(!s->read_closed);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t) && (d.peer_ended || d.sabotaged));
    must(ctx != d.tap || d.arrived == d.fed.len || d.sabotaged);
    s->read_closed = true;
    drive_inside(ctx, "read-closed");
    s->holds_closed = cvy_buf_len(&s->in) && !s->removed;
    return s->holds_closed ? UV_EAGAIN : 0;
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    alive(ctx);
    must(err->code < 0 && err->stage);
    if (d.t->phase == CVY__CLOSED) check_cause(err->code);
    drive_inside(ctx, "error");
    if (next(1) % 3) cvy_fire_error(ctx, err);
}

static void on_outbound_suspend(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(!d.suspended);
        must(!d.resumed || d.loop->turns + 1 > d.resumed);
        d.suspended = true;
    }
    drive_inside(ctx, "outbound-suspend");
}

static void on_outbound_resume(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(d.suspended);
        d.suspended = false;
        d.resumed = d.loop->turns + 1;
    }
    drive_inside(ctx, "outbound-resume");
}

static void drain(cvy_ctx_t *ctx)
{
    state_t *s = of(ctx);
    while (cvy_buf_len(&s->in) && !cvy_ctx_stopped(ctx)) {
        cvy_buf_t some = CVY_BUF_INIT;
        size_t n = 1 + next(1) % 200;
        if (n >= cvy_buf_len(&s->in) || cvy_buf_move(&some, &s->in, n)) cvy_buf_take(&some, &s->in);
        if (cvy_fire_inbound_bytes(ctx, &some)) break;
    }
    if (s->holds_closed && !cvy_buf_len(&s->in)) {
        s->holds_closed = false;
        cvy_ctx_read_closed_next(ctx);
    }
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t));
    drain(ctx);
    drive_inside(ctx, "inbound-resume");
}

static void on_read_complete(cvy_ctx_t *ctx)
{
    alive(ctx);
    must(of(ctx)->active && !cvy_transport_closing(d.t));
    if (ctx == d.tap) {
        must(d.arrived > d.completed_at); /* a system may read twice in a turn, and then it comes twice */
        must(d.completed != d.loop->turns + 1 || !d.io->simulated);
        d.completed = d.loop->turns + 1;
        d.completed_at = d.arrived;
    }
    drive_inside(ctx, "read-complete");
}

/* tap */

static void tap_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    state_t *s = alive(ctx);
    size_t n = cvy_buf_len(in);
    must(n);
    must(s->active && !s->read_closed);
    must(!cvy_transport_suspended(d.t) && !cvy_transport_closing(d.t));
    must(d.t->read_state == CVY_READ_READING);
    must(n <= d.fed.len - d.arrived && cvy_buf_equal(in, d.fed.data + d.arrived, n));
    d.arrived += n;
    drive_inside(ctx, "bytes");
    cvy_fire_inbound_bytes(ctx, in);
}

/* To the oracle first: queueing may send. */
static void tap_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    uint64_t before = position();
    size_t n = cvy_buf_len(out);
    uint8_t *raw = malloc(n + 1);
    must(raw && cvy_buf_peek(out, raw, n) == n);
    bool takes =
        !cvy_transport_closing(d.t) && !d.t->shut_asked && (d.t->admitted || d.t->out.len <= d.t->opts->limits.hard);
    if (takes) keep(&d.accepted, raw, n);
    free(raw);
    cvy_fire_outbound_bytes(ctx, out);
    must(d.t->phase == CVY__CLOSED || position() - before == (takes ? n : 0));
    drive_inside(ctx, "outbound-bytes");
}

/* sink */

static void sink_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    state_t *s = of(ctx);
    size_t n = cvy_buf_len(in);
    must(!s->inactive && !s->read_closed);
    must(n <= d.fed.len - d.consumed && cvy_buf_equal(in, d.fed.data + d.consumed, n));
    d.consumed += n;
    drive_inside(ctx, "bytes");
}

/* What comes and goes. A holder keeps outbound bytes until the flush, inbound ones while it is stopped. */

static void hold_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    alive(ctx);
    cvy_buf_append_buf(&of(ctx)->in, in);
    drive_inside(ctx, "bytes");
    if (!of(ctx)->removed) drain(ctx);
}

static void hold_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_buf_append_buf(&of(ctx)->out, out);
    drive_inside(ctx, "outbound-bytes");
}

static void release(cvy_ctx_t *ctx)
{
    state_t *s = alive(ctx);
    if (cvy_buf_len(&s->out)) cvy_fire_outbound_bytes(ctx, &s->out);
    drive_inside(ctx, "flush");
}

static void hold_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    state_t *s = alive(ctx);
    if (cvy_buf_len(&s->out)) cvy_fire_outbound_bytes(ctx, &s->out);
    cvy_fire_outbound_close(ctx, how);
    drive_inside(ctx, "close");
}

static void pass_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    alive(ctx);
    cvy_fire_inbound_bytes(ctx, in);
    drive_inside(ctx, "bytes");
}

static void pass_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_fire_outbound_bytes(ctx, out);
    drive_inside(ctx, "outbound-bytes");
}

static void catch_in(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    must(!of(ctx)->removed);
    cvy_fire_inbound(ctx, ev);
    drive_inside(ctx, "inbound");
}

static void catch_out(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    must(!of(ctx)->removed);
    cvy_fire_outbound(ctx, ev);
    drive_inside(ctx, "outbound");
}

static int refuse(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    drive_inside(ctx, "refusing");
    return UV_EINVAL;
}

/* It was never added. */
static void never(cvy_ctx_t *ctx)
{
    must(!ctx);
}

#define COMMON                                                                                           \
    .state_size = sizeof(state_t), .on_added = on_added, .on_removed = on_removed, .on_timer = on_timer, \
    .on_active = on_active, .on_inactive = on_inactive, .on_read_closed = on_read_closed,                \
    .on_outbound_suspend = on_outbound_suspend, .on_outbound_resume = on_outbound_resume, .on_error = on_error

const cvy_stage_t drive_stage_tap = { .name = "tap",
                                      COMMON,
                                      .on_inbound_bytes = tap_in,
                                      .on_outbound_bytes = tap_out,
                                      .on_inbound_resume = on_inbound_resume,
                                      .on_read_complete = on_read_complete };
const cvy_stage_t drive_stage_sink = { .name = "sink", COMMON, .on_inbound_bytes = sink_in };
const cvy_stage_t drive_stage_holder = { .name = "holder",
                                         COMMON,
                                         .on_inbound_bytes = hold_in,
                                         .on_outbound_bytes = hold_out,
                                         .on_inbound_resume = on_inbound_resume,
                                         .on_outbound_flush = release,
                                         .on_outbound_close = hold_close };
const cvy_stage_t drive_stage_passer = {
    .name = "passer", COMMON, .on_inbound_bytes = pass_in, .on_outbound_bytes = pass_out
};
const cvy_stage_t drive_stage_catcher = { .name = "catcher",
                                          .state_size = sizeof(state_t),
                                          .on_added = on_added,
                                          .on_removed = on_removed,
                                          .on_timer = on_timer,
                                          .on_inbound = catch_in,
                                          .on_outbound = catch_out };
const cvy_stage_t drive_stage_refuser = {
    .name = "refuser", .state_size = sizeof(state_t), .on_added = refuse, .on_timer = never, .on_removed = never
};

/* The application */

static void on_writable(cvy_transport_t *t, bool writable, void *arg)
{
    (void)arg;
    must(!cvy_transport_closing(t) && writable == d.told_no);
    d.told_no = !writable;
    drive_inside(NULL, writable ? "writable" : "not writable");
}

static void on_flush_completed(cvy_transport_t *t, void *arg)
{
    (void)arg;
    must(t == d.t && !cvy_transport_queued(t));
    drive_inside(NULL, "flush completed");
}

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    (void)arg;
    must(t == d.t && !d.ended && cause <= 0);
    must(d.tickets_done == d.tickets_made);
    must(d.added == d.removed);
    trace_event("application", "end");
    look();
    d.ended = true;
}

void drive_watch(cvy_transport_t *t)
{
    cvy_transport_on_shutdown_completed(t, on_end, NULL);
    cvy_transport_on_writable_state_changed(t, on_writable, NULL);
    cvy_transport_on_flush_completed(t, on_flush_completed, NULL);
}

int drive_init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    d.c = c;
    d.t = cvy_conveyor_transport(c);
    drive_watch(d.t);
    int inside = d.inside;
    d.inside = MAX_INSIDE; /* nothing happens before both stand */
    int err = cvy_conveyor_add_last(c, &drive_stage_tap, NULL, &d.tap);
    if (!err) err = cvy_conveyor_add_last(c, &drive_stage_sink, NULL, &d.sink);
    d.inside = inside;
    if (!err && d.io->simulated) drive_inside(NULL, "init"); /* adopting a socket would answer for what it did */
    return err;
}
