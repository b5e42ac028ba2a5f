/*
 * Reading: from the kind to HEAD.
 *
 * read_state says what is wanted; read_armed what the kind does. A suspend changes only the first: the kind is stopped when data really
 * comes (libuv needs two system calls for each stop and start). Once closing, what still comes is read and dropped, for the peer to get
 * our last bytes instead of a reset.
 */
#include <assert.h>
#include <uv.h>

#include "conveyor/quick.h"
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
    cvy__transport_arm(t, CVY__DUE_PROBE, t->opts->limits.probe_ms);
}

/* From the peer's end to ours, once the stages have heard of it. Whoever takes the last bytes slowly, suspending, is not cut off from them: the
 * time counts from the resume. */
void cvy__transport_after_eof(cvy_transport_t *t)
{
    watch_for_reset(t);
    if (!t->shut_asked && !cvy__conveyor_suspended(&t->conveyor))
        cvy__transport_arm(t, CVY__DUE_HALF_CLOSE, t->opts->limits.half_close_ms);
}

/* The last holder's going is followed by the walk of inbound-resume, and HEAD then reads; see ends.c. */
void cvy__transport_read_suspended(cvy_transport_t *t, bool suspended)
{
    if (t->phase > CVY__OPEN) return;
    if (suspended) {
        cvy__transport_set_read(t, t->read_state == CVY_READ_READING ? CVY_READ_PAUSED : t->read_state, "suspend");
        cvy__transport_arm(t, CVY__DUE_SUSPEND, t->opts->limits.suspend_ms);
        cvy__transport_disarm(t, CVY__DUE_HALF_CLOSE);
        watch_for_reset(t);
    } else {
        cvy__transport_disarm(t, CVY__DUE_SUSPEND);
        cvy__transport_disarm(t, CVY__DUE_PROBE);
        if (t->read_state == CVY_READ_EOF) cvy__transport_after_eof(t);
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
    if (t->read_turn != (uint32_t)t->conveyor.loop->turns) {
        t->read_turn = (uint32_t)t->conveyor.loop->turns;
        t->reads = 0;
        t->read_bytes = 0;
    }
    return t->reads < l->read_budget && t->read_bytes < l->read_budget_bytes;
}

void cvy__transport_not_now(cvy_transport_t *t)
{
    if (!discarding(t) && (t->phase != CVY__OPEN || cvy__conveyor_suspended(&t->conveyor))) stop(t);
}

static void discard(cvy_transport_t *t, cvy_buf_t *in)
{
    size_t n = in->len;
    cvy_buf_fini(in);
    cvy__extra_t *e = t->phase == CVY__LINGERING ? cvy__transport_extra_or_close(t) : NULL;
    if (!e) return;
    e->lingered += n;
    if (e->lingered > t->opts->limits.linger_bytes) cvy__transport_close_with(t, CVY_CLOSE_NOW, 0, false);
}

void cvy__transport_read_buf(cvy_transport_t *t, cvy_buf_t *in)
{
    t->bytes_read += in->len;
    if (t->phase != CVY__OPEN) {
        discard(t, in);
        return;
    }
    t->last_read_ms = cvy__transport_now(t);
    t->reads++;
    t->read_bytes += in->len;
    if (t->conveyor.completes) {
        t->read_since = true;
        cvy__transport_dirty(t);
    }
    cvy__ctx_enter(&t->conveyor.ends);
    cvy__fire_inbound_bytes(&t->conveyor.ends, in);
    cvy__ctx_leave(&t->conveyor.ends);
}

void cvy__transport_read_slab(cvy_transport_t *t, size_t n)
{
    cvy_buf_t in;
    if (cvy__slab_lend(&t->conveyor.loop->slab, &in, n)) {
        cvy__transport_close_with(t, CVY_CLOSE_NOW, UV_ENOMEM, true);
        return;
    }
    cvy__transport_read_buf(t, &in);
    cvy__slab_settle(&t->conveyor.loop->slab);
}

void cvy__transport_read_eof(cvy_transport_t *t)
{
    if (at_end(t) || t->phase >= CVY__CLOSING) return;
    stop(t);
    cvy__transport_set_read(t, CVY_READ_EOF, "end of stream");
    if (t->phase == CVY__LINGERING) cvy__transport_close_with(t, CVY_CLOSE_NOW, 0, false);
    if (t->write_state == CVY_WRITE_ERROR) /* the last words are over: see write.c */
        cvy__transport_close_with(t, CVY_CLOSE_NOW, t->cause, true);
    if (t->phase != CVY__OPEN) return;
    t->eof_is_new = true;
    cvy__conveyor_read_closed(&t->conveyor);
    cvy__conveyor_todo(&t->conveyor, CVY__TODO_OWNER); /* most close behind it, and wait for nothing */
}

void cvy__transport_read_error(cvy_transport_t *t, int code)
{
    if (at_end(t) || t->phase >= CVY__CLOSING) return;
    stop(t);
    cvy__transport_set_read(t, CVY_READ_ERROR, "read error");
    bool lingering = t->phase == CVY__LINGERING; /* all of ours is with the kernel, and its end: no error any more */
    cvy__transport_close_with(t, CVY_CLOSE_NOW, lingering ? 0 : cvy__transport_code(code), !lingering);
}

void cvy_transport_readable_state_changed(cvy_transport_t *t, bool readable)
{
    assert(cvy_loop_in_thread(t->conveyor.loop));
    if (t->phase > CVY__OPEN) return;
    if (readable)
        cvy__conveyor_resume(&t->conveyor, CVY__HOLDER_APPLICATION);
    else
        cvy__conveyor_suspend(&t->conveyor, CVY__HOLDER_APPLICATION);
}

bool cvy_transport_suspended(const cvy_transport_t *t)
{
    return cvy__conveyor_suspended(&t->conveyor);
}
