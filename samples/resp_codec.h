/*
 * The Redis protocol: commands come in as events of a stage (resp_decoder.c), replies go out as bytes (resp_encoder.c). See resp_server.c.
 */
#ifndef SAMPLES_RESP_CODEC_H
#define SAMPLES_RESP_CODEC_H

#include <conveyor/conveyor.h>

#define RESP_ARGS_MAX    1024
#define RESP_COMMAND_MAX (16 << 20) /* bytes of a whole command, so also of each argument */
#define RESP_INLINE_MAX  65536      /* as in Redis */

typedef struct resp_span {
    size_t at, n;
} resp_span_t;

/** One command, inline or array. Valid during the callback, like every event. */
typedef struct resp_command {
    cvy_event_t event;
    const char *bytes;
    const resp_span_t *args; /* within bytes; args[0] is the command's name */
    size_t count;            /* at least 1 */
} resp_command_t;
CVY_EVENT(resp_command);

typedef struct resp_text {
    const char *bytes;
    size_t n;
} resp_text_t;

static inline resp_text_t resp_arg(const resp_command_t *command, size_t i)
{
    resp_text_t text = { command->bytes + command->args[i].at, command->args[i].n };
    return text;
}

/** A whole number, nothing around it. */
bool resp_number(resp_text_t text, int64_t *out);

/**
 * The decoder; it has no options. What breaks the protocol or a limit is an error of stage "resp": UV_EPROTO or UV_EMSGSIZE, with
 * Redis' own words for it as the detail.
 */
extern const cvy_stage_t resp_decoder;

/* Replies, appended to out. Errors: UV_ENOMEM. */
int resp_status(cvy_buf_t *out, const char *text);
int resp_error(cvy_buf_t *out, const char *text,
               const char *about); /* "-ERR text", where %s in text stands for about */
int resp_integer(cvy_buf_t *out, int64_t number);
int resp_bulk(cvy_buf_t *out, resp_text_t text);
int resp_nil(cvy_buf_t *out);
int resp_array(cvy_buf_t *out, size_t count); /* count replies follow */

#endif
