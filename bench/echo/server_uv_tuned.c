/*
 * libuv as tuned by hand as it goes: one shared read buffer of 256 KiB, whole frames go out by uv_try_write from where they were read, a copy
 * of the rest by uv_write; reading stops while a write is under way.
 */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "wire.h"

typedef struct connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    uv_write_t *writing;
    uint8_t *in; /* the beginning of a frame */
    size_t held, size;
} connection_t;

static char shared[WIRE_READ_BYTES];
static wire_address_t address;

static void on_closed(uv_handle_t *handle)
{
    connection_t *c = (connection_t *)handle;
    free(c->in);
    free(c);
}

static void end(connection_t *c)
{
    if (!uv_is_closing(&c->uv.handle)) uv_close(&c->uv.handle, on_closed);
}

static void give(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    connection_t *c = (connection_t *)handle;
    (void)suggested;
    if (c->held) /* the rest of a frame */
        *buf = uv_buf_init((char *)c->in + c->held, (unsigned)(c->size - c->held));
    else
        *buf = uv_buf_init(shared, sizeof shared);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *req, int status)
{
    connection_t *c = (connection_t *)req->handle;
    c->writing = NULL;
    free(req);
    if (status)
        end(c);
    else if (!uv_is_closing(&c->uv.handle))
        uv_read_start(&c->uv.stream, give, on_read);
}

static void send_bytes(connection_t *c, uint8_t *bytes, size_t n)
{
    uv_buf_t out = uv_buf_init((char *)bytes, (unsigned)n);
    int taken = uv_try_write(&c->uv.stream, &out, 1);
    if (taken < 0 && taken != UV_EAGAIN) {
        end(c);
        return;
    }
    if (taken < 0) taken = 0;
    if ((size_t)taken == n) return;
    uv_write_t *req = malloc(sizeof *req + n - (size_t)taken);
    if (!req) wire_die("malloc");
    out = uv_buf_init((char *)(req + 1), (unsigned)(n - (size_t)taken));
    memcpy(out.base, bytes + taken, out.len);
    c->writing = req;
    uv_read_stop(&c->uv.stream);
    uv_write(req, &c->uv.stream, &out, 1, on_written);
}

static void grow(connection_t *c, size_t size)
{
    if (c->size >= size) return;
    c->size = size;
    c->in = realloc(c->in, size);
    if (!c->in) wire_die("realloc");
}

/* bytes: in the shared buffer, or in c->in itself. */
static void keep(connection_t *c, const uint8_t *bytes, size_t n, size_t missing)
{
    bool own = bytes != (const uint8_t *)shared && c->in && bytes >= c->in && bytes < c->in + c->size;
    if (own) memmove(c->in, bytes, n);
    grow(c, n + missing);
    if (!own) memcpy(c->in, bytes, n);
    c->held = n;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    connection_t *c = (connection_t *)stream;
    if (n < 0) end(c);
    if (n <= 0) return;
    uint8_t *bytes = c->held ? c->in : (uint8_t *)buf->base;
    size_t have = c->held + (size_t)n, missing, whole = wire_whole(bytes, have, &missing);
    c->held = 0;
    if (whole) send_bytes(c, bytes, whole);
    if (have > whole) keep(c, bytes + whole, have - whole, missing);
    if (c->held || c->size >= 1024 * 1024) return;
    free(c->in);
    c->in = NULL;
    c->size = 0;
}

static void on_connection(uv_stream_t *server, int status)
{
    connection_t *c = calloc(1, sizeof *c);
    if (!c || status) wire_die("connection");
    if (address.tcp)
        uv_tcp_init(server->loop, &c->uv.tcp);
    else
        uv_pipe_init(server->loop, &c->uv.pipe, 0);
    if (uv_accept(server, &c->uv.stream)) {
        end(c);
        return;
    }
    if (address.tcp) uv_tcp_nodelay(&c->uv.tcp, 1);
    uv_read_start(&c->uv.stream, give, on_read);
}

int main(int argc, char **argv)
{
    connection_t server;
    uv_loop_t *loop = uv_default_loop();
    address = wire_parse(argc > 1 ? argv[1] : "");
    int fd = wire_listen(&address);
    if (address.tcp) {
        uv_tcp_init(loop, &server.uv.tcp);
        uv_tcp_open(&server.uv.tcp, fd);
    } else {
        uv_pipe_init(loop, &server.uv.pipe, 0);
        uv_pipe_open(&server.uv.pipe, fd);
    }
    if (uv_listen(&server.uv.stream, 4096, on_connection)) wire_die("uv_listen");
    wire_ready();
    return uv_run(loop, UV_RUN_DEFAULT);
}
