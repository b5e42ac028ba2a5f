/* Every integer call of buf.h and cursor.h in one table, with an oracle that does it on plain bytes. */
#ifndef CVY_TEST_INTEGERS_H
#define CVY_TEST_INTEGERS_H

#include <conveyor/cursor.h>

enum { INTEGER_MAX = 10 }; /* bytes of the longest */

typedef struct integer {
    const char *name;
    size_t size; /* 0: varint */
    bool little, negative;
    /* Values in 64 bits, sign-extended. */
    int (*append)(cvy_buf_t *b, uint64_t v);
    int (*read)(cvy_buf_t *b, uint64_t *out);
    int (*cursor)(cvy_cursor_t *c, uint64_t *out);
} integer_t;

extern const integer_t integers[];
extern const size_t integer_count;

/* The oracle. Returns the bytes. */
size_t integer_encode(const integer_t *i, uint64_t v, uint8_t *out);
/* 0, UV_EAGAIN or UV_EINVAL; *used bytes were taken. */
int integer_decode(const integer_t *i, const uint8_t *bytes, size_t n, uint64_t *out, size_t *used);
/* v as this type holds it. */
uint64_t integer_fit(const integer_t *i, uint64_t v);

#endif
