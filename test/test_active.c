/* Proves lib/conveyor/walk.c: active and inactive, who may hold them, and who sees neither. C3, C4, C6, E3, E5, E6. */
#include "fixture_walk.h"

#include "transport/transport.h"

static void activate(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_activate_next(ctx);
    cvy_ctx_activate_next(ctx);
}

static const recorder_rule_t hold_active[] = { { "active", 1, RECORD_HOLD, NULL, 0 }, { 0 } };

/* E5, T2: the whole life of three stages */
START_TEST(active_goes_from_head_to_tail_inactive_likewise_and_removed_from_tail_to_head)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    prepare_conn((row_t[]){ { &recorder_stage, &a }, { &recorder_stage, &b }, { &recorder_stage, &c }, { 0 } }, NULL);
    feed("early");
    history_is("");
    cvy_embedded_connect(conn, 0);
    history_is(ADDED "a: active\nb: active\nc: active\n"
                     "a: bytes 5 early\nb: bytes 5 early\nc: bytes 5 early\n");
    close_now();
    history_is("a: inactive\nb: inactive\nc: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

/* E3, E5: behind a hold nothing arrives that walks by itself, and no inactive comes to who had no active */
START_TEST(a_stage_that_holds_active_gets_bytes_and_those_behind_it_see_nothing)
{
    recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, .rules = hold_active },
               c = { .name = "c", .log = &history };
    cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1 };
    open_three(&a, &b, &c, &opts);
    history_is(ADDED "a: active\nb: active\n");
    feed("hello");
    history_is("a: bytes 5 hello\nb: bytes 5 hello\nb: read-complete\n"
               "c: flush\nb: flush\n");
    cvy_embedded_block(conn, true);
    cvy_fire_outbound_copy(b.ctx, "123456", 6);
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, false);
    history_is("a: out-bytes 6 123456\n"
               "a: outbound-suspend\nb: outbound-suspend\n"
               "c: flush\nb: flush\nc: flush\nb: flush\n"
               "c: inbound-resume\nb: inbound-resume\na: inbound-resume\n"
               "a: outbound-resume\nb: outbound-resume\n");
    close_now();
    history_is("a: inactive\nb: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

/* E3 */
START_TEST(activate_next_from_a_bytes_callback_goes_on_before_the_bytes_do)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_active;
    b.hook = do_deed;
    b.arg = &(deed_t){ "bytes", activate };
    open_three(&a, &b, &c, NULL);
    feed("x");
    feed("y");
    history_is(ADDED "a: active\nb: active\n"
                     "a: bytes 1 x\nb: bytes 1 x\nc: active\nc: bytes 1 x\n"
                     "a: bytes 1 y\nb: bytes 1 y\nc: bytes 1 y\n");
    close_now();
    history_is("a: inactive\nb: inactive\nc: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

/* E3: a handshake that is done at once */
START_TEST(a_hold_that_ends_inside_on_active_is_no_hold)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_active;
    b.hook = do_deed;
    b.arg = &(deed_t){ "active", activate };
    open_three(&a, &b, &c, NULL);
    feed("x");
    history_is(ADDED "a: active\nb: active\nc: active\n"
                     "a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

/* E3: two holders, one behind the other; letting go where one does not hold does nothing */
START_TEST(two_stages_hold_active_one_after_the_other)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    a.rules = b.rules = hold_active;
    open_three(&a, &b, &c, NULL);
    cvy_ctx_activate_next(b.ctx);
    cvy_ctx_activate_next(c.ctx);
    history_is(ADDED "a: active\n");
    cvy_ctx_activate_next(a.ctx);
    history_is("b: active\n");
    cvy_ctx_activate_next(a.ctx);
    history_is("");
    cvy_ctx_activate_next(b.ctx);
    history_is("c: active\n");
    ends_clean();
}
END_TEST

static int answer_again(cvy_ctx_t *ctx)
{
    (void)ctx;
    recorder_line(&history, "waiter: active");
    return UV_EAGAIN;
}

static const cvy_stage_t waiter = { .name = "waiter", .on_active = answer_again };

/* E5: bytes must not step over a holder that has no slot for them */
START_TEST(a_holder_that_takes_no_bytes_holds_reading_and_they_come_after_active)
{
    recorder_t a = RECORDER("a"), c = RECORDER("c");
    row_t rows[] = { { &recorder_stage, &a }, { &waiter, NULL }, { &recorder_stage, &c }, { 0 } };
    open_conn(rows, NULL);
    ck_assert(cvy_transport_suspended(transport));
    feed("x");
    cvy_embedded_end(conn);
    history_is("a: added\nc: added\na: active\nwaiter: active\n");
    cvy_ctx_activate_next(cvy_conveyor_find(chain, cvy_at_stage(&waiter)));
    cvy_embedded_run(conn);
    history_is("c: active\n"
               "c: inbound-resume\na: inbound-resume\n"
               "a: bytes 1 x\nc: bytes 1 x\n"
               "a: read-closed\nc: read-closed\n"
               "c: out-close graceful 0\na: out-close graceful 0\n"
               "a: inactive\nc: inactive\nc: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

/* T2, E5: its own suspends are another matter */
START_TEST(a_holder_that_takes_no_bytes_and_resumes_reading_lets_none_past)
{
    recorder_t c = RECORDER("c");
    row_t rows[] = { { &waiter, NULL }, { &recorder_stage, &c }, { 0 } };
    open_conn(rows, NULL);
    cvy_ctx_t *holder = cvy_conveyor_find(chain, cvy_at_stage(&waiter));
    cvy_ctx_suspend(holder);
    cvy_ctx_resume(holder);
    feed("x");
    history_is("c: added\nwaiter: active\n");
    cvy_ctx_activate_next(holder);
    cvy_embedded_run(conn);
    history_is("c: active\nc: inbound-resume\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

static int let_go_and_hold(cvy_ctx_t *ctx)
{
    cvy_ctx_activate_next(ctx);
    return UV_EAGAIN;
}

/* E3 */
START_TEST(a_hold_that_ends_inside_on_active_does_not_hold_reading_either)
{
    static const cvy_stage_t quick = { .name = "quick", .on_active = let_go_and_hold };
    recorder_t c = RECORDER("c");
    row_t rows[] = { { &quick, NULL }, { &recorder_stage, &c }, { 0 } };
    open_conn(rows, NULL);
    ck_assert(!cvy_transport_suspended(transport));
    feed("x");
    history_is("c: added\nc: active\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

/* E5, C6 */
START_TEST(a_holder_that_takes_no_bytes_and_is_removed_lets_reading_go)
{
    recorder_t c = RECORDER("c");
    row_t rows[] = { { &waiter, NULL }, { &recorder_stage, &c }, { 0 } };
    open_conn(rows, NULL);
    feed("x");
    history_is("c: added\nwaiter: active\n");
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(&waiter)), 0);
    cvy_embedded_run(conn);
    history_is("c: active\nc: inbound-resume\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

/* E3, C4: what the removed holder lets go of comes behind active */
START_TEST(a_holder_that_removes_itself_lets_active_go_on_before_its_bytes)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules =
        (recorder_rule_t[]){ { "active", 1, RECORD_HOLD, NULL, 0 }, { "bytes", 1, RECORD_REMOVE, NULL, 0 }, { 0 } };
    b.hook = do_deed;
    b.arg = &(deed_t){ "removed", fire_text };
    open_three(&a, &b, &c, NULL);
    feed("x");
    history_is(ADDED "a: active\nb: active\n"
                     "a: bytes 1 x\nb: bytes 1 x\nc: active\nc: bytes 1 x\n"
                     "b: removed\nc: bytes 4 left\n");
    close_now();
    history_is("a: inactive\nc: inactive\nc: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

/* E3, C4 */
START_TEST(the_replacement_of_a_holder_gets_active_and_then_what_the_old_one_held)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_active;
    b.hook = do_deed;
    b.arg = &(deed_t){ "removed", fire_text };
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_replace(chain, cvy_at_ctx(b.ctx), &with, 1), 0);
    history_is("extra: added\nextra: active\nc: active\n"
               "b: removed\nextra: bytes 4 left\nc: bytes 4 left\n");
    ends_clean();
}
END_TEST

/* E5, C3: around the place where the walk stands */
START_TEST(a_stage_added_in_front_of_the_walk_of_active_gets_active_at_once)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.hook = do_deed;
    b.arg = &(deed_t){ "active", add_before_self };
    open_three(&a, &b, &c, NULL);
    history_is(ADDED "a: active\nb: active\nextra: added\nextra: active\nc: active\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_added_behind_the_walk_of_active_is_found_by_it)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.hook = do_deed;
    b.arg = &(deed_t){ "active", add_after_self };
    open_three(&a, &b, &c, NULL);
    history_is(ADDED "a: active\nb: active\nextra: added\nextra: active\nc: active\n");
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nextra: bytes 1 x\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_added_behind_a_hold_waits_and_one_before_it_does_not)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c"), early = RECORDER("early");
    b.rules = hold_active;
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    ck_assert_int_eq(cvy_conveyor_add_before(chain, cvy_at_ctx(b.ctx), &recorder_stage, &early, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_after(chain, cvy_at_ctx(b.ctx), &recorder_stage, &extra, NULL), 0);
    history_is("early: added\nearly: active\nextra: added\n");
    cvy_ctx_activate_next(b.ctx);
    history_is("extra: active\nc: active\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_that_replaces_itself_inside_on_active_is_followed_by_its_replacement)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.hook = do_deed;
    b.arg = &(deed_t){ "active", replace_self };
    b.rules = hold_active;
    open_three(&a, &b, &c, NULL);
    history_is(ADDED "a: active\nb: active\nextra: added\nextra: active\nc: active\nb: removed\n");
    close_now();
    history_is("a: inactive\nextra: inactive\nc: inactive\nc: removed\nextra: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_that_removes_itself_inside_on_active_gets_no_inactive_and_holds_nothing)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules =
        (recorder_rule_t[]){ { "active", 1, RECORD_HOLD, NULL, 0 }, { "active", 1, RECORD_REMOVE, NULL, 0 }, { 0 } };
    open_three(&a, &b, &c, NULL);
    close_now();
    history_is(ADDED "a: active\nb: active\nc: active\nb: removed\n"
                     "a: inactive\nc: inactive\nc: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

static const recorder_rule_t leaves_bytes[] = { { "active", 1, RECORD_REMOVE, NULL, 0 },
                                                { "removed", 1, RECORD_FIRE_IN, "left", 0 },
                                                { 0 } };

/* E5, C4 */
START_TEST(what_stages_that_remove_themselves_inside_on_active_let_go_of_comes_behind_active)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    a.rules = b.rules = leaves_bytes;
    open_three(&a, &b, &c, NULL);
    history_is(ADDED "a: active\nb: active\nc: active\n"
                     "b: removed\nc: bytes 4 left\na: removed\nc: bytes 4 left\n");
    ends_clean();
}
END_TEST

/* E5 */
START_TEST(closing_inside_on_active_lets_later_stages_see_neither_active_nor_inactive)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = (recorder_rule_t[]){ { "active", 1, RECORD_NOW, NULL, 0 }, { 0 } };
    open_three(&a, &b, &c, NULL);
    history_is(ADDED "a: active\nb: active\na: inactive\nb: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

static int refuse(cvy_ctx_t *ctx)
{
    (void)ctx;
    return UV_EACCES;
}

/* E5, E8: other answers of on_active */
START_TEST(on_active_that_fails_closes_the_connection_with_its_code)
{
    static const cvy_stage_t refusing = { .name = "refusing", .on_active = refuse };
    recorder_t a = RECORDER("a"), c = RECORDER("c");
    row_t rows[] = { { &recorder_stage, &a }, { &refusing, NULL }, { &recorder_stage, &c }, { 0 } };
    open_conn(rows, NULL);
    history_is("a: added\nc: added\na: active\na: inactive\nc: removed\na: removed\nended EACCES\n");
    ends_clean();
}
END_TEST

/* E5, E6 */
START_TEST(a_connection_closed_before_active_has_neither_active_nor_inactive)
{
    recorder_t a = RECORDER("a");
    a.rules = (recorder_rule_t[]){ { "added", 1, RECORD_NOW, NULL, 0 }, { 0 } };
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    open_conn(rows, NULL);
    history_is("a: added\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

/* E5: an error of the transport's own before active is told to nobody but shutdown-completed */
START_TEST(a_connection_that_breaks_before_active_tells_its_stages_nothing)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    prepare_conn(rows, NULL);
    cvy_embedded_connect(conn, UV_ECONNREFUSED);
    history_is("ended ECONNREFUSED\n");
    ends_clean();

    prepare_conn(rows, NULL);
    a.rules =
        (recorder_rule_t[]){ { "added", 1, RECORD_WRITE, NULL, 32 }, { "added", 1, RECORD_FLUSH, NULL, 0 }, { 0 } };
    a.flags |= RECORD_NO_BYTES;
    const int broken = UV_EPIPE;
    cvy_embedded_script(conn, &broken, 1);
    cvy_embedded_connect(conn, 0);
    history_is("a: added\na: removed\nended EPIPE\n");
    ends_clean();
}
END_TEST

/* E5, E6: broken between on_connected and active, of its own */
START_TEST(a_connection_that_breaks_right_before_active_tells_its_stages_nothing)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    prepare_conn(rows, NULL);
    cvy__loop_enter(conn_loop);
    cvy_embedded_connect(conn, 0);
    cvy__transport_close_with(transport, CVY_CLOSE_NOW, UV_ECONNRESET, true);
    cvy__loop_leave(conn_loop);
    cvy_embedded_run(conn);
    history_is("a: added\na: removed\nended ECONNRESET\n");
    ends_clean();
}
END_TEST

static recorder_t *victim;

static void remove_next(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(victim->ctx)), 0);
}

/* E5: inactive finds the chain as its stages leave it */
START_TEST(a_stage_removed_by_the_inactive_of_another_gets_removed_only)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    a.hook = do_deed;
    a.arg = &(deed_t){ "inactive", remove_next };
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    c.rules = (recorder_rule_t[]){ { "inactive", 1, RECORD_REMOVE, NULL, 0 }, { 0 } };
    victim = &b;
    close_now();
    history_is("a: inactive\nb: removed\nc: inactive\nc: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("active");
    TCase *tc = ADD_TESTS(s, "active", active_goes_from_head_to_tail_inactive_likewise_and_removed_from_tail_to_head,
                          a_stage_that_holds_active_gets_bytes_and_those_behind_it_see_nothing,
                          activate_next_from_a_bytes_callback_goes_on_before_the_bytes_do,
                          a_hold_that_ends_inside_on_active_is_no_hold, two_stages_hold_active_one_after_the_other,
                          a_holder_that_takes_no_bytes_holds_reading_and_they_come_after_active,
                          a_holder_that_takes_no_bytes_and_resumes_reading_lets_none_past,
                          a_hold_that_ends_inside_on_active_does_not_hold_reading_either,
                          a_holder_that_takes_no_bytes_and_is_removed_lets_reading_go,
                          a_holder_that_removes_itself_lets_active_go_on_before_its_bytes,
                          the_replacement_of_a_holder_gets_active_and_then_what_the_old_one_held,
                          a_stage_added_in_front_of_the_walk_of_active_gets_active_at_once,
                          a_stage_added_behind_the_walk_of_active_is_found_by_it,
                          a_stage_added_behind_a_hold_waits_and_one_before_it_does_not,
                          a_stage_that_replaces_itself_inside_on_active_is_followed_by_its_replacement,
                          a_stage_that_removes_itself_inside_on_active_gets_no_inactive_and_holds_nothing,
                          what_stages_that_remove_themselves_inside_on_active_let_go_of_comes_behind_active,
                          closing_inside_on_active_lets_later_stages_see_neither_active_nor_inactive,
                          on_active_that_fails_closes_the_connection_with_its_code,
                          a_connection_closed_before_active_has_neither_active_nor_inactive,
                          a_connection_that_breaks_before_active_tells_its_stages_nothing,
                          a_connection_that_breaks_right_before_active_tells_its_stages_nothing,
                          a_stage_removed_by_the_inactive_of_another_gets_removed_only);
    tcase_add_checked_fixture(tc, set_up_walk, tear_down);
    return test_run(s);
}
