/*
 * The decoder holds the bytes of one command until it is whole. What it has looked at it does not look at again, and it keeps
 * what arrives, not what was announced: a length is only a number to compare with.
 */
#include "resp_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LENGTH_LINE_MAX 32 /* "*1024", "$16777216" */

typedef struct decoder {
    cvy_buf_t held;  /* from the first byte of the current command */
    size_t at;       /* of held: parsed up to here */
    size_t searched; /* no line end between at and here */
    int64_t wanted;  /* arguments; 0: the first line is still to come */
    int64_t bulk;    /* bytes of the next argument; -1: its length line is still to come */
    resp_span_t *args;
    size_t count, capacity;
    const char *why; /* of the error that parse answered */
    bool failed, ending, firing;
} decoder_t;

bool resp_is(resp_text_t text, const char *name)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.bytes[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c != name[i]) return false; /* also at the end of name: no argument that matches holds a zero byte there */
        if (c == '\0') return false;
    }
    return name[text.n] == '\0';
}

bool resp_number(resp_text_t text, int64_t *out)
{
    char digits[24] = { 0 };
    if (text.n == 0 || text.n >= sizeof digits) return false;
    memcpy(digits, text.bytes, text.n);
    const char *first = digits + (digits[0] == '-');
    if (strspn(first, "0123456789") != text.n - (size_t)(first - digits) || !*first) return false;
    int64_t n = strtoll(digits, NULL, 10);
    char again[24];
    snprintf(again, sizeof again, "%" PRId64, n);
    if (strcmp(again, digits) != 0) return false; /* out of range, or leading zeros */
    *out = n;
    return true;
}

static int broken(decoder_t *d, int code, const char *why)
{
    d->why = why;
    return code;
}

static int push_arg(decoder_t *d, size_t at, size_t n)
{
    if (d->count == RESP_ARGS_MAX) return broken(d, UV_EMSGSIZE, "invalid multibulk length");
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 4;
        resp_span_t *args = realloc(d->args, capacity * sizeof *args);
        if (!args) return broken(d, UV_ENOMEM, "out of memory");
        d->args = args;
        d->capacity = capacity;
    }
    d->args[d->count++] = (resp_span_t){ at, n };
    return 0;
}

/* The line at d->at, without its end. */
static int next_line(decoder_t *d, size_t max, const char *too_long, resp_span_t *out)
{
    size_t end = 0;
    char last = 0;
    int err = cvy_buf_find_byte(&d->held, d->searched, '\n', &end);
    if (err) end = d->searched = cvy_buf_len(&d->held);
    if (end - d->at > max + 1) return broken(d, UV_EMSGSIZE, too_long);
    if (err) return UV_EAGAIN;
    *out = (resp_span_t){ d->at, end - d->at };
    if (out->n) cvy_buf_peek_at(&d->held, end - 1, &last, 1);
    if (last == '\r') out->n--;
    d->at = d->searched = end + 1;
    return 0;
}

/* A line of one mark and a number. */
static int next_length(decoder_t *d, char mark, int64_t max, const char *why, int64_t *out)
{
    resp_span_t line;
    char text[LENGTH_LINE_MAX + 1];
    int err = next_line(d, LENGTH_LINE_MAX, why, &line);
    if (err) return err;
    cvy_buf_peek_at(&d->held, line.at, text, line.n);
    if (line.n < 2 || text[0] != mark || !resp_number((resp_text_t){ text + 1, line.n - 1 }, out))
        return broken(d, UV_EPROTO, why);
    return *out > max ? broken(d, UV_EMSGSIZE, why) : 0;
}

static int parse_inline(decoder_t *d)
{
    resp_span_t line;
    const uint8_t *bytes = NULL;
    int err = next_line(d, RESP_INLINE_MAX, "too big inline request", &line);
    if (err) return err;
    if (cvy_buf_pullup(&d->held, d->at, &bytes)) return broken(d, UV_ENOMEM, "out of memory");
    size_t start = line.at;
    for (size_t i = line.at; !err && i <= line.at + line.n; i++) {
        if (i < line.at + line.n && bytes[i] != ' ' && bytes[i] != '\t') continue;
        if (i > start) err = push_arg(d, start, i - start);
        start = i + 1;
    }
    return err;
}

static int parse_argument(decoder_t *d)
{
    static const char why[] = "invalid bulk length";
    char end[2];
    if (d->bulk < 0) {
        int err = next_length(d, '$', RESP_COMMAND_MAX - (int64_t)d->at, why, &d->bulk);
        if (err) return err;
        if (d->bulk < 0) return broken(d, UV_EPROTO, why);
    }
    size_t n = (size_t)d->bulk;
    if (cvy_buf_peek_at(&d->held, d->at + n, end, 2) < 2) return UV_EAGAIN;
    if (memcmp(end, "\r\n", 2) != 0) return broken(d, UV_EPROTO, "expected CRLF behind a bulk string");
    int err = push_arg(d, d->at, n);
    if (err) return err;
    d->at = d->searched = d->at + n + 2;
    d->bulk = -1;
    return 0;
}

static void next_command(decoder_t *d)
{
    d->at = d->searched = d->count = 0;
    d->wanted = 0;
    d->bulk = -1;
}

/* 0: a whole command is at the head of held. */
static int parse(decoder_t *d)
{
    for (;;) {
        char first;
        int err = 0;
        if (d->wanted > 0) {
            err = parse_argument(d);
        } else if (!cvy_buf_peek(&d->held, &first, 1)) {
            return UV_EAGAIN;
        } else if (first == '*') {
            err = next_length(d, '*', RESP_ARGS_MAX, "invalid multibulk length", &d->wanted);
        } else {
            err = parse_inline(d);
            d->wanted = (int64_t)d->count;
        }
        if (err) return err;
        if (d->wanted <= 0) { /* an empty line or array: no command */
            cvy_buf_advance(&d->held, d->at);
            next_command(d);
        } else if ((int64_t)d->count == d->wanted) {
            return 0;
        }
    }
}

static void fail(cvy_ctx_t *ctx, decoder_t *d, int err)
{
    d->failed = true;
    cvy_buf_fini(&d->held);
    cvy_ctx_fail(ctx, err, d->why);
}

/* The command's bytes leave held first: what comes while it is answered joins those behind it. */
static int fire(cvy_ctx_t *ctx, decoder_t *d)
{
    const uint8_t *bytes = NULL;
    cvy_buf_t whole;
    if (cvy_buf_split(&whole, &d->held, d->at)) return broken(d, UV_ENOMEM, "out of memory");
    int err = cvy_buf_pullup(&whole, d->at, &bytes);
    if (!err) {
        resp_command_t command = { CVY_EVENT_OF(resp_command), (const char *)bytes, d->args, d->count };
        d->firing = true;
        cvy_fire_inbound(ctx, &command.event);
        d->firing = false;
        next_command(d);
    }
    cvy_buf_fini(&whole);
    return err ? broken(d, UV_ENOMEM, "out of memory") : 0;
}

/* Fires whole commands until there is none, or nobody may take one. */
static void drain(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    while (!d->failed && !d->firing && cvy_ctx_stopped(ctx) == 0) {
        int err = parse(d);
        if (err == UV_EAGAIN) break;
        if (!err) err = fire(ctx, d);
        if (err) fail(ctx, d, err);
    }
    cvy_buf_compact(&d->held); /* what is left need not pin a whole read; without memory it does */
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (d->failed) return;
    if (cvy_buf_keep(&d->held, bytes)) {
        broken(d, UV_ENOMEM, "out of memory");
        fail(ctx, d, UV_ENOMEM);
        return;
    }
    drain(ctx);
}

/* After the end of the stream: 0 when it may go on to the stages behind, which would close the connection. */
static int finish(cvy_ctx_t *ctx, decoder_t *d)
{
    drain(ctx);
    if (d->failed || cvy_ctx_stopped(ctx)) return UV_EAGAIN; /* whoever gets the error closes */
    if (!cvy_buf_len(&d->held)) return 0;
    d->why = "end of stream inside a command";
    fail(ctx, d, UV_EPROTO);
    return UV_EAGAIN;
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    d->ending = true;
    return finish(ctx, d);
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (!d->ending)
        drain(ctx);
    else if (!finish(ctx, d))
        cvy_ctx_read_closed_next(ctx);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    decoder_t *d = cvy_ctx_state(ctx);
    (void)opts;
    cvy_buf_init(&d->held, cvy_ctx_pool(ctx));
    d->bulk = -1;
    return 0;
}

/* What is not yet a command is for whoever comes behind, or in this one's place. */
static void on_removed(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (cvy_buf_len(&d->held)) cvy_fire_inbound_bytes(ctx, &d->held);
    cvy_buf_fini(&d->held);
    free(d->args);
}

const cvy_stage_t resp_decoder = {
    .name = "resp",
    .state_size = sizeof(decoder_t),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_inbound_bytes = on_bytes,
    .on_read_closed = on_read_closed,
    .on_inbound_resume = on_inbound_resume,
};
