/*
 * Notices that nothing was read, nothing was written, or neither, for so long, and tells the stages behind it by an event.
 *
 * Time counts from active. Bytes that the kernel took count as written, so a large write that makes progress is not idle.
 * While reading is suspended nothing can be read: read-idle and all-idle are not fired, and their time starts anew when reading
 * goes on. After the peer's end of stream read-idle is over.
 * The event is fired again after every further span of idleness.
 */
#ifndef CONVEYOR_IDLE_H
#define CONVEYOR_IDLE_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

typedef enum cvy_idle_kind { CVY_IDLE_READ, CVY_IDLE_WRITE, CVY_IDLE_ALL } cvy_idle_kind_t;

CVY_EXPORT_DATA extern const cvy_event_type_t cvy_idle_event;

/** Inbound, from the idle stage: cvy_idle_t *idle = cvy_event_as(ev, cvy_idle); in a stage's table: CVY_ON(cvy_idle, on_idle). */
typedef struct cvy_idle {
    cvy_event_t event;
    cvy_idle_kind_t kind;
    bool first;            /* since the last read, write, or either */
    const cvy_ctx_t *from; /* the idle stage that fired it */
} cvy_idle_t;

/* 0 and CVY_OFF: off. */
typedef struct cvy_idle_opts {
    int64_t read_ms;
    int64_t write_ms;
    int64_t all_ms; /* neither read nor written */
} cvy_idle_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_idle_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a time that can't be). */
CVY_EXPORT int cvy_idle_add(cvy_conveyor_t *c, const cvy_idle_opts_t *opts);

CVY_END_DECLS
#endif
