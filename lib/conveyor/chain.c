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

bool cvy__stage_takes_bytes_in(const cvy_stage_t *s)
{
    return s->on_inbound_bytes || s->on_inbound || in_table(s, &cvy_inbound_bytes_event);
}

static bool takes_bytes_out(const cvy_stage_t *s)
{
    return s->on_outbound_bytes || s->on_outbound || in_table(s, &cvy_outbound_bytes_event);
}

static bool takes_flush(const cvy_stage_t *s)
{
    return s->on_outbound_flush || s->on_outbound || in_table(s, &cvy_outbound_flush_event);
}

static bool takes_complete(const cvy_stage_t *s)
{
    return s->on_read_complete || s->on_inbound || in_table(s, &cvy_read_complete_event);
}

void cvy__chain_rebuild(cvy_conveyor_t *c)
{
    cvy_ctx_t *to = &c->tail;
    for (cvy_ctx_t *at = c->tail.prev; at; at = at->prev) {
        at->bytes_in = to;
        if (!cvy__ctx_skipped(at) && cvy__stage_takes_bytes_in(at->stage)) to = at;
    }
    to = &c->head;
    c->flushes = c->completes = false;
    for (cvy_ctx_t *at = c->head.next; at; at = at->next) {
        at->bytes_out = to;
        if (cvy__ctx_skipped(at)) continue;
        if (takes_bytes_out(at->stage)) to = at;
        c->flushes = c->flushes || takes_flush(at->stage);
        c->completes = c->completes || takes_complete(at->stage);
    }
}

static void link_behind(cvy_ctx_t *at, cvy_ctx_t *ctx)
{
    ctx->prev = at;
    ctx->next = at->next;
    at->next->prev = ctx;
    at->next = ctx;
    cvy__chain_rebuild(ctx->conveyor);
}

void cvy__ctx_finish_removal(cvy_ctx_t *ctx)
{
    if (ctx->stage->on_removed && !(ctx->flags & CVY__CTX_NO_REMOVED)) {
        ctx->flags |= CVY__CTX_NO_REMOVED; /* once */
        ctx->busy++;
        ctx->stage->on_removed(ctx);
        ctx->busy--;
    }
    ctx->flags |= CVY__CTX_DEAD;
    cvy__conveyor_todo(ctx->conveyor, CVY__TODO_TOMBSTONES);
}

void cvy__ctx_remove(cvy_ctx_t *ctx)
{
    if (ctx->flags & CVY__CTX_REMOVED) return;
    cvy_ctx_resume(ctx);
    cvy__ctx_stop_timer(ctx);
    ctx->flags |= CVY__CTX_REMOVED;
    cvy__chain_rebuild(ctx->conveyor);
    cvy__walk_forget(ctx);
    if (!ctx->busy) cvy__ctx_finish_removal(ctx);
}

void cvy__chain_free_tombstones(cvy_conveyor_t *c)
{
    for (cvy_ctx_t *at = c->head.next, *next; at != &c->tail; at = next) {
        next = at->next;
        if (!(at->flags & CVY__CTX_DEAD) || at->busy) continue;
        if (c->active_at == at) c->active_at = at->prev;
        if (c->read_closed_at == at) c->read_closed_at = at->prev;
        at->prev->next = next;
        next->prev = at->prev;
        cvy__free(at);
    }
}

/* From here on events come to what was added behind `before`, up to last; active, where it has passed there, is the first. */
static void open_between(cvy_ctx_t *before, cvy_ctx_t *last)
{
    for (cvy_ctx_t *at = before; at != last; at = at->next)
        at->next->flags &= ~(uint32_t)CVY__CTX_ASIDE;
    cvy__chain_rebuild(last->conveyor);
    for (cvy_ctx_t *at = before; at != last; at = at->next)
        cvy__walk_active_one(at->next);
}

/* Adds behind `at`, not yet open. On failure the context becomes a tombstone that had no on_added. */
static int add_behind(cvy_ctx_t *at, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    cvy_conveyor_t *c = at->conveyor;
    cvy_ctx_t *ctx = cvy__ctx_new(c, stage);
    if (!ctx) return UV_ENOMEM;
    link_behind(at, ctx);
    int err = 0;
    if (stage->on_added) {
        ctx->busy++;
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

static int add(cvy_conveyor_t *c, cvy_ctx_t *behind, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    int err = may_change(c);
    if (err) return err;
    if (!behind) return UV_ENOENT;
    cvy_ctx_t *ctx = NULL;
    bool outermost = cvy__loop_hold(c->loop);
    err = add_behind(behind, stage, opts, &ctx);
    if (!err) {
        open_between(ctx->prev, ctx);
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
    for (cvy_ctx_t *ctx = c->head.next; ctx != &c->tail; ctx = ctx->next)
        if (!(ctx->flags & CVY__CTX_REMOVED) && matches(ctx, &at)) return ctx;
    return NULL;
}

int cvy_conveyor_add_last(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    return add(c, c->tail.prev, stage, opts, out);
}

int cvy_conveyor_add_first(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out)
{
    return add(c, &c->head, stage, opts, out);
}

int cvy_conveyor_add_before(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                            cvy_ctx_t **out)
{
    cvy_ctx_t *anchor = cvy_conveyor_find(c, at);
    return add(c, anchor ? anchor->prev : NULL, stage, opts, out);
}

int cvy_conveyor_add_after(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                           cvy_ctx_t **out)
{
    return add(c, cvy_conveyor_find(c, at), stage, opts, out);
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
            prev = last->prev;
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
    for (cvy_ctx_t *ctx = c->head.next, *next; ctx != &c->tail; ctx = next) {
        next = ctx->next; /* before what the mapping adds */
        if (ctx->flags & CVY__CTX_REMOVED || !match(ctx, arg)) continue;
        count++;
        map_one(ctx, map, arg);
    }
    if (outermost) cvy__loop_let_go(c->loop);
    return count;
}
