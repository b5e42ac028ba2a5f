/*
 * Accepted connections: places, the choice of a lane, the way there, and the count down at the end. A place is one of
 * max_connections; it is the connection's until that is gone.
 */
#include "base/memory.h"
#include "endpoint/listener.h"

bool cvy__acceptor_wanted(const cvy__acceptor_t *a)
{
    const cvy_listener_t *l = a->lane->listener;
    return atomic_load(&l->state) == CVY_LISTENER_RUNNING && !atomic_load(&l->resting) &&
           !cvy__places_resting(&l->places);
}

bool cvy__place_hold(cvy_listener_t *l)
{
    return cvy__places_hold(&l->places);
}

void cvy__place_let_go(cvy_listener_t *l)
{
    if (cvy__places_let_go(&l->places)) cvy__lanes_nudge(l);
}

static void give_back(cvy_listener_t *l)
{
    if (cvy__places_give_back(&l->places)) cvy__lanes_nudge(l);
    if (atomic_load(&l->waiting) && !cvy__places_any(&l->places)) cvy__lane_nudge(&l->lanes[0]);
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
    cvy__place_let_go(a->lane->listener);
    if (is_transient(err)) return true;
    cvy__acceptor_trouble(a, err);
    return false;
}

/* One connection */

/* One connection of the lane's less. */
static void leave(cvy__lane_t *lane)
{
    cvy_listener_t *l = lane->listener;
    bool last = atomic_fetch_sub(&lane->connections, 1) == 1;
    give_back(l);
    if (last && atomic_load(&l->finished)) cvy__lane_nudge(lane);
    cvy__listener_unref(l);
}

void cvy__lane_gone(cvy__maker_t *maker, cvy_transport_t *t)
{
    (void)t;
    leave(CVY__OF(maker, cvy__lane_t, maker));
}

static void lend(cvy_transport_t *t, void *arg)
{
    const cvy__lane_t *lane = arg;
    cvy_listener_t *l = lane->listener;
    if (l->opts.on_accepted) l->opts.on_accepted(l, t, l->opts.arg);
}

static void drop(cvy__accepted_t *c, int err)
{
    c->acceptor->ops->drop(c);
    if (err == UV_ENOMEM || err == UV_ENOBUFS || err == UV_EMFILE || err == UV_ENFILE)
        cvy__acceptor_trouble(c->acceptor, err);
    leave(c->lane);
}

static void build(cvy__accepted_t *c)
{
    cvy__lane_t *lane = c->lane;
    cvy_listener_t *l = lane->listener;
    cvy_transport_t *t = NULL;
    bool closed = atomic_load(&l->state) == CVY_LISTENER_CLOSED; /* as if it were still in the backlog */
    int err = closed ? UV_ECANCELED : c->acceptor->ops->build(c, &t);
    if (err) {
        drop(c, err);
        return;
    }
    if (!atomic_load(&l->resting)) atomic_store(&l->episode, false); /* while resting: it was accepted before */
    t->maker = &lane->maker;
    cvy__transport_open(t, l->opts.conveyor_init, l->opts.arg, lend, lane); /* a failed init closes it */
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
    cvy__free(c);
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

/* To another thread, in memory of its own. Errors: UV_ENOMEM, UV_ESHUTDOWN. */
static int post(const cvy__accepted_t *c)
{
    cvy_listener_t *l = c->lane->listener;
    cvy__accepted_t *posted = cvy__malloc(sizeof *posted);
    if (!posted) return UV_ENOMEM;
    *posted = *c;
    posted->task.run = on_task;
    atomic_fetch_add(&l->pending, 1);
    int err = cvy_loop_post(c->lane->loop, &posted->task);
    if (!err) return 0;
    atomic_fetch_sub(&l->pending, 1);
    cvy__free(posted);
    return err;
}

/* 0: it is on its way, or (*here) the caller's to deliver on its lane. Errors: as post. */
static int send_to_lane(cvy__accepted_t *c, cvy__lane_t *only, bool *here)
{
    cvy_listener_t *l = c->acceptor->lane->listener;
    int err = UV_ESHUTDOWN;
    uv_mutex_lock(&l->lock);
    cvy__lane_t *lane = only ? only : choose(l);
    if (lane && lane->alive) {
        c->lane = lane;
        atomic_fetch_add(&lane->connections, 1);
        *here = cvy_loop_in_thread(lane->loop);
        err = *here ? 0 : post(c);
        if (err) atomic_fetch_sub(&lane->connections, 1);
    }
    uv_mutex_unlock(&l->lock);
    return err;
}

void cvy__acceptor_accepted(cvy__acceptor_t *a, const cvy__accepted_t *what, bool only)
{
    cvy_listener_t *l = a->lane->listener;
    cvy__accepted_t c = *what;
    bool here = false;
    c.acceptor = a;
    cvy__places_use(&l->places);
    cvy__listener_ref(l);
    int err = send_to_lane(&c, only ? a->lane : NULL, &here);
    if (here) deliver(&c);
    if (!err) return;
    a->ops->drop(&c);
    give_back(l);
    if (err == UV_ENOMEM) cvy__acceptor_trouble(a, err);
    cvy__listener_unref(l);
}

void cvy__lane_drain(cvy__lane_t *lane)
{
    uint32_t at = 0;
    for (cvy_transport_t *t; (t = cvy__slots_next(lane->loop, &at));)
        if (t->maker == &lane->maker) cvy_transport_shutdown(t, 0);
}
