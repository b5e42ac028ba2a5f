/*
 * A lane's task follows what the listener's atomics say: attach, drain, accept or not, close, and leave when nothing is left to do.
 * Any number of nudges before it runs are one run.
 */
#include "endpoint/listener.h"

static bool is_first(const cvy__lane_t *lane)
{
    return lane == lane->listener->lanes;
}

/* Whether the task will run, or be cancelled. */
static bool nudge(cvy__lane_t *lane)
{
    cvy_listener_t *l = lane->listener;
    uv_mutex_lock(&l->lock);
    if (lane->alive && !lane->posted) {
        cvy__listener_ref(l);
        lane->posted = !cvy_loop_post(lane->loop, &lane->task);
        if (!lane->posted) atomic_fetch_sub(&l->refs, 1); /* not the last one: the caller has one */
    }
    bool posted = lane->posted;
    uv_mutex_unlock(&l->lock);
    return posted;
}

void cvy__lane_nudge(cvy__lane_t *lane)
{
    nudge(lane);
}

void cvy__lanes_nudge(cvy_listener_t *l)
{
    for (size_t i = 0; i < l->n_lanes; i++)
        cvy__lane_nudge(&l->lanes[i]);
}

static void set_alive(cvy__lane_t *lane, bool alive)
{
    uv_mutex_lock(&lane->listener->lock);
    lane->alive = alive;
    uv_mutex_unlock(&lane->listener->lock);
}

void cvy__lane_close_acceptors(cvy__lane_t *lane)
{
    cvy_listener_t *l = lane->listener;
    for (size_t i = 0; i < l->n_acceptors; i++) {
        cvy__acceptor_t *a = &l->acceptors[i];
        if (a->lane != lane || !a->bound) continue;
        a->bound = false;
        a->ops->close(a);
    }
}

/* The loop's end, or nothing left to do. The caller has a reference. */
static void leave(cvy__lane_t *lane)
{
    set_alive(lane, false);
    cvy__lane_close_acceptors(lane);
    if (is_first(lane)) cvy__stop_end(lane->listener);
    if (!lane->attached) return;
    lane->attached = false;
    cvy__resident_remove(lane->loop, &lane->resident);
    cvy__listener_unref(lane->listener);
}

static void on_loop_end(cvy__resident_t *resident)
{
    cvy__lane_t *lane = CVY__OF(resident, cvy__lane_t, resident);
    cvy_listener_t *l = lane->listener;
    cvy__listener_ref(l);
    if (is_first(lane)) cvy__listener_cut(l);
    leave(lane);
    cvy__listener_unref(l);
}

static void attach(cvy__lane_t *lane)
{
    lane->attached = true;
    cvy__listener_ref(lane->listener);
    lane->resident.close = on_loop_end;
    if (is_first(lane))
        cvy__resident_add(lane->loop, &lane->resident);
    else
        cvy__guest_add(lane->loop, &lane->resident);
}

static void set_acceptors(cvy__lane_t *lane)
{
    cvy_listener_t *l = lane->listener;
    for (size_t i = 0; i < l->n_acceptors; i++) {
        cvy__acceptor_t *a = &l->acceptors[i];
        if (a->lane != lane || !a->bound) continue;
        bool accept = cvy__acceptor_wanted(a);
        if (accept && !a->prepared) {
            int err = a->ops->prepare(a);
            a->prepared = !err;
            if (err && err != UV_ESHUTDOWN) cvy__acceptor_trouble(a, err); /* a loop that ends closes it next */
        }
        if (a->prepared) a->ops->set(a, accept);
    }
}

/* Whether nobody will nudge it any more. */
static bool is_done(const cvy__lane_t *lane)
{
    const cvy_listener_t *l = lane->listener;
    return atomic_load(&l->finished) && !atomic_load(&lane->connections) &&
           !(is_first(lane) && atomic_load(&l->waiting));
}

/* Closed, no connection opens here any more: draining once is enough. It is asked for before the state says so, which is too early. */
static void end(cvy__lane_t *lane)
{
    if ((atomic_load(&lane->listener->asked) & CVY__ASKED_DRAIN) && !lane->drained) {
        lane->drained = true;
        cvy__lane_drain(lane);
    }
    cvy__lane_close_acceptors(lane);
}

static void follow(cvy__lane_t *lane)
{
    cvy_listener_t *l = lane->listener;
    if (!lane->attached) attach(lane);
    if (atomic_load(&l->state) == CVY_LISTENER_CLOSED)
        end(lane);
    else
        set_acceptors(lane);
    if (is_first(lane)) cvy__listener_follow(l);
    if (is_done(lane)) leave(lane);
}

static void on_task(cvy_task_t *task, int status)
{
    cvy__lane_t *lane = CVY__OF(task, cvy__lane_t, task);
    cvy_listener_t *l = lane->listener;
    uv_mutex_lock(&l->lock);
    lane->posted = false;
    bool alive = lane->alive;
    uv_mutex_unlock(&l->lock);
    if (!status && alive)
        follow(lane);
    else if (status && !lane->attached)
        leave(lane); /* else the loop closes its residents next */
    cvy__listener_unref(l);
}

bool cvy__lane_open(cvy__lane_t *lane)
{
    lane->task.run = on_task;
    cvy__link_init(&lane->resident.link);
    set_alive(lane, true);
    if (is_first(lane)) attach(lane);
    if (nudge(lane) || lane->attached) return true; /* attached: a loop that ends closes its residents */
    leave(lane);
    return false;
}
