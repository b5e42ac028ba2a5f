/* See integers.h. The oracle multiplies and divides; the library shifts. */
#include "integers.h"

#include <uv.h>

#define CALLS(name, type)                                    \
    static int append_##name(cvy_buf_t *b, uint64_t v)       \
    {                                                        \
        return cvy_buf_append_##name(b, (type)v);            \
    }                                                        \
    static int read_##name(cvy_buf_t *b, uint64_t *out)      \
    {                                                        \
        type v = 0;                                          \
        int err = cvy_buf_read_##name(b, &v);                \
        *out = (uint64_t)v;                                  \
        return err;                                          \
    }                                                        \
    static int cursor_##name(cvy_cursor_t *c, uint64_t *out) \
    {                                                        \
        type v = 0;                                          \
        int err = cvy_cursor_read_##name(c, &v);             \
        *out = (uint64_t)v;                                  \
        return err;                                          \
    }

#define EACH(X)                  \
    X(u8, uint8_t, 1, 0, 0)      \
    X(u16, uint16_t, 2, 0, 0)    \
    X(u32, uint32_t, 4, 0, 0)    \
    X(u64, uint64_t, 8, 0, 0)    \
    X(i8, int8_t, 1, 0, 1)       \
    X(i16, int16_t, 2, 0, 1)     \
    X(i32, int32_t, 4, 0, 1)     \
    X(i64, int64_t, 8, 0, 1)     \
    X(u16_le, uint16_t, 2, 1, 0) \
    X(u32_le, uint32_t, 4, 1, 0) \
    X(u64_le, uint64_t, 8, 1, 0) \
    X(i16_le, int16_t, 2, 1, 1)  \
    X(i32_le, int32_t, 4, 1, 1)  \
    X(i64_le, int64_t, 8, 1, 1)  \
    X(varint, uint64_t, 0, 0, 0)

#define DEFINE(name, type, size, little, negative) CALLS(name, type)
EACH(DEFINE)

#define ROW(name, type, size, little, negative) \
    { #name, size, little, negative, append_##name, read_##name, cursor_##name },
const integer_t integers[] = { EACH(ROW) };
const size_t integer_count = sizeof integers / sizeof *integers;

static size_t place(const integer_t *i, size_t k)
{
    return i->little ? k : i->size - 1 - k;
}

size_t integer_encode(const integer_t *i, uint64_t v, uint8_t *out)
{
    size_t n = 0;
    for (; n < i->size; n++, v /= 256)
        out[place(i, n)] = (uint8_t)(v % 256);
    if (i->size) return n;
    for (; v >= 128; v /= 128)
        out[n++] = (uint8_t)(128 + v % 128);
    out[n++] = (uint8_t)v;
    return n;
}

static int decode_varint(const uint8_t *bytes, size_t n, uint64_t *out, size_t *used)
{
    uint64_t factor = 1, v = 0;
    for (size_t k = 0; k < n; k++, factor *= 128) {
        if (k == 9 && bytes[k] > 1) return UV_EINVAL;
        v += bytes[k] % 128 * factor;
        if (bytes[k] < 128) {
            *out = v;
            *used = k + 1;
            return 0;
        }
    }
    return UV_EAGAIN;
}

int integer_decode(const integer_t *i, const uint8_t *bytes, size_t n, uint64_t *out, size_t *used)
{
    uint64_t v = 0;
    if (!i->size) return decode_varint(bytes, n, out, used);
    if (n < i->size) return UV_EAGAIN;
    for (size_t k = i->size; k-- > 0;)
        v = v * 256 + bytes[place(i, k)];
    *out = integer_fit(i, v);
    *used = i->size;
    return 0;
}

uint64_t integer_fit(const integer_t *i, uint64_t v)
{
    if (!i->size || i->size == 8) return v;
    uint64_t range = (uint64_t)1 << 8 * i->size;
    v %= range;
    return i->negative && v >= range / 2 ? v - range : v; /* modulo 2^64 */
}
