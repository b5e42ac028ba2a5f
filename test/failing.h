/*
 * Failing allocations: a scenario is run again and again, and each time the next allocation fails, until none does. There are
 * three sources: the library's own memory, the segments' allocator, and libuv's. After each run nothing may be left of it: no memory
 * of any source and no descriptor.
 *
 *   FAILING_EACH(f) {
 *       cvy_loop_t *loop;
 *       failing_arm(&f);
 *       int err = cvy_loop_new(&loop, NULL);
 *       failing_setup(&f, err);                 UV_ENOMEM if one failed, else 0
 *       if (!err) cvy_loop_unref(loop);
 *   }
 *
 * main() calls failing_install before anything else. FAILING_VERBOSE=1 prints how many allocations failed. Source: nghttp2, tests/failmalloc_test.c.
 */
#ifndef CVY_TEST_FAILING_H
#define CVY_TEST_FAILING_H

#include <conveyor/loop.h>

typedef enum failing_source { FAILING_OURS, FAILING_SEGMENTS, FAILING_LIBUV, FAILING_SOURCES } failing_source_t;

typedef struct failing {
    failing_source_t source;
    long nth;    /* which allocation of it */
    bool failed; /* it did: known from failing_over on */
    int failures[FAILING_SOURCES];
    /* private */
    bool begun;
    size_t memory;
    long segments, libuv;
    int descriptors;
} failing_t;

/* Takes over the default segment allocator and libuv's. */
void failing_install(void);

#define FAILING_EACH(f) for (failing_t f = { 0 }; failing_next(&f);)
bool failing_next(failing_t *f);

/* From here on allocations count, on every thread. */
void failing_arm(const failing_t *f);
/* Whether the one that was armed has failed by now. */
bool failing_happened(const failing_t *f);
/* Memory is there again. Returns whether one failed. */
bool failing_over(failing_t *f);
/* failing_over for a call that answers UV_ENOMEM if one failed, else 0. */
void failing_setup(failing_t *f, int err);

/* For loops: segments go back to the allocator at once, so that each one taken may fail. */
extern const cvy_loop_opts_t failing_no_cache;

/* Descriptors of this process that are open; where the system does not tell: 0. */
int failing_descriptors(void);

#endif
