/* How integers are read out of plain bytes; shared by the buffer and the cursor. */
#ifndef CVY_BUF_VARINT_H
#define CVY_BUF_VARINT_H

#include <conveyor/buf.h>

/* 64 bits in sevens. */
#define CVY__VARINT_MAX 10

/* *used: the bytes it took. Errors: UV_EAGAIN (n bytes are not all of it), UV_EINVAL (more than 64 bits). */
int cvy__varint_parse(const uint8_t *bytes, size_t n, uint64_t *out, size_t *used);

static inline uint64_t cvy__get_be(const uint8_t *bytes, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | bytes[i];
    return v;
}

static inline uint64_t cvy__get_le(const uint8_t *bytes, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | bytes[i];
    return v;
}

#endif
