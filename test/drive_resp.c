/*
 * The driver of the Redis decoder (samples/resp_decoder.c, resp_parser.c). Its oracle reads whole commands off the array, in the words
 * of the protocol: "*N\r\n" and N times "$L\r\n" and L bytes and "\r\n", or a line of words.
 */
#include <string.h>

#include <uv.h>

#include "../samples/resp_codec.h"
#include "drive_parsers.h"
#include "drive_stage.h"

enum { LENGTH_LINE_MAX = 32, MORE = 1 };

/* A whole number in its shortest form. */
static bool number(const uint8_t *p, size_t n, int64_t *out)
{
    bool minus = n && p[0] == '-';
    uint64_t v = 0, most = (uint64_t)INT64_MAX + minus;
    size_t i = minus;
    if (i == n || (p[i] == '0' && n > 1)) return false;
    for (; i < n; i++) {
        unsigned digit = p[i] - (unsigned)'0';
        if (digit > 9 || v > (most - digit) / 10) return false;
        v = v * 10 + digit;
    }
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* The line at *at without its end; *at moves behind it. MORE, or UV_EMSGSIZE. */
static int line(const drive_stage_t *s, size_t *at, size_t max, drive_span_t *out)
{
    const uint8_t *lf = *at < s->n ? memchr(s->bytes + *at, '\n', s->n - *at) : NULL;
    size_t n = lf ? (size_t)(lf - s->bytes) - *at : s->n - *at;
    if (n > max + 1) return UV_EMSGSIZE;
    if (!lf) return MORE;
    *out = (drive_span_t){ *at, n && lf[-1] == '\r' ? n - 1 : n };
    *at += n + 1;
    return 0;
}

static int length(const drive_stage_t *s, size_t *at, uint8_t mark, int64_t max, int64_t *out)
{
    drive_span_t span;
    int err = line(s, at, LENGTH_LINE_MAX, &span);
    if (err) return err;
    if (span.n < 2 || s->bytes[span.at] != mark || !number(s->bytes + span.at + 1, span.n - 1, out)) return UV_EPROTO;
    return *out > max ? UV_EMSGSIZE : 0;
}

static int words(drive_stage_t *s, size_t *at, size_t *count)
{
    drive_span_t span;
    int err = line(s, at, RESP_INLINE_MAX, &span);
    if (err) return err;
    for (size_t i = span.at, end = span.at + span.n, n; i < end; i += n + 1) {
        for (n = 0; i + n < end && s->bytes[i + n] != ' ' && s->bytes[i + n] != '\t';)
            n++;
        if (!n) continue;
        if (*count == RESP_ARGS_MAX) return UV_EMSGSIZE;
        drive_stage_span(s, i, n);
        ++*count;
    }
    return 0;
}

static int array(drive_stage_t *s, size_t *at, size_t *count)
{
    size_t start = *at;
    int64_t n = 0, bytes = 0;
    int err = length(s, at, '*', RESP_ARGS_MAX, &n);
    for (int64_t i = 0; !err && i < n; i++, ++*count) {
        err = length(s, at, '$', RESP_COMMAND_MAX - (int64_t)(*at - start), &bytes);
        if (!err && bytes < 0) err = UV_EPROTO;
        if (err) break;
        if (s->n - *at < (size_t)bytes + 2) return MORE;
        if (memcmp(s->bytes + *at + bytes, "\r\n", 2) != 0) return UV_EPROTO;
        drive_stage_span(s, *at, (size_t)bytes);
        *at += (size_t)bytes + 2;
    }
    return err;
}

static void oracle(drive_stage_t *s)
{
    int err = 0;
    for (size_t at = 0; !err && at < s->n;) {
        size_t count = 0, spans = s->span_count;
        err = s->bytes[at] == '*' ? array(s, &at, &count) : words(s, &at, &count);
        if (err)
            s->span_count = spans;
        else if (count)
            drive_stage_frame(s, at);
        else
            s->skips = true;
        if (err == MORE) err = UV_EPROTO; /* the stream ends inside a command */
    }
    s->error = err;
}

static bool same(const drive_stage_t *s, size_t i, const cvy_event_t *ev)
{
    const resp_command_t *command = (const resp_command_t *)(const void *)ev;
    const drive_span_t *want = s->spans + s->frames[i].first;
    if (command->count != s->frames[i].count) return false;
    for (size_t k = 0; k < command->count; k++) {
        resp_text_t arg = resp_arg(command, k);
        if (arg.n != want[k].n || memcmp(arg.bytes, s->bytes + want[k].at, arg.n) != 0) return false;
        int64_t a = 0, b = 0;
        if (resp_number(arg, &a) != number(s->bytes + want[k].at, want[k].n, &b) || a != b) return false;
    }
    return true;
}

void drive_resp(const uint8_t *data, size_t n)
{
    if (n < 2) return;
    drive_stage_t s = { .stage = &resp_decoder,
                        .bytes = data + 2,
                        .n = n - 2,
                        .seed = data[0] | (uint32_t)data[1] << 8,
                        .event = &resp_command_event,
                        .same = same };
    oracle(&s);
    DRIVE_CHECK(drive_stage_run(&s));
    drive_stage_fini(&s);
}
