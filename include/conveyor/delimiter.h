/*
 * Frames that end with a delimiter: one of up to four byte sequences of up to 16 bytes. Where several match, the one that is
 * complete first ends the frame, and of those the longest; so frames do not depend on how the stream was cut.
 *
 * Inbound, each frame becomes one buffer without a copy; empty ones are delivered. Outbound, each buffer may get the first
 * delimiter appended.
 *
 * A framing error is final: an error event, and nothing more from this stage; what still arrives is dropped.
 *   UV_EMSGSIZE   longer than max_frame
 *   UV_EPROTO     end of stream inside a frame
 *   UV_ETIMEDOUT  not complete deadline_ms after its first byte (not while reading is suspended; anew from when it goes on)
 */
#ifndef CONVEYOR_DELIMITER_H
#define CONVEYOR_DELIMITER_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

#define CVY_DELIMITERS_MAX      4
#define CVY_DELIMITER_BYTES_MAX 16

typedef struct cvy_delimiter {
    const void *bytes;
    size_t n;
} cvy_delimiter_t;

/* 0: the default that stands last in each comment; CVY_OFF: none. */
typedef struct cvy_delimiter_opts {
    const cvy_delimiter_t *delimiters; /* copied; one zero byte (Netty's Delimiters.nulDelimiter) */
    size_t count;                      /* of delimiters */
    int keep_end;                      /* frames are delivered with their delimiter; off: 1 turns it on */
    int append_outbound;               /* each outbound buffer gets the first delimiter; off: 1 turns it on */
    int64_t max_frame;                 /* bytes without the delimiter; 65536, as for lines */
    int64_t deadline_ms;               /* for a whole frame, from its first byte; 30000 */
} cvy_delimiter_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_delimiter_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a delimiter or a limit that can't be). */
CVY_EXPORT int cvy_delimiter_add(cvy_conveyor_t *c, const cvy_delimiter_opts_t *opts);

CVY_END_DECLS
#endif
