/* The oracle of the buffer tests: one flat array with the buffer's calls. Slow, and too simple to be wrong. It never runs out of memory. */
#ifndef CVY_TEST_MODEL_BUF_H
#define CVY_TEST_MODEL_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct model_buf {
    uint8_t *bytes;
    size_t len;
    size_t room;
    uint64_t consumed; /* as cvy_buf_t's: the stream position of the first byte */
} model_buf_t;

void model_fini(model_buf_t *m); /* drops the bytes, and the array */
void model_append(model_buf_t *m, const void *bytes, size_t n);
void model_prepend(model_buf_t *m, const void *bytes, size_t n);
size_t model_advance(model_buf_t *m, size_t n);
void model_move(model_buf_t *dst, model_buf_t *src, size_t n); /* n is cut to what there is */
void model_take(model_buf_t *m, model_buf_t *other);
void model_replace(model_buf_t *m, const void *bytes, size_t n);
/* A place at or behind from, or SIZE_MAX. */
size_t model_find(const model_buf_t *m, size_t from, const void *seq, size_t n);

#endif
