/*
 * What the fuzzers of framing stages share. One input is run three times through an embedded transport, cut differently each time.
 * Checked: the frames and the error are the same however the stream is cut, no frame follows an error, nothing is emitted while
 * reading is suspended, and the memory in use stays within what the stage may hold.
 */
#ifndef CVY_FUZZ_STAGE_H
#define CVY_FUZZ_STAGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#define FUZZ_CHECK(what)                                               \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                   \
        }                                                              \
    } while (0)

typedef struct fuzz_run {
    const cvy_stage_t *stage;
    const void *opts;
    bool suspends; /* the sink suspends in every third frame */
    uint64_t hash;
    size_t frames, bytes;
    int error;
    cvy_ctx_t *sink;
} fuzz_run_t;

static size_t fuzz_memory;

static inline void *fuzz_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    (void)align;
    fuzz_memory += n;
    return malloc(n);
}

static inline void fuzz_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    (void)align;
    fuzz_memory -= n;
    free(p);
}

static inline fuzz_run_t *fuzz_of(cvy_ctx_t *ctx)
{
    return *(fuzz_run_t **)cvy_ctx_state(ctx);
}

static inline void fuzz_mix(fuzz_run_t *r, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        r->hash = (r->hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u; /* FNV-1a */
}

static inline void fuzz_on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    fuzz_run_t *r = fuzz_of(ctx);
    uint8_t chunk[512];
    uint64_t len = cvy_buf_len(in);
    FUZZ_CHECK(!r->error);
    FUZZ_CHECK(!cvy_ctx_stopped(ctx));
    fuzz_mix(r, &len, sizeof len);
    for (size_t n; (n = cvy_buf_read(in, chunk, sizeof chunk)) > 0;)
        fuzz_mix(r, chunk, n);
    r->bytes += (size_t)len;
    if (r->frames++ % 3 == 2 && r->suspends) cvy_ctx_suspend(ctx);
}

static inline void fuzz_on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    fuzz_run_t *r = fuzz_of(ctx);
    FUZZ_CHECK(!r->error);
    r->error = err->code;
}

static inline int fuzz_sink_added(cvy_ctx_t *ctx, const void *opts)
{
    fuzz_run_t *r = *(fuzz_run_t *const *)opts;
    *(fuzz_run_t **)cvy_ctx_state(ctx) = r;
    r->sink = ctx;
    return 0;
}

static const cvy_stage_t fuzz_sink = { .name = "sink",
                                       .state_size = sizeof(fuzz_run_t *),
                                       .on_added = fuzz_sink_added,
                                       .on_inbound_bytes = fuzz_on_bytes,
                                       .on_error = fuzz_on_error };

static inline int fuzz_init(cvy_conveyor_t *c, void *arg)
{
    fuzz_run_t *r = arg;
    int err = cvy_conveyor_add_last(c, r->stage, r->opts, NULL);
    return err ? err : cvy_conveyor_add_last(c, &fuzz_sink, &r, NULL);
}

/* Cut at random by seed; 0: not at all. held: what the stage may hold at most. False: the options were refused. */
static inline bool fuzz_once(fuzz_run_t *r, const uint8_t *bytes, size_t n, uint32_t seed, size_t held)
{
    static const cvy_alloc_t alloc = { fuzz_alloc, fuzz_free, NULL };
    static const cvy_pool_opts_t pool = { .alloc = &alloc, .keep_bytes = CVY_OFF };
    static const cvy_loop_opts_t loop = { .pool = &pool };
    static const cvy_transport_opts_t half = { .allow_half_close = 1 };
    cvy_embedded_t *e = NULL;
    const cvy_embedded_opts_t o = { .init = fuzz_init, .arg = r, .loop = &loop, .transport = &half };
    r->hash = 0xcbf29ce484222325u;
    if (cvy_embedded_new(&e, &o)) return false;
    for (size_t at = 0, m; at < n; at += m) {
        m = n - at;
        if (seed) {
            seed = seed * 1664525 + 1013904223; /* Numerical Recipes */
            if (1 + (seed >> 16) % 23 < m) m = 1 + (seed >> 16) % 23;
        }
        FUZZ_CHECK(!cvy_embedded_feed(e, bytes + at, m));
        while (r->suspends && cvy_transport_suspended(cvy_embedded_transport(e))) {
            cvy_ctx_resume(r->sink);
            cvy_embedded_run(e);
        }
        /* Twice what is held (B5), one read, and a segment to spare. */
        FUZZ_CHECK(fuzz_memory <= 2 * (held + m) + 4096);
        FUZZ_CHECK(r->bytes <= at + m);
    }
    cvy_embedded_end(e);
    cvy_embedded_free(e);
    FUZZ_CHECK(!fuzz_memory);
    return true;
}

static inline void fuzz_stage(const cvy_stage_t *stage, const void *opts, const uint8_t *bytes, size_t n, uint32_t seed,
                              size_t held)
{
    fuzz_run_t whole = { .stage = stage, .opts = opts }, cut = whole, slow = whole;
    slow.suspends = true;
    if (!fuzz_once(&whole, bytes, n, 0, n)) return;
    fuzz_once(&cut, bytes, n, seed | 1, held < n ? held : n);
    fuzz_once(&slow, bytes, n, ~seed | 1, n);
    FUZZ_CHECK(whole.frames == cut.frames && whole.hash == cut.hash && whole.error == cut.error);
    FUZZ_CHECK(whole.frames == slow.frames && whole.hash == slow.hash && whole.error == slow.error);
}

#endif
