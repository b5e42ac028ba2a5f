/* Closing: verbs, escalation, causes, half-close, deadlines, and what stays of a closed transport. */
#include "fixture_transport.h"

static void closed(bool with_reset)
{
    bool reset = !with_reset;
    ck_assert(cvy_embedded_closed(e, &reset));
    ck_assert_int_eq(reset, with_reset);
}

static bool open_still(void)
{
    return !cvy_embedded_closed(e, NULL);
}

/* T9 */
START_TEST(graceful_sends_what_is_queued_then_our_end_then_waits_for_the_peers)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1000);
    ticket("all");
    turn();
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    ck_assert(!cvy_embedded_shut(e));
    cvy_embedded_block(e, false);
    wire_has(1000);
    ck_assert(cvy_embedded_shut(e) && open_still());
    feed("read and dropped");
    ck_assert(open_still());
    LOG("ticket all 0\n");
    cvy_embedded_end(e);
    closed(false);
    LOG("ticket all 0\na: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9: recorder a has a flush slot, and closing stops walks */
START_TEST(graceful_sends_also_below_a_stage_that_holds_until_the_flush)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_WRITE, "pong", 0 },
                                         { "bytes", 1, RECORD_GRACEFUL, NULL, 0 },
                                         { 0 } };
    open_with(NULL);
    feed("ping");
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "pong", 4));
    ck_assert(cvy_embedded_shut(e));
}
END_TEST

/* T9, T10, T17 */
START_TEST(a_drain_past_its_deadline_becomes_now)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(10);
    ticket("stuck");
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(4999);
    ck_assert(open_still());
    later(1);
    closed(false);
    ck_assert(!cvy_embedded_shut(e));
    LOG("ticket stuck ETIMEDOUT\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T9 */
START_TEST(lingering_ends_after_two_seconds)
{
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    later(1999);
    ck_assert(open_still());
    later(1);
    closed(false);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9 */
START_TEST(lingering_ends_behind_its_bytes)
{
    static char kib[1024];
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    for (int i = 0; i < 64; i++)
        cvy_embedded_feed(e, kib, sizeof kib);
    ck_assert(open_still());
    cvy_embedded_feed(e, kib, 1);
    closed(false);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9: our last bytes and our end are out */
START_TEST(a_reset_while_lingering_is_no_error)
{
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    cvy_embedded_reset(e, UV_ECONNRESET);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9, T17 */
START_TEST(a_reset_while_draining_is_one)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    ticket("lost");
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    cvy_embedded_reset(e, UV_ECONNRESET);
    LOG("ticket lost ECONNRESET\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T9: what the peer still sends while we drain must not make our close a reset */
START_TEST(draining_reads_and_drops_also_when_reading_was_suspended)
{
    open_with(NULL);
    cvy_transport_readable_state_changed(t, false);
    feed("waits");
    cvy_embedded_block(e, true);
    below(1);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    cvy_transport_stats_t stats;
    cvy_transport_stats(t, &stats);
    ck_assert_uint_eq(stats.bytes_read, 5);
    ck_assert_int_eq(recorder_seen(&a, "bytes"), 0);
}
END_TEST

/* T9 */
START_TEST(now_drops_the_queue)
{
    open_with(NULL);
    below(10);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    turn();
    ck_assert_uint_eq(sent(), 0);
    ck_assert(!cvy_embedded_shut(e));
    closed(false);
}
END_TEST

/* T9 */
START_TEST(reset_resets)
{
    open_with(NULL);
    below(10);
    cvy_transport_close(t, CVY_CLOSE_RESET);
    turn();
    ck_assert_uint_eq(sent(), 0);
    closed(true);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9 */
START_TEST(a_second_close_only_escalates)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(10);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(3000);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL); /* does not start the deadline anew */
    cvy_transport_shutdown(t, UV_EPROTO);
    turn();
    ck_assert(open_still());
    cvy_transport_close(t, CVY_CLOSE_RESET);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    turn();
    closed(true);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    cvy_transport_shutdown(t, 0);
    turn();
    LOG("a: inactive\na: removed\nend 0\n");
    finish();
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL); /* lingering is escalated as well */
    turn();
    cvy_transport_close(t, CVY_CLOSE_NOW);
    turn();
    closed(false);
    finish();
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(10);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(3000);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(2000);
    closed(false);
}
END_TEST

/* T9 */
START_TEST(shutdown_lets_stages_say_goodbye_and_keeps_its_cause)
{
    b.rules = (const recorder_rule_t[]){ { "out-close", 1, RECORD_WRITE, "bye", 0 }, { 0 } };
    open_with(NULL);
    add_b();
    cvy_transport_shutdown(t, UV_EPROTO);
    ck_assert(cvy_transport_closing(t));
    LOG("b: out-close graceful EPROTO\na: out-bytes 3 bye\na: out-close graceful EPROTO\n");
    recorder_clear(&notes);
    cvy_embedded_end(e);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "bye", 3));
    LOG("a: inactive\nb: inactive\nb: removed\na: removed\nend EPROTO\n");
}
END_TEST

/* T9: the first cause stays */
START_TEST(a_later_error_does_not_change_the_cause)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    cvy_transport_shutdown(t, UV_EPROTO);
    later(5000);
    LOG("a: out-close graceful EPROTO\na: inactive\na: removed\nend EPROTO\n");
}
END_TEST

static void shut_in_flush(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (strcmp(event, "flush")) return;
    ck_assert_int_lt(recorder_seen(r, event), 5);
    if (r->arg)
        cvy_transport_shutdown(cvy_ctx_transport(ctx), 0);
    else
        cvy_transport_shutdown_write(cvy_ctx_transport(ctx));
}

/* T9, E10 */
START_TEST(shutdown_inside_the_flush_slot_does_not_call_it_again_without_end)
{
    for (int i = 0; i < 2; i++) {
        a.hook = shut_in_flush;
        a.arg = i ? &a : NULL;
        memset(a.seen, 0, sizeof a.seen);
        open_with(NULL);
        put(3);
        turn();
        wire_has(3);
        ck_assert(cvy_embedded_shut(e));
        finish();
        offered = 0;
    }
}
END_TEST

/* E8 */
START_TEST(an_unhandled_failure_closes_with_the_verb_of_the_options)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_FAIL, NULL, UV_EPROTO }, { 0 } };
    open_with(NULL);
    feed("x");
    closed(false);
    LOG("a: bytes 1 x\na: inactive\na: removed\nend EPROTO\n");
    finish();
    memset(a.seen, 0, sizeof a.seen);
    open_with(&(cvy_transport_opts_t){ .error_verb = CVY_CLOSE_RESET });
    feed("x");
    closed(true);
}
END_TEST

/* Half-close */

static const cvy_transport_opts_t half = { .allow_half_close = 1 };

/* T8 */
START_TEST(allow_half_close_keeps_our_side_open_for_its_timeout)
{
    open_with(&half);
    cvy_embedded_end(e);
    LOG("a: read-closed\n");
    ck_assert_int_eq(below(10), 0);
    turn();
    wire_has(10);
    later(29999);
    ck_assert(open_still());
    later(1);
    closed(false);
    LOG("a: read-closed\na: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T8, T10: a reader that keeps taking is not dead */
START_TEST(the_half_close_timeout_counts_from_the_last_write_progress)
{
    open_with(&half);
    cvy_embedded_end(e);
    later(20000);
    below(10);
    turn();
    later(29999);
    ck_assert(open_still());
    later(1);
    closed(false);
}
END_TEST

/* T8 */
START_TEST(both_ends_shut_closes_whichever_came_first)
{
    open_with(&half);
    cvy_embedded_end(e);
    cvy_transport_shutdown_write(t);
    turn();
    closed(false);
    LOG("a: read-closed\na: inactive\na: removed\nend 0\n");
    finish();
    recorder_clear(&notes);
    open_with(&half);
    cvy_transport_shutdown_write(t);
    turn();
    later(1000000); /* our end alone is under no deadline: the peer may send for long */
    feed("x");
    ck_assert(open_still());
    cvy_embedded_end(e);
    closed(false);
    LOG("a: bytes 1 x\na: read-closed\na: inactive\na: removed\nend 0\n");
}
END_TEST

/* T8 */
START_TEST(our_end_follows_what_is_queued_and_what_stages_hold)
{
    a.rules = (const recorder_rule_t[]){ { "flush", 1, RECORD_WRITE, "held", 0 }, { 0 } };
    open_with(&half);
    cvy_embedded_block(e, true);
    put(5);
    ck_assert_int_eq(cvy_transport_shutdown_write(t), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(t), 0);
    turn();
    ck_assert(!cvy_embedded_shut(e));
    cvy_embedded_block(e, false);
    ck_assert(cvy_embedded_shut(e));
    ck_assert_uint_eq(sent(), 9);
    feed("still read");
    ck_assert_uint_eq(a.bytes, 10);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    ck_assert_int_eq(cvy_transport_shutdown_write(t), UV_EPIPE);
}
END_TEST

/* T8: not told to stages, who fire into it is disposed of */
START_TEST(what_stages_fire_behind_our_end_is_dropped)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_WRITE, "late", 0 }, { 0 } };
    open_with(NULL);
    cvy_transport_shutdown_write(t);
    turn();
    feed("x");
    ck_assert_uint_eq(sent(), 0);
    ck_assert(open_still());
}
END_TEST

/* T8, T10: read-closed that is held, or waits, is bounded too */
START_TEST(a_held_read_closed_is_bounded_by_the_half_close_timeout)
{
    a.rules = (const recorder_rule_t[]){ { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
    open_with(NULL);
    cvy_embedded_end(e);
    later(30000);
    LOG("a: read-closed\na: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T8: the last bytes of a peer that has ended are not lost to a consumer that takes its time */
START_TEST(the_half_close_timeout_does_not_run_while_reading_is_suspended)
{
    a.rules = (const recorder_rule_t[]){ { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
    open_with(NULL);
    cvy_embedded_end(e);
    cvy_ctx_suspend(a.ctx);
    later(3600 * 1000);
    ck_assert(open_still());
    cvy_ctx_resume(a.ctx);
    later(29999);
    ck_assert(open_still());
    later(1);
    LOG("a: read-closed\na: inbound-resume\na: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T10: with nothing to read any more only a probe sees it */
START_TEST(a_reset_behind_the_end_of_the_stream_is_found_without_a_suspend)
{
    open_with(&half);
    cvy_embedded_end(e);
    later(15000);
    cvy__transport_disarm(t, CVY__DUE_HALF_CLOSE);
    cvy_embedded_reset(e, UV_ECONNRESET);
    later(15000);
    LOG("a: read-closed\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* E7: what is fired behind our own end is disposed of, and the answer says so */
START_TEST(fires_behind_our_end_answer_epipe)
{
    open_with(&half);
    ck_assert_int_eq(cvy_fire_outbound_copy(a.ctx, "x", 1), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(t), 0);
    ck_assert_int_eq(cvy_fire_outbound_copy(a.ctx, "y", 1), UV_EPIPE);
    ck_assert(!cvy_ctx_writable(a.ctx));
    ck_assert_int_eq(cvy_ctx_stopped(a.ctx), 0); /* reading goes on */
    turn();
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "x", 1));
}
END_TEST

/* Deadlines */

/* T10, T17 */
START_TEST(a_write_stall_ends_in_etimedout_and_progress_sets_it_back)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ UV_EAGAIN, 1, UV_EAGAIN, UV_EAGAIN }, 4);
    below(10);
    turn();
    later(29999);
    cvy_embedded_unblock(e); /* one byte */
    later(29999);
    ck_assert(open_still());
    cvy_embedded_unblock(e); /* none */
    later(1);
    closed(false);
    LOG("a: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

static size_t under_way;

static size_t count_unsent(const cvy_transport_t *unused)
{
    (void)unused;
    return under_way;
}

/* From now on t's kind tells of 10 bytes under way. */
static void tell_unsent(void)
{
    static cvy__kind_t kind; /* outlives t */
    kind = *t->kind;
    kind.unsent = count_unsent;
    t->kind = &kind;
    under_way = 10;
}

/* T10: a write that tells nothing before all of it has gone stalls when none of it has gone since somebody looked */
START_TEST(a_part_of_a_write_under_way_is_progress)
{
    open_with(NULL);
    tell_unsent();
    cvy_embedded_block(e, true);
    below(10);
    turn();
    later(20000);
    under_way = 9;
    later(20000);
    ck_assert(open_still());
    later(19999);
    ck_assert(open_still());
    later(1);
    closed(false);
    LOG("a: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T8, T10: so is it behind the peer's end */
START_TEST(a_part_of_a_write_under_way_puts_off_the_half_close_timeout)
{
    static cvy_transport_opts_t opts;
    opts = half;
    opts.write_stall_timeout_ms = CVY_OFF;
    open_with(&opts);
    tell_unsent();
    cvy_embedded_block(e, true);
    cvy_embedded_end(e);
    below(10);
    turn();
    under_way = 9;
    later(30000);
    ck_assert(open_still());
    later(29999);
    ck_assert(open_still());
    later(1);
    closed(false);
}
END_TEST

/* T10: an empty queue stalls nothing */
START_TEST(no_stall_without_bytes_queued)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ UV_EAGAIN }, 1);
    below(10);
    turn();
    later(20000);
    cvy_embedded_unblock(e);
    later(1000000);
    ck_assert(open_still());
    cvy_embedded_block(e, true);
    below(1);
    turn();
    later(29999);
    ck_assert(open_still());
    later(1);
    closed(false);
}
END_TEST

/* T10 */
START_TEST(a_reset_is_found_by_the_probe_while_suspended)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("x");
    later(30000);
    ck_assert(open_still());
    cvy_embedded_reset(e, UV_ECONNRESET);
    later(29999);
    ck_assert(open_still());
    later(1);
    LOG("a: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T10: FIN, then RST */
START_TEST(the_probe_finds_a_reset_behind_the_end_of_the_stream)
{
    open_with(&(cvy_transport_opts_t){ .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF });
    cvy_embedded_end(e);
    cvy_ctx_suspend(a.ctx);
    cvy_embedded_reset(e, UV_ECONNRESET);
    ck_assert(open_still());
    later(30000);
    LOG("a: read-closed\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T10 */
START_TEST(a_resume_ends_probing_and_the_suspend_timeout)
{
    open_with(&(cvy_transport_opts_t){ .suspend_timeout_ms = 1000, .probe_interval_ms = 100 });
    cvy_ctx_suspend(a.ctx);
    later(999);
    cvy_ctx_resume(a.ctx);
    later(5000);
    ck_assert(open_still());
    cvy_ctx_suspend(a.ctx);
    later(600);
    cvy_ctx_suspend(a.ctx); /* one hold is one hold */
    later(400);
    LOG("a: inbound-resume\na: error ETIMEDOUT transport\na: inactive\na: removed\nend ETIMEDOUT\n");
}
END_TEST

/* T8, T9, T10: options */
START_TEST(every_deadline_can_be_turned_off)
{
    open_with(&(cvy_transport_opts_t){ .drain_timeout_ms = CVY_OFF,
                                       .linger_timeout_ms = CVY_OFF,
                                       .linger_bytes = CVY_OFF,
                                       .write_stall_timeout_ms = CVY_OFF,
                                       .half_close_timeout_ms = CVY_OFF,
                                       .probe_interval_ms = CVY_OFF,
                                       .suspend_timeout_ms = CVY_OFF,
                                       .allow_half_close = 1,
                                       .hold_reads = CVY_OFF,
                                       .strict_tail = CVY_OFF });
    static char mib[1 << 20];
    cvy_embedded_block(e, true);
    below(10);
    cvy_ctx_suspend(a.ctx);
    turn();
    later(UINT64_C(86400000) * 365);
    ck_assert(open_still());
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(UINT64_C(86400000) * 365);
    ck_assert(open_still());
    cvy_embedded_block(e, false);
    wire_has(10);
    cvy_embedded_feed(e, mib, sizeof mib);
    later(UINT64_C(86400000) * 365);
    ck_assert(open_still());
    cvy_embedded_end(e);
    closed(false);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

/* T9: a deadline is set back by nothing that comes later */
START_TEST(a_shorter_deadline_that_comes_later_fires_first)
{
    open_with(&(cvy_transport_opts_t){
        .write_stall_timeout_ms = 60000, .suspend_timeout_ms = 50000, .probe_interval_ms = CVY_OFF });
    cvy_embedded_block(e, true);
    below(1);
    turn();
    later(10000);
    cvy_ctx_suspend(a.ctx);
    later(20000);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    later(4999);
    ck_assert(open_still());
    later(1);
    closed(false);
}
END_TEST

/* Close inside every callback */

static const char *close_on;
static cvy_close_verb_t close_verb;

static void close_here(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (strcmp(event, close_on)) return;
    cvy_transport_t *of = cvy_ctx_transport(ctx);
    cvy_transport_close(of, close_verb);
    cvy_transport_close(of, close_verb);
    if (strcmp(event, "removed") && strcmp(event, "inactive"))
        ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "x", 1), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_add_last(cvy_ctx_conveyor(ctx), &recorder_stage, r, NULL), UV_EPIPE);
    ck_assert(cvy_transport_closing(of));
}

static size_t count(const char *line)
{
    size_t n = 0;
    for (const char *at = recorder_text(&notes); (at = strstr(at, line)); at++)
        n++;
    return n;
}

/* Gives stage a every event that there is, as long as the transport lives. */
static void scenario(void)
{
    open_as(&(cvy_embedded_opts_t){ .transport = &(cvy_transport_opts_t){ .high_bytes = 10, .allow_half_close = 1 } });
    cvy_conveyor_add_first(c, &recorder_stage, &b, NULL);
    cvy_embedded_block(e, true);
    feed("x");
    put(20);
    turn();
    cvy_embedded_block(e, false);
    if (a.ctx) cvy_ctx_timer(a.ctx, 1);
    later(1);
    if (b.ctx) cvy_ctx_fail(b.ctx, UV_EPROTO, "handled");
    turn();
    cvy_embedded_end(e);
    cvy_transport_shutdown(t, 0);
    turn();
    later(10000);
}

/* E6, T9 */
START_TEST(a_close_inside_any_callback_ends_once_and_in_order)
{
    static const char *const events[] = {
        "added",           "active",    "bytes",   "read-complete", "read-closed", "outbound-suspend",
        "outbound-resume", "inactive",  "removed", "timer",         "out-bytes",   "flush",
        "inbound-resume",  "out-close", "error",   "never"
    };
    static const recorder_rule_t handled[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        for (int verb = 0; verb < 3; verb++) {
            close_on = events[i];
            close_verb = (cvy_close_verb_t)verb;
            recorder_clear(&notes);
            a = (recorder_t){ .name = "a", .log = &notes, .hook = close_here, .rules = handled };
            b = (recorder_t){ .name = "b", .flags = RECORD_PASS };
            scenario();
            ck_assert(cvy_embedded_closed(e, NULL));
            ck_assert(!strcmp(close_on, "never") || recorder_seen(&a, close_on) >= 1);
            ck_assert_uint_eq(count("a: removed"), 1);
            ck_assert_uint_eq(count("end "), 1);
            ck_assert_int_eq(recorder_seen(&a, "inactive"), recorder_seen(&a, "active"));
            ck_assert_uint_eq(count("a: inactive\na: removed\nend "), (size_t)recorder_seen(&a, "active"));
            finish();
        }
}
END_TEST

/* What stays */

/* T16 */
START_TEST(a_reference_keeps_the_memory_of_a_closed_transport_and_only_that)
{
    open_with(NULL);
    cvy_transport_t *mine = cvy_transport_ref(t);
    cvy_transport_set_data(mine, &a);
    finish();
    LOG("a: inactive\na: removed\nend 0\n");
    ck_assert(cvy_transport_closing(mine));
    cvy_buf_t buf = CVY_BUF_INIT;
    size_t taken;
    cvy_buf_append(&buf, "x", 1);
    ck_assert_int_eq(cvy_transport_write(mine, &buf), UV_EPIPE);
    ck_assert_int_eq(cvy_transport_write_some(mine, &buf, &taken), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(mine), &buf), UV_EPIPE);
    ck_assert_uint_eq(cvy_buf_len(&buf), 1);
    cvy_buf_fini(&buf);
    ck_assert_int_eq(cvy_transport_flush(mine, note_ticket, NULL), UV_EPIPE);
    ck_assert_int_eq(cvy_transport_shutdown_write(mine), UV_EPIPE);
    ck_assert_int_eq(cvy_transport_close(mine, CVY_CLOSE_RESET), 0);
    ck_assert_int_eq(cvy_transport_shutdown(mine, 0), 0);
    ck_assert_int_eq(cvy_conveyor_add_last(cvy_transport_conveyor(mine), &recorder_stage, &a, NULL), UV_EPIPE);
    cvy_transport_readable_state_changed(mine, true);
    ck_assert_str_eq(cvy_transport_self_endpoint(mine), "embedded:");
    ck_assert_ptr_eq(cvy_transport_data(mine), &a);
    ck_assert_int_eq(cvy_transport_read_state(mine), CVY_READ_CLOSED);
    ck_assert_int_eq(cvy_transport_write_state(mine), CVY_WRITE_CLOSED);
    cvy_transport_unref(mine);
}
END_TEST

/* T16, R3: the loop's end closes what is open */
START_TEST(the_end_of_the_loop_closes_at_once)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    ticket("cut");
    cvy_loop_stop(cvy_embedded_loop(e));
    finish();
    LOG("ticket cut ECANCELED\na: inactive\na: removed\nend 0\n");
}
END_TEST

/* M3: the n-th allocation fails, for every n */
START_TEST(without_memory_the_setup_says_so_and_a_connection_ends_alone)
{
    bool failed = true;
    int refused = 0, ended = 0;
    for (long n = 1; failed; n++) {
        recorder_clear(&notes);
        a = (recorder_t){ .name = "a", .log = &notes, .flags = RECORD_NO_TURNS };
        a.rules = (const recorder_rule_t[]){ { "bytes", 0, RECORD_ECHO, NULL, 0 },
                                             { "timer", 1, RECORD_FAIL, NULL, UV_EPROTO },
                                             { 0 } };
        e = NULL;
        cvy__memory_fail(n);
        int err = cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init_noted, .arg = &a });
        if (err) {
            ck_assert_int_eq(err, UV_ENOMEM);
            ck_assert_ptr_eq(e, NULL);
            refused++;
        } else {
            t = cvy_embedded_transport(e);
            c = cvy_embedded_conveyor(e);
            int fed = cvy_embedded_feed(e, "hello", 5);
            int flushed = cvy_transport_flush(t, note_ticket, (void *)(uintptr_t) "one");
            ck_assert(fed == 0 || fed == UV_ENOMEM);
            ck_assert(flushed == 0 || flushed == UV_ENOMEM || flushed == UV_EPIPE);
            if (a.ctx) cvy_ctx_timer(a.ctx, 1);
            later(1);
            ck_assert(cvy_embedded_closed(e, NULL)); /* the failure, or the want of memory for it */
            ck_assert_uint_eq(count("ticket"), flushed ? 0 : 1);
            ck_assert_uint_eq(count("a: removed\nend "), 1);
            ended++;
        }
        finish();
        ck_assert_uint_eq(cvy__memory_live(), memory_before);
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
    }
    ck_assert_int_gt(refused, 3);
    ck_assert_int_gt(ended, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("close");
    fixed(ADD_TESTS(
        suite, "verbs", graceful_sends_what_is_queued_then_our_end_then_waits_for_the_peers,
        graceful_sends_also_below_a_stage_that_holds_until_the_flush, a_drain_past_its_deadline_becomes_now,
        lingering_ends_after_two_seconds, lingering_ends_behind_its_bytes, a_reset_while_lingering_is_no_error,
        a_reset_while_draining_is_one, draining_reads_and_drops_also_when_reading_was_suspended, now_drops_the_queue,
        reset_resets, a_second_close_only_escalates, shutdown_lets_stages_say_goodbye_and_keeps_its_cause,
        a_later_error_does_not_change_the_cause, shutdown_inside_the_flush_slot_does_not_call_it_again_without_end,
        an_unhandled_failure_closes_with_the_verb_of_the_options, a_close_inside_any_callback_ends_once_and_in_order));
    fixed(ADD_TESTS(suite, "half-close", allow_half_close_keeps_our_side_open_for_its_timeout,
                    the_half_close_timeout_counts_from_the_last_write_progress,
                    both_ends_shut_closes_whichever_came_first, our_end_follows_what_is_queued_and_what_stages_hold,
                    what_stages_fire_behind_our_end_is_dropped, a_held_read_closed_is_bounded_by_the_half_close_timeout,
                    the_half_close_timeout_does_not_run_while_reading_is_suspended,
                    a_reset_behind_the_end_of_the_stream_is_found_without_a_suspend,
                    fires_behind_our_end_answer_epipe));
    fixed(ADD_TESTS(suite, "deadlines", a_write_stall_ends_in_etimedout_and_progress_sets_it_back,
                    a_part_of_a_write_under_way_is_progress,
                    a_part_of_a_write_under_way_puts_off_the_half_close_timeout, no_stall_without_bytes_queued,
                    a_reset_is_found_by_the_probe_while_suspended, the_probe_finds_a_reset_behind_the_end_of_the_stream,
                    a_resume_ends_probing_and_the_suspend_timeout, every_deadline_can_be_turned_off,
                    a_shorter_deadline_that_comes_later_fires_first));
    fixed(ADD_TESTS(suite, "life", a_reference_keeps_the_memory_of_a_closed_transport_and_only_that,
                    the_end_of_the_loop_closes_at_once, without_memory_the_setup_says_so_and_a_connection_ends_alone));
    return test_run(suite);
}
