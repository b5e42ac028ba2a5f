/*
 * Writing: the outbound queue, its marks, and the flush.
 *
 * Accepted bytes are in t->out until the kernel has them; the kind sends from its head. Whoever queues makes the transport dirty, and the end
 * of the turn flushes once; a long queue does not wait for that. consumed + len(out) is the position that tickets wait for.
 */
#include <assert.h>
#include <uv.h>

#include "buf/queue.h"
#include "conveyor/quick.h"
#include "transport/transport.h"

enum { WRITES_PER_FLUSH = 16 /* a reader that keeps up must not starve the others */ };

bool cvy__transport_over_hard(const cvy_transport_t *t)
{
    uint64_t posted = atomic_load_explicit(&t->name.slot->posted, memory_order_relaxed);
    return (uint64_t)t->out.len + posted > t->opts->limits.hard;
}

void cvy__transport_count_queued(cvy_transport_t *t)
{
    int64_t room = t->opts->limits.room - (int64_t)t->out.len;
    atomic_store_explicit(&t->name.slot->room, room, memory_order_relaxed);
}

void cvy__transport_dirty(cvy_transport_t *t)
{
    if (t->phase <= CVY__DRAINING) cvy__loop_defer_flush(t->conveyor.loop, &t->flush);
}

/* Both crossings take effect at once and run no user code: events follow after the dispatch. */
static void check_marks(cvy_transport_t *t)
{
    cvy_conveyor_t *c = &t->conveyor;
    const cvy__limits_t *l = &t->opts->limits;
    if (!cvy__conveyor_is_above(c) && t->out.len > l->high) {
        cvy__conveyor_above(c, true);
        if (l->hold_reads && t->phase <= CVY__OPEN) cvy__conveyor_suspend(c, CVY__HOLDER_QUEUE);
    } else if (cvy__conveyor_is_above(c) && t->out.len <= l->low) {
        cvy__conveyor_above(c, false);
        cvy__conveyor_resume(c, CVY__HOLDER_QUEUE);
    }
}

void cvy__transport_queue(cvy_transport_t *t, cvy_buf_t *b)
{
    size_t n = cvy_buf_len(b);
    if (!cvy__buf_take_over_quick(&t->out, b) &&
        cvy__buf_queue(&t->out, b, t->waiting)) { /* more than SIZE_MAX in all */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOBUFS, true);
        return;
    }
    cvy__transport_count_queued(t);
    if (cvy__conveyor_is_above(&t->conveyor) || t->out.len > t->opts->limits.high) check_marks(t);
    if (t->out.len >= CVY__FLUSH_BYTES)
        cvy__transport_flush_now(t);
    else
        t->conveyor.loop->flush_bytes += n;
    if (cvy__link_alone(&t->flush.link)) cvy__transport_dirty(t);
}

/* Below the marks, behind bytes that wait already: nothing has to be looked at. */
static bool queue_quick(cvy_transport_t *t, cvy_buf_t *b)
{
    size_t n = cvy_buf_len(b), calm = t->opts->limits.calm;
    if (t->conveyor.gate & (CVY__GATE_CLOSING | CVY__GATE_SHUT | CVY__GATE_ABOVE)) return false;
    if (t->out.len > calm || n > calm - t->out.len || cvy__link_alone(&t->flush.link)) return false;
    cvy_view_t *merged = cvy__buf_join_quick(&t->out, b);
    if (!merged) return false;
    cvy__transport_count_queued(t);
    t->conveyor.loop->flush_bytes += n;
    cvy__view_drop_merged(merged);
    return true;
}

/* Bytes that pass the hard limit here would leave a hole in the stream if they were dropped alone. */
void cvy__transport_queue_fired(cvy_transport_t *t, cvy_buf_t *b)
{
    if (queue_quick(t, b)) return;
    if (t->shut_asked) return; /* our side has ended; who fires sees it by the state, the bytes are disposed of */

    if (!t->admitted &&
        t->out.len > t->opts->limits.hard) /* posts on their way are no reason: they were admitted beside it */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOBUFS, true);
    else
        cvy__transport_queue(t, b);
}

static void wrote_all(cvy_transport_t *t)
{
    cvy__transport_disarm(t, CVY__DUE_STALL);
    t->flushed_out = t->extra && t->extra->on_flush_completed;
    if (t->write_state == CVY_WRITE_WRITING) cvy__transport_set_write(t, CVY_WRITE_IDLE, "flush done");
}

/* n bytes from the head are with the kernel. */
static void progress(cvy_transport_t *t, size_t n)
{
    uint64_t now = cvy__transport_now(t);
    t->out.consumed += n;
    cvy__chain_drop(&t->out, n);
    cvy__transport_count_queued(t);
    t->last_write_ms = now;
    if (t->extra) cvy__transport_postpone(t, now);
    if (!t->out.len) wrote_all(t);
    if (t->phase > CVY__DRAINING) return;
    check_marks(t);
    if (t->flushed_out || cvy__transport_ticket_due(t)) cvy__conveyor_todo(&t->conveyor, CVY__TODO_OWNER);
}

/* The peer has gone, and may have said why: a failed write can be noticed before what came first is read (kqueue even tells of them
 * apart). Who holds reading has chosen not to hear it; an embedded transport does what its test says, when it says so. */
static bool has_last_words(cvy_transport_t *t, int status)
{
    cvy_conveyor_t *c = &t->conveyor;
    if ((status != UV_EPIPE && status != UV_ECONNRESET) || t->phase != CVY__OPEN || !t->conveyor.loop->driver)
        return false;
    cvy__conveyor_resume(c, CVY__HOLDER_QUEUE); /* the high mark's hold: nothing will bring the queue down */
    return t->read_state < CVY_READ_EOF && cvy__conveyor_was_active(c) && !cvy__conveyor_suspended(c);
}

/* Our side is over, with status as the cause, while reading goes on; see hear_on. What is queued stays, for the tickets to fail by. */
static void hear_last_words(cvy_transport_t *t, int status)
{
    t->cause = t->lost = status;
    t->error_is_own = true;
    t->shut_asked = t->shut_called = t->waiting = true;
    t->read_turn = (uint32_t)t->conveyor.loop->turns;
    t->reads = 0;
    t->read_bytes = 0;
    cvy__conveyor_shut(&t->conveyor);
    cvy__loop_defer_turn(t->conveyor.loop, &t->flush);
    cvy__transport_arm(t, CVY__DUE_STALL, t->opts->limits.stall_ms); /* one that takes nothing may talk for ever */
}

/* All there is was here when the write failed: a whole turn that brings nothing is the end of it. */
static void hear_on(cvy_transport_t *t)
{
    if ((uint32_t)t->conveyor.loop->turns - t->read_turn < 2 && !cvy__conveyor_suspended(&t->conveyor))
        cvy__loop_defer_turn(t->conveyor.loop, &t->flush);
    else
        cvy__transport_close_with(t, CVY_CLOSE_NOW, t->cause, true);
}

static void write_failed(cvy_transport_t *t, int status)
{
    int code = cvy__transport_code(status);
    if (t->write_state < CVY_WRITE_SHUT) cvy__transport_set_write(t, CVY_WRITE_ERROR, "flush failed");
    if (has_last_words(t, code))
        hear_last_words(t, code);
    else
        cvy__transport_close_with(t, CVY_CLOSE_NOW, code, true);
}

static void wait(cvy_transport_t *t)
{
    t->waiting = true;
    if (t->write_state == CVY_WRITE_IDLE) cvy__transport_set_write(t, CVY_WRITE_WRITING, "flush");
    if (cvy__transport_due(t, CVY__DUE_STALL) == UINT64_MAX)
        cvy__transport_arm(t, CVY__DUE_STALL, t->opts->limits.stall_ms);
    cvy__extra_t *e = t->kind->unsent ? cvy__transport_extra(t) : NULL;
    if (e) e->unsent = t->kind->unsent(t);
}

void cvy__transport_flush_now(cvy_transport_t *t)
{
    if (t->phase == CVY__CONNECTING || t->phase > CVY__DRAINING) return;
    for (int i = 0; t->out.len && !t->waiting; i++) {
        if (i == WRITES_PER_FLUSH) {
            cvy__loop_defer_turn(t->conveyor.loop, &t->flush);
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

/* Read-complete: at the end of the turn; before that where nothing more will be read. */
void cvy__transport_reads_over(cvy_transport_t *t)
{
    if (!t->read_since) return;
    t->read_since = false;
    if (t->conveyor.completes) cvy__conveyor_walk_read_complete(&t->conveyor);
}

/* At the end of the turn: read-complete, then flush through the stages, then the kernel. An early flush leaves read-complete to the end. */
void cvy__transport_flush_work(cvy__work_t *work)
{
    cvy_transport_t *t = CVY__OF(work, cvy_transport_t, flush);
    cvy_conveyor_t *c = &t->conveyor;
    if (t->conveyor.loop->settling) cvy__transport_reads_over(t);
    if (cvy__conveyor_flushes(c) && !cvy__conveyor_is_closing(c))
        cvy__conveyor_walk_flush(c); /* ends in HEAD, which writes */
    else
        cvy__transport_flush_now(t);
    if (t->write_state == CVY_WRITE_ERROR && t->phase == CVY__OPEN) hear_on(t);
    if (t->phase == CVY__DRAINING && cvy__transport_due(t, CVY__DUE_CLOSE) == UINT64_MAX)
        cvy__transport_arm(t, CVY__DUE_CLOSE, t->opts->limits.drain_ms);
    if (t->read_since && t->phase <= CVY__DRAINING) cvy__loop_defer_turn(t->conveyor.loop, &t->flush);
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
    if (cvy__loop_own(t->conveyor.loop)) return UV_EPERM;
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
    uint64_t used = t->out.len + atomic_load_explicit(&t->name.slot->posted, memory_order_relaxed);
    uint64_t room = used < hard ? hard - used : 0;
    size_t n = cvy_buf_len(b) < room ? cvy_buf_len(b) : (size_t)room;
    if (!n && cvy_buf_len(b)) return UV_ENOBUFS;
    cvy_buf_t part;
    cvy_buf_init(&part, cvy_loop_pool(t->conveyor.loop));
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
    cvy__fire_outbound_bytes(&t->conveyor.ends, b);
    t->admitted = outer;
}

int cvy_conveyor_write(cvy_conveyor_t *c, cvy_buf_t *b)
{
    cvy_transport_t *t = CVY__OF(c, cvy_transport_t, conveyor);
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
    return cvy_ctx_writable(&t->conveyor.ends);
}
