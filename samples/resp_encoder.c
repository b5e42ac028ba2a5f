/*
 * The encoder appends replies to a buffer, ready for the wire.
 */
#include "resp_codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int append_text(cvy_buf_t *out, const char *text)
{
    return cvy_buf_append(out, text, strlen(text));
}

int resp_status(cvy_buf_t *out, const char *text)
{
    char line[64];
    snprintf(line, sizeof line, "+%s\r\n", text);
    return append_text(out, line);
}

int resp_error(cvy_buf_t *out, const char *text, const char *about)
{
    char line[256];
    const char *gap = strstr(text, "%s");
    int before = gap ? (int)(gap - text) : (int)strlen(text);
    snprintf(line, sizeof line, "-ERR %.*s%.128s%.64s\r\n", before, text, gap ? about : "", gap ? gap + 2 : "");
    return append_text(out, line);
}

int resp_integer(cvy_buf_t *out, int64_t number)
{
    char line[32];
    snprintf(line, sizeof line, ":%" PRId64 "\r\n", number);
    return append_text(out, line);
}

int resp_bulk(cvy_buf_t *out, resp_text_t text)
{
    char line[32];
    snprintf(line, sizeof line, "$%zu\r\n", text.n);
    int err = append_text(out, line);
    if (!err) err = cvy_buf_append(out, text.bytes, text.n);
    return err ? err : append_text(out, "\r\n");
}

int resp_nil(cvy_buf_t *out)
{
    return append_text(out, "$-1\r\n");
}

int resp_array(cvy_buf_t *out, size_t count)
{
    char line[32];
    snprintf(line, sizeof line, "*%zu\r\n", count);
    return append_text(out, line);
}
