/*
 * T14, continued: the outbound queue over every kind: its marks, its limit, its tickets, and what becomes of them with a peer that is
 * gone. CONFORM_MIB says how much the heavy case sends (100).
 */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

/* Counts writability at one end, and checks each event against what the end would answer. */
typedef struct marks {
    wire_end_t *end;
    size_t most; /* may ever be queued */
    int suspended, pairs, depth;
    bool wrong;
} marks_t;

static marks_t marks;

static void watch_marks(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    bool suspend = !strcmp(event, "outbound-suspend"), resume = !strcmp(event, "outbound-resume");
    if (suspend || resume) {
        const cvy_transport_t *t = marks.end->t;
        marks.wrong |= marks.suspended != resume || marks.depth || cvy_transport_closing(t);
        marks.wrong |= cvy_transport_queued(t) > marks.most;
        if (resume) marks.wrong |= cvy_transport_queued(t) > 8192 || !cvy_transport_writable(marks.end->t);
        marks.suspended = suspend;
        marks.pairs += resume;
    }
    marks.depth++;
    wire_hook(r, ctx, event, in);
    marks.depth--;
}

/* Sends total bytes through marks of 8 and 16 KiB, in writes of chunk. */
static void send_through_marks(wire_t *w, uint64_t total, size_t chunk)
{
    marks = (marks_t){ .end = &w->a, .most = 16384 + chunk };
    w->a.r.hook = watch_marks;
    w->b.r.hook = wire_hook;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.high_bytes = 16384;
    w->a.opts.low_bytes = 8192;
    ck_assert_int_eq(wire_open(w, NULL), 0);
    wire_source(&w->a, total, chunk);
    WIRE_UNTIL(w, w->b.r.bytes == total);
    wire_turns(w, 2);
    ck_assert_uint_eq(w->b.wrong, 0);
    ck_assert(!marks.wrong);
    ck_assert_int_eq(marks.suspended, 0);
    ck_assert_int_gt(marks.pairs, 2);
}

/* T5: a producer that writes while it is told that it may; strictly alternating, and never more than one write above the mark. */
START_OVER_KINDS(writability_alternates_over_100_mib)
{
    const char *mib = getenv("CONFORM_MIB");
    send_through_marks(&w, (uint64_t)(mib ? atoi(mib) : 100) << 20, 5000);
    ck_assert_uint_lt(cvy_transport_queued(w.a.t), 1);
}
END_OVER_KINDS

/* T5 */
START_OVER_KINDS(writability_alternates)
{
    send_through_marks(&w, wire_scaled(2 << 20) + 100000, 5000);
}
END_OVER_KINDS

/* T5: each resume event writes far above the mark: no event inside it, the next suspend follows, and nothing is lost. */
START_OVER_KINDS(writes_from_inside_the_resume_event)
{
    send_through_marks(&w, wire_scaled(2 << 20) + 400000, 100000);
}
END_OVER_KINDS

/* T5, T3: one buffer of any size goes while no more than the limit is queued; then each is refused whole, until there is room. */
START_OVER_KINDS(above_the_hard_limit_writes_are_refused_whole)
{
    size_t n = (size_t)wire_scaled(4 << 20) + 100000;
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 4096;
    w.a.opts.hard_bytes = 8192;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    int refused = 0;
    for (int i = 0; i < 100 && refused < 3; i++) {
        cvy_buf_t out;
        cvy_buf_init(&out, cvy_loop_pool(w.a.loop));
        wire_pattern(&out, w.a.sent, n);
        int err = cvy_transport_write(w.a.t, &out);
        ck_assert(err == 0 || err == UV_ENOBUFS);
        ck_assert_uint_eq(cvy_buf_len(&out), err ? n : 0);
        if (err)
            refused++;
        else
            w.a.sent += n;
        cvy_buf_fini(&out);
        wire_turns(&w, 1);
    }
    ck_assert_int_eq(refused, 3);
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, w.b.r.bytes == w.a.sent && !cvy_transport_queued(w.a.t));
    ck_assert_int_eq(wire_text(&w.a, "room again"), 0);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* T3, T5, T8: refused whole by every call, and no event for it: what is still queued goes out, and ends the pair that was begun. */
START_OVER_KINDS(a_write_after_our_end_fails_without_an_event)
{
    size_t taken = 77;
    cvy_buf_t out = CVY_BUF_INIT;
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 1000;
    w.a.opts.hard_bytes = 64 << 20;
    w.b.opts.allow_half_close = 1;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    size_t n = 16 << 20; /* more than any system takes */
    wire_source(&w.a, n, n);
    wire_turns(&w, 2);
    ck_assert_int_eq(recorder_seen(&w.a.r, "outbound-suspend"), 1);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    ck_assert_int_eq(cvy_buf_append(&out, "late", 4), 0);
    ck_assert_int_eq(cvy_transport_write(w.a.t, &out), UV_EPIPE);
    ck_assert_int_eq(cvy_transport_write_some(w.a.t, &out, &taken), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(w.a.t), &out), UV_EPIPE);
    ck_assert_uint_eq(cvy_buf_len(&out), 4);
    ck_assert_uint_eq(taken, 77);
    ck_assert(!cvy_transport_writable(w.a.t));
    cvy_buf_fini(&out);
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, recorder_seen(&w.b.r, "read-closed"));
    wire_turns(&w, 2);
    ck_assert_uint_eq(w.b.r.bytes, n);
    cvy_fire_outbound_copy(w.a.r.ctx, "dropped", 7);
    wire_turns(&w, 2);
    ck_assert_int_eq(recorder_seen(&w.a.r, "outbound-suspend"), 1);
    ck_assert_int_eq(recorder_seen(&w.a.r, "outbound-resume"), 1);
    ck_assert_uint_eq(w.b.r.bytes, n);
}
END_OVER_KINDS

/* Tickets */

typedef struct tickets {
    wire_end_t *end;
    int given, done, failed, first_error;
    bool wrong; /* out of order, twice, a success behind a failure, or later than inactive */
} tickets_t;

static tickets_t tickets;

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    (void)t;
    tickets.wrong |= (int)(uintptr_t)arg != tickets.done || (!status && tickets.failed) ||
                     recorder_seen(&tickets.end->r, "inactive") > 0;
    tickets.done++;
    if (status && !tickets.failed++) tickets.first_error = status;
}

static void write_with_tickets(wire_end_t *end, int n, size_t bytes)
{
    tickets = (tickets_t){ .end = end };
    for (int i = 0; i < n; i++) {
        cvy_buf_t out;
        cvy_buf_init(&out, cvy_loop_pool(end->loop));
        wire_pattern(&out, end->sent, bytes + (size_t)i);
        end->sent += bytes + (size_t)i;
        ck_assert_int_eq(cvy_transport_write(end->t, &out), 0);
        ck_assert_int_eq(cvy_transport_flush(end->t, on_ticket, (void *)(uintptr_t)tickets.given++), 0);
        cvy_buf_fini(&out);
    }
}

/* Much more than the link takes, to a peer that does not read. */
static void fill_the_link(wire_t *w)
{
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(w, NULL), 0);
    cvy_transport_readable_state_changed(w->b.t, false);
    write_with_tickets(&w->a, 200, 65536);
    wire_turns(w, 3);
    ck_assert_int_lt(tickets.done, tickets.given);
}

/* T4 */
START_OVER_KINDS(tickets_complete_in_order)
{
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    write_with_tickets(&w.a, 100, (size_t)wire_scaled(30000));
    WIRE_UNTIL(&w, tickets.done == 100);
    ck_assert_int_eq(tickets.failed, 0);
    ck_assert(!tickets.wrong);
    WIRE_UNTIL(&w, w.b.r.bytes == w.a.sent);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* T4, T9: what is pending when we close gracefully is sent, and said so, in order, before inactive. */
START_OVER_KINDS(pending_writes_at_close_complete_in_order)
{
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    write_with_tickets(&w.a, 100, (size_t)wire_scaled(60000));
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(tickets.done, 100);
    ck_assert_int_eq(tickets.failed, 0);
    ck_assert(!tickets.wrong);
    ck_assert_uint_eq(w.b.r.bytes, w.a.sent);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* T4, T9: closing now drops the queue; who waited for it is told once, in order, before inactive. */
START_OVER_KINDS(now_drops_the_queue_and_cancels_tickets)
{
    fill_the_link(&w);
    cvy_transport_close(w.a.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(tickets.done, tickets.given);
    ck_assert_int_eq(tickets.first_error, UV_ECANCELED);
    ck_assert(!tickets.wrong);
    ck_assert_int_eq(w.a.cause, 0);
}
END_OVER_KINDS

/* T4, T17: the peer dies with much of ours under way. */
START_OVER_KINDS(tickets_complete_once_when_the_peer_dies)
{
    fill_the_link(&w);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(tickets.done, tickets.given);
    ck_assert(tickets.first_error == UV_ECONNRESET || tickets.first_error == UV_EPIPE);
    ck_assert(!tickets.wrong);
    ck_assert_int_eq(w.a.cause, tickets.first_error);
    ck_assert_int_eq(recorder_seen(&w.a.r, "error"), 1);
}
END_OVER_KINDS

/* R6, T17: writing to a peer that is gone ends this connection, not the process. */
START_OVER_KINDS(writing_to_a_closed_peer_is_no_signal)
{
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.a.t, false);
    cvy_transport_close(w.b.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, !w.b.t);
    while (w.a.t) {
        wire_text(&w.a, "anyone there?");
        wire_turn(&w);
    }
    ck_assert(w.a.cause == UV_ECONNRESET || w.a.cause == UV_EPIPE);
    ck_assert_int_eq(wire_text(&w.a, "no"), UV_EPIPE);
}
END_OVER_KINDS

static const conform_case_t cases[] = {
    CONFORM(writability_alternates_over_100_mib, 0, CONFORM_ONE_VARIANT),
    CONFORM(writability_alternates, 0, CONFORM_ALL_VARIANTS),
    CONFORM(writes_from_inside_the_resume_event, 0, CONFORM_ALL_VARIANTS),
    CONFORM(above_the_hard_limit_writes_are_refused_whole, 0, CONFORM_ONE_VARIANT),
    CONFORM(a_write_after_our_end_fails_without_an_event, NEEDS_HALF_CLOSE, CONFORM_ONE_VARIANT),
    CONFORM(tickets_complete_in_order, 0, CONFORM_ALL_VARIANTS),
    CONFORM(pending_writes_at_close_complete_in_order, 0, CONFORM_ALL_VARIANTS),
    CONFORM(now_drops_the_queue_and_cancels_tickets, 0, CONFORM_ONE_VARIANT),
    CONFORM(tickets_complete_once_when_the_peer_dies, 0, CONFORM_ONE_VARIANT),
    CONFORM(writing_to_a_closed_peer_is_no_signal, 0, CONFORM_ALL_VARIANTS),
};

int main(void)
{
    return WIRE_RUN("writing", cases);
}
