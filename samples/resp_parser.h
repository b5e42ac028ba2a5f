/*
 * Reads commands of the Redis protocol off a buffer that grows. For the decoder alone.
 */
#ifndef SAMPLES_RESP_PARSER_H
#define SAMPLES_RESP_PARSER_H

#include "resp_codec.h"

typedef struct resp_parser {
    cvy_buf_t held;  /* from the first byte of the current command */
    size_t at;       /* of held: parsed up to here */
    size_t searched; /* no line end between at and here */
    int64_t wanted;  /* arguments; 0: the first line is still to come */
    int64_t bulk;    /* bytes of the next argument; -1: its length line is still to come */
    resp_span_t *args;
    size_t count, capacity;
    const char *why; /* of the error that resp_parse answered */
} resp_parser_t;

/** To begin with, and behind each command that was taken off held. */
void resp_parse_next(resp_parser_t *p);
/** 0: a whole command is at the head of held, at bytes long. Errors: UV_EAGAIN: not yet; UV_EPROTO, UV_EMSGSIZE, UV_ENOMEM. */
int resp_parse(resp_parser_t *p);

#endif
