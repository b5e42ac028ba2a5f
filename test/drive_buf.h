/*
 * Drives buffers and the flat oracle by the same operations, chosen by a stream of numbers: a generator in test_buf_model.c, the
 * fuzzer's bytes in fuzz_buf.c. Every public call of buf.h and cursor.h is among them (buf_ops.sh). After each operation every buffer is compared with its oracle; a difference aborts with the operation's name.
 */
#ifndef CVY_TEST_DRIVE_BUF_H
#define CVY_TEST_DRIVE_BUF_H

#include <conveyor/cursor.h>

#include "buf/slab.h"
#include "model_buf.h"

enum { DRIVE_BUFS = 4 };

/* Where choices come from. Returns any number; after the last it goes on with zeros. */
typedef struct drive_source {
    uint32_t (*next)(void *arg);
    void *arg;
} drive_source_t;

/* An allocator over malloc that says no: to the one numbered fail_at (from 1; 0: none), or to one in fail_one_in. It checks sizes. */
typedef struct drive_alloc {
    cvy_alloc_t alloc;
    uint64_t asked;
    uint64_t refused;
    uint64_t fail_at;
    uint32_t fail_one_in; /* 0: none */
    uint32_t dice;
    uint64_t live; /* blocks not given back */
    size_t live_bytes;
} drive_alloc_t;

typedef struct drive {
    drive_source_t source;
    drive_alloc_t memory;
    cvy_pool_t *pool[2]; /* the second is of other sizes; see drive_pool */
    cvy__slab_t slab;
    cvy_buf_t buf[DRIVE_BUFS];
    model_buf_t model[DRIVE_BUFS];
    cvy_cursor_t cursor[DRIVE_BUFS];
    uint64_t position[DRIVE_BUFS];
    size_t largest; /* bytes that an operation adds at most */
    size_t wrapped; /* foreign memory not yet freed */
    uint64_t steps;
    const char *op;
} drive_t;

void drive_alloc_init(drive_alloc_t *m);
/* opts->alloc is replaced. Also sets the default allocator; drive_fini sets it back. */
void drive_init(drive_t *d, const cvy_pool_opts_t *opts, drive_source_t source);
void drive_step(drive_t *d);
/* Ends all and wants every segment and block back. */
void drive_fini(drive_t *d);

/* Aborts with what is wrong where a buffer breaks an invariant of its own. */
void drive_check_shape(const cvy_buf_t *b);

#endif
