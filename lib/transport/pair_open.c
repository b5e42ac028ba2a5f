/*
 * cvy_transport_pair: opens both sides of a new link. The second side opens where its loop runs; what keeps it from opening there is a reset
 * to the first.
 */
#include <conveyor/adopt.h>
#include <uv.h>

#include "base/memory.h"
#include "transport/pair.h"

/* The second side, on its way to its loop. */
typedef struct opening {
    cvy_task_t task;
    cvy__pair_link_t *link;
    cvy__shared_opts_t *opts;
    cvy_loop_t *loop;
    cvy_conveyor_init_cb init;
    void *arg;
} opening_t;

static const char unnamed[] = "inproc:";

static void drop(opening_t *o)
{
    cvy__shared_opts_unref(o->opts);
    cvy__free(o);
}

/* Takes the side of link: on failure it is abandoned. */
static int open_side(cvy_transport_t **out, cvy__pair_link_t *link, int side, const opening_t *o)
{
    cvy_transport_t *t;
    int err = cvy__pair_open(&t, link, side, o->loop, o->opts, unnamed, unnamed);
    if (err) {
        cvy__pair_link_abandon(link, side);
        return err;
    }
    err = cvy__transport_open(t, o->init, o->arg, NULL, NULL);
    if (!err && cvy_transport_closing(t)) err = UV_ECANCELED; /* by init */
    if (!err) *out = t;
    return err;
}

static void open_second(cvy_task_t *task, int status)
{
    opening_t *o = CVY__OF(task, opening_t, task);
    cvy_transport_t *t;
    if (status)
        cvy__pair_link_abandon(o->link, 1);
    else
        open_side(&t, o->link, 1, o);
    drop(o);
}

static int prepare(opening_t **out, const cvy_pair_end_t *end, cvy__pair_link_t *link)
{
    opening_t *o = cvy__calloc(1, sizeof *o);
    if (!o) return UV_ENOMEM;
    int err = cvy__loop_ending(end->loop) ? UV_ESHUTDOWN : cvy__shared_opts_new(&o->opts, end->opts);
    if (err) {
        cvy__free(o);
        return err;
    }
    o->task.run = open_second;
    o->link = link;
    o->loop = end->loop;
    o->init = end->init;
    o->arg = end->arg;
    *out = o;
    return 0;
}

/* Consumes both openings and the link. */
static int open_both(cvy_transport_t **out, opening_t *first, opening_t *second)
{
    cvy__pair_link_t *link = first->link;
    cvy_loop_t *loop = first->loop;
    bool outermost = cvy__loop_hold(loop);
    int err = open_side(out, link, 0, first);
    if (!err && second->loop == loop) {
        open_second(&second->task, 0);
    } else if (err || cvy_loop_post(second->loop, &second->task)) {
        cvy__pair_link_abandon(link, 1);
        drop(second);
    }
    drop(first);
    if (outermost) cvy__loop_let_go(loop);
    return err;
}

int cvy_transport_pair(const cvy_pair_end_t *first, const cvy_pair_end_t *second, cvy_transport_t **out)
{
    cvy__pair_link_t *link;
    opening_t *one = NULL, *two = NULL;
    if (cvy__loop_own(first->loop)) return UV_EPERM;
    int err = cvy__pair_link_new(&link);
    if (err) return err;
    err = prepare(&one, first, link);
    if (!err) err = prepare(&two, second, link);
    if (!err) return open_both(out, one, two);
    if (one) drop(one);
    cvy__pair_link_abandon(link, 0);
    cvy__pair_link_abandon(link, 1);
    return err;
}
