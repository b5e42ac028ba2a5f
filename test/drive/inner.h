/* What the files of the driver share: the life that is being driven, and the table behind which the two ways to move bytes stand. */
#ifndef CVY_TEST_DRIVE_INNER_H
#define CVY_TEST_DRIVE_INNER_H

#include <conveyor/transport.h>
#include <uv.h>

#include "drive.h"
#include "transport/transport.h"

#define must(condition) ((condition) ? (void)0 : drive_broken(__FILE__, __LINE__, #condition))

#ifdef NDEBUG /* states are seen in callbacks and after operations only */
#define EDGES_ARE_SEEN false
#else
#define EDGES_ARE_SEEN true
#endif

enum {
    MAX_STAGES = 8,
    MAX_TICKETS = 4096,
    MAX_DEPTH = 3,
    MAX_INSIDE = 400, /* operations inside callbacks */
    BIG = 3000,
    EVERYTHING = 1 << 30
};

typedef struct bytes {
    uint8_t *data;
    size_t len, cap;
} bytes_t;

/* Where a connection's bytes come from and go to. Calls that run turns do nothing inside a callback. */
typedef struct drive_io {
    const char *name;
    bool resets;    /* the peer can say more than that it is gone */
    bool simulated; /* its clock moves only when told, and nothing is under way behind our back */
    void (*open)(const cvy_transport_opts_t *opts, const cvy_loop_opts_t *loop_opts, bool connecting);
    void (*connect)(int status);  /* where it was opened connecting */
    void (*turns)(void);          /* until nothing moves */
    void (*wait)(void);           /* not simulated: a turn that waits a little */
    void (*advance)(uint64_t ms); /* simulated */
    void (*hinder)(uint32_t how); /* writes would block, are short, fail */
    void (*unhinder)(bool for_good);
    size_t (*peer_write)(const uint8_t *bytes, size_t n); /* how many are on their way */
    int (*peer_read)(uint8_t *bytes, size_t n);           /* > 0, 0 end, or a code */
    void (*peer_end)(void);
    void (*peer_close)(bool reset);
    void (*free)(void); /* the loop, and what waits on it */
} drive_io_t;

extern const drive_io_t drive_embedded, drive_tcp, drive_pipe;

/* What a context of ours has seen, and holds. */
typedef struct state {
    bool active, inactive, removed, read_closed;
    cvy_buf_t in, out; /* a holder's */
    bool holds_closed;
    int slot; /* in d.stages; -1: tap or sink */
} state_t;

typedef struct poster {
    size_t made, done;
} poster_t;

typedef struct drive {
    drive_numbers_t numbers;
    drive_backend_t backend;
    const drive_io_t *io;
    cvy_loop_t *loop;
    cvy_transport_t *t; /* its memory is kept until the end */
    cvy_conveyor_t *c;
    cvy_ctx_t *tap, *sink; /* NULL: not yet connected */
    cvy_ctx_t *stages[MAX_STAGES];
    bytes_t accepted; /* by the transport */
    bytes_t fed;      /* by the peer */
    size_t peer_got;
    size_t arrived;      /* at tap */
    size_t consumed;     /* at sink */
    size_t completed_at; /* what had arrived at the last read-complete */
    uint64_t made;       /* bytes of the pattern */
    uint64_t tickets[MAX_TICKETS];
    size_t tickets_made, tickets_done;
    poster_t posters[2]; /* the loop's own thread, another one */
    size_t added, removed;
    size_t callbacks;
    int depth, inside;
    bool replacing;                   /* a stage that holds bytes */
    long segments, segment_fails;     /* live; the n-th from now fails */
    unsigned read_state, write_state; /* as the edges say */
    bool suspended;                   /* stages were told */
    bool told_no;                     /* the setter was told */
    uint64_t resumed;                 /* the turn of the last resume + 1 */
    uint64_t completed;               /* the turn of the last read-complete + 1 */
    bool tickets_failed, tap_inactive, ended, finishing;
    bool shut;       /* our end was sent behind everything */
    bool peer_ended; /* the peer will write no more, */
    bool peer_gone;  /* nor read, */
    bool reset;      /* and said so */
    bool sabotaged;  /* our descriptor was spoiled behind the transport's back */
} drive_t;

extern drive_t d;

uint32_t next(unsigned bytes);

/* trace.c */
void drive_broken(const char *file, int line, const char *what) __attribute__((noreturn));
void trace_begin(const char *name);
void trace_op(const char *op, uint32_t how, const char *who);
void trace_event(const char *who, const char *event);

/* ops.c: one operation; ctx: the stage in whose callback it is, or NULL */
void drive_act(cvy_ctx_t *ctx);
/* Perhaps an operation, inside a callback. */
void drive_inside(cvy_ctx_t *ctx, const char *event);
/* n bytes that follow the pattern. */
cvy_buf_t drive_make(size_t n);

/* chain_ops.c, post_ops.c, peer_ops.c */
void op_add(cvy_ctx_t *ctx, uint32_t how);
void op_replace(cvy_ctx_t *ctx, uint32_t how);
void op_remove(cvy_ctx_t *ctx, uint32_t how);
void op_map(cvy_ctx_t *ctx, uint32_t how);
void op_remove_self(cvy_ctx_t *ctx, uint32_t how);
void op_post(cvy_ctx_t *ctx, uint32_t how);
void op_post_elsewhere(cvy_ctx_t *ctx, uint32_t how);
void posts_end(void);
void op_peer_writes(cvy_ctx_t *ctx, uint32_t how);
void op_peer_writes_more(cvy_ctx_t *ctx, uint32_t how);
void op_peer_reads(cvy_ctx_t *ctx, uint32_t how);
void op_peer_ends(cvy_ctx_t *ctx, uint32_t how);
void op_peer_closes(cvy_ctx_t *ctx, uint32_t how);
void op_peer_resets(cvy_ctx_t *ctx, uint32_t how);
/* At most n bytes; true: there were some. */
bool peer_reads(size_t n);

/* oracle.c */
void keep(bytes_t *to, const void *bytes, size_t n);
uint64_t position(void); /* of all bytes accepted so far */
int expected_refusal(void);
void look(void);       /* may be called at any time */
void check_flow(void); /* after each operation from outside */
void check_rest(void); /* when all has come to rest; waits for it where that takes time */
void check_cause(int cause);
extern const cvy_alloc_t drive_segments;

/* stages.c */
extern const cvy_stage_t drive_stage_tap, drive_stage_sink, drive_stage_holder, drive_stage_passer, drive_stage_catcher,
    drive_stage_refuser;
state_t *of(cvy_ctx_t *ctx);
int drive_init(cvy_conveyor_t *c, void *arg);
void drive_watch(cvy_transport_t *t); /* the application's callbacks */
const char *drive_who(cvy_ctx_t *ctx);

/* coverage.c */
void coverage_hook(void);
void coverage_close(int verb);

#endif
