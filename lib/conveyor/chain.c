/*
 * The chain: adding, removing and replacing stages at any time, also under the feet of a walk.
 *
 * A removed context stays linked as a tombstone until the turn's deferred work runs, when no dispatch is on the stack: walkers step
 * over it, its own links never go stale, and what was added meanwhile is found through it. From the removing call on nothing is delivered
 * to it; its on_removed runs when none of its own callbacks is on the stack, and may still fire. A replacement is linked behind the old
 * stage, so that what the old one lets go of reaches it inbound, and the old neighbour outbound.
 */
#include <conveyor/chain.h>
#include <uv.h>

#include "base/memory.h"
#include "conveyor/ctx.h"

static bool in_table(const cvy_stage_t *s, const cvy_event_type_t *type)
{
    const cvy_on_t *on = s->events;
    while (on && on->type && on->type != type)
        on++;
    return on && on->type;
}

/* Looked up once: the chain is rebuilt at every change of it. */
static uint32_t taken_by(const cvy_stage_t *s)
{
    uint32_t in = s->on_inbound_bytes || s->on_inbound || in_table(s, &cvy_inbound_bytes_event);
    uint32_t out = s->on_outbound_bytes || s->on_outbound || in_table(s, &cvy_outbound_bytes_event);
    uint32_t flush = s->on_outbound_flush || s->on_outbound || in_table(s, &cvy_outbound_flush_event);
    uint32_t complete = s->on_read_complete || s->on_inbound || in_table(s, &cvy_read_complete_event);
    return in * CVY__CTX_TAKES_IN | out * CVY__CTX_TAKES_OUT | flush * CVY__CTX_TAKES_FLUSH |
           complete * CVY__CTX_TAKES_COMPLETE;
}

/* What comes from `from`, or from those between, goes in to `to`. */
static void lead(cvy_ctx_t *from, cvy_ctx_t *to)
{
    do
        from->bytes_in = to;
    while ((from = from->next) != to);
}

void cvy__chain_rebuild(cvy_conveyor_t *c)
{
    cvy_ctx_t *in = &c->ends, *out = &c->ends; /* the last ones that take bytes */
    c->gate &= (uint8_t)~CVY__GATE_FLUSHES;
    c->completes = false;
    for (cvy_ctx_t *at = c->ends.next; at != &c->ends; at = at->next) {
        at->bytes_out = out;
        if (cvy__ctx_skipped(at)) continue;
        if (at->flags & CVY__CTX_TAKES_IN) {
            lead(in, at);
            in = at;
        }
        if (at->flags & CVY__CTX_TAKES_OUT) out = at;
        if (at->flags & CVY__CTX_TAKES_FLUSH) c->gate |= CVY__GATE_FLUSHES;
        if (at->flags & CVY__CTX_TAKES_COMPLETE) c->completes = true;
    }
    lead(in, &c->ends);
    c->ends.bytes_out = out;
}

/* The one before it, tombstone or not. */
static cvy_ctx_t *before(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *at = &ctx->conveyor->ends;
    while (at->next != ctx)
        at = at->next;
    return at;
}

/* It is still stepped over: nobody's way leads to it, and its own are those of its place. */
static void link_behind(cvy_ctx_t *at, cvy_ctx_t *ctx)
{
    ctx->next = at->next;
    at->next = ctx;
    ctx->bytes_in = at->bytes_in;
    bool takes = !cvy__ctx_skipped(at) && at->flags & CVY__CTX_TAKES_OUT;
    ctx->bytes_out = takes || at == &ctx->conveyor->ends ? at : at->bytes_out;
}

void cvy__ctx_finish_removal(cvy_ctx_t *ctx)
{
    if (ctx->stage->on_removed && !(ctx->flags & CVY__CTX_NO_REMOVED)) {
        ctx->flags |= CVY__CTX_NO_REMOVED; /* once */
        cvy__ctx_enter(ctx);
        ctx->stage->on_removed(ctx);
        ctx->flags -= CVY__CTX_BUSY;
    }
    ctx->flags |= CVY__CTX_DEAD;
    cvy__conveyor_todo(ctx->conveyor, CVY__TODO_TOMBSTONES);
}

void cvy__ctx_left(cvy_ctx_t *ctx)
{
    if (!(ctx->flags & CVY__CTX_DEAD) && !cvy__ctx_busy(ctx)) cvy__ctx_finish_removal(ctx);
}

void cvy__ctx_remove(cvy_ctx_t *ctx)
{
    if (ctx->flags & CVY__CTX_REMOVED) return;
    cvy_ctx_resume(ctx);
    cvy_ctx_timer(ctx, CVY_OFF);
    ctx->flags |= CVY__CTX_REMOVED;
    if (!ctx->conveyor->torn_down) cvy__chain_rebuild(ctx->conveyor); /* then nothing travels any more */
    cvy__walk_forget(ctx);
    if (!cvy__ctx_busy(ctx)) cvy__ctx_finish_removal(ctx);
}

void cvy__chain_free_tombstones(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *last = &c->ends, *at; (at = last->next) != &c->ends;) {
        if (!(at->flags & CVY__CTX_DEAD) || cvy__ctx_busy(at)) {
            last = at;
            continue;
        }
        if (c->active_at == at) c->active_at = last;
        last->next = at->next;
        cvy__ctx_free(at);
    }
}

/* From here on events come to what was added behind first, up to last; active, where it has passed there, is the first. */
static void open_between(cvy_ctx_t *first, cvy_ctx_t *last)
{
    for (cvy_ctx_t *at = first; at != last; at = at->next)
        at->next->flags &= ~(uint32_t)CVY__CTX_ASIDE;
    cvy__chain_rebuild(last->conveyor);
    for (cvy_ctx_t *at = first; at != last; at = at->next)
        cvy__walk_active_one(at->next);
}

/* Adds behind `at`, not yet open. On failure the context becomes a tombstone that had no on_added. */
static int add_behind(cvy_ctx_t *at, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    cvy_conveyor_t *c = at->conveyor;
    cvy_ctx_t *ctx = cvy__ctx_new(c, stage);
    if (!ctx) return UV_ENOMEM;
    ctx->flags |= taken_by(stage);
    link_behind(at, ctx);
    int err = 0;
    if (stage->on_added) {
        cvy__ctx_enter(ctx);
        err = stage->on_added(ctx, opts);
        if (err) ctx->flags |= CVY__CTX_NO_REMOVED;
        cvy__ctx_leave(ctx);
    }
    if (err) {
        cvy__ctx_remove(ctx);
        return err;
    }
    *out = ctx;
    return 0;
}

static int may_change(const cvy_conveyor_t *c)
{
    if (cvy__loop_own(c->loop)) return UV_EPERM;
    return cvy__conveyor_is_closing(c) ? UV_EPIPE : 0;
}

/* Of a chain that may change: the callers have asked, before they looked for a place in it. */
static int add(cvy_conveyor_t *c, cvy_ctx_t *behind, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    if (!behind) return UV_ENOENT;
    cvy_ctx_t *ctx = NULL;
    bool outermost = cvy__loop_hold(c->loop);
    int err = add_behind(behind, stage, opts, &ctx);
    if (!err) {
        open_between(behind->next == ctx ? behind : before(ctx), ctx);
        if (out) *out = ctx->flags & CVY__CTX_REMOVED ? NULL : ctx; /* it may have removed itself */
    }
    if (outermost) cvy__loop_let_go(c->loop);
    return err;
}

static bool matches(const cvy_ctx_t *ctx, const cvy_anchor_t *at)
{
    if (at->ctx) return at->ctx == ctx;
    if (at->stage) return at->stage == ctx->stage;
    return at->match && at->match(ctx, at->arg);
}

cvy_ctx_t *cvy_conveyor_find(const cvy_conveyor_t *c, cvy_anchor_t at)
{
    for (cvy_ctx_t *ctx = c->ends.next; ctx != &c->ends; ctx = ctx->next)
        if (!(ctx->flags & CVY__CTX_REMOVED) && matches(ctx, &at)) return ctx;
    return NULL;
}

int cvy_conveyor_add_last(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    int err = may_change(c);
    return err ? err : add(c, before(&c->ends), stage, opts, out);
}

int cvy_conveyor_add_first(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    int err = may_change(c);
    return err ? err : add(c, &c->ends, stage, opts, out);
}

int cvy_conveyor_add_before(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                            cvy_ctx_t **out)
{
    int err = may_change(c);
    if (err) return err;
    cvy_ctx_t *anchor = cvy_conveyor_find(c, at);
    return add(c, anchor ? before(anchor) : NULL, stage, opts, out);
}

int cvy_conveyor_add_after(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                           cvy_ctx_t **out)
{
    int err = may_change(c);
    return err ? err : add(c, cvy_conveyor_find(c, at), stage, opts, out);
}

int cvy_conveyor_remove(cvy_conveyor_t *c, cvy_anchor_t at)
{
    if (cvy__loop_own(c->loop)) return UV_EPERM;
    cvy_ctx_t *ctx = cvy_conveyor_find(c, at);
    if (!ctx) return UV_ENOENT;
    bool outermost = cvy__loop_hold(c->loop);
    cvy__ctx_remove(ctx);
    if (outermost) cvy__loop_let_go(c->loop);
    return 0;
}

/* All are added before any becomes active and before the old one goes. It is stepped over from the start, so that what the new ones
 * say first does not pass through it. */
static int replace(cvy_ctx_t *old, const cvy_stage_with_t *with, size_t n)
{
    cvy_ctx_t *last = old;
    uint32_t aside = old->flags & CVY__CTX_ASIDE;
    int err = 0;
    old->flags |= CVY__CTX_ASIDE;
    cvy__chain_rebuild(old->conveyor);
    for (size_t i = 0; i < n && !err; i++)
        err = add_behind(last, with[i].stage, with[i].opts, &last);
    if (err) {
        for (cvy_ctx_t *prev; last != old; last = prev) {
            prev = before(last);
            cvy__ctx_remove(last);
        }
        old->flags = (old->flags & ~(uint32_t)CVY__CTX_ASIDE) | aside;
        cvy__chain_rebuild(old->conveyor);
        return err;
    }
    open_between(old, last);
    cvy__ctx_remove(old);
    return 0;
}

int cvy_conveyor_replace(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_with_t *with, size_t n)
{
    int err = may_change(c);
    if (err) return err;
    cvy_ctx_t *old = cvy_conveyor_find(c, at);
    bool outermost = cvy__loop_hold(c->loop);
    err = old ? replace(old, with, n) : UV_ENOENT;
    if (outermost) cvy__loop_let_go(c->loop);
    return err;
}

static void map_one(cvy_ctx_t *ctx, cvy_map_cb map, void *arg)
{
    cvy_stage_with_t with = { NULL, NULL };
    with.stage = map(ctx, &with.opts, arg);
    if (!with.stage)
        cvy__ctx_remove(ctx);
    else if (with.stage != ctx->stage && !may_change(ctx->conveyor))
        replace(ctx, &with, 1); /* one that can't be added leaves the old one */
}

size_t cvy_conveyor_map(cvy_conveyor_t *c, cvy_map_cb map, cvy_match_cb match, void *arg)
{
    if (cvy__loop_own(c->loop)) return 0;
    size_t count = 0;
    bool outermost = cvy__loop_hold(c->loop);
    for (cvy_ctx_t *ctx = c->ends.next, *next; ctx != &c->ends; ctx = next) {
        next = ctx->next; /* before what the mapping adds */
        if (ctx->flags & CVY__CTX_REMOVED || !match(ctx, arg)) continue;
        count++;
        map_one(ctx, map, arg);
    }
    if (outermost) cvy__loop_let_go(c->loop);
    return count;
}
