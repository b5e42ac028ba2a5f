/*
 * The guard around every framing stage: holds what is no whole frame yet, cuts off frames, and stops when it is told to.
 *
 * Incoming bytes join `held` before anything is fired, so that a resume, an inbound call or a removal from inside a frame finds
 * them in order: such a call only appends (RUNNING), the loop that is on the stack goes on. Where nothing is held they are linked, not
 * copied, and only the rest that stays behind when the loop ends is put into memory of its own (LOOSE: not done yet).
 * A begun frame is not looked at again before it can be complete; what comes meanwhile is just kept.
 * After a framing error (POISONED) nothing is held and nothing is fired any more, whoever handles the error.
 */
#include <assert.h>
#include <uv.h>

#include "conveyor/quick.h"
#include "stages/decoder.h"
#include "stages/options.h"

enum {
    RUNNING = 1,
    LOOSE = 2,
    POISONED = 4,
    ARMED = 8,   /* the deadline of the frame that has begun */
    CLOSED = 16, /* read-closed waits behind what is held */
    STALE = 32   /* frames left while reading was suspended: what is held may have become small for what it pins */
};

int cvy__decoder_init(cvy_ctx_t *ctx, const cvy__decoder_ops_t *ops, int64_t deadline_ms)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    d->ops = ops;
    cvy_buf_init(&d->held, cvy_ctx_pool(ctx));
    return cvy__opt_ms(&d->deadline_ms, deadline_ms, CVY__DEADLINE_MS);
}

static void disarm(cvy_ctx_t *ctx, cvy__decoder_t *d)
{
    if (d->flags & ARMED) cvy_ctx_timer(ctx, CVY_OFF);
    d->flags &= (uint8_t)~ARMED;
}

static void arm(cvy_ctx_t *ctx, cvy__decoder_t *d)
{
    if (!d->deadline_ms) return;
    cvy_ctx_timer(ctx, d->deadline_ms);
    d->flags |= ARMED;
}

static void fail(cvy_ctx_t *ctx, cvy__decoder_t *d, int code, const cvy__fault_t *fault)
{
    d->flags |= POISONED;
    disarm(ctx, d);
    cvy_buf_fini(&d->held);
    cvy_ctx_fail_limit(ctx, code, fault->detail, fault->value, fault->limit);
    /* A read-closed that is held goes on behind the error, should that be handled. */
    if (d->flags & CLOSED) cvy_ctx_timer(ctx, 0);
}

static void fail_memory(cvy_ctx_t *ctx, cvy__decoder_t *d)
{
    fail(ctx, d, UV_ENOMEM, &(cvy__fault_t){ "no memory for a frame", 0, 0 });
}

static void fail_truncated(cvy_ctx_t *ctx, cvy__decoder_t *d)
{
    fail(ctx, d, UV_EPROTO, &(cvy__fault_t){ "end of stream inside a frame", 0, 0 });
}

/* Cuts one frame off and fires it. Answers as a fire does; UV_ENOMEM besides. */
static int emit(cvy_ctx_t *ctx, cvy__decoder_t *d, const cvy__cut_t *cut)
{
    cvy_buf_t frame;
    assert(cut->total && cut->total <= cvy_buf_len(&d->held) && cut->front + cut->back <= cut->total);
    if (cvy__buf_cut(&frame, &d->held, cut->front, cut->total - cut->front - cut->back)) return UV_ENOMEM;
    if (cut->back) cvy_buf_advance(&d->held, cut->back);
    return cvy__fire_inbound_bytes(ctx, &frame);
}

/* Puts what stays behind into memory of its own, where it would pin more than it is worth. */
static int keep_rest(cvy__decoder_t *d)
{
    cvy_buf_t rest = CVY_BUF_INIT;
    d->flags &= (uint8_t) ~(LOOSE | STALE);
    cvy_buf_take(&rest, &d->held);
    int err = cvy_buf_keep(&d->held, &rest);
    cvy_buf_fini(&rest);
    return err;
}

/* The loop has ended without an error: the rest is held until more comes, or until reading goes on. */
static void hold_rest(cvy_ctx_t *ctx, cvy__decoder_t *d, bool moved, bool suspended)
{
    if (!cvy_buf_len(&d->held)) {
        d->flags &= (uint8_t) ~(LOOSE | STALE);
        disarm(ctx, d);
        return;
    }
    /* Who takes frames one by one, suspending in each, does not have all the others looked at each time. */
    bool keep = (d->flags & LOOSE) || (!suspended && (moved || (d->flags & STALE)));
    if (keep && keep_rest(d)) {
        fail_memory(ctx, d);
        return;
    }
    if (moved && !keep) d->flags |= STALE;
    if (moved || !(d->flags & ARMED)) arm(ctx, d);
}

/* Fires frames until none is whole, or someone says stop. Returns why it stopped, 0 when all that can be fired was. */
static int run(cvy_ctx_t *ctx, cvy__decoder_t *d)
{
    cvy__cut_t cut = { 0, 0, 0 };
    cvy__fault_t fault = { NULL, 0, 0 };
    bool moved = false;
    int stop = 0, err = 0;
    d->flags |= RUNNING;
    if (d->ops->burst) stop = d->ops->burst(ctx, d, &moved);
    if (moved && !stop && !cvy_buf_len(&d->held)) err = UV_EAGAIN; /* mostly all of it was whole frames */
    while (!stop && !err && !(err = d->ops->next(d, &cut, &fault))) {
        moved = true;
        stop = emit(ctx, d, &cut);
    }
    d->flags &= (uint8_t)~RUNNING;
    if (stop == UV_ENOMEM)
        fail_memory(ctx, d);
    else if (stop == UV_EPIPE)
        cvy_buf_fini(&d->held);
    else if (!stop && err != UV_EAGAIN)
        fail(ctx, d, err, &fault);
    else if (stop != UV_ECANCELED)
        hold_rest(ctx, d, moved, stop == UV_EAGAIN);
    return stop;
}

/* Appends to what is held. Returns whether it is worth looking for a frame. */
static bool take(cvy_ctx_t *ctx, cvy__decoder_t *d, cvy_buf_t *in, bool wait)
{
    if (!wait && !cvy_buf_len(&d->held)) {
        d->flags |= LOOSE;
        return cvy__buf_take_over_quick(&d->held, in) || cvy_buf_append_buf(&d->held, in) == 0;
    }
    bool ends = d->ops->ends && d->ops->ends(d, in);
    if (cvy_buf_keep(&d->held, in)) {
        /* The loop that is running sees that nothing is held, and ends. */
        fail_memory(ctx, d);
        return false;
    }
    return !wait && (ends || cvy_buf_len(&d->held) >= d->need);
}

void cvy__decoder_on_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    if ((d->flags & POISONED) || !cvy_buf_len(in)) return;
    int stop = d->flags & RUNNING ? UV_EAGAIN : cvy_ctx_stopped(ctx);
    if (stop == UV_EPIPE) return;
    if (take(ctx, d, in, stop != 0)) run(ctx, d);
}

void cvy__decoder_on_inbound_resume(cvy_ctx_t *ctx)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    if ((d->flags & (POISONED | RUNNING)) || !cvy_buf_len(&d->held)) return;
    disarm(ctx, d); /* the peer could not go on meanwhile: its time starts anew */
    if (run(ctx, d) || !(d->flags & CLOSED) || (d->flags & POISONED)) return;
    if (cvy_buf_len(&d->held))
        fail_truncated(ctx, d);
    else
        cvy_ctx_read_closed_next(ctx);
}

int cvy__decoder_on_read_closed(cvy_ctx_t *ctx)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    if ((d->flags & POISONED) || !cvy_buf_len(&d->held)) return 0;
    int stop = d->flags & RUNNING ? UV_EAGAIN : cvy_ctx_stopped(ctx);
    if (!stop) stop = run(ctx, d);
    if (!stop && !cvy_buf_len(&d->held) && !(d->flags & POISONED)) return 0;
    d->flags |= CLOSED;
    if (!stop && !(d->flags & POISONED))
        fail_truncated(ctx, d);
    else if (d->flags & POISONED)
        cvy_ctx_timer(ctx, 0);
    return UV_EAGAIN;
}

void cvy__decoder_on_timer(cvy_ctx_t *ctx)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    d->flags &= (uint8_t)~ARMED;
    if (d->flags & POISONED)
        cvy_ctx_read_closed_next(ctx);
    else if (cvy_ctx_stopped(ctx))
        arm(ctx, d);
    else
        fail(ctx, d, UV_ETIMEDOUT, &(cvy__fault_t){ "frame not complete within deadline_ms", 0, 0 });
}

void cvy__decoder_on_removed(cvy_ctx_t *ctx)
{
    cvy__decoder_t *d = cvy__ctx_state(ctx);
    if (cvy_buf_len(&d->held)) cvy_fire_inbound_bytes(ctx, &d->held);
    cvy_buf_fini(&d->held);
}

static bool find_in(const uint8_t *chunk, size_t n, const uint8_t *bytes, size_t count, size_t *at)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < count; k++)
            if (chunk[i] == bytes[k]) {
                *at = i;
                return true;
            }
    return false;
}

bool cvy__find_any(const cvy_buf_t *b, size_t from, const uint8_t *bytes, size_t count, size_t *at, uint8_t *which)
{
    uint8_t chunk[512];
    size_t n, ask = 64, i; /* most frames are short: a small look first */
    while ((n = cvy_buf_peek_at(b, from, chunk, ask)) > 0) {
        if (find_in(chunk, n, bytes, count, &i)) {
            *at = from + i;
            *which = chunk[i];
            return true;
        }
        from += n;
        ask = sizeof chunk;
    }
    return false;
}
