/* How integers are read out of plain bytes; shared by the buffer and the cursor. */
#ifndef CVY_BUF_WIRE_H
#define CVY_BUF_WIRE_H

#include <conveyor/buf.h>

/* 64 bits in sevens. */
#define CVY__VARINT_MAX 10

/* *used: the bytes it took. Errors: UV_EAGAIN (n bytes are not all of it), UV_EINVAL (more than 64 bits). */
int cvy__varint_parse(const uint8_t *bytes, size_t n, uint64_t *out, size_t *used);

/* Written out, so that compilers see a load, or a store, with its bytes swapped. n is 1, 2, 4 or 8. */
static inline uint64_t cvy__get_be(const uint8_t *p, size_t n)
{
    if (n == 1) return p[0];
    if (n == 2) return (uint64_t)p[0] << 8 | p[1];
    uint64_t high = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return n == 4 ? high : high << 32 | cvy__get_be(p + 4, 4);
}

static inline uint64_t cvy__get_le(const uint8_t *p, size_t n)
{
    if (n == 1) return p[0];
    if (n == 2) return (uint64_t)p[1] << 8 | p[0];
    uint64_t low = (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
    return n == 4 ? low : cvy__get_le(p + 4, 4) << 32 | low;
}

static inline void cvy__put_be(uint8_t *p, uint64_t v, size_t n)
{
    if (n == 8) {
        cvy__put_be(p, v >> 32, 4);
        cvy__put_be(p + 4, v, 4);
    } else if (n == 4) {
        p[0] = (uint8_t)(v >> 24);
        p[1] = (uint8_t)(v >> 16);
        p[2] = (uint8_t)(v >> 8);
        p[3] = (uint8_t)v;
    } else {
        p[0] = (uint8_t)(v >> (8 * n - 8));
        if (n == 2) p[1] = (uint8_t)v;
    }
}

static inline void cvy__put_le(uint8_t *p, uint64_t v, size_t n)
{
    if (n == 8) {
        cvy__put_le(p, v, 4);
        cvy__put_le(p + 4, v >> 32, 4);
    } else if (n == 4) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)(v >> 16);
        p[3] = (uint8_t)(v >> 24);
    } else {
        p[0] = (uint8_t)v;
        if (n == 2) p[1] = (uint8_t)(v >> 8);
    }
}

#endif
