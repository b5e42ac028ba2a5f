/* Reading: when it starts, suspends and their holders, end of stream, budgets. */
#include "fixture_transport.h"

/* T2, E5 */
START_TEST(no_byte_comes_before_active_was_delivered)
{
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    feed("early");
    turn();
    cvy_embedded_connect(e, 0);
    LOG("a: added\na: active\na: bytes 5 early\n");
}
END_TEST

static int init_closed(cvy_conveyor_t *conveyor, void *arg)
{
    int err = init_noted(conveyor, arg);
    cvy_transport_close(cvy_conveyor_transport(conveyor), CVY_CLOSE_NOW);
    return err;
}

/* T2, E6 */
START_TEST(a_connection_closed_in_init_has_neither_active_nor_inactive)
{
    open_as(&(cvy_embedded_opts_t){ .init = init_closed });
    LOG("a: added\na: removed\nend 0\n");
}
END_TEST

static int init_failed(cvy_conveyor_t *conveyor, void *arg)
{
    init_noted(conveyor, arg);
    return UV_EPROTO;
}

/* T2, E6 */
START_TEST(an_init_that_fails_closes_with_its_code)
{
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init_failed, .arg = &a }), UV_EPROTO);
    ck_assert_ptr_eq(e, NULL);
    LOG("a: added\na: removed\nend EPROTO\n");
}
END_TEST

/* T2: a stage that holds active (TLS) needs the bytes to end its hold */
START_TEST(a_held_active_does_not_hold_reading)
{
    a.rules = (const recorder_rule_t[]){ { "active", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
    open_with(NULL);
    add_b();
    feed("x");
    LOG("a: bytes 1 x\n");
    cvy_ctx_activate_next(a.ctx);
    LOG("a: bytes 1 x\nb: active\n");
}
END_TEST

/* T6 */
START_TEST(suspended_inside_a_read_no_more_reads_follow)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 2, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    for (int i = 0; i < 5; i++)
        feed("x");
    cvy__loop_leave(t->conveyor.loop);
    turn();
    LOG("a: bytes 1 x\na: bytes 1 x\n");
    cvy_ctx_resume(a.ctx);
    LOG("a: bytes 1 x\na: bytes 1 x\n"); /* the walk comes after the dispatch */
    turn();
    LOG("a: bytes 1 x\na: bytes 1 x\na: inbound-resume\na: bytes 1 x\na: bytes 1 x\na: bytes 1 x\n");
}
END_TEST

/* T6 */
START_TEST(reading_runs_when_no_holder_holds_and_each_holds_once)
{
    open_with(NULL);
    add_b();
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_suspend(b.ctx);
    cvy_transport_readable_state_changed(t, false);
    cvy_transport_readable_state_changed(t, false);
    feed("x");
    cvy_ctx_resume(a.ctx);
    turn();
    cvy_transport_readable_state_changed(t, true);
    turn();
    ck_assert(cvy_transport_suspended(t));
    LOG("");
    cvy_ctx_resume(a.ctx); /* holds nothing */
    turn();
    LOG("");
    cvy_ctx_resume(b.ctx);
    ck_assert(!cvy_transport_suspended(t));
    turn();
    LOG("b: inbound-resume\na: inbound-resume\na: bytes 1 x\n");
}
END_TEST

/* T6: the transport's own hold is one more */
START_TEST(the_queue_holds_beside_the_others)
{
    open_with(&(cvy_transport_opts_t){ .high_bytes = 10 });
    cvy_embedded_block(e, true);
    below(11);
    cvy_ctx_suspend(a.ctx);
    turn();
    recorder_clear(&notes);
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("");
    cvy_ctx_suspend(a.ctx);
    cvy_embedded_block(e, false);
    LOG("a: outbound-resume\n");
    ck_assert(cvy_transport_suspended(t));
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: outbound-resume\na: inbound-resume\n");
}
END_TEST

/* T6 */
START_TEST(a_new_suspend_stops_the_resume_walk)
{
    b.rules = (const recorder_rule_t[]){ { "inbound-resume", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    open_with(NULL);
    add_b();
    cvy_ctx_suspend(a.ctx);
    feed("x");
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("b: inbound-resume\n");
    cvy_ctx_resume(b.ctx);
    turn();
    LOG("b: inbound-resume\nb: inbound-resume\na: inbound-resume\na: bytes 1 x\n");
}
END_TEST

/* T6 */
START_TEST(resumed_and_suspended_within_a_dispatch_nothing_walks)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("x");
    cvy_ctx_resume(a.ctx);
    cvy_ctx_suspend(a.ctx);
    turn();
    LOG("");
}
END_TEST

/* T6, C6 */
START_TEST(a_removed_stage_lets_go_of_its_suspend)
{
    open_with(NULL);
    add_b();
    cvy_ctx_suspend(a.ctx);
    feed("x");
    cvy_conveyor_remove(c, cvy_at_ctx(a.ctx));
    turn();
    LOG("a: removed\nb: inbound-resume\nb: bytes 1 x\n");
}
END_TEST

/* T6: before active */
START_TEST(a_suspend_in_on_added_holds_from_the_start)
{
    a.rules = (const recorder_rule_t[]){ { "added", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    open_with(NULL);
    feed("x");
    LOG("");
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: inbound-resume\na: bytes 1 x\n");
}
END_TEST

/* T8 */
START_TEST(read_closed_comes_behind_all_bytes_and_closes_gracefully)
{
    a.rules = (const recorder_rule_t[]){ { "read-closed", 1, RECORD_WRITE, "bye", 0 }, { 0 } };
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    feed("one");
    feed("two");
    cvy_embedded_end(e);
    cvy__loop_leave(t->conveyor.loop);
    turn();
    LOG("a: bytes 3 one\na: bytes 3 two\na: read-closed\na: out-close graceful 0\na: inactive\na: removed\nend 0\n");
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "bye", 3));
    ck_assert(cvy_embedded_shut(e));
}
END_TEST

/* T8 */
START_TEST(read_closed_waits_while_reading_is_suspended)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    feed("one");
    feed("two");
    cvy_embedded_end(e);
    cvy__loop_leave(t->conveyor.loop);
    turn();
    LOG("a: bytes 3 one\n");
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: bytes 3 one\na: inbound-resume\na: bytes 3 two\na: read-closed\na: out-close graceful 0\na: inactive\na: "
        "removed\nend 0\n");
}
END_TEST

/* T8: also when the end itself was read before the suspend */
START_TEST(an_end_already_read_waits_too)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    cvy_embedded_end(e);
    turn();
    ck_assert_int_eq(cvy_transport_read_state(t), CVY_READ_EOF);
    LOG("");
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: inbound-resume\na: read-closed\na: out-close graceful 0\na: inactive\na: removed\nend 0\n");
}
END_TEST

static void drain_one(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (strcmp(event, "inbound-resume") || !cvy_buf_len(&r->received)) return;
    cvy_buf_t one;
    cvy_buf_init(&one, NULL);
    cvy_buf_move(&one, &r->received, 1);
    cvy_fire_inbound_bytes(ctx, &one);
    if (!cvy_buf_len(&r->received)) cvy_ctx_read_closed_next(ctx);
}

/* T8 */
START_TEST(a_stage_holds_read_closed_behind_the_bytes_it_holds)
{
    a.rules = (const recorder_rule_t[]){ { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
    a.flags |= RECORD_KEEP;
    a.hook = drain_one;
    open_with(NULL);
    add_b();
    feed("xy");
    cvy_embedded_end(e);
    LOG("a: bytes 2 xy\na: read-closed\n");
    recorder_clear(&notes);
    cvy_ctx_suspend(b.ctx);
    cvy_ctx_resume(b.ctx);
    turn();
    LOG("b: inbound-resume\na: inbound-resume\nb: bytes 1 x\n");
    cvy_ctx_suspend(b.ctx);
    cvy_ctx_resume(b.ctx);
    turn();
    LOG("b: inbound-resume\na: inbound-resume\nb: bytes 1 x\nb: inbound-resume\na: inbound-resume\nb: bytes 1 y\nb: "
        "read-closed\n"
        "b: out-close graceful 0\na: out-close graceful 0\na: inactive\nb: inactive\nb: removed\na: removed\nend 0\n");
}
END_TEST

/* T11 */
START_TEST(a_turn_reads_at_most_its_budget)
{
    a.flags = RECORD_NO_BYTES;
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    for (int i = 0; i < 1000; i++)
        feed("x");
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_uint_eq(a.bytes, 1000);
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 63); /* 62 turns of 16, one of 8 */
    ck_assert_int_eq(recorder_seen(&a, "bytes"), 1000);
}
END_TEST

/* T11 */
START_TEST(a_turn_reads_at_most_its_bytes)
{
    static char big[300000];
    a.flags = RECORD_NO_BYTES;
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    for (int i = 0; i < 16; i++)
        cvy_embedded_feed(e, big, sizeof big);
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_uint_eq(a.bytes, 16 * sizeof big);
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 4); /* four reads pass 1 MiB */
}
END_TEST

/* T11 */
START_TEST(budgets_are_options_and_can_be_turned_off)
{
    a.flags = RECORD_SILENT;
    open_with(&(cvy_transport_opts_t){ .read_budget = CVY_OFF, .read_budget_bytes = CVY_OFF });
    cvy__loop_enter(t->conveyor.loop);
    for (int i = 0; i < 1000; i++)
        feed("x");
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_int_eq(recorder_seen(&a, "bytes"), 1000);
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 1);
    finish();
    a.seen[2] = a.seen[3] = 0; /* bytes, read-complete */
    open_with(&(cvy_transport_opts_t){ .read_budget = 3 });
    cvy__loop_enter(t->conveyor.loop);
    for (int i = 0; i < 7; i++)
        feed("x");
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 3);
}
END_TEST

/* E3, E4: a stage that acts on read-complete must not miss the last bytes' because the end came with them */
START_TEST(read_complete_comes_before_read_closed)
{
    a.flags = 0;
    a.rules = (const recorder_rule_t[]){ { "read-complete", 0, RECORD_WRITE, "answer", 0 }, { 0 } };
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    feed("x");
    cvy_embedded_end(e);
    cvy__loop_leave(t->conveyor.loop);
    turn();
    LOG("a: bytes 1 x\na: read-complete\na: read-closed\na: flush\na: out-close graceful 0\n"
        "a: inactive\na: removed\nend 0\n");
    ck_assert_uint_eq(sent(), 6);
}
END_TEST

/* E4, T7: once per turn, behind its reads, also when the turn flushed early */
START_TEST(read_complete_comes_once_per_turn)
{
    a.flags = 0;
    a.rules = (const recorder_rule_t[]){ { "bytes", 0, RECORD_WRITE, "y", 0 }, { 0 } };
    open_as(&(cvy_embedded_opts_t){ .loop = &(cvy_loop_opts_t){ .flush_limit = 1 } });
    cvy__loop_enter(t->conveyor.loop);
    feed("x");
    feed("x");
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 1);
    ck_assert_uint_eq(sent(), 2);
    turn();
    feed("x");
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 2);
    for (int i = 0; i < 3; i++) { /* several callbacks of the system in a turn */
        cvy__loop_enter(t->conveyor.loop);
        cvy_buf_t in = next_bytes(1);
        cvy__transport_read_buf(t, &in);
        cvy__loop_leave(t->conveyor.loop);
    }
    ck_assert_uint_ge(sent(), 4); /* the first of them flushed early */
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 2);
    turn();
    ck_assert_uint_eq(sent(), 6);
    ck_assert_int_eq(recorder_seen(&a, "read-complete"), 3);
}
END_TEST

/* T17 */
START_TEST(a_reset_is_an_error_and_never_the_end_of_the_stream)
{
    open_with(NULL);
    cvy_embedded_reset(e, UV_ECONNABORTED);
    LOG("a: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T17: one code for one thing */
START_TEST(codes_of_the_system_become_those_of_the_contract)
{
    ck_assert_int_eq(cvy__transport_code(UV_ECONNABORTED), UV_ECONNRESET);
    ck_assert_int_eq(cvy__transport_code(UV_ENOTCONN), UV_ECONNRESET);
    ck_assert_int_eq(cvy__transport_code(UV_ECONNRESET), UV_ECONNRESET);
    ck_assert_int_eq(cvy__transport_code(UV_EOF), UV_EPIPE);
    ck_assert_int_eq(cvy__transport_code(UV_ESHUTDOWN), UV_EPIPE);
    ck_assert_int_eq(cvy__transport_code(UV_EPIPE), UV_EPIPE);
    ck_assert_int_eq(cvy__transport_code(UV_ETIMEDOUT), UV_ETIMEDOUT);
}
END_TEST

static void note_line(void *arg, cvy_log_level_t level, const char *line)
{
    (void)level, (void)line;
    ++*(int *)arg;
}

/* E9 */
START_TEST(bytes_that_no_stage_took_are_counted_and_logged_once)
{
    int lines = 0;
    cvy_log_set(note_line, &lines);
    a.flags |= RECORD_PASS;
    open_with(NULL);
    feed("abc");
    feed("de");
    cvy_transport_stats_t stats;
    cvy_transport_stats(t, &stats);
    ck_assert_uint_eq(stats.bytes_dropped, 5);
    ck_assert_uint_eq(stats.bytes_read, 5);
    ck_assert_int_eq(lines, 1);
    ck_assert(!cvy_transport_closing(t));
    finish();
    recorder_clear(&notes);
    open_with(&(cvy_transport_opts_t){ .strict_tail = 1, .error_verb = CVY_CLOSE_RESET });
    feed("abc");
    bool reset;
    ck_assert(cvy_embedded_closed(e, &reset) && reset);
    LOG("a: bytes 3 abc\na: error EPROTO transport\na: inactive\na: removed\nend EPROTO\n");
    cvy_log_set(NULL, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("read");
    fixed(ADD_TESTS(suite, "start", no_byte_comes_before_active_was_delivered,
                    a_connection_closed_in_init_has_neither_active_nor_inactive,
                    an_init_that_fails_closes_with_its_code, a_held_active_does_not_hold_reading));
    fixed(ADD_TESTS(suite, "suspend", suspended_inside_a_read_no_more_reads_follow,
                    reading_runs_when_no_holder_holds_and_each_holds_once, the_queue_holds_beside_the_others,
                    a_new_suspend_stops_the_resume_walk, resumed_and_suspended_within_a_dispatch_nothing_walks,
                    a_removed_stage_lets_go_of_its_suspend, a_suspend_in_on_added_holds_from_the_start));
    fixed(ADD_TESTS(suite, "end", read_closed_comes_behind_all_bytes_and_closes_gracefully,
                    read_closed_waits_while_reading_is_suspended, an_end_already_read_waits_too,
                    a_stage_holds_read_closed_behind_the_bytes_it_holds,
                    a_reset_is_an_error_and_never_the_end_of_the_stream,
                    codes_of_the_system_become_those_of_the_contract));
    fixed(ADD_TESTS(suite, "turn", a_turn_reads_at_most_its_budget, a_turn_reads_at_most_its_bytes,
                    budgets_are_options_and_can_be_turned_off, read_complete_comes_before_read_closed,
                    read_complete_comes_once_per_turn, bytes_that_no_stage_took_are_counted_and_logged_once));
    return test_run(suite);
}
