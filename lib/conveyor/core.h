/*
 * What the transport room uses of a conveyor, and what the files of this room share.
 *
 * A conveyor stands inside its transport. It knows the transport only as HEAD's stage table, which the transport supplies, and as
 * a pointer to hand on. Everything that must not run inside a user's frame (failures, the walks that go by themselves, freeing
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
    CVY__CTX_TIMER = 32,      /* a cvy_timer_t stands before the state */
    /* inside the call that adds or replaces it: walkers step over it, it may be found and may fire */
    CVY__CTX_ASIDE = 64,
    CVY__CTX_HOLD_PAUSES = 128 /* its hold of active took a read suspend for it */
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

struct cvy_ctx {
    const cvy_stage_t *stage;
    cvy_conveyor_t *conveyor;
    cvy_ctx_t *prev;      /* towards HEAD */
    cvy_ctx_t *next;      /* towards TAIL */
    cvy_ctx_t *bytes_in;  /* who gets this one's inbound bytes; cached, rebuilt on every change of the chain */
    cvy_ctx_t *bytes_out; /* who gets its outbound bytes */
    uint32_t busy;        /* its own callbacks on the stack */
    uint32_t flags;
};

/* cvy_conveyor.gate: why a stage has to stop; 0 is the fast path */
enum {
    CVY__GATE_CLOSING = 1,
    CVY__GATE_SUSPENDED = 2, /* someone holds the read suspend */
    CVY__GATE_ABOVE = 4,     /* the outbound queue is above its high mark */
    CVY__GATE_SHUT = 8       /* our side has ended: outbound bytes are dropped */
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
    /* a stage gave up; read-closed reached TAIL */
    void (*close)(cvy_transport_t *t, const cvy_close_t *how, bool read_closed);
    void (*failed)(cvy_transport_t *t, const cvy_error_t *err); /* an error reached TAIL */
    /* the first holder came, the last one went */
    void (*read_suspended)(cvy_transport_t *t, bool suspended);
    void (*dirty)(cvy_transport_t *t);             /* a stage may hold outbound bytes: run the flush walk this turn */
    void (*active_begun)(cvy_transport_t *t);      /* the walk of active has gone as far as it could */
    void (*relieve)(cvy_transport_t *t);           /* send what the kernel takes, now */
    void (*settle)(cvy_transport_t *t);            /* CVY__TODO_OWNER, behind all else */
    void (*dropped)(cvy_transport_t *t, size_t n); /* bytes that reached TAIL */
    void (*writable)(cvy_transport_t *t, bool writable); /* behind the walk of outbound-suspend (resume) */
} cvy__owner_t;

struct cvy_conveyor {
    cvy_transport_t *transport;
    cvy_loop_t *loop;
    const cvy__owner_t *owner;
    cvy_ctx_t head;
    cvy_ctx_t tail;
    cvy__work_t work;
    cvy__work_t next_turn;     /* writability that was put off: at most one pair per turn */
    cvy_ctx_t *active_at;      /* the last one that the walk of active has reached; NULL: not begun */
    cvy_ctx_t *read_closed_at; /* likewise */
    cvy__failure_t *failures, **failures_end;
    size_t holders; /* of the read suspend */
    uint8_t gate;
    uint8_t todo;
    bool active_held; /* the walk waits for cvy_ctx_activate_next */
    bool read_closed_held;
    bool read_closed_done;
    bool above; /* what the queue says, and what the stages were told */
    bool told_above;
    bool owe_pair;   /* crossed both ways, and someone was told "not writable" in between */
    bool in_error;   /* an error walk is on the stack */
    bool in_flush;   /* a flush walk is on the stack */
    bool in_resume;  /* a walk of inbound-resume is on the stack */
    bool last_error; /* the error walk on the stack is the teardown's */
    bool torn_down;
    bool flushes;       /* some stage has on_outbound_flush: cached */
    bool completes;     /* some stage has on_read_complete: cached */
    uint64_t pair_turn; /* the turn that delivered the last outbound-resume */
};

void cvy__conveyor_init(cvy_conveyor_t *c, cvy_transport_t *t, cvy_loop_t *loop, const cvy_stage_t *head,
                        const cvy__owner_t *owner);

/* The walks. None of them may be called inside a user's frame; callers are settle, the flush of a turn, and the close callback. */
void cvy__conveyor_walk_read_complete(cvy_conveyor_t *c);
void cvy__conveyor_walk_flush(cvy_conveyor_t *c); /* TAIL to HEAD */

/* Notes for the settling. */
void cvy__conveyor_todo(cvy_conveyor_t *c, unsigned what);
void cvy__conveyor_activate(cvy_conveyor_t *c);    /* start the walk of active */
void cvy__conveyor_read_closed(cvy_conveyor_t *c); /* end of stream, behind all bytes */
void cvy__conveyor_shut(cvy_conveyor_t *c);
void cvy__conveyor_above(cvy_conveyor_t *c, bool above); /* the queue crossed a mark */

/* Suspends are held by contexts: HEAD's is the queue's, TAIL's is the application's (cvy_ctx_suspend, cvy_ctx_resume). */
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

extern const cvy_stage_t cvy__tail_stage;

/* fire.c: dispatch */
int cvy__ctx_answer(const cvy_ctx_t *ctx); /* what an inbound fire answers */
void cvy__ctx_leave(cvy_ctx_t *ctx);       /* a callback of ctx has returned: runs a removal that waited for it */
void cvy__error_walk(cvy_ctx_t *from, const cvy_error_t *err);
/* cvy_fire_outbound_bytes for who tells nobody the answer: "not writable" is a promise. */
void cvy__fire_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out);
/* Hands ev to ctx, if its stage takes it in its table or its catch-all. */
bool cvy__ctx_offer(cvy_ctx_t *ctx, cvy_event_t *ev, bool inbound);

/* chain.c: links and memory */
void cvy__chain_rebuild(cvy_conveyor_t *c);
bool cvy__stage_takes_bytes_in(const cvy_stage_t *stage);
void cvy__chain_free_tombstones(cvy_conveyor_t *c);
void cvy__ctx_remove(cvy_ctx_t *ctx);
void cvy__ctx_finish_removal(cvy_ctx_t *ctx);
void cvy__ctx_stop_timer(cvy_ctx_t *ctx);

/* walk.c: what goes by itself */
void cvy__walk_active(cvy_conveyor_t *c);
void cvy__walk_active_one(cvy_ctx_t *ctx);
void cvy__walk_inactive(cvy_conveyor_t *c);
void cvy__walk_read_closed(cvy_conveyor_t *c);
void cvy__walk_resume(cvy_conveyor_t *c);
void cvy__walk_writability(cvy_conveyor_t *c);
void cvy__walk_flush_from(cvy_ctx_t *from);
void cvy__walk_forget(cvy_ctx_t *ctx); /* ctx is removed: nothing waits for it any more */

static inline bool cvy__ctx_skipped(const cvy_ctx_t *ctx)
{
    return (ctx->flags & (CVY__CTX_REMOVED | CVY__CTX_ASIDE)) != 0;
}

/* The neighbours that events see. HEAD and TAIL are never skipped. */
static inline cvy_ctx_t *cvy__ctx_next(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *at = ctx->next;
    while (cvy__ctx_skipped(at))
        at = at->next;
    return at;
}

static inline cvy_ctx_t *cvy__ctx_prev(const cvy_ctx_t *ctx)
{
    cvy_ctx_t *at = ctx->prev;
    while (cvy__ctx_skipped(at))
        at = at->prev;
    return at;
}

static inline void cvy__ctx_enter(cvy_ctx_t *ctx)
{
    ctx->busy++;
}

static inline bool cvy__conveyor_is_closing(const cvy_conveyor_t *c)
{
    return (c->gate & CVY__GATE_CLOSING) != 0;
}

#endif
