/* Writing: the queue, its marks, the flush, tickets. */
#include "fixture_transport.h"

static const cvy_transport_opts_t small = { .high_bytes = 100, .low_bytes = 50, .hard_bytes = 1000 };

/* T3 */
START_TEST(write_takes_the_whole_buffer_and_calls_nobody_back)
{
    open_with(&small);
    ck_assert_int_eq(put(400), 0);
    ck_assert_int_eq(below(0), 0);
    ck_assert_uint_eq(cvy_transport_queued(t), 400);
    LOG("a: out-bytes 400\n"); /* no suspend yet */
    ck_assert_uint_eq(sent(), 0);
    turn();
    wire_has(400);
}
END_TEST

/* T3, T5 */
START_TEST(a_write_above_the_hard_limit_is_refused_whole)
{
    open_with(&small);
    cvy_embedded_block(e, true);
    ck_assert_int_eq(below(1000), 0);
    ck_assert_int_eq(below(5000), 0); /* at the limit there is room for one of any size */
    recorder_clear(&notes);
    ck_assert_int_eq(below(1), UV_ENOBUFS);
    ck_assert_int_eq(put(1), UV_ENOBUFS);
    LOG(""); /* before any stage */
    cvy_embedded_block(e, false);
    wire_has(6000);
    ck_assert_int_eq(put(1), 0);
}
END_TEST

/* T3 */
START_TEST(write_some_takes_what_fits_below_the_hard_limit)
{
    open_with(&small);
    cvy_embedded_block(e, true);
    ck_assert_int_eq(below(900), 0);
    size_t taken = 77;
    cvy_buf_t buf = next_bytes(300);
    ck_assert_int_eq(cvy_transport_write_some(t, &buf, &taken), 0);
    ck_assert_uint_eq(taken, 100);
    ck_assert_uint_eq(cvy_buf_len(&buf), 200);
    ck_assert_int_eq(cvy_transport_write_some(t, &buf, &taken), UV_ENOBUFS);
    ck_assert_uint_eq(taken, 100);
    ck_assert_uint_eq(cvy_buf_len(&buf), 200);
    cvy_embedded_block(e, false);
    ck_assert_int_eq(cvy_transport_write_some(t, &buf, &taken), 0);
    ck_assert_uint_eq(taken, 200);
    turn();
    wire_has(1200);
    cvy_buf_fini(&buf);
}
END_TEST

/* T3 */
START_TEST(writes_are_refused_while_connecting_closing_and_behind_our_end)
{
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    ck_assert_int_eq(below(1), UV_ENOTCONN);
    cvy_embedded_connect(e, 0);
    ck_assert_int_eq(below(1), 0);
    ck_assert_int_eq(cvy_transport_shutdown_write(t), 0);
    ck_assert_int_eq(below(1), UV_EPIPE);
    ck_assert_int_eq(put(1), UV_EPIPE);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    ck_assert_int_eq(below(1), UV_EPIPE);
    size_t taken;
    cvy_buf_t buf = next_bytes(1);
    ck_assert_int_eq(cvy_transport_write_some(t, &buf, &taken), UV_EPIPE);
    cvy_buf_fini(&buf);
    turn();
    wire_has(1);
}
END_TEST

/* T4 */
START_TEST(accepted_bytes_leave_once_and_in_order_however_the_writes_are_cut)
{
    int script[400];
    uint32_t seed = 7;
    for (size_t i = 0; i < 400; i++) {
        seed = seed * 1664525 + 1013904223;
        script[i] = seed >> 24 < 40 ? UV_EAGAIN : (int)(1 + (seed >> 20) % 700);
    }
    open_with(NULL);
    cvy_embedded_script(e, script, 400);
    size_t total = 0;
    for (size_t n = 1; n < 600; n += 7, total += n - 7) {
        ck_assert_int_eq(n % 2 ? put(n) : below(n), 0);
        if (n % 3 == 0) turn();
        if (n % 5 == 0) cvy_embedded_unblock(e);
    }
    while (cvy_transport_queued(t))
        cvy_embedded_unblock(e);
    wire_has(total);
}
END_TEST

/* T4 */
START_TEST(a_ticket_completes_when_all_bytes_before_it_are_with_the_kernel)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ 10, UV_EAGAIN, 10, UV_EAGAIN, 5, UV_EAGAIN }, 6);
    below(10);
    ticket("one");
    LOG(""); /* later, never inside */
    below(10);
    ticket("two");
    below(10);
    ticket("three");
    turn();
    LOG("ticket one 0\n");
    cvy_embedded_unblock(e);
    LOG("ticket one 0\nticket two 0\n");
    cvy_embedded_unblock(e);
    LOG("ticket one 0\nticket two 0\n"); /* five of its ten */
    cvy_embedded_unblock(e);
    LOG("ticket one 0\nticket two 0\nticket three 0\n");
    wire_has(30);
}
END_TEST

/* T4 */
START_TEST(tickets_fail_with_ecanceled_at_our_own_close_before_inactive)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ 10, UV_EAGAIN }, 2);
    below(10);
    ticket("one");
    below(10);
    ticket("two");
    ticket("three");
    cvy_transport_close(t, CVY_CLOSE_NOW);
    LOG("");
    turn();
    LOG("ticket one 0\nticket two ECANCELED\nticket three ECANCELED\na: inactive\na: removed\nend 0\n");
}
END_TEST

/* T4, T17 */
START_TEST(tickets_fail_with_the_first_error_of_the_connection)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ 4, UV_ECONNABORTED }, 2);
    below(10);
    ticket("one");
    turn();
    LOG("ticket one ECONNRESET\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T4, T9, T17: the cause is what shutdown said, the tickets know what became of their bytes */
START_TEST(tickets_of_a_drain_that_broke_tell_what_broke_it)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(10);
    ticket("one");
    cvy_transport_shutdown(t, UV_EPROTO);
    cvy_embedded_script(e, (const int[]){ UV_ECONNRESET }, 1);
    cvy_embedded_block(e, false);
    LOG("a: out-close graceful EPROTO\nticket one ECONNRESET\na: inactive\na: removed\nend EPROTO\n");
}
END_TEST

/* T4: what is empty is with the kernel at once */
START_TEST(a_ticket_without_bytes_completes_later_not_inside_the_call)
{
    open_with(NULL);
    ck_assert_int_eq(ticket("empty"), 0);
    LOG("");
    turn();
    LOG("ticket empty 0\n");
}
END_TEST

/* T4 */
START_TEST(a_flush_of_a_closed_transport_answers_epipe_and_completes_nothing)
{
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    ck_assert_int_eq(ticket("late"), UV_EPIPE);
    turn();
    ck_assert_int_eq(ticket("later"), UV_EPIPE);
    LOG("a: inactive\na: removed\nend 0\n");
}
END_TEST

static void chain(cvy_transport_t *of, int status, void *arg)
{
    int *left = arg;
    (void)status;
    if (--*left <= 0) return;
    below(3);
    cvy_transport_flush(of, chain, arg);
}

/* T4, E10 */
START_TEST(a_ticket_may_write_and_flush_again_without_keeping_the_loop)
{
    open_with(NULL);
    int left = 500, other = 1;
    below(3);
    cvy_transport_flush(t, chain, &left);
    cvy_transport_flush(t, chain, &other);
    cvy__loop_enter(t->conveyor.loop);
    cvy__loop_leave(t->conveyor.loop);
    ck_assert_int_gt(left, 300); /* one callback's end runs bounded passes, and lets others have a turn */
    ck_assert_int_eq(other, 0);
    turn();
    ck_assert_int_eq(left, 0);
    wire_has(1500);
}
END_TEST

static void close_inside(cvy_transport_t *of, int status, void *arg)
{
    note_ticket(of, status, arg);
    cvy_transport_close(of, CVY_CLOSE_NOW);
    ck_assert_int_eq(below(1), UV_EPIPE);
    ck_assert_int_eq(ticket("refused"), UV_EPIPE);
}

/* T4, E6 */
START_TEST(a_ticket_may_close)
{
    open_with(NULL);
    below(3);
    cvy_transport_flush(t, close_inside, (void *)(uintptr_t) "closes");
    ticket("second");
    turn();
    LOG("ticket closes 0\nticket second 0\na: inactive\na: removed\nend 0\n");
}
END_TEST

static int completed;

static void count_ticket(cvy_transport_t *of, int status, void *arg)
{
    (void)of;
    if (completed++ != (int)(intptr_t)arg || status != (completed <= 600000 ? 0 : UV_ECANCELED)) abort();
}

/* T4, E10 */
START_TEST(a_million_tickets_complete_in_order_on_a_flat_stack)
{
    open_with(NULL);
    completed = 0;
    cvy_embedded_block(e, true);
    for (int i = 0; i < 1000000; i++) {
        if (i == 600000) below(1);
        if (cvy_transport_flush(t, count_ticket, (void *)(intptr_t)i)) abort();
    }
    turn();
    ck_assert_int_eq(completed, 600000);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    turn();
    ck_assert_int_eq(completed, 1000000);
}
END_TEST

/* T5 */
START_TEST(crossing_high_gives_one_suspend_and_falling_to_low_one_resume)
{
    open_with(&small);
    a.flags |= RECORD_NO_BYTES;
    cvy_embedded_block(e, true);
    put(100);
    turn();
    LOG(""); /* at the mark, not above */
    put(1);
    put(50);
    turn();
    LOG("a: outbound-suspend\n");
    put(50);
    turn();
    LOG("a: outbound-suspend\n");
    cvy_embedded_script(e, (const int[]){ 150, UV_EAGAIN, 1, UV_EAGAIN }, 4);
    cvy_embedded_block(e, false); /* 51 left */
    LOG("a: outbound-suspend\n");
    cvy_embedded_unblock(e);
    LOG("a: outbound-suspend\na: inbound-resume\na: outbound-resume\n");
}
END_TEST

/* T5: inside write nobody is told */
START_TEST(writability_is_told_after_the_dispatch)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_WRITE, NULL, 300 }, { 0 } };
    open_with(&small);
    cvy_embedded_block(e, true);
    feed("x");
    LOG("a: bytes 1 x\na: outbound-suspend\n");
}
END_TEST

static void write_and_flush(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    if (strcmp(event, "bytes")) return;
    below(300);
    if (r->arg) ck_assert(!cvy_ctx_writable(ctx));
    cvy_transport_flush(t, NULL, NULL);
    ck_assert_uint_eq(cvy_transport_queued(t), 0);
}

/* T5 */
START_TEST(crossed_both_ways_within_a_dispatch_gives_neither_event)
{
    a.hook = write_and_flush;
    open_with(&small);
    feed("x");
    LOG("a: bytes 1 x\na: inbound-resume\n"); /* the queue held reading for a moment */
}
END_TEST

/* T5 */
START_TEST(crossed_both_ways_within_a_dispatch_gives_the_pair_to_who_was_told_no)
{
    a.hook = write_and_flush;
    a.arg = &a;
    open_with(&small);
    feed("x");
    LOG("a: bytes 1 x\na: inbound-resume\na: outbound-suspend\na: outbound-resume\n");
}
END_TEST

static void fire_and_flush(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)in;
    if (strcmp(event, "bytes")) return;
    cvy_buf_t buf = next_bytes(300);
    ck_assert_int_eq(cvy_fire_outbound_bytes(ctx, &buf), UV_EAGAIN);
    cvy_transport_flush(t, NULL, NULL);
}

/* T5 */
START_TEST(the_answer_of_a_fire_is_such_a_no)
{
    a.hook = fire_and_flush;
    open_with(&small);
    feed("x");
    LOG("a: bytes 1 x\na: inbound-resume\na: outbound-suspend\na: outbound-resume\n");
}
END_TEST

static int init_bare(cvy_conveyor_t *conveyor, void *arg)
{
    (void)conveyor, (void)arg;
    return 0;
}

static int changes;
static void count_changes(cvy_transport_t *of, bool writable, void *arg)
{
    (void)of, (void)arg;
    ck_assert_int_eq(writable, changes % 2); /* strictly alternating */
    changes++;
}

/* T5: cvy_conveyor_write tells nothing */
START_TEST(a_write_from_outside_is_no_question)
{
    changes = 0;
    open_as(&(cvy_embedded_opts_t){ .transport = &small, .init = init_bare });
    cvy_transport_on_writable_state_changed(t, count_changes, NULL);
    put(300);
    cvy_transport_flush(t, NULL, NULL);
    turn();
    ck_assert_int_eq(changes, 0);
    put(300);
    ck_assert(!cvy_transport_writable(t));
    cvy_transport_flush(t, NULL, NULL);
    ck_assert(cvy_transport_writable(t));
    turn();
    ck_assert_int_eq(changes, 2);
}
END_TEST

/* T5: strictly alternating for each stage, also for one that comes late */
START_TEST(a_stage_added_above_the_mark_hears_of_it_before_the_resume)
{
    open_with(&small);
    cvy_embedded_block(e, true);
    below(300);
    turn();
    recorder_clear(&notes);
    ck_assert_int_eq(cvy_conveyor_add_last(c, &recorder_stage, &b, NULL), 0);
    cvy_embedded_block(e, false);
    LOG("b: added\nb: active\nb: outbound-suspend\nb: inbound-resume\na: inbound-resume\na: outbound-resume\nb: "
        "outbound-resume\n");
}
END_TEST

static uint64_t turn_of_resume;
static void again_on_resume(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (!strcmp(event, "outbound-suspend") && turn_of_resume)
        ck_assert_uint_gt(t->conveyor.loop->turns, turn_of_resume);
    if (strcmp(event, "outbound-resume") || recorder_seen(r, event) > 20) return;
    turn_of_resume = t->conveyor.loop->turns;
    below(300);
    ck_assert(!cvy_ctx_writable(ctx)); /* the flush of this same turn undoes the crossing, but we were told */
}

/* T5 */
START_TEST(at_most_one_pair_of_writability_events_comes_in_a_turn)
{
    turn_of_resume = 0;
    a.hook = again_on_resume;
    open_with(&small);
    cvy_embedded_block(e, true);
    below(300);
    turn();
    cvy_embedded_block(e, false);
    ck_assert_int_eq(recorder_seen(&a, "outbound-suspend"), 21);
    ck_assert_int_eq(recorder_seen(&a, "outbound-resume"), 21);
    ck_assert_ptr_eq(strstr(recorder_text(&notes), "a: outbound-suspend\na: outbound-suspend"), NULL);
}
END_TEST

/* T5 */
START_TEST(above_high_reading_is_held_at_once_until_low)
{
    open_with(&small);
    cvy_embedded_block(e, true);
    below(101);
    ck_assert(cvy_transport_suspended(t)); /* without running any code of the user's */
    LOG("");
    feed("x");
    ck_assert_int_eq(recorder_seen(&a, "bytes"), 0);
    recorder_clear(&notes);
    cvy_embedded_block(e, false);
    LOG("a: inbound-resume\na: outbound-resume\na: bytes 1 x\n"); /* in this order */
}
END_TEST

/* T5 */
START_TEST(hold_reads_off_lets_reading_go_on_above_high)
{
    open_with(&(cvy_transport_opts_t){ .high_bytes = 100, .hold_reads = CVY_OFF });
    cvy_embedded_block(e, true);
    below(300);
    turn();
    ck_assert(!cvy_transport_suspended(t));
    feed("x");
    LOG("a: outbound-suspend\na: bytes 1 x\n");
    cvy_embedded_block(e, false);
    LOG("a: outbound-suspend\na: bytes 1 x\na: outbound-resume\n");
}
END_TEST

/* T5 */
START_TEST(no_writability_event_comes_once_closing)
{
    open_with(&small);
    cvy_embedded_block(e, true);
    below(300);
    turn();
    LOG("a: outbound-suspend\n");
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    cvy_embedded_block(e, false);
    wire_has(300);
    cvy_embedded_end(e);
    LOG("a: outbound-suspend\na: inactive\na: removed\nend 0\n");
}
END_TEST

static void close_it(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (!strcmp(event, r->arg)) cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_NOW);
}

/* T5, E6 */
START_TEST(a_close_inside_a_suspend_stops_the_walk)
{
    a.hook = close_it;
    a.arg = (void *)(uintptr_t) "outbound-suspend";
    open_with(&small);
    add_b();
    cvy_embedded_block(e, true);
    below(300);
    turn();
    LOG("a: outbound-suspend\na: inactive\nb: inactive\nb: removed\na: removed\nend 0\n");
}
END_TEST

static void cut_in_ten(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *out)
{
    (void)r;
    if (strcmp(event, "out-bytes")) return;
    for (size_t n; (n = cvy_buf_len(out) / 10);) {
        cvy_buf_t piece;
        cvy_buf_init(&piece, cvy_ctx_pool(ctx));
        ck_assert_int_eq(cvy_buf_move(&piece, out, n), 0);
        cvy_fire_outbound_bytes(ctx, &piece);
    }
}

/* T5: one buffer of any size may go when there is room */
START_TEST(a_write_that_was_let_in_is_not_refused_at_head_in_pieces)
{
    a.hook = cut_in_ten;
    open_with(&small);
    cvy_embedded_block(e, true);
    ck_assert_int_eq(put(5000), 0);
    ck_assert_int_eq(put(1), UV_ENOBUFS);
    cvy_embedded_block(e, false);
    wire_has(5000);
    ck_assert(!cvy_transport_closing(t));
}
END_TEST

/* E7, T5 */
START_TEST(a_stage_that_fires_past_the_hard_limit_ends_the_connection)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 1, RECORD_WRITE, NULL, 2000 },
                                         { "bytes", 1, RECORD_WRITE, "y", 0 },
                                         { 0 } };
    open_with(&small);
    cvy_embedded_block(e, true);
    feed("x");
    LOG("a: bytes 1 x\na: error ENOBUFS transport\na: inactive\na: removed\nend ENOBUFS\n");
}
END_TEST

/* T7 */
START_TEST(a_turn_gathers_all_its_writes_in_one)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 0, RECORD_WRITE, "pong", 0 },
                                         { "bytes", 0, RECORD_WRITE, NULL, 3000 },
                                         { 0 } };
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    feed("1");
    feed("2");
    feed("3");
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 0);
    cvy__loop_leave(t->conveyor.loop);
    turn();
    ck_assert_uint_eq(sent(), 3 * 3004);
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 1);
    put(10);
    put(10);
    below(10);
    turn();
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 2);
}
END_TEST

/* T7: stages that hold bytes let go first */
START_TEST(the_turns_flush_walks_the_stages_before_it_writes)
{
    a.flags = b.flags = 0;
    a.rules = (const recorder_rule_t[]){ { "flush", 1, RECORD_WRITE, "held", 0 }, { 0 } };
    open_with(NULL);
    add_b();
    put(3);
    turn();
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 1);
    ck_assert_uint_eq(sent(), 7);
    ck_assert_int_eq(strncmp(recorder_text(&notes), "b: out-bytes 3", 14), 0);
    ck_assert_ptr_ne(strstr(recorder_text(&notes), "b: flush\na: flush\n"), NULL);
}
END_TEST

/* T7 */
START_TEST(a_long_queue_does_not_wait_for_the_end_of_the_turn)
{
    open_with(NULL);
    ck_assert_int_eq(below(256 * 1024 - 1), 0);
    ck_assert_uint_eq(sent(), 0);
    ck_assert_int_eq(below(1), 0);
    wire_has(256 * 1024);
}
END_TEST

/* T7 */
START_TEST(enough_waiting_transports_do_not_wait_for_the_end_of_the_turn)
{
    open_as(&(cvy_embedded_opts_t){ .loop = &(cvy_loop_opts_t){ .flush_limit = 1 } });
    cvy__loop_enter(t->conveyor.loop);
    below(5);
    ck_assert_uint_eq(sent(), 0);
    cvy__loop_leave(t->conveyor.loop);
    wire_has(5);
}
END_TEST

/* T7, R9 */
START_TEST(a_kernel_that_takes_a_byte_at_a_time_gets_sixteen_writes_per_turn)
{
    int ones[100];
    for (int i = 0; i < 100; i++)
        ones[i] = 1;
    open_with(NULL);
    cvy_embedded_script(e, ones, 100);
    below(100);
    cvy_transport_flush(t, NULL, NULL);
    ck_assert_uint_eq(sent(), 16);
    turn();
    wire_has(100);
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 100);
}
END_TEST

static int flushes;
static void count_flush(cvy_transport_t *of, void *arg)
{
    (void)arg;
    flushes++;
    ck_assert_uint_eq(cvy_transport_queued(of), 0);
}

/* T7 */
START_TEST(on_flush_completed_comes_when_the_queue_ran_empty)
{
    flushes = 0;
    open_with(NULL);
    cvy_transport_on_flush_completed(t, count_flush, NULL);
    cvy_embedded_script(e, (const int[]){ 5, UV_EAGAIN }, 2);
    cvy_embedded_block(e, true);
    below(3);
    ticket("three");
    below(7);
    cvy_embedded_block(e, false); /* five of them */
    LOG("ticket three 0\n");
    ck_assert_int_eq(flushes, 0);
    cvy_embedded_unblock(e);
    ck_assert_int_eq(flushes, 1);
    turn();
    ck_assert_int_eq(flushes, 1);
    below(1);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    turn();
    ck_assert_int_eq(flushes, 1);
}
END_TEST

/* T4, M3: in flight it costs that connection, or the call says so */
START_TEST(a_ticket_without_memory_is_refused_and_nothing_else_happens)
{
    open_with(NULL);
    below(10);
    cvy__memory_fail(1);
    ck_assert_int_eq(ticket("none"), UV_ENOMEM);
    cvy__memory_fail(0);
    turn();
    LOG("");
    wire_has(10);
}
END_TEST

/* T5: options */
START_TEST(every_mark_can_be_turned_off)
{
    open_with(&(cvy_transport_opts_t){ .high_bytes = CVY_OFF, .low_bytes = CVY_OFF, .hard_bytes = CVY_OFF });
    a.flags |= RECORD_NO_BYTES;
    cvy_embedded_block(e, true);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(put(100000), 0);
    turn();
    ck_assert(cvy_transport_writable(t));
    cvy_embedded_block(e, false);
    wire_has(4000000);
    LOG("");
}
END_TEST

/* T5: options */
START_TEST(a_low_mark_turned_off_is_an_empty_queue)
{
    open_with(&(cvy_transport_opts_t){ .high_bytes = 100, .low_bytes = CVY_OFF });
    cvy_embedded_script(e, (const int[]){ 199, UV_EAGAIN }, 2);
    below(200);
    turn();
    LOG("a: outbound-suspend\n");
    cvy_embedded_unblock(e);
    LOG("a: outbound-suspend\na: inbound-resume\na: outbound-resume\n");
}
END_TEST

/* T5: options */
START_TEST(marks_that_contradict_each_other_are_einval)
{
    const cvy_transport_opts_t bad[] = {
        { .high_bytes = 100, .low_bytes = 101 },
        { .high_bytes = 100, .hard_bytes = 99 },
        { .low_bytes = 65537 },
        { .hard_bytes = 65535 },
        { .high_bytes = CVY_OFF, .hard_bytes = 1 << 20 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .transport = &bad[i] }), UV_EINVAL);
    ck_assert_ptr_eq(e, NULL);
}
END_TEST

static bool blocked_now;
static uint64_t streamed;
static void stream_on(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)in;
    if (strcmp(event, "outbound-resume") && strcmp(event, "bytes")) return;
    while (streamed < 4000000) {
        cvy_buf_t buf = next_bytes(1000);
        offered += 1000;
        streamed += 1000;
        if (cvy_fire_outbound_bytes(ctx, &buf)) break;
        if (streamed % 7000 == 0) cvy_fire_outbound_flush(ctx);
    }
}

/* T4, T5. Source: Netty, SocketConditionalWritabilityTest. */
START_TEST(writing_only_while_writable_completes_with_a_short_queue)
{
    blocked_now = true;
    streamed = 0;
    a.hook = stream_on;
    a.flags |= RECORD_SILENT;
    open_with(&(cvy_transport_opts_t){ .high_bytes = 16384, .low_bytes = 8192 });
    feed("go");
    for (int i = 0; streamed < 4000000 || cvy_transport_queued(t); i++) {
        int some[] = { 1 + (i * 7919) % 20000, UV_EAGAIN };
        cvy_embedded_script(e, some, 2);
        cvy_embedded_unblock(e);
        ck_assert_uint_le(cvy_transport_queued(t), 16384 + 1000);
    }
    wire_has(4000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write");
    fixed(ADD_TESTS(suite, "write", write_takes_the_whole_buffer_and_calls_nobody_back,
                    a_write_above_the_hard_limit_is_refused_whole, write_some_takes_what_fits_below_the_hard_limit,
                    writes_are_refused_while_connecting_closing_and_behind_our_end,
                    accepted_bytes_leave_once_and_in_order_however_the_writes_are_cut));
    fixed(ADD_TESTS(suite, "tickets", a_ticket_completes_when_all_bytes_before_it_are_with_the_kernel,
                    tickets_fail_with_ecanceled_at_our_own_close_before_inactive,
                    tickets_fail_with_the_first_error_of_the_connection,
                    tickets_of_a_drain_that_broke_tell_what_broke_it,
                    a_ticket_without_bytes_completes_later_not_inside_the_call,
                    a_flush_of_a_closed_transport_answers_epipe_and_completes_nothing,
                    a_ticket_may_write_and_flush_again_without_keeping_the_loop, a_ticket_may_close,
                    a_million_tickets_complete_in_order_on_a_flat_stack,
                    a_ticket_without_memory_is_refused_and_nothing_else_happens));
    fixed(ADD_TESTS(
        suite, "marks", crossing_high_gives_one_suspend_and_falling_to_low_one_resume,
        writability_is_told_after_the_dispatch, crossed_both_ways_within_a_dispatch_gives_neither_event,
        crossed_both_ways_within_a_dispatch_gives_the_pair_to_who_was_told_no, the_answer_of_a_fire_is_such_a_no,
        a_write_from_outside_is_no_question, a_stage_added_above_the_mark_hears_of_it_before_the_resume,
        at_most_one_pair_of_writability_events_comes_in_a_turn, above_high_reading_is_held_at_once_until_low,
        hold_reads_off_lets_reading_go_on_above_high, no_writability_event_comes_once_closing,
        a_close_inside_a_suspend_stops_the_walk, a_write_that_was_let_in_is_not_refused_at_head_in_pieces,
        a_stage_that_fires_past_the_hard_limit_ends_the_connection, every_mark_can_be_turned_off,
        a_low_mark_turned_off_is_an_empty_queue, marks_that_contradict_each_other_are_einval,
        writing_only_while_writable_completes_with_a_short_queue));
    fixed(ADD_TESTS(suite, "flush", a_turn_gathers_all_its_writes_in_one,
                    the_turns_flush_walks_the_stages_before_it_writes,
                    a_long_queue_does_not_wait_for_the_end_of_the_turn,
                    enough_waiting_transports_do_not_wait_for_the_end_of_the_turn,
                    a_kernel_that_takes_a_byte_at_a_time_gets_sixteen_writes_per_turn,
                    on_flush_completed_comes_when_the_queue_ran_empty));
    return test_run(suite);
}
