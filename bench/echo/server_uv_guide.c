/*
 * libuv as its guide teaches: a buffer from malloc for every read, uv_write for every reply with a request from malloc, freed when it is done.
 * Frames are put together in a buffer per connection.
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
    uint8_t *held;
    size_t n, size;
} connection_t;

typedef struct reply {
    uv_write_t req;
    uv_buf_t buf;
} reply_t;

static wire_address_t address;

static void on_closed(uv_handle_t *handle)
{
    free(((connection_t *)handle)->held);
    free(handle);
}

static void end(connection_t *c)
{
    if (!uv_is_closing(&c->uv.handle)) uv_close(&c->uv.handle, on_closed);
}

static void give(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    buf->base = malloc(suggested);
    buf->len = suggested;
}

static void on_written(uv_write_t *req, int status)
{
    reply_t *reply = (reply_t *)req;
    (void)status;
    free(reply->buf.base);
    free(reply);
}

static void echo(connection_t *c, const uint8_t *frame, size_t n)
{
    reply_t *reply = malloc(sizeof *reply);
    reply->buf = uv_buf_init(malloc(n), (unsigned)n);
    memcpy(reply->buf.base, frame, n);
    if (uv_write(&reply->req, &c->uv.stream, &reply->buf, 1, on_written)) {
        on_written(&reply->req, 0);
        end(c);
    }
}

static void hold(connection_t *c, const char *bytes, size_t n)
{
    if (c->n + n > c->size) {
        c->size = 2 * (c->n + n);
        c->held = realloc(c->held, c->size);
        if (!c->held) wire_die("realloc");
    }
    memcpy(c->held + c->n, bytes, n);
    c->n += n;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    connection_t *c = (connection_t *)stream;
    size_t done = 0;
    if (n > 0) hold(c, buf->base, (size_t)n);
    free(buf->base);
    if (n < 0) end(c);
    while (n > 0 && c->n - done >= WIRE_HEADER) {
        size_t frame = WIRE_HEADER + (size_t)wire_length(c->held + done);
        if (c->n - done < frame) break;
        echo(c, c->held + done, frame);
        done += frame;
    }
    c->n -= done;
    if (c->n) memmove(c->held, c->held + done, c->n);
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
