/*
 * Buffers against the oracle: the machine that chooses an operation (drive_buf_ops.c, drive_buf_look.c), runs it on both and compares.
 * Whether it failed for want of memory is known from the allocator, so that an answer of UV_ENOMEM without cause, or a success
 * without memory, is found as well.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/chain.h"
#include "drive_buf_ops.h"

void drive_wrong(const drive_t *d, const char *format, ...)
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
    if (block->n != n || block->align != align) drive_wrong(NULL, "freed %zu of %zu bytes", n, block->n);
    m->live--;
    m->live_bytes -= n;
    free(block);
}

void drive_alloc_init(drive_alloc_t *m)
{
    *m = (drive_alloc_t){ .alloc = { drive_malloc, drive_free, m }, .dice = 1 };
}

uint32_t drive_choose(drive_t *d, uint32_t below)
{
    return d->source.next(d->source.arg) % below;
}

/* Lengths that matter: none, a header, around the reserve, up to the largest. */
size_t drive_length(drive_t *d)
{
    switch (drive_choose(d, 8)) {
    case 0: return drive_choose(d, 3);
    case 1: return 4;
    case 2: return 15 + drive_choose(d, 4);
    case 3: return drive_choose(d, 64);
    case 4: return 40 + drive_choose(d, 60);
    case 5: return drive_choose(d, 700);
    default: return drive_choose(d, (uint32_t)d->largest + 1);
    }
}

/* Bytes of a small alphabet, so that searches find something. */
void drive_fill(drive_t *d, uint8_t *bytes, size_t n)
{
    uint32_t x = d->source.next(d->source.arg) | 1u;
    for (size_t i = 0; i < n; i++) {
        x = x * 1103515245u + 12345u;
        bytes[i] = (uint8_t)((x >> 16) % 5);
    }
}

uint8_t *drive_bytes(drive_t *d, size_t *n)
{
    *n = drive_length(d);
    uint8_t *bytes = malloc(*n + 1);
    if (!bytes) abort();
    drive_fill(d, bytes, *n);
    return bytes;
}

size_t drive_place(drive_t *d, size_t len)
{
    return len ? drive_choose(d, (uint32_t)len + 2) : drive_choose(d, 2);
}

void drive_check_shape(const cvy_buf_t *b)
{
    size_t len = 0;
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
        WANT(NULL, cvy__segment_room(s) > 0);
    WANT(NULL, last == b->tail && len == b->len);
}

static void compare(const drive_t *d, int i)
{
    const cvy_buf_t *b = &d->buf[i];
    const model_buf_t *m = &d->model[i];
    if (b->len != m->len) drive_wrong(d, "buffer %d holds %zu bytes instead of %zu", i, b->len, m->len);
    if (b->consumed != m->consumed) drive_wrong(d, "buffer %d is at the wrong place of its stream", i);
    drive_check_shape(b);
    size_t at = 0;
    for (const cvy_view_t *v = b->head; v; at += v->len, v = v->next) {
        if (memcmp(v->data, m->bytes + at, v->len) != 0) drive_wrong(d, "buffer %d has other bytes from %zu on", i, at);
    }
}

/* 0 or UV_ENOMEM, and the latter exactly when the allocator refused. */
bool drive_worked(const drive_t *d, int err)
{
    WANT(d, err == 0 || err == UV_ENOMEM);
    WANT(d, (err == UV_ENOMEM) == (d->memory.refused > 0));
    return err == 0;
}

cvy_pool_t *drive_pool(const drive_t *d, int i)
{
    return i == DRIVE_BUFS - 1 ? NULL : d->pool[i == DRIVE_BUFS - 2];
}

void drive_init(drive_t *d, const cvy_pool_opts_t *opts, drive_source_t source)
{
    memset(d, 0, sizeof *d);
    drive_alloc_init(&d->memory);
    cvy_pool_opts_t o = *opts,
                    other = { .alloc = &d->memory.alloc, .small_bytes = 100, .large_bytes = 1500, .keep_bytes = 3000 };
    o.alloc = &d->memory.alloc;
    d->source = source;
    d->largest = 3000;
    cvy_alloc_set_default(&d->memory.alloc);
    WANT(d, cvy_pool_new(&d->pool[0], &o) == 0 && cvy_pool_new(&d->pool[1], &other) == 0);
    d->slab.pool = d->pool[0];
    for (int i = 0; i < DRIVE_BUFS; i++) {
        cvy_buf_init(&d->buf[i], drive_pool(d, i));
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
    int i = (int)drive_choose(d, DRIVE_BUFS), j = (i + 1 + (int)drive_choose(d, DRIVE_BUFS - 1)) % DRIVE_BUFS;
    uint32_t n = drive_choose(d, (uint32_t)(drive_op_count + drive_look_op_count));
    const drive_op_t *op = n < drive_op_count ? &drive_ops[n] : &drive_look_ops[n - drive_op_count];
    size_t room = cvy_buf_writable(&d->buf[i]);
    d->op = op->name;
    d->steps++;
    d->memory.refused = 0;
    op->run(d, i, j);
    /* What failed took or left nothing. */
    if (d->memory.refused && !op->goes_on) WANT(d, cvy_buf_writable(&d->buf[i]) == room);
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
    WANT(d, cvy_pool_live(d->pool[0]) == 0 && cvy_pool_live(d->pool[1]) == 0);
    WANT(d, cvy_pool_live(NULL) == 0);
    cvy_pool_free(d->pool[0]);
    cvy_pool_free(d->pool[1]);
    WANT(d, d->wrapped == 0);
    WANT(d, d->memory.live == 0);
    cvy_alloc_set_default(NULL);
    WANT(d, cvy_alloc_default() == cvy_alloc_malloc());
}
