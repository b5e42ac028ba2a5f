/* Raw libuv as one would write it by hand for speed (uv_try_write from a shared buffer, uv_write of a copy for the rest), and Conveyor. */
#include "echo_peers.h"

#include <conveyor/conveyor.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* raw libuv */

typedef struct rest {
    uv_write_t req;
    char bytes[];
} rest_t;

static char shared[65536];

static void give_shared(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(shared, sizeof shared);
}

static void free_rest(uv_write_t *req, int status)
{
    (void)status;
    free(req);
}

static void write_rest(uv_stream_t *stream, const char *bytes, size_t n)
{
    rest_t *rest = malloc(sizeof *rest + n);
    memcpy(rest->bytes, bytes, n);
    uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)n);
    uv_write(&rest->req, stream, &buf, 1, free_rest);
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void echo_raw(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n < 0) {
        uv_close((uv_handle_t *)stream, free_handle);
        return;
    }
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)n);
    int taken = n ? uv_try_write(stream, &out, 1) : 0;
    if (taken < 0) taken = 0;
    if (taken < n) write_rest(stream, buf->base + taken, (size_t)(n - taken));
}

static void accept_raw(uv_stream_t *server, int status)
{
    uv_tcp_t *client = malloc(sizeof *client);
    uv_tcp_init(server->loop, client);
    if (status || uv_accept(server, (uv_stream_t *)client)) return;
    uv_tcp_nodelay(client, 1);
    uv_read_start((uv_stream_t *)client, give_shared, echo_raw);
}

static void tell(int ready, int port)
{
    if (write(ready, &port, sizeof port) != (ssize_t)sizeof port) exit(1);
    close(ready);
}

static void serve_libuv(int ready)
{
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;
    struct sockaddr_in address;
    int size = sizeof address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &server);
    uv_tcp_bind(&server, (struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)&server, 128, accept_raw);
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &size);
    tell(ready, ntohs(address.sin_port));
    uv_run(loop, UV_RUN_DEFAULT);
}

/* Conveyor */

static void echo(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_fire_outbound_bytes(ctx, in);
}

static const cvy_stage_t echo_stage = { .name = "echo", .on_inbound_bytes = echo };

static int init_plain(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    return cvy_conveyor_add_last(c, &echo_stage, NULL, NULL);
}

static int init_framed(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    int err = cvy_flow_control_add(c, NULL);
    if (!err) err = cvy_frame_add(c, NULL);
    if (!err) err = cvy_conveyor_add_last(c, &echo_stage, NULL, NULL);
    return err;
}

static int ready_fd;

static void started(cvy_listener_t *listener, const char *address, void *arg)
{
    (void)listener;
    (void)arg;
    tell(ready_fd, atoi(strrchr(address, ':') + 1));
}

static void serve(int ready, cvy_conveyor_init_cb init)
{
    cvy_listener_t *listener;
    ready_fd = ready;
    cvy_listener_opts_t opts = { .address = "tcp://127.0.0.1:0", .conveyor_init = init, .on_started = started };
    if (cvy_listener_new(&listener, &opts)) exit(1);
    if (cvy_listener_listen_and_wait(listener)) exit(1);
}

static void serve_plain(int ready)
{
    serve(ready, init_plain);
}

static void serve_framed(int ready)
{
    serve(ready, init_framed);
}

const echo_peer_t echo_peers[] = {
    { "libuv", serve_libuv },
    { "conveyor", serve_plain },
    { "conveyor framed", serve_framed },
#ifdef BENCH_LIBEVENT
    { "libevent", serve_libevent },
#endif
};
