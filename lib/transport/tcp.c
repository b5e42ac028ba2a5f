/* The tcp kind: what of a stream only TCP has, a reset and addresses. */
#include "base/system.h"
#include "transport/stream.h"

/* While a shutdown is under way libuv refuses to reset; closing with a linger time of 0 does the same. */
static void reset(cvy__stream_t *s)
{
    cvy_socket_t fd;
    if (!uv_tcp_close_reset(&s->uv.tcp, cvy__stream_on_closed)) return;
    if (!cvy__stream_fd(&s->transport, &fd)) cvy__socket_linger(fd, 0);
    uv_close(&s->uv.handle, cvy__stream_on_closed);
}

static void tcp_close(cvy_transport_t *t, bool with_reset)
{
    cvy__stream_t *s = cvy__stream_of(t);
    if (with_reset)
        reset(s);
    else
        uv_close(&s->uv.handle, cvy__stream_on_closed);
}

int cvy__tcp_endpoints(cvy__stream_t *s, const cvy__names_t *names)
{
    struct sockaddr_storage self = { 0 }, other = { 0 };
    const struct sockaddr *self_address = names->self_address, *other_address = names->other_address;
    int n = sizeof self, m = sizeof other;
    if (!self_address && !uv_tcp_getsockname(&s->uv.tcp, (struct sockaddr *)&self, &n))
        self_address = (struct sockaddr *)&self;
    if (!other_address && !uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&other, &m))
        other_address = (struct sockaddr *)&other;
    return cvy__transport_set_inet(&s->transport, self_address, other_address);
}

const cvy__kind_t cvy__tcp_kind = {
    .name = "tcp",
    .read_start = cvy__stream_read_start,
    .read_stop = cvy__stream_read_stop,
    .write = cvy__stream_write,
    .unsent = cvy__stream_unsent,
    .shutdown = cvy__stream_shutdown,
    .close = tcp_close,
    .probe = cvy__stream_probe,
    .fd = cvy__stream_fd,
    .free = cvy__stream_free,
};
