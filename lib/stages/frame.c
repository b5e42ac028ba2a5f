/*
 * Length-field framing. A layout is checked once, when the stage is added; what remains per frame is reading the value and
 * comparing it with the limit, before anything is kept.
 *
 * No sum here can wrap: offset and width are small, a body is compared with max_frame and with what a size_t still holds next to its
 * header before it is added to anything.
 *
 * The layout that is the default (4 bytes, big endian, the body alone counted and delivered) has a short way in both directions, taken
 * while a frame is whole, in one piece, and nothing is wrong with it. What it can't do goes the long way, which finds the fault.
 */
#include <conveyor/frame.h>
#include <uv.h>

#include "conveyor/quick.h"
#include "stages/decoder.h"
#include "stages/options.h"

#define WIDTH        4
#define MAX_FRAME    (16u << 20) /* M1; the same as Thrift's TFramedTransport takes */
#define OFFSET_MAX   65535u
#define STRIP_HEADER UINT32_MAX
#define VARINT_BYTES 10 /* 64 bits in groups of 7 */

typedef struct frame {
    cvy__decoder_t decoder; /* first */
    uint64_t max_frame;
    int64_t adjustment; /* body = value + adjustment */
    uint32_t strip;
    uint16_t offset;
    uint8_t width;
    bool little : 1, raw : 1;
    bool usual : 1; /* takes the short way */
} frame_t;

static uint64_t load(const uint8_t *p, size_t n, bool little)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[little ? n - 1 - i : i];
    return v;
}

static void store(uint8_t *p, size_t n, bool little, uint64_t v)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        p[little ? i : n - 1 - i] = (uint8_t)v;
}

static size_t store_varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

static int read_varint(frame_t *f, size_t *header, uint64_t *value, cvy__fault_t *fault)
{
    uint8_t bytes[VARINT_BYTES];
    size_t n = cvy_buf_peek_at(&f->decoder.held, f->offset, bytes, sizeof bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == VARINT_BYTES - 1 && bytes[i] > 1) break; /* more than 64 bits */
        v |= (uint64_t)(bytes[i] & 127) << (7 * i);
        if (bytes[i] < 128) {
            *header = f->offset + i + 1;
            *value = v;
            return 0;
        }
    }
    f->decoder.need = (uint64_t)f->offset + n + 1;
    fault->detail = "length is no varint of 64 bits";
    return n < VARINT_BYTES ? UV_EAGAIN : UV_EPROTO;
}

static int read_field(frame_t *f, size_t *header, uint64_t *value)
{
    uint8_t bytes[8];
    *header = (size_t)f->offset + f->width;
    f->decoder.need = *header;
    if (cvy_buf_len(&f->decoder.held) < *header) return UV_EAGAIN;
    cvy_buf_peek_at(&f->decoder.held, f->offset, bytes, f->width);
    *value = load(bytes, f->width, f->little);
    return 0;
}

/* Errors: UV_EPROTO, UV_EMSGSIZE. */
static int body_of(const frame_t *f, size_t header, uint64_t value, size_t *body, cvy__fault_t *fault)
{
    uint64_t back = f->adjustment < 0 ? 0 - (uint64_t)f->adjustment : 0;
    uint64_t more = f->adjustment < 0 ? 0 : (uint64_t)f->adjustment;
    uint64_t most = f->max_frame < SIZE_MAX - header ? f->max_frame : SIZE_MAX - header;
    if (value < back) {
        *fault = (cvy__fault_t){ "length less than what it has to include", value, back };
        return UV_EPROTO;
    }
    value -= back;
    if (more > most || value > most - more) {
        *fault = (cvy__fault_t){ "frame longer than max_frame", value > UINT64_MAX - more ? UINT64_MAX : value + more,
                                 most };
        return UV_EMSGSIZE;
    }
    *body = (size_t)(value + more);
    return 0;
}

static int burst(cvy_ctx_t *ctx, cvy__decoder_t *d, bool *moved)
{
    const frame_t *f = (const frame_t *)d;
    cvy_buf_t *held = &d->held, body;
    size_t most = f->usual ? (size_t)f->max_frame : 0;
    bool is_free = cvy__fire_is_free(ctx, CVY__GATE_CLOSING); /* and stays so while the answer is 0 */
    int stop = 0;
    while (!stop) {
        uint32_t n = cvy__buf_has_front(held, WIDTH) ? cvy__load_be32(held->head->data) : 0;
        if (!n || n > most || n + (size_t)WIDTH > held->head->len || !cvy__buf_cut_quick(&body, held, WIDTH, n)) break;
        *moved = true;
        stop = cvy__fire_inbound_bytes_from(ctx, &body, is_free);
    }
    return stop;
}

static int frame_next(cvy__decoder_t *d, cvy__cut_t *cut, cvy__fault_t *fault)
{
    frame_t *f = (frame_t *)d;
    size_t header = 0, body = 0;
    uint64_t value = 0;
    int err = f->width == CVY_FRAME_VARINT ? read_varint(f, &header, &value, fault) : read_field(f, &header, &value);
    if (!err) err = body_of(f, header, value, &body, fault);
    if (err) return err;
    cut->total = header + body;
    cut->front = f->strip == STRIP_HEADER ? header : f->strip;
    cut->back = 0;
    if (cut->front > cut->total) {
        *fault = (cvy__fault_t){ "strip longer than the frame", cut->front, cut->total };
        return UV_EPROTO;
    }
    d->need = cut->total;
    return cvy_buf_len(&d->held) < cut->total ? UV_EAGAIN : 0;
}

static const cvy__decoder_ops_t frame_ops = { .next = frame_next, .burst = burst };

/* Errors: UV_EMSGSIZE. */
static int value_of(const frame_t *f, size_t body, uint64_t *value, cvy__fault_t *fault)
{
    uint64_t less = f->adjustment < 0 ? 0 : (uint64_t)f->adjustment;
    uint64_t more = f->adjustment < 0 ? 0 - (uint64_t)f->adjustment : 0;
    uint64_t most = f->width < 8 ? ((uint64_t)1 << (8 * f->width)) - 1 : UINT64_MAX;
    if (body > f->max_frame) {
        *fault = (cvy__fault_t){ "outbound frame longer than max_frame", body, f->max_frame };
        return UV_EMSGSIZE;
    }
    if (body < less || more > most || body - less > most - more) {
        *fault = (cvy__fault_t){ "outbound frame does not fit its length field", body, most };
        return UV_EMSGSIZE;
    }
    *value = body - less + more;
    return 0;
}

/* Puts the field behind the first offset bytes. Errors: UV_ENOMEM; out is spoilt. */
static int insert(const frame_t *f, cvy_buf_t *out, uint64_t value)
{
    uint8_t field[VARINT_BYTES];
    cvy_buf_t front = CVY_BUF_INIT;
    size_t n = f->width == CVY_FRAME_VARINT ? store_varint(field, value) : f->width;
    if (f->width != CVY_FRAME_VARINT) store(field, n, f->little, value);
    int err = f->offset ? cvy_buf_split(&front, out, f->offset) : 0;
    if (!err) err = cvy_buf_prepend(out, field, n);
    if (!err && f->offset) {
        err = cvy_buf_append_buf(&front, out);
        if (!err) err = cvy_buf_take(out, &front);
    }
    cvy_buf_fini(&front);
    return err;
}

static CVY__COLD void outbound_long(cvy_ctx_t *ctx, const frame_t *f, cvy_buf_t *out)
{
    cvy__fault_t fault = { "outbound frame shorter than offset", cvy_buf_len(out), f->offset };
    uint64_t value = 0;
    if (!f->raw) {
        int err = cvy_buf_len(out) < f->offset ? UV_EINVAL : value_of(f, cvy_buf_len(out) - f->offset, &value, &fault);
        if (!err && insert(f, out, value)) {
            fault = (cvy__fault_t){ "no memory for a length field", 0, 0 };
            err = UV_ENOMEM;
        }
        if (err) {
            cvy_ctx_fail_limit(ctx, err, fault.detail, fault.value, fault.limit);
            return;
        }
    }
    cvy__fire_outbound_bytes(ctx, out);
}

static void frame_outbound(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    const frame_t *f = cvy__ctx_state(ctx);
    if (f->usual && cvy_buf_len(out) <= f->max_frame && cvy__buf_prepend_be32_quick(out, (uint32_t)cvy_buf_len(out)))
        cvy__pass_outbound_bytes(ctx, out);
    else
        outbound_long(ctx, f, out);
}

static bool width_valid(int width)
{
    return (width >= 1 && width <= 4) || width == 8 || width == CVY_FRAME_VARINT;
}

/* The longest frame is one that every size_t and the length field can say. */
static bool is_usual(const frame_t *f)
{
    bool layout = f->width == WIDTH && !f->little && !f->raw && !f->offset && !f->adjustment;
    return layout && f->strip == STRIP_HEADER && f->max_frame <= UINT32_MAX - WIDTH;
}

/* Checks a layout and takes it over. Errors: UV_EINVAL. */
static int frame_setup(frame_t *f, const cvy_frame_opts_t *o)
{
    int width = o->width ? o->width : WIDTH;
    bool plain = o->offset <= 0 && o->adjustment == 0;
    if (!width_valid(width) || o->offset < CVY_OFF || o->offset > OFFSET_MAX) return UV_EINVAL;
    if (o->strip < CVY_OFF || o->strip >= STRIP_HEADER) return UV_EINVAL;
    if (o->includes_header == 1 && width == CVY_FRAME_VARINT) return UV_EINVAL;
    f->width = (uint8_t)width;
    f->offset = (uint16_t)(o->offset > 0 ? o->offset : 0);
    f->strip = o->strip > 0 ? (uint32_t)o->strip : o->strip == 0 && plain ? STRIP_HEADER : 0;
    f->little = o->little_endian == 1;
    f->raw = o->raw_outbound == 1;
    f->adjustment = o->adjustment;
    if (o->includes_header == 1) {
        int64_t header = (int64_t)f->offset + width;
        if (o->adjustment < INT64_MIN + header) return UV_EINVAL;
        f->adjustment -= header;
    }
    int err = cvy__opt_limit(&f->max_frame, o->max_frame, MAX_FRAME, INT64_MAX);
    f->usual = is_usual(f);
    return err;
}

static int frame_added(cvy_ctx_t *ctx, const void *opts)
{
    static const cvy_frame_opts_t defaults;
    const cvy_frame_opts_t *o = opts ? opts : &defaults;
    int err = frame_setup(cvy_ctx_state(ctx), o);
    return err ? err : cvy__decoder_init(ctx, &frame_ops, o->deadline_ms);
}

const cvy_stage_t cvy_frame_stage = {
    .name = "frame",
    .state_size = sizeof(frame_t),
    .on_added = frame_added,
    .on_outbound_bytes = frame_outbound,
    CVY__DECODER_SLOTS,
};

int cvy_frame_add(cvy_conveyor_t *c, const cvy_frame_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_frame_stage, opts, NULL);
}
