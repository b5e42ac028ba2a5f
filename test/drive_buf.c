/*
 * Buffers against the oracle. Each operation is a function that does it to both; whether it failed for want of memory is known from
 * the allocator, so that an answer of UV_ENOMEM without cause, or a success without memory, is found as well.
 */
#include "drive_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "buf/queue.h"

static void wrong(const drive_t *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "step %llu, %s: ", d ? (unsigned long long)d->steps : 0ULL, d && d->op ? d->op : "-");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    cvy__segments_dump(stderr);
    abort();
}

#define WANT(d, condition)                                                         \
    do {                                                                           \
        if (!(condition)) wrong((d), "line %d: not so: %s", __LINE__, #condition); \
    } while (0)

/* The allocator: a header in front of each block remembers what was asked for. */
typedef struct block {
    size_t n;
    size_t align;
} block_t;

static bool refuses(drive_alloc_t *m)
{
    m->asked++;
    if (m->fail_at == m->asked) return true;
    if (!m->fail_one_in) return false;
    m->dice = m->dice * 1664525u + 1013904223u;
    return (m->dice >> 8) % m->fail_one_in == 0;
}

static void *drive_malloc(void *arg, size_t n, size_t align)
{
    drive_alloc_t *m = arg;
    block_t *block = NULL;
    if (refuses(m) || n > ((size_t)1 << 30) || !(block = malloc(sizeof *block + n))) {
        m->refused++;
        return NULL;
    }
    *block = (block_t){ n, align };
    memset(block + 1, 0xa5, n);
    m->live++;
    m->live_bytes += n;
    return block + 1;
}

static void drive_free(void *arg, void *p, size_t n, size_t align)
{
    drive_alloc_t *m = arg;
    block_t *block = (block_t *)p - 1;
    if (block->n != n || block->align != align) wrong(NULL, "freed %zu of %zu bytes", n, block->n);
    m->live--;
    m->live_bytes -= n;
    free(block);
}

void drive_alloc_init(drive_alloc_t *m)
{
    *m = (drive_alloc_t){ .alloc = { drive_malloc, drive_free, m }, .dice = 1 };
}

static uint32_t choose(drive_t *d, uint32_t below)
{
    return d->source.next(d->source.arg) % below;
}

/* Lengths that matter: none, a header, around the reserve, up to the largest. */
static size_t some_length(drive_t *d)
{
    switch (choose(d, 8)) {
    case 0: return choose(d, 3);
    case 1: return 4;
    case 2: return 15 + choose(d, 4);
    case 3: return choose(d, 64);
    case 4: return 40 + choose(d, 60);
    case 5: return choose(d, 700);
    default: return choose(d, (uint32_t)d->largest + 1);
    }
}

/* Bytes of a small alphabet, so that searches find something. */
static void fill(drive_t *d, uint8_t *bytes, size_t n)
{
    uint32_t x = d->source.next(d->source.arg) | 1u;
    for (size_t i = 0; i < n; i++) {
        x = x * 1103515245u + 12345u;
        bytes[i] = (uint8_t)((x >> 16) % 5);
    }
}

static uint8_t *some_bytes(drive_t *d, size_t *n)
{
    *n = some_length(d);
    uint8_t *bytes = malloc(*n + 1);
    if (!bytes) abort();
    fill(d, bytes, *n);
    return bytes;
}

static size_t some_place(drive_t *d, size_t len)
{
    return len ? choose(d, (uint32_t)len + 2) : choose(d, 2);
}

void drive_check_shape(const cvy_buf_t *b)
{
    size_t len = 0, spare = 0;
    const cvy_view_t *last = NULL;
    for (const cvy_view_t *v = b->head; v; last = v, v = v->next) {
        const cvy_segment_t *s = v->segment;
        WANT(NULL, v->len > 0);
        WANT(NULL, s->kind == CVY__FOREIGN || v->data >= s->base + v->front);
        WANT(NULL, v->data + v->len <= s->fill && s->fill <= s->end);
        WANT(NULL, s->refs > 0);
        len += v->len;
    }
    for (const cvy_segment_t *s = b->spare; s; s = cvy__spare_next(s))
        spare += cvy__segment_room(s);
    WANT(NULL, last == b->tail && len == b->len && spare == b->spare_bytes);
}

static void compare(const drive_t *d, int i)
{
    const cvy_buf_t *b = &d->buf[i];
    const model_buf_t *m = &d->model[i];
    if (b->len != m->len) wrong(d, "buffer %d holds %zu bytes instead of %zu", i, b->len, m->len);
    if (b->consumed != m->consumed) wrong(d, "buffer %d is at the wrong place of its stream", i);
    drive_check_shape(b);
    size_t at = 0;
    for (const cvy_view_t *v = b->head; v; at += v->len, v = v->next) {
        if (memcmp(v->data, m->bytes + at, v->len) != 0) wrong(d, "buffer %d has other bytes from %zu on", i, at);
    }
}

/* 0 or UV_ENOMEM, and the latter exactly when the allocator refused. */
static bool worked(const drive_t *d, int err)
{
    WANT(d, err == 0 || err == UV_ENOMEM);
    WANT(d, (err == UV_ENOMEM) == (d->memory.refused > 0));
    return err == 0;
}

static void op_append(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = some_bytes(d, &n);
    if (worked(d, cvy_buf_append(&d->buf[i], bytes, n))) model_append(&d->model[i], bytes, n);
    free(bytes);
}

static void op_append_buf(drive_t *d, int i, int j)
{
    WANT(d, cvy_buf_append_buf(&d->buf[i], &d->buf[i]) == UV_EINVAL);
    WANT(d, cvy_buf_append_buf(&d->buf[i], &d->buf[j]) == 0);
    model_move(&d->model[i], &d->model[j], d->model[j].len);
}

static void op_take(drive_t *d, int i, int j)
{
    WANT(d, cvy_buf_take(&d->buf[i], &d->buf[i]) == UV_EINVAL);
    WANT(d, cvy_buf_take(&d->buf[i], &d->buf[j]) == 0);
    model_take(&d->model[i], &d->model[j]);
}

static void op_keep(drive_t *d, int i, int j)
{
    WANT(d, cvy_buf_keep(&d->buf[i], &d->buf[i]) == UV_EINVAL);
    if (worked(d, cvy_buf_keep(&d->buf[i], &d->buf[j]))) model_move(&d->model[i], &d->model[j], d->model[j].len);
}

static void op_queue(drive_t *d, int i, int j)
{
    WANT(d, cvy__buf_queue(&d->buf[i], &d->buf[i]) == UV_EINVAL);
    WANT(d, cvy__buf_queue(&d->buf[i], &d->buf[j]) == 0);
    model_move(&d->model[i], &d->model[j], d->model[j].len);
}

static void op_prepend(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = some_bytes(d, &n);
    if (worked(d, cvy_buf_prepend(&d->buf[i], bytes, n))) model_prepend(&d->model[i], bytes, n);
    free(bytes);
}

/* A frame's way: the header off, and another on. */
static void op_reframe(drive_t *d, int i, int j)
{
    (void)j;
    uint8_t header[4];
    size_t n = cvy_buf_read(&d->buf[i], header, sizeof header);
    WANT(d, n == model_advance(&d->model[i], sizeof header));
    fill(d, header, sizeof header);
    if (worked(d, cvy_buf_prepend(&d->buf[i], header, n))) model_prepend(&d->model[i], header, n);
}

static void unwrap(void *arg, void *base, size_t n)
{
    (void)n;
    ((drive_t *)arg)->wrapped--;
    free(base);
}

static void op_wrap(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = some_bytes(d, &n);
    d->wrapped++;
    if (worked(d, cvy_buf_wrap(&d->buf[i], bytes, n, unwrap, d))) {
        if (n) model_append(&d->model[i], bytes, n);
    } else {
        unwrap(d, bytes, n);
    }
}

static void op_replace(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = some_bytes(d, &n);
    uv_buf_t views[2] = { uv_buf_init((char *)bytes, (unsigned)(n / 3)),
                          uv_buf_init((char *)bytes + n / 3, (unsigned)(n - n / 3)) };
    if (worked(d, cvy_buf_replace(&d->buf[i], views, 2))) model_replace(&d->model[i], bytes, n);
    free(bytes);
}

static void op_reserve(drive_t *d, int i, int j)
{
    (void)j;
    cvy_buf_t *b = &d->buf[i];
    uv_buf_t views[8];
    size_t n = some_length(d), filled = 0, at = 0;
    bool total = choose(d, 2);
    if (!worked(d, total ? cvy_buf_reserve_total(b, b->len + n) : cvy_buf_reserve(b, n))) return;
    WANT(d, cvy_buf_writable(b) >= n);
    size_t count = cvy_buf_tail_views(b, views, 8);
    for (size_t k = 0; k < count; k++) {
        fill(d, (uint8_t *)views[k].base, views[k].len);
        filled += views[k].len;
    }
    n = n < filled ? n : filled;
    WANT(d, cvy_buf_commit(b, n) == n);
    for (size_t k = 0; at < n; at += views[k].len, k++)
        model_append(&d->model[i], views[k].base, n - at < views[k].len ? n - at : views[k].len);
}

static void op_advance(drive_t *d, int i, int j)
{
    (void)j;
    size_t n = some_place(d, d->buf[i].len);
    WANT(d, cvy_buf_advance(&d->buf[i], n) == model_advance(&d->model[i], n));
}

static void op_move(drive_t *d, int i, int j)
{
    size_t n = some_place(d, d->buf[j].len);
    WANT(d, cvy_buf_move(&d->buf[i], &d->buf[i], n) == UV_EINVAL);
    if (worked(d, cvy_buf_move(&d->buf[i], &d->buf[j], n))) model_move(&d->model[i], &d->model[j], n);
}

static void op_split(drive_t *d, int i, int j)
{
    cvy_buf_t out;
    size_t n = some_place(d, d->buf[j].len);
    int err = cvy_buf_split(&out, &d->buf[j], n);
    if (n > d->model[j].len) {
        WANT(d, err == UV_EAGAIN);
        return;
    }
    if (!worked(d, err)) return;
    WANT(d, out.len == n);
    WANT(d, cvy_buf_append_buf(&d->buf[i], &out) == 0);
    model_move(&d->model[i], &d->model[j], n);
    cvy_buf_fini(&out);
}

static void op_read(drive_t *d, int i, int j)
{
    (void)j;
    model_buf_t *m = &d->model[i];
    size_t n = some_place(d, m->len), have = n < m->len ? n : m->len;
    uint8_t *out = malloc(n + 1);
    if (!out) abort();
    WANT(d, cvy_buf_peek(&d->buf[i], out, n) == have);
    WANT(d, have == 0 || memcmp(out, m->bytes, have) == 0);
    WANT(d, cvy_buf_read(&d->buf[i], out, n) == have);
    WANT(d, have == 0 || memcmp(out, m->bytes, have) == 0);
    model_advance(m, n);
    free(out);
}

static void op_peek_at(drive_t *d, int i, int j)
{
    (void)j;
    model_buf_t *m = &d->model[i];
    uint8_t out[300];
    size_t offset = some_place(d, m->len), n = choose(d, sizeof out);
    size_t have = offset > m->len ? 0 : m->len - offset < n ? m->len - offset : n;
    WANT(d, cvy_buf_peek_at(&d->buf[i], offset, out, n) == have);
    WANT(d, have == 0 || memcmp(out, m->bytes + offset, have) == 0);
}

static void op_views(drive_t *d, int i, int j)
{
    (void)j;
    uv_buf_t views[16];
    size_t at = 0, count = cvy_buf_views(&d->buf[i], views, 16), all = cvy_buf_view_count(&d->buf[i]);
    WANT(d, count == (all < 16 ? all : 16));
    for (size_t k = 0; k < count; at += views[k].len, k++)
        WANT(d, memcmp(views[k].base, d->model[i].bytes + at, views[k].len) == 0);
    WANT(d, at <= d->model[i].len && (all > 16 || at == d->model[i].len));
}

/* Puts a copy of n bytes of one model in the place of another. */
static void model_slice(drive_t *d, int i, int j, size_t offset, size_t n)
{
    uint8_t *bytes = malloc(n + 1);
    if (!bytes) abort();
    if (n) memcpy(bytes, d->model[j].bytes + offset, n);
    model_replace(&d->model[i], bytes, n);
    free(bytes);
}

static void op_slice(drive_t *d, int i, int j)
{
    cvy_buf_t out;
    size_t offset = some_place(d, d->buf[j].len), n = some_place(d, d->buf[j].len);
    bool all = choose(d, 2);
    if (all) offset = 0, n = d->model[j].len;
    int err = all ? cvy_buf_share(&out, &d->buf[j]) : cvy_buf_slice(&out, &d->buf[j], offset, n);
    if (offset > d->model[j].len || n > d->model[j].len - offset) {
        WANT(d, err == UV_ERANGE);
        return;
    }
    if (!worked(d, err)) return;
    WANT(d, cvy_buf_take(&d->buf[i], &out) == 0);
    model_slice(d, i, j, offset, n);
}

static void op_find(drive_t *d, int i, int j)
{
    (void)j;
    uint8_t seq[4];
    size_t n = choose(d, 5), from = some_place(d, d->buf[i].len), at = SIZE_MAX;
    fill(d, seq, sizeof seq);
    int err = n == 1 ? cvy_buf_find_byte(&d->buf[i], from, seq[0], &at) : cvy_buf_find(&d->buf[i], from, seq, n, &at);
    if (n == 0)
        WANT(d, err == UV_EINVAL);
    else if (from > d->model[i].len)
        WANT(d, err == UV_ERANGE);
    else
        WANT(d, at == model_find(&d->model[i], from, seq, n) && err == (at == SIZE_MAX ? UV_EAGAIN : 0));
}

static void op_pullup(drive_t *d, int i, int j)
{
    (void)j;
    const uint8_t *piece = NULL;
    size_t n = some_place(d, d->buf[i].len);
    int err = cvy_buf_pullup(&d->buf[i], n, &piece);
    if (n > d->model[i].len) {
        WANT(d, err == UV_EAGAIN && !piece);
        return;
    }
    if (worked(d, err)) WANT(d, piece && (n == 0 || memcmp(piece, d->model[i].bytes, n) == 0));
}

static void op_compact(drive_t *d, int i, int j)
{
    (void)j;
    worked(d, cvy_buf_compact(&d->buf[i]));
}

static void op_equal(drive_t *d, int i, int j)
{
    const model_buf_t *m = &d->model[j];
    bool same = m->len == d->model[i].len && (m->len == 0 || memcmp(m->bytes, d->model[i].bytes, m->len) == 0);
    WANT(d, cvy_buf_equal(&d->buf[i], m->bytes, m->len) == same);
}

static void op_integer(drive_t *d, int i, int j)
{
    (void)j;
    uint64_t v = (uint64_t)d->source.next(d->source.arg) << choose(d, 33), back = 0;
    uint8_t bytes[10] = { 0 };
    size_t n = 0;
    if (choose(d, 2)) {
        for (n = 8; n-- > 0;)
            bytes[7 - n] = (uint8_t)(v >> 8 * n);
        if (worked(d, cvy_buf_append_u64(&d->buf[i], v))) model_append(&d->model[i], bytes, 8);
        return;
    }
    for (uint64_t rest = v; n == 0 || rest; rest >>= 7)
        bytes[n++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    if (!worked(d, cvy_buf_append_varint(&d->buf[i], v))) return;
    model_append(&d->model[i], bytes, n);
    if (d->model[i].len != n) return;
    WANT(d, cvy_buf_read_varint(&d->buf[i], &back) == 0 && back == v);
    model_advance(&d->model[i], n);
}

static void op_hand_over(drive_t *d, int i, int j)
{
    (void)j;
    cvy_buf_hand_over(&d->buf[i]);
    WANT(d, d->buf[i].pool == NULL);
    if (i != DRIVE_BUFS - 1) d->buf[i].pool = d->pool; /* as a buffer of the receiving loop would have */
}

static void op_fini(drive_t *d, int i, int j)
{
    (void)j;
    cvy_buf_fini(&d->buf[i]);
    model_advance(&d->model[i], d->model[i].len);
    WANT(d, cvy_buf_writable(&d->buf[i]) == 0);
}

static void op_read_slab(drive_t *d, int i, int j)
{
    (void)j;
    char *base;
    size_t len;
    cvy_buf_t lent;
    if (!worked(d, cvy__slab_room(&d->slab, &base, &len))) return;
    size_t n = some_length(d);
    n = n < len ? n : len;
    fill(d, (uint8_t *)base, n);
    if (!worked(d, cvy__slab_lend(&d->slab, &lent, n))) return;
    if (n) model_append(&d->model[i], base, n);
    WANT(d, cvy_buf_append_buf(&d->buf[i], &lent) == 0);
    cvy__slab_settle(&d->slab);
}

static void op_cursor(drive_t *d, int i, int j)
{
    (void)j;
    cvy_cursor_t *c = &d->cursor[i];
    const model_buf_t *m = &d->model[i];
    uint64_t at = d->position[i] - m->consumed;
    size_t offset = 0, n = choose(d, 40);
    uint8_t out[40];
    int want = at > m->len ? UV_ERANGE : n > m->len - at ? UV_EAGAIN : 0;
    WANT(d, cvy_cursor_offset(c, &offset) == (at > m->len ? UV_ERANGE : 0));
    WANT(d, at > m->len || offset == at);
    WANT(d, cvy_cursor_read(c, out, n) == want);
    if (!want) {
        WANT(d, n == 0 || memcmp(out, m->bytes + at, n) == 0);
        d->position[i] += n;
    }
    WANT(d, c->position == d->position[i]);
    size_t to = some_place(d, m->len);
    if (choose(d, 2) && !want) return;
    WANT(d, cvy_cursor_seek(c, to) == (to > m->len ? UV_ERANGE : 0));
    if (to <= m->len) d->position[i] = m->consumed + to;
}

static const struct {
    const char *name;
    void (*run)(drive_t *d, int i, int j);
} ops[] = {
    { "append", op_append },       { "append_buf", op_append_buf },
    { "take", op_take },           { "keep", op_keep },
    { "queue", op_queue },         { "prepend", op_prepend },
    { "reframe", op_reframe },     { "wrap", op_wrap },
    { "replace", op_replace },     { "reserve", op_reserve },
    { "advance", op_advance },     { "move", op_move },
    { "split", op_split },         { "read", op_read },
    { "peek_at", op_peek_at },     { "views", op_views },
    { "slice", op_slice },         { "find", op_find },
    { "pullup", op_pullup },       { "compact", op_compact },
    { "equal", op_equal },         { "integer", op_integer },
    { "hand_over", op_hand_over }, { "fini", op_fini },
    { "read_slab", op_read_slab }, { "cursor", op_cursor },
    { "reframe", op_reframe },     { "split", op_split },
    { "move", op_move },           { "read_slab", op_read_slab },
    { "keep", op_keep },           { "append", op_append },
};

void drive_init(drive_t *d, const cvy_pool_opts_t *opts, drive_source_t source)
{
    memset(d, 0, sizeof *d);
    drive_alloc_init(&d->memory);
    cvy_pool_opts_t o = *opts;
    o.alloc = &d->memory.alloc;
    d->source = source;
    d->largest = 3000;
    cvy_alloc_set_default(&d->memory.alloc);
    WANT(d, cvy_pool_new(&d->pool, &o) == 0);
    d->slab.pool = d->pool;
    for (int i = 0; i < DRIVE_BUFS; i++) {
        cvy_buf_init(&d->buf[i], i < DRIVE_BUFS - 1 ? d->pool : NULL);
        cvy_cursor_init(&d->cursor[i], &d->buf[i]);
    }
}

/* Half of what is too long goes, so that buffers grow and shrink. */
static void bound(drive_t *d, int i)
{
    size_t n = d->model[i].len;
    if (n <= 3 * d->largest) return;
    cvy_buf_advance(&d->buf[i], n - n / 4);
    model_advance(&d->model[i], n - n / 4);
}

void drive_step(drive_t *d)
{
    int i = (int)choose(d, DRIVE_BUFS), j = (i + 1 + (int)choose(d, DRIVE_BUFS - 1)) % DRIVE_BUFS;
    uint32_t op = choose(d, sizeof ops / sizeof ops[0]);
    size_t room = cvy_buf_writable(&d->buf[i]);
    d->op = ops[op].name;
    d->steps++;
    d->memory.refused = 0;
    ops[op].run(d, i, j);
    /* What failed took or left nothing. The queue is the one that goes on without memory; a slab's read may fail at its end. */
    if (d->memory.refused && ops[op].run != op_queue && ops[op].run != op_reframe)
        WANT(d, cvy_buf_writable(&d->buf[i]) == room);
    for (int k = 0; k < DRIVE_BUFS; k++) {
        if (k == i || k == j) bound(d, k);
        compare(d, k);
    }
}

void drive_fini(drive_t *d)
{
    d->op = "fini";
    for (int i = 0; i < DRIVE_BUFS; i++) {
        cvy_buf_fini(&d->buf[i]);
        model_fini(&d->model[i]);
    }
    cvy__slab_fini(&d->slab);
    WANT(d, cvy_pool_live(d->pool) == 0);
    WANT(d, cvy_pool_live(NULL) == 0);
    cvy_pool_free(d->pool);
    WANT(d, d->wrapped == 0);
    WANT(d, d->memory.live == 0);
    cvy_alloc_set_default(NULL);
}
