/*
 * Writing: the outbound queue, its marks, and the flush.
 *
 * Accepted bytes are in t->out until the kernel has them; the kind sends from its head. Whoever queues makes the transport dirty, and the end
 * of the turn flushes once; a long queue does not wait for that. bytes_written + len(out) is the position that tickets wait for.
 */
#include <assert.h>
#include <uv.h>

#include "buf/queue.h"
#include "transport/transport.h"

enum {
    FLUSH_BYTES = 256 * 1024, /* a queue this long does not wait for the end of the callback: contract T7 */
    WRITES_PER_FLUSH = 16     /* a reader that keeps up must not starve the others */
};

bool cvy__transport_over_hard(const cvy_transport_t *t)
{
    uint64_t posted = atomic_load_explicit(&t->slot->posted, memory_order_relaxed);
    return (uint64_t)t->out.len + posted > t->opts->limits.hard;
}

static void count_queued(cvy_transport_t *t)
{
    atomic_store_explicit(&t->slot->queued, t->out.len, memory_order_relaxed);
}

void cvy__transport_dirty(cvy_transport_t *t)
{
    if (t->phase <= CVY__DRAINING) cvy__loop_defer_flush(t->loop, &t->flush);
}

/* Both crossings take effect at once and run no user code: events follow after the dispatch. */
static void check_marks(cvy_transport_t *t)
{
    cvy_conveyor_t *c = &t->conveyor;
    const cvy__limits_t *l = &t->opts->limits;
    if (!c->above && t->out.len > l->high) {
        cvy__conveyor_above(c, true);
        if (l->hold_reads && t->phase <= CVY__OPEN) cvy_ctx_suspend(&c->head);
    } else if (c->above && t->out.len <= l->low) {
        cvy__conveyor_above(c, false);
        cvy_ctx_resume(&c->head);
    }
}

void cvy__transport_queue(cvy_transport_t *t, cvy_buf_t *b)
{
    size_t n = cvy_buf_len(b);
    if (cvy__buf_queue(&t->out, b)) { /* more than SIZE_MAX in all */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOBUFS, true);
        return;
    }
    count_queued(t);
    check_marks(t);
    if (t->out.len >= FLUSH_BYTES)
        cvy__transport_flush_now(t);
    else
        t->loop->flush_bytes += n;
    cvy__transport_dirty(t);
}

static void wrote_all(cvy_transport_t *t)
{
    t->stall_deadline = UINT64_MAX;
    t->flushed_out = t->on_flush_completed != NULL;
    if (t->write_state == CVY_WRITE_WRITING) cvy__transport_set_write(t, CVY_WRITE_IDLE, "flush");
}

/* n bytes from the head are with the kernel. */
static void progress(cvy_transport_t *t, size_t n)
{
    uint64_t now = cvy__transport_now(t);
    cvy_buf_advance(&t->out, n);
    count_queued(t);
    t->stats.bytes_written += n;
    t->stats.last_write_ms = now;
    if (t->stall_deadline != UINT64_MAX) t->stall_deadline = now + t->opts->limits.stall_ms;
    if (t->half_close_deadline != UINT64_MAX) /* a reader that keeps taking is not dead */
        t->half_close_deadline = now + t->opts->limits.half_close_ms;
    if (!t->out.len) wrote_all(t);
    if (t->phase > CVY__DRAINING) return;
    check_marks(t);
    if (t->flushed_out || cvy__transport_ticket_due(t)) cvy__conveyor_todo(&t->conveyor, CVY__TODO_OWNER);
}

static void write_failed(cvy_transport_t *t, int status)
{
    if (t->write_state < CVY_WRITE_SHUT) cvy__transport_set_write(t, CVY_WRITE_ERROR, "flush");
    cvy__transport_close_with(t, CVY_CLOSE_NOW, cvy__transport_code(status), true);
}

static void wait(cvy_transport_t *t)
{
    t->waiting = true;
    if (t->write_state == CVY_WRITE_IDLE) cvy__transport_set_write(t, CVY_WRITE_WRITING, "flush");
    if (t->stall_deadline == UINT64_MAX) cvy__transport_arm(t, &t->stall_deadline, t->opts->limits.stall_ms);
}

void cvy__transport_flush_now(cvy_transport_t *t)
{
    if (t->phase == CVY__CONNECTING || t->phase > CVY__DRAINING) return;
    for (int i = 0; t->out.len && !t->waiting; i++) {
        if (i == WRITES_PER_FLUSH) {
            cvy__loop_defer_turn(t->loop, &t->flush);
            return;
        }
        int n = t->kind->write(t, &t->out);
        if (n > 0) {
            progress(t, (size_t)n);
        } else if (n == UV_EAGAIN) {
            wait(t);
        } else {
            write_failed(t, n);
            return;
        }
    }
    cvy__transport_try_shutdown(t);
}

/* At the end of the turn: read-complete, then flush through the stages, then the kernel. An early flush leaves read-complete to the end. */
void cvy__transport_flush_work(cvy__work_t *work)
{
    cvy_transport_t *t = CVY__OF(work, cvy_transport_t, flush);
    cvy_conveyor_t *c = &t->conveyor;
    if (t->read_since && t->loop->settling) {
        t->read_since = false;
        if (c->completes) cvy__conveyor_walk_read_complete(c);
    }
    if (c->flushes && !cvy__conveyor_is_closing(c))
        cvy__conveyor_walk_flush(c); /* ends in HEAD, which writes */
    else
        cvy__transport_flush_now(t);
    if (t->read_since && t->phase <= CVY__DRAINING) cvy__loop_defer_turn(t->loop, &t->flush);
}

void cvy__transport_wrote(cvy_transport_t *t, size_t n, int status)
{
    t->waiting = false;
    if (t->phase > CVY__DRAINING) return;
    if (n) progress(t, n);
    if (status)
        write_failed(t, status);
    else
        cvy__transport_dirty(t);
}

int cvy__transport_refusal(const cvy_transport_t *t)
{
    if (cvy__loop_own(t->loop)) return UV_EPERM;
    if (t->phase > CVY__OPEN || t->shut_asked || t->conveyor.gate & CVY__GATE_CLOSING) return UV_EPIPE;
    return t->phase == CVY__CONNECTING ? UV_ENOTCONN : 0;
}

int cvy_transport_write(cvy_transport_t *t, cvy_buf_t *b)
{
    int err = cvy__transport_refusal(t);
    if (!err && cvy__transport_over_hard(t)) err = UV_ENOBUFS;
    if (!err) cvy__transport_queue(t, b);
    return err;
}

int cvy_transport_write_some(cvy_transport_t *t, cvy_buf_t *b, size_t *taken)
{
    int err = cvy__transport_refusal(t);
    if (err) return err;
    uint64_t hard = t->opts->limits.hard;
    uint64_t used = t->out.len + atomic_load_explicit(&t->slot->posted, memory_order_relaxed);
    uint64_t room = used < hard ? hard - used : 0;
    size_t n = cvy_buf_len(b) < room ? cvy_buf_len(b) : (size_t)room;
    if (!n && cvy_buf_len(b)) return UV_ENOBUFS;
    cvy_buf_t part;
    cvy_buf_init(&part, cvy_loop_pool(t->loop));
    err = cvy_buf_move(&part, b, n);
    if (err) return err;
    cvy__transport_queue(t, &part);
    cvy_buf_fini(&part);
    *taken = n;
    return 0;
}

/* A stage may cut it into many: the limit asked about it once, before the first. */
void cvy__transport_write_admitted(cvy_transport_t *t, cvy_buf_t *b)
{
    bool outer = t->admitted;
    t->admitted = true;
    cvy__fire_outbound_bytes(&t->conveyor.tail, b);
    t->admitted = outer;
}

int cvy_conveyor_write(cvy_conveyor_t *c, cvy_buf_t *b)
{
    cvy_transport_t *t = c->transport;
    int err = cvy__transport_refusal(t);
    if (!err && cvy__transport_over_hard(t)) err = UV_ENOBUFS;
    if (!err) cvy__transport_write_admitted(t, b);
    return err;
}

size_t cvy_transport_queued(const cvy_transport_t *t)
{
    return t->out.len;
}

bool cvy_transport_writable(cvy_transport_t *t)
{
    return cvy_ctx_writable(&t->conveyor.tail);
}
