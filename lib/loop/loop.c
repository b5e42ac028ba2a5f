/*
 * The core of a loop: the order in which things happen. It asks its driver for four favours (kick, arm, keep_alive, wake) and knows
 * no handle; without a driver it is embedded, and whoever embeds it moves the clock.
 *
 * root counts our callbacks on the stack. While it is positive, deferred work waits; the outermost leave runs it with root at 1, so
 * that what it fires is deferred again instead of nesting. Flushes wait for settle, at the end of the turn. Whatever is deferred
 * where no settle is certain to follow before the loop waits kicks the driver (R7, R10).
 */
#include "loop/loop.h"

#include <assert.h>
#include <uv.h>

#include "base/memory.h"
#include "base/thread.h"

/* Passes over deferred work per settle: work that defers itself for ever must not stop the loop. */
#define PASSES 64

/* Bytes that wait for the end of the turn, in all: more would pin more than two reading slabs (contract T7). */
#define FLUSH_BYTES ((size_t)256 * 1024)

static int64_t or_default(int64_t value, int64_t normal)
{
    return value == CVY_OFF ? INT64_MAX : value > 0 ? value : normal;
}

int cvy__loop_alloc(cvy_loop_t **out, const cvy_loop_opts_t *opts)
{
    static const cvy_loop_opts_t none;
    if (!opts) opts = &none;
    cvy_loop_t *loop = cvy__calloc(1, sizeof *loop);
    if (!loop) return UV_ENOMEM;
    int err = cvy_pool_new(&loop->pool, opts->pool);
    if (err) {
        cvy__free(loop);
        return err;
    }
    loop->slab.pool = loop->pool;
    cvy__link_init(&loop->work);
    cvy__link_init(&loop->flush);
    cvy__link_init(&loop->turn);
    cvy__link_init(&loop->residents);
    cvy__link_init(&loop->guests);
    cvy__wheel_init(&loop->wheel, 0);
    loop->armed = CVY__NEVER;
    loop->flush_limit = or_default(opts->flush_limit, 16);
    loop->task_budget = or_default(opts->task_budget, 128);
    loop->timer_budget = or_default(opts->timer_budget, 256);
    atomic_store(&loop->refs, 1);
    atomic_store(&loop->users, 1);
    atomic_store(&loop->owner, cvy__thread_self());
    *out = loop;
    return 0;
}

void cvy__loop_dealloc(cvy_loop_t *loop)
{
    if (loop->stream_requests) loop->free_stream_requests(loop->stream_requests);
    cvy__slab_fini(&loop->slab);
    cvy__slots_fini(&loop->slots);
    cvy_pool_free(loop->pool);
    cvy__free(loop);
}

cvy_loop_t *cvy__loop_ref(cvy_loop_t *loop)
{
    atomic_fetch_add_explicit(&loop->refs, 1, memory_order_relaxed);
    return loop;
}

void cvy__loop_unref(cvy_loop_t *loop)
{
    if (atomic_fetch_sub_explicit(&loop->refs, 1, memory_order_acq_rel) != 1) return;
    assert(!loop->driver || atomic_load(&loop->life) == CVY__LIFE_ENDED);
    cvy__free(loop->system);
    cvy__loop_dealloc(loop);
}

cvy_loop_t *cvy_loop_ref(cvy_loop_t *loop)
{
    atomic_fetch_add_explicit(&loop->users, 1, memory_order_relaxed);
    return cvy__loop_ref(loop);
}

void cvy_loop_unref(cvy_loop_t *loop)
{
    if (!loop) return;
    if (atomic_fetch_sub_explicit(&loop->users, 1, memory_order_acq_rel) == 1 && loop->driver && !loop->shared)
        cvy__loop_end_system(loop); /* what is open still refers to it: a loop's end closes that */
    cvy__loop_unref(loop);
}

uv_loop_t *cvy_loop_uv(const cvy_loop_t *loop)
{
    return loop->uv;
}

cvy_pool_t *cvy_loop_pool(const cvy_loop_t *loop)
{
    return loop->pool;
}

uint64_t cvy_loop_now(const cvy_loop_t *loop)
{
    return loop->uv ? uv_now(loop->uv) : loop->now_ms;
}

bool cvy_loop_in_thread(const cvy_loop_t *loop)
{
    return atomic_load_explicit(&loop->owner, memory_order_relaxed) == cvy__thread_self();
}

int cvy__loop_own(const cvy_loop_t *loop)
{
    bool own = cvy_loop_in_thread(loop);
    assert(own && "called on another thread than the loop's (R1)");
    return own ? 0 : UV_EPERM;
}

/* Deferred work */

static void kick(cvy_loop_t *loop)
{
    if (loop->kicked || !loop->driver) return;
    loop->kicked = true;
    loop->driver->kick(loop);
}

void cvy__loop_enter(cvy_loop_t *loop)
{
    loop->root++;
}

static void run_one(cvy__link_t *list)
{
    cvy__work_t *work = CVY__OF(list->next, cvy__work_t, link);
    cvy__link_remove(&work->link);
    work->run(work);
}

/* Runs what waits in list, and not what that puts there. */
static void run_batch(cvy__link_t *list)
{
    if (cvy__link_alone(list)) return;
    if (list->next == list->prev) { /* one, as mostly where few connections are busy */
        run_one(list);
        return;
    }
    cvy__link_t batch;
    cvy__link_init(&batch);
    cvy__link_splice(&batch, list);
    while (!cvy__link_alone(&batch))
        run_one(&batch);
}

/* Runs the work that waits, and what that defers. */
static void run_work(cvy_loop_t *loop)
{
    for (int pass = 0; pass < PASSES && !cvy__link_alone(&loop->work); pass++)
        run_batch(&loop->work);
}

static void run_flushes(cvy_loop_t *loop)
{
    loop->flush_bytes = 0;
    loop->flush_count = 0;
    run_batch(&loop->flush);
}

static bool deferred(const cvy_loop_t *loop)
{
    return !cvy__link_alone(&loop->work) || !cvy__link_alone(&loop->flush);
}

static bool waits_for_settle(const cvy_loop_t *loop)
{
    return deferred(loop) || !cvy__link_alone(&loop->turn);
}

void cvy__loop_leave(cvy_loop_t *loop)
{
    assert(loop->root > 0);
    if (loop->root > 1) {
        loop->root--;
        return;
    }
    run_work(loop);
    if (loop->flush_count >= loop->flush_limit || loop->flush_bytes >= FLUSH_BYTES) {
        run_flushes(loop);
        run_work(loop);
    }
    loop->root = 0;
    if (!loop->driver || loop->polling) return; /* while polling check follows */
    /* our own close callbacks: nothing else may follow them in this turn */
    if (waits_for_settle(loop)) cvy__loop_settle(loop);
    cvy__loop_rearm(loop);
}

void cvy__loop_let_go(cvy_loop_t *loop)
{
    assert(loop->root == 1);
    loop->root = 0;
    if (waits_for_settle(loop)) kick(loop);
    cvy__loop_rearm(loop);
}

void cvy__loop_settle(cvy_loop_t *loop)
{
    if (loop->root) return; /* the outermost leave, or the settle that is running, does it */
    if (!waits_for_settle(loop)) {
        cvy__slab_settle(&loop->slab);
        return;
    }
    loop->root = 1;
    loop->settling = true;
    run_batch(&loop->turn);
    for (int pass = 0; pass < PASSES && deferred(loop); pass++) {
        run_work(loop);
        run_flushes(loop);
    }
    cvy__slab_settle(&loop->slab);
    loop->settling = false;
    loop->root = 0;
    if (waits_for_settle(loop)) kick(loop);
}

void cvy__loop_defer(cvy_loop_t *loop, cvy__work_t *work)
{
    if (!cvy__link_alone(&work->link)) return;
    cvy__link_append(&loop->work, &work->link);
    if (!loop->root) kick(loop);
}

void cvy__loop_defer_flush(cvy_loop_t *loop, cvy__work_t *work)
{
    if (!cvy__link_alone(&work->link)) return;
    loop->flush_count++;
    cvy__link_append(&loop->flush, &work->link);
    if (!loop->root) kick(loop);
}

void cvy__loop_defer_turn(cvy_loop_t *loop, cvy__work_t *work)
{
    if (!cvy__link_alone(&work->link)) return;
    cvy__link_append(&loop->turn, &work->link);
    if (!loop->root) kick(loop);
}

void cvy__loop_undefer(cvy__work_t *work)
{
    cvy__link_remove(&work->link);
}

/* Life */

void cvy__loop_retain(cvy_loop_t *loop)
{
    if (!loop->alive++ && loop->driver) loop->driver->keep_alive(loop, true);
}

void cvy__loop_release(cvy_loop_t *loop)
{
    assert(loop->alive > 0);
    if (!--loop->alive && loop->driver) loop->driver->keep_alive(loop, false);
}

void cvy__resident_add(cvy_loop_t *loop, cvy__resident_t *resident)
{
    resident->guest = false;
    cvy__link_append(&loop->residents, &resident->link);
    cvy__loop_retain(loop);
}

void cvy__guest_add(cvy_loop_t *loop, cvy__resident_t *resident)
{
    resident->guest = true;
    cvy__link_append(&loop->guests, &resident->link);
}

void cvy__resident_remove(cvy_loop_t *loop, cvy__resident_t *resident)
{
    if (!resident->link.next || cvy__link_alone(&resident->link)) return;
    cvy__link_remove(&resident->link);
    if (!resident->guest) cvy__loop_release(loop);
    if (loop->ending) kick(loop); /* it may have been the last */
}

int cvy__tenant_add(cvy_loop_t *loop, void *object, void (*close)(void *object), uint64_t *id)
{
    int err = cvy__slots_add(loop, object, id);
    if (err) return err;
    assert(!loop->close_tenant || loop->close_tenant == close);
    loop->close_tenant = close;
    loop->tenants++;
    cvy__loop_retain(loop);
    return 0;
}

void cvy__tenant_remove(cvy_loop_t *loop, uint64_t id)
{
    cvy__slots_remove(loop, id);
    loop->tenants--;
    cvy__loop_release(loop);
    if (loop->ending) kick(loop);
}

bool cvy__loop_empty(const cvy_loop_t *loop)
{
    return !loop->tenants && cvy__link_alone(&loop->residents) && cvy__link_alone(&loop->guests);
}

bool cvy__loop_ending(const cvy_loop_t *loop)
{
    return cvy__posts_closed(loop);
}

/* Closes each once; what close takes out of the list, or others with it, is not looked at again. */
static void close_all(cvy__link_t *list)
{
    cvy__link_t asked;
    cvy__link_init(&asked);
    while (!cvy__link_alone(list)) {
        cvy__link_t *first = list->next;
        cvy__link_remove(first);
        cvy__link_append(&asked, first);
        cvy__resident_t *resident = CVY__OF(first, cvy__resident_t, link);
        resident->close(resident);
    }
    cvy__link_splice(list, &asked);
}

static void close_tenants(cvy_loop_t *loop)
{
    uint32_t at = 0;
    for (void *object; (object = cvy__slots_next(loop, &at));)
        loop->close_tenant(object);
}

bool cvy__loop_end_step(cvy_loop_t *loop)
{
    if (!cvy__loop_ending(loop)) return false;
    if (!loop->ending) {
        loop->ending = true;
        cvy__posts_cancel(loop);
        cvy__loop_enter(loop);
        close_all(&loop->residents);
        close_all(&loop->guests);
        if (loop->tenants) close_tenants(loop);
        cvy__loop_leave(loop);
        cvy__loop_settle(loop);
    }
    if (!cvy__loop_empty(loop)) return false;
    cvy__loop_settle(loop);
    cvy__timers_end(loop);
    return true;
}

/* The wheel */

void cvy__loop_rearm(cvy_loop_t *loop)
{
    uint64_t next = cvy__wheel_next(&loop->wheel);
    if (!loop->driver || next == loop->armed) return;
    loop->armed = next;
    loop->driver->arm(loop, next);
}

void cvy__loop_arm(cvy_loop_t *loop, cvy__entry_t *entry)
{
    cvy__wheel_add(&loop->wheel, entry, cvy_loop_now(loop));
    if (!loop->root && entry->due < loop->armed) cvy__loop_rearm(loop);
}

void cvy__loop_disarm(cvy_loop_t *loop, cvy__entry_t *entry)
{
    bool first = entry->due == loop->armed;
    cvy__wheel_remove(&loop->wheel, entry);
    if (!loop->root && first) cvy__loop_rearm(loop);
}

void cvy__loop_intake(cvy_loop_t *loop)
{
    if (!cvy__posts_calm(&loop->posts)) cvy__posts_run(loop);
    uint64_t next = cvy__wheel_next(&loop->wheel);
    if (next == CVY__NEVER) return;
    uint64_t now = cvy_loop_now(loop);
    if (next <= now) cvy__wheel_fire(&loop->wheel, now, (size_t)loop->timer_budget);
}

bool cvy__loop_calm(cvy_loop_t *loop)
{
    /* A settle has just run: what it left it has kicked for. Within a callback of ours it has not. */
    if (loop->kicked || loop->root || !cvy__posts_calm(&loop->posts)) return false;
    uint64_t next = cvy__wheel_next(&loop->wheel);
    return next == loop->armed && (next == CVY__NEVER || next > cvy_loop_now(loop));
}

bool cvy__loop_busy(cvy_loop_t *loop)
{
    return waits_for_settle(loop) || cvy__posts_waiting(loop) || cvy__wheel_next(&loop->wheel) <= cvy_loop_now(loop) ||
           (cvy__loop_ending(loop) && (!loop->ending || cvy__loop_empty(loop)));
}
