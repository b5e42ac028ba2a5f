/*
 * Posts, from the loop's own thread and from another one. The other one does one thing at a time while this one waits for it, so that a life
 * is the same each time.
 */
#include "inner.h"

typedef enum what { POST_CLOSE, POST_CALL, POST_WRITE, STOP } what_t;

static struct {
    uv_thread_t thread;
    uv_sem_t go, done;
    bool running;
    what_t what;
    uint32_t how;
} other;

/* Which of its thread's posts it is. */
static void *ticket_of(int poster)
{
    return (void *)(uintptr_t)(d.posters[poster].made * 2 + (size_t)poster);
}

static void completed(void *arg)
{
    size_t ticket = (size_t)(uintptr_t)arg;
    must(d.posters[ticket % 2].done == ticket / 2); /* first in, first out */
    d.posters[ticket % 2].done++;
}

static void on_posted(void *arg, int status)
{
    must(status == 0 || status == UV_ESRCH || status == UV_ECANCELED || status == UV_EPIPE || status == UV_ENOTCONN);
    completed(arg);
    drive_inside(NULL, "posted");
}

static void on_call(cvy_transport_t *t, void *arg, int status)
{
    must((t == NULL) == (status != 0));
    must(!t || t == d.t);
    completed(arg);
    drive_inside(NULL, "called");
}

/* On either thread. */
static void post(what_t what, uint32_t how, int poster)
{
    cvy_transport_id_t id = cvy_transport_id(d.t);
    cvy_close_t close = { (cvy_close_verb_t)(how % 3), 0 };
    size_t n = how % BIG;
    cvy_buf_t b = CVY_BUF_INIT;
    int err;
    switch (what) {
    case POST_CLOSE: err = cvy_transport_post_close(d.loop, id, &close); break;
    case POST_CALL: err = cvy_transport_post_call(d.loop, id, on_call, ticket_of(poster)); break;
    default:
        if (poster)
            must(cvy_buf_append(&b, "from another thread", n % 20) == 0);
        else
            b = drive_make(n);
        n = cvy_buf_len(&b);
        err = cvy_transport_post_write(d.loop, id, &b, on_posted, ticket_of(poster));
        must(cvy_buf_len(&b) == (err ? n : 0));
        cvy_buf_fini(&b);
        break;
    }
    d.posters[poster].made += !err && what != POST_CLOSE;
    must(!err || err == UV_ENOMEM || err == UV_ENOBUFS || (err == UV_ESRCH && d.t->phase == CVY__CLOSED));
}

static void run_other(void *arg)
{
    (void)arg;
    for (what_t what = POST_CALL; what != STOP; uv_sem_post(&other.done)) {
        uv_sem_wait(&other.go);
        what = other.what;
        if (what != STOP) post(what, other.how, 1);
    }
}

static void tell_other(what_t what, uint32_t how)
{
    other.what = what;
    other.how = how;
    uv_sem_post(&other.go);
    uv_sem_wait(&other.done);
}

static void start_other(void)
{
    must(!uv_sem_init(&other.go, 0) && !uv_sem_init(&other.done, 0));
    must(!uv_thread_create(&other.thread, run_other, NULL));
    other.running = true;
}

void posts_end(void)
{
    if (!other.running) return;
    tell_other(STOP, 0);
    uv_thread_join(&other.thread);
    uv_sem_destroy(&other.go);
    uv_sem_destroy(&other.done);
    other.running = false;
}

/* Closes are rare. */
static bool choose(uint32_t *how, what_t *what)
{
    uint32_t which = *how % 4;
    *how /= 4;
    *what = which == 0 ? POST_CLOSE : which == 1 ? POST_CALL : POST_WRITE;
    if (which) return true;
    which = *how % 8;
    *how /= 8;
    return which == 0;
}

void op_post(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    what_t what;
    if (choose(&how, &what)) post(what, how, 0);
}

void op_post_elsewhere(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    what_t what;
    if (!choose(&how, &what)) return;
    if (!other.running) start_other();
    tell_other(what, how);
}
