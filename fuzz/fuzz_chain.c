/*
 * Random lives of a chain: every callback reads its next deeds from the input and changes the chain, writes, suspends, fails or closes on
 * the spot. Checked, besides what the sanitizers see:
 *   E5  each stage: added, [active ... inactive], removed, each at most once, inactive iff active was delivered and the stage was there
 *   E7  an answer of 0 is never given by a removed stage or a closing connection
 *   T4  what leaves is the beginning of what was written, in order; tickets complete once, in order, before inactive
 * and at the end no segment and no allocation is left.
 */
#include <conveyor/embedded.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"

#define CHECK(truth) ((truth) ? (void)0 : abort())

enum { STAGES = 40, DEEP = 6 };

typedef struct life {
    cvy_ctx_t *ctx;
    bool added, active, ended, gone;
} life_t;

static const uint8_t *deeds;
static size_t deeds_left;
static life_t lives[STAGES];
static int used, depth, tickets_asked, tickets_done;
static uint8_t next_out, next_sent;
static bool any_inactive;
static cvy_embedded_t *e;
static cvy_conveyor_t *chain;
static cvy_transport_t *transport;
static const cvy_stage_t plain, fuzzed, failing;

typedef struct fuzz_event {
    cvy_event_t event;
} fuzz_event_t;
CVY_EVENT(fuzz_event);

static uint8_t next_byte(void)
{
    if (!deeds_left) return 0;
    deeds_left--;
    return *deeds++;
}

static life_t *of(cvy_ctx_t *ctx)
{
    return *(life_t **)cvy_ctx_state(ctx);
}

static life_t *fresh(void)
{
    return used < STAGES ? &lives[used++] : NULL;
}

static const cvy_ctx_t *some(uint8_t which)
{
    life_t *life = &lives[which % STAGES];
    return life->added && !life->gone ? life->ctx : NULL;
}

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    (void)t, (void)status;
    CHECK(!any_inactive);
    CHECK((int)(intptr_t)arg == tickets_done++);
}

static void fill(cvy_buf_t *b, size_t n)
{
    cvy_buf_init(b, cvy_loop_pool(cvy_embedded_loop(e)));
    for (size_t i = 0; i < n; i++, next_out++)
        if (cvy_buf_append(b, &next_out, 1)) abort();
}

static void write_some(cvy_ctx_t *ctx, size_t n)
{
    cvy_buf_t b;
    uint8_t before = next_out;
    fill(&b, n);
    if (ctx)
        cvy_fire_outbound_bytes(ctx, &b);
    else if (cvy_conveyor_write(chain, &b))
        next_out = before; /* refused whole */
    cvy_buf_fini(&b);
}

static void fire_some(cvy_ctx_t *ctx)
{
    cvy_buf_t b = CVY_BUF_INIT;
    if (cvy_buf_append(&b, "in", 2)) abort();
    int answer = cvy_fire_inbound_bytes(ctx, &b);
    CHECK(!cvy_buf_len(&b));
    CHECK(answer || (!cvy_transport_closing(transport) && !cvy_transport_suspended(transport)));
}

static void change(cvy_ctx_t *ctx, uint8_t what)
{
    uint8_t whom = next_byte();
    cvy_stage_with_t with[3] = { { &fuzzed, NULL }, { &plain, NULL }, { NULL, NULL } };
    cvy_anchor_t at = cvy_at_ctx(whom & 1 && ctx ? ctx : some(whom));
    switch (what % 7) {
    case 0: cvy_conveyor_remove(chain, at); break;
    case 1: cvy_conveyor_add_after(chain, at, &fuzzed, NULL, NULL); break;
    case 2: cvy_conveyor_add_before(chain, at, &fuzzed, NULL, NULL); break;
    case 3: cvy_conveyor_replace(chain, at, with, 1 + (whom & 2) / 2); break;
    case 4:
        with[1].stage = &failing;
        cvy_conveyor_replace(chain, at, with, 2);
        break;
    case 5: cvy_conveyor_add_first(chain, whom & 2 ? &fuzzed : &failing, NULL, NULL); break;
    default: cvy_conveyor_add_last(chain, &plain, NULL, NULL); break;
    }
}

static void act(cvy_ctx_t *ctx, uint8_t deed)
{
    static const int errors[] = { UV_EPROTO, UV_EMSGSIZE };
    fuzz_event_t user = { CVY_EVENT_OF(fuzz_event) };
    cvy_close_t how = { CVY_CLOSE_GRACEFUL, 0 };
    switch (deed % 24) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: change(ctx, deed / 24); break;
    case 6: write_some(ctx, deed); break;
    case 7: write_some(NULL, deed); break;
    case 8:
        if (ctx) fire_some(ctx);
        break;
    case 9:
        if (ctx) cvy_ctx_suspend(ctx);
        break;
    case 10:
        if (ctx) cvy_ctx_resume(ctx);
        break;
    case 11:
        if (ctx && deed > 128) cvy_ctx_fail(ctx, errors[deed & 1], "fuzz");
        break;
    case 12:
        if (ctx) cvy_ctx_activate_next(ctx);
        break;
    case 13:
        if (ctx) cvy_ctx_read_closed_next(ctx);
        break;
    case 14:
        if (ctx) cvy_fire_inbound(ctx, &user.event);
        break;
    case 15:
        if (ctx) cvy_fire_outbound(ctx, &user.event);
        break;
    case 16:
        if (ctx) cvy_ctx_timer(ctx, deed);
        break;
    case 17:
        if (!cvy_transport_flush(transport, on_ticket, (void *)(intptr_t)tickets_asked)) tickets_asked++;
        break;
    case 18:
        if (ctx) cvy_ctx_writable(ctx);
        break;
    case 19:
        if (ctx) cvy_fire_outbound_flush(ctx);
        break;
    case 20: cvy_transport_readable_state_changed(transport, deed & 32); break;
    case 21:
        if (deed > 220) cvy_transport_close(transport, (cvy_close_verb_t)(deed % 3));
        break;
    case 22:
        if (ctx && deed > 220) cvy_fire_outbound_close(ctx, &how);
        break;
    default: cvy_embedded_run(e); break; /* inside a callback: nothing */
    }
}

/* Up to three deeds, not without end one inside the other. */
static void deed(cvy_ctx_t *ctx)
{
    if (depth >= DEEP) return;
    depth++;
    for (int n = next_byte() % 4; n && deeds_left; n--)
        act(ctx, next_byte());
    depth--;
}

static life_t *alive(cvy_ctx_t *ctx)
{
    life_t *life = of(ctx);
    CHECK(life->added && !life->gone);
    return life;
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    life_t *life = fresh();
    if (!life) return UV_ENOMEM;
    *(life_t **)cvy_ctx_state(ctx) = life;
    *life = (life_t){ .ctx = ctx, .added = true };
    deed(ctx);
    return 0;
}

static void on_removed(cvy_ctx_t *ctx)
{
    life_t *life = alive(ctx);
    deed(ctx);
    life->gone = true;
    life->ctx = NULL;
}

static int on_active(cvy_ctx_t *ctx)
{
    life_t *life = alive(ctx);
    CHECK(!life->active);
    life->active = true;
    deed(ctx);
    return next_byte() > 200 ? UV_EAGAIN : 0;
}

static void on_inactive(cvy_ctx_t *ctx)
{
    life_t *life = alive(ctx);
    CHECK(life->active && !life->ended);
    life->ended = any_inactive = true;
    CHECK(tickets_done == tickets_asked);
    deed(ctx);
}

static void on_state(cvy_ctx_t *ctx)
{
    life_t *life = alive(ctx);
    CHECK(life->active && !life->ended);
    deed(ctx);
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    on_state(ctx);
    return next_byte() > 200 ? UV_EAGAIN : 0;
}

static void on_outbound_state(cvy_ctx_t *ctx)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
}

static void on_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
    cvy_fire_inbound_bytes(ctx, in);
}

/* On first, so that what is written meanwhile comes behind. */
static void on_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    CHECK(!alive(ctx)->ended);
    cvy_fire_outbound_bytes(ctx, out);
    deed(ctx);
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
    if (next_byte() & 1) cvy_fire_error(ctx, err);
}

static void on_outbound_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
    cvy_fire_outbound_close(ctx, how);
}

static void on_inbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
    cvy_fire_inbound(ctx, ev);
}

static void on_outbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    CHECK(!alive(ctx)->ended);
    deed(ctx);
    cvy_fire_outbound(ctx, ev);
}

static int refuse(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    deed(ctx);
    return UV_EINVAL;
}

static const cvy_stage_t plain = { .name = "plain" };
static const cvy_stage_t failing = {
    .name = "failing", .on_added = refuse, .on_timer = on_removed, .state_size = sizeof(life_t *)
};
static const cvy_stage_t fuzzed = { .name = "fuzzed",
                                    .state_size = sizeof(life_t *),
                                    .on_added = on_added,
                                    .on_removed = on_removed,
                                    .on_timer = on_outbound_state,
                                    .on_active = on_active,
                                    .on_inbound_bytes = on_inbound_bytes,
                                    .on_read_complete = on_state,
                                    .on_read_closed = on_read_closed,
                                    .on_outbound_suspend = on_state,
                                    .on_outbound_resume = on_state,
                                    .on_error = on_error,
                                    .on_inactive = on_inactive,
                                    .on_outbound_bytes = on_outbound_bytes,
                                    .on_outbound_flush = on_outbound_state,
                                    .on_inbound_resume = on_outbound_state,
                                    .on_outbound_close = on_outbound_close,
                                    .on_inbound = on_inbound,
                                    .on_outbound = on_outbound };

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    for (int i = 0; i < 4; i++)
        if (cvy_conveyor_add_last(c, i == 2 ? &plain : &fuzzed, NULL, NULL)) return UV_ENOMEM;
    return 0;
}

static void check_sent(void)
{
    uint8_t byte;
    while (cvy_buf_read(cvy_embedded_sent(e), &byte, 1))
        CHECK(byte == next_sent++);
}

static void from_outside(void)
{
    uint8_t what = next_byte();
    switch (what % 8) {
    case 0:
    case 1:
    case 2: cvy_embedded_feed(e, "feed", 1 + what % 4); break;
    case 3: cvy_embedded_advance(e, what); break;
    case 4: cvy_embedded_block(e, what & 8); break;
    case 5: act((cvy_ctx_t *)(uintptr_t)some(next_byte()), next_byte()); break;
    case 6:
        if (what > 240) cvy_embedded_end(e);
        break;
    default:
        if (what > 250)
            cvy_embedded_reset(e, UV_ECONNRESET);
        else
            cvy_embedded_run(e);
        break;
    }
    check_sent();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t memory = cvy__memory_live(), segments = cvy_pool_live(NULL);
    cvy_log_set(NULL, NULL);
    deeds = data;
    deeds_left = size;
    memset(lives, 0, sizeof lives);
    used = depth = tickets_asked = tickets_done = 0;
    next_out = next_sent = 0;
    any_inactive = false;
    cvy_transport_opts_t opts = { .high_bytes = 256, .low_bytes = 64, .allow_half_close = next_byte() & 1 };
    cvy_embedded_opts_t o = { .init = init, .transport = &opts, .connecting = true };
    CHECK(!cvy_embedded_new(&e, &o));
    chain = cvy_embedded_conveyor(e);
    transport = cvy_embedded_transport(e);
    cvy_loop_t *loop = cvy_loop_ref(cvy_embedded_loop(e));
    cvy_embedded_connect(e, 0);
    while (deeds_left)
        from_outside();
    cvy_transport_close(transport, CVY_CLOSE_NOW);
    cvy_embedded_run(e);
    check_sent();
    CHECK(tickets_done == tickets_asked);
    cvy_embedded_free(e);
    for (int i = 0; i < used; i++)
        CHECK(!lives[i].added || lives[i].gone);
    CHECK(cvy_pool_live(cvy_loop_pool(loop)) == 0);
    cvy_loop_unref(loop);
    CHECK(cvy_pool_live(NULL) == segments && cvy__memory_live() == memory);
    return 0;
}
