/*
 * Accepted connections: places, the choice of a lane, the way there, and the count down at the end.
 *
 * A place is one of max_connections. It is taken before the accept, so that the limit is exact however many acceptors there are, and
 * belongs to the connection until on_gone. Whoever finds none left says `limited` and looks again; whoever gives one back looks
 * for `limited` afterwards: one of the two sees the other.
 */
#include "base/memory.h"
#include "endpoint/listener.h"

bool cvy__acceptor_wanted(const cvy__acceptor_t *a)
{
    const cvy_listener_t *l = a->lane->listener;
    return atomic_load(&l->state) == CVY_LISTENER_RUNNING && !atomic_load(&l->resting) && !atomic_load(&l->limited);
}

bool cvy__place_take(cvy_listener_t *l)
{
    size_t taken = atomic_load(&l->taken);
    while (taken < l->max)
        if (atomic_compare_exchange_weak(&l->taken, &taken, taken + 1)) return true;
    atomic_store(&l->limited, true);
    if (atomic_load(&l->taken) <= l->resume_at) cvy__lane_nudge(&l->lanes[0]);
    return false;
}

void cvy__place_give_back(cvy_listener_t *l)
{
    size_t taken = atomic_fetch_sub(&l->taken, 1) - 1;
    if ((taken <= l->resume_at && atomic_load(&l->limited)) || (!taken && atomic_load(&l->waiting)))
        cvy__lane_nudge(&l->lanes[0]);
}

static void pending_less(cvy_listener_t *l)
{
    if (atomic_fetch_sub(&l->pending, 1) == 1 && atomic_load(&l->state) == CVY_LISTENER_CLOSED)
        cvy__lane_nudge(&l->lanes[0]);
}

void cvy__acceptor_closed(cvy__acceptor_t *a)
{
    cvy_listener_t *l = a->lane->listener;
    a->closed = true;
    pending_less(l);
    cvy__listener_unref(l);
}

/* Failures */

/* The connection's own fault, or the network's: the next one may be fine. Source: accept(2), "Error handling". */
static bool is_transient(int err)
{
    static const int codes[] = { UV_EAGAIN,   UV_ECONNABORTED, UV_EPROTO,    UV_EINTR,  UV_ECONNRESET,
                                 UV_ENETDOWN, UV_ENOPROTOOPT,  UV_EHOSTDOWN, UV_ENONET, UV_EHOSTUNREACH,
                                 UV_ENOTSUP,  UV_ENETUNREACH,  UV_ETIMEDOUT, UV_EPERM };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (err == codes[i]) return true;
    return false;
}

void cvy__acceptor_trouble(cvy__acceptor_t *a, int err)
{
    cvy_listener_t *l = a->lane->listener;
    atomic_store(&l->resting, true); /* first: the retry that ends it is armed by whoever sees the trouble */
    atomic_store(&a->trouble, err);
    cvy__lane_nudge(&l->lanes[0]);
}

bool cvy__acceptor_refused(cvy__acceptor_t *a, int err)
{
    cvy__place_give_back(a->lane->listener);
    if (is_transient(err)) return true;
    cvy__acceptor_trouble(a, err);
    return false;
}

/* One connection */

static void forget(cvy__accepted_t *c)
{
    cvy__lane_t *lane = c->lane;
    cvy_listener_t *l = lane->listener;
    bool last = atomic_fetch_sub(&lane->connections, 1) == 1;
    cvy__place_give_back(l);
    if (last && atomic_load(&l->finished)) cvy__lane_nudge(lane);
    cvy__free(c);
    cvy__listener_unref(l);
}

static void on_gone(cvy_transport_t *t, void *arg)
{
    cvy__accepted_t *c = arg;
    (void)t;
    cvy__link_remove(&c->link);
    forget(c);
}

static void lend(cvy_transport_t *t, void *arg)
{
    cvy__accepted_t *c = arg;
    cvy_listener_t *l = c->lane->listener;
    if (l->opts.on_accepted) l->opts.on_accepted(l, t, l->opts.arg);
}

static void drop(cvy__accepted_t *c, int err)
{
    c->acceptor->ops->drop(c);
    if (err == UV_ENOMEM || err == UV_ENOBUFS || err == UV_EMFILE || err == UV_ENFILE)
        cvy__acceptor_trouble(c->acceptor, err);
    forget(c);
}

static void build(cvy__accepted_t *c)
{
    cvy_listener_t *l = c->lane->listener;
    cvy_transport_t *t = NULL;
    bool closed = atomic_load(&l->state) == CVY_LISTENER_CLOSED; /* as if it were still in the backlog */
    int err = closed ? UV_ECANCELED : c->acceptor->ops->build(c, &t);
    if (err) {
        drop(c, err);
        return;
    }
    if (!atomic_load(&l->resting)) atomic_store(&l->episode, false); /* while resting: it was accepted before */
    c->transport = t;
    t->on_gone = on_gone;
    t->on_gone_arg = c;
    cvy__link_append(&c->lane->accepted, &c->link);
    cvy__transport_open(t, l->opts.conveyor_init, l->opts.arg, lend, c); /* a failed init closes it */
}

static void deliver(cvy__accepted_t *c)
{
    cvy_listener_t *l = c->lane->listener;
    cvy__listener_ref(l);
    atomic_fetch_add(&l->delivering, 1);
    build(c);
    atomic_fetch_sub(&l->delivering, 1);
    cvy__listener_unref(l);
}

static void on_task(cvy_task_t *task, int status)
{
    cvy__accepted_t *c = CVY__OF(task, cvy__accepted_t, task);
    cvy_listener_t *l = c->lane->listener;
    cvy__listener_ref(l);
    if (status)
        drop(c, status);
    else
        deliver(c);
    pending_less(l);
    cvy__listener_unref(l);
}

/* The lane with the fewest connections. Under the lock. */
static cvy__lane_t *choose(cvy_listener_t *l)
{
    cvy__lane_t *best = NULL;
    for (size_t i = 0; i < l->n_lanes; i++) {
        cvy__lane_t *lane = &l->lanes[i];
        if (lane->alive && (!best || atomic_load(&lane->connections) < atomic_load(&best->connections))) best = lane;
    }
    return best;
}

/* True: it is on its way. False: it is the caller's to deliver here (c->lane is set), or nobody's (it is NULL). */
static bool send_to_lane(cvy__accepted_t *c, cvy__lane_t *only)
{
    cvy_listener_t *l = c->acceptor->lane->listener;
    bool sent = false;
    uv_mutex_lock(&l->lock);
    cvy__lane_t *lane = only ? only : choose(l);
    if (lane && lane->alive) {
        c->lane = lane;
        atomic_fetch_add(&lane->connections, 1);
        if (!cvy_loop_in_thread(lane->loop)) {
            atomic_fetch_add(&l->pending, 1);
            sent = !cvy_loop_post(lane->loop, &c->task);
            if (!sent) {
                atomic_fetch_sub(&l->pending, 1);
                atomic_fetch_sub(&lane->connections, 1);
                c->lane = NULL;
            }
        }
    }
    uv_mutex_unlock(&l->lock);
    return sent;
}

static void refuse(const cvy__accepted_t *what, cvy__acceptor_t *a)
{
    cvy__accepted_t c = *what;
    c.acceptor = a;
    a->ops->drop(&c);
    cvy__place_give_back(a->lane->listener);
}

void cvy__acceptor_accepted(cvy__acceptor_t *a, const cvy__accepted_t *what, bool only)
{
    cvy_listener_t *l = a->lane->listener;
    cvy__accepted_t *c = cvy__malloc(sizeof *c);
    if (!c) {
        refuse(what, a);
        cvy__acceptor_trouble(a, UV_ENOMEM);
        return;
    }
    *c = *what;
    c->acceptor = a;
    c->lane = NULL;
    c->task.run = on_task;
    cvy__link_init(&c->link);
    cvy__listener_ref(l);
    if (send_to_lane(c, only ? a->lane : NULL)) return;
    if (c->lane) {
        deliver(c);
        return;
    }
    refuse(what, a);
    cvy__free(c);
    cvy__listener_unref(l);
}

void cvy__lane_drain(cvy__lane_t *lane)
{
    for (cvy__link_t *at = lane->accepted.next, *next; at != &lane->accepted; at = next) {
        next = at->next;
        cvy_transport_shutdown(CVY__OF(at, cvy__accepted_t, link)->transport, 0);
    }
}
