/*
 * The driver of the integers: the input's bytes in a buffer cut into segments anywhere, read by every call there is, by the buffer
 * and by a cursor at the same place, and what was read is appended to another buffer. All of it is compared with the flat array.
 *
 * The input: a seed of the cuts in 2 bytes, a number of steps, the kind of integer of each step in a byte, the bytes.
 */
#include <string.h>

#include <uv.h>

#include "drive_parsers.h"
#include "drive_stage.h"
#include "integers.h"

enum { STEPS = 64 };

/* Pieces of 1 to 12 bytes, each in a segment of its own. */
static void fill(cvy_buf_t *b, const uint8_t *bytes, size_t n, uint32_t seed)
{
    for (size_t at = 0, m; at < n; at += m) {
        cvy_buf_t more = CVY_BUF_INIT;
        seed = seed * 1664525u + 1013904223u;
        m = 1 + (seed >> 16) % 12;
        if (m > n - at) m = n - at;
        DRIVE_CHECK(!cvy_buf_append(&more, bytes + at, m));
        DRIVE_CHECK(!cvy_buf_append_buf(b, &more));
    }
}

static void step(const integer_t *i, cvy_buf_t *b, cvy_cursor_t *c, const uint8_t *bytes, size_t n, size_t *used)
{
    uint64_t want = 0, got = 0;
    size_t offset = 0;
    *used = 0;
    int err = integer_decode(i, bytes, n, &want, used);
    DRIVE_CHECK(i->cursor(c, &got) == err && (err || got == want));
    DRIVE_CHECK(i->read(b, &got) == err && (err || got == want));
    DRIVE_CHECK(cvy_buf_len(b) == n - *used);
    DRIVE_CHECK(!cvy_cursor_offset(c, &offset) && offset == 0); /* both went the same way */
    if (err) return;
    uint8_t flat[INTEGER_MAX];
    cvy_buf_t out = CVY_BUF_INIT;
    size_t length = integer_encode(i, want, flat);
    DRIVE_CHECK(!cvy_buf_append_u8(&out, 7) && !i->append(&out, want) && cvy_buf_len(&out) == 1 + length);
    cvy_buf_advance(&out, 1);
    DRIVE_CHECK(cvy_buf_equal(&out, flat, length));
    if (i->size) DRIVE_CHECK(length == *used && !memcmp(flat, bytes, length));
    DRIVE_CHECK(!i->read(&out, &got) && got == want && !cvy_buf_len(&out));
    cvy_buf_fini(&out);
}

void drive_integers(const uint8_t *data, size_t n)
{
    size_t used;
    if (n < 3 || n < 3u + data[2] % STEPS) return;
    const uint8_t *kinds = data + 3, *bytes = kinds + data[2] % STEPS, *end = data + n;
    size_t live = cvy_pool_live(NULL);
    cvy_buf_t b = CVY_BUF_INIT;
    cvy_cursor_t c;
    cvy_cursor_init(&c, &b);
    fill(&b, bytes, (size_t)(end - bytes), data[0] | (uint32_t)data[1] << 8);
    for (; kinds < data + 3 + data[2] % STEPS; kinds++, bytes += used)
        step(&integers[*kinds % integer_count], &b, &c, bytes, (size_t)(end - bytes), &used);
    cvy_buf_fini(&b);
    DRIVE_CHECK(cvy_pool_live(NULL) == live);
}
