/*
 * The inproc kind. The link is "the kernel": for each side an inbox of at most 256 KiB that the other side fills, under one mutex. Nothing
 * of a conveyor ever runs under it, or inside a call of the peer: a side that changed something pokes the other, whose pump runs as
 * deferred work where both are on one loop, else as a posted task. So what one side does reaches the other as from a socket: later.
 *
 * Bytes are not copied: views travel, marked as handed over where the loops differ. An inbox is taken whole, in one read.
 */
#include "transport/pair.h"

#include <conveyor/adopt.h>
#include <uv.h>

#include "base/memory.h"

enum { INBOX_BYTES = 256 * 1024 }; /* what Linux gives a local socket: net.core.wmem_default is 208 KiB */

typedef struct pair {
    cvy_transport_t transport;
    cvy__pair_link_t *link;
    int side;
    cvy__work_t work;
    bool reading;
    bool waiting; /* a write said UV_EAGAIN */
    bool shut_due, closed_due;
} pair_t;

/* All but wake is under the link's mutex. */
typedef struct side {
    pair_t *pair;     /* NULL: not open, or not any more */
    cvy_loop_t *loop; /* valid while pair is not NULL */
    cvy_task_t wake;  /* for pokes from another thread */
    bool poked;       /* wake is posted */
    cvy_buf_t inbox;  /* what the peer sent */
    bool peer_waits;  /* for room in it */
    bool ended;       /* the peer's end of stream follows the inbox */
    bool reset;       /* then: by a reset */
    bool gone;        /* this side has closed, or never opens */
} side_t;

struct cvy__pair_link {
    uv_mutex_t mutex;
    unsigned refs; /* one per side, one per posted task */
    side_t sides[2];
};

static pair_t *of(const cvy_transport_t *t)
{
    return (pair_t *)(uintptr_t)t;
}

static side_t *mine(const pair_t *p)
{
    return &p->link->sides[p->side];
}

static side_t *peer_of(const pair_t *p)
{
    return &p->link->sides[!p->side];
}

/* The link */

static void on_wake(cvy_task_t *task, int status);

int cvy__pair_link_new(cvy__pair_link_t **out)
{
    cvy__pair_link_t *link = cvy__calloc(1, sizeof *link);
    if (!link) return UV_ENOMEM;
    int err = uv_mutex_init(&link->mutex);
    if (err) {
        cvy__free(link);
        return err;
    }
    link->refs = 2;
    for (int i = 0; i < 2; i++) {
        link->sides[i].wake.run = on_wake;
        link->sides[i].wake.arg = link;
    }
    *out = link;
    return 0;
}

static void unref(cvy__pair_link_t *link)
{
    uv_mutex_lock(&link->mutex);
    bool last = !--link->refs;
    uv_mutex_unlock(&link->mutex);
    if (!last) return;
    uv_mutex_destroy(&link->mutex);
    cvy__free(link);
}

/* Under the mutex: something has changed for side. from: the loop whose thread this is; NULL: none. */
static void poke(cvy__pair_link_t *link, side_t *side, const cvy_loop_t *from)
{
    if (!side->pair || side->poked) return;
    if (side->loop == from) {
        cvy__loop_defer(side->loop, &side->pair->work);
    } else if (!cvy_loop_post(side->loop, &side->wake)) {
        side->poked = true;
        link->refs++;
    }
}

/* Under the mutex: side takes no more part. What it has not read is the peer's loss, and so a reset. */
static void leave(cvy__pair_link_t *link, side_t *side, bool reset, const cvy_loop_t *from, cvy_buf_t dropped[2])
{
    side_t *other = side == &link->sides[0] ? &link->sides[1] : &link->sides[0];
    side->gone = true;
    side->pair = NULL;
    cvy_buf_append_buf(&dropped[0], &side->inbox);
    if (reset) cvy_buf_append_buf(&dropped[1], &other->inbox);
    other->ended = true;
    other->reset |= reset || cvy_buf_len(&dropped[0]) > 0;
    poke(link, other, from);
}

static void leave_locked(cvy__pair_link_t *link, side_t *side, bool reset, const cvy_loop_t *from)
{
    cvy_buf_t dropped[2] = { CVY_BUF_INIT, CVY_BUF_INIT };
    uv_mutex_lock(&link->mutex);
    leave(link, side, reset, from, dropped);
    uv_mutex_unlock(&link->mutex);
    cvy_buf_fini(&dropped[0]);
    cvy_buf_fini(&dropped[1]);
}

void cvy__pair_link_abandon(cvy__pair_link_t *link, int side)
{
    leave_locked(link, &link->sides[side], true, NULL);
    unref(link);
}

/* Reading */

typedef enum news { NOTHING, BYTES, END, RESET } news_t;

static news_t look(pair_t *p)
{
    uv_mutex_lock(&p->link->mutex);
    const side_t *s = mine(p);
    news_t news = cvy_buf_len(&s->inbox) ? BYTES : s->reset ? RESET : s->ended ? END : NOTHING;
    uv_mutex_unlock(&p->link->mutex);
    return news;
}

static void read_inbox(pair_t *p)
{
    cvy_loop_t *loop = p->transport.conveyor.loop;
    cvy_buf_t in;
    cvy_buf_init(&in, loop->pool);
    uv_mutex_lock(&p->link->mutex);
    side_t *s = mine(p);
    cvy_buf_append_buf(&in, &s->inbox);
    if (s->peer_waits) poke(p->link, peer_of(p), loop);
    s->peer_waits = false;
    uv_mutex_unlock(&p->link->mutex);
    cvy__transport_read_buf(&p->transport, &in);
    cvy_buf_fini(&in);
}

/* Delivers one piece of news; whether to look again. */
static bool deliver(pair_t *p)
{
    cvy_transport_t *t = &p->transport;
    news_t news = look(p);
    if (news == NOTHING) return false;
    if (!cvy__transport_may_read(t)) {
        cvy__transport_not_now(t);
        if (p->reading) cvy__loop_defer_turn(t->conveyor.loop, &p->work); /* only the turn's budget is used up */
        return false;
    }
    if (news == BYTES) {
        read_inbox(p);
        return true;
    }
    if (news == RESET)
        cvy__transport_read_error(t, UV_ECONNRESET);
    else
        cvy__transport_read_eof(t);
    return false;
}

static void pump(pair_t *p)
{
    if (p->waiting) {
        p->waiting = false;
        cvy__transport_wrote(&p->transport, 0, 0); /* try again */
    }
    while (p->reading && deliver(p))
        ;
}

static void run_work(cvy__work_t *work)
{
    pair_t *p = CVY__OF(work, pair_t, work);
    if (p->closed_due) {
        cvy__transport_closed(&p->transport);
        return;
    }
    if (p->shut_due) {
        p->shut_due = false;
        cvy__transport_shut(&p->transport, 0);
    }
    pump(p);
}

static void on_wake(cvy_task_t *task, int status)
{
    cvy__pair_link_t *link = task->arg;
    side_t *side = CVY__OF(task, side_t, wake);
    uv_mutex_lock(&link->mutex);
    side->poked = false;
    pair_t *p = side->pair;
    uv_mutex_unlock(&link->mutex);
    if (p && !status) pump(p);
    unref(link);
}

static int read_start(cvy_transport_t *t)
{
    of(t)->reading = true;
    cvy__loop_defer(t->conveyor.loop, &of(t)->work);
    return 0;
}

static void read_stop(cvy_transport_t *t)
{
    of(t)->reading = false;
}

/* Writing */

/* How much the peer has room for, or why nothing can be sent. */
static int room_at_peer(pair_t *p, size_t *room, bool *same_loop)
{
    int err = 0;
    uv_mutex_lock(&p->link->mutex);
    side_t *peer = peer_of(p);
    size_t used = cvy_buf_len(&peer->inbox);
    *room = used < INBOX_BYTES ? INBOX_BYTES - used : 0;
    *same_loop = peer->pair && peer->loop == p->transport.conveyor.loop;
    if (mine(p)->reset)
        err = UV_ECONNRESET;
    else if (peer->gone)
        err = UV_EPIPE;
    else if (!*room)
        err = UV_EAGAIN;
    peer->peer_waits = err == UV_EAGAIN;
    uv_mutex_unlock(&p->link->mutex);
    return err;
}

static int deposit(pair_t *p, cvy_buf_t *bytes)
{
    uv_mutex_lock(&p->link->mutex);
    side_t *peer = peer_of(p);
    int n = peer->gone ? UV_EPIPE : (int)cvy_buf_len(bytes);
    if (n > 0) {
        cvy_buf_append_buf(&peer->inbox, bytes);
        poke(p->link, peer, p->transport.conveyor.loop);
    }
    uv_mutex_unlock(&p->link->mutex);
    return n;
}

static int write_head(cvy_transport_t *t, const cvy_buf_t *out)
{
    pair_t *p = of(t);
    size_t room;
    bool same_loop;
    cvy_buf_t part;
    int err = room_at_peer(p, &room, &same_loop);
    p->waiting = err == UV_EAGAIN;
    if (err) return err;
    err = cvy_buf_slice(&part, out, 0, cvy_buf_len(out) < room ? cvy_buf_len(out) : room);
    if (err) return err;
    if (!same_loop) cvy_buf_hand_over(&part);
    int n = deposit(p, &part);
    cvy_buf_fini(&part);
    return n;
}

static int end_writing(cvy_transport_t *t)
{
    pair_t *p = of(t);
    uv_mutex_lock(&p->link->mutex);
    peer_of(p)->ended = true;
    poke(p->link, peer_of(p), t->conveyor.loop);
    uv_mutex_unlock(&p->link->mutex);
    p->shut_due = true;
    cvy__loop_defer(t->conveyor.loop, &p->work);
    return 0;
}

/* Ending */

static void close_side(cvy_transport_t *t, bool reset)
{
    pair_t *p = of(t);
    p->reading = p->waiting = false;
    leave_locked(p->link, mine(p), reset, t->conveyor.loop);
    p->closed_due = true;
    cvy__loop_undefer(&p->work);
    /* As a system's close callback: never inside the call that makes t. */
    cvy__loop_defer_turn(t->conveyor.loop, &p->work);
}

static int probe(cvy_transport_t *t)
{
    pair_t *p = of(t);
    uv_mutex_lock(&p->link->mutex);
    int err = mine(p)->reset ? UV_ECONNRESET : 0;
    uv_mutex_unlock(&p->link->mutex);
    return err;
}

static void free_pair(cvy_transport_t *t)
{
    unref(of(t)->link);
    cvy__free(of(t));
}

static const cvy__kind_t inproc = {
    .name = "inproc",
    .read_start = read_start,
    .read_stop = read_stop,
    .write = write_head,
    .shutdown = end_writing,
    .close = close_side,
    .probe = probe,
    .free = free_pair,
};

int cvy__pair_open(cvy_transport_t **out, cvy__pair_link_t *link, int side, cvy_loop_t *loop, cvy__shared_opts_t *opts,
                   const char *self, const char *other)
{
    pair_t *p = cvy__calloc(1, sizeof *p);
    if (!p) return UV_ENOMEM;
    p->link = link;
    p->side = side;
    cvy__work_init(&p->work, run_work);
    int err = cvy__transport_set_endpoints(&p->transport, self, NULL, other, NULL);
    if (!err) err = cvy__transport_init(&p->transport, &inproc, loop, opts);
    if (err) {
        cvy__transport_forget_endpoints(&p->transport);
        cvy__free(p);
        return err;
    }
    uv_mutex_lock(&link->mutex);
    mine(p)->loop = loop;
    mine(p)->pair = p;
    uv_mutex_unlock(&link->mutex);
    *out = &p->transport;
    return 0;
}
