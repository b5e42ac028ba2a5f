/* The embedded transport itself: what it scripts is what the core sees. */
#include "fixture_transport.h"

/* T15 */
START_TEST(bytes_go_in_and_come_out_by_calls)
{
    a.rules = (const recorder_rule_t[]){ { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
    open_with(NULL);
    feed("PING\r\n");
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "PING\r\n", 6));
    cvy_buf_advance(cvy_embedded_sent(e), 6); /* consumed with the buffer's calls */
    feed("again");
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "again", 5));
    ck_assert_str_eq(cvy_transport_kind(t), "embedded");
    ck_assert_str_eq(cvy_transport_other_endpoint(t), "embedded:");
    cvy_socket_t fd;
    ck_assert_int_eq(cvy_transport_fd(t, &fd), UV_ENOTSUP);
    ck_assert_ptr_eq(cvy_loop_uv(cvy_embedded_loop(e)), NULL);
}
END_TEST

/* T15: no options at all */
START_TEST(a_bare_one_drops_what_it_is_fed)
{
    cvy_log_set(NULL, NULL);
    ck_assert_int_eq(cvy_embedded_new(&e, NULL), 0);
    ck_assert_int_eq(cvy_embedded_feed(e, "x", 1), 0);
    cvy_transport_stats_t stats;
    cvy_transport_stats(cvy_embedded_transport(e), &stats);
    ck_assert_uint_eq(stats.bytes_dropped, 1);
    cvy_embedded_free(NULL);
}
END_TEST

/* T15 */
START_TEST(a_script_takes_blocks_and_fails_write_by_write)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ 3, UV_EAGAIN, 4, UV_ENOSPC }, 4);
    below(10);
    turn();
    wire_has(3);
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 1);
    turn();
    wire_has(3);
    cvy_embedded_unblock(e);
    wire_has(7);
    LOG("a: error ENOSPC transport\na: inactive\na: removed\nend ENOSPC\n");
}
END_TEST

/* T15 */
START_TEST(behind_the_end_of_a_script_everything_is_taken)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ 1, 2 }, 2);
    below(100);
    turn();
    wire_has(100);
    cvy_embedded_script(e, (const int[]){ 5, UV_EAGAIN }, 2);
    cvy_embedded_script(e, NULL, 0); /* taken back */
    below(100);
    turn();
    wire_has(200);
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 4);
}
END_TEST

/* T15 */
START_TEST(blocked_writes_wait_until_they_are_let_pass)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(100);
    turn();
    cvy_embedded_unblock(e); /* may try again, and would block again */
    ck_assert_uint_eq(sent(), 0);
    cvy_embedded_block(e, false);
    wire_has(100);
}
END_TEST

/* T15: as in a socket */
START_TEST(what_is_fed_waits_until_reading_runs)
{
    open_with(NULL);
    cvy_transport_readable_state_changed(t, false);
    feed("one");
    feed("two");
    LOG("");
    cvy_transport_readable_state_changed(t, true);
    turn();
    LOG("a: inbound-resume\na: bytes 3 one\na: bytes 3 two\n");
    ck_assert_int_eq(cvy_embedded_feed(e, "", 0), 0);
    LOG("a: inbound-resume\na: bytes 3 one\na: bytes 3 two\n");
    cvy_embedded_end(e);
    ck_assert_int_eq(cvy_embedded_feed(e, "x", 1), UV_EPIPE);
}
END_TEST

/* T15: an end behind a suspend that stopped reading */
START_TEST(an_end_comes_when_reading_goes_on)
{
    open_with(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    cvy_ctx_suspend(a.ctx);
    feed("x");
    cvy_embedded_end(e);
    LOG("");
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: inbound-resume\na: bytes 1 x\na: read-closed\n");
}
END_TEST

/* T15 */
START_TEST(a_reset_overtakes_what_was_fed)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("lost");
    cvy_embedded_reset(e, UV_ECONNRESET);
    LOG("");
    ck_assert_int_eq(cvy_embedded_feed(e, "x", 1), UV_EPIPE);
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: inbound-resume\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

static void reset_on_bytes(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    if (!strcmp(event, "bytes")) cvy_embedded_reset(e, UV_ECONNRESET);
}

/* T15: what was fed, and the end behind it, when the reset comes while the first of it is delivered */
START_TEST(a_reset_inside_a_callback_overtakes_the_end)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("one");
    feed("lost");
    cvy_embedded_end(e);
    a.hook = reset_on_bytes;
    cvy_ctx_resume(a.ctx);
    turn();
    LOG("a: inbound-resume\na: bytes 3 one\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T15 */
START_TEST(a_write_after_a_reset_fails)
{
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("lost");
    cvy_embedded_reset(e, UV_ECONNRESET);
    below(1);
    ticket("one");
    turn();
    LOG("ticket one ECONNRESET\na: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
    ck_assert_uint_eq(sent(), 0);
}
END_TEST

/* T15 */
START_TEST(connecting_ends_once_either_way)
{
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    LOG("");
    cvy_embedded_connect(e, 0);
    LOG("a: added\na: active\n");
    cvy_embedded_connect(e, UV_ECONNREFUSED);
    LOG("a: added\na: active\n");
    finish();
    recorder_clear(&notes);
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    cvy_embedded_connect(e, UV_ECONNREFUSED);
    ck_assert(cvy_embedded_closed(e, NULL));
    LOG(""); /* no stage was ever added */
    finish();
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    ck_assert(cvy_embedded_closed(e, NULL));
    cvy_embedded_connect(e, 0);
    LOG("");
}
END_TEST

static void feed_inside(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    if (strcmp(event, "bytes") || recorder_seen(r, event) > 2) return;
    recorder_line(&notes, "(");
    feed("inner");
    cvy_embedded_run(e);
    cvy_embedded_advance(e, 1000);
    recorder_line(&notes, ")");
}

/* T15 */
START_TEST(calls_inside_a_callback_leave_the_turns_to_the_outermost)
{
    a.hook = feed_inside;
    open_with(NULL);
    feed("outer");
    LOG("a: bytes 5 outer\n(\n)\na: bytes 5 inner\n(\n)\na: bytes 5 inner\n");
    ck_assert_uint_eq(cvy_loop_now(cvy_embedded_loop(e)), 0); /* no time passes inside */
}
END_TEST

static void note_time(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (!strcmp(event, "timer") || !strcmp(event, "bytes"))
        recorder_line(&notes, "%s at %d", r->name, (int)cvy_loop_now(cvy_ctx_loop(ctx)));
}

/* T15, M6 */
START_TEST(time_moves_by_call_and_stops_at_each_timer)
{
    a.hook = b.hook = note_time;
    open_with(NULL);
    add_b();
    cvy_ctx_timer(a.ctx, 700);
    cvy_ctx_timer(b.ctx, 300);
    later(299);
    LOG("");
    later(1000);
    LOG("b: timer\nb at 300\na: timer\na at 700\n");
    ck_assert_uint_eq(cvy_loop_now(cvy_embedded_loop(e)), 1299);
}
END_TEST

/* T15: what a timer sets going is done before time goes on */
START_TEST(what_a_timer_lets_in_is_read_at_its_time)
{
    a.hook = note_time;
    a.rules = (const recorder_rule_t[]){ { "timer", 1, RECORD_RESUME, NULL, 0 }, { 0 } };
    open_with(NULL);
    cvy_ctx_suspend(a.ctx);
    feed("x");
    cvy_ctx_timer(a.ctx, 100);
    later(5000);
    LOG("a: timer\na at 100\na: inbound-resume\na: bytes 1 x\na at 100\n");
    cvy_transport_stats_t stats;
    cvy_transport_stats(t, &stats);
    ck_assert_uint_eq(stats.last_read_ms, 100);
}
END_TEST

static void restart(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)in;
    if (!strcmp(event, "timer")) cvy_ctx_timer(ctx, 0);
}

/* T15 */
START_TEST(a_timer_that_starts_itself_at_once_does_not_hold_the_clock)
{
    a.hook = restart;
    a.flags |= RECORD_SILENT;
    open_with(NULL);
    cvy_ctx_timer(a.ctx, 0);
    later(3);
    ck_assert_uint_eq(cvy_loop_now(cvy_embedded_loop(e)), 3);
}
END_TEST

static uint64_t runs;

static void post_again(cvy_task_t *task, int status)
{
    if (++runs == 20000000) ck_abort_msg("it holds the clock");
    if (!status) cvy_loop_post(cvy_embedded_loop(e), task);
}

/* T15, R9 */
START_TEST(nor_does_a_task_that_posts_itself_again)
{
    static cvy_task_t task = { .run = post_again };
    open_with(NULL);
    ck_assert_int_eq(cvy_loop_post(cvy_embedded_loop(e), &task), 0);
    later(3);
    ck_assert_uint_eq(cvy_loop_now(cvy_embedded_loop(e)), 3);
}
END_TEST

static void count_post(void *arg, int status)
{
    recorder_line(&notes, "post %s %s", (const char *)arg, status ? uv_err_name(status) : "0");
}

/* T15, R3 */
START_TEST(posts_run_when_the_clock_is_moved)
{
    open_with(NULL);
    cvy_buf_t buf = next_bytes(5);
    ck_assert_int_eq(cvy_transport_post_write(cvy_embedded_loop(e), cvy_transport_id(t), &buf, count_post,
                                              (void *)(uintptr_t) "one"),
                     0);
    cvy_buf_fini(&buf);
    LOG("");
    later(0);
    LOG("a: out-bytes 5 ..>]|\npost one 0\n");
    wire_has(5);
    finish();
    recorder_clear(&notes);
    open_with(NULL);
    cvy_transport_shutdown_write(t);
    turn();
    buf = next_bytes(5);
    ck_assert_int_eq(cvy_transport_post_write(cvy_embedded_loop(e), cvy_transport_id(t), &buf, count_post,
                                              (void *)(uintptr_t) "late"),
                     0);
    cvy_buf_fini(&buf);
    later(0);
    LOG("post late EPIPE\n"); /* our side has ended; the other goes on */
    ck_assert(!cvy_transport_closing(t));
}
END_TEST

/* T15: 'the kernel' short of memory is an error of that write */
START_TEST(memory_that_ends_in_the_embedded_itself_is_an_error_of_its_calls)
{
    open_with(NULL);
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_embedded_feed(e, "x", 1), UV_ENOMEM);
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_embedded_script(e, (const int[]){ 1 }, 1), UV_ENOMEM);
    cvy__memory_fail(0);
    feed("y");
    LOG("a: bytes 1 y\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("embedded");
    fixed(ADD_TESTS(suite, "wire", bytes_go_in_and_come_out_by_calls, a_bare_one_drops_what_it_is_fed,
                    a_script_takes_blocks_and_fails_write_by_write, behind_the_end_of_a_script_everything_is_taken,
                    blocked_writes_wait_until_they_are_let_pass, what_is_fed_waits_until_reading_runs,
                    an_end_comes_when_reading_goes_on, a_reset_overtakes_what_was_fed,
                    a_reset_inside_a_callback_overtakes_the_end, a_write_after_a_reset_fails,
                    connecting_ends_once_either_way));
    fixed(ADD_TESTS(suite, "time", calls_inside_a_callback_leave_the_turns_to_the_outermost,
                    time_moves_by_call_and_stops_at_each_timer, what_a_timer_lets_in_is_read_at_its_time,
                    a_timer_that_starts_itself_at_once_does_not_hold_the_clock, nor_does_a_task_that_posts_itself_again,
                    posts_run_when_the_clock_is_moved,
                    memory_that_ends_in_the_embedded_itself_is_an_error_of_its_calls));
    return test_run(suite);
}
