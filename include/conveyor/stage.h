/*
 * A stage is what a handler does: a static const table, every callback optional. A context is one stage in one conveyor: its
 * state, its neighbours.
 *
 *   HEAD (transport)  S1  S2  ...  TAIL       inbound: towards TAIL, outbound: towards HEAD
 *
 * A NULL slot is stepped over. Bytes, errors, close and user events go on only when a stage fires them on. The rest (active,
 * read-complete, read-closed, writability, inactive, inbound-resume) walks by itself, so that no stage can swallow it.
 * An event goes to its own slot, else to the table of user events, else to the catch-all of its direction, else past the stage.
 */
#ifndef CONVEYOR_STAGE_H
#define CONVEYOR_STAGE_H

#include <conveyor/event.h>

CVY_BEGIN_DECLS

typedef struct cvy_ctx cvy_ctx_t;
typedef struct cvy_conveyor cvy_conveyor_t;
typedef struct cvy_transport cvy_transport_t;
typedef struct cvy_loop cvy_loop_t;

/** One line of a stage's table of user events. */
typedef struct cvy_on {
    const cvy_event_type_t *type;
    void (*run)(cvy_ctx_t *ctx, cvy_event_t *ev);
} cvy_on_t;

/* clang-format off */
#define CVY_ON(name, handler) { &name##_event, (handler) }
/* clang-format on */

/**
 * Lifetime: the table outlives every conveyor it stands in. Per conveyor: on_added, [on_active ... on_inactive], on_removed.
 */
typedef struct cvy_stage {
    const char *name;
    size_t state_size; /* sizeof your state: zeroed memory per context, aligned for any type of that size; 0: none */

    /** Takes opts by copy. Negative: undo your own work, the stage is not added (on_removed is not called). */
    int (*on_added)(cvy_ctx_t *ctx, const void *opts);
    /** Last call. May still fire what it holds, unless the conveyor is being torn down (then it is disposed of). */
    void (*on_removed)(cvy_ctx_t *ctx);
    /** cvy_ctx_timer ran out. */
    void (*on_timer)(cvy_ctx_t *ctx);

    /* inbound, towards the application */

    /** The connection is up. UV_EAGAIN: not yet for those behind me, I call cvy_ctx_activate_next, and fire no bytes on before that; where
     * I take none reading is suspended for me meanwhile. Other codes fail the connection. */
    int (*on_active)(cvy_ctx_t *ctx);
    /** What is left in `in` after the call is dropped. It shares what it was read into, 128 KiB by default, with its neighbours: who keeps it
     * for later uses cvy_buf_keep, or cvy_buf_compact, and does not hold all that for a few bytes. */
    void (*on_inbound_bytes)(cvy_ctx_t *ctx, cvy_buf_t *in);
    /** This turn's reads are over; also before read-closed, where that came with them. */
    void (*on_read_complete)(cvy_ctx_t *ctx);
    /** The peer sends no more. UV_EAGAIN: I still hold bytes, I call cvy_ctx_read_closed_next. Other codes are a failure of this stage. */
    int (*on_read_closed)(cvy_ctx_t *ctx);
    /** The outbound queue passed its high mark; fell to its low mark. Strictly alternating. */
    void (*on_outbound_suspend)(cvy_ctx_t *ctx);
    void (*on_outbound_resume)(cvy_ctx_t *ctx);
    /** A stage nearer to HEAD, or the transport, failed. Handled, or passed on with cvy_fire_error. Unhandled it closes. */
    void (*on_error)(cvy_ctx_t *ctx, const cvy_error_t *err);
    void (*on_inactive)(cvy_ctx_t *ctx);

    /* outbound, towards the wire */

    void (*on_outbound_bytes)(cvy_ctx_t *ctx, cvy_buf_t *out);
    /** The turn ends: let go of what you hold back. Walks by itself. */
    void (*on_outbound_flush)(cvy_ctx_t *ctx);
    /** Reading goes on: drain what you hold. */
    void (*on_inbound_resume)(cvy_ctx_t *ctx);
    /** Say goodbye, then cvy_fire_outbound_close; at the latest within drain_timeout_ms, or the connection is closed at once. */
    void (*on_outbound_close)(cvy_ctx_t *ctx, const cvy_close_t *how);

    const cvy_on_t *events; /* user events by type, both directions: CVY_ON(command, on_command), ..., {0} */
    /** Catch-alls: every event without a slot; fire it on yourself (for one that walks by itself that does nothing). */
    void (*on_inbound)(cvy_ctx_t *ctx, cvy_event_t *ev);
    void (*on_outbound)(cvy_ctx_t *ctx, cvy_event_t *ev);
} cvy_stage_t;

/* Firing to the neighbour. The event, and the bytes in it, are taken in every case. All answer
 *   0              go on
 *   UV_EAGAIN      stop: reading is suspended (inbound); the outbound queue is above its high mark (outbound), and an
 *                  on_outbound_resume is certain to come
 *   UV_EPIPE       stop: closing; our side has ended (outbound)
 *   UV_ECANCELED   stop: this stage was removed
 * Firing a user's event to another thread's conveyor is a programming error; see the post calls of transport.h. */

CVY_EXPORT int cvy_fire_inbound(cvy_ctx_t *ctx, cvy_event_t *ev);
CVY_EXPORT int cvy_fire_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in);
CVY_EXPORT int cvy_fire_error(cvy_ctx_t *ctx, const cvy_error_t *err);
CVY_EXPORT int cvy_fire_outbound(cvy_ctx_t *ctx, cvy_event_t *ev);
CVY_EXPORT int cvy_fire_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out);
/** Copies n bytes into a buffer and fires that. Errors besides: UV_ENOMEM; nothing was fired. */
CVY_EXPORT int cvy_fire_outbound_copy(cvy_ctx_t *ctx, const void *bytes, size_t n);
/** Asks the bytes fired so far to leave now rather than at the end of the turn. */
CVY_EXPORT int cvy_fire_outbound_flush(cvy_ctx_t *ctx);
CVY_EXPORT int cvy_fire_outbound_close(cvy_ctx_t *ctx, const cvy_close_t *how);

/* The context */

/** The state of this stage, state_size zeroed bytes at first. */
CVY_EXPORT void *cvy_ctx_state(cvy_ctx_t *ctx);
CVY_EXPORT const cvy_stage_t *cvy_ctx_stage(const cvy_ctx_t *ctx);
CVY_EXPORT cvy_conveyor_t *cvy_ctx_conveyor(const cvy_ctx_t *ctx);
CVY_EXPORT cvy_transport_t *cvy_ctx_transport(const cvy_ctx_t *ctx);
CVY_EXPORT cvy_loop_t *cvy_ctx_loop(const cvy_ctx_t *ctx);
/** For cvy_buf_init. */
CVY_EXPORT cvy_pool_t *cvy_ctx_pool(const cvy_ctx_t *ctx);
/** What an inbound fire would answer now. A stage that holds bytes asks on entry. */
CVY_EXPORT int cvy_ctx_stopped(const cvy_ctx_t *ctx);
/** false: above the high mark; an on_outbound_resume is certain to come (unless the connection closes). */
CVY_EXPORT bool cvy_ctx_writable(cvy_ctx_t *ctx);

/** on_timer in ms milliseconds; one per context, set anew by each call; CVY_OFF: none. Ends with the stage. */
CVY_EXPORT void cvy_ctx_timer(cvy_ctx_t *ctx, int64_t ms);

/** Suspends reading for this holder; effective at once, idempotent. Removing the stage lets go. Source: seed, InboundSuspend. */
CVY_EXPORT void cvy_ctx_suspend(cvy_ctx_t *ctx);
/** Lets go. When nobody holds any more, inbound-resume walks from TAIL to HEAD after the dispatch, and reading goes on. */
CVY_EXPORT void cvy_ctx_resume(cvy_ctx_t *ctx);

/**
 * This stage failed: an error event starts at the next stage towards TAIL after the current dispatch. Unhandled it closes the
 * connection. detail is static text; value and limit, where not both 0, are what was seen and what was allowed.
 */
CVY_EXPORT void cvy_ctx_fail(cvy_ctx_t *ctx, int code, const char *detail);
CVY_EXPORT void cvy_ctx_fail_limit(cvy_ctx_t *ctx, int code, const char *detail, uint64_t value, uint64_t limit);

/** Ends a hold of on_active (on_read_closed). Idempotent. */
CVY_EXPORT void cvy_ctx_activate_next(cvy_ctx_t *ctx);
CVY_EXPORT void cvy_ctx_read_closed_next(cvy_ctx_t *ctx);

CVY_END_DECLS
#endif
