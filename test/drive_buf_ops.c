/* Operations that move bytes in and out. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/queue.h"
#include "drive_buf_ops.h"

static void op_append(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = drive_bytes(d, &n);
    if (drive_worked(d, cvy_buf_append(&d->buf[i], bytes, n))) model_append(&d->model[i], bytes, n);
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
    if (drive_worked(d, cvy_buf_keep(&d->buf[i], &d->buf[j]))) model_move(&d->model[i], &d->model[j], d->model[j].len);
}

static void op_queue(drive_t *d, int i, int j)
{
    WANT(d, cvy__buf_queue(&d->buf[i], &d->buf[i], false) == UV_EINVAL);
    WANT(d, cvy__buf_queue(&d->buf[i], &d->buf[j], drive_choose(d, 2)) == 0);
    model_move(&d->model[i], &d->model[j], d->model[j].len);
}

static void op_prepend(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = drive_bytes(d, &n);
    if (drive_worked(d, cvy_buf_prepend(&d->buf[i], bytes, n))) model_prepend(&d->model[i], bytes, n);
    free(bytes);
}

/* A frame's way: the header off, and another on. */
static void op_reframe(drive_t *d, int i, int j)
{
    (void)j;
    uint8_t header[4];
    size_t n = cvy_buf_read(&d->buf[i], header, sizeof header);
    WANT(d, n == model_advance(&d->model[i], sizeof header));
    drive_fill(d, header, sizeof header);
    if (drive_worked(d, cvy_buf_prepend(&d->buf[i], header, n))) model_prepend(&d->model[i], header, n);
}

/* Behind the n bytes is a copy of them: nobody wrote to what was lent. */
static void unwrap(void *arg, void *base, size_t n)
{
    drive_t *d = arg;
    WANT(d, memcmp(base, (uint8_t *)base + n, n) == 0);
    d->wrapped--;
    free(base);
}

static void op_wrap(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = drive_bytes(d, &n), *lent = malloc(2 * n + 1);
    if (!lent) abort();
    memcpy(lent, bytes, n);
    memcpy(lent + n, bytes, n);
    free(bytes);
    d->wrapped++;
    if (drive_worked(d, cvy_buf_wrap(&d->buf[i], lent, n, unwrap, d))) {
        if (n) model_append(&d->model[i], lent, n);
    } else {
        unwrap(d, lent, n);
    }
}

static void op_replace(drive_t *d, int i, int j)
{
    (void)j;
    size_t n;
    uint8_t *bytes = drive_bytes(d, &n);
    uv_buf_t views[2] = { uv_buf_init((char *)bytes, (unsigned)(n / 3)),
                          uv_buf_init((char *)bytes + n / 3, (unsigned)(n - n / 3)) };
    if (drive_worked(d, cvy_buf_replace(&d->buf[i], views, 2))) model_replace(&d->model[i], bytes, n);
    free(bytes);
}

static void op_reserve(drive_t *d, int i, int j)
{
    (void)j;
    enum { VIEWS = 64 };
    cvy_buf_t *b = &d->buf[i];
    uv_buf_t views[VIEWS];
    size_t n = drive_length(d), filled = 0, at = 0;
    bool total = drive_choose(d, 2);
    if (!drive_worked(d, total ? cvy_buf_reserve_total(b, b->len + n) : cvy_buf_reserve(b, n))) return;
    WANT(d, cvy_buf_writable(b) >= n);
    size_t count = cvy_buf_tail_views(b, views, VIEWS);
    for (size_t k = 0; k < count; k++) {
        drive_fill(d, (uint8_t *)views[k].base, views[k].len);
        filled += views[k].len;
    }
    WANT(d, count == VIEWS || filled == cvy_buf_writable(b));
    n = n < filled ? n : filled;
    bool all = drive_choose(d, 16) == 0 && count < VIEWS && filled < 2 * d->largest;
    if (all) n = filled;
    WANT(d, cvy_buf_commit(b, all ? SIZE_MAX : n) == n);
    for (size_t k = 0; at < n; at += views[k].len, k++)
        model_append(&d->model[i], views[k].base, n - at < views[k].len ? n - at : views[k].len);
}

static void op_advance(drive_t *d, int i, int j)
{
    (void)j;
    size_t n = drive_place(d, d->buf[i].len);
    WANT(d, cvy_buf_advance(&d->buf[i], n) == model_advance(&d->model[i], n));
}

static void op_move(drive_t *d, int i, int j)
{
    size_t n = drive_place(d, d->buf[j].len);
    WANT(d, cvy_buf_move(&d->buf[i], &d->buf[i], n) == UV_EINVAL);
    if (drive_worked(d, cvy_buf_move(&d->buf[i], &d->buf[j], n))) model_move(&d->model[i], &d->model[j], n);
}

static void op_split(drive_t *d, int i, int j)
{
    cvy_buf_t out;
    size_t n = drive_place(d, d->buf[j].len);
    int err = cvy_buf_split(&out, &d->buf[j], n);
    if (n > d->model[j].len) {
        WANT(d, err == UV_EAGAIN);
        return;
    }
    if (!drive_worked(d, err)) return;
    WANT(d, out.len == n);
    WANT(d, cvy_buf_append_buf(&d->buf[i], &out) == 0);
    model_move(&d->model[i], &d->model[j], n);
    cvy_buf_fini(&out);
}

static void op_read(drive_t *d, int i, int j)
{
    (void)j;
    model_buf_t *m = &d->model[i];
    size_t n = drive_place(d, m->len), have = n < m->len ? n : m->len;
    uint8_t *out = malloc(n + 1);
    if (!out) abort();
    WANT(d, cvy_buf_peek(&d->buf[i], out, n) == have);
    WANT(d, have == 0 || memcmp(out, m->bytes, have) == 0);
    WANT(d, cvy_buf_read(&d->buf[i], out, n) == have);
    WANT(d, have == 0 || memcmp(out, m->bytes, have) == 0);
    model_advance(m, n);
    free(out);
}

const drive_op_t drive_ops[] = {
    { "append", op_append, false },   { "append_buf", op_append_buf, false },
    { "take", op_take, false },       { "keep", op_keep, false },
    { "queue", op_queue, true },      { "prepend", op_prepend, false },
    { "reframe", op_reframe, true },  { "wrap", op_wrap, false },
    { "replace", op_replace, false }, { "reserve", op_reserve, false },
    { "advance", op_advance, false }, { "move", op_move, false },
    { "split", op_split, false },     { "read", op_read, false },
    { "reframe", op_reframe, true },  { "split", op_split, false },
    { "move", op_move, false },       { "keep", op_keep, false },
    { "append", op_append, false },
};
const size_t drive_op_count = sizeof drive_ops / sizeof *drive_ops;
