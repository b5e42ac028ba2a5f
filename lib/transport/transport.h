/*
 * A transport, as its kinds (tcp, pipe, inproc, embedded, watched) and the endpoints see it.
 *
 * A kind is a cvy_transport_t as the first member of its own struct, and a table. The common part owns the queue, the marks, the
 * states, closing, deadlines and the conveyor; a kind only moves bytes. Every call of a kind into the common part happens between
 * cvy__loop_enter and cvy__loop_leave of t->conveyor.loop.
 */
#ifndef CVY_TRANSPORT_TRANSPORT_H
#define CVY_TRANSPORT_TRANSPORT_H

#include <conveyor/transport.h>
#include <stdatomic.h>

#include "conveyor/core.h"
#include "loop/loop.h"

typedef struct cvy__kind {
    const char *name;
    /* Start (stop) delivering reads. After stop returns none follow. Stop is idempotent, start is called only when stopped. */
    int (*read_start)(cvy_transport_t *t);
    void (*read_stop)(cvy_transport_t *t);
    /*
     * Sends from the head of out, which it does not change: > 0 that many bytes are with the kernel. UV_EAGAIN: not now, or a write of
     * some bytes from the head is under way; the kind calls cvy__transport_wrote once, later, and write is not called before that.
     * The bytes at the head stay where they are until then. Else an error.
     */
    int (*write)(cvy_transport_t *t, const cvy_buf_t *out);
    /* Of a write under way: what the system has not taken yet. NULL: all is told by cvy__transport_wrote. */
    size_t (*unsent)(const cvy_transport_t *t);
    /* Ends our side; nothing is queued. 0: cvy__transport_shut follows, later; else an error (treated as done). NULL: no such thing. */
    int (*shutdown)(cvy_transport_t *t);
    /* Called once. Ends everything; cvy__transport_closed follows exactly once, never inside. reset: if there is such a thing. A kind that has a
     * write under way need not call cvy__transport_wrote any more, but lets go of the bytes before cvy__transport_closed. */
    void (*close)(cvy_transport_t *t, bool reset);
    /* While nobody reads: 0, or what is wrong with the connection (UV_ECONNRESET). NULL: can't tell. */
    int (*probe)(cvy_transport_t *t);
    int (*fd)(const cvy_transport_t *t, cvy_socket_t *out); /* NULL: none */
    void (*free)(cvy_transport_t *t);                       /* the memory, after the last unref */
} cvy__kind_t;

/* A queue this long does not wait for the end of the callback: contract T7. */
#define CVY__FLUSH_BYTES ((uint64_t)256 * 1024)

/* The options that matter after opening, resolved: no 0s and no CVY_OFFs any more. UINT64_MAX is never, or no limit. */
typedef struct cvy__limits {
    uint64_t high, low, hard;
    int64_t room;  /* hard, as slots count it */
    uint64_t calm; /* so much in the queue crosses no mark and is no reason to flush */
    uint64_t drain_ms, linger_ms, linger_bytes, stall_ms, half_close_ms, probe_ms, suspend_ms;
    uint64_t read_budget, read_budget_bytes;
    bool hold_reads, allow_half_close, strict_tail;
    cvy_close_verb_t error_verb;
} cvy__limits_t;

/* Limits are shared by all transports that were opened with the same options: counted, any thread. */
typedef struct cvy__shared_opts {
    atomic_uint refs;
    atomic_size_t room; /* for contexts: what the last chain wanted, and the next connection brings along */
    cvy__limits_t limits;
    cvy_transport_opts_t given; /* for the socket options: see cvy__socket_apply */
} cvy__shared_opts_t;
int cvy__shared_opts_new(cvy__shared_opts_t **out,
                         const cvy_transport_opts_t *opts); /* UV_ENOMEM, UV_EINVAL (low > high, ...) */
cvy__shared_opts_t *cvy__shared_opts_ref(cvy__shared_opts_t *o);
void cvy__shared_opts_unref(cvy__shared_opts_t *o);
/* Room for contexts that a connection with these options is likely to want, and what one has wanted. Any thread. */
size_t cvy__shared_opts_room(const cvy__shared_opts_t *o);
void cvy__shared_opts_learn(cvy__shared_opts_t *o, size_t room);

typedef struct cvy__ticket {
    struct cvy__ticket *next;
    uint64_t position; /* complete when so many bytes are with the kernel */
    cvy_flush_cb cb;
    void *arg;
} cvy__ticket_t;

typedef struct cvy__endpoints cvy__endpoints_t; /* endpoints.c */

typedef enum cvy__due { /* the deadlines */
                        CVY__DUE_CLOSE,
                        CVY__DUE_HALF_CLOSE,
                        CVY__DUE_STALL,
                        CVY__DUE_SUSPEND,
                        CVY__DUE_PROBE,
                        CVY__DUES
} cvy__due_t;

/* What a connection that is open and keeps up needs none of: made when the first of it is asked for, kept until the end. */
typedef struct cvy__extra {
    cvy_transport_t *transport;
    cvy__entry_t alarm;      /* all deadlines */
    uint64_t due[CVY__DUES]; /* UINT64_MAX: none */
    size_t unsent;           /* of a write under way, when somebody looked last */
    uint64_t lingered;
    uint64_t bytes_dropped;
    cvy__ticket_t *tickets, **tickets_end;
    void (*on_flush_completed)(cvy_transport_t *t, void *arg);
    void *on_flush_completed_arg;
    void (*on_writable)(cvy_transport_t *t, bool writable, void *arg);
    void *on_writable_arg;
    int kept_cause; /* of a close that a stage keeps back */
} cvy__extra_t;

/* Stands in the endpoint that made it. */
typedef struct cvy__maker {
    void (*gone)(struct cvy__maker *maker, cvy_transport_t *t); /* right after on_shutdown_completed */
} cvy__maker_t;

typedef enum cvy__phase {
    CVY__CONNECTING, /* not yet connected: writes are queued from on_connected on only */
    CVY__OPEN,
    CVY__DRAINING,  /* graceful: sending what is queued, then our end */
    CVY__LINGERING, /* graceful: waiting for the peer's end */
    CVY__CLOSING,   /* kind->close was called */
    CVY__CLOSED     /* torn down */
} cvy__phase_t;

struct cvy_transport {
    const cvy__kind_t *kind;
    cvy__shared_opts_t *opts;
    cvy_conveyor_t conveyor; /* which knows the loop */
    cvy__work_t flush;       /* end of the turn */
    cvy_buf_t out;           /* accepted and not yet with the kernel; what it consumed is what the kernel has */
    cvy__extra_t *extra;     /* NULL: nothing of it has been needed */
    union {
        cvy__slot_t *slot;     /* its room is kept up to date for those who post */
        cvy_transport_id_t id; /* once it is closed, and the slot another's */
    } name;
    uint64_t bytes_read;
    uint64_t last_read_ms, last_write_ms;
    uint64_t read_bytes; /* in the turn that the budget is counted in, and how many reads */
    uint32_t reads, read_turn;
    void *data;
    union {
        cvy__endpoints_t *endpoints; /* NULL: not known */
        struct {
            uint8_t self[4], other[4];
        } inet4; /* with has_inet4 and the ports, as the network has them: what its names will be written from */
    } names;
    void (*on_shutdown_completed)(cvy_transport_t *t, int cause, void *arg);
    void *on_shutdown_completed_arg;
    cvy__maker_t *maker; /* NULL: nobody has to know */
    atomic_uint refs;
    uint16_t self_port, other_port;
    int cause; /* the first one */
    /* why queued bytes do not reach the kernel: the transport's first error or deadline; 0: our own close */
    int lost;
    uint8_t phase, read_state, write_state, verb;
    bool read_armed : 1; /* kind->read_start is in force */
    bool waiting : 1;    /* kind->write said UV_EAGAIN, or kind->close was called */
    bool shut_asked : 1; /* our end of stream follows what is queued */
    bool shut_called : 1;
    bool error_is_own : 1; /* cause came from the transport: stages are told at the end */
    bool flushed_out : 1;  /* the queue ran empty: on_flush_completed is due */
    bool read_since : 1;   /* something was read since the last read-complete */
    bool eof_is_new : 1;   /* its deadlines follow, when the stages have heard of it */
    bool has_inet4 : 1;
    bool wants_active : 1;
    bool tail_logged : 1;
    /* a write that passed the hard limit's gate is on its way through the stages: HEAD takes all that comes of it */
    bool admitted : 1;
};

/*
 * Makes t, whose memory is zeroed and the kind's, a transport in the state connecting, on loop's thread. The loop owns it from here
 * on: on success every path ends in cvy__transport_closed. On failure t is the caller's again. opts is referenced, not taken.
 * UV_ENOMEM, UV_ESHUTDOWN (the loop is ending).
 */
int cvy__transport_init(cvy_transport_t *t, const cvy__kind_t *kind, cvy_loop_t *loop, cvy__shared_opts_t *opts);
/* Fixes both endpoints (texts; addresses may be NULL). Copies. UV_ENOMEM. */
int cvy__transport_set_endpoints(cvy_transport_t *t, const char *self, const struct sockaddr *self_address,
                                 const char *other, const struct sockaddr *other_address);
/* The same for TCP; NULL: not known. The texts are written when they are asked for. */
int cvy__transport_set_inet(cvy_transport_t *t, const struct sockaddr *self, const struct sockaddr *other);
void cvy__transport_forget_endpoints(cvy_transport_t *t);
/* The whole opening of a connected transport: builds the chain with init, calls lend (on_accepted, on_connected; may be NULL), and notes
 * active, which follows after the callback that is now on the stack. When init fails: its code, and t is closing (it will be closed and
 * freed by itself; lend was not called). */
int cvy__transport_open(cvy_transport_t *t, cvy_conveyor_init_cb init, void *arg,
                        void (*lend)(cvy_transport_t *t, void *lend_arg), void *lend_arg);

/* Reading, from the kind. */

/* Whether the kind may deliver now. false: the turn's budget is used up, or someone suspended reading; the kind gives no buffer. */
bool cvy__transport_may_read(cvy_transport_t *t);
/* What to do when a read came and may_read said no: stops reading where it is suspended; where only the budget is used up reading stays
 * armed. The kind calls it and drops nothing. */
void cvy__transport_not_now(cvy_transport_t *t);
/* n bytes stand in the loop's slab where cvy__slab_room said. */
void cvy__transport_read_slab(cvy_transport_t *t, size_t n);
/* Takes what is in the buffer. */
void cvy__transport_read_buf(cvy_transport_t *t, cvy_buf_t *in);
void cvy__transport_read_eof(cvy_transport_t *t);
void cvy__transport_read_error(cvy_transport_t *t, int code);

/* Writing, from the kind. */

/* A write under way took n bytes from the head (0: it just may be tried again); or failed. */
void cvy__transport_wrote(cvy_transport_t *t, size_t n, int status);
void cvy__transport_shut(cvy_transport_t *t, int status);

/* Closing. */

void cvy__transport_close_with(cvy_transport_t *t, cvy_close_verb_t verb, int cause, bool own_error);
/* The kind has let go of everything: tickets, error, inactive, on_removed, shutdown-completed, and the loop's reference. */
void cvy__transport_closed(cvy_transport_t *t);
/* One code for one thing: UV_EOF, UV_ECONNABORTED and the like become what the contracts say. */
int cvy__transport_code(int uv_code);

/* Within the room */

/* ends.c: where transport and conveyor meet */
extern const cvy__owner_t cvy__transport_owner;

/* write.c */
void cvy__transport_queue(cvy_transport_t *t, cvy_buf_t *b); /* takes all of b */
void cvy__transport_queue_fired(
    cvy_transport_t *t, cvy_buf_t *b); /* the same for what stages fired, which nobody has asked yet whether it may */
void cvy__transport_dirty(cvy_transport_t *t); /* flush at the end of the turn */
void cvy__transport_flush_work(cvy__work_t *work);
void cvy__transport_reads_over(cvy_transport_t *t); /* read-complete, where it is due */
void cvy__transport_flush_now(cvy_transport_t *t);
bool cvy__transport_over_hard(const cvy_transport_t *t);
void cvy__transport_count_queued(cvy_transport_t *t); /* out has changed: tells those who post */
int cvy__transport_refusal(
    const cvy_transport_t *t); /* why no write is taken, the limit aside: UV_EPERM, UV_EPIPE, UV_ENOTCONN, or 0 */
void cvy__transport_write_admitted(cvy_transport_t *t, cvy_buf_t *b); /* from TAIL */

/* ticket.c */
void cvy__transport_settle(cvy_transport_t *t); /* tickets that are due, on_flush_completed, the peer's end */
void cvy__transport_fail_tickets(cvy_transport_t *t);
bool cvy__transport_ticket_due(const cvy_transport_t *t);

/* read.c */
void cvy__transport_update_reading(cvy_transport_t *t); /* starts it where nothing stands against it */
void cvy__transport_read_suspended(cvy_transport_t *t, bool suspended);
void cvy__transport_active_begun(cvy_transport_t *t);
void cvy__transport_after_eof(cvy_transport_t *t); /* still open: watch it, and our side's time runs */

/* close.c */
void cvy__transport_close_kept(cvy_transport_t *t, const cvy_close_t *how);
void cvy__transport_try_shutdown(
    cvy_transport_t *t); /* our end of stream, when it is asked for and nothing is queued */

/* extra.c. NULL: there is no memory for it; or_close: and t closes for that. */
cvy__extra_t *cvy__transport_extra(cvy_transport_t *t);
cvy__extra_t *cvy__transport_extra_or_close(cvy_transport_t *t);
void cvy__transport_extra_free(cvy_transport_t *t);

/* deadline.c. Arming needs memory, see above; UINT64_MAX ms: none. */
void cvy__transport_arm(cvy_transport_t *t, cvy__due_t which, uint64_t ms);
void cvy__transport_disarm_all(cvy_transport_t *t);
void cvy__transport_on_alarm(cvy__entry_t *alarm);
/* The kernel took something: who waits for that has its time anew. */
void cvy__transport_postpone(cvy_transport_t *t, uint64_t now);
/* Whether some of a write under way has gone since this was asked last: then deadlines and idle times start anew. */
bool cvy__transport_has_moved(cvy_transport_t *t);
static inline uint64_t cvy__transport_due(const cvy_transport_t *t, cvy__due_t which)
{
    return t->extra ? t->extra->due[which] : UINT64_MAX;
}
static inline void cvy__transport_disarm(cvy_transport_t *t, cvy__due_t which)
{
    if (t->extra) t->extra->due[which] = UINT64_MAX;
}

/* state.c: every change of state, each naming the call that causes it */
bool cvy__read_edge(cvy_read_state_t from, cvy_read_state_t to);
bool cvy__write_edge(cvy_write_state_t from, cvy_write_state_t to);
void cvy__transport_set_read(cvy_transport_t *t, cvy_read_state_t to, const char *cause);
void cvy__transport_set_write(cvy_transport_t *t, cvy_write_state_t to, const char *cause);
#ifndef NDEBUG
/* For a test, before it opens anything: is told of every change. Debug builds only. */
typedef enum cvy__side { CVY__SIDE_READ, CVY__SIDE_WRITE } cvy__side_t;
typedef void (*cvy__edge_hook_t)(const cvy_transport_t *t, cvy__side_t side, unsigned from, unsigned to);
extern cvy__edge_hook_t cvy__transport_edge_hook;
#endif

static inline uint64_t cvy__transport_now(const cvy_transport_t *t)
{
    return cvy_loop_now(t->conveyor.loop);
}

#endif
