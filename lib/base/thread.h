/*
 * Who am I: a number that no two living threads share, and that can be kept in an atomic (a uv_thread_t can not).
 */
#ifndef CVY_BASE_THREAD_H
#define CVY_BASE_THREAD_H

#include <stdint.h>

/* Never 0. */
uintptr_t cvy__thread_self(void);

#endif
