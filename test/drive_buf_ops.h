/*
 * Inside drive_buf: the operations and what they share. Each does one thing to buffer i, some with buffer j, and to the oracle.
 */
#ifndef CVY_TEST_DRIVE_BUF_OPS_H
#define CVY_TEST_DRIVE_BUF_OPS_H

#include <stdio.h>

#include "drive_buf.h"

#define WANT(d, condition)                                                               \
    do {                                                                                 \
        if (!(condition)) drive_wrong((d), "line %d: not so: %s", __LINE__, #condition); \
    } while (0)

typedef struct drive_op {
    const char *name;
    void (*run)(drive_t *d, int i, int j);
    bool goes_on; /* without memory it may still do (some of) its work */
} drive_op_t;

extern const drive_op_t drive_ops[]; /* bytes in, bytes out, room */
extern const size_t drive_op_count;
extern const drive_op_t drive_look_ops[]; /* sharing, searching, cursors, integers, limits */
extern const size_t drive_look_op_count;

/* Says what is wrong, and aborts. */
void drive_wrong(const drive_t *d, const char *format, ...);
uint32_t drive_choose(drive_t *d, uint32_t below);
/* Lengths that matter: none, a header, around the reserve, up to the largest. */
size_t drive_length(drive_t *d);
void drive_fill(drive_t *d, uint8_t *bytes, size_t n);
/* So many as drive_length says; the caller frees them. */
uint8_t *drive_bytes(drive_t *d, size_t *n);
/* A place within len bytes, or a little behind. */
size_t drive_place(drive_t *d, size_t len);
/* What buffer i takes from; NULL: the default allocator. */
cvy_pool_t *drive_pool(const drive_t *d, int i);
/* Whether err is 0; it may be UV_ENOMEM, exactly when the allocator refused. */
bool drive_worked(const drive_t *d, int err);

#endif
