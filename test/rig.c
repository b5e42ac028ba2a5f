/* The rig. The sink's state is a pointer to it. */
#include "rig.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <uv.h>

#include "base/memory.h"

static rig_t *of(cvy_ctx_t *ctx)
{
    return *(rig_t **)cvy_ctx_state(ctx);
}

static void put(rig_t *r, const void *bytes, size_t n)
{
    if (r->len + n > r->cap) {
        r->cap = 2 * (r->len + n);
        r->text = realloc(r->text, r->cap);
        ck_assert_ptr_nonnull(r->text);
    }
    if (n) memcpy(r->text + r->len, bytes, n);
    r->len += n;
}

static void write_down(rig_t *r, cvy_buf_t *in)
{
    uint32_t n = (uint32_t)cvy_buf_len(in);
    uint8_t chunk[4096];
    put(r, &n, sizeof n);
    for (size_t got; (got = cvy_buf_read(in, chunk, sizeof chunk)) > 0;)
        put(r, chunk, got);
}

static void keep(rig_t *r, cvy_buf_t *in)
{
    if (r->frames > r->list_cap) {
        r->list_cap = 2 * r->frames;
        r->list = realloc(r->list, r->list_cap * sizeof *r->list);
        ck_assert_ptr_nonnull(r->list);
    }
    cvy_buf_t *one = &r->list[r->frames - 1];
    cvy_buf_init(one, NULL);
    ck_assert_int_eq(cvy_buf_keep(one, in), 0);
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    rig_t *r = of(ctx);
    r->frames++;
    if (r->errors) r->after_error++;
    if (cvy_ctx_stopped(ctx) == UV_EAGAIN) r->suspended_frames++;
    if (r->on_frame) r->on_frame(r, ctx, in);
    if (r->hold)
        keep(r, in);
    else
        write_down(r, in);
    if (r->suspend_at == r->frames || r->suspend_at == SIZE_MAX) cvy_ctx_suspend(ctx);
    if (r->close_at == r->frames) cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
    if (r->remove_at == r->frames) cvy_conveyor_remove(cvy_ctx_conveyor(ctx), cvy_at_ctx(r->ctx));
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    rig_t *r = of(ctx);
    r->errors++;
    r->error = *err;
    if (!r->handle) cvy_fire_error(ctx, err);
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    of(ctx)->read_closed = true;
    return 0;
}

static int sink_added(cvy_ctx_t *ctx, const void *opts)
{
    rig_t *r = *(rig_t *const *)opts;
    *(rig_t **)cvy_ctx_state(ctx) = r;
    r->sink = ctx;
    return 0;
}

static const cvy_stage_t sink = { .name = "sink",
                                  .state_size = sizeof(rig_t *),
                                  .on_added = sink_added,
                                  .on_inbound_bytes = on_bytes,
                                  .on_error = on_error,
                                  .on_read_closed = on_read_closed };

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    rig_t *r = arg;
    (void)t;
    r->cause = cause;
    r->sink = NULL;
}

static int init(cvy_conveyor_t *c, void *arg)
{
    rig_t *r = arg;
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_end, r);
    int err = cvy_conveyor_add_last(c, r->stage, r->opts, &r->ctx);
    return err ? err : cvy_conveyor_add_last(c, &sink, &r, NULL);
}

/* Segments from the memory whose n-th allocation can be made to fail. */
static size_t memory;

static void *take_memory(void *arg, size_t n, size_t align)
{
    (void)arg;
    ck_assert_uint_le(align, _Alignof(max_align_t));
    void *p = cvy__malloc(n);
    if (p) memory += n;
    return p;
}

static void give_memory(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    (void)align;
    memory -= n;
    cvy__free(p);
}

int rig_try(rig_t *r)
{
    static const cvy_alloc_t alloc = { take_memory, give_memory, NULL };
    static const cvy_pool_opts_t pool = { .alloc = &alloc };
    static const cvy_pool_opts_t no_cache = { .alloc = &alloc, .keep_bytes = CVY_OFF };
    const cvy_loop_opts_t loop = { .pool = r->no_cache ? &no_cache : &pool };
    static const cvy_transport_opts_t half = { .allow_half_close = 1 };
    r->cause = 1;
    const cvy_embedded_opts_t o = {
        .init = init, .arg = r, .transport = r->half_close ? &half : r->transport, .loop = &loop
    };
    return cvy_embedded_new(&r->e, &o);
}

void rig_open(rig_t *r)
{
    ck_assert_int_eq(rig_try(r), 0);
}

void rig_close(rig_t *r)
{
    for (size_t i = 0; r->hold && i < r->frames; i++)
        cvy_buf_fini(&r->list[i]);
    free(r->list);
    free(r->text);
    cvy_embedded_free(r->e);
    ck_assert_uint_eq(cvy__memory_live(), 0); /* segments included: see rig_try */
}

void rig_feed(rig_t *r, const void *bytes, size_t n)
{
    int err = cvy_embedded_feed(r->e, bytes, n);
    ck_assert(!err || err == UV_EPIPE || err == UV_ENOMEM);
}

void rig_feed_cut(rig_t *r, const void *bytes, size_t n, size_t at)
{
    rig_feed(r, bytes, at);
    rig_feed(r, (const uint8_t *)bytes + at, n - at);
}

void rig_feed_pieces(rig_t *r, const void *bytes, size_t n, size_t piece)
{
    for (size_t at = 0; at < n; at += piece)
        rig_feed(r, (const uint8_t *)bytes + at, n - at < piece ? n - at : piece);
}

uint32_t rig_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

void rig_feed_random(rig_t *r, const void *bytes, size_t n, size_t most, uint32_t *seed)
{
    for (size_t at = 0, m; at < n; at += m) {
        m = 1 + rig_random(seed) % most;
        if (m > n - at) m = n - at;
        rig_feed(r, (const uint8_t *)bytes + at, m);
    }
}

void rig_resume(rig_t *r)
{
    cvy_ctx_resume(r->sink);
    cvy_embedded_run(r->e);
}

void rig_expect(const rig_t *r, ...)
{
    rig_t want = { 0 };
    va_list args;
    va_start(args, r);
    for (const char *text; (text = va_arg(args, const char *));) {
        uint32_t n = (uint32_t)strlen(text);
        put(&want, &n, sizeof n);
        put(&want, text, n);
        want.frames++;
    }
    va_end(args);
    ck_assert_uint_eq(r->frames, want.frames);
    ck_assert_uint_eq(r->len, want.len);
    ck_assert(!want.len || !memcmp(r->text, want.text, want.len));
    free(want.text);
}

void rig_write(rig_t *r, const void *bytes, size_t n)
{
    cvy_fire_outbound_copy(r->sink, bytes, n);
    cvy_embedded_run(r->e);
}

bool rig_sent(const rig_t *r, const void *bytes, size_t n)
{
    return cvy_buf_equal(cvy_embedded_sent(r->e), bytes, n);
}

size_t rig_live(const rig_t *r)
{
    return cvy_pool_live(cvy_loop_pool(cvy_embedded_loop(r->e)));
}

size_t rig_memory(void)
{
    return memory;
}

static void expect_same(const rig_t *a, const rig_t *b)
{
    ck_assert_uint_eq(a->frames, b->frames);
    ck_assert_uint_eq(a->len, b->len);
    ck_assert(!a->len || !memcmp(a->text, b->text, a->len));
    ck_assert_int_eq(a->error.code, b->error.code);
    ck_assert_uint_eq(b->after_error, 0);
}

static void finish(rig_t *r)
{
    cvy_embedded_end(r->e);
    cvy_embedded_run(r->e);
}

void rig_cut_everywhere(const rig_t *pattern, const void *bytes, size_t n)
{
    rig_t whole = *pattern;
    uint32_t seed = 2463534242u;
    rig_open(&whole);
    rig_feed(&whole, bytes, n);
    finish(&whole);
    for (size_t i = 0; i < 2 * n + 32; i++) {
        rig_t r = *pattern;
        rig_open(&r);
        if (i < n)
            rig_feed_cut(&r, bytes, n, i);
        else if (i < 2 * n)
            rig_feed_pieces(&r, bytes, n, i - n + 1);
        else
            rig_feed_random(&r, bytes, n, 1 + i - 2 * n, &seed);
        finish(&r);
        expect_same(&whole, &r);
        free(r.text);
        r.text = NULL;
        cvy_embedded_free(r.e);
    }
    rig_close(&whole);
}

/* Answers UV_ENOMEM when it was the rig, not the stage, that had no memory. */
static int one_failing(rig_t *r, const void *bytes, size_t n, size_t piece)
{
    int err = rig_try(r);
    if (err) r->e = NULL;
    for (size_t at = 0; !err && at < n && r->sink; at += piece)
        err = cvy_embedded_feed(r->e, (const uint8_t *)bytes + at, n - at < piece ? n - at : piece);
    if (err) return err;
    if (r->sink) rig_write(r, bytes, n < 100 ? n : 100);
    finish(r);
    cvy_embedded_advance(r->e, 100000);
    return 0;
}

void rig_fail_every_allocation(const rig_t *pattern, const void *bytes, size_t n, size_t piece)
{
    rig_t whole = *pattern;
    bool failed = true;
    rig_open(&whole);
    rig_feed_pieces(&whole, bytes, n, piece);
    ck_assert_uint_gt(whole.frames, 0);
    free(whole.text);
    cvy_embedded_free(whole.e);
    for (long nth = 1; failed; nth++) {
        rig_t r = *pattern;
        cvy__memory_fail(nth);
        int err = one_failing(&r, bytes, n, piece);
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        ck_assert(!err || err == UV_ENOMEM);
        if (!err && r.frames < whole.frames) ck_assert_int_eq(r.cause, UV_ENOMEM);
        if (!failed) ck_assert_uint_eq(r.frames, whole.frames);
        rig_close(&r);
        ck_assert_int_lt(nth, 100000);
    }
}
