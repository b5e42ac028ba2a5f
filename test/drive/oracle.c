/* What must hold: at any time, after each operation, and when all has come to rest. */
#include <stdlib.h>
#include <string.h>

#include "inner.h"

/* Rest takes a while where the system moves the bytes: so many turns of at least a millisecond at most. */
enum { PATIENCE = 5000 };

void keep(bytes_t *to, const void *bytes, size_t n)
{
    if (to->len + n > to->cap) {
        to->cap = 2 * (to->cap + n);
        to->data = realloc(to->data, to->cap);
        must(to->data);
    }
    if (n) memcpy(to->data + to->len, bytes, n);
    to->len += n;
}

static cvy_transport_stats_t stats(void)
{
    cvy_transport_stats_t s;
    cvy_transport_stats(d.t, &s);
    return s;
}

uint64_t position(void)
{
    return stats().bytes_written + cvy_transport_queued(d.t);
}

int expected_refusal(void)
{
    if (cvy_transport_closing(d.t) || d.t->shut_asked) return UV_EPIPE;
    return d.t->phase == CVY__CONNECTING ? UV_ENOTCONN : 0;
}

/* T17 */
void check_cause(int cause)
{
    static const int codes[] = { UV_ECONNRESET, UV_EPIPE, UV_ENOMEM, UV_ENOBUFS, UV_ETIMEDOUT };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (cause == codes[i]) return;
    drive_broken(__FILE__, __LINE__, uv_err_name(cause));
}

/* Segments: counted, and one of them fails when it is asked for. */

static void *take_segment(void *arg, size_t n, size_t align)
{
    (void)arg;
    if (d.segment_fails && !--d.segment_fails) return NULL;
    void *p = cvy_alloc_malloc()->alloc(cvy_alloc_malloc()->arg, n, align);
    d.segments += p != NULL;
    return p;
}

static void give_segment(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    d.segments--;
    cvy_alloc_malloc()->free(cvy_alloc_malloc()->arg, p, n, align);
}

const cvy_alloc_t drive_segments = { take_segment, give_segment, NULL };

/* At any time */

/* Whoever still stands and holds the read suspend. */
static size_t holders(void)
{
    size_t n = (d.c->held_for & CVY__HOLDER_QUEUE ? 1 : 0) + (d.c->held_for & CVY__HOLDER_APPLICATION ? 1 : 0) +
               (d.c->held_for & CVY__HOLDER_ACTIVE ? 1 : 0);
    for (const cvy_ctx_t *at = d.c->ends.next; at != &d.c->ends; at = at->next)
        n += (at->flags & (CVY__CTX_HOLDS_READS | CVY__CTX_REMOVED)) == CVY__CTX_HOLDS_READS;
    return n;
}

void look(void)
{
    d.callbacks++;
#ifdef NDEBUG
    d.read_state = d.t->read_state;
    d.write_state = d.t->write_state;
    d.shut = d.shut || d.write_state == CVY_WRITE_SHUT;
#endif
    must(d.read_state == cvy_transport_read_state(d.t) && d.write_state == cvy_transport_write_state(d.t));
    /* a failed write ends it, once the peer's last words are read */
    must(d.t->phase != CVY__OPEN || d.write_state != CVY_WRITE_ERROR || (d.t->shut_called && d.t->cause));
    must(d.t->phase != CVY__OPEN || d.read_state != CVY_READ_ERROR);
    must((d.t->phase == CVY__CLOSED) == (d.read_state == CVY_READ_CLOSED));
    must((d.t->phase == CVY__CLOSED) == (d.write_state == CVY_WRITE_CLOSED));
    must(d.t->phase != CVY__OPEN || !cvy_transport_suspended(d.t) || d.read_state != CVY_READ_READING);
    must(d.t->phase == CVY__CLOSED || position() == d.accepted.len);
    must(d.c->holders == holders() && cvy_transport_suspended(d.t) == (d.c->holders > 0));
}

/* After each operation */

void check_flow(void)
{
    look();
    if (d.io->simulated) {
        peer_reads(EVERYTHING);
        must(stats().bytes_written == d.peer_got);
        must(!d.shut || d.peer_got == d.accepted.len);
    }
    must(d.t->waiting || d.ended || d.peer_got <= stats().bytes_written);
    must(d.t->phase == CVY__CLOSED || /* what those who post are told */
         atomic_load(&d.t->name.slot->room) == (int64_t)d.t->opts->limits.hard - (int64_t)cvy_transport_queued(d.t));
    must(d.posters[0].done <= d.posters[0].made && d.posters[1].done <= d.posters[1].made);
}

/* At rest: what still has to happen, or NULL. */

#define owes(condition)                      \
    do {                                     \
        if (!(condition)) return #condition; \
    } while (0)

static bool any_holds(void)
{
    for (int i = 0; i < MAX_STAGES; i++)
        if (d.stages[i] && (cvy_buf_len(&of(d.stages[i])->in) || of(d.stages[i])->holds_closed)) return true;
    return false;
}

static const char *owed_while_closing(void)
{
    owes(d.t->phase < CVY__CLOSING);
    owes(d.t->phase != CVY__DRAINING || d.t->waiting);
    owes(d.t->phase != CVY__LINGERING || !(d.peer_ended || d.reset));
    return NULL;
}

static const char *owed_to_readers(void)
{
    owes(!d.peer_gone || d.t->read_state == CVY_READ_EOF);
    owes(d.reset || d.peer_gone || stats().bytes_read == d.fed.len);
    owes(d.reset || d.peer_gone || d.arrived == d.fed.len);
    owes(any_holds() || d.consumed == d.arrived);
    owes(!d.peer_ended || d.peer_gone || any_holds() || of(d.sink)->read_closed);
    return NULL;
}

static const char *owed(void)
{
    if (d.ended || d.t->phase == CVY__CONNECTING) return NULL;
    if (d.t->phase != CVY__OPEN) return owed_while_closing();
    owes(d.write_state != CVY_WRITE_ERROR);
    owes(d.t->waiting || !cvy_transport_queued(d.t));
    owes(cvy__conveyor_is_above(d.c) == d.c->told_above && !d.c->owe_pair);
    owes(d.suspended == d.told_no && d.suspended == d.c->told_above);
    owes(d.tickets_done == d.tickets_made || d.tickets[d.tickets_done] > stats().bytes_written);
    owes(of(d.tap)->active && of(d.sink)->active);
    return cvy_transport_suspended(d.t) ? NULL : owed_to_readers();
}

void check_rest(void)
{
    const char *what;
    check_flow();
    for (int i = 0; (what = owed()); i++) {
        if (d.io->simulated || i == PATIENCE) drive_broken(__FILE__, __LINE__, what);
        d.io->wait();
        check_flow();
    }
}
