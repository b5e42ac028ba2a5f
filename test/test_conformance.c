/* T14: one suite over every kind of transport. Each test runs once per kind; _i is the kind. */
#include <stdlib.h>
#include <string.h>

#include <conveyor/embedded.h>

#include "support.h"
#include "wire.h"

/* E5, E6, T8, T9, L2: a says hello when active; b answers; a closes on the answer. The whole order, on both sides. */
START_OVER_KINDS(order_of_events)
{
    static const recorder_rule_t at_a[] = { { "active", 1, RECORD_WRITE, "hello", 0 },
                                            { "bytes", 1, RECORD_GRACEFUL, NULL, 0 },
                                            { 0 } };
    static const recorder_rule_t at_b[] = { { "bytes", 1, RECORD_ECHO, NULL, 0 }, { 0 } };
    w.a.r.rules = at_a;
    w.b.r.rules = at_b;
    if (wire_copies(w.kind)) w.a.r.flags = w.b.r.flags = RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    if (wire_copies(w.kind)) { /* a write that is done later ends another turn: flush comes more often */
        ck_assert_str_eq(recorder_text(&w.a.log), "a: added\na: active\na: bytes 5 hello\na: inactive\na: removed\n");
        ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: bytes 5 hello\nb: read-closed\n"
                                                  "b: out-close graceful 0\nb: inactive\nb: removed\n");
    } else {
        ck_assert_str_eq(recorder_text(&w.a.log),
                         "a: added\na: active\na: flush\na: bytes 5 hello\na: inactive\na: removed\n");
        ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: bytes 5 hello\nb: read-complete\nb: flush\n"
                                                  "b: read-closed\nb: flush\nb: out-close graceful 0\nb: inactive\n"
                                                  "b: removed\n");
    }
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* Both directions at once, in pieces of the given size. */
static void stream_both_ways(wire_t *w, uint64_t total, size_t chunk)
{
    w->a.r.hook = w->b.r.hook = wire_hook;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.hold_reads = w->b.opts.hold_reads = CVY_OFF;
    ck_assert_int_eq(wire_open(w, NULL), 0);
    wire_source(&w->a, total, chunk);
    wire_source(&w->b, total, chunk);
    WIRE_UNTIL(w, w->a.r.bytes >= total && w->b.r.bytes >= total);
    ck_assert_uint_eq(w->a.r.bytes, total);
    ck_assert_uint_eq(w->b.r.bytes, total);
    ck_assert_uint_eq(w->a.wrong + w->b.wrong, 0);
    cvy_transport_close(w->a.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(w, wire_gone(w));
    ck_assert_int_eq(w->a.cause, 0);
    ck_assert_int_eq(w->b.cause, 0);
}

/* T3, T4 */
START_OVER_KINDS(bytes_written_one_by_one_arrive_intact)
{
    stream_both_ways(&w, 200000, 1);
}
END_OVER_KINDS

/* T3, T4, T7: more than the kernel takes at once. */
START_OVER_KINDS(writes_of_1_mib_arrive_intact)
{
    stream_both_ways(&w, 32 << 20, 1 << 20);
}
END_OVER_KINDS

/* T8, T9: each side ends its own stream; the other direction lives on. */
START_OVER_KINDS(half_close_leaves_the_other_direction)
{
    static const recorder_rule_t at_b[] = { { "read-closed", 1, RECORD_WRITE, "answer", 0 },
                                            { "read-closed", 1, RECORD_END, NULL, 0 },
                                            { 0 } };
    w.b.r.rules = at_b;
    w.a.r.flags = w.b.r.flags = RECORD_NO_TURNS;
    w.a.opts.allow_half_close = w.b.opts.allow_half_close = 1;
    if (wire_half_closes(w.kind)) {
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        ck_assert_int_eq(wire_text(&w.a, "question"), 0);
        ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
        ck_assert_int_eq(wire_text(&w.a, "more"), UV_EPIPE);
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_str_eq(recorder_text(&w.a.log),
                         "a: added\na: active\na: bytes 6 answer\na: read-closed\na: inactive\na: removed\n");
        ck_assert_str_eq(recorder_text(&w.b.log),
                         "b: added\nb: active\nb: bytes 8 question\nb: read-closed\nb: inactive\nb: removed\n");
        ck_assert_int_eq(w.a.cause, 0);
        ck_assert_int_eq(w.b.cause, 0);
    }
}
END_OVER_KINDS

/* T9: graceful close sends what is queued, whatever there is of it. */
START_OVER_KINDS(graceful_close_drains)
{
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, 8 << 20, 8 << 20);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    ck_assert_int_eq(wire_text(&w.a, "late"), UV_EPIPE);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_uint_eq(w.b.r.bytes, 8 << 20);
    ck_assert_uint_eq(w.b.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w.b.r, "read-closed"), 1);
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

typedef struct tickets {
    wire_end_t *end;
    int given, done, failed, first_error;
    bool late; /* one came after inactive */
} tickets_t;

typedef struct ticket {
    tickets_t *all;
    int number;
} ticket_t;

static void on_ticket(cvy_transport_t *t, int status, void *arg)
{
    ticket_t *ticket = arg;
    tickets_t *all = ticket->all;
    (void)t;
    ck_assert_int_eq(ticket->number, all->done); /* once, and in order */
    ck_assert(status || !all->failed);           /* none succeeds after one has failed */
    all->done++;
    if (status && !all->failed++) all->first_error = status;
    all->late |= recorder_seen(&all->end->r, "inactive") > 0;
}

static ticket_t slips[200];

static void write_with_ticket(tickets_t *all, size_t n)
{
    static char bytes[65536];
    ticket_t *ticket = &slips[all->given];
    *ticket = (ticket_t){ all, all->given };
    ck_assert_int_eq(wire_write(all->end, bytes, n), 0);
    ck_assert_int_eq(cvy_transport_flush(all->end->t, on_ticket, ticket), 0);
    all->given++;
}

/* T4, T9: closing now drops the queue; who waited for it is told once, in order, before inactive. */
START_OVER_KINDS(now_drops_the_queue_and_cancels_tickets)
{
    tickets_t tickets = { .end = &w.a };
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    for (int i = 0; i < 200; i++)
        write_with_ticket(&tickets, 65536);
    wire_turns(&w, 3);
    ck_assert_int_lt(tickets.done, tickets.given);
    cvy_transport_close(w.a.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(tickets.done, tickets.given);
    ck_assert_int_eq(tickets.first_error, UV_ECANCELED);
    ck_assert(!tickets.late);
    ck_assert_int_eq(w.a.cause, 0);
}
END_OVER_KINDS

/* T4 */
START_OVER_KINDS(tickets_complete_in_order)
{
    tickets_t tickets = { .end = &w.a };
    w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (int i = 0; i < 100; i++)
        write_with_ticket(&tickets, 1 + (size_t)i * 600);
    WIRE_UNTIL(&w, tickets.done == 100);
    ck_assert_int_eq(tickets.failed, 0);
}
END_OVER_KINDS

/* T4, T17: the peer dies with much of ours under way. */
START_OVER_KINDS(tickets_complete_once_when_the_peer_dies)
{
    tickets_t tickets = { .end = &w.a };
    w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    for (int i = 0; i < 200; i++)
        write_with_ticket(&tickets, 65536);
    wire_turns(&w, 3);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(tickets.done, tickets.given);
    ck_assert(tickets.first_error == UV_ECONNRESET || tickets.first_error == UV_EPIPE);
    ck_assert(!tickets.late);
    ck_assert_int_eq(w.a.cause, tickets.first_error);
    ck_assert_int_eq(recorder_seen(&w.a.r, "error"), 1);
}
END_OVER_KINDS

/* T9, T17: a reset is an error, never an end of stream. */
START_OVER_KINDS(reset_is_an_error_and_no_end_of_stream)
{
    w.a.r.flags = RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    if (wire_resets(w.kind)) {
        ck_assert_int_eq(w.a.cause, UV_ECONNRESET);
        ck_assert_str_eq(recorder_text(&w.a.log),
                         "a: added\na: active\na: error ECONNRESET transport\na: inactive\na: removed\n");
    } else {
        ck_assert_int_eq(w.a.cause, 0);
        ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 1);
    }
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T17: one who only writes, and waits for room, learns of it by the same codes. */
START_OVER_KINDS(reset_is_seen_by_a_waiting_writer)
{
    w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 16 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.a.t, false);
    cvy_transport_readable_state_changed(w.b.t, false);
    wire_source(&w.a, 16 << 20, 1 << 20);
    wire_turns(&w, 5);
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_WRITING);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert(w.a.cause == UV_ECONNRESET || w.a.cause == UV_EPIPE);
    ck_assert_int_eq(recorder_seen(&w.a.r, "error"), 1);
}
END_OVER_KINDS

/* T2, T6: suspended in the read callback itself, not one byte follows, however much comes; resumed, all of it. */
START_OVER_KINDS(suspend_in_a_read_callback_is_effective_at_once)
{
    static const recorder_rule_t at_b[] = { { "bytes", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    w.b.r.rules = at_b;
    w.b.r.hook = w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, 4 << 20, 10000);
    WIRE_UNTIL(&w, w.b.r.bytes);
    uint64_t first = w.b.r.bytes;
    ck_assert(cvy_transport_suspended(w.b.t));
    wire_turns(&w, 20);
    ck_assert_uint_eq(w.b.r.bytes, first);
    ck_assert_int_eq(recorder_seen(&w.b.r, "bytes"), 1);
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, w.b.r.bytes == 4 << 20);
    ck_assert_uint_eq(w.b.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w.b.r, "inbound-resume"), 1);
}
END_OVER_KINDS

/* T8: the end of stream waits behind the bytes while reading is suspended. */
START_OVER_KINDS(end_of_stream_waits_while_suspended)
{
    static const recorder_rule_t at_b[] = { { "active", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    w.b.r.rules = at_b;
    w.b.r.flags = RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(wire_text(&w.a, "last words"), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    wire_turns(&w, 20);
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\n");
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_str_eq(recorder_text(&w.b.log),
                     "b: added\nb: active\nb: inbound-resume\nb: bytes 10 last words\nb: read-closed\n"
                     "b: out-close graceful 0\nb: inactive\nb: removed\n");
}
END_OVER_KINDS

/* T5: strictly alternating, and nothing once closing. */
START_OVER_KINDS(writability_alternates)
{
    w.a.r.hook = wire_hook;
    w.b.r.flags = RECORD_SILENT;
    w.a.r.flags = RECORD_NO_TURNS | RECORD_NO_BYTES;
    w.a.opts.send_buffer = w.b.opts.receive_buffer = 65536; /* or the kernel takes it all */
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, 8 << 20, 100000);
    WIRE_UNTIL(&w, w.b.r.bytes == 8 << 20);
    wire_turns(&w, 3);
    int pairs = 0, told = 0;
    for (const char *line = recorder_text(&w.a.log); *line; line = strchr(line, '\n') + 1) {
        if (!strncmp(line, "a: outbound-suspend", 19)) ck_assert_int_eq(++told, 1);
        if (!strncmp(line, "a: outbound-resume", 18)) ck_assert_int_eq(--told, 0);
        pairs += !strncmp(line, "a: outbound-resume", 18);
    }
    ck_assert_int_eq(told, 0);
    ck_assert_int_gt(pairs, 2);
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

/* E6, T3, T16: after closing writes are refused whole; a reference keeps the memory, and it answers. */
START_OVER_KINDS(a_closed_transport_refuses)
{
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_t *t = cvy_transport_ref(w.a.t);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    ck_assert_int_eq(wire_text(&w.a, "no"), UV_EPIPE);
    WIRE_UNTIL(&w, wire_gone(&w));
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_append(&b, "no", 2), 0);
    ck_assert_int_eq(cvy_transport_write(t, &b), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(t), &b), UV_EPIPE);
    ck_assert_uint_eq(cvy_buf_len(&b), 2);
    ck_assert_int_eq(cvy_transport_flush(t, NULL, NULL), UV_EPIPE);
    ck_assert_str_eq(cvy_transport_kind(t), wire_name(w.kind));
    cvy_buf_fini(&b);
    cvy_transport_unref(t);
}
END_OVER_KINDS

/* T7: what is written in one turn leaves in one gathered write. */
START_OVER_KINDS(a_turn_ends_with_one_write)
{
    w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_watched_writes = 0;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wire_text(&w.a, "one of a hundred small writes"), 0);
    ck_assert_uint_eq(cvy_transport_queued(w.a.t), 2900);
    wire_turn(&w);
    ck_assert_uint_eq(cvy_transport_queued(w.a.t), 0);
    WIRE_UNTIL(&w, w.b.r.bytes == 2900);
    ck_assert_int_eq(wire_watched_writes, w.kind == WIRE_WATCHED);
    cvy_transport_stats_t stats;
    cvy_transport_stats(w.a.t, &stats);
    ck_assert_uint_eq(stats.bytes_written, 2900);
}
END_OVER_KINDS

/* T14, T15: the embedded kind has no wire; the same life gives the same log, and its writes can be counted. */
START_TEST(embedded_lives_the_same_life)
{
    static const recorder_rule_t rules[] = { { "active", 1, RECORD_WRITE, "hello", 0 },
                                             { "bytes", 1, RECORD_GRACEFUL, NULL, 0 },
                                             { 0 } };
    recorder_log_t log;
    cvy_embedded_t *e;
    recorder_log_init(&log);
    recorder_t a = { .name = "a", .log = &log, .rules = rules };
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = recorder_init_conveyor, .arg = &a }), 0);
    ck_assert_int_eq(cvy_embedded_feed(e, "hello", 5), 0);
    ck_assert(cvy_embedded_shut(e));
    cvy_embedded_end(e);
    ck_assert(cvy_embedded_closed(e, NULL));
    ck_assert_str_eq(recorder_text(&log), "a: added\na: active\na: flush\na: bytes 5 hello\na: inactive\na: removed\n");
    cvy_embedded_free(e);
    recorder_fini(&a);
    recorder_log_fini(&log);
}
END_TEST

/* T7 */
START_TEST(embedded_ends_a_turn_with_one_write)
{
    static const recorder_rule_t rules[] = { { "bytes", 0, RECORD_WRITE, "one", 0 },
                                             { "bytes", 0, RECORD_WRITE, "two", 0 },
                                             { "bytes", 0, RECORD_ECHO, NULL, 0 },
                                             { 0 } };
    cvy_embedded_t *e;
    recorder_t a = { .name = "a", .rules = rules, .flags = RECORD_SILENT };
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = recorder_init_conveyor, .arg = &a }), 0);
    ck_assert_int_eq(cvy_embedded_feed(e, "three", 5), 0);
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 1);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "onetwothree", 11));
    cvy_embedded_free(e);
    recorder_fini(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conformance");
    TCase *tc = tcase_create("every kind");
    tcase_set_timeout(tc, 20);
    ADD_OVER_KINDS(tc, order_of_events);
    ADD_OVER_KINDS(tc, bytes_written_one_by_one_arrive_intact);
    ADD_OVER_KINDS(tc, writes_of_1_mib_arrive_intact);
    ADD_OVER_KINDS(tc, half_close_leaves_the_other_direction);
    ADD_OVER_KINDS(tc, graceful_close_drains);
    ADD_OVER_KINDS(tc, now_drops_the_queue_and_cancels_tickets);
    ADD_OVER_KINDS(tc, tickets_complete_in_order);
    ADD_OVER_KINDS(tc, tickets_complete_once_when_the_peer_dies);
    ADD_OVER_KINDS(tc, reset_is_an_error_and_no_end_of_stream);
    ADD_OVER_KINDS(tc, reset_is_seen_by_a_waiting_writer);
    ADD_OVER_KINDS(tc, suspend_in_a_read_callback_is_effective_at_once);
    ADD_OVER_KINDS(tc, end_of_stream_waits_while_suspended);
    ADD_OVER_KINDS(tc, writability_alternates);
    ADD_OVER_KINDS(tc, writing_to_a_closed_peer_is_no_signal);
    ADD_OVER_KINDS(tc, a_closed_transport_refuses);
    ADD_OVER_KINDS(tc, a_turn_ends_with_one_write);
    tcase_add_test(tc, embedded_lives_the_same_life);
    tcase_add_test(tc, embedded_ends_a_turn_with_one_write);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
