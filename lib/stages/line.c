/*
 * Lines. What was searched is not searched again: `seen` bytes of the line that has begun hold no end.
 *
 * How the stream was cut must not show. So a "\r" at the end of what is there ends a line at once only where a "\n" after it
 * can be dropped later (CVY_LONE_CR_ENDS); where a lone one is an error it waits for the next byte.
 */
#include <conveyor/line.h>
#include <uv.h>

#include "stages/decoder.h"
#include "stages/options.h"

#define MAX_LINE 65536 /* Redis, PROTO_INLINE_MAX_SIZE */

typedef struct line {
    cvy__decoder_t decoder; /* first */
    uint64_t max_line;
    size_t seen;
    uint8_t lone_cr;
    uint8_t outbound;
    bool keep_end;
    bool drop_lf; /* the "\r" in front of it has ended a line */
} line_t;

static uint8_t byte_at(const cvy_buf_t *b, size_t at)
{
    uint8_t byte = 0;
    cvy_buf_peek_at(b, at, &byte, 1);
    return byte;
}

static int too_long(const line_t *l, size_t n, cvy__fault_t *fault)
{
    *fault = (cvy__fault_t){ "line longer than max_line", n, l->max_line };
    return UV_EMSGSIZE;
}

/* A line of n bytes and its end of so many. */
static int line_cut(line_t *l, size_t n, size_t end, cvy__cut_t *cut, cvy__fault_t *fault)
{
    if (n > l->max_line) return too_long(l, n, fault);
    *cut = (cvy__cut_t){ n + end, 0, l->keep_end ? 0 : end };
    l->seen = 0;
    return 0;
}

/* No end among what is there. */
static int line_more(line_t *l, cvy__fault_t *fault)
{
    const cvy_buf_t *b = &l->decoder.held;
    size_t n = cvy_buf_len(b);
    l->decoder.need = l->max_line < UINT64_MAX ? l->max_line + 1 : UINT64_MAX;
    l->seen = n;
    if (n && byte_at(b, n - 1) == '\r') n--; /* may belong to the end */
    return n <= l->max_line ? UV_EAGAIN : too_long(l, n, fault);
}

static int next_lf(line_t *l, cvy__cut_t *cut, cvy__fault_t *fault)
{
    const cvy_buf_t *b = &l->decoder.held;
    size_t at;
    if (cvy_buf_find_byte(b, l->seen, '\n', &at)) return line_more(l, fault);
    bool cr = at > 0 && byte_at(b, at - 1) == '\r';
    return line_cut(l, at - cr, 1u + cr, cut, fault);
}

static const uint8_t cr_lf[] = { '\r', '\n' };

static int next_cr_or_lf(line_t *l, cvy__cut_t *cut, cvy__fault_t *fault)
{
    cvy_buf_t *b = &l->decoder.held;
    size_t at;
    uint8_t which;
    if (l->drop_lf && cvy_buf_len(b)) {
        l->drop_lf = false;
        if (byte_at(b, 0) == '\n') cvy_buf_advance(b, 1);
    }
    if (!cvy__find_any(b, l->seen, cr_lf, sizeof cr_lf, &at, &which)) return line_more(l, fault);
    if (which == '\n') return line_cut(l, at, 1, cut, fault);
    bool last = at + 1 == cvy_buf_len(b);
    if (!last && byte_at(b, at + 1) == '\n') return line_cut(l, at, 2, cut, fault);
    if (l->lone_cr == CVY_LONE_CR_ENDS) {
        l->drop_lf = last;
        return line_cut(l, at, 1, cut, fault);
    }
    if (at > l->max_line) return too_long(l, at, fault);
    if (!last) {
        fault->detail = "carriage return without a line feed";
        return UV_EPROTO;
    }
    l->seen = at;
    l->decoder.need = at + 2;
    return UV_EAGAIN;
}

static int line_next(cvy__decoder_t *d, cvy__cut_t *cut, cvy__fault_t *fault)
{
    line_t *l = (line_t *)d;
    return l->lone_cr == CVY_LONE_CR_CONTENT ? next_lf(l, cut, fault) : next_cr_or_lf(l, cut, fault);
}

static bool line_ends(const cvy__decoder_t *d, const cvy_buf_t *in)
{
    const line_t *l = (const line_t *)d;
    size_t at;
    uint8_t which;
    if (l->lone_cr == CVY_LONE_CR_CONTENT) return cvy_buf_find_byte(in, 0, '\n', &at) == 0;
    return cvy__find_any(in, 0, cr_lf, sizeof cr_lf, &at, &which);
}

static const cvy__decoder_ops_t line_ops = { .next = line_next, .ends = line_ends };

static void line_outbound(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    line_t *l = cvy_ctx_state(ctx);
    int err = 0;
    if (l->outbound == CVY_LINE_END_LF) err = cvy_buf_append(out, "\n", 1);
    if (l->outbound == CVY_LINE_END_CRLF) err = cvy_buf_append(out, "\r\n", 2);
    if (err)
        cvy_ctx_fail(ctx, err, "no memory for a line end");
    else
        cvy_fire_outbound_bytes(ctx, out);
}

static int line_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_line_opts_t defaults;
    const cvy_line_opts_t *o = opts ? opts : &defaults;
    line_t *l = cvy_ctx_state(ctx);
    if ((unsigned)o->lone_cr > CVY_LONE_CR_FAILS || (unsigned)o->outbound > CVY_LINE_END_CRLF) return UV_EINVAL;
    l->lone_cr = (uint8_t)o->lone_cr;
    l->outbound = (uint8_t)o->outbound;
    l->keep_end = o->keep_end == 1;
    if (l->keep_end && l->lone_cr == CVY_LONE_CR_ENDS) return UV_EINVAL;
    int err = cvy__opt_limit(&l->max_line, o->max_line, MAX_LINE, INT64_MAX);
    return err ? err : cvy__decoder_init(ctx, &line_ops, o->deadline_ms);
}

const cvy_stage_t cvy_line_stage = {
    .name = "line",
    .state_size = sizeof(line_t),
    .on_added = line_added,
    .on_outbound_bytes = line_outbound,
    CVY__DECODER_SLOTS,
};

int cvy_line_add(cvy_conveyor_t *c, const cvy_line_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_line_stage, opts, NULL);
}
