/*
 * A transport's life and what can be looked at. The loop owns it from init until cvy__transport_closed; references keep only the memory.
 */
#include <assert.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

static void close_tenant(void *t)
{
    cvy__transport_close_with(t, CVY_CLOSE_NOW, 0, false);
}

int cvy__transport_init(cvy_transport_t *t, const cvy__kind_t *kind, cvy_loop_t *loop, cvy__shared_opts_t *opts)
{
    if (cvy__loop_ending(loop)) return UV_ESHUTDOWN;
    uint64_t id;
    int err = cvy__tenant_add(loop, t, close_tenant, &id);
    if (err) return err;
    t->kind = kind;
    cvy__loop_ref(loop);
    t->opts = cvy__shared_opts_ref(opts);
    t->name.slot = cvy__slots_at(loop, id);
    cvy__transport_count_queued(t);
    atomic_init(&t->refs, 1);
    t->read_turn = (uint32_t)loop->turns - 1;
    t->last_read_ms = t->last_write_ms = cvy_loop_now(loop);
    cvy_buf_init(&t->out, cvy_loop_pool(loop));
    cvy__work_init(&t->flush, cvy__transport_flush_work);
    cvy__conveyor_init(&t->conveyor, loop, &cvy__transport_owner);
    return 0;
}

int cvy__transport_open(cvy_transport_t *t, cvy_conveyor_init_cb init, void *arg,
                        void (*lend)(cvy_transport_t *t, void *lend_arg), void *lend_arg)
{
    assert(t->phase == CVY__CONNECTING || t->phase >= CVY__CLOSING);
    if (t->phase != CVY__CONNECTING) return UV_ECANCELED;
    t->phase = CVY__OPEN;
    int err = init ? init(&t->conveyor, arg) : 0;
    if (err) {
        /* A stage may have closed gracefully in its on_added: then later ones are refused, and what it said still goes out. */
        if (err != UV_EPIPE || !cvy_transport_closing(t)) cvy__transport_close_with(t, CVY_CLOSE_NOW, err, false);
        return err;
    }
    cvy__shared_opts_learn(t->opts, cvy__conveyor_room_wanted(&t->conveyor));
    t->wants_active = true;
    if (lend) lend(t, lend_arg);
    if (!cvy_transport_closing(t)) cvy__conveyor_activate(&t->conveyor);
    return 0;
}

cvy_transport_t *cvy_transport_ref(cvy_transport_t *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void cvy_transport_unref(cvy_transport_t *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    cvy__transport_forget_endpoints(t);
    cvy__transport_extra_free(t);
    cvy__shared_opts_unref(t->opts);
    cvy_loop_t *loop = t->conveyor.loop;
    t->kind->free(t);
    cvy__loop_unref(loop);
}

int cvy__transport_code(int uv_code)
{
    switch (uv_code) {
    case UV_ECONNABORTED:
    case UV_EPROTOTYPE: /* macOS, of a write while the peer's reset is under way */
    case UV_ENOTCONN: return UV_ECONNRESET;
    case UV_EOF:
    case UV_ESHUTDOWN: return UV_EPIPE;
    default: return uv_code;
    }
}

/* Looking */

cvy_conveyor_t *cvy_transport_conveyor(cvy_transport_t *t)
{
    return &t->conveyor;
}

cvy_loop_t *cvy_transport_loop(const cvy_transport_t *t)
{
    return t->conveyor.loop;
}

const char *cvy_transport_kind(const cvy_transport_t *t)
{
    return t->kind->name;
}

int cvy_transport_fd(const cvy_transport_t *t, cvy_socket_t *out)
{
    if (!t->kind->fd) return UV_ENOTSUP;
    return t->phase >= CVY__CLOSING ? UV_EBADF : t->kind->fd(t, out);
}

void cvy_transport_stats(const cvy_transport_t *t, cvy_transport_stats_t *out)
{
    cvy__transport_has_moved(
        (cvy_transport_t *)(uintptr_t)t); /* for last_write_ms: whoever looks for idleness looks here */
    *out = (cvy_transport_stats_t){ .bytes_read = t->bytes_read,
                                    .bytes_written = t->out.consumed,
                                    .bytes_dropped = t->extra ? t->extra->bytes_dropped : 0,
                                    .last_read_ms = t->last_read_ms,
                                    .last_write_ms = t->last_write_ms };
}

void cvy_transport_set_data(cvy_transport_t *t, void *data)
{
    t->data = data;
}

void *cvy_transport_data(const cvy_transport_t *t)
{
    return t->data;
}

cvy_transport_id_t cvy_transport_id(const cvy_transport_t *t)
{
    return t->phase == CVY__CLOSED ? t->name.id : cvy__slot_id(t->name.slot);
}

void cvy_transport_on_writable_state_changed(cvy_transport_t *t,
                                             void (*cb)(cvy_transport_t *t, bool writable, void *arg), void *arg)
{
    cvy__extra_t *e = cb ? cvy__transport_extra_or_close(t) : t->extra;
    if (!e) return;
    e->on_writable = cb;
    e->on_writable_arg = arg;
}
