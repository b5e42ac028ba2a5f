/*
 * Flush tickets: each names a position in the stream of accepted bytes and is completed once, in order, when the kernel has all before it,
 * or when the connection has ended. Completions run when the conveyor settles, one after the other, never inside the call that made them due.
 */
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

bool cvy__transport_ticket_due(const cvy_transport_t *t)
{
    return t->extra && t->extra->tickets && t->extra->tickets->position <= t->out.consumed;
}

static void complete_first(cvy_transport_t *t, int status)
{
    cvy__extra_t *e = t->extra;
    cvy__ticket_t *ticket = e->tickets;
    e->tickets = ticket->next;
    if (!e->tickets) e->tickets_end = &e->tickets;
    cvy_flush_cb cb = ticket->cb;
    void *arg = ticket->arg;
    cvy__free(ticket);
    cb(t, status, arg);
}

/* Those that a completion adds wait for the next settling: a chain of them must not keep the loop. */
static void complete_due(cvy_transport_t *t)
{
    const cvy__extra_t *e = t->extra;
    if (!e) return;
    cvy__ticket_t **end = e->tickets_end;
    for (bool last = false; !last && cvy__transport_ticket_due(t);) {
        last = &e->tickets->next == end;
        complete_first(t, 0);
    }
    if (cvy__transport_ticket_due(t)) cvy__conveyor_todo(&t->conveyor, CVY__TODO_OWNER);
}

void cvy__transport_settle(cvy_transport_t *t)
{
    complete_due(t);
    const cvy__extra_t *e = t->extra;
    if (t->flushed_out && !t->out.len && e && e->on_flush_completed) {
        t->flushed_out = false;
        e->on_flush_completed(t, e->on_flush_completed_arg);
    }
    if (t->eof_is_new && t->phase == CVY__OPEN) cvy__transport_after_eof(t);
    t->eof_is_new = false;
}

void cvy__transport_fail_tickets(cvy_transport_t *t)
{
    int status = t->lost ? t->lost : UV_ECANCELED;
    while (t->extra && t->extra->tickets)
        complete_first(t, cvy__transport_ticket_due(t) ? 0 : status);
}

int cvy_transport_flush(cvy_transport_t *t, cvy_flush_cb cb, void *arg)
{
    if (cvy__loop_own(t->conveyor.loop)) return UV_EPERM;
    if (t->phase >= CVY__CLOSING) return UV_EPIPE;
    if (cb) {
        cvy__ticket_t *ticket = cvy__malloc(sizeof *ticket);
        cvy__extra_t *e = ticket ? cvy__transport_extra(t) : NULL;
        if (!e) {
            cvy__free(ticket);
            return UV_ENOMEM;
        }
        *ticket = (cvy__ticket_t){ NULL, t->out.consumed + t->out.len, cb, arg };
        *e->tickets_end = ticket;
        e->tickets_end = &ticket->next;
    }
    cvy__transport_flush_now(t);
    if (cvy__transport_ticket_due(t)) cvy__conveyor_todo(&t->conveyor, CVY__TODO_OWNER);
    return 0;
}

void cvy_transport_on_flush_completed(cvy_transport_t *t, void (*cb)(cvy_transport_t *t, void *arg), void *arg)
{
    cvy__extra_t *e = cb ? cvy__transport_extra_or_close(t) : t->extra;
    if (!e) return;
    e->on_flush_completed = cb;
    e->on_flush_completed_arg = arg;
}
