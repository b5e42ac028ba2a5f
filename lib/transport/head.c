/*
 * HEAD: the one place where transport and conveyor meet. Its stage table turns the last outbound events into calls of the transport;
 * the owner's table is what the conveyor asks back.
 */
#include <uv.h>

#include "base/log.h"
#include "transport/transport.h"

static cvy_transport_t *of(cvy_ctx_t *ctx)
{
    return ctx->conveyor->transport;
}

/* Bytes that pass the hard limit here would leave a hole in the stream if they were dropped alone. */
static void queue(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy_transport_t *t = of(ctx);
    if (t->shut_asked) return; /* our side has ended; who fires sees it by the state, the bytes are disposed of */
    if (!t->admitted &&
        t->out.len > t->opts->limits.hard) /* posts on their way are no reason: they were admitted beside it */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOBUFS, true);
    else
        cvy__transport_queue(t, out);
}

static void flush(cvy_ctx_t *ctx)
{
    cvy__transport_flush_now(of(ctx));
}

static void resume(cvy_ctx_t *ctx)
{
    cvy__transport_update_reading(of(ctx));
}

static void close_transport(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    cvy__transport_close_with(of(ctx), how->verb, how->err, false);
}

const cvy_stage_t cvy__head_stage = {
    .name = "HEAD",
    .on_outbound_bytes = queue,
    .on_outbound_flush = flush,
    .on_inbound_resume = resume,
    .on_outbound_close = close_transport,
};

/* A stage gave up (failed active), or the end of the peer's stream reached TAIL. */
static void close_default(cvy_transport_t *t, const cvy_close_t *how, bool read_closed)
{
    if (!read_closed)
        cvy__transport_close_with(t, how->verb, how->err, false);
    else if (!t->opts->limits.allow_half_close)
        cvy_transport_shutdown(t, 0);
    else if (t->write_state == CVY_WRITE_SHUT)
        cvy__transport_close_with(t, CVY_CLOSE_GRACEFUL, 0, false);
}

static void failed(cvy_transport_t *t, const cvy_error_t *err)
{
    cvy__transport_close_with(t, t->opts->limits.error_verb, err->code, false);
}

static void dropped(cvy_transport_t *t, size_t n)
{
    static const char detail[] = "bytes reached TAIL: no stage took them";
    t->stats.bytes_dropped += n;
    if (!t->tail_logged)
        cvy__log(CVY_LOG_WARN, "transport %s: %s (%zu bytes); said once", cvy_transport_other_endpoint(t), detail, n);
    t->tail_logged = true;
    if (t->opts->limits.strict_tail) cvy__transport_close_with(t, t->opts->limits.error_verb, UV_EPROTO, true);
}

static void writable(cvy_transport_t *t, bool is_writable)
{
    if (t->on_writable) t->on_writable(t, is_writable, t->on_writable_arg);
}

const cvy__owner_t cvy__transport_owner = {
    .close = close_default,
    .failed = failed,
    .read_suspended = cvy__transport_read_suspended,
    .dirty = cvy__transport_dirty,
    .active_begun = cvy__transport_active_begun,
    .relieve = cvy__transport_flush_now,
    .settle = cvy__transport_settle,
    .dropped = dropped,
    .writable = writable,
};
