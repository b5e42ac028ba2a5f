/*
 * A cursor reads a buffer without consuming it: a position in the stream. It stays at its byte when bytes are appended, prepended,
 * or dropped in front of it.
 */
#ifndef CONVEYOR_CURSOR_H
#define CONVEYOR_CURSOR_H

#include <conveyor/buf.h>

CVY_BEGIN_DECLS

/** Yours; lives no longer than its buffer. Source: seed B, offset / seek / read. */
typedef struct cvy_cursor {
    /* private */
    const cvy_buf_t *buf;
    uint64_t position; /* in the stream: buf->consumed + offset */
} cvy_cursor_t;

/** A cursor at the first byte of b. */
CVY_EXPORT void cvy_cursor_init(cvy_cursor_t *c, const cvy_buf_t *b);
/** Bytes between the buffer's first byte and the cursor. Errors: UV_ERANGE when those bytes were advanced past. */
CVY_EXPORT int cvy_cursor_offset(const cvy_cursor_t *c, size_t *out);
/** Errors: UV_ERANGE (offset > len); the cursor stays. */
CVY_EXPORT int cvy_cursor_seek(cvy_cursor_t *c, size_t offset);
/** Copies n bytes and moves behind them. Errors: UV_EAGAIN (fewer left), UV_ERANGE (advanced past); nothing moves. */
CVY_EXPORT int cvy_cursor_read(cvy_cursor_t *c, void *out, size_t n);

/** As the calls of the same name in buf.h; errors as cvy_cursor_read, and UV_EINVAL for a varint of more than 64 bits. */
#define CVY_CURSOR_INT(name, type) CVY_EXPORT int cvy_cursor_read_##name(cvy_cursor_t *c, type *out);
CVY_CURSOR_INT(u8, uint8_t)
CVY_CURSOR_INT(u16, uint16_t)
CVY_CURSOR_INT(u32, uint32_t)
CVY_CURSOR_INT(u64, uint64_t)
CVY_CURSOR_INT(i8, int8_t)
CVY_CURSOR_INT(i16, int16_t)
CVY_CURSOR_INT(i32, int32_t)
CVY_CURSOR_INT(i64, int64_t)
CVY_CURSOR_INT(u16_le, uint16_t)
CVY_CURSOR_INT(u32_le, uint32_t)
CVY_CURSOR_INT(u64_le, uint64_t)
CVY_CURSOR_INT(i16_le, int16_t)
CVY_CURSOR_INT(i32_le, int32_t)
CVY_CURSOR_INT(i64_le, int64_t)
CVY_CURSOR_INT(varint, uint64_t)
#undef CVY_CURSOR_INT

CVY_END_DECLS
#endif
