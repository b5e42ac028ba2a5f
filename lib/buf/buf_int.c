/*
 * Integers on the wire. Shifts and not casts: the same bytes on every machine.
 */
#include <string.h>
#include <uv.h>

#include "chain.h"
#include "wire.h"

/* Drops n bytes into out, or none when there are fewer. Within one view it is a load, since n is known where this is inlined. */
static inline bool take(cvy_buf_t *b, uint8_t *out, size_t n)
{
    cvy_view_t *v = b->head;
    if (b->len < n) return false;
    if (n >= v->len) {
        cvy_buf_read(b, out, n);
        return true;
    }
    memcpy(out, v->data, n);
    cvy__view_advance(v, n);
    b->len -= n;
    b->consumed += n;
    return true;
}

/* The signed forms go through the unsigned ones: two's complement on the wire, and C defines the way there. */
#define INT(name, type, unsigned_type, put, get)             \
    int cvy_buf_append_##name(cvy_buf_t *b, type v)          \
    {                                                        \
        uint8_t bytes[sizeof v];                             \
        put(bytes, (unsigned_type)v, sizeof v);              \
        return cvy_buf_append(b, bytes, sizeof bytes);       \
    }                                                        \
    int cvy_buf_read_##name(cvy_buf_t *b, type *out)         \
    {                                                        \
        uint8_t bytes[sizeof *out];                          \
        if (!take(b, bytes, sizeof bytes)) return UV_EAGAIN; \
        *out = (type)get(bytes, sizeof bytes);               \
        return 0;                                            \
    }

INT(u8, uint8_t, uint8_t, cvy__put_be, cvy__get_be)
INT(u16, uint16_t, uint16_t, cvy__put_be, cvy__get_be)
INT(u32, uint32_t, uint32_t, cvy__put_be, cvy__get_be)
INT(u64, uint64_t, uint64_t, cvy__put_be, cvy__get_be)
INT(i8, int8_t, uint8_t, cvy__put_be, cvy__get_be)
INT(i16, int16_t, uint16_t, cvy__put_be, cvy__get_be)
INT(i32, int32_t, uint32_t, cvy__put_be, cvy__get_be)
INT(i64, int64_t, uint64_t, cvy__put_be, cvy__get_be)
INT(u16_le, uint16_t, uint16_t, cvy__put_le, cvy__get_le)
INT(u32_le, uint32_t, uint32_t, cvy__put_le, cvy__get_le)
INT(u64_le, uint64_t, uint64_t, cvy__put_le, cvy__get_le)
INT(i16_le, int16_t, uint16_t, cvy__put_le, cvy__get_le)
INT(i32_le, int32_t, uint32_t, cvy__put_le, cvy__get_le)
INT(i64_le, int64_t, uint64_t, cvy__put_le, cvy__get_le)

int cvy__varint_parse(const uint8_t *bytes, size_t n, uint64_t *out, size_t *used)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        /* The tenth byte holds the last bit only. */
        if (i + 1 == CVY__VARINT_MAX && bytes[i] > 1) return UV_EINVAL;
        v |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (!(bytes[i] & 0x80)) {
            *out = v;
            *used = i + 1;
            return 0;
        }
    }
    return UV_EAGAIN;
}

int cvy_buf_append_varint(cvy_buf_t *b, uint64_t v)
{
    uint8_t bytes[CVY__VARINT_MAX];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return cvy_buf_append(b, bytes, n);
}

int cvy_buf_read_varint(cvy_buf_t *b, uint64_t *out)
{
    uint8_t bytes[CVY__VARINT_MAX];
    size_t used, n = cvy_buf_peek(b, bytes, sizeof bytes);
    int err = cvy__varint_parse(bytes, n, out, &used);
    if (!err) cvy_buf_advance(b, used);
    return err;
}
