/* Options as given and as resolved: made once by whoever opens transports, shared by all of them. */
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

enum {
    HIGH = 64 * 1024, /* Netty's WriteBufferWaterMark, as is the low mark at half of it */
    HARD_FACTOR = 16,
    DRAIN_MS = 5000,
    LINGER_MS = 2000, /* nginx lingers so between reads, and 64 KiB is enough for what is under way */
    LINGER_BYTES = 64 * 1024,
    STALL_MS = 30000,
    HALF_CLOSE_MS = 30000,
    PROBE_MS = 30000,
    READS = 16, /* Netty's maxMessagesPerRead */
    READ_BYTES = 1024 * 1024
};

static uint64_t resolved(int64_t given, uint64_t fallback)
{
    if (given < 0) return UINT64_MAX;
    return given ? (uint64_t)given : fallback;
}

static uint64_t times(uint64_t n, uint64_t factor)
{
    return n > UINT64_MAX / factor ? UINT64_MAX : n * factor;
}

static void resolve(cvy__limits_t *l, const cvy_transport_opts_t *o)
{
    l->high = resolved(o->high_bytes, HIGH);
    l->low = o->low_bytes < 0 ? 0 : resolved(o->low_bytes, l->high / 2);
    l->hard = resolved(o->hard_bytes, times(l->high, HARD_FACTOR));
    l->room = l->hard < INT64_MAX ? (int64_t)l->hard : INT64_MAX;
    l->calm = l->high < CVY__FLUSH_BYTES ? l->high : CVY__FLUSH_BYTES - 1;
    l->drain_ms = resolved(o->drain_timeout_ms, DRAIN_MS);
    l->linger_ms = resolved(o->linger_timeout_ms, LINGER_MS);
    l->linger_bytes = resolved(o->linger_bytes, LINGER_BYTES);
    l->stall_ms = resolved(o->write_stall_timeout_ms, STALL_MS);
    l->half_close_ms = resolved(o->half_close_timeout_ms, HALF_CLOSE_MS);
    l->probe_ms = resolved(o->probe_interval_ms, PROBE_MS);
    l->suspend_ms = resolved(o->suspend_timeout_ms, UINT64_MAX);
    l->read_budget = resolved(o->read_budget, READS);
    l->read_budget_bytes = resolved(o->read_budget_bytes, READ_BYTES);
    l->hold_reads = o->hold_reads >= 0;
    l->allow_half_close = o->allow_half_close > 0;
    l->strict_tail = o->strict_tail > 0;
    l->error_verb = o->error_verb == CVY_CLOSE_RESET ? CVY_CLOSE_RESET : CVY_CLOSE_NOW;
}

int cvy__shared_opts_new(cvy__shared_opts_t **out, const cvy_transport_opts_t *opts)
{
    static const cvy_transport_opts_t defaults;
    cvy__shared_opts_t *o = cvy__calloc(1, sizeof *o);
    if (!o) return UV_ENOMEM;
    atomic_init(&o->refs, 1);
    o->given = opts ? *opts : defaults;
    resolve(&o->limits, &o->given);
    if (o->limits.low > o->limits.high || o->limits.hard < o->limits.high) {
        cvy__free(o);
        return UV_EINVAL;
    }
    *out = o;
    return 0;
}

cvy__shared_opts_t *cvy__shared_opts_ref(cvy__shared_opts_t *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void cvy__shared_opts_unref(cvy__shared_opts_t *o)
{
    if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1) cvy__free(o);
}

#ifdef CVY_DEBUG_SEGMENTS
enum { ROOM_MOST = 0 }; /* each context in memory of its own: who uses one that is gone is found */
#else
enum { ROOM_MOST = 4096 };
#endif

size_t cvy__shared_opts_room(const cvy__shared_opts_t *o)
{
    return atomic_load_explicit(&o->room, memory_order_relaxed);
}

void cvy__shared_opts_learn(cvy__shared_opts_t *o, size_t room)
{
    size_t most = ROOM_MOST, bytes = room < most ? room : most;
    if (bytes != cvy__shared_opts_room(o)) atomic_store_explicit(&o->room, bytes, memory_order_relaxed);
}
