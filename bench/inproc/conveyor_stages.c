/*
 * Bytes on their way from a stage to the one that takes them, past stages in between: fired from within a dispatch, as a decoder does. The bytes
 * are real: who takes them gives them back to who fires them.
 */
#include <uv.h>

#include "conveyor.h"

enum { EVENTS = 10000 };

typedef struct go {
    cvy_event_t event;
} go_t;
CVY_EVENT(go);

static cvy_embedded_t *embedded;
static cvy_buf_t bytes;
static long taken;

static void fire_many(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    (void)ev;
    for (int i = 0; i < EVENTS; i++) {
        cvy_buf_t in = CVY_BUF_INIT;
        cvy_buf_append_buf(&in, &bytes);
        cvy_fire_inbound_bytes(ctx, &in);
    }
}

static void pass(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_fire_inbound_bytes(ctx, in);
}

static void take(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)ctx;
    taken++;
    cvy_buf_append_buf(&bytes, in);
}

static void do_nothing(cvy_ctx_t *ctx)
{
    (void)ctx;
}

static const cvy_on_t on_go[] = { CVY_ON(go, fire_many), { 0 } };
static const cvy_stage_t source = { .name = "source", .events = on_go };
static const cvy_stage_t passing = { .name = "passing", .on_inbound_bytes = pass };
static const cvy_stage_t skipped = { .name = "skipped", .on_timer = do_nothing };
static const cvy_stage_t sink = { .name = "sink", .on_inbound_bytes = take };

/* source, n of between, sink */
static void chain(const cvy_stage_t *between, int n)
{
    cvy_buf_fini(&bytes);
    cvy_embedded_free(embedded);
    must(cvy_embedded_new(&embedded, NULL));
    cvy_conveyor_t *c = cvy_embedded_conveyor(embedded);
    must(cvy_conveyor_add_last(c, &source, NULL, NULL));
    for (int i = 0; i < n; i++)
        must(cvy_conveyor_add_last(c, between, NULL, NULL));
    must(cvy_conveyor_add_last(c, &sink, NULL, NULL));
    cvy_buf_init(&bytes, cvy_loop_pool(cvy_embedded_loop(embedded)));
    must(cvy_buf_append(&bytes, "sixty-four bytes, as they come from a socket, in one single view", PIECE));
}

void chain_passing(int size)
{
    chain(&passing, size);
}

void chain_skipped(int size)
{
    chain(&skipped, size);
}

long send_through(int size)
{
    go_t go = { CVY_EVENT_OF(go) };
    (void)size;
    taken = 0;
    cvy_conveyor_fire_inbound(cvy_embedded_conveyor(embedded), &go.event);
    if (taken != EVENTS || cvy_buf_len(&bytes) != PIECE) abort();
    return EVENTS;
}
