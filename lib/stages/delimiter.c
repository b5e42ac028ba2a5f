/*
 * Delimiters. One pass over the bytes looks for the last byte of any delimiter; only there the bytes before it are compared. So each
 * byte is looked at once, however many delimiters there are and however the stream was cut, and one that straddles a cut is found.
 *
 * The pass goes by windows, each with the bytes before it that a delimiter may begin in: what is held is walked to once per window,
 * also where every byte could be a last one.
 */
#include <string.h>

#include <conveyor/delimiter.h>
#include <uv.h>

#include "stages/decoder.h"
#include "stages/options.h"

#define MAX_FRAME    65536 /* as for lines */
#define FIRST_WINDOW 64    /* most frames are short */
#define WINDOW       512

typedef struct delimiter {
    cvy__decoder_t decoder; /* first */
    uint64_t max_frame;
    size_t seen; /* no delimiter ends within so many bytes */
    uint8_t count;
    uint8_t longest;
    bool keep_end, append;
    uint8_t length[CVY_DELIMITERS_MAX];
    uint8_t last[CVY_DELIMITERS_MAX]; /* byte of each */
    uint8_t bytes[CVY_DELIMITERS_MAX][CVY_DELIMITER_BYTES_MAX];
} delimiter_t;

/* The length of the longest delimiter that ends where these n bytes end; 0: none does. */
static size_t match(const delimiter_t *s, const uint8_t *bytes, size_t n)
{
    size_t best = 0;
    for (size_t k = 0; k < s->count; k++) {
        size_t len = s->length[k];
        if (s->last[k] == bytes[n - 1] && len > best && len <= n && memcmp(bytes + n - len, s->bytes[k], len) == 0)
            best = len;
    }
    return best;
}

/* Finds the first delimiter that ends behind s->seen; *at: where it ends. Returns its length; 0: there is none. */
static size_t find(const delimiter_t *s, size_t *at)
{
    uint8_t window[CVY_DELIMITER_BYTES_MAX + WINDOW];
    size_t n, ask = FIRST_WINDOW;
    for (size_t from = s->seen; from < cvy_buf_len(&s->decoder.held); from += n, ask = WINDOW) {
        size_t back = from < s->longest ? from : s->longest;
        n = cvy_buf_peek_at(&s->decoder.held, from - back, window, back + ask) - back;
        for (size_t i = back + 1; i <= back + n; i++) {
            size_t end = match(s, window, i);
            *at = from - back + i;
            if (end) return end;
        }
    }
    return 0;
}

static int delimiter_cut(delimiter_t *s, size_t n, size_t end, cvy__cut_t *cut, cvy__fault_t *fault)
{
    if (n > s->max_frame) {
        *fault = (cvy__fault_t){ "frame longer than max_frame", n, s->max_frame };
        return UV_EMSGSIZE;
    }
    *cut = (cvy__cut_t){ n + end, 0, s->keep_end ? 0 : end };
    s->seen = 0;
    return 0;
}

static int delimiter_next(cvy__decoder_t *d, cvy__cut_t *cut, cvy__fault_t *fault)
{
    delimiter_t *s = (delimiter_t *)d;
    size_t at, end = find(s, &at);
    if (end) return delimiter_cut(s, at - end, end, cut, fault);
    s->seen = cvy_buf_len(&d->held);
    /* With so many bytes and no end, none that may still come begins early enough. */
    d->need = s->max_frame < UINT64_MAX - s->longest ? s->max_frame + s->longest : UINT64_MAX;
    if (s->seen < d->need) return UV_EAGAIN;
    *fault = (cvy__fault_t){ "frame longer than max_frame", s->seen, s->max_frame };
    return UV_EMSGSIZE;
}

static bool delimiter_ends(const cvy__decoder_t *d, const cvy_buf_t *in)
{
    const delimiter_t *s = (const delimiter_t *)d;
    size_t at;
    uint8_t which;
    return cvy__find_any(in, 0, s->last, s->count, &at, &which);
}

static const cvy__decoder_ops_t delimiter_ops = { .next = delimiter_next, .ends = delimiter_ends };

static void delimiter_outbound(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    delimiter_t *s = cvy_ctx_state(ctx);
    if (s->append && cvy_buf_append(out, s->bytes[0], s->length[0]))
        cvy_ctx_fail(ctx, UV_ENOMEM, "no memory for a delimiter");
    else
        cvy_fire_outbound_bytes(ctx, out);
}

/* Errors: UV_EINVAL. */
static int copy_delimiters(delimiter_t *s, const cvy_delimiter_t *from, size_t count)
{
    if (count > CVY_DELIMITERS_MAX) return UV_EINVAL;
    for (size_t k = 0; k < count; k++) {
        if (!from[k].n || from[k].n > CVY_DELIMITER_BYTES_MAX) return UV_EINVAL;
        memcpy(s->bytes[k], from[k].bytes, from[k].n);
        s->length[k] = (uint8_t)from[k].n;
        s->last[k] = s->bytes[k][from[k].n - 1];
        if (s->longest < from[k].n) s->longest = (uint8_t)from[k].n;
    }
    s->count = (uint8_t)count;
    return 0;
}

static int delimiter_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_delimiter_opts_t defaults;
    static const cvy_delimiter_t nul = { "", 1 };
    const cvy_delimiter_opts_t *o = opts ? opts : &defaults;
    delimiter_t *s = cvy_ctx_state(ctx);
    int err = o->count ? copy_delimiters(s, o->delimiters, o->count) : copy_delimiters(s, &nul, 1);
    s->keep_end = o->keep_end == 1;
    s->append = o->append_outbound == 1;
    if (!err) err = cvy__opt_limit(&s->max_frame, o->max_frame, MAX_FRAME, INT64_MAX);
    return err ? err : cvy__decoder_init(ctx, &delimiter_ops, o->deadline_ms);
}

const cvy_stage_t cvy_delimiter_stage = {
    .name = "delimiter",
    .state_size = sizeof(delimiter_t),
    .on_added = delimiter_added,
    .on_outbound_bytes = delimiter_outbound,
    CVY__DECODER_SLOTS,
};

int cvy_delimiter_add(cvy_conveyor_t *c, const cvy_delimiter_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_delimiter_stage, opts, NULL);
}
