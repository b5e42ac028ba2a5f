/* See drive_stage.h. The sink knows what comes next, so that a wrong frame is found when it arrives. */
#include "drive_stage.h"

#include <string.h>
#include <uv.h>

#include "base/memory.h"

/* Segments small enough that one too many shows. */
enum { SMALL_BYTES = 256, LARGE_BYTES = 2048, SEGMENT_BYTES = SMALL_BYTES + 256 /* with its header */ };

enum {
    SUSPENDS = 1, /* the sink does, in every third frame */
    PUSHED = 2,   /* bytes come from a stage in front of it, also while suspended */
    NESTED = 4,   /* ... and from inside a frame */
    REMOVES = 8,  /* the stage, after frame `at` */
    REPLACES = 16
};

typedef struct run {
    const drive_stage_t *s;
    unsigned how;
    uint32_t seed; /* pieces of random length; 0: see cut */
    size_t cut;    /* two pieces, the second from here on; 0: one */
    size_t most;   /* bytes of a random piece */
    size_t at; /* with REMOVES, REPLACES: in so manieth frame (from 1); 0: behind `mid` bytes, outside any callback */
    size_t mid;
    long fail;     /* the allocation that fails; 0: none */
    size_t fed;    /* bytes of the stream */
    size_t frames; /* that came */
    size_t raw;    /* of the stream, once the stage is gone: what comes next */
    bool gone, failed, closed, busy, inside, swapped;
    int error;
    cvy_embedded_t *e;
    cvy_ctx_t *front, *stage, *sink;
} run_t;

/* Segments come from the memory whose n-th allocation can be made to fail. */
static size_t memory;

static void *take_memory(void *arg, size_t n, size_t align)
{
    (void)arg;
    (void)align;
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

static void *grown(void *array, size_t *room, size_t count, size_t size)
{
    if (count < *room) return array;
    *room = 2 * count + 16;
    array = realloc(array, *room * size);
    if (!array) abort();
    return array;
}

void drive_stage_span(drive_stage_t *s, size_t at, size_t n)
{
    s->spans = grown(s->spans, &s->span_room, s->span_count, sizeof *s->spans);
    s->spans[s->span_count++] = (drive_span_t){ at, n };
}

void drive_stage_frame(drive_stage_t *s, size_t end)
{
    size_t first = s->frame_count ? s->frames[s->frame_count - 1].first + s->frames[s->frame_count - 1].count : 0;
    s->frames = grown(s->frames, &s->frame_room, s->frame_count, sizeof *s->frames);
    s->frames[s->frame_count++] = (drive_frame_t){ first, s->span_count - first, end };
}

void drive_stage_fini(drive_stage_t *s)
{
    free(s->spans);
    free(s->frames);
}

static run_t *of(cvy_ctx_t *ctx)
{
    return *(run_t **)cvy_ctx_state(ctx);
}

/* Where the stream goes on behind the frames that came. */
static size_t frames_end(const run_t *r)
{
    return r->frames ? r->s->frames[r->frames - 1].end : 0;
}

static size_t piece(run_t *r)
{
    size_t left = r->s->n - r->fed, n = left;
    if (r->seed) {
        r->seed = r->seed * 1664525u + 1013904223u; /* Numerical Recipes */
        n = 1 + (r->seed >> 16) % r->most;
    } else if (r->fed < r->cut) {
        n = r->cut - r->fed;
    }
    return n < left ? n : left;
}

/* From the stage in front: what a neighbour does that lets go of bytes. */
static void push(run_t *r, size_t n)
{
    cvy_buf_t bytes;
    const uint8_t *from = r->s->bytes + r->fed;
    r->fed += n;
    cvy_buf_init(&bytes, cvy_ctx_pool(r->front));
    if (cvy_buf_append(&bytes, from, n))
        r->failed = true; /* not the stage's */
    else
        cvy_fire_inbound_bytes(r->front, &bytes);
    cvy_buf_fini(&bytes);
}

static bool swaps(const run_t *r)
{
    return (r->how & (REMOVES | REPLACES)) && r->stage && !r->error;
}

static void swap_stage(run_t *r, cvy_conveyor_t *c)
{
    cvy_ctx_t *old = r->stage;
    bool again = r->how & REPLACES;
    r->stage = NULL;
    r->swapped = true;
    r->gone = !again;
    r->raw = frames_end(r) < r->fed ? frames_end(r) : r->fed; /* the last frame may go on in what is still to come */
    if (again) {
        const cvy_stage_with_t with = { r->s->stage, r->s->opts };
        int err = cvy_conveyor_replace(c, cvy_at_ctx(old), &with, 1);
        DRIVE_CHECK(!err || (r->fail && err == UV_ENOMEM));
    } else {
        DRIVE_CHECK(!cvy_conveyor_remove(c, cvy_at_ctx(old)));
    }
}

/* After each frame, as the run will have it. */
static void react(run_t *r, cvy_ctx_t *ctx)
{
    DRIVE_CHECK(!r->inside); /* what comes meanwhile waits its turn: no deeper stack (E10) */
    r->inside = true;
    if (swaps(r) && r->at && r->frames == r->at) swap_stage(r, cvy_ctx_conveyor(ctx));
    /* Until the stage that was swapped out may let go (C4: when it is off the stack), what came now would overtake that. */
    if ((r->how & NESTED) && !r->busy && !r->swapped && r->fed < r->s->n) {
        r->busy = true; /* once deep: the stack is not what is tried here */
        push(r, piece(r));
        r->busy = false;
    }
    if ((r->how & SUSPENDS) && r->frames % 3 == 0) cvy_ctx_suspend(ctx);
    r->inside = false;
}

static void expect_bytes(const run_t *r, size_t at, cvy_buf_t *in)
{
    uint8_t chunk[512];
    DRIVE_CHECK(cvy_buf_len(in) <= r->fed - at);
    for (size_t n; (n = cvy_buf_read(in, chunk, sizeof chunk)) > 0; at += n)
        DRIVE_CHECK(!memcmp(chunk, r->s->bytes + at, n));
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    run_t *r = of(ctx);
    DRIVE_CHECK(!r->error && !r->closed);
    if (r->gone) { /* what the stage let go of, and what came after it */
        size_t n = cvy_buf_len(in);
        expect_bytes(r, r->raw, in);
        r->raw += n;
        return;
    }
    DRIVE_CHECK(!r->s->event && !cvy_ctx_stopped(ctx) && r->frames < r->s->frame_count);
    const drive_span_t *want = &r->s->spans[r->s->frames[r->frames].first];
    DRIVE_CHECK(cvy_buf_len(in) == want->n);
    expect_bytes(r, want->at, in);
    r->frames++;
    react(r, ctx);
}

static void on_event(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    run_t *r = of(ctx);
    if (ev->type != r->s->event) return;
    DRIVE_CHECK(!r->error && !r->closed && !cvy_ctx_stopped(ctx));
    DRIVE_CHECK(r->frames < r->s->frame_count && r->s->same(r->s, r->frames, ev));
    r->frames++;
    react(r, ctx);
    DRIVE_CHECK(r->s->same(r->s, r->frames - 1, ev)); /* valid to the end */
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    run_t *r = of(ctx);
    DRIVE_CHECK(r->fail ||
                (!r->error && !r->closed && err->detail)); /* without memory the transport may fail as well */
    DRIVE_CHECK(r->fail || !strcmp(err->stage, r->s->stage->name));
    r->error = err->code; /* handled: the connection lives */
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    DRIVE_CHECK(!of(ctx)->closed);
    of(ctx)->closed = true;
    return 0;
}

static int sink_added(cvy_ctx_t *ctx, const void *opts)
{
    run_t *r = *(run_t *const *)opts;
    *(run_t **)cvy_ctx_state(ctx) = r;
    r->sink = ctx;
    return 0;
}

static void sink_removed(cvy_ctx_t *ctx)
{
    of(ctx)->sink = NULL;
}

static const cvy_stage_t front = { .name = "front" };
static const cvy_stage_t sink = { .name = "sink",
                                  .state_size = sizeof(run_t *),
                                  .on_added = sink_added,
                                  .on_removed = sink_removed,
                                  .on_inbound_bytes = on_bytes,
                                  .on_error = on_error,
                                  .on_read_closed = on_read_closed,
                                  .on_inbound = on_event };

static int init(cvy_conveyor_t *c, void *arg)
{
    run_t *r = arg;
    int err = cvy_conveyor_add_last(c, &front, NULL, &r->front);
    if (!err) err = cvy_conveyor_add_last(c, r->s->stage, r->s->opts, &r->stage);
    return err ? err : cvy_conveyor_add_last(c, &sink, &r, NULL);
}

static bool suspended(const run_t *r)
{
    return r->sink && cvy_transport_suspended(cvy_embedded_transport(r->e));
}

static void let_go(run_t *r)
{
    while (suspended(r)) {
        size_t frames = r->frames;
        cvy_ctx_resume(r->sink);
        cvy_embedded_run(r->e);
        DRIVE_CHECK(!suspended(r) || r->frames > frames);
    }
}

/* What is held is copied together where it came in small pieces (B5), else at most an eighth of what it pins. Where there was no memory to
 * copy it, it may stay where it was. */
static void check_memory(const run_t *r, size_t longest)
{
    if (r->fail && cvy__memory_failed()) return;
    size_t held = r->error ? 0 : r->fed - (r->gone ? r->raw : frames_end(r));
    size_t factor = longest <= 128 ? 2 : 9;
    DRIVE_CHECK(memory <= factor * held + 2 * SEGMENT_BYTES);
}

/* A frame comes with its last byte. */
static void check_prompt(const run_t *r)
{
    if (r->gone || r->error || r->fail || r->frames == r->s->frame_count) return;
    DRIVE_CHECK(r->s->frames[r->frames].end > r->fed);
}

static void feed(run_t *r)
{
    size_t longest = 0;
    while (r->fed < r->s->n && r->sink && !r->failed) {
        size_t n = piece(r);
        r->swapped = false;
        if (longest < n) longest = n;
        if (r->how & PUSHED) {
            push(r, n);
            cvy_embedded_run(r->e);
        } else {
            r->fed += n;
            if (cvy_embedded_feed(r->e, r->s->bytes + r->fed - n, n)) r->failed = true;
        }
        if (!(r->how & PUSHED) || r->seed % 4 == 0) let_go(r); /* pushed: some pieces meet a suspended stage */
        if (r->how & NESTED) longest = r->s->n;
        if (!suspended(r)) {
            check_prompt(r);
            check_memory(r, longest);
        }
        if (swaps(r) && !r->at && r->fed >= r->mid) swap_stage(r, cvy_embedded_conveyor(r->e));
    }
    if (r->sink) let_go(r);
}

static void check_end(const run_t *r)
{
    if (r->gone) {
        DRIVE_CHECK(!r->error && r->closed && r->raw >= frames_end(r));
        DRIVE_CHECK(r->raw == r->s->n);
        return;
    }
    DRIVE_CHECK(r->frames == r->s->frame_count);
    DRIVE_CHECK(r->error == r->s->error);
    DRIVE_CHECK(r->closed ||
                r->s->event); /* a stage of the application's own may leave the end to whoever gets the error */
}

/* Answers false where the chain could not be made. */
static bool once(run_t *r)
{
    static const cvy_alloc_t alloc = { take_memory, give_memory, NULL };
    static const cvy_pool_opts_t pool = {
        .alloc = &alloc, .small_bytes = SMALL_BYTES, .large_bytes = LARGE_BYTES, .keep_bytes = CVY_OFF
    };
    static const cvy_loop_opts_t loop = { .pool = &pool };
    static const cvy_transport_opts_t half = { .allow_half_close = 1 };
    const cvy_embedded_opts_t o = { .init = init, .arg = r, .loop = &loop, .transport = &half };
    cvy__memory_fail(r->fail);
    int err = cvy_embedded_new(&r->e, &o);
    if (!err) {
        feed(r);
        cvy_embedded_end(r->e);
        let_go(r);
        cvy_embedded_advance(r->e, 1);
        bool out_of_memory = r->fail && cvy__memory_failed();
        if (!out_of_memory) check_end(r);
        cvy_embedded_free(r->e);
    }
    r->fail = r->fail && !cvy__memory_failed() ? 0 : r->fail; /* 0: there are no more to fail */
    cvy__memory_fail(0);
    DRIVE_CHECK(!memory && !cvy__memory_live());
    return !err;
}

static void cuts(const drive_stage_t *s, uint32_t seed)
{
    for (size_t cut = 1; cut < s->n && s->n <= 64; cut++)
        once(&(run_t){ .s = s, .cut = cut });
    once(&(run_t){ .s = s, .seed = seed | 1, .most = 1 });
    once(&(run_t){ .s = s, .seed = seed | 1, .most = 23 });
    once(&(run_t){ .s = s, .seed = seed | 1, .most = 600 });
}

static void detours(const drive_stage_t *s, uint32_t seed)
{
    once(&(run_t){ .s = s, .how = SUSPENDS });
    once(&(run_t){ .s = s, .how = SUSPENDS, .seed = seed | 1, .most = 7 });
    once(&(run_t){ .s = s, .how = SUSPENDS | PUSHED, .seed = seed | 1, .most = 23 });
    once(&(run_t){ .s = s, .how = NESTED | PUSHED, .seed = seed | 1, .most = 1 + seed % 40 });
    once(&(run_t){ .s = s, .how = SUSPENDS | NESTED | PUSHED, .seed = seed | 1, .most = 1 + seed % 40 });
}

static void removals(const drive_stage_t *s, uint32_t seed)
{
    size_t at = seed % (s->frame_count + 1), mid = seed % (s->n + 1);
    if (s->skips) return; /* how much of that was skipped by then is not known here */
    once(&(run_t){ .s = s, .how = REMOVES, .at = at, .mid = mid });
    once(&(run_t){ .s = s, .how = REMOVES, .at = at, .mid = mid, .seed = seed | 1, .most = 7 });
    once(&(run_t){ .s = s, .how = REMOVES, .mid = mid, .seed = seed | 1, .most = 7 });
    once(&(run_t){ .s = s, .how = REMOVES | SUSPENDS, .at = at / 3 * 3, .mid = mid, .seed = seed | 1, .most = 29 });
    if (s->drops_lf) return;
    once(&(run_t){ .s = s, .how = REPLACES, .at = at, .mid = mid, .seed = seed | 1, .most = 29 });
    once(&(run_t){ .s = s, .how = REPLACES, .mid = mid, .seed = seed | 1, .most = 7 });
    once(&(run_t){ .s = s, .how = REPLACES | NESTED | PUSHED, .at = at, .mid = mid, .seed = seed | 1, .most = 5 });
}

/* One allocation fails: what comes is right up to there, and nothing is lost. */
static void failures(const drive_stage_t *s, uint32_t seed)
{
    run_t r = { .s = s, .seed = seed | 1, .most = 1 + seed % 300, .fail = 1 + (long)(seed >> 8) % 24 };
    once(&r);
}

bool drive_stage_run(drive_stage_t *s)
{
    run_t whole = { .s = s };
    bool added = once(&whole);
    if (added) {
        cuts(s, s->seed);
        detours(s, s->seed);
        removals(s, s->seed);
        failures(s, s->seed);
    }
    return added;
}
