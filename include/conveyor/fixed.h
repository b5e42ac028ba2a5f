/*
 * Frames of one fixed length. Inbound, each becomes one buffer without a copy. Outbound bytes pass as they are.
 *
 * A framing error is final: an error event, and nothing more from this stage; what still arrives is dropped.
 *   UV_EPROTO     end of stream inside a frame
 *   UV_ETIMEDOUT  not complete deadline_ms after its first byte (not while reading is suspended; anew from when it goes on)
 */
#ifndef CONVEYOR_FIXED_H
#define CONVEYOR_FIXED_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

/* 0: the default that stands last in each comment; CVY_OFF: none. */
typedef struct cvy_fixed_opts {
    int64_t bytes;       /* of every frame; there is no default */
    int64_t deadline_ms; /* for a whole frame, from its first byte; 30000 */
} cvy_fixed_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_fixed_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a length that can't be, or none). */
CVY_EXPORT int cvy_fixed_add(cvy_conveyor_t *c, const cvy_fixed_opts_t *opts);

CVY_END_DECLS
#endif
