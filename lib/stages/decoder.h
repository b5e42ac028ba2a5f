/*
 * What all stages that cut frames out of a stream share: a decoder is the first member of their state, finds the next frame when
 * asked, and the slots here do the rest (see decoder.c).
 */
#ifndef CVY_STAGES_DECODER_H
#define CVY_STAGES_DECODER_H

#include <conveyor/stage.h>

typedef struct cvy__decoder cvy__decoder_t;

/* Where the first frame of d->held lies: the bytes [front, total - back) are delivered, all of total are taken. */
typedef struct cvy__cut {
    size_t total; /* at least 1 */
    size_t front;
    size_t back;
} cvy__cut_t;

typedef struct cvy__fault {
    const char *detail;
    uint64_t value, limit;
} cvy__fault_t;

typedef struct cvy__decoder_ops {
    /*
     * Looks at d->held, from whose front it may drop what belongs to no frame. 0: *cut. UV_EAGAIN: not all there, and looking again is in vain before held has
     * d->need bytes or ends() says so. Anything else is final: *fault.
     */
    int (*next)(cvy__decoder_t *d, cvy__cut_t *cut, cvy__fault_t *fault);
    /* Fires whole frames as long as they are of the usual form, in a tight loop, then leaves the rest to next; *moved: at least one. Answers as a
     * fire does: why to stop, or 0. NULL: none is usual. */
    int (*burst)(cvy_ctx_t *ctx, cvy__decoder_t *d, bool *moved);
    /* Whether a frame that has begun might end within in, which comes next; NULL: d->need alone says it. */
    bool (*ends)(const cvy__decoder_t *d, const cvy_buf_t *in);
} cvy__decoder_ops_t;

struct cvy__decoder {
    const cvy__decoder_ops_t *ops;
    cvy_buf_t held;
    uint64_t need;
    uint32_t deadline_ms; /* 0: off */
    uint8_t flags;
};

/* A frame must be complete so long after its first byte (M1). */
#define CVY__DEADLINE_MS 30000

/* From on_added. Errors: UV_EINVAL. */
int cvy__decoder_init(cvy_ctx_t *ctx, const cvy__decoder_ops_t *ops, int64_t deadline_ms);

/* The slots. */
void cvy__decoder_on_removed(cvy_ctx_t *ctx);
void cvy__decoder_on_timer(cvy_ctx_t *ctx);
void cvy__decoder_on_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in);
int cvy__decoder_on_read_closed(cvy_ctx_t *ctx);
void cvy__decoder_on_inbound_resume(cvy_ctx_t *ctx);

#define CVY__DECODER_SLOTS                                                                            \
    .on_removed = cvy__decoder_on_removed, .on_timer = cvy__decoder_on_timer,                         \
    .on_inbound_bytes = cvy__decoder_on_inbound_bytes, .on_read_closed = cvy__decoder_on_read_closed, \
    .on_inbound_resume = cvy__decoder_on_inbound_resume

/* Finds the first of count bytes (at most 4) at or behind from. false: none of them is there. */
bool cvy__find_any(const cvy_buf_t *b, size_t from, const uint8_t *bytes, size_t count, size_t *at, uint8_t *which);

#endif
