/*
 * Drives an embedded transport by operations that a stream of numbers chooses, from outside and from inside every callback, and
 * watches its promises: a broken one aborts with its text. The same interpreter is a check test (test_drive.c) and a fuzzer.
 *
 *   each ticket is completed once, in order, before inactive, with 0 only if its bytes are with the kernel        T4
 *   bytes out are a prefix of bytes accepted, and all of them where our end was sent                              T3, T4, T9
 *   bytes in are a prefix of what was fed, never while suspended, never before active or behind read-closed      T2, T6, T8
 *   writability alternates strictly, one pair a turn, none once closing                                          T5
 *   nothing comes after inactive but removed, inactive if and only if active, removed once                       E5
 *   when nothing stands against it what is queued has left and what was fed has come                             T6, T7
 *   no segment and no memory is left                                                                             B11
 */
#ifndef CVY_TEST_DRIVE_TRANSPORT_H
#define CVY_TEST_DRIVE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct drive_numbers {
    uint32_t (*next)(void *arg); /* behind the last one: zeros */
    bool (*more)(void *arg);
    void *arg;
} drive_numbers_t;

/* One connection's life. */
void drive_transport(drive_numbers_t numbers);

#endif
