/*
 * A wire: two connected transports, a and b, each with a recorder as its only stage and a log of its own. The same scenario
 * runs over every kind. Everything runs on the test's thread, also where the two ends have loops of their own.
 */
#ifndef CVY_TEST_WIRE_H
#define CVY_TEST_WIRE_H

#include <conveyor/adopt.h>

#include "recorder.h"

typedef enum wire_kind { WIRE_TCP, WIRE_PIPE, WIRE_PAIR, WIRE_PAIR_LOOPS, WIRE_WATCHED, WIRE_KINDS } wire_kind_t;

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
    uint64_t wrong; /* bytes received that do not follow the pattern */
    cvy_transport_opts_t opts;
} wire_end_t;

typedef struct wire {
    wire_kind_t kind;
    wire_end_t a, b;
    bool own_loops;
    long segments; /* live before it */
} wire_t;

/* Zeroes w and prepares both ends; options, rules, flags and hooks are set between init and open. */
void wire_init(wire_t *w, wire_kind_t kind);
/* loop: one to share; NULL: loops of its own. Both ends are open, and active, when it returns 0. */
int wire_open(wire_t *w, cvy_loop_t *loop);
/* Ends what is open, and checks that nothing is left of it. */
void wire_fini(wire_t *w);

/* One turn of each loop; waits a little where nothing is ready. */
void wire_turn(wire_t *w);
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
/* Checks what end receives against the pattern. Both are hooks: */
void wire_hook(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in);

/* Whether the kind has a reset that the peer can tell from an end, and an end of stream that leaves the other direction open. */
bool wire_resets(wire_kind_t kind);
bool wire_half_closes(wire_kind_t kind);
/* libuv allocates and copies what is written: pipes on Windows. */
bool wire_copies(wire_kind_t kind);
const char *wire_name(wire_kind_t kind);
/* Both ends are gone. */
bool wire_gone(const wire_t *w);

/* The segments' allocator of the wire's loops: counts, and fails the n-th call from now (0: none). */
extern long wire_segments_live, wire_segments_taken, wire_segments_fail;
cvy_loop_t *wire_new_loop(void);
/* Ends what is open on it, frees it, and checks that no segment is left. */
void wire_end_loop(cvy_loop_t *loop);
/* Of the watched kind: calls of write_some that took something. */
extern long wire_watched_writes;
extern const cvy_transport_ops_t wire_watched_ops;

/* A test that runs once per kind, with a wire w; its body stands in braces between the two. */
#define START_OVER_KINDS(name) \
    START_TEST(name)           \
    {                          \
        wire_t w;              \
        wire_init(&w, (wire_kind_t)_i);

#define END_OVER_KINDS \
    wire_fini(&w);     \
    }                  \
    END_TEST

#define ADD_OVER_KINDS(tc, test) tcase_add_loop_test(tc, test, 0, WIRE_KINDS)

/* Two connected descriptors. */
void wire_tcp_fds(cvy_socket_t fds[2]);
void wire_pipe_fds(cvy_socket_t fds[2]);

#endif
