/* T14, continued: reading, suspending it, and the end of the stream, over every kind. */
#include <string.h>

#include "wire.h"

static const recorder_rule_t suspend_first[] = { { "bytes", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
static const recorder_rule_t suspend_at_active[] = { { "active", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };

/* T2, T6: suspended in the read callback itself, not one byte follows, however much comes; resumed, all of it. */
START_OVER_KINDS(suspend_in_the_first_read_is_that_one_and_no_more)
{
    uint64_t total = 150000; /* more than any kind delivers at once */
    w.b.r.rules = suspend_first;
    w.b.r.hook = w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, total, 10000);
    WIRE_UNTIL(&w, w.b.r.bytes);
    uint64_t first = w.b.r.bytes;
    ck_assert(cvy_transport_suspended(w.b.t));
    ck_assert_int_eq(cvy_transport_read_state(w.b.t), CVY_READ_PAUSED);
    wire_turns(&w, 5);
    ck_assert_uint_eq(w.b.r.bytes, first);
    ck_assert_int_eq(recorder_seen(&w.b.r, "bytes"), 1);
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, w.b.r.bytes == total);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* T2, T6 */
START_OVER_KINDS(suspended_before_the_first_read_nothing_arrives)
{
    uint64_t total = wire_scaled(1 << 20);
    w.b.r.rules = suspend_at_active;
    w.b.r.hook = w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, total, 10000);
    wire_turns(&w, 5);
    ck_assert_int_eq(recorder_seen(&w.b.r, "bytes"), 0);
    ck_assert_int_eq(cvy_transport_read_state(w.b.t), CVY_READ_PAUSED);
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, w.b.r.bytes == total);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

/* T6: each holder holds by itself, however often it says so; inbound-resume comes once, when the last lets go. */
START_OVER_KINDS(reading_goes_on_when_the_last_holder_lets_go)
{
    w.b.r.rules = suspend_at_active;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_ctx_suspend(w.b.r.ctx);
    cvy_transport_readable_state_changed(w.b.t, false);
    ck_assert_int_eq(wire_text(&w.a, "wait"), 0);
    wire_turns(&w, 5);
    cvy_ctx_resume(w.b.r.ctx);
    wire_turns(&w, 5);
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\n");
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, w.b.r.bytes == 4);
    ck_assert_int_eq(recorder_seen(&w.b.r, "inbound-resume"), 1);
}
END_OVER_KINDS

/* T8: the end of stream waits behind the bytes while reading is suspended. */
START_OVER_KINDS(end_of_stream_waits_while_suspended)
{
    w.b.r.rules = suspend_at_active;
    w.b.r.flags |= RECORD_NO_TURNS | RECORD_NO_RESUMES;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(wire_text(&w.a, "last words"), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    wire_turns(&w, 5);
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\n");
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: bytes 10 last words\nb: read-closed\n"
                                              "b: out-close graceful 0\nb: inactive\nb: removed\n");
}
END_OVER_KINDS

/* What b had when the end of the stream was told. */
static uint64_t before_the_end;

static void note_end(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    wire_hook(r, ctx, event, in);
    if (!strcmp(event, "read-closed")) before_the_end = r->bytes;
}

/* a sends so much and closes by verb once its system has it; b has all of it before it hears of the end. */
static void write_and_close(wire_t *w, uint64_t total, cvy_close_verb_t verb)
{
    before_the_end = 0;
    w->b.r.hook = note_end;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(w, NULL), 0);
    wire_source(&w->a, total, (size_t)total);
    if (verb == CVY_CLOSE_NOW) WIRE_UNTIL(w, !cvy_transport_queued(w->a.t));
    cvy_transport_close(w->a.t, verb);
    WIRE_UNTIL(w, wire_gone(w));
    ck_assert_uint_eq(before_the_end, total);
    ck_assert_uint_eq(w->b.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w->b.r, "read-closed"), 1);
    ck_assert_int_eq(recorder_seen(&w->b.r, "error"), 0);
    ck_assert_int_eq(w->a.cause, 0);
    ck_assert_int_eq(w->b.cause, 0);
}

/* T8, T9 */
START_OVER_KINDS(a_peer_closes_right_after_writing)
{
    write_and_close(&w, wire_scaled(1 << 20), CVY_CLOSE_GRACEFUL);
}
END_OVER_KINDS

/* T8, T9: closing now drops what is ours, not what the system has. */
START_OVER_KINDS(a_peer_closes_at_once_behind_what_the_system_has)
{
    write_and_close(&w, 3000, CVY_CLOSE_NOW);
}
END_OVER_KINDS

/* T8, T9: each side ends its own stream; the other direction lives on. */
START_OVER_KINDS(half_close_leaves_the_other_direction)
{
    static const recorder_rule_t at_b[] = { { "read-closed", 1, RECORD_WRITE, "answer", 0 },
                                            { "read-closed", 1, RECORD_END, NULL, 0 },
                                            { 0 } };
    w.b.r.rules = at_b;
    w.a.r.flags |= RECORD_NO_TURNS;
    w.b.r.flags |= RECORD_NO_TURNS;
    w.a.opts.allow_half_close = w.b.opts.allow_half_close = 1;
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
END_OVER_KINDS

/* T8: both end at once, each behind its bytes: all of them, then the event, once, and both are gone. */
START_OVER_KINDS(both_sides_end_at_once_behind_their_bytes)
{
    uint64_t total = wire_scaled(512 << 10);
    w.a.r.hook = w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.allow_half_close = w.b.opts.allow_half_close = 1;
    w.a.opts.high_bytes = w.b.opts.high_bytes = 1 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, total, (size_t)total);
    wire_source(&w.b, total, (size_t)total);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.b.t), 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_uint_eq(w.a.r.bytes, total);
    ck_assert_uint_eq(w.b.r.bytes, total);
    ck_assert_uint_eq(w.a.wrong + w.b.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 1);
    ck_assert_int_eq(recorder_seen(&w.b.r, "read-closed"), 1);
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T8 */
START_OVER_KINDS(we_still_read_after_our_own_end)
{
    uint64_t total = wire_scaled(1 << 20);
    w.a.r.hook = w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.b.opts.allow_half_close = 1;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    WIRE_UNTIL(&w, recorder_seen(&w.b.r, "read-closed"));
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_SHUT);
    ck_assert_int_eq(cvy_transport_read_state(w.b.t), CVY_READ_EOF);
    wire_source(&w.b, total, 10000);
    WIRE_UNTIL(&w, w.a.r.bytes == total);
    ck_assert_uint_eq(w.a.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 0);
    cvy_transport_close(w.b.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 1);
    ck_assert_int_eq(recorder_seen(&w.b.r, "read-closed"), 1);
}
END_OVER_KINDS

/* T4, T8: nothing of what waits for the peer to read is lost when its end comes first. */
START_OVER_KINDS(a_write_in_flight_survives_the_end_of_the_peers_stream)
{
    enum { TOTAL = 16 << 20 }; /* more than the system takes */
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.allow_half_close = 1;
    w.a.opts.high_bytes = 2 * TOTAL;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_ctx_suspend(w.b.r.ctx);
    wire_source(&w.a, TOTAL, TOTAL);
    wire_turns(&w, 100);
    ck_assert_uint_gt(cvy_transport_queued(w.a.t), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.b.t), 0);
    WIRE_UNTIL(&w, recorder_seen(&w.a.r, "read-closed"));
    wire_turns(&w, 100);
    cvy_ctx_resume(w.b.r.ctx);
    WIRE_UNTIL(&w, w.b.r.bytes == TOTAL || w.b.wrong);
    ck_assert_uint_eq(w.b.wrong, 0);
    ck_assert_int_eq(cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL), 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

static const conform_case_t cases[] = {
    CONFORM(suspend_in_the_first_read_is_that_one_and_no_more, 0, CONFORM_ALL_VARIANTS),
    CONFORM(suspended_before_the_first_read_nothing_arrives, 0, CONFORM_ALL_VARIANTS),
    CONFORM(reading_goes_on_when_the_last_holder_lets_go, 0, CONFORM_ONE_VARIANT),
    CONFORM(end_of_stream_waits_while_suspended, 0, CONFORM_ALL_VARIANTS),
    CONFORM(a_peer_closes_right_after_writing, 0, CONFORM_ALL_VARIANTS),
    CONFORM(a_peer_closes_at_once_behind_what_the_system_has, 0, CONFORM_ALL_VARIANTS),
    CONFORM(half_close_leaves_the_other_direction, NEEDS_HALF_CLOSE, CONFORM_ALL_VARIANTS),
    CONFORM(both_sides_end_at_once_behind_their_bytes, NEEDS_HALF_CLOSE, CONFORM_ALL_VARIANTS),
    CONFORM(we_still_read_after_our_own_end, NEEDS_HALF_CLOSE, CONFORM_ALL_VARIANTS),
    CONFORM(a_write_in_flight_survives_the_end_of_the_peers_stream, NEEDS_HALF_CLOSE, CONFORM_ONE_VARIANT),
};

int main(void)
{
    return WIRE_RUN("reading", cases);
}
