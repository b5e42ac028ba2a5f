/*
 * The parser holds the bytes of one command until it is whole. What it has looked at it does not look at again, and it keeps what
 * arrives, not what was announced: a length is only a number to compare with.
 */
#include "resp_parser.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LENGTH_LINE_MAX 32 /* "*1024", "$16777216" */

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

static int broken(resp_parser_t *p, int code, const char *why)
{
    p->why = why;
    return code;
}

static int push_arg(resp_parser_t *p, size_t at, size_t n)
{
    if (p->count == RESP_ARGS_MAX) return broken(p, UV_EMSGSIZE, "invalid multibulk length");
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 4;
        resp_span_t *args = realloc(p->args, capacity * sizeof *args);
        if (!args) return broken(p, UV_ENOMEM, "out of memory");
        p->args = args;
        p->capacity = capacity;
    }
    p->args[p->count++] = (resp_span_t){ at, n };
    return 0;
}

/* The line at p->at, without its end. */
static int next_line(resp_parser_t *p, size_t max, const char *too_long, resp_span_t *out)
{
    size_t end = 0;
    char last = 0;
    int err = cvy_buf_find_byte(&p->held, p->searched, '\n', &end);
    if (err) end = p->searched = cvy_buf_len(&p->held);
    if (end - p->at > max + 1) return broken(p, UV_EMSGSIZE, too_long);
    if (err) return UV_EAGAIN;
    *out = (resp_span_t){ p->at, end - p->at };
    if (out->n) cvy_buf_peek_at(&p->held, end - 1, &last, 1);
    if (last == '\r') out->n--;
    p->at = p->searched = end + 1;
    return 0;
}

/* A line of one mark and a number. */
static int next_length(resp_parser_t *p, char mark, int64_t max, const char *why, int64_t *out)
{
    resp_span_t line;
    char text[LENGTH_LINE_MAX + 1];
    int err = next_line(p, LENGTH_LINE_MAX, why, &line);
    if (err) return err;
    cvy_buf_peek_at(&p->held, line.at, text, line.n);
    if (line.n < 2 || text[0] != mark || !resp_number((resp_text_t){ text + 1, line.n - 1 }, out))
        return broken(p, UV_EPROTO, why);
    return *out > max ? broken(p, UV_EMSGSIZE, why) : 0;
}

static int parse_inline(resp_parser_t *p)
{
    resp_span_t line;
    const uint8_t *bytes = NULL;
    int err = next_line(p, RESP_INLINE_MAX, "too big inline request", &line);
    if (err) return err;
    if (cvy_buf_pullup(&p->held, p->at, &bytes)) return broken(p, UV_ENOMEM, "out of memory");
    size_t start = line.at;
    for (size_t i = line.at; !err && i <= line.at + line.n; i++) {
        if (i < line.at + line.n && bytes[i] != ' ' && bytes[i] != '\t') continue;
        if (i > start) err = push_arg(p, start, i - start);
        start = i + 1;
    }
    return err;
}

static int parse_argument(resp_parser_t *p)
{
    static const char why[] = "invalid bulk length";
    char end[2];
    if (p->bulk < 0) {
        int err = next_length(p, '$', RESP_COMMAND_MAX - (int64_t)p->at, why, &p->bulk);
        if (err) return err;
        if (p->bulk < 0) return broken(p, UV_EPROTO, why);
    }
    size_t n = (size_t)p->bulk;
    if (cvy_buf_peek_at(&p->held, p->at + n, end, 2) < 2) return UV_EAGAIN;
    if (memcmp(end, "\r\n", 2) != 0) return broken(p, UV_EPROTO, "expected CRLF behind a bulk string");
    int err = push_arg(p, p->at, n);
    if (err) return err;
    p->at = p->searched = p->at + n + 2;
    p->bulk = -1;
    return 0;
}

void resp_parse_next(resp_parser_t *p)
{
    p->at = p->searched = p->count = 0;
    p->wanted = 0;
    p->bulk = -1;
}

int resp_parse(resp_parser_t *p)
{
    for (;;) {
        char first;
        int err = 0;
        if (p->wanted > 0) {
            err = parse_argument(p);
        } else if (!cvy_buf_peek(&p->held, &first, 1)) {
            return UV_EAGAIN;
        } else if (first == '*') {
            err = next_length(p, '*', RESP_ARGS_MAX, "invalid multibulk length", &p->wanted);
        } else {
            err = parse_inline(p);
            p->wanted = (int64_t)p->count;
        }
        if (err) return err;
        if (p->wanted <= 0) { /* an empty line or array: no command */
            cvy_buf_advance(&p->held, p->at);
            resp_parse_next(p);
        } else if ((int64_t)p->count == p->wanted) {
            return 0;
        }
    }
}
