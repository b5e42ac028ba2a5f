/* Proves lib/conveyor/walk.c: what walks by itself, and what may hold it. C2, E3, E6, E8, T5, T6, T8. */
#include "fixture_walk.h"

static void let_read_closed_go(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_read_closed_next(ctx);
    cvy_ctx_read_closed_next(ctx);
}

static const recorder_rule_t hold_end[] = { { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };

/* E3, T8 */
START_TEST(read_closed_walks_behind_all_bytes_and_closes_gracefully_at_tail)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    feed("bye");
    cvy_embedded_end(conn);
    history_is("a: bytes 3 bye\nb: bytes 3 bye\nc: bytes 3 bye\n"
               "a: read-closed\nb: read-closed\nc: read-closed\n"
               "c: out-close graceful 0\nb: out-close graceful 0\na: out-close graceful 0\n"
               "a: inactive\nb: inactive\nc: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

/* E3, T8 */
START_TEST(a_stage_that_holds_read_closed_lets_its_bytes_out_first)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_end;
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    history_is("a: read-closed\nb: read-closed\n");
    cvy_embedded_run(conn);
    cvy_ctx_read_closed_next(a.ctx);
    cvy_ctx_read_closed_next(c.ctx);
    cvy_embedded_run(conn);
    history_is("");
    fire_text(&b, b.ctx, NULL);
    cvy_ctx_read_closed_next(b.ctx);
    history_is("c: bytes 4 left\n");
    cvy_embedded_run(conn);
    history_is("c: read-closed\n"
               "c: out-close graceful 0\nb: out-close graceful 0\na: out-close graceful 0\n"
               "a: inactive\nb: inactive\nc: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

/* E3: drained at once */
START_TEST(a_hold_of_read_closed_that_ends_inside_the_callback_is_no_hold)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_end;
    b.hook = do_deed;
    b.arg = &(deed_t){ "read-closed", let_read_closed_go };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_three(&a, &b, &c, &opts);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    history_is("a: read-closed\nb: read-closed\nc: read-closed\n");
    ends_clean();
}
END_TEST

/* E3, C4 */
START_TEST(a_holder_of_read_closed_that_is_removed_lets_it_go_on_behind_its_bytes)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = hold_end;
    b.hook = do_deed;
    b.arg = &(deed_t){ "removed", fire_text };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_three(&a, &b, &c, &opts);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    cvy_conveyor_remove(chain, cvy_at_ctx(b.ctx));
    cvy_embedded_run(conn);
    history_is("a: read-closed\nb: read-closed\nb: removed\nc: bytes 4 left\nc: read-closed\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_that_removes_itself_and_holds_read_closed_holds_nothing)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = (recorder_rule_t[]){ { "read-closed", 1, RECORD_HOLD, NULL, 0 },
                                   { "read-closed", 1, RECORD_REMOVE, NULL, 0 },
                                   { 0 } };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_three(&a, &b, &c, &opts);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    history_is("a: read-closed\nb: read-closed\nb: removed\nc: read-closed\n");
    ends_clean();
}
END_TEST

/* T8: in band, so it waits like bytes */
START_TEST(read_closed_waits_while_reading_is_suspended_also_in_mid_walk)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = (recorder_rule_t[]){ { "bytes", 1, RECORD_SUSPEND, NULL, 0 },
                                   { "read-closed", 1, RECORD_SUSPEND, NULL, 0 },
                                   { 0 } };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_three(&a, &b, &c, &opts);
    recorder_clear(&history);
    feed("x");
    cvy_embedded_end(conn);
    history_is("a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\n");
    cvy_ctx_resume(b.ctx);
    cvy_embedded_run(conn);
    history_is("c: inbound-resume\nb: inbound-resume\na: inbound-resume\na: read-closed\nb: read-closed\n");
    cvy_ctx_resume(b.ctx);
    cvy_embedded_run(conn);
    history_is("c: inbound-resume\nb: inbound-resume\na: inbound-resume\nc: read-closed\n");
    close_now();
    history_is("a: inactive\nb: inactive\nc: inactive\n" GONE "ended 0\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_added_at_the_walk_of_read_closed_is_found_by_it)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.hook = do_deed;
    b.arg = &(deed_t){ "read-closed", replace_self };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_three(&a, &b, &c, &opts);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    history_is("a: read-closed\nb: read-closed\nextra: added\nextra: active\nb: removed\nextra: read-closed\nc: "
               "read-closed\n");
    ends_clean();
}
END_TEST

static int end_is_wrong(cvy_ctx_t *ctx)
{
    (void)ctx;
    return UV_EPROTO;
}

/* E8: an end in the middle of something is a failure of that stage */
START_TEST(on_read_closed_that_fails_fires_an_error_before_the_walk_goes_on)
{
    static const cvy_stage_t strict = { .name = "strict", .on_read_closed = end_is_wrong };
    recorder_t a = RECORDER("a"), c = RECORDER("c");
    c.rules = (recorder_rule_t[]){ { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    row_t rows[] = { { &recorder_stage, &a }, { &strict, NULL }, { &recorder_stage, &c }, { 0 } };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_conn(rows, &opts);
    recorder_clear(&history);
    cvy_embedded_end(conn);
    history_is("a: read-closed\nc: error EPROTO strict\nc: read-closed\n");
    ck_assert(!cvy_transport_closing(transport));
    ends_clean();
}
END_TEST

static int go_and_fail(cvy_ctx_t *ctx)
{
    cvy_conveyor_remove(cvy_ctx_conveyor(ctx), cvy_at_ctx(ctx));
    return UV_EPROTO;
}

static const cvy_stage_t goes_and_fails = { .name = "goer", .on_read_closed = go_and_fail };

/* E8, M2: an unfinished frame is one, also to a stage that leaves over it */
START_TEST(on_read_closed_of_a_stage_that_removes_itself_may_fail_as_well)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &goes_and_fails, NULL }, { &recorder_stage, &a }, { 0 } };
    open_conn(rows, NULL);
    cvy_embedded_end(conn);
    history_is("a: added\na: active\na: error EPROTO goer\na: inactive\na: removed\nended EPROTO\n");
    ends_clean();
}
END_TEST

/* E6: the default of read-closed is a close that stages may answer: never inside a user's frame */
START_TEST(the_default_of_read_closed_never_runs_inside_a_callback)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    b.rules = hold_end;
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    cvy_embedded_end(conn);
    recorder_clear(&history);
    cvy_ctx_read_closed_next(b.ctx);
    ck_assert(!cvy_transport_closing(transport));
    history_is("");
    cvy_embedded_run(conn);
    ck_assert(cvy_transport_closing(transport));
    ends_clean();
}
END_TEST

/* T6, C2: inbound-resume from TAIL to HEAD, one drain at a time */
START_TEST(a_new_suspend_stops_the_walk_of_inbound_resume)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.rules = (recorder_rule_t[]){ { "inbound-resume", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_suspend(c.ctx);
    cvy_ctx_resume(a.ctx);
    cvy_embedded_run(conn);
    feed("x");
    history_is("");
    cvy_ctx_resume(c.ctx);
    cvy_embedded_run(conn);
    history_is("c: inbound-resume\nb: inbound-resume\n");
    cvy_ctx_resume(b.ctx);
    cvy_embedded_run(conn);
    history_is("c: inbound-resume\nb: inbound-resume\na: inbound-resume\n"
               "a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

static void pause_for_a_moment(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_event_t suspend = { &cvy_inbound_suspend_event }, resume = { &cvy_inbound_resume_event };
    (void)in;
    r->hook = NULL; /* once */
    cvy_fire_outbound(ctx, &suspend);
    cvy_fire_outbound(ctx, &resume);
}

/* T6: InboundResume is the same call everywhere. */
START_TEST(inbound_resume_fired_inside_its_walk_lets_go)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    b.hook = do_deed;
    b.arg = &(deed_t){ "inbound-resume", pause_for_a_moment };
    open_three(&a, &b, &c, NULL);
    recorder_clear(&history);
    cvy_ctx_suspend(c.ctx);
    cvy_ctx_resume(c.ctx);
    cvy_embedded_run(conn);
    ck_assert(!cvy_transport_suspended(cvy_embedded_transport(conn)));
    history_is("c: inbound-resume\nb: inbound-resume\na: inbound-resume\n"
               "c: inbound-resume\nb: inbound-resume\na: inbound-resume\n");
    ends_clean();
}
END_TEST

START_TEST(a_stage_that_removes_itself_in_any_walk_does_not_end_it)
{
    static const char *const walks[] = { "read-complete", "flush", "inbound-resume", "outbound-suspend",
                                         "outbound-resume" };
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS };
        recorder_t b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES(walks[i], remove_self) };
        recorder_t c = { .name = "c", .log = &history, .flags = RECORD_PASS };
        cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1 };
        open_three(&a, &b, &c, &opts);
        feed("x");
        cvy_embedded_block(conn, true);
        cvy_fire_outbound_copy(a.ctx, "123456", 6);
        cvy_embedded_run(conn);
        cvy_embedded_block(conn, false);
        ck_assert_int_eq(recorder_seen(&b, walks[i]), 1);
        ck_assert_int_eq(recorder_seen(&b, "removed"), 1);
        ck_assert_int_ge(recorder_seen(&a, walks[i]), 1);
        ck_assert_int_eq(recorder_seen(&a, walks[i]), recorder_seen(&c, walks[i]));
        ends_clean();
        ck_assert_int_eq(recorder_seen(&b, "removed"), 1);
        ck_assert_int_eq(recorder_seen(&b, "inactive"), 0);
    }
}
END_TEST

START_TEST(a_stage_that_replaces_itself_in_a_walk_towards_tail_is_followed_by_its_replacement)
{
    recorder_t a = { .name = "a", .log = &history }, b = { .name = "b", .log = &history, .flags = RECORD_PASS };
    a.flags = RECORD_PASS;
    b.hook = do_deed;
    b.arg = &(deed_t){ "read-complete", replace_self };
    extra.flags = RECORD_PASS;
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\na: read-complete\n"
               "b: read-complete\nextra: added\nextra: active\nb: removed\nextra: read-complete\n"
               "extra: flush\na: flush\n");
    ends_clean();
}
END_TEST

/* T5: strictly alternating for each stage, also for one that comes while the others are being told */
START_TEST(a_stage_that_joins_a_walk_of_writability_hears_nothing_twice)
{
    static const char *const walks[] = { "outbound-suspend", "outbound-resume" };
    static const char *const golden[] = {
        "a: outbound-suspend\nextra: added\nextra: active\nextra: outbound-suspend\nb: outbound-suspend\n"
        "b: inbound-resume\nextra: inbound-resume\na: inbound-resume\n"
        "a: outbound-resume\nextra: outbound-resume\nb: outbound-resume\n",
        "a: outbound-suspend\nb: outbound-suspend\nb: inbound-resume\na: inbound-resume\n"
        "a: outbound-resume\nextra: added\nextra: active\nb: outbound-resume\n"
    };
    for (int i = 0; i < 2; i++) {
        recorder_t a = { .name = "a", .log = &history, .flags = RECORD_NO_TURNS, DOES(walks[i], add_after_self) };
        recorder_t b = RECORDER("b");
        extra = (recorder_t)RECORDER("extra");
        row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
        cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1 };
        open_conn(rows, &opts);
        recorder_clear(&history);
        cvy_embedded_block(conn, true);
        cvy_fire_outbound_copy(a.ctx, "123456", 6);
        cvy_embedded_run(conn);
        cvy_embedded_block(conn, false);
        history_is(golden[i]);
        ends_clean();
        recorder_clear(&history);
    }
}
END_TEST

START_TEST(closing_in_a_walk_ends_it_at_once)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS }, b = RECORDER("b");
    a.rules = (recorder_rule_t[]){ { "read-complete", 1, RECORD_NOW, NULL, 0 }, { 0 } };
    b.flags = RECORD_PASS;
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    history_is(
        "a: bytes 1 x\nb: bytes 1 x\na: read-complete\na: inactive\nb: inactive\nb: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("walk");
    TCase *cases[] = {
        ADD_TESTS(s, "read-closed", read_closed_walks_behind_all_bytes_and_closes_gracefully_at_tail,
                  a_stage_that_holds_read_closed_lets_its_bytes_out_first,
                  a_hold_of_read_closed_that_ends_inside_the_callback_is_no_hold,
                  a_holder_of_read_closed_that_is_removed_lets_it_go_on_behind_its_bytes,
                  a_stage_that_removes_itself_and_holds_read_closed_holds_nothing,
                  read_closed_waits_while_reading_is_suspended_also_in_mid_walk,
                  a_stage_added_at_the_walk_of_read_closed_is_found_by_it,
                  on_read_closed_that_fails_fires_an_error_before_the_walk_goes_on,
                  on_read_closed_of_a_stage_that_removes_itself_may_fail_as_well,
                  the_default_of_read_closed_never_runs_inside_a_callback),
        ADD_TESTS(s, "flow", a_new_suspend_stops_the_walk_of_inbound_resume,
                  inbound_resume_fired_inside_its_walk_lets_go, a_stage_that_removes_itself_in_any_walk_does_not_end_it,
                  a_stage_that_replaces_itself_in_a_walk_towards_tail_is_followed_by_its_replacement,
                  a_stage_that_joins_a_walk_of_writability_hears_nothing_twice, closing_in_a_walk_ends_it_at_once),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tcase_add_checked_fixture(cases[i], set_up_walk, tear_down);
    return test_run(s);
}
