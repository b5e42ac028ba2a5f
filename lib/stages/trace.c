/*
 * Trace: one line per event, "<-" inbound and "->" outbound, and for bytes one line per 16 of them: offset, hex, ASCII. It has a
 * slot for everything, so nothing passes unseen, and fires on what does not walk by itself.
 */
#include <inttypes.h>
#include <string.h>

#include <conveyor/trace.h>
#include <conveyor/transport.h>
#include <uv.h>

#include "base/log.h"
#include "stages/options.h"

#define NAME_BYTES 32
#define DUMP_BYTES 64
#define ROW        ((size_t)16)

typedef struct trace {
    char name[NAME_BYTES];
    uint64_t dump_bytes;
    cvy_log_level_t level;
} trace_t;

static const char in_mark[] = "<-", out_mark[] = "->";

static void say(cvy_ctx_t *ctx, const char *mark, const char *what)
{
    const trace_t *t = cvy_ctx_state(ctx);
    cvy__log(t->level, "%s %s %s", t->name, mark, what);
}

/* "68 65 6c ...  |hel...|" */
static void format_row(char *hex, char *ascii, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    memset(hex, ' ', ROW * 3);
    for (size_t i = 0; i < n; i++) {
        hex[3 * i] = digits[bytes[i] >> 4];
        hex[3 * i + 1] = digits[bytes[i] & 15];
        ascii[i] = (char)(bytes[i] >= 32 && bytes[i] < 127 ? bytes[i] : '.');
    }
    hex[ROW * 3] = '\0';
    ascii[n] = '\0';
}

static void dump(const trace_t *t, const cvy_buf_t *b)
{
    char hex[ROW * 3 + 1], ascii[ROW + 1];
    uint8_t row[ROW];
    size_t len = cvy_buf_len(b), end = len < t->dump_bytes ? len : (size_t)t->dump_bytes;
    for (size_t at = 0, n; at < end; at += n) {
        n = cvy_buf_peek_at(b, at, row, end - at < ROW ? end - at : ROW);
        format_row(hex, ascii, row, n);
        cvy__log(t->level, "%s %6zu  %s |%s|", t->name, at, hex, ascii);
    }
    if (end && end < len) cvy__log(t->level, "%s        ... %zu more", t->name, len - end);
}

static void say_bytes(cvy_ctx_t *ctx, const char *mark, const cvy_buf_t *b)
{
    const trace_t *t = cvy_ctx_state(ctx);
    cvy__log(t->level, "%s %s bytes %zu", t->name, mark, cvy_buf_len(b));
    dump(t, b);
}

static void on_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    say_bytes(ctx, in_mark, in);
    cvy_fire_inbound_bytes(ctx, in);
}

static void on_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    say_bytes(ctx, out_mark, out);
    cvy_fire_outbound_bytes(ctx, out);
}

static int on_active(cvy_ctx_t *ctx)
{
    const trace_t *t = cvy_ctx_state(ctx);
    const cvy_transport_t *tr = cvy_ctx_transport(ctx);
    cvy__log(t->level, "%s %s active %s %s to %s", t->name, in_mark, cvy_transport_kind(tr),
             cvy_transport_self_endpoint(tr), cvy_transport_other_endpoint(tr));
    return 0;
}

static void on_read_complete(cvy_ctx_t *ctx)
{
    say(ctx, in_mark, "read-complete");
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    say(ctx, in_mark, "read-closed");
    return 0;
}

static void on_outbound_suspend(cvy_ctx_t *ctx)
{
    say(ctx, in_mark, "outbound-suspend");
}

static void on_outbound_resume(cvy_ctx_t *ctx)
{
    say(ctx, in_mark, "outbound-resume");
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    const trace_t *t = cvy_ctx_state(ctx);
    char text[256];
    cvy_error_format(text, sizeof text, err);
    cvy__log(t->level, "%s %s error %s", t->name, in_mark, text);
    cvy_fire_error(ctx, err);
}

static void on_inactive(cvy_ctx_t *ctx)
{
    say(ctx, in_mark, "inactive");
}

static void on_outbound_flush(cvy_ctx_t *ctx)
{
    say(ctx, out_mark, "outbound-flush");
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    say(ctx, out_mark, "inbound-resume");
}

static void on_outbound_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    static const char *const verbs[] = { "graceful", "now", "reset" };
    const trace_t *t = cvy_ctx_state(ctx);
    cvy__log(t->level, "%s %s outbound-close %s%s%s", t->name, out_mark, verbs[how->verb], how->err ? " " : "",
             how->err ? uv_err_name(how->err) : "");
    cvy_fire_outbound_close(ctx, how);
}

/* User events; and built-in ones without a slot, should there be some one day: firing those on does nothing. */
static void on_inbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    say(ctx, in_mark, ev->type->name);
    cvy_fire_inbound(ctx, ev);
}

static void on_outbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    say(ctx, out_mark, ev->type->name);
    cvy_fire_outbound(ctx, ev);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_trace_opts_t defaults;
    const cvy_trace_opts_t *o = opts ? opts : &defaults;
    trace_t *t = cvy_ctx_state(ctx);
    if (o->dump_bytes < CVY_OFF || (unsigned)o->level > CVY_LOG_ERROR) return UV_EINVAL;
    strncpy(t->name, o->name ? o->name : "trace", NAME_BYTES - 1); /* the state is zeroed: it ends with a zero */
    t->dump_bytes = o->dump_bytes == CVY_OFF ? 0 : o->dump_bytes ? (uint64_t)o->dump_bytes : DUMP_BYTES;
    t->level = o->level;
    say(ctx, "--", "added");
    return 0;
}

static void on_removed(cvy_ctx_t *ctx)
{
    say(ctx, "--", "removed");
}

const cvy_stage_t cvy_trace_stage = {
    .name = "trace",
    .state_size = sizeof(trace_t),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_active = on_active,
    .on_inbound_bytes = on_inbound_bytes,
    .on_read_complete = on_read_complete,
    .on_read_closed = on_read_closed,
    .on_outbound_suspend = on_outbound_suspend,
    .on_outbound_resume = on_outbound_resume,
    .on_error = on_error,
    .on_inactive = on_inactive,
    .on_outbound_bytes = on_outbound_bytes,
    .on_outbound_flush = on_outbound_flush,
    .on_inbound_resume = on_inbound_resume,
    .on_outbound_close = on_outbound_close,
    .on_inbound = on_inbound,
    .on_outbound = on_outbound,
};

int cvy_trace_add(cvy_conveyor_t *c, const cvy_trace_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_trace_stage, opts, NULL);
}
