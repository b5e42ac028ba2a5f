/*
 * What tcp and pipe share over libuv's streams.
 *
 * Reading: libuv asks for a buffer only when there is data, and gets the loop's slab; so an idle connection holds none. No buffer is
 * how a read is put off: reading stays armed, and costs no system call to go on. A read into the slab and the delivery of it
 * follow each other directly, so that the slab's room needs no owner.
 *
 * Writing: a try of as many views as are worth it, straight from the queue. What the kernel does not take goes out as one uv_write in
 * flight, of so few views that libuv need not allocate; its request is on loan from the loop, so that an idle connection has none.
 * The views of a write in flight stay where they are: the queue's owner advances only when it is told.
 */
#include "transport/stream.h"

#include "base/memory.h"
#include "base/system.h"
#include "buf/quick.h"

#include "transport/socket_opts.h"

/* Requests a loop keeps for the next write: more connections than that are rarely stalled at once. About 200 bytes each. */
#define KEEP_REQUESTS 64
/* 900 views of 600 B into a local socket: 68 us by 64 at a time, 56 by 256, 52 by 1024, which is 16 KiB of stack. */
#define TRY_VIEWS     256
#define LATER_VIEWS   64

typedef struct cvy__stream_request {
    union {
        uv_write_t write;
        uv_shutdown_t shutdown;
        struct cvy__stream_request *next;
    } uv;
    cvy__stream_t *stream;
    size_t bytes;
} cvy__stream_request_t;

/* The loop's free requests. */
struct cvy__stream_requests {
    cvy__stream_request_t *free;
    size_t count;
};

static void free_requests(struct cvy__stream_requests *pool)
{
    while (pool->free) {
        cvy__stream_request_t *r = pool->free;
        pool->free = r->uv.next;
        cvy__free(r);
    }
    cvy__free(pool);
}

static cvy__stream_request_t *take_request(cvy__stream_t *s)
{
    struct cvy__stream_requests *pool = cvy__stream_loop(s)->stream_requests;
    cvy__stream_request_t *r = pool ? pool->free : NULL;
    if (r) {
        pool->free = r->uv.next;
        pool->count--;
    } else {
        r = cvy__malloc(sizeof *r);
        if (!r) return NULL;
    }
    r->stream = s;
    r->bytes = 0;
    return r;
}

static void give_request(cvy__stream_request_t *r)
{
    cvy_loop_t *loop = cvy__stream_loop(r->stream);
    if (!loop->stream_requests) {
        loop->stream_requests = cvy__calloc(1, sizeof *loop->stream_requests);
        loop->free_stream_requests = free_requests;
    }
    struct cvy__stream_requests *pool = loop->stream_requests;
    if (!pool || pool->count >= KEEP_REQUESTS) {
        cvy__free(r);
        return;
    }
    r->uv.next = pool->free;
    pool->free = r;
    pool->count++;
}

/* Making */

/* Where its room begins. */
static size_t stream_bytes(bool tcp)
{
    return CVY__ROOM_PLACE(offsetof(cvy__stream_t, uv) + (tcp ? sizeof(uv_tcp_t) : sizeof(uv_pipe_t)));
}

static int make(cvy__stream_t **out, cvy_loop_t *loop, bool tcp, size_t room)
{
    cvy__stream_t *s = cvy__calloc(1, stream_bytes(tcp) + room);
    if (!s) return UV_ENOMEM;
    s->transport.conveyor.loop = loop; /* from here on, whatever becomes of it */
    s->tcp = tcp;
    s->room = (uint16_t)room;
    int err = tcp ? uv_tcp_init(loop->uv, &s->uv.tcp) : uv_pipe_init(loop->uv, &s->uv.pipe, 0);
    if (err) {
        cvy__free(s);
        return err;
    }
    s->uv.handle.data = s;
    *out = s;
    return 0;
}

int cvy__stream_new_tcp(cvy__stream_t **out, cvy_loop_t *loop)
{
    return make(out, loop, true, 0);
}

int cvy__stream_new_pipe(cvy__stream_t **out, cvy_loop_t *loop)
{
    return make(out, loop, false, 0);
}

int cvy__stream_new(cvy__stream_t **out, cvy_loop_t *loop, bool tcp, const cvy__shared_opts_t *opts)
{
    return make(out, loop, tcp, cvy__shared_opts_room(opts));
}

uv_stream_t *cvy__stream_handle(cvy__stream_t *s)
{
    return &s->uv.stream;
}

int cvy__stream_open(cvy__stream_t *s, cvy_socket_t fd)
{
    return s->tcp ? cvy__tcp_open(&s->uv.tcp, fd) : cvy__pipe_open(&s->uv.pipe, fd);
}

static void on_discarded(uv_handle_t *handle)
{
    cvy__free(handle->data);
}

void cvy__stream_discard(cvy__stream_t *s)
{
    if (s) uv_close(&s->uv.handle, on_discarded);
}

int cvy__stream_become(cvy__stream_t *s, cvy__shared_opts_t *opts, const cvy__names_t *names)
{
    cvy_transport_t *t = &s->transport;
    int err = cvy__socket_apply(&s->uv.stream, &opts->given);
    if (!err) err = s->tcp ? cvy__tcp_endpoints(s, names) : cvy__pipe_endpoints(s, names->self, names->other);
    if (!err) err = cvy__transport_init(t, s->tcp ? &cvy__tcp_kind : &cvy__pipe_kind, cvy__stream_loop(s), opts);
    if (err) {
        cvy__transport_forget_endpoints(t);
        return err;
    }
    cvy__stream_fd(t, &s->fd);
    cvy__conveyor_give_room(&t->conveyor, (char *)s + stream_bytes(s->tcp), s->room);
    /* A socket that was reset before it was opened is neither on Windows: nothing can be read, and reading says so. */
    s->one_way = !s->tcp && (!uv_is_readable(&s->uv.stream) || !uv_is_writable(&s->uv.stream));
    return 0;
}

/* Reading */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    cvy__stream_t *s = handle->data;
    char *base = NULL;
    size_t room = 0;
    s->starved = false;
    if (cvy__transport_may_read(&s->transport)) {
        s->starved = cvy__slab_room(&cvy__stream_loop(s)->slab, &base, &room) != 0;
        if (s->starved) base = NULL;
    }
    *buf = uv_buf_init(base, base ? (unsigned)room : 0);
}

/* Where a reset follows bytes libuv (1.44, and its head) takes the hang-up for an end of stream; the socket knows better. */
static void read_ended(cvy_transport_t *t)
{
    cvy_socket_t fd;
    int err = cvy__stream_fd(t, &fd) ? 0 : cvy__socket_error(fd);
    if (err && err != UV_ENOTSOCK)
        cvy__transport_read_error(t, err);
    else
        cvy__transport_read_eof(t);
}

static void read_failed(cvy__stream_t *s, int code, bool no_buffer)
{
    cvy_transport_t *t = &s->transport;
    if (code == UV_EOF)
        read_ended(t);
    else if (code != UV_ENOBUFS || !no_buffer)
        cvy__transport_read_error(t, cvy__transport_code(code));
    else if (s->starved)
        cvy__transport_read_error(t, UV_ENOMEM);
    else
        cvy__transport_not_now(t);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    cvy__stream_t *s = stream->data;
    cvy_loop_t *loop = cvy__stream_loop(s);
    if (nread == 0) return;
    cvy__loop_enter(loop);
    if (nread > 0)
        cvy__transport_read_slab(&s->transport, (size_t)nread);
    else
        read_failed(s, (int)nread, !buf->base);
    cvy__loop_leave(loop);
}

int cvy__stream_read_start(cvy_transport_t *t)
{
    cvy__stream_t *s = cvy__stream_of(t);
    if (s->one_way && !uv_is_readable(&s->uv.stream)) return 0; /* nothing will ever come */
    return uv_read_start(&s->uv.stream, on_alloc, on_read);
}

void cvy__stream_read_stop(cvy_transport_t *t)
{
    uv_read_stop(&cvy__stream_of(t)->uv.stream);
}

/* Writing */

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* At most max views of at most limit bytes from the head of out, cut to fit; *bytes: how many. */
static unsigned gather(const cvy_buf_t *out, uv_buf_t *views, size_t max, size_t limit, size_t *bytes)
{
    unsigned n = (unsigned)cvy_buf_views(out, views, max);
    *bytes = 0;
    for (unsigned i = 0; i < n; i++) {
        size_t room = limit - *bytes;
        if (views[i].len >= room) {
            views[i] = uv_buf_init(views[i].base, (unsigned)room);
            *bytes = limit;
            return i + 1;
        }
        *bytes += views[i].len;
    }
    return n;
}

static void on_written(uv_write_t *req, int status)
{
    cvy__stream_request_t *r = req->data;
    cvy__stream_t *s = r->stream;
    cvy_loop_t *loop = cvy__stream_loop(s);
    size_t bytes = cvy__write_count(req, s->tcp, r->bytes);
    give_request(r);
    s->full = false;
    if (uv_is_closing(&s->uv.handle)) return;
    cvy__loop_enter(loop);
    if (status)
        cvy__transport_wrote(&s->transport, 0, cvy__transport_code(status));
    else
        cvy__transport_wrote(&s->transport, bytes, 0);
    cvy__loop_leave(loop);
}

/* Puts one write in flight. */
static int write_later(cvy__stream_t *s, const cvy_buf_t *out)
{
    const cvy__write_limits_t *limits = cvy__write_limits(s->tcp);
    uv_buf_t views[LATER_VIEWS];
    cvy__stream_request_t *r = take_request(s);
    if (!r) return UV_ENOMEM;
    unsigned n = gather(out, views, at_most(limits->views, LATER_VIEWS), limits->bytes, &r->bytes);
    r->uv.write.data = r;
    int err = uv_write(&r->uv.write, &s->uv.stream, views, n, on_written);
    if (err) {
        give_request(r);
        return err;
    }
    return UV_EAGAIN;
}

int cvy__stream_write(cvy_transport_t *t, const cvy_buf_t *out)
{
    cvy__stream_t *s = cvy__stream_of(t);
    const cvy__write_limits_t *limits = cvy__write_limits(s->tcp);
    uv_buf_t views[TRY_VIEWS];
    size_t bytes;
    int taken = UV_EAGAIN;
    if (limits->try_views && !s->full) {
        unsigned n = 1;
        if (cvy__buf_one_view(out, limits->try_bytes, views))
            bytes = views->len;
        else
            n = gather(out, views, at_most(limits->try_views, TRY_VIEWS), limits->try_bytes, &bytes);
        taken = cvy__stream_try_write(&s->uv.stream, s->fd, views, n);
        if (taken > 0) s->full = (size_t)taken < bytes;
    }
    if (taken > 0) return taken;
    if (taken == 0 || taken == UV_EAGAIN) taken = write_later(s, out);
    return taken == UV_EAGAIN ? taken : cvy__transport_code(taken);
}

size_t cvy__stream_unsent(const cvy_transport_t *t)
{
    return uv_stream_get_write_queue_size(&cvy__stream_of(t)->uv.stream);
}

static void on_shut(uv_shutdown_t *req, int status)
{
    (void)status; /* whatever the system says, our side has ended */
    cvy__stream_request_t *r = req->data;
    cvy__stream_t *s = r->stream;
    cvy_loop_t *loop = cvy__stream_loop(s);
    give_request(r);
    s->shutting = false;
    if (uv_is_closing(&s->uv.handle)) return;
    cvy__loop_enter(loop);
    cvy__transport_shut(&s->transport, 0);
    /* Nobody answers through the writing end of a plain pipe. */
    if (s->one_way && !uv_is_closing(&s->uv.handle)) cvy__transport_read_eof(&s->transport);
    cvy__loop_leave(loop);
}

int cvy__stream_shutdown(cvy_transport_t *t)
{
    cvy__stream_t *s = cvy__stream_of(t);
    bool close_follows = t->phase == CVY__DRAINING && t->read_state == CVY_READ_EOF && !s->adopted;
    if (close_follows && cvy__close_ends_stream(s->tcp)) return UV_ENOTSUP; /* need not be said twice */
    cvy__stream_request_t *r = take_request(s);
    if (!r) return UV_ENOMEM;
    r->uv.shutdown.data = r;
    int err = uv_shutdown(&r->uv.shutdown, &s->uv.stream, on_shut);
    if (err) give_request(r);
    s->shutting = !err;
    return err;
}

/* Closing and looking */

void cvy__stream_on_closed(uv_handle_t *handle)
{
    cvy__stream_t *s = handle->data;
    cvy_loop_t *loop = cvy__stream_loop(s);
    cvy__loop_enter(loop);
    cvy__transport_closed(&s->transport);
    cvy__loop_leave(loop);
}

int cvy__stream_probe(cvy_transport_t *t)
{
    cvy_socket_t fd;
    return cvy__stream_fd(t, &fd) ? 0 : cvy__socket_probe(fd);
}

int cvy__stream_fd(const cvy_transport_t *t, cvy_socket_t *out)
{
    uv_os_fd_t fd;
    int err = uv_fileno(&cvy__stream_of(t)->uv.handle, &fd);
    if (!err) *out = (cvy_socket_t)fd;
    return err;
}

void cvy__stream_free(cvy_transport_t *t)
{
    cvy__free(cvy__stream_of(t));
}
