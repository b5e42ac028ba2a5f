/*
 * Flow control: writability holds reading, and buffers that arrive while reading is suspended wait.
 *
 * They wait in one queue of bytes and one of lengths, so that each goes on as the buffer that it was. The room for that is taken
 * when the first one has to wait: most connections never need it.
 */
#include <conveyor/flow_control.h>
#include <uv.h>

#include "base/memory.h"
#include "conveyor/quick.h"

typedef struct waiting {
    cvy_buf_t bytes;
    cvy_buf_t lengths; /* varints */
} waiting_t;

typedef struct flow_control {
    waiting_t *waiting; /* NULL: never needed */
    bool uncoupled;
    bool draining; /* a drain is on the stack: what arrives goes behind */
    bool broken;   /* bytes were lost: nothing goes on any more */
    bool closed;   /* read-closed waits */
} flow_control_t;

static bool holds(const flow_control_t *f)
{
    return f->waiting && cvy_buf_len(&f->waiting->lengths);
}

static void fail(cvy_ctx_t *ctx, flow_control_t *f)
{
    f->broken = true;
    if (f->waiting) {
        cvy_buf_fini(&f->waiting->bytes);
        cvy_buf_fini(&f->waiting->lengths);
    }
    cvy_ctx_fail(ctx, UV_ENOMEM, "no memory for bytes that wait");
}

/* Errors: UV_ENOMEM. */
static int hold(cvy_ctx_t *ctx, flow_control_t *f, cvy_buf_t *in)
{
    if (!f->waiting) {
        f->waiting = cvy__malloc(sizeof *f->waiting);
        if (!f->waiting) return UV_ENOMEM;
        cvy_buf_init(&f->waiting->bytes, cvy_ctx_pool(ctx));
        cvy_buf_init(&f->waiting->lengths, cvy_ctx_pool(ctx));
    }
    int err = cvy_buf_append_varint(&f->waiting->lengths, cvy_buf_len(in));
    return err ? err : cvy_buf_keep(&f->waiting->bytes, in);
}

static void flow_control_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    flow_control_t *f = cvy__ctx_state(ctx);
    int stop = cvy__ctx_answer(ctx);
    if (f->broken || stop == UV_EPIPE) return;
    if (!stop && !holds(f) && !f->draining)
        cvy__fire_inbound_bytes(ctx, in);
    else if (hold(ctx, f, in))
        fail(ctx, f);
}

/* Answers as a fire does; UV_ENOMEM besides. */
static int fire_first(cvy_ctx_t *ctx, waiting_t *w)
{
    uint64_t n = 0;
    cvy_buf_t one;
    cvy_buf_read_varint(&w->lengths, &n);
    int err = cvy_buf_split(&one, &w->bytes, (size_t)n);
    return err ? err : cvy_fire_inbound_bytes(ctx, &one);
}

static void flow_control_resume(cvy_ctx_t *ctx)
{
    flow_control_t *f = cvy_ctx_state(ctx);
    int stop = 0;
    if (f->draining) return;
    f->draining = true;
    while (!stop && holds(f))
        stop = fire_first(ctx, f->waiting);
    f->draining = false;
    if (stop == UV_ENOMEM)
        fail(ctx, f);
    else if (f->closed && !holds(f) && !stop)
        cvy_ctx_read_closed_next(ctx);
}

static int flow_control_read_closed(cvy_ctx_t *ctx)
{
    flow_control_t *f = cvy_ctx_state(ctx);
    f->closed = holds(f) || f->draining;
    return f->closed ? UV_EAGAIN : 0;
}

static void flow_control_outbound_suspend(cvy_ctx_t *ctx)
{
    const flow_control_t *f = cvy_ctx_state(ctx);
    if (!f->uncoupled) cvy_ctx_suspend(ctx);
}

static void flow_control_outbound_resume(cvy_ctx_t *ctx)
{
    cvy_ctx_resume(ctx);
}

/* Added while the queue is above its mark: the suspend has gone by, the resume is still to come. Not writable for good is no reason. */
static int flow_control_active(cvy_ctx_t *ctx)
{
    if (!(ctx->conveyor->gate & CVY__GATE_SHUT) && !cvy_ctx_writable(ctx)) flow_control_outbound_suspend(ctx);
    return 0;
}

static int flow_control_added(cvy_ctx_t *ctx, const void *opts)
{
    const cvy_flow_control_opts_t *o = opts;
    flow_control_t *f = cvy_ctx_state(ctx);
    f->uncoupled = o && o->uncoupled == 1;
    return 0;
}

static void flow_control_removed(cvy_ctx_t *ctx)
{
    flow_control_t *f = cvy_ctx_state(ctx);
    int err = 0;
    while (holds(f) && err != UV_ENOMEM)
        err = fire_first(ctx, f->waiting);
    if (err == UV_ENOMEM) fail(ctx, f);
    if (f->waiting) {
        cvy_buf_fini(&f->waiting->bytes);
        cvy_buf_fini(&f->waiting->lengths);
        cvy__free(f->waiting);
        f->waiting = NULL;
    }
}

const cvy_stage_t cvy_flow_control_stage = {
    .name = "flow_control",
    .state_size = sizeof(flow_control_t),
    .on_added = flow_control_added,
    .on_removed = flow_control_removed,
    .on_active = flow_control_active,
    .on_inbound_bytes = flow_control_bytes,
    .on_read_closed = flow_control_read_closed,
    .on_outbound_suspend = flow_control_outbound_suspend,
    .on_outbound_resume = flow_control_outbound_resume,
    .on_inbound_resume = flow_control_resume,
};

int cvy_flow_control_add(cvy_conveyor_t *c, const cvy_flow_control_opts_t *opts)
{
    return cvy_conveyor_add_last(c, &cvy_flow_control_stage, opts, NULL);
}
