/*
 * A wire: two connected transports, a and b, each with a recorder and a log of its own. The same scenario runs over every kind of
 * transport, in every variant. Everything runs on the test's thread, also where the two ends have loops of their own.
 *
 * A variant is how the ends read, where segments come from, and how large they are:
 *   reading    automatic; or manual: a stage before the recorder suspends after each read, and each turn asks for one more
 *   memory     pooled; malloc (the pool keeps nothing); guarding (every overrun and every use after free faults)
 *   segments   64 KiB, 4 KiB, 64 B
 */
#ifndef CVY_TEST_WIRE_H
#define CVY_TEST_WIRE_H

#include <stdatomic.h>

#include <conveyor/adopt.h>
#include <conveyor/embedded.h>

#include "conform.h"
#include "recorder.h"
#include "wire_fds.h"

typedef enum wire_kind {
    WIRE_TCP,
    WIRE_PIPE,
    WIRE_PAIR,
    WIRE_PAIR_LOOPS,
    WIRE_WATCHED,
    WIRE_EMBEDDED,
    WIRE_KINDS
} wire_kind_t;

/* What a case can need and a kind can lack. */
enum {
    NEEDS_RESET = 1,        /* a reset, which the peer can tell from an end */
    NEEDS_HALF_CLOSE = 2,   /* an end of stream that leaves the other direction open */
    NEEDS_BUFFER_SIZES = 4, /* the options send_buffer and receive_buffer */
    NEEDS_ONE_LOOP = 8,     /* several on one loop */
    NEEDS_NO_COPY = 16,     /* what is written is not copied by libuv, nor written later */
    NEEDS_NO_MALLOC = 32,   /* the wire itself allocates nothing */
    NEEDS_FD = 64,          /* the transport's own descriptor */
    NEEDS_NO_FD = 128,
    NEEDS_NO_RESET = 256,
    NEEDS_UNREAD = 512,         /* a reset is one also behind bytes that were not read, and behind an end */
    NEEDS_COUNTED_WRITES = 1024 /* the writes that reach the system can be counted */
};

/* For conform_run: WIRE_KINDS kinds, WIRE_VARIANTS variants. */
enum { WIRE_VARIANTS = 18 };
extern const conform_kind_t wire_kinds[WIRE_KINDS];

typedef struct wire_end {
    cvy_transport_t *t; /* NULL once it is gone */
    recorder_t r;
    recorder_log_t log;
    cvy_loop_t *loop;
    int cause;   /* of a gone one; 1 before */
    bool opened; /* its conveyor was built */
    /* a source: fills whatever is writable until total is sent; see wire_source */
    uint64_t sent, total;
    size_t chunk;
    uint64_t wrong; /* pieces received that do not follow the pattern */
    cvy_transport_opts_t opts;
    cvy_ctx_t *gate; /* of the stage that reads by demand */
    /* the embedded kind */
    cvy_embedded_t *e;
    uint64_t fed;
    bool end_told, reset_told;
} wire_end_t;

typedef struct wire {
    wire_kind_t kind;
    wire_end_t a, b;
    bool own_loops;
    long segments; /* live before it */
} wire_t;

/* Zeroes w and prepares both ends; options, rules, flags (by |=) and hooks are set between init and open. */
void wire_init(wire_t *w, wire_kind_t kind);
/*
 * loop: one to share; NULL: loops of its own. b.loop may be set before: its reference is the wire's then. Both ends are open, and active,
 * when it returns 0.
 */
int wire_open(wire_t *w, cvy_loop_t *loop);
/* Ends what is open, and checks that nothing is left of it. */
void wire_fini(wire_t *w);

/* One turn of each loop; waits a little where nothing is ready. */
void wire_turn(wire_t *w);
/* n turns that wait for nothing. */
void wire_turns(wire_t *w, int n);
/* Turns until the condition holds: check's time limit is the only one. */
#define WIRE_UNTIL(w, condition) \
    do {                         \
        wire_turn(w);            \
    } while (!(condition))

/* Sends n bytes of text below the stages. Returns what write answered. */
int wire_write(wire_end_t *end, const void *bytes, size_t n);
int wire_text(wire_end_t *end, const char *text);
/* From now on end sends total bytes of the pattern, in writes of chunk, whenever it is writable. */
void wire_source(wire_end_t *end, uint64_t total, size_t chunk);
/* Fills what is writable from there, and checks what end receives against the pattern. */
void wire_hook(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in);
/* Appends n bytes of the pattern, from so far into it on. */
void wire_pattern(cvy_buf_t *out, uint64_t at, size_t n);

/* The name that the kind's transports answer. */
const char *wire_name(wire_kind_t kind);
/* Both ends are gone. */
bool wire_gone(const wire_t *w);

/* Variants; 0 is the ordinary one. */
void wire_vary(int variant);
bool wire_manual(void);
size_t wire_segment_bytes(void);
/* So many bytes as cost about the same in every variant: n, less where segments are small. */
uint64_t wire_scaled(uint64_t n);

/* The segments' allocator of the wire's loops counts. */
extern atomic_long wire_segments_live, wire_segments_taken;
const cvy_loop_opts_t *wire_loop_opts(void);
cvy_loop_t *wire_new_loop(void);
/* Ends what is open on it, frees it, and checks that no segment is left. */
void wire_end_loop(cvy_loop_t *loop);
/* The guarding allocator: each block ends at an inaccessible page, and is inaccessible once it is freed. */
extern const cvy_alloc_t wire_guarding;

/* Writes that reached the system, where they are counted: of the watched kind for all ends together. */
size_t wire_writes(const wire_end_t *end);
extern long wire_watched_writes;
extern const cvy_transport_ops_t wire_watched_ops;

/* A test that runs over every kind and variant, with a wire w; its body stands in braces between the two. */
#define START_OVER_KINDS(name)          \
    START_TEST(name)                    \
    {                                   \
        wire_t w;                       \
        wire_vary(conform_variant(_i)); \
        wire_init(&w, (wire_kind_t)conform_kind(_i));

#define END_OVER_KINDS \
    wire_fini(&w);     \
    }                  \
    END_TEST

/* Outside the suite: over the kinds that can share a loop, in one variant. */
#define ADD_OVER_KINDS(tc, test) tcase_add_loop_test(tc, test, 0, WIRE_EMBEDDED)
bool wire_half_closes(wire_kind_t kind);

/* Runs such tests: the main() of a conformance executable. */
#define WIRE_RUN(name, cases) \
    conform_run(&(conform_suite_t){ name, cases, CONFORM_COUNT(cases), wire_kinds, WIRE_KINDS, WIRE_VARIANTS, NULL })

/* Closes one of two connected descriptors. */
void wire_drop_fd(wire_kind_t kind, cvy_socket_t fd);

/* The embedded kind's part: opens both ends, passes on what each has sent, frees them. */
int wire_embedded_open(wire_t *w, int (*init)(cvy_conveyor_t *c, void *end));
void wire_embedded_turn(wire_t *w);
void wire_embedded_free(wire_t *w);

#endif
