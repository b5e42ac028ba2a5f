/* The first-class options (T13). What a handle has no such option for is passed over; what was asked for and refused is an error. */
#include "transport/socket_opts.h"

#include "base/system.h"

/* UV_UNKNOWN: how libuv says WSAENOPROTOOPT, which Windows before 10 1709 answers to the time of keepalive. */
static int unless_absent(int err)
{
    bool absent = err == UV_ENOTSUP || err == UV_ENOTSOCK || err == UV_ENOPROTOOPT || err == UV_UNKNOWN;
    return absent ? 0 : err;
}

#define KEEPALIVE_MOST 32767 /* Linux' MAX_TCP_KEEPIDLE, in seconds: more is EINVAL */

static int buffer_size(int64_t bytes)
{
    return bytes > INT32_MAX ? INT32_MAX : (int)bytes;
}

static int apply_tcp(uv_tcp_t *tcp, const cvy_transport_opts_t *opts)
{
    int err = 0;
    cvy_socket_t fd;
    uv_os_fd_t os_fd;
    /* Refused where the peer has reset already (macOS): reading will tell. */
    if (opts->nodelay != CVY_OFF) uv_tcp_nodelay(tcp, 1);
    int64_t keepalive_s = opts->keepalive_s < KEEPALIVE_MOST ? opts->keepalive_s : KEEPALIVE_MOST;
    if (keepalive_s > 0) err = unless_absent(uv_tcp_keepalive(tcp, 1, (unsigned)keepalive_s));
    if (err || (opts->linger_s <= 0 && opts->user_timeout_ms <= 0)) return err;
    err = uv_fileno((uv_handle_t *)tcp, &os_fd);
    if (err) return err;
    fd = (cvy_socket_t)os_fd;
    if (opts->linger_s > 0) err = cvy__socket_linger(fd, opts->linger_s);
    if (!err && opts->user_timeout_ms > 0) err = unless_absent(cvy__socket_user_timeout(fd, opts->user_timeout_ms));
    return err;
}

int cvy__socket_apply(uv_stream_t *handle, const cvy_transport_opts_t *opts)
{
    int err = 0, size = buffer_size(opts->send_buffer);
    if (size > 0) err = unless_absent(uv_send_buffer_size((uv_handle_t *)handle, &size));
    size = buffer_size(opts->receive_buffer);
    if (!err && size > 0) err = unless_absent(uv_recv_buffer_size((uv_handle_t *)handle, &size));
    if (!err && uv_handle_get_type((uv_handle_t *)handle) == UV_TCP) err = apply_tcp((uv_tcp_t *)handle, opts);
    return err;
}
