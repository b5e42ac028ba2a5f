/*
 * From other threads: a post names the transport by its id and travels as a task of its loop. What the task owns (bytes, their share of the
 * hard limit) is let go of when it runs or is cancelled, exactly once, whether or not the transport still lives.
 */
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

typedef struct post {
    cvy_task_t task;
    cvy_loop_t *loop;
    cvy_transport_id_t id;
    union {
        struct {
            cvy_buf_t buf;
            uint64_t counted;
            cvy_post_cb cb;
        } write;
        cvy_close_t close;
        void (*call)(cvy_transport_t *t, void *arg, int status);
    } as;
    void *arg;
} post_t;

static post_t *new_post(cvy_loop_t *loop, cvy_transport_id_t id, cvy_task_cb run, void *arg)
{
    post_t *p = cvy__calloc(1, sizeof *p);
    if (!p) return NULL;
    p->task.run = run;
    p->loop = cvy__loop_ref(loop);
    p->id = id;
    p->arg = arg;
    return p;
}

static void free_post(post_t *p)
{
    cvy__loop_unref(p->loop);
    cvy__free(p);
}

static int send_post(post_t *p)
{
    int err = cvy_loop_post(p->loop, &p->task);
    if (err) free_post(p);
    return err;
}

/* The transport, or why there is none. */
static cvy_transport_t *find(const post_t *p, int *status)
{
    cvy_transport_t *t = *status ? NULL : cvy__slots_find(p->loop, p->id);
    if (!t && !*status) *status = UV_ESRCH;
    return t;
}

static void run_write(cvy_task_t *task, int status)
{
    post_t *p = CVY__OF(task, post_t, task);
    cvy_transport_t *t = find(p, &status);
    cvy__slot_release(p->loop, p->id, p->as.write.counted);
    if (t) status = cvy__transport_refusal(t);
    if (!status) cvy__transport_write_admitted(t, &p->as.write.buf);
    cvy_buf_fini(&p->as.write.buf);
    if (p->as.write.cb) p->as.write.cb(p->arg, status);
    free_post(p);
}

int cvy_transport_post_write(cvy_loop_t *loop, cvy_transport_id_t id, cvy_buf_t *b, cvy_post_cb cb, void *arg)
{
    uint64_t n = cvy_buf_len(b);
    post_t *p = new_post(loop, id, run_write, arg);
    if (!p) return UV_ENOMEM;
    int err = cvy__slot_reserve(loop, id, n);
    if (err) {
        free_post(p);
        return err;
    }
    cvy_buf_init(&p->as.write.buf, NULL);
    cvy_buf_take(&p->as.write.buf, b);
    cvy_buf_hand_over(&p->as.write.buf);
    p->as.write.counted = n;
    p->as.write.cb = cb;
    err = cvy_loop_post(loop, &p->task);
    if (err) {
        cvy_buf_take(b, &p->as.write.buf);
        b->consumed -= n; /* it is where it was: so are cursors */
        cvy__slot_release(loop, id, n);
        free_post(p);
    }
    return err;
}

static void run_close(cvy_task_t *task, int status)
{
    post_t *p = CVY__OF(task, post_t, task);
    cvy_transport_t *t = find(p, &status);
    if (t && p->as.close.verb == CVY_CLOSE_GRACEFUL)
        cvy_transport_shutdown(t, p->as.close.err);
    else if (t)
        cvy__transport_close_with(t, p->as.close.verb, p->as.close.err, false);
    free_post(p);
}

int cvy_transport_post_close(cvy_loop_t *loop, cvy_transport_id_t id, const cvy_close_t *how)
{
    if (!cvy__slots_at(loop, id)) return UV_ESRCH;
    post_t *p = new_post(loop, id, run_close, NULL);
    if (!p) return UV_ENOMEM;
    p->as.close = *how;
    return send_post(p);
}

static void run_call(cvy_task_t *task, int status)
{
    post_t *p = CVY__OF(task, post_t, task);
    cvy_transport_t *t = find(p, &status);
    p->as.call(t, p->arg, status);
    free_post(p);
}

int cvy_transport_post_call(cvy_loop_t *loop, cvy_transport_id_t id,
                            void (*cb)(cvy_transport_t *t, void *arg, int status), void *arg)
{
    if (!cvy__slots_at(loop, id)) return UV_ESRCH;
    post_t *p = new_post(loop, id, run_call, arg);
    if (!p) return UV_ENOMEM;
    p->as.call = cb;
    return send_post(p);
}
