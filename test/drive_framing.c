/*
 * The framing stages' drivers. Each oracle reads the frames off the whole stream at once, in the words of the stage's header:
 * plain arithmetic in 128 bits or a scan, nothing remembered from one call to the next.
 */
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "drive_parsers.h"
#include "drive_stage.h"

/* Fixed */

static void fixed_oracle(drive_stage_t *s, size_t length)
{
    size_t at = 0;
    for (; s->n - at >= length; at += length) {
        drive_stage_span(s, at, length);
        drive_stage_frame(s, at + length);
    }
    s->error = at < s->n ? UV_EPROTO : 0;
}

void drive_fixed(const uint8_t *data, size_t n)
{
    if (n < 3) return;
    const cvy_fixed_opts_t o = { .bytes = data[0] < 200 ? 1 + data[0] % 40 : (data[0] - 199) * 40 };
    drive_stage_t s = {
        .stage = &cvy_fixed_stage, .opts = &o, .bytes = data + 3, .n = n - 3, .seed = data[1] | (uint32_t)data[2] << 8
    };
    fixed_oracle(&s, (size_t)o.bytes);
    DRIVE_CHECK(drive_stage_run(&s));
    drive_stage_fini(&s);
}

/* Lines */

/* Where the end of the line that begins at `at` stands, and its length (0: none). Answers an error code where the "\r" is one. */
static int line_end(const drive_stage_t *s, const cvy_line_opts_t *o, size_t at, size_t *end, size_t *length)
{
    const uint8_t *p = s->bytes;
    *length = 0;
    for (*end = at; *end < s->n; ++*end) {
        bool cr = p[*end] == '\r', lf_next = *end + 1 < s->n && p[*end + 1] == '\n';
        if (p[*end] == '\n') *length = 1;
        if (cr && lf_next) *length = 2;
        if (cr && !lf_next && o->lone_cr == CVY_LONE_CR_ENDS) *length = 1;
        if (*length) return 0;
        if (cr && o->lone_cr == CVY_LONE_CR_FAILS && *end + 1 < s->n) return UV_EPROTO;
    }
    return 0;
}

static void line_oracle(drive_stage_t *s, const cvy_line_opts_t *o)
{
    size_t end, length, at = 0;
    for (;; at = end + length) {
        int err = line_end(s, o, at, &end, &length);
        size_t line = end - at;
        if (!length && !err && line && s->bytes[end - 1] == '\r') line--; /* the end may have begun with it */
        if (line > (uint64_t)o->max_line)
            s->error = UV_EMSGSIZE;
        else if (err || (!length && at < s->n))
            s->error = UV_EPROTO;
        if (s->error || !length) return;
        drive_stage_span(s, at, o->keep_end ? line + length : line);
        drive_stage_frame(s, end + length);
    }
}

void drive_line(const uint8_t *data, size_t n)
{
    if (n < 4) return;
    const cvy_line_opts_t o = { .lone_cr = (cvy_lone_cr_t)(data[0] & 3),
                                .keep_end = data[0] >> 2 & 1,
                                .max_line = data[1] < 200 ? 1 + data[1] : (data[1] - 199) * 50 };
    drive_stage_t s = {
        .stage = &cvy_line_stage, .opts = &o, .bytes = data + 4, .n = n - 4, .seed = data[2] | (uint32_t)data[3] << 8
    };
    bool valid = o.lone_cr <= CVY_LONE_CR_FAILS && !(o.keep_end && o.lone_cr == CVY_LONE_CR_ENDS);
    s.drops_lf = o.lone_cr == CVY_LONE_CR_ENDS;
    if (valid) line_oracle(&s, &o);
    DRIVE_CHECK(drive_stage_run(&s) == valid);
    drive_stage_fini(&s);
}

/* Delimiters */

/* The longest delimiter that ends right before `at`, of those within the frame that begins at `from`. */
static size_t delimiter_before(const drive_stage_t *s, const cvy_delimiter_opts_t *o, size_t from, size_t at)
{
    size_t best = 0;
    for (size_t k = 0; k < o->count; k++) {
        size_t len = o->delimiters[k].n;
        if (len > best && len <= at - from && !memcmp(s->bytes + at - len, o->delimiters[k].bytes, len)) best = len;
    }
    return best;
}

static void delimiter_oracle(drive_stage_t *s, const cvy_delimiter_opts_t *o)
{
    size_t from = 0, longest = 0;
    for (size_t k = 0; k < o->count; k++)
        if (longest < o->delimiters[k].n) longest = o->delimiters[k].n;
    for (size_t at = 1; at <= s->n; at++) {
        size_t len = delimiter_before(s, o, from, at);
        if (!len) continue;
        if (at - len - from > (uint64_t)o->max_frame) s->error = UV_EMSGSIZE;
        if (s->error) return;
        drive_stage_span(s, from, at - from - (o->keep_end ? 0 : len));
        drive_stage_frame(s, at);
        from = at;
    }
    if (s->n - from >= (uint64_t)o->max_frame + longest)
        s->error = UV_EMSGSIZE;
    else if (s->n > from)
        s->error = UV_EPROTO;
}

void drive_delimiter(const uint8_t *data, size_t n)
{
    cvy_delimiter_t d[CVY_DELIMITERS_MAX];
    if (n < 4) return;
    const cvy_delimiter_opts_t o = { .delimiters = d,
                                     .count = 1 + (data[0] & 3),
                                     .keep_end = data[0] >> 2 & 1,
                                     .max_frame = data[1] < 200 ? 1 + data[1] : (data[1] - 199) * 50 };
    drive_stage_t s = { .stage = &cvy_delimiter_stage, .opts = &o, .seed = data[2] | (uint32_t)data[3] << 8 };
    data += 4;
    n -= 4;
    for (size_t k = 0; k < o.count; k++) {
        size_t len = n ? 1 + data[0] % CVY_DELIMITER_BYTES_MAX : 0;
        if (n < 1 + len) return;
        d[k] = (cvy_delimiter_t){ data + 1, len };
        data += 1 + len;
        n -= 1 + len;
    }
    s.bytes = data;
    s.n = n;
    delimiter_oracle(&s, &o);
    DRIVE_CHECK(drive_stage_run(&s));
    drive_stage_fini(&s);
}

/* Length fields */

typedef struct layout {
    cvy_frame_opts_t opts;
    bool valid;
    size_t width; /* 0: varint */
    size_t offset, strip;
    bool strips_header;
    int64_t adjustment; /* with what includes_header takes */
    uint64_t max;
} layout_t;

static void layout_make(layout_t *l, const uint8_t *data)
{
    static const int widths[] = { 1, 2, 3, 4, 8, CVY_FRAME_VARINT, 0, 5 };
    static const int64_t maxima[] = { 1, 60, 300, 5000, CVY_OFF, 128, 255, 0 };
    cvy_frame_opts_t o = { .width = widths[data[0] & 7],
                           .little_endian = data[0] >> 3 & 1,
                           .includes_header = data[0] >> 4 & 1,
                           .max_frame = maxima[data[0] >> 5],
                           .offset = data[1] & 15,
                           .strip = (data[1] >> 4) - 1,
                           .adjustment = (int8_t)data[2] / (data[3] & 1 ? 1 : 16) };
    if ((data[3] & 0xf0) == 0xf0) o.adjustment = data[3] & 2 ? INT64_MIN : INT64_MAX - data[2];
    if (data[3] & 4) o.adjustment = 0, o.offset = data[3] & 8 ? o.offset : 0, o.strip = 0;
    l->opts = o;
    l->width = o.width == CVY_FRAME_VARINT ? 0 : o.width ? (size_t)o.width : 4;
    l->offset = (size_t)o.offset;
    l->strips_header = o.strip == 0 && o.offset == 0 && o.adjustment == 0;
    l->strip = o.strip > 0 ? (size_t)o.strip : 0;
    l->max = o.max_frame == CVY_OFF ? UINT64_MAX : o.max_frame ? (uint64_t)o.max_frame : 16u << 20;
    int64_t header = o.includes_header ? o.offset + (int64_t)l->width : 0;
    l->valid = l->width != 5 && !(o.includes_header && !l->width) && o.adjustment >= INT64_MIN + header;
    l->adjustment = l->valid ? o.adjustment - header : 0;
}

/* The length field at p: its bytes; 0: they are not all there; SIZE_MAX: no varint. */
static size_t field_at(const layout_t *l, const uint8_t *p, size_t n, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; l->width && i < l->width && l->width <= n; i++)
        *value |= (uint64_t)p[i] << 8 * (l->opts.little_endian ? i : l->width - 1 - i);
    if (l->width) return l->width <= n ? l->width : 0;
    for (size_t i = 0; i < 10 && i < n; i++) {
        if (i == 9 && p[i] > 1) return SIZE_MAX;
        *value += (uint64_t)(p[i] % 128) << 7 * i;
        if (p[i] < 128) return i + 1;
    }
    return 0;
}

/* A body of value + adjustment bytes: UV_EPROTO below 0, UV_EMSGSIZE above max (or a size_t). */
static int body_of(const layout_t *l, uint64_t value, size_t header, uint64_t *body)
{
    uint64_t less = l->adjustment < 0 ? (uint64_t)(-(l->adjustment + 1)) + 1 : 0;
    uint64_t more = l->adjustment > 0 ? (uint64_t)l->adjustment : 0;
    if (value < less) return UV_EPROTO;
    *body = value - less + more;
    if (*body < more || *body > l->max || *body > SIZE_MAX - header) return UV_EMSGSIZE;
    return 0;
}

static void frame_oracle(drive_stage_t *s, const layout_t *l)
{
    size_t at = 0, header, front;
    uint64_t value, body = 0;
    s->error = UV_EPROTO; /* where the stream ends inside a frame */
    for (; s->n - at >= l->offset; at += header + (size_t)body) {
        size_t field = field_at(l, s->bytes + at + l->offset, s->n - at - l->offset, &value);
        if (!field || field == SIZE_MAX) break;
        header = l->offset + field;
        front = l->strips_header ? header : l->strip;
        int err = body_of(l, value, header, &body);
        if (!err && front > header + body) err = UV_EPROTO;
        if (err) s->error = err;
        if (err || s->n - at - header < body) break;
        drive_stage_span(s, at + front, header + (size_t)body - front);
        drive_stage_frame(s, at + header + (size_t)body);
    }
    if (at == s->n) s->error = 0;
}

void drive_frame(const uint8_t *data, size_t n)
{
    layout_t l;
    if (n < 7) return;
    layout_make(&l, data);
    drive_stage_t s = { .stage = &cvy_frame_stage,
                        .opts = &l.opts,
                        .bytes = data + 7,
                        .n = n - 7,
                        .seed = data[4] | (uint32_t)data[5] << 8 | (uint32_t)data[6] << 16 };
    if (l.valid) frame_oracle(&s, &l);
    DRIVE_CHECK(drive_stage_run(&s) == l.valid);
    drive_stage_fini(&s);
}

/* The encoder */

typedef struct encoded {
    uint8_t *bytes; /* what the oracle sends */
    size_t n;
    int error; /* of the frame that goes out now */
    int seen;
} encoded_t;

/* What the length field says in front of a body; UV_EMSGSIZE where it can't. */
static int value_of(const layout_t *l, uint64_t body, uint64_t *value)
{
    uint64_t most = l->width && l->width < 8 ? ((uint64_t)1 << 8 * l->width) - 1 : UINT64_MAX;
    uint64_t less = l->adjustment > 0 ? (uint64_t)l->adjustment : 0;
    uint64_t more = l->adjustment < 0 ? (uint64_t)(-(l->adjustment + 1)) + 1 : 0;
    if (body > l->max || body < less) return UV_EMSGSIZE;
    *value = body - less + more;
    return *value < more || *value > most ? UV_EMSGSIZE : 0;
}

static void encode(const layout_t *l, encoded_t *e, const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    e->error = n < l->offset ? UV_EINVAL : value_of(l, n - l->offset, &value);
    if (e->error) return;
    uint8_t *to = e->bytes + e->n;
    memcpy(to, bytes, l->offset);
    to += l->offset;
    for (size_t i = 0; i < l->width; i++)
        *to++ = (uint8_t)(value >> 8 * (l->opts.little_endian ? i : l->width - 1 - i));
    for (bool more = !l->width; more; value /= 128) {
        more = value >= 128;
        *to++ = (uint8_t)(value % 128 + (more ? 128 : 0));
    }
    memcpy(to, bytes + l->offset, n - l->offset);
    e->n = (size_t)(to - e->bytes) + n - l->offset;
}

static void encoder_failed(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    encoded_t *e = *(encoded_t **)cvy_ctx_state(ctx);
    DRIVE_CHECK(!e->seen);
    e->seen = err->code;
}

static int encoder_added(cvy_ctx_t *ctx, const void *opts)
{
    *(encoded_t **)cvy_ctx_state(ctx) = *(encoded_t *const *)opts;
    return 0;
}

static const cvy_stage_t encoder_sink = {
    .name = "sink", .state_size = sizeof(encoded_t *), .on_added = encoder_added, .on_error = encoder_failed
};

/* A buffer of one view or of two, so that the header goes in front, between, or into the middle. */
static void send_frame(cvy_embedded_t *e, const uint8_t *bytes, size_t n, size_t cut)
{
    cvy_buf_t out, more;
    cvy_pool_t *pool = cvy_loop_pool(cvy_embedded_loop(e));
    cvy_buf_init(&out, pool);
    cvy_buf_init(&more, pool);
    DRIVE_CHECK(!cvy_buf_append(&out, bytes, cut) && !cvy_buf_append(&more, bytes + cut, n - cut));
    DRIVE_CHECK(!cvy_buf_append_buf(&out, &more));
    DRIVE_CHECK(!cvy_conveyor_write(cvy_embedded_conveyor(e), &out));
    cvy_buf_fini(&out);
    cvy_embedded_run(e);
}

/* What was sent is a stream that the decoder of the same layout takes apart again. */
static void decode_again(const layout_t *l, const encoded_t *e, size_t frames, uint32_t seed)
{
    drive_stage_t s = { .stage = &cvy_frame_stage, .opts = &l->opts, .bytes = e->bytes, .n = e->n, .seed = seed };
    frame_oracle(&s, l);
    if (!l->strip) DRIVE_CHECK(s.frame_count == frames && !s.error);
    DRIVE_CHECK(drive_stage_run(&s));
    drive_stage_fini(&s);
}

void drive_encoder(const uint8_t *data, size_t n)
{
    enum { FRAMES = 8, LONGEST = 5200 };
    static uint8_t stream[FRAMES * (LONGEST + 16)], body[LONGEST];
    layout_t l;
    if (n < 7) return;
    layout_make(&l, data);
    encoded_t e = { .bytes = stream }, *state = &e;
    cvy_embedded_t *t;
    size_t frames = 0;
    const cvy_embedded_opts_t o = { 0 };
    DRIVE_CHECK(!cvy_embedded_new(&t, &o));
    int err = cvy_frame_add(cvy_embedded_conveyor(t), &l.opts);
    DRIVE_CHECK(err == (l.valid ? 0 : UV_EINVAL));
    DRIVE_CHECK(!cvy_conveyor_add_last(cvy_embedded_conveyor(t), &encoder_sink, &state, NULL));
    for (size_t at = 7; l.valid && at + 2 <= n && frames < FRAMES; at += 2) {
        size_t length = data[at] < 224 ? data[at] + data[at + 1] % 3 * 16u : (size_t)(data[at] - 223) * 160;
        memset(body, data[at + 1], length);
        size_t before = e.n;
        e.seen = 0;
        encode(&l, &e, body, length);
        send_frame(t, body, length, length ? data[at + 1] % (length + 1) : 0);
        DRIVE_CHECK(e.seen == e.error);
        DRIVE_CHECK(cvy_buf_len(cvy_embedded_sent(t)) == e.n && (e.error == 0) == (e.n > before));
        frames += !e.error;
    }
    DRIVE_CHECK(cvy_buf_equal(cvy_embedded_sent(t), e.bytes, e.n));
    cvy_embedded_free(t);
    DRIVE_CHECK(!cvy__memory_live());
    if (l.valid && e.n) decode_again(&l, &e, frames, data[4] | (uint32_t)data[5] << 8);
}
