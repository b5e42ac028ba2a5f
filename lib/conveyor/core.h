/*
 * What the transport room uses of a conveyor, and what the files of this room share.
 *
 * A conveyor stands inside its transport. It knows the transport only by the owner's table, which the transport supplies: its ends, what is asked
 * of it, and where in it the conveyor stands. Everything that must not run inside a user's frame (failures, the walks that go by themselves, freeing
 * what was removed) is noted in `todo` and done by one deferred work item; see settle.c.
 */
#ifndef CVY_CONVEYOR_CORE_H
#define CVY_CONVEYOR_CORE_H

#include <conveyor/chain.h>
#include <conveyor/timer.h>

#include "loop/loop.h"

/* cvy_ctx.flags */
enum {
    CVY__CTX_ACTIVE = 1,      /* on_active was delivered (or there is none and the walk has passed) */
    CVY__CTX_HOLDS_READS = 2, /* is one of the holders of the read suspend */
    CVY__CTX_REMOVED = 4,     /* walkers step over it */
    CVY__CTX_DEAD = 8,        /* on_removed has returned: what it fires is disposed of */
    CVY__CTX_NO_REMOVED = 16, /* on_added failed, or on_removed was called: not (again) */
    CVY__CTX_DUE = 32,        /* its on_timer is called next */
    /* inside the call that adds or replaces it: walkers step over it, it may be found and may fire */
    CVY__CTX_ASIDE = 64,
    CVY__CTX_READ_CLOSED = 256,  /* on_read_closed was delivered (or there is none and the walk has passed) */
    CVY__CTX_TOLD_ABOVE = 512,   /* had outbound-suspend, and no outbound-resume since */
    CVY__CTX_IN_ROOM = 1024,     /* its memory is the conveyor's room: not freed alone */
    CVY__CTX_HOLDS_END = 2048,   /* the walk of read-closed waits for its answer */
    CVY__CTX_TAKES_IN = 1 << 12, /* what its stage takes: bytes, */
    CVY__CTX_TAKES_OUT = 1 << 13,
    CVY__CTX_TAKES_FLUSH = 1 << 14,    /* outbound-flush, */
    CVY__CTX_TAKES_COMPLETE = 1 << 15, /* read-complete */
    CVY__CTX_BUSY = 1 << 16            /* from here up: how many of its own callbacks are on the stack */
};

/* cvy_event_type_t.builtin */
enum {
    CVY__ACTIVE = 1,
    CVY__INBOUND_BYTES,
    CVY__READ_COMPLETE,
    CVY__READ_CLOSED,
    CVY__OUTBOUND_SUSPEND,
    CVY__OUTBOUND_RESUME,
    CVY__FAILURE,
    CVY__INACTIVE,
    CVY__OUTBOUND_BYTES,
    CVY__OUTBOUND_FLUSH,
    CVY__INBOUND_SUSPEND,
    CVY__INBOUND_RESUME,
    CVY__OUTBOUND_CLOSE
};

/* Its memory goes on with the state, and with when on_timer is due, where the stage has one: see ctx.h. */
struct cvy_ctx {
    const cvy_stage_t *stage;
    cvy_conveyor_t *conveyor;
    cvy_ctx_t *next;      /* towards TAIL */
    cvy_ctx_t *bytes_in;  /* who gets this one's inbound bytes; cached, rebuilt on every change of the chain */
    cvy_ctx_t *bytes_out; /* who gets its outbound bytes */
    uint32_t flags;
};

/* cvy_conveyor.gate: why a stage has to stop; 0 is the fast path */
enum {
    CVY__GATE_CLOSING = 1,
    CVY__GATE_SUSPENDED = 2, /* someone holds the read suspend */
    CVY__GATE_ABOVE = 4,     /* the outbound queue is above its high mark */
    CVY__GATE_SHUT = 8,      /* our side has ended: outbound bytes are dropped */
    CVY__GATE_FLUSHES =
        16 /* no reason: some stage has on_outbound_flush, so that what is fired needs a flush walk; cached */
};

/* cvy_conveyor.todo */
enum {
    CVY__TODO_FAILURES = 1,
    CVY__TODO_ACTIVE = 2,
    CVY__TODO_RESUME = 4,
    CVY__TODO_WRITABILITY = 8,
    CVY__TODO_READ_CLOSED = 16,
    CVY__TODO_TOMBSTONES = 32,
    CVY__TODO_OWNER = 64 /* the transport has work of its own */
};

/* A failure that waits for the end of the dispatch. */
typedef struct cvy__failure {
    struct cvy__failure *next;
    cvy_ctx_t *from; /* the error starts at its next */
    cvy_error_t error;
} cvy__failure_t;

/* What the conveyor asks of its owner where no event says it. */
typedef struct cvy__owner {
    cvy_stage_t ends; /* first: HEAD's outbound slots, and TAIL's inbound ones */
    size_t inset;     /* where in a cvy_transport_t its conveyor stands */
    /* a stage gave up; read-closed reached TAIL */
    void (*close)(cvy_transport_t *t, const cvy_close_t *how, bool read_closed);
    void (*failed)(cvy_transport_t *t, const cvy_error_t *err); /* an error that no stage can hear of */
    void (*close_kept)(cvy_transport_t *t,
                       const cvy_close_t *how); /* close was fired, and a stage has not passed it on yet */
    /* the first holder came, the last one went */
    void (*read_suspended)(cvy_transport_t *t, bool suspended);
    void (*dirty)(cvy_transport_t *t);        /* a stage may hold outbound bytes: run the flush walk this turn */
    void (*active_begun)(cvy_transport_t *t); /* the walk of active has gone as far as it could */
    void (*reads_over)(cvy_transport_t *t);   /* read-closed is next: read-complete goes before it, where it is due */
    void (*relieve)(cvy_transport_t *t);      /* send what the kernel takes, now */
    void (*settle)(cvy_transport_t *t);       /* CVY__TODO_OWNER, behind all else */
    void (*writable)(cvy_transport_t *t, bool writable); /* behind the walk of outbound-suspend (resume) */
} cvy__owner_t;

struct cvy_conveyor {
    cvy_loop_t *loop;
    cvy_ctx_t ends; /* HEAD and TAIL in one, for they share no slot: the chain is a ring that begins and ends here */
    cvy__work_t work;
    cvy__entry_t alarm;       /* the first of the stages' timers */
    cvy_ctx_t *active_at;     /* the last one that the walk of active has reached; NULL: not begun */
    cvy__failure_t *failures; /* the last one; they stand in a ring */
    uint32_t holders : 24;    /* of the read suspend */
    uint32_t held_for : 8;    /* those of them that are no stages */
    uint32_t pair_turn;       /* the turn (modulo 2^32) that delivered the last outbound-resume, plus 1 */
    uint16_t room_at;         /* memory for contexts behind the transport: how far from here the rest begins, */
    uint16_t room;            /* and how long it is */
    uint8_t gate;
    uint8_t todo;
    bool active_held : 1;      /* the walk waits for cvy_ctx_activate_next */
    bool active_over : 1;      /* it has reached TAIL */
    bool read_closed : 1;      /* the peer's end of stream has come */
    bool read_closed_held : 1; /* by the stage with CVY__CTX_HOLDS_END */
    bool read_closed_done : 1;
    bool told_above : 1; /* what the stages were told; what the queue says is CVY__GATE_ABOVE */
    bool owe_pair : 1;   /* crossed both ways, and someone was told "not writable" in between */
    bool in_error : 1;   /* an error walk is on the stack */
    bool in_flush : 1;   /* a flush walk is on the stack */
    bool last_error : 1; /* the error walk on the stack is the teardown's */
    bool torn_down : 1;
    bool completes : 1; /* some stage has on_read_complete: cached */
    bool put_off : 1;   /* writability waits for another turn: at most one pair in each */
};

void cvy__conveyor_init(cvy_conveyor_t *c, cvy_loop_t *loop, const cvy__owner_t *owner);

/* Gives it n bytes for contexts, which live as long as it does. They begin where the state of the first is aligned as malloc aligns: in memory of
 * malloc's at CVY__ROOM_PLACE(at least so many bytes). */
void cvy__conveyor_give_room(cvy_conveyor_t *c, void *room, size_t n);
/* How much its contexts would take of that. */
size_t cvy__conveyor_room_wanted(const cvy_conveyor_t *c);
#define CVY__MALLOC_ALIGN _Alignof(max_align_t)
#define CVY__ROOM_PLACE(n) \
    (((n) + sizeof(cvy_ctx_t) + CVY__MALLOC_ALIGN - 1) / CVY__MALLOC_ALIGN * CVY__MALLOC_ALIGN - sizeof(cvy_ctx_t))

/* The walks. None of them may be called inside a user's frame; callers are settle, the flush of a turn, and the close callback. */
void cvy__conveyor_walk_read_complete(cvy_conveyor_t *c);
void cvy__conveyor_walk_flush(cvy_conveyor_t *c); /* TAIL to HEAD */

/* Notes for the settling. */
void cvy__conveyor_todo(cvy_conveyor_t *c, unsigned what);
void cvy__conveyor_activate(cvy_conveyor_t *c);    /* start the walk of active */
void cvy__conveyor_read_closed(cvy_conveyor_t *c); /* end of stream, behind all bytes */
void cvy__conveyor_shut(cvy_conveyor_t *c);
void cvy__conveyor_above(cvy_conveyor_t *c, bool above); /* the queue crossed a mark */

/* Suspends are held by contexts (cvy_ctx_suspend), and by these; idempotent for each. */
enum {
    CVY__HOLDER_QUEUE = 1,
    CVY__HOLDER_APPLICATION = 2,
    CVY__HOLDER_ACTIVE = 4 /* a stage that takes no bytes holds active; what it suspends and resumes itself is apart */
};
void cvy__conveyor_suspend(cvy_conveyor_t *c, unsigned holder);
void cvy__conveyor_resume(cvy_conveyor_t *c, unsigned holder);
static inline const cvy__owner_t *cvy__conveyor_owner(const cvy_conveyor_t *c)
{
    return (const cvy__owner_t *)(const void *)c->ends.stage;
}

static inline cvy_transport_t *cvy__conveyor_transport(const cvy_conveyor_t *c)
{
    return (cvy_transport_t *)((uintptr_t)c - cvy__conveyor_owner(c)->inset);
}

static inline bool cvy__conveyor_suspended(const cvy_conveyor_t *c)
{
    return (c->gate & CVY__GATE_SUSPENDED) != 0;
}

/* Closing began: no more inbound events, fires answer UV_EPIPE. */
void cvy__conveyor_closing(cvy_conveyor_t *c);
/* The end: the error (NULL: none) and inactive for those that had active, then on_removed from TAIL to HEAD, then the memory. */
void cvy__conveyor_tear_down(cvy_conveyor_t *c, const cvy_error_t *error);
bool cvy__conveyor_was_active(const cvy_conveyor_t *c);

/* Within the room */

/* fire.c: dispatch */
void cvy__error_walk(cvy_ctx_t *from, const cvy_error_t *err);
/* Hands ev to ctx, if its stage takes it in its table or its catch-all. */
bool cvy__ctx_offer(cvy_ctx_t *ctx, cvy_event_t *ev, bool inbound);

/* chain.c: links and memory */
void cvy__chain_rebuild(cvy_conveyor_t *c);
void cvy__chain_free_tombstones(cvy_conveyor_t *c);
void cvy__ctx_remove(cvy_ctx_t *ctx);
void cvy__ctx_finish_removal(cvy_ctx_t *ctx);
void cvy__ctx_left(cvy_ctx_t *ctx); /* a removed one's callback has returned */

/* alarm.c: the stages' timers */
void cvy__alarm_fire(cvy__entry_t *alarm);

/* walk.c: what goes by itself */
extern const cvy_event_t cvy__resume_walk; /* the inbound-resume that does: fired on it asks for nothing */
void cvy__walk_active(cvy_conveyor_t *c);
void cvy__walk_active_one(cvy_ctx_t *ctx);
void cvy__walk_inactive(cvy_conveyor_t *c);
void cvy__walk_read_closed(cvy_conveyor_t *c);
void cvy__walk_resume(cvy_conveyor_t *c);
void cvy__walk_writability(cvy_conveyor_t *c);
bool cvy__walk_pair_told(const cvy_conveyor_t *c); /* this turn has had its pair of writability events */
void cvy__walk_flush_from(cvy_ctx_t *from);
void cvy__walk_forget(cvy_ctx_t *ctx); /* ctx is removed: nothing waits for it any more */

static inline bool cvy__ctx_skipped(const cvy_ctx_t *ctx)
{
    return (ctx->flags & (CVY__CTX_REMOVED | CVY__CTX_ASIDE)) != 0;
}

/* The neighbours that events see. HEAD and TAIL are never skipped. The ring is linked one way, towards TAIL: whoever goes the other way without
 * bytes, which have a pointer of their own, comes from HEAD. Chains are short, and 8 bytes a context are many. */
static inline cvy_ctx_t *cvy__ctx_next(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *at = ctx->next;
    while (cvy__ctx_skipped(at))
        at = at->next;
    return at;
}

static inline cvy_ctx_t *cvy__ctx_prev(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *ends = &ctx->conveyor->ends, *last = ends;
    for (cvy_ctx_t *at = ends->next; at != ctx && at != ends; at = at->next)
        if (!cvy__ctx_skipped(at)) last = at;
    return last;
}

static inline unsigned cvy__ctx_busy(const cvy_ctx_t *ctx)
{
    return ctx->flags / CVY__CTX_BUSY;
}

static inline void cvy__ctx_enter(cvy_ctx_t *ctx)
{
    ctx->flags += CVY__CTX_BUSY;
}

/* A callback of ctx has returned: runs a removal that waited for it. */
static inline void cvy__ctx_leave(cvy_ctx_t *ctx)
{
    ctx->flags -= CVY__CTX_BUSY;
    if (ctx->flags & CVY__CTX_REMOVED) cvy__ctx_left(ctx);
}

static inline bool cvy__conveyor_flushes(const cvy_conveyor_t *c)
{
    return (c->gate & CVY__GATE_FLUSHES) != 0;
}

static inline bool cvy__conveyor_is_above(const cvy_conveyor_t *c)
{
    return (c->gate & CVY__GATE_ABOVE) != 0;
}

static inline bool cvy__conveyor_is_closing(const cvy_conveyor_t *c)
{
    return (c->gate & CVY__GATE_CLOSING) != 0;
}

#endif
