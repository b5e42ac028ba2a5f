/*
 * Cursors: a position in the stream, not in memory. Each call finds its place anew, so that nothing the buffer does to its views
 * can hurt a cursor; positions wrap around as the buffer's own do, and only differences matter.
 */
#include <conveyor/cursor.h>

#include <uv.h>

#include "wire.h"

void cvy_cursor_init(cvy_cursor_t *c, const cvy_buf_t *b)
{
    c->buf = b;
    c->position = b->consumed;
}

int cvy_cursor_offset(const cvy_cursor_t *c, size_t *out)
{
    uint64_t offset = c->position - c->buf->consumed;
    if (offset > c->buf->len) return UV_ERANGE;
    *out = (size_t)offset;
    return 0;
}

int cvy_cursor_seek(cvy_cursor_t *c, size_t offset)
{
    if (offset > c->buf->len) return UV_ERANGE;
    c->position = c->buf->consumed + offset;
    return 0;
}

int cvy_cursor_read(cvy_cursor_t *c, void *out, size_t n)
{
    size_t offset;
    int err = cvy_cursor_offset(c, &offset);
    if (err) return err;
    if (n > c->buf->len - offset) return UV_EAGAIN;
    c->position += cvy_buf_peek_at(c->buf, offset, out, n);
    return 0;
}

#define INT(name, type, get)                               \
    int cvy_cursor_read_##name(cvy_cursor_t *c, type *out) \
    {                                                      \
        uint8_t bytes[sizeof *out];                        \
        int err = cvy_cursor_read(c, bytes, sizeof bytes); \
        if (!err) *out = (type)get(bytes, sizeof bytes);   \
        return err;                                        \
    }

INT(u8, uint8_t, cvy__get_be)
INT(u16, uint16_t, cvy__get_be)
INT(u32, uint32_t, cvy__get_be)
INT(u64, uint64_t, cvy__get_be)
INT(i8, int8_t, cvy__get_be)
INT(i16, int16_t, cvy__get_be)
INT(i32, int32_t, cvy__get_be)
INT(i64, int64_t, cvy__get_be)
INT(u16_le, uint16_t, cvy__get_le)
INT(u32_le, uint32_t, cvy__get_le)
INT(u64_le, uint64_t, cvy__get_le)
INT(i16_le, int16_t, cvy__get_le)
INT(i32_le, int32_t, cvy__get_le)
INT(i64_le, int64_t, cvy__get_le)

int cvy_cursor_read_varint(cvy_cursor_t *c, uint64_t *out)
{
    uint8_t bytes[CVY__VARINT_MAX];
    size_t offset, used;
    int err = cvy_cursor_offset(c, &offset);
    if (err) return err;
    size_t n = cvy_buf_peek_at(c->buf, offset, bytes, sizeof bytes);
    err = cvy__varint_parse(bytes, n, out, &used);
    if (!err) c->position += used;
    return err;
}
