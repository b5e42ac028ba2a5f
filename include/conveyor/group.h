/*
 * A group: N loops of our own, one thread each, started, stopped and joined together. One thread of the application's owns it: start, run,
 * join and free are that one's.
 */
#ifndef CONVEYOR_GROUP_H
#define CONVEYOR_GROUP_H

#include <conveyor/loop.h>

CVY_BEGIN_DECLS

typedef struct cvy_group cvy_group_t;

enum {
    CVY_GROUP_SINGLE = 1,
    CVY_GROUP_ALL = -2, /* one loop per processor that this process may use */
    CVY_GROUP_AUTO = 0  /* max(processors / 2 - 1, 1) */
};

typedef struct cvy_group_opts {
    int loops; /* how many, or one of the above; CVY_GROUP_AUTO */
    /* Runs once on every loop's thread before its first turn; a negative code stops the group and is its result. A loop that is stopped
     * before that is not entered. */
    int (*entry)(cvy_loop_t *loop, int id, void *params);
    void *params;
    const cvy_loop_opts_t *loop_opts;
} cvy_group_opts_t;

/** Errors: UV_ENOMEM, UV_EINVAL (loops). */
CVY_EXPORT int cvy_group_new(cvy_group_t **out, const cvy_group_opts_t *opts);
/** Stops, joins and frees; NULL is fine. */
CVY_EXPORT void cvy_group_free(cvy_group_t *group);
/** Starts one thread per loop. Errors: UV_EALREADY, UV_EAGAIN (no thread; none is left running). */
CVY_EXPORT int cvy_group_start(cvy_group_t *group);
/** start, with the calling thread as loop 0; returns when all have ended: 0, or the first failed entry's code. */
CVY_EXPORT int cvy_group_run(cvy_group_t *group);
/** Thread: any. Also before start. */
CVY_EXPORT void cvy_group_stop(cvy_group_t *group);
/** Waits for all threads; answers as cvy_group_run. */
CVY_EXPORT int cvy_group_join(cvy_group_t *group);
CVY_EXPORT int cvy_group_size(const cvy_group_t *group);
/** Loop 0 ... size - 1; lent. Thread: any. */
CVY_EXPORT cvy_loop_t *cvy_group_loop(const cvy_group_t *group, int i);

CVY_END_DECLS
#endif
