/* The pipe kind: Unix sockets, named pipes on Windows, and the ends of plain pipes. There is no reset: it is a close. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "transport/stream.h"

static void pipe_close(cvy_transport_t *t, bool with_reset)
{
    (void)with_reset;
    uv_close(&cvy__stream_of(t)->uv.handle, cvy__stream_on_closed);
}

/* Whoever dialed or accepted knows better than the system: a named pipe has one name, and Windows tells it to both ends. */
int cvy__pipe_endpoints(cvy__stream_t *s, const char *self_endpoint, const char *other_endpoint)
{
    struct sockaddr_storage self, other;
    char self_text[512], other_text[512];
    int err = cvy__pipe_endpoint(&s->uv.pipe, false, self_text, sizeof self_text, &self);
    if (!err) err = cvy__pipe_endpoint(&s->uv.pipe, true, other_text, sizeof other_text, &other);
    if (err) return err;
    return cvy__transport_set_endpoints(
        &s->transport, self_endpoint ? self_endpoint : self_text, self.ss_family ? (struct sockaddr *)&self : NULL,
        other_endpoint ? other_endpoint : other_text, other.ss_family ? (struct sockaddr *)&other : NULL);
}

const cvy__kind_t cvy__pipe_kind = {
    .name = "pipe",
    .read_start = cvy__stream_read_start,
    .read_stop = cvy__stream_read_stop,
    .write = cvy__stream_write,
    .unsent = cvy__stream_unsent,
    .shutdown = cvy__stream_shutdown,
    .close = pipe_close,
    .probe = cvy__stream_probe,
    .fd = cvy__stream_fd,
    .free = cvy__stream_free,
};
