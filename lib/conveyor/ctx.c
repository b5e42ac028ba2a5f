/* A context as its stage sees it: state, neighbours' loop and pool, suspends, failure. */
#include <assert.h>
#include <conveyor/stage.h>
#include <uv.h>

#include "base/memory.h"
#include "conveyor/ctx.h"
#include "conveyor/quick.h"

#define UNIT sizeof(uint64_t)

/* With what follows it, in whole units. */
static size_t bytes_of(const cvy_stage_t *stage)
{
    size_t state = (stage->state_size + UNIT - 1) / UNIT * UNIT;
    return sizeof(cvy_ctx_t) + state + (stage->on_timer ? sizeof(uint64_t) : 0);
}

/* What to leave free in front of a context that would stand at `at`, so that its state is aligned as malloc aligns. A type's size is a
 * multiple of its alignment: most states are content with less. */
static size_t gap_at(uintptr_t at, const cvy_stage_t *stage)
{
    if (!stage->state_size || stage->state_size % CVY__MALLOC_ALIGN) return 0;
    return CVY__ROOM_PLACE(at) - at;
}

/* It came zeroed, and nothing in it is used twice. */
static cvy_ctx_t *take_room(cvy_conveyor_t *c, const cvy_stage_t *stage)
{
    char *at = (char *)c + c->room_at;
    size_t gap = gap_at((uintptr_t)at, stage), n = gap + bytes_of(stage);
    if (n > c->room) return NULL;
    c->room_at = (uint16_t)(c->room_at + n);
    c->room = (uint16_t)(c->room - n);
    return (cvy_ctx_t *)(void *)(at + gap);
}

/* malloc aligns everything alike. */
static cvy_ctx_t *allocate(const cvy_stage_t *stage)
{
    size_t gap = gap_at(0, stage);
    char *at = cvy__calloc(1, gap + bytes_of(stage));
    return at ? (cvy_ctx_t *)(void *)(at + gap) : NULL;
}

cvy_ctx_t *cvy__ctx_new(cvy_conveyor_t *c, const cvy_stage_t *stage)
{
    if (stage->state_size > SIZE_MAX / 2) return NULL;
    cvy_ctx_t *in_room = take_room(c, stage);
    cvy_ctx_t *ctx = in_room ? in_room : allocate(stage);
    if (!ctx) return NULL;
    ctx->stage = stage;
    ctx->conveyor = c;
    ctx->flags = CVY__CTX_ASIDE | (in_room ? CVY__CTX_IN_ROOM : 0);
    if (stage->on_timer) *cvy__ctx_due(ctx) = CVY__NEVER;
    return ctx;
}

void cvy__ctx_free(cvy_ctx_t *ctx)
{
    if (!(ctx->flags & CVY__CTX_IN_ROOM)) cvy__free((char *)ctx - gap_at(0, ctx->stage));
}

void cvy__conveyor_give_room(cvy_conveyor_t *c, void *room, size_t n)
{
    uintptr_t away = (uintptr_t)room - (uintptr_t)c;
    if (n > UINT16_MAX || away > UINT16_MAX - n) return;
    c->room_at = (uint16_t)away;
    c->room = (uint16_t)n;
}

size_t cvy__conveyor_room_wanted(const cvy_conveyor_t *c)
{
    size_t n = CVY__ROOM_PLACE(0);
    for (const cvy_ctx_t *at = c->ends.next; at != &c->ends; at = at->next)
        n += gap_at(n, at->stage) + bytes_of(at->stage);
    return n - CVY__ROOM_PLACE(0);
}

void *cvy_ctx_state(cvy_ctx_t *ctx)
{
    return ctx + 1;
}

const cvy_stage_t *cvy_ctx_stage(const cvy_ctx_t *ctx)
{
    return ctx->stage;
}

cvy_conveyor_t *cvy_ctx_conveyor(const cvy_ctx_t *ctx)
{
    return ctx->conveyor;
}

cvy_transport_t *cvy_ctx_transport(const cvy_ctx_t *ctx)
{
    return cvy__conveyor_transport(ctx->conveyor);
}

cvy_loop_t *cvy_ctx_loop(const cvy_ctx_t *ctx)
{
    return ctx->conveyor->loop;
}

cvy_pool_t *cvy_ctx_pool(const cvy_ctx_t *ctx)
{
    return cvy_loop_pool(ctx->conveyor->loop);
}

int cvy_ctx_stopped(const cvy_ctx_t *ctx)
{
    return cvy__ctx_answer(ctx);
}

static void hold_reads(cvy_conveyor_t *c)
{
    if (c->holders++) return;
    c->gate |= CVY__GATE_SUSPENDED;
    cvy__conveyor_owner(c)->read_suspended(cvy__conveyor_transport(c), true);
}

static void release_reads(cvy_conveyor_t *c)
{
    if (--c->holders) return;
    c->gate &= (uint8_t)~CVY__GATE_SUSPENDED;
    cvy__conveyor_owner(c)->read_suspended(cvy__conveyor_transport(c), false);
    cvy__conveyor_todo(c, CVY__TODO_RESUME);
}

void cvy__conveyor_suspend(cvy_conveyor_t *c, unsigned holder)
{
    if (c->held_for & holder) return;
    c->held_for |= holder;
    hold_reads(c);
}

void cvy__conveyor_resume(cvy_conveyor_t *c, unsigned holder)
{
    if (!(c->held_for & holder)) return;
    c->held_for &= ~holder;
    release_reads(c);
}

void cvy_ctx_suspend(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (ctx->flags & (CVY__CTX_HOLDS_READS | CVY__CTX_REMOVED)) return;
    ctx->flags |= CVY__CTX_HOLDS_READS;
    hold_reads(c);
}

void cvy_ctx_resume(cvy_ctx_t *ctx)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    if (!(ctx->flags & CVY__CTX_HOLDS_READS)) return;
    ctx->flags &= ~(uint32_t)CVY__CTX_HOLDS_READS;
    release_reads(c);
}

void cvy_ctx_fail_limit(cvy_ctx_t *ctx, int code, const char *detail, uint64_t value, uint64_t limit)
{
    cvy_conveyor_t *c = ctx->conveyor;
    assert(cvy_loop_in_thread(c->loop));
    assert(code < 0);
    if (cvy__conveyor_is_closing(c) || (ctx->flags & CVY__CTX_DEAD)) return;
    cvy_error_t error = { code, ctx->stage->name, detail, value, limit };
    /* A second failure inside an error handler closes, and so does one that there is no memory to announce. */
    cvy__failure_t *failure = c->in_error ? NULL : cvy__malloc(sizeof *failure);
    if (!failure) {
        cvy__conveyor_owner(c)->failed(cvy__conveyor_transport(c), &error);
        return;
    }
    *failure = (cvy__failure_t){ c->failures ? c->failures->next : failure, ctx, error };
    if (c->failures) c->failures->next = failure;
    c->failures = failure;
    cvy__conveyor_todo(c, CVY__TODO_FAILURES);
}

void cvy_ctx_fail(cvy_ctx_t *ctx, int code, const char *detail)
{
    cvy_ctx_fail_limit(ctx, code, detail, 0, 0);
}
