/*
 * Names within the process: one list, one lock (M7). Whoever dials puts its link into the listener's queue, which is the backlog, and
 * is connected from then on; the listener opens its side when it accepts, or abandons it when it closes, which the dialer sees as a reset.
 *
 * Order of locks: names before a listener's own.
 */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "endpoint/listener.h"

#define BACKLOG 4096 /* Linux's SOMAXCONN */

typedef struct waiting {
    cvy__link_t link;
    cvy__pair_link_t *pair;
} waiting_t;

static struct names {
    uv_once_t once;
    uv_mutex_t lock;
    cvy__link_t bound;
} names = { .once = UV_ONCE_INIT };

static void make_names(void)
{
    if (uv_mutex_init(&names.lock)) abort(); /* static: nothing that could fail is asked of the system */
    cvy__link_init(&names.bound);
}

static void lock_names(void)
{
    uv_once(&names.once, make_names);
    uv_mutex_lock(&names.lock);
}

/* Under the lock. */
static cvy__acceptor_t *find(const char *name)
{
    for (cvy__link_t *at = names.bound.next; at != &names.bound; at = at->next) {
        cvy__acceptor_t *a = CVY__OF(at, cvy__acceptor_t, name);
        if (!strcmp(a->address.name, name)) return a;
    }
    return NULL;
}

static int bind_name(cvy__acceptor_t *a)
{
    lock_names();
    bool taken = find(a->address.name) != NULL;
    if (!taken) cvy__link_append(&names.bound, &a->name);
    uv_mutex_unlock(&names.lock);
    return taken ? UV_EADDRINUSE : 0;
}

static int enqueue(const char *name, waiting_t *w)
{
    lock_names();
    cvy__acceptor_t *a = find(name);
    cvy_listener_t *l = a ? a->lane->listener : NULL;
    size_t backlog = l && l->opts.backlog ? (size_t)l->opts.backlog : BACKLOG;
    bool full = !l || a->queued >= backlog;
    if (!full) {
        cvy__link_append(&a->queue, &w->link);
        a->queued++;
        cvy__lane_nudge(a->lane);
    }
    uv_mutex_unlock(&names.lock);
    return full ? UV_ECONNREFUSED : 0;
}

int cvy__inproc_connect(const char *name, cvy__pair_link_t *link)
{
    waiting_t *w = cvy__malloc(sizeof *w);
    if (!w) return UV_ENOMEM;
    w->pair = link;
    int err = enqueue(name, w);
    if (err) cvy__free(w);
    return err;
}

static waiting_t *dequeue(cvy__acceptor_t *a)
{
    waiting_t *w = NULL;
    lock_names();
    if (!cvy__link_alone(&a->queue)) {
        w = CVY__OF(a->queue.next, waiting_t, link);
        cvy__link_remove(&w->link);
        a->queued--;
    }
    uv_mutex_unlock(&names.lock);
    return w;
}

static int prepare(cvy__acceptor_t *a)
{
    (void)a;
    return 0;
}

/* True: go on. */
static bool accept_one(cvy__acceptor_t *a)
{
    cvy_listener_t *l = a->lane->listener;
    if (!cvy__acceptor_wanted(a) || !cvy__place_hold(l)) return false;
    waiting_t *w = dequeue(a);
    if (!w) {
        cvy__place_let_go(l);
        return false;
    }
    cvy__accepted_t what = { .pair = w->pair };
    cvy__free(w);
    cvy__acceptor_accepted(a, &what, false);
    return true;
}

static void set(cvy__acceptor_t *a, bool accept)
{
    int64_t budget = a->lane->listener->opts.accept_budget;
    while (accept && budget > 0 && accept_one(a))
        budget--;
    if (!budget) cvy__lane_nudge(a->lane);
}

static void close_name(cvy__acceptor_t *a)
{
    waiting_t *w;
    lock_names();
    cvy__link_remove(&a->name);
    uv_mutex_unlock(&names.lock);
    while ((w = dequeue(a))) {
        cvy__pair_link_abandon(w->pair, 0);
        cvy__free(w);
    }
    cvy__acceptor_closed(a);
}

static int build(cvy__accepted_t *c, cvy_transport_t **out)
{
    return cvy__pair_open(out, c->pair, 0, c->lane->loop, c->lane->listener->shared, c->acceptor->text, "inproc:");
}

static void drop(cvy__accepted_t *c)
{
    cvy__pair_link_abandon(c->pair, 0);
}

const cvy__acceptor_ops_t cvy__accept_inproc_ops = {
    .bind = bind_name,
    .prepare = prepare,
    .set = set,
    .close = close_name,
    .build = build,
    .drop = drop,
};
