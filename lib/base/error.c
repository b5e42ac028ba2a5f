/* An error as one line: stage, rule, figures, code. Where no rule was named the system's words for the code stand in its place. */
#include <conveyor/base.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <uv.h>

#include "base/log.h"

typedef struct text {
    char *at;
    size_t room; /* the terminating zero included; at least 1 */
} text_t;

CVY__PRINTF(2, 3) static void put(text_t *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at, text->room, format, args);
    va_end(args);
    if (n < 0) return;
    size_t written = (size_t)n < text->room ? (size_t)n : text->room - 1;
    text->at += written;
    text->room -= written;
}

void cvy_error_format(char *out, size_t n, const cvy_error_t *err)
{
    if (!n) return;
    text_t text = { out, n };
    char word[128];
    const char *detail = err->detail ? err->detail : uv_strerror_r(err->code, word, sizeof word);
    out[0] = '\0';
    if (err->stage) put(&text, "%s: ", err->stage);
    put(&text, "%s", detail);
    if (err->value || err->limit) put(&text, " (%" PRIu64 " > %" PRIu64 ")", err->value, err->limit);
    char name[64];
    put(&text, ": %s", uv_err_name_r(err->code, name, sizeof name));
}
