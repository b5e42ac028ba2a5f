/*
 * The interleaving driver: one connection's life told by a stream of numbers, on the embedded transport or on a real socket whose peer is
 * a plain descriptor. Operations come from outside and from inside every callback; a broken promise aborts with its text and with the
 * operations so far. The same interpreter is a check test (test_drive.c) and a fuzzer (fuzz_transport.c).
 *
 *   each ticket is completed once, in order, before inactive, with 0 only if its bytes are with the kernel        T4
 *   each post is completed once, in order for its thread                                                         R3
 *   what the peer reads is a prefix of what was accepted, and all of it where our end was sent                   T3, T4, T9
 *   bytes in are a prefix of what the peer wrote, never while suspended, before active or behind read-closed     T2, T6, T8
 *   reading is suspended as long as someone who still stands wants it                                         T6, C6
 *   writability alternates strictly, one pair a turn, none once closing                                          T5
 *   nothing comes after inactive but removed, inactive if and only if active, removed once                       E5
 *   the states change along legal edges only                                                                     T1
 *   an error of the transport has one of few codes                                                               T17
 *   when nothing stands against it what is queued has left and what was sent to us has come                      T6, T7
 *   no segment, no memory and no handle is left, whichever allocation fails                                      B11, M3
 */
#ifndef CVY_TEST_DRIVE_H
#define CVY_TEST_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum drive_backend { DRIVE_EMBEDDED, DRIVE_TCP, DRIVE_PIPE, DRIVE_BACKENDS } drive_backend_t;

/* NULL: not on this system. */
const char *drive_backend_name(drive_backend_t backend);

typedef struct drive_numbers {
    uint32_t (*next)(void *arg, unsigned bytes); /* below 256 ^ bytes; behind the last one zeros */
    bool (*more)(void *arg);                     /* asked before each operation from outside */
    void *arg;
    const char *
        name; /* how to have this life again: said when it breaks. NULL: whoever calls knows, and sees to signals itself */
} drive_numbers_t;

/* One connection's life. */
void drive_life(drive_numbers_t numbers, drive_backend_t backend);

/* What the lives of this process have walked. */

/* The edges of both state machines, and each verb of closing in each phase, with how often. */
void drive_coverage_print(FILE *out, drive_backend_t backend);
/* How many were never walked, of those that can be. Release builds see no edges: 0. */
int drive_coverage_missing(drive_backend_t backend);

/*
 * Leaves out numbers while the life still breaks, each try in a process of its own, and runs the shortest at last, which says what it did.
 * POSIX only; elsewhere it runs it as it is.
 */
void drive_shrink(const uint32_t *numbers, size_t n, size_t operations, drive_backend_t backend);

#endif
