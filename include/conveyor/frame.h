/*
 * Frames with a length in front, in every layout of Netty's LengthFieldBasedFrameDecoder and LengthFieldPrepender.
 *
 *   [offset bytes] [length field] [body: field's value + adjustment bytes]
 *
 * Inbound, each frame becomes one buffer without a copy; one of length zero is delivered as well. Outbound, each buffer
 * becomes one frame: the length field goes in behind its first `offset` bytes.
 *
 * A framing error is final: an error event, and nothing more from this stage; what still arrives is dropped.
 *   UV_EMSGSIZE   longer than max_frame
 *   UV_EPROTO     a body of negative length, strip longer than the frame, no varint, end of stream inside a frame
 *   UV_ETIMEDOUT  not complete deadline_ms after its first byte (not while reading is suspended; anew from when it goes on)
 * Outbound, a buffer that is longer than max_frame or than the field can say (UV_EMSGSIZE), or shorter than offset (UV_EINVAL), is
 * not sent; the error event is not final for this stage.
 */
#ifndef CONVEYOR_FRAME_H
#define CONVEYOR_FRAME_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

/** As a width: LEB128, 1 to 10 bytes, as in front of Protocol Buffers messages. */
#define CVY_FRAME_VARINT 255

/* 0: the default that stands last in each comment; CVY_OFF: none, or no. */
typedef struct cvy_frame_opts {
    int width;           /* bytes of the length field: 1, 2, 3, 4, 8 or CVY_FRAME_VARINT; 4 */
    int little_endian;   /* off: 1 turns it on */
    int includes_header; /* the value counts offset and field as well; not with a varint; off: 1 turns it on */
    int raw_outbound;    /* outbound bytes pass as they are; off: 1 turns it on */
    int64_t offset;      /* bytes in front of the length field, at most 65535; 0 */
    int64_t adjustment;  /* added to the value gives the bytes of the body; may be negative; 0 */
    int64_t strip;       /* bytes dropped in front of each; the header where offset and adjustment are 0, else none */
    int64_t max_frame;   /* bytes of a body; 16 MiB */
    int64_t deadline_ms; /* for a whole frame, from its first byte; 30000 */
} cvy_frame_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_frame_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a width, offset, strip or limit that can't be). */
CVY_EXPORT int cvy_frame_add(cvy_conveyor_t *c, const cvy_frame_opts_t *opts);

CVY_END_DECLS
#endif
