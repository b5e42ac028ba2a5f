/*
 * The file that send_file sends, and compares with what comes back.
 */
#ifndef SAMPLES_SEND_FILE_SOURCE_H
#define SAMPLES_SEND_FILE_SOURCE_H

#include <conveyor/conveyor.h>
#include <uv.h>

#define BLOCK_BYTES ((size_t)65536)

typedef struct source {
    uv_file file;
    int64_t size;
    char block[BLOCK_BYTES]; /* of the file, to compare with */
    char why[80];            /* compare's answer */
} source_t;

/** Errors: UV_EINVAL: not a regular file; what the system says. Close it after a failure too. */
int source_open(source_t *source, const char *path);
void source_close(source_t *source);

/** Reads into ahead, which holds the bytes from at on, until it has n. Errors: UV_ENOMEM, UV_EOF, what the system says. */
int source_read_ahead(const source_t *source, cvy_buf_t *ahead, int64_t at, size_t n);

/** Takes from bytes what is the same in the file from *at on; *at moves along. NULL: all of it is, otherwise what is wrong. */
const char *source_compare(source_t *source, cvy_buf_t *bytes, int64_t *at);

#endif
