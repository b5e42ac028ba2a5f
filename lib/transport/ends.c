/*
 * HEAD and TAIL: the one place where transport and conveyor meet. HEAD's slots turn the last outbound events into calls of the transport. What no
 * stage took ends in TAIL's: bytes are counted and dropped, an error closes, everything else passes silently. The owner's table is
 * what the conveyor asks where no event says it.
 */
#include <uv.h>

#include "base/log.h"
#include "transport/transport.h"

static cvy_transport_t *of(cvy_ctx_t *ctx)
{
    return CVY__OF(ctx->conveyor, cvy_transport_t, conveyor);
}

static void queue(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    cvy__transport_queue_fired(of(ctx), out);
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

static void drop(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    static const char detail[] = "bytes reached TAIL: no stage took them";
    cvy_transport_t *t = of(ctx);
    if (!cvy_buf_len(in)) return;
    cvy__extra_t *e = cvy__transport_extra_or_close(t);
    if (e) e->bytes_dropped += cvy_buf_len(in);
    if (!t->tail_logged)
        cvy__log(CVY_LOG_WARN, "transport %s: %s (%zu bytes); said once", cvy_transport_other_endpoint(t), detail,
                 cvy_buf_len(in));
    t->tail_logged = true;
    if (t->opts->limits.strict_tail) cvy__transport_close_with(t, t->opts->limits.error_verb, UV_EPROTO, true);
}

static void failed(cvy_transport_t *t, const cvy_error_t *err)
{
    cvy__transport_close_with(t, t->opts->limits.error_verb, err->code, false);
}

static void close_for_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    failed(of(ctx), err);
}

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

static void writable(cvy_transport_t *t, bool is_writable)
{
    const cvy__extra_t *e = t->extra;
    if (e && e->on_writable) e->on_writable(t, is_writable, e->on_writable_arg);
}

const cvy__owner_t cvy__transport_owner = {
    .ends = {
        .name = "the conveyor's ends",
        .on_outbound_bytes = queue,
        .on_outbound_flush = flush,
        .on_inbound_resume = resume,
        .on_outbound_close = close_transport,
        .on_inbound_bytes = drop,
        .on_error = close_for_error,
    },
    .inset = offsetof(cvy_transport_t, conveyor),
    .close = close_default,
    .failed = failed,
    .close_kept = cvy__transport_close_kept,
    .read_suspended = cvy__transport_read_suspended,
    .dirty = cvy__transport_dirty,
    .active_begun = cvy__transport_active_begun,
    .reads_over = cvy__transport_reads_over,
    .relieve = cvy__transport_flush_now,
    .settle = cvy__transport_settle,
    .writable = writable,
};
