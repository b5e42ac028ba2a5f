/*
 * A driver for each parser: input bytes choose options and a stream, an oracle says what must come out, and everything that differs
 * aborts. Two users: the fuzzers, with libFuzzer's bytes, and test_parsers.c, with bytes from a seeded generator. Anything is valid
 * input.
 */
#ifndef CVY_TEST_DRIVE_PARSERS_H
#define CVY_TEST_DRIVE_PARSERS_H

#include <stddef.h>
#include <stdint.h>

void drive_frame(const uint8_t *data, size_t n);     /* decoder; 7 bytes of options, then the stream */
void drive_encoder(const uint8_t *data, size_t n);   /* frames of chosen lengths; what was encoded decodes to them */
void drive_line(const uint8_t *data, size_t n);      /* 4 bytes of options, then the stream */
void drive_delimiter(const uint8_t *data, size_t n); /* options, delimiters with their lengths in front, the stream */
void drive_fixed(const uint8_t *data, size_t n);     /* 3 bytes of options, then the stream */
void drive_resp(const uint8_t *data, size_t n);      /* a seed in 2 bytes, then the stream */
void drive_address(const uint8_t *data, size_t n);   /* a URI; a zero byte ends it */
void drive_integers(const uint8_t *data, size_t n);  /* writes and reads of integers; see drive_integers.c */

#endif
