/*
 * Reading: from the kind to HEAD.
 *
 * read_state says what is wanted; read_armed what the kind does. A suspend changes only the first: the kind is stopped when data really
 * comes (libuv needs two system calls for each stop and start). Once closing, what still comes is read and dropped, for the peer to get
 * our last bytes instead of a reset.
 */
#include <assert.h>
#include <uv.h>

#include "transport/transport.h"

static bool discarding(const cvy_transport_t *t)
{
    return t->phase == CVY__DRAINING || t->phase == CVY__LINGERING;
}

static bool at_end(const cvy_transport_t *t)
{
    return t->read_state >= CVY_READ_EOF;
}

void cvy__transport_update_reading(cvy_transport_t *t)
{
    bool open = t->phase == CVY__OPEN && cvy__conveyor_was_active(&t->conveyor) && !t->wants_active;
    if (at_end(t) || !(discarding(t) || (open && !cvy__conveyor_suspended(&t->conveyor)))) return;
    if (open) cvy__transport_set_read(t, CVY_READ_READING, "resume");
    if (t->read_armed) return;
    t->read_armed = true;
    int err = t->kind->read_start(t);
    if (!err) return;
    t->read_armed = false;
    cvy__transport_read_error(t, err);
}

void cvy__transport_active_begun(cvy_transport_t *t)
{
    t->wants_active = false;
    cvy__transport_update_reading(t);
}

/* While nothing is read libuv sees no reset. */
static void watch_for_reset(cvy_transport_t *t)
{
    cvy__transport_arm(t, &t->probe_due, t->opts->limits.probe_ms);
}

/* From the peer's end to ours. Whoever takes the last bytes slowly, suspending, is not cut off from them: the time counts from the resume. */
static void after_eof(cvy_transport_t *t)
{
    watch_for_reset(t);
    if (!t->shut_asked && !cvy__conveyor_suspended(&t->conveyor))
        cvy__transport_arm(t, &t->half_close_deadline, t->opts->limits.half_close_ms);
}

/* The last holder's going is followed by the walk of inbound-resume, and HEAD then reads; see head.c. */
void cvy__transport_read_suspended(cvy_transport_t *t, bool suspended)
{
    if (t->phase > CVY__OPEN) return;
    if (suspended) {
        cvy__transport_set_read(t, t->read_state == CVY_READ_READING ? CVY_READ_PAUSED : t->read_state, "suspend");
        cvy__transport_arm(t, &t->suspend_deadline, t->opts->limits.suspend_ms);
        t->half_close_deadline = UINT64_MAX;
        watch_for_reset(t);
    } else {
        t->suspend_deadline = t->probe_due = UINT64_MAX;
        if (t->read_state == CVY_READ_EOF) after_eof(t);
    }
}

static void stop(cvy_transport_t *t)
{
    if (t->read_armed) t->kind->read_stop(t);
    t->read_armed = false;
}

bool cvy__transport_may_read(cvy_transport_t *t)
{
    const cvy__limits_t *l = &t->opts->limits;
    if (discarding(t)) return true;
    if (t->phase != CVY__OPEN ||
        t->read_state != CVY_READ_READING) /* resumed, it waits for the walk, which ends in HEAD */
        return false;
    if (t->read_turn != t->loop->turns) {
        t->read_turn = t->loop->turns;
        t->reads = t->read_bytes = 0;
    }
    return t->reads < l->read_budget && t->read_bytes < l->read_budget_bytes;
}

void cvy__transport_not_now(cvy_transport_t *t)
{
    if (!discarding(t) && (t->phase != CVY__OPEN || cvy__conveyor_suspended(&t->conveyor))) stop(t);
}

static void discard(cvy_transport_t *t, cvy_buf_t *in)
{
    if (t->phase == CVY__LINGERING) t->lingered += in->len;
    cvy_buf_fini(in);
    if (t->phase == CVY__LINGERING && t->lingered > t->opts->limits.linger_bytes)
        cvy__transport_close_with(t, CVY_CLOSE_NOW, 0, false);
}

void cvy__transport_read_buf(cvy_transport_t *t, cvy_buf_t *in)
{
    t->stats.bytes_read += in->len;
    if (t->phase != CVY__OPEN) {
        discard(t, in);
        return;
    }
    t->stats.last_read_ms = cvy__transport_now(t);
    t->reads++;
    t->read_bytes += in->len;
    if (t->conveyor.completes) {
        t->read_since = true;
        cvy__transport_dirty(t);
    }
    cvy_fire_inbound_bytes(&t->conveyor.head, in);
}

void cvy__transport_read_slab(cvy_transport_t *t, size_t n)
{
    cvy_buf_t in;
    if (cvy__slab_lend(&t->loop->slab, &in, n)) {
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOMEM, true);
        return;
    }
    cvy__transport_read_buf(t, &in);
    cvy__slab_settle(&t->loop->slab);
}

void cvy__transport_read_eof(cvy_transport_t *t)
{
    if (at_end(t) || t->phase >= CVY__CLOSING) return;
    stop(t);
    cvy__transport_set_read(t, CVY_READ_EOF, "end of stream");
    if (t->phase == CVY__LINGERING) cvy__transport_close_with(t, CVY_CLOSE_NOW, 0, false);
    if (t->phase != CVY__OPEN) return;
    after_eof(t);
    cvy__conveyor_read_closed(&t->conveyor);
}

void cvy__transport_read_error(cvy_transport_t *t, int code)
{
    if (at_end(t) || t->phase >= CVY__CLOSING) return;
    stop(t);
    cvy__transport_set_read(t, CVY_READ_ERROR, "read");
    bool lingering = t->phase == CVY__LINGERING; /* all of ours is with the kernel, and its end: no error any more */
    cvy__transport_close_with(t, CVY_CLOSE_NOW, lingering ? 0 : cvy__transport_code(code), !lingering);
}

void cvy_transport_readable_state_changed(cvy_transport_t *t, bool readable)
{
    assert(cvy_loop_in_thread(t->loop));
    if (t->phase > CVY__OPEN) return;
    if (readable)
        cvy_ctx_resume(&t->conveyor.tail);
    else
        cvy_ctx_suspend(&t->conveyor.tail);
}

bool cvy_transport_suspended(const cvy_transport_t *t)
{
    return cvy__conveyor_suspended(&t->conveyor);
}
