/* The tcp kind: what of a stream only TCP has, a reset and addresses. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "transport/stream.h"

int cvy__stream_new_tcp(cvy__stream_t **out, cvy_loop_t *loop)
{
    return cvy__stream_alloc(out, loop, true);
}

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

/* Errors leave out empty: a socket without a name is shown as one. */
static void describe(const struct sockaddr_storage *a, char *out, size_t n)
{
    char host[64];
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
        uv_ip6_name(in6, host, sizeof host);
        snprintf(out, n, "tcp://[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
    } else if (a->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        uv_ip4_name(in, host, sizeof host);
        snprintf(out, n, "tcp://%s:%u", host, (unsigned)ntohs(in->sin_port));
    } else {
        snprintf(out, n, "tcp:");
    }
}

int cvy__tcp_endpoints(cvy__stream_t *s, const char *other_endpoint)
{
    struct sockaddr_storage self = { 0 }, other = { 0 };
    char self_text[96], other_text[96];
    int n = sizeof self;
    if (uv_tcp_getsockname(&s->uv.tcp, (struct sockaddr *)&self, &n)) self.ss_family = 0;
    n = sizeof other;
    if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&other, &n)) other.ss_family = 0;
    describe(&self, self_text, sizeof self_text);
    describe(&other, other_text, sizeof other_text);
    if (!other.ss_family && other_endpoint) snprintf(other_text, sizeof other_text, "%s", other_endpoint);
    return cvy__transport_set_endpoints(&s->transport, self_text, self.ss_family ? (struct sockaddr *)&self : NULL,
                                        other_text, other.ss_family ? (struct sockaddr *)&other : NULL);
}

const cvy__kind_t cvy__tcp_kind = {
    .name = "tcp",
    .read_start = cvy__stream_read_start,
    .read_stop = cvy__stream_read_stop,
    .write = cvy__stream_write,
    .shutdown = cvy__stream_shutdown,
    .close = tcp_close,
    .probe = cvy__stream_probe,
    .fd = cvy__stream_fd,
    .free = cvy__stream_free,
};
