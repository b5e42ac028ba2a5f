/*
 * A conveyor: the chain of one connection, HEAD (transport) ... stages ... TAIL. Stages may be added, replaced and removed at
 * any time on the loop's thread, also inside a callback, also the one that is running.
 *
 * From the removing call on events step over a stage. What it holds it lets go of in on_removed, which waits until none of its own
 * callbacks is on the stack: bytes that a stage in front fires before that, also in its own on_removed, reach those behind it first. So who
 * removes several stages that hold bytes does it from outside them, the one nearest TAIL first.
 */
#ifndef CONVEYOR_CHAIN_H
#define CONVEYOR_CHAIN_H

#include <conveyor/stage.h>

CVY_BEGIN_DECLS

/** Builds the chain of a new connection. Negative: the connection is closed, its stages never see active; where a stage has closed it gracefully
 * (then adding answers UV_EPIPE), what was written before that still goes out. */
typedef int (*cvy_conveyor_init_cb)(cvy_conveyor_t *c, void *arg);

typedef bool (*cvy_match_cb)(const cvy_ctx_t *ctx, void *arg);

/** Which stage: the first that matches. Made by the three functions below. */
typedef struct cvy_anchor {
    const cvy_ctx_t *ctx;
    const cvy_stage_t *stage;
    cvy_match_cb match;
    void *arg;
} cvy_anchor_t;

static inline cvy_anchor_t cvy_at_stage(const cvy_stage_t *stage)
{
    cvy_anchor_t a = { NULL, stage, NULL, NULL };
    return a;
}

static inline cvy_anchor_t cvy_at_ctx(const cvy_ctx_t *ctx)
{
    cvy_anchor_t a = { ctx, NULL, NULL, NULL };
    return a;
}

static inline cvy_anchor_t cvy_at_match(cvy_match_cb match, void *arg)
{
    cvy_anchor_t a = { NULL, NULL, match, arg };
    return a;
}

/* Adding. opts goes to on_added; out, where not NULL, gets the new context (NULL if it has removed itself already).
 * Events come to the stage from the end of its on_added on, active first where the others have had it.
 * Errors: UV_ENOMEM, UV_EPIPE (closing), UV_ENOENT (no such anchor), UV_EPERM (another thread), what on_added answered. */

CVY_EXPORT int cvy_conveyor_add_last(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out);
CVY_EXPORT int cvy_conveyor_add_first(cvy_conveyor_t *c, const cvy_stage_t *stage, const void *opts, cvy_ctx_t **out);
CVY_EXPORT int cvy_conveyor_add_before(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                                       cvy_ctx_t **out);
CVY_EXPORT int cvy_conveyor_add_after(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_t *stage, const void *opts,
                                      cvy_ctx_t **out);

/** Errors: UV_ENOENT, UV_EPERM. */
CVY_EXPORT int cvy_conveyor_remove(cvy_conveyor_t *c, cvy_anchor_t at);

typedef struct cvy_stage_with {
    const cvy_stage_t *stage;
    const void *opts;
} cvy_stage_with_t;

/** Puts n stages in the place of one, at once; bytes that the old one lets go of reach the new ones. Errors as for adding; then
 * the old one stays. */
CVY_EXPORT int cvy_conveyor_replace(cvy_conveyor_t *c, cvy_anchor_t at, const cvy_stage_with_t *with, size_t n);

/** Answers the replacement for ctx's stage: NULL removes it, the same stage keeps it. */
typedef const cvy_stage_t *(*cvy_map_cb)(cvy_ctx_t *ctx, const void **opts, void *arg);
/** Maps every stage that matches; a replacement that can't be added leaves the old one. Returns how many matched. */
CVY_EXPORT size_t cvy_conveyor_map(cvy_conveyor_t *c, cvy_map_cb map, cvy_match_cb match, void *arg);

/** NULL: none. */
CVY_EXPORT cvy_ctx_t *cvy_conveyor_find(const cvy_conveyor_t *c, cvy_anchor_t at);

/** Fires from HEAD (TAIL). Answers as cvy_fire_inbound. */
CVY_EXPORT int cvy_conveyor_fire_inbound(cvy_conveyor_t *c, cvy_event_t *ev);
CVY_EXPORT int cvy_conveyor_fire_outbound(cvy_conveyor_t *c, cvy_event_t *ev);
/** Sends all of b through the stages from TAIL. Errors: UV_EPIPE (closing), UV_ENOBUFS (hard limit), UV_EPERM; b is untouched then. */
CVY_EXPORT int cvy_conveyor_write(cvy_conveyor_t *c, cvy_buf_t *b);

CVY_EXPORT cvy_transport_t *cvy_conveyor_transport(const cvy_conveyor_t *c);
CVY_EXPORT cvy_loop_t *cvy_conveyor_loop(const cvy_conveyor_t *c);

CVY_END_DECLS
#endif
