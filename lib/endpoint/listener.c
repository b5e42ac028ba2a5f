/*
 * The public calls of a listener. Each of them only changes what the lanes look at, and nudges them; start is the one that does
 * something itself: it binds everything, or nothing.
 */
#include "endpoint/listener.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* Memory */

static void free_lists(cvy_listener_t *l)
{
    cvy__free(l->lanes);
    cvy__free(l->acceptors);
    l->lanes = NULL;
    l->acceptors = NULL;
    l->n_lanes = l->n_acceptors = 0;
}

static void free_listener(cvy_listener_t *l)
{
    free_lists(l);
    for (size_t i = 0; l->addresses && i < l->n_addresses; i++)
        cvy__free(l->addresses[i]);
    cvy__free(l->addresses);
    cvy__free(l->owner);
    if (l->shared) cvy__shared_opts_unref(l->shared);
    uv_mutex_destroy(&l->lock);
    cvy__free(l);
}

void cvy__listener_ref(cvy_listener_t *l)
{
    atomic_fetch_add(&l->refs, 1);
}

void cvy__listener_unref(cvy_listener_t *l)
{
    if (atomic_fetch_sub(&l->refs, 1) == 1) free_listener(l);
}

cvy_listener_t *cvy_listener_ref(cvy_listener_t *l)
{
    atomic_fetch_add(&l->users, 1);
    return l;
}

void cvy_listener_free(cvy_listener_t *l)
{
    if (!l || atomic_fetch_sub(&l->users, 1) != 1) return;
    cvy_listener_shutdown(l, CVY_KEEP);
    cvy__listener_unref(l);
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    char *out = cvy__malloc(n);
    return out ? memcpy(out, text, n) : NULL;
}

static int copy_texts(cvy_listener_t *l)
{
    const cvy_listener_opts_t *o = &l->opts;
    size_t n = 0;
    while (o->addresses && o->addresses[n])
        n++;
    l->n_addresses = n + (o->address != NULL);
    l->addresses = cvy__calloc(l->n_addresses, sizeof *l->addresses);
    if (!l->addresses) return UV_ENOMEM;
    for (size_t i = 0; i < l->n_addresses; i++) {
        const char *text = o->address ? (i ? o->addresses[i - 1] : o->address) : o->addresses[i];
        l->addresses[i] = copy(text);
        if (!l->addresses[i]) return UV_ENOMEM;
    }
    l->owner = o->owner ? copy(o->owner) : NULL;
    return l->owner || !o->owner ? 0 : UV_ENOMEM;
}

static int64_t or_default(int64_t value, int64_t normal)
{
    return value > 0 ? value : normal;
}

static void resolve(cvy_listener_t *l)
{
    cvy_listener_opts_t *o = &l->opts;
    cvy__places_init(&l->places, o->max_connections);
    o->backlog = o->backlog > 0 && o->backlog < INT_MAX ? o->backlog : 0;
    o->accept_budget = o->accept_budget == CVY_OFF ? INT64_MAX : or_default(o->accept_budget, 16);
    o->retry_ms = or_default(o->retry_ms, 1000);
    o->drain_timeout_ms = o->drain_timeout_ms == CVY_OFF ? INT64_MAX / 2 : or_default(o->drain_timeout_ms, 10000);
    o->transport = NULL; /* in shared */
}

static bool valid(const cvy_listener_opts_t *o)
{
    bool some = o->address || (o->addresses && o->addresses[0]);
    return some && (o->loop != NULL) + (o->group != NULL) + (o->loops != 0) <= 1 &&
           (o->loops >= 0 || o->loops == CVY_GROUP_ALL);
}

int cvy_listener_new(cvy_listener_t **out, const cvy_listener_opts_t *opts)
{
    if (!opts || !valid(opts)) return UV_EINVAL;
    cvy_listener_t *l = cvy__calloc(1, sizeof *l);
    if (!l) return UV_ENOMEM;
    int err = uv_mutex_init(&l->lock);
    if (err) {
        cvy__free(l);
        return err;
    }
    l->opts = *opts;
    atomic_store(&l->refs, 1);
    atomic_store(&l->users, 1);
    err = copy_texts(l);
    if (!err) err = cvy__shared_opts_new(&l->shared, opts->transport);
    if (err) {
        free_listener(l);
        return err;
    }
    resolve(l);
    *out = l;
    return 0;
}

/* Starting */

static const cvy__acceptor_ops_t *ops_of(cvy__address_kind_t kind)
{
    switch (kind) {
    case CVY__ADDRESS_INPROC: return &cvy__accept_inproc_ops;
    case CVY__ADDRESS_PIPE: return &cvy__accept_pipe_ops;
    default: return &cvy__accept_socket_ops;
    }
}

static int make_lanes(cvy_listener_t *l)
{
    l->n_lanes = l->opts.group ? (size_t)cvy_group_size(l->opts.group) : 1;
    l->lanes = cvy__calloc(l->n_lanes, sizeof *l->lanes);
    size_t most = l->n_addresses * (l->opts.reuse_port > 0 ? l->n_lanes : 1) + cvy__adopted_most(l);
    l->acceptors = cvy__calloc(most, sizeof *l->acceptors);
    if (!l->lanes || !l->acceptors) return UV_ENOMEM;
    for (size_t i = 0; i < l->n_lanes; i++) {
        l->lanes[i].listener = l;
        l->lanes[i].maker.gone = cvy__lane_gone;
        l->lanes[i].loop = l->opts.group ? cvy_group_loop(l->opts.group, (int)i) : l->opts.loop;
    }
    return 0;
}

/* What listens there needs a system's loop. Errors: UV_ENOTSUP. */
static int refuse_embedded(cvy_listener_t *l, const cvy__acceptor_t *a)
{
    if (a->lane->loop->uv || a->address.kind == CVY__ADDRESS_INPROC) return 0;
    return cvy__address_say(l->message, sizeof l->message, a->text, "an embedded loop can't listen on it", UV_ENOTSUP);
}

static int bind_one(cvy_listener_t *l, cvy__lane_t *lane, const cvy__address_t *address, bool shown)
{
    cvy__acceptor_t *a = &l->acceptors[l->n_acceptors];
    a->lane = lane;
    a->address = *address;
    a->shown = shown;
    a->ops = ops_of(address->kind);
    cvy__link_init(&a->name);
    cvy__link_init(&a->queue);
    snprintf(a->text, sizeof a->text, "%s", address->text);
    cvy__listener_ref(l);
    l->n_acceptors++;
    int err = refuse_embedded(l, a);
    if (!err) err = cvy__permissions_valid(a);
    if (!err) err = a->ops->bind(a);
    if (!err) {
        a->bound = true;
        atomic_fetch_add(&l->pending, 1);
        return 0;
    }
    l->n_acceptors--;
    cvy__listener_unref(l);
    if (!l->message[0]) cvy__address_say(l->message, sizeof l->message, address->text, NULL, err);
    return err;
}

/* The other lanes' sockets for the address that lane 0 has bound, with the port that it got. */
static int bind_others(cvy_listener_t *l)
{
    cvy__address_t address = l->acceptors[l->n_acceptors - 1].address;
    int err = 0;
    for (size_t i = 1; i < l->n_lanes && !err; i++)
        err = bind_one(l, &l->lanes[i], &address, false);
    return err;
}

static int bind_adopted(cvy_listener_t *l, const cvy__address_t *one)
{
    return bind_one(l, &l->lanes[0], one, true);
}

static int bind_address(cvy_listener_t *l, const char *uri)
{
    cvy__address_t address;
    int err = cvy__address_parse(&address, uri, l->message, sizeof l->message);
    if (!err) err = cvy__address_place(&address, true, l->message, sizeof l->message);
    if (!err && address.kind == CVY__ADDRESS_SYSTEMD) return cvy__adopted_each(l, &address, bind_adopted);
    size_t first = l->n_acceptors;
    if (!err) err = bind_one(l, &l->lanes[0], &address, true);
    bool tcp = address.kind == CVY__ADDRESS_TCP || address.kind == CVY__ADDRESS_HOST;
    if (err || l->opts.reuse_port <= 0 || !tcp) return err;
    err = bind_others(l);
    for (size_t i = first; i < l->n_acceptors; i++)
        l->acceptors[i].keeps = true;
    return err;
}

/* What may fail, before anyone is told. */
static int prepare_first(cvy_listener_t *l)
{
    int err = 0;
    for (size_t i = 0; i < l->n_acceptors && !err; i++) {
        cvy__acceptor_t *a = &l->acceptors[i];
        if (a->lane != l->lanes) continue;
        err = a->ops->prepare(a);
        a->prepared = !err;
        if (err) cvy__address_say(l->message, sizeof l->message, a->text, NULL, err);
    }
    return err;
}

static int bind_all(cvy_listener_t *l)
{
    int err = make_lanes(l);
    l->message[0] = '\0';
    if (err) cvy__address_say(l->message, sizeof l->message, l->addresses[0], NULL, err);
    for (size_t i = 0; i < l->n_addresses && !err; i++)
        err = bind_address(l, l->addresses[i]);
    if (!err) err = prepare_first(l);
    return err || l->opts.stop_on_signals <= 0 ? err : cvy__stop_start(l);
}

/* Nothing was called back and nothing stays. */
static void unbind_all(cvy_listener_t *l)
{
    for (size_t i = 0; i < l->n_acceptors; i++)
        cvy__lane_close_acceptors(l->acceptors[i].lane);
}

static void tell_started(cvy_listener_t *l)
{
    for (size_t i = 0; i < l->n_acceptors && l->opts.on_started; i++)
        if (l->acceptors[i].shown && atomic_load(&l->state) != CVY_LISTENER_CLOSED)
            l->opts.on_started(l, l->acceptors[i].text, l->opts.arg);
}

static int say(cvy_listener_t *l, const char *rule, int err)
{
    return cvy__address_say(l->message, sizeof l->message, l->addresses[0], rule, err);
}

static int may_start(cvy_listener_t *l, const cvy_loop_t *loop)
{
    int state = atomic_load(&l->state);
    if (state != CVY_LISTENER_STARTING) return state == CVY_LISTENER_CLOSED ? UV_ESHUTDOWN : UV_EALREADY;
    if (!loop) return say(l, "start needs a loop or a group", UV_EINVAL);
    if (cvy__loop_own(loop)) return UV_EPERM;
    return cvy__loop_ending(loop) ? UV_ESHUTDOWN : 0;
}

int cvy_listener_start(cvy_listener_t *l)
{
    int err = may_start(l, l->opts.group ? cvy_group_loop(l->opts.group, 0) : l->opts.loop);
    if (err) return err;
    cvy__listener_ref(l); /* the run's */
    err = bind_all(l);
    if (!err && cvy__listener_move(l, CVY_LISTENER_STARTING, CVY_LISTENER_RUNNING) != CVY_LISTENER_STARTING)
        err = UV_ESHUTDOWN;
    if (err) {
        cvy__stop_end(l);
        unbind_all(l);
        free_lists(l);
        cvy__listener_unref(l);
        return err;
    }
    cvy__listener_ref(l);
    atomic_store(&l->started, true);
    cvy__lane_open(&l->lanes[0]); /* which is this thread's: it accepts when this has returned */
    tell_started(l);
    for (size_t i = 1; i < l->n_lanes; i++)
        cvy__lane_open(&l->lanes[i]);
    cvy__listener_unref(l);
    return 0;
}

/* listen_and_wait */

/* Runs loop 0 here, and the others of a group. The listener has stopped them when this returns. */
static int run(cvy_listener_t *l)
{
    return l->opts.group ? cvy_group_run(l->opts.group) : cvy_loop_run(l->opts.loop);
}

static int wait_until_ended(cvy_listener_t *l)
{
    atomic_store(&l->waiting, true);
    int err = cvy_listener_start(l);
    if (err) {
        atomic_store(&l->waiting, false);
        return err;
    }
    cvy__listener_ref(l);
    err = run(l);
    if (err) cvy_listener_shutdown(l, CVY_DRAIN);
    atomic_store(&l->waiting, false);
    int failure = atomic_load(&l->failure);
    cvy__listener_unref(l);
    return failure ? failure : err;
}

static int wait_on_own(cvy_listener_t *l)
{
    cvy_group_t *group;
    int err = cvy_group_new(&group, &(cvy_group_opts_t){ .loops = l->opts.loops ? l->opts.loops : CVY_GROUP_SINGLE });
    if (err) return say(l, NULL, err);
    l->opts.group = group;
    err = wait_until_ended(l);
    cvy_group_free(group);
    l->opts.group = NULL;
    return err;
}

int cvy_listener_listen_and_wait(cvy_listener_t *l)
{
    int state = atomic_load(&l->state);
    if (state != CVY_LISTENER_STARTING) return state == CVY_LISTENER_CLOSED ? UV_ESHUTDOWN : UV_EALREADY;
    const cvy_loop_t *loop = l->opts.loop;
    if (!loop) return l->opts.group ? wait_until_ended(l) : wait_on_own(l);
    if (loop->shared) return say(l, "listen_and_wait runs loops of our own, not an attached one", UV_EINVAL);
    return atomic_load(&loop->life) == CVY__LIFE_NEW ? wait_until_ended(l) : UV_EALREADY;
}

/* The rest */

void cvy_listener_shutdown(cvy_listener_t *l, cvy_shutdown_t how)
{
    bool drain = how == CVY_DRAIN || atomic_load(&l->waiting);
    atomic_fetch_or(&l->asked, CVY__ASKED_SHUTDOWN | (drain ? CVY__ASKED_DRAIN : 0));
    cvy__listener_set_closed(l);
    if (atomic_load(&l->started)) cvy__lanes_nudge(l);
}

static int turn(cvy_listener_t *l, cvy_listener_state_t from, cvy_listener_state_t to)
{
    if (cvy_listener_state(l) == CVY_LISTENER_CLOSED) return UV_ESHUTDOWN;
    if (!atomic_load(&l->started)) return UV_EINVAL;
    if (cvy__loop_own(l->lanes[0].loop)) return UV_EPERM;
    cvy_listener_state_t found = cvy__listener_move(l, from, to);
    if (found == from) cvy__lanes_nudge(l);
    return found == CVY_LISTENER_CLOSED ? UV_ESHUTDOWN : 0;
}

int cvy_listener_pause(cvy_listener_t *l)
{
    return turn(l, CVY_LISTENER_RUNNING, CVY_LISTENER_PAUSED);
}

int cvy_listener_resume(cvy_listener_t *l)
{
    return turn(l, CVY_LISTENER_PAUSED, CVY_LISTENER_RUNNING);
}

size_t cvy_listener_connections(const cvy_listener_t *l)
{
    size_t n = 0;
    for (size_t i = 0; atomic_load(&l->started) && i < l->n_lanes; i++)
        n += atomic_load(&l->lanes[i].connections);
    return n;
}

const char *cvy_listener_address(const cvy_listener_t *l, size_t i)
{
    for (size_t k = 0; atomic_load(&l->started) && k < l->n_acceptors; k++)
        if (l->acceptors[k].shown && !i--) return l->acceptors[k].text;
    return NULL;
}

const char *cvy_listener_message(const cvy_listener_t *l)
{
    return l->message;
}
