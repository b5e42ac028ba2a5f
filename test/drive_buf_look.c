/* Operations that share bytes, look into them, or ask for what can't be. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "buf/queue.h"
#include "drive_buf_ops.h"
#include "integers.h"

static void op_peek_at(drive_t *d, int i, int j)
{
    (void)j;
    model_buf_t *m = &d->model[i];
    uint8_t out[300];
    size_t offset = drive_place(d, m->len), n = drive_choose(d, sizeof out);
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
    size_t offset = drive_place(d, d->buf[j].len), n = drive_place(d, d->buf[j].len);
    bool all = drive_choose(d, 2);
    if (all) offset = 0, n = d->model[j].len;
    int err = all ? cvy_buf_share(&out, &d->buf[j]) : cvy_buf_slice(&out, &d->buf[j], offset, n);
    if (offset > d->model[j].len || n > d->model[j].len - offset) {
        WANT(d, err == UV_ERANGE);
        return;
    }
    if (!drive_worked(d, err)) return;
    WANT(d, cvy_buf_take(&d->buf[i], &out) == 0);
    model_slice(d, i, j, offset, n);
}

static void op_find(drive_t *d, int i, int j)
{
    (void)j;
    uint8_t seq[4];
    size_t n = drive_choose(d, 5), from = drive_place(d, d->buf[i].len), at = SIZE_MAX;
    drive_fill(d, seq, sizeof seq);
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
    size_t n = drive_place(d, d->buf[i].len);
    int err = cvy_buf_pullup(&d->buf[i], n, &piece);
    if (n > d->model[i].len) {
        WANT(d, err == UV_EAGAIN && !piece);
        return;
    }
    if (drive_worked(d, err)) WANT(d, piece && (n == 0 || memcmp(piece, d->model[i].bytes, n) == 0));
}

static void op_compact(drive_t *d, int i, int j)
{
    (void)j;
    if (!drive_worked(d, cvy_buf_compact(&d->buf[i]))) return;
    /* B6: of each segment at least half is held, or it is a small one; copies take no more than there was to copy. */
    size_t pinned = 0, groups = 0, small = CVY__SMALL_BYTES;
    for (int k = 0; k < 2; k++)
        if (small < d->pool[k]->size[CVY__SMALL]) small = d->pool[k]->size[CVY__SMALL];
    if (d->buf[i].pool) small = d->buf[i].pool->size[CVY__SMALL];
    for (const cvy_view_t *v = d->buf[i].head, *before = NULL; v; before = v, v = v->next) {
        if (before && before->segment == v->segment) continue;
        pinned += cvy__segment_capacity(v->segment);
        groups++;
    }
    WANT(d, pinned <= 2 * d->buf[i].len + groups * (small + 2 * CVY__FRONT_BYTES));
}

static void op_equal(drive_t *d, int i, int j)
{
    const model_buf_t *m = &d->model[j];
    bool same = m->len == d->model[i].len && (m->len == 0 || memcmp(m->bytes, d->model[i].bytes, m->len) == 0);
    WANT(d, cvy_buf_equal(&d->buf[i], m->bytes, m->len) == same);
}

/* Of any kind there is: appended, or read by the buffer and by a cursor. */
static void op_integer(drive_t *d, int i, int j)
{
    (void)j;
    const integer_t *kind = &integers[drive_choose(d, (uint32_t)integer_count)];
    cvy_buf_t *b = &d->buf[i];
    model_buf_t *m = &d->model[i];
    uint64_t v = (uint64_t)d->source.next(d->source.arg) << drive_choose(d, 33), back = 0, want = 0;
    uint8_t bytes[INTEGER_MAX];
    size_t n = 0;
    if (drive_choose(d, 2)) {
        n = integer_encode(kind, v, bytes);
        if (drive_worked(d, kind->append(b, v))) model_append(m, bytes, n);
        return;
    }
    cvy_cursor_t c;
    cvy_cursor_init(&c, b);
    int err = integer_decode(kind, m->bytes, m->len, &want, &n);
    WANT(d, kind->cursor(&c, &back) == err && (err || back == want) && c.position == m->consumed + n);
    WANT(d, kind->read(b, &back) == err && (err || back == want));
    model_advance(m, n);
}

typedef struct visit {
    drive_t *d;
    cvy_buf_t *there;
    model_buf_t *model;
} visit_t;

/* On another thread: looks at the bytes, shares, drops and adds some. What stayed behind of their segments is the first thread's. */
static void visit(void *arg)
{
    visit_t *v = arg;
    drive_t *d = v->d;
    cvy_buf_t slice, own = CVY_BUF_INIT;
    size_t n = drive_place(d, v->model->len), drop = drive_place(d, v->model->len);
    WANT(d, cvy_buf_append_buf(&own, v->there) == 0);
    WANT(d, cvy_buf_equal(&own, v->model->bytes, v->model->len));
    if (!cvy_buf_slice(&slice, &own, 0, n)) {
        WANT(d, n <= v->model->len && cvy_buf_equal(&slice, v->model->bytes, n));
        if (n % 2 && !cvy_buf_append(&slice, "slice", 5)) WANT(d, cvy_buf_len(&slice) == n + 5);
        cvy_buf_fini(&slice);
    }
    WANT(d, cvy_buf_advance(&own, drop) == model_advance(v->model, drop));
    if (!cvy_buf_append(&own, "visited", 7)) model_append(v->model, "visited", 7);
    if (drop % 4 == 0 && !cvy_buf_prepend(&own, "front", 5)) model_prepend(v->model, "front", 5);
    cvy_buf_hand_over(&own);
    WANT(d, cvy_buf_append_buf(v->there, &own) == 0);
}

/* To a thread and back (B9). The bytes leave buffer i and join it again, and its pool is its own again. */
static void hand_to_a_thread(drive_t *d, int i)
{
    uv_thread_t thread;
    cvy_buf_t there = CVY_BUF_INIT;
    model_buf_t model = { 0 };
    WANT(d, cvy_buf_append_buf(&there, &d->buf[i]) == 0);
    model_move(&model, &d->model[i], d->model[i].len);
    cvy_buf_hand_over(&there);
    visit_t v = { d, &there, &model };
    WANT(d, uv_thread_create(&thread, visit, &v) == 0);
    uv_thread_join(&thread);
    WANT(d, cvy_buf_append_buf(&d->buf[i], &there) == 0);
    model_move(&d->model[i], &model, model.len);
    model_fini(&model);
}

static void op_hand_over(drive_t *d, int i, int j)
{
    (void)j;
    if (drive_choose(d, 8) == 0) {
        hand_to_a_thread(d, i);
        return;
    }
    cvy_buf_hand_over(&d->buf[i]);
    WANT(d, d->buf[i].pool == NULL);
    d->buf[i].pool = drive_pool(d, i); /* as a buffer of the receiving loop would have */
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
    if (!drive_worked(d, cvy__slab_room(&d->slab, &base, &len))) return;
    size_t n = drive_length(d);
    n = n < len ? n : len;
    drive_fill(d, (uint8_t *)base, n);
    if (!drive_worked(d, cvy__slab_lend(&d->slab, &lent, n))) return;
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
    size_t offset = 0, n = drive_choose(d, 40);
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
    size_t to = drive_place(d, m->len), used = 0;
    uint64_t v = 0, back = 0;
    const integer_t *kind = &integers[n % integer_count];
    size_t left = (size_t)(m->consumed + m->len - d->position[i]);
    if (!want)
        want = integer_decode(kind, left ? m->bytes + (m->len - left) : NULL, left, &v, &used);
    else if (want == UV_EAGAIN)
        kind = NULL;
    if (kind) WANT(d, kind->cursor(c, &back) == want && (want || back == v));
    if (!want) d->position[i] += used;
    WANT(d, c->position == d->position[i]);
    if (drive_choose(d, 2) && !want) return;
    WANT(d, cvy_cursor_seek(c, to) == (to > m->len ? UV_ERANGE : 0));
    if (to <= m->len) d->position[i] = m->consumed + to;
}

static void never(void *arg, void *base, size_t n)
{
    (void)base;
    (void)n;
    WANT(arg, !"freed what was not taken");
}

/* What can't be: sizes near SIZE_MAX (volatile, or the compiler would say so), and places outside. Nothing changes. */
static void op_limits(drive_t *d, int i, int j)
{
    (void)j;
    cvy_buf_t *b = &d->buf[i], none;
    cvy_cursor_t c = d->cursor[i];
    volatile size_t most = SIZE_MAX - drive_choose(d, 3);
    uint8_t byte[4] = { 0 };
    const uint8_t *piece = NULL;
    size_t at = 7, len = b->len, past = len ? SIZE_MAX - len + 1 : most;
    uv_buf_t views[2] = { { 0 }, { 0 } };
    WANT(d, cvy_buf_reserve(b, most) == UV_ENOMEM && cvy_buf_reserve_total(b, most) == UV_ENOMEM);
    WANT(d, cvy_buf_reserve(b, SIZE_MAX / 2 + 1) == UV_ENOMEM && cvy_buf_reserve(b, SIZE_MAX / 2) == UV_ENOMEM);
    WANT(d, cvy_buf_append(b, byte, most) == UV_ENOMEM && cvy_buf_prepend(b, byte, past) == UV_ENOMEM);
    if (len) WANT(d, cvy_buf_wrap(b, byte, past, never, d) == UV_ENOMEM);
    views[0].base = views[1].base = (char *)byte;
    views[0].len = views[1].len -= 1; /* the most a view can hold */
    WANT(d, cvy_buf_replace(b, views, 2) == UV_ENOMEM);
    views[1].len = 2; /* where it wraps, to something small */
    WANT(d, cvy_buf_replace(b, views, 2) == UV_ENOMEM);
    WANT(d, cvy_buf_peek_at(b, most, byte, 1) == 0 && cvy_buf_peek_at(b, len, byte, 1) == 0);
    WANT(d, cvy_buf_find(b, most, byte, 1, &at) == UV_ERANGE && cvy_buf_find_byte(b, len + 1, 0, &at) == UV_ERANGE);
    WANT(d, cvy_buf_find(b, 0, byte, most, &at) == UV_EAGAIN && at == 7);
    WANT(d, cvy_buf_slice(&none, b, most, 1) == UV_ERANGE && cvy_buf_slice(&none, b, 1, most) == UV_ERANGE);
    WANT(d, cvy_buf_slice(&none, b, len + 1, 0) == UV_ERANGE && cvy_buf_slice(&none, b, 0, len + 1) == UV_ERANGE);
    WANT(d, cvy_buf_pullup(b, most, &piece) == UV_EAGAIN && !piece && cvy_buf_split(&none, b, most) == UV_EAGAIN);
    WANT(d, !cvy_buf_equal(b, byte, most));
    WANT(d, cvy_cursor_seek(&c, most) == UV_ERANGE && c.position == d->cursor[i].position);
    int err = cvy_cursor_offset(&c, &at);
    WANT(d, cvy_cursor_read(&c, byte, most) == (err ? err : UV_EAGAIN) && c.position == d->cursor[i].position);
    WANT(d, cvy_alloc_default() == &d->memory.alloc);
}

/* A buffer of SIZE_MAX - 1 bytes, which nobody reads: what would pass SIZE_MAX is refused whole, on both sides (B10). */
static void op_huge(drive_t *d, int i, int j)
{
    (void)j;
    static uint8_t base[1];
    cvy_buf_t *b = &d->buf[i], huge, twin;
    size_t half = SIZE_MAX / 2, len = b->len;
    if (len < 3 || half > UINTPTR_MAX - (uintptr_t)base) return; /* no address may wrap */
    cvy_buf_init(&huge, drive_pool(d, i));
    if (drive_worked(d, cvy_buf_wrap(&huge, base, half, NULL, NULL)) && drive_worked(d, cvy_buf_share(&twin, &huge))) {
        WANT(d, cvy_buf_append_buf(&huge, &twin) == 0 && huge.len == SIZE_MAX - 1);
        bool room = drive_worked(d, cvy_buf_append(&huge, base, 1)); /* a tail with room: the quick way in */
        if (room) WANT(d, huge.len == SIZE_MAX && cvy_buf_writable(&huge) == 0 && cvy_buf_commit(&huge, 8) == 0);
        size_t full = huge.len;
        WANT(d, cvy_buf_append(&huge, base, 2) == UV_ENOMEM && cvy_buf_prepend(&huge, base, 2) == UV_ENOMEM);
        WANT(d, cvy_buf_append_buf(&huge, b) == UV_ENOMEM && cvy_buf_append_buf(b, &huge) == UV_ENOMEM);
        WANT(d, cvy_buf_keep(&huge, b) == UV_ENOMEM && cvy_buf_keep(b, &huge) == UV_ENOMEM);
        WANT(d, cvy_buf_move(&huge, b, 2) == UV_ENOMEM && cvy_buf_move(b, &huge, half * 2) == UV_ENOMEM);
        WANT(d, cvy_buf_reserve(&huge, 2) == UV_ENOMEM && cvy_buf_reserve_total(&huge, full) == 0);
        WANT(d, cvy__buf_queue(&huge, b, false) == UV_ENOMEM && cvy_buf_wrap(&huge, base, 2, never, d) == UV_ENOMEM);
        WANT(d, huge.len == full && b->len == len && cvy_buf_advance(&huge, half) == half && huge.len == full - half);
    }
    cvy_buf_fini(&huge);
}

const drive_op_t drive_look_ops[] = {
    { "peek_at", op_peek_at, false }, { "views", op_views, false },         { "slice", op_slice, false },
    { "find", op_find, false },       { "pullup", op_pullup, false },       { "compact", op_compact, false },
    { "equal", op_equal, false },     { "integer", op_integer, false },     { "hand_over", op_hand_over, true },
    { "fini", op_fini, false },       { "read_slab", op_read_slab, false }, { "cursor", op_cursor, false },
    { "limits", op_limits, false },   { "huge", op_huge, false },           { "read_slab", op_read_slab, false },
};
const size_t drive_look_op_count = sizeof drive_look_ops / sizeof *drive_look_ops;
