/*
 * Writes every event that passes, in both directions, to the logging hook, bytes with a hexdump; changes nothing.
 *
 *   wire <- bytes 5
 *   wire      0  68 65 6c 6c 6f                                   |hello|
 */
#ifndef CONVEYOR_TRACE_H
#define CONVEYOR_TRACE_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

/* 0: the default that stands last in each comment; CVY_OFF: none. */
typedef struct cvy_trace_opts {
    const char *name;      /* in front of each line, cut at 31 bytes; "trace" */
    cvy_log_level_t level; /* CVY_LOG_DEBUG; the hook that a process has at first shows CVY_LOG_WARN and above */
    int64_t dump_bytes;    /* of each buffer; 64 */
} cvy_trace_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_trace_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a limit that can't be). */
CVY_EXPORT int cvy_trace_add(cvy_conveyor_t *c, const cvy_trace_opts_t *opts);

CVY_END_DECLS
#endif
