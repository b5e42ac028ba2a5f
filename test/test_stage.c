/* Proves lib/conveyor/ctx.c and settle.c: a stage's life, its failures, its timer, its state. E5, E6, E8, C6, M3. */
#include "fixture_chain.h"
#include "support.h"

#include <stdalign.h>

static void fail_with(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_fail_limit(ctx, UV_EMSGSIZE, "too much", 5, 4);
}

static void fail_twice(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_fail(ctx, UV_EPROTO, "first");
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "second");
}

static void fail_and_close(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_ctx_fail(ctx, UV_EPROTO, "and more");
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_GRACEFUL);
    cvy_ctx_fail(ctx, UV_EPROTO, "while closing");
}

static void remove_and_fail(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), 0);
    cvy_ctx_fail(ctx, UV_EPROTO, "on the way out");
}

static void write_and_close(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_fire_outbound_copy(ctx, "sorry", 5);
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_GRACEFUL);
}

static void fail_without_memory(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy__memory_fail(1);
    cvy_ctx_fail(ctx, UV_EPROTO, "no room to say it");
    cvy__memory_fail(0);
}

static void fire_both_ways(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    cvy_buf_append(&b, "late", 4);
    ck_assert_int_eq(cvy_fire_inbound_bytes(ctx, &b), UV_ECANCELED);
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "late", 4), UV_ECANCELED);
    ck_assert_int_eq(cvy_fire_outbound_flush(ctx), UV_ECANCELED);
    cvy_ctx_fail(ctx, UV_EPROTO, "too late");
    cvy_ctx_suspend(ctx);
    cvy_ctx_timer(ctx, 1);
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, r, NULL), UV_EPIPE);
}

#define EACH(act, n) ((recorder_rule_t[]){ { "bytes", 1, act, NULL, n }, { 0 } })
static const recorder_rule_t handles[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };

static void open_two(recorder_t *a, recorder_t *b, const cvy_transport_opts_t *opts)
{
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { 0 } };
    open_conn(rows, opts);
    recorder_clear(&history);
}

static void open_triple(recorder_t *a, recorder_t *b, recorder_t *c, const cvy_transport_opts_t *opts)
{
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { &recorder_stage, c }, { 0 } };
    open_conn(rows, opts);
    recorder_clear(&history);
}

#define END_OF_TWO "a: inactive\nb: inactive\nb: removed\na: removed\n"

/* E5 */
START_TEST(on_removed_runs_from_tail_to_head_and_what_is_fired_in_it_is_discarded)
{
    recorder_t a = RECORDER("a"),
               b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES("removed", fire_both_ways) };
    recorder_t c = RECORDER("c");
    open_triple(&a, &b, &c, NULL);
    close_now();
    cvy_embedded_advance(conn, 10);
    history_is("a: inactive\nb: inactive\nc: inactive\nc: removed\nb: removed\na: removed\nended 0\n");
    sent_is("");
    ends_clean();
}
END_TEST

static recorder_t *victim;

static void remove_victim(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(victim->ctx)), 0);
}

/* E5: once, whoever removes whom */
START_TEST(a_stage_removed_in_the_teardown_by_another_is_removed_once)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    c.hook = do_deed;
    c.arg = &(deed_t){ "removed", remove_victim };
    victim = &a;
    open_triple(&a, &b, &c, NULL);
    close_now();
    history_is("a: inactive\nb: inactive\nc: inactive\nc: removed\na: removed\nb: removed\nended 0\n");
    ends_clean();
}
END_TEST

static recorder_t *others[2];
static cvy_close_verb_t verb;

static void close_and_see(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    int inactive[2], removed[2];
    for (int i = 0; i < 2; i++) {
        inactive[i] = recorder_seen(others[i], "inactive");
        removed[i] = recorder_seen(others[i], "removed");
    }
    cvy_transport_close(transport, verb);
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    cvy_buf_append(&b, "no", 2);
    ck_assert_int_eq(cvy_conveyor_write(chain, &b), UV_EPIPE);
    int before = recorder_seen(others[1], "bytes");
    ck_assert_int_lt(cvy_fire_inbound_bytes(ctx, &b), 0);
    ck_assert_int_eq(recorder_seen(others[1], "bytes"), before);
    cvy_embedded_run(conn); /* inside a callback it must do nothing */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(recorder_seen(others[i], "inactive"), inactive[i]);
        ck_assert_int_eq(recorder_seen(others[i], "removed"), removed[i]);
    }
}

/* A life that comes past every kind of callback of b. */
static void live(recorder_t *a, recorder_t *b, recorder_t *c)
{
    cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1, .allow_half_close = 1 };
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { &recorder_stage, c }, { 0 } };
    open_conn(rows, &opts);
    feed("x");
    if (b->ctx) cvy_ctx_timer(b->ctx, 5);
    cvy_embedded_advance(conn, 5);
    cvy_event_type_t user = { "user", 0 };
    cvy_event_t ev = { &user };
    cvy_conveyor_fire_inbound(chain, &ev);
    cvy_conveyor_fire_outbound(chain, &ev);
    if (a->ctx) cvy_ctx_fail(a->ctx, UV_EPROTO, "a test");
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, true);
    if (c->ctx) cvy_fire_outbound_copy(c->ctx, "123456", 6);
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, false);
    cvy_embedded_end(conn);
    cvy_transport_shutdown(transport, 0);
    cvy_embedded_run(conn);
    cvy_embedded_advance(conn, 60000);
}

static const char *const kinds[] = { "added",           "active",      "bytes",
                                     "timer",           "in",          "out",
                                     "error",           "out-bytes",   "outbound-suspend",
                                     "outbound-resume", "flush",       "read-complete",
                                     "inbound-resume",  "read-closed", "out-close",
                                     "inactive",        "removed" };

/* E6: in every kind of callback, and with every verb */
START_TEST(closing_inside_any_callback_takes_effect_at_once_and_ends_later)
{
    for (verb = CVY_CLOSE_GRACEFUL; verb <= CVY_CLOSE_RESET; verb++)
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, .flags = RECORD_PASS }, c = RECORDER("c");
            deed_t deed = { kinds[i], close_and_see };
            b.hook = do_deed;
            b.arg = &deed;
            c.rules = handles;
            others[0] = &a;
            others[1] = &c;
            live(&a, &b, &c);
            ck_assert_msg(recorder_seen(&b, kinds[i]) >= 1, "%s was never seen", kinds[i]);
            ck_assert_int_eq(recorder_seen(&a, "removed"), 1);
            ck_assert_int_eq(recorder_seen(&b, "removed"), 1);
            ck_assert_int_eq(recorder_seen(&c, "removed"), recorder_seen(&c, "added"));
            ck_assert_int_eq(recorder_seen(&a, "inactive"), recorder_seen(&a, "active"));
            ck_assert_int_eq(recorder_seen(&b, "inactive"), recorder_seen(&b, "active"));
            ck_assert_int_eq(recorder_seen(&c, "inactive"), recorder_seen(&c, "active"));
            ends_clean();
        }
}
END_TEST

/* E6: also where the application's own callback is the outermost frame */
START_TEST(nothing_that_was_deferred_runs_inside_a_write_from_outside_any_dispatch)
{
    recorder_t a = RECORDER("a"),
               b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES("out-bytes", close_and_see) };
    recorder_t c = RECORDER("c");
    verb = CVY_CLOSE_NOW;
    others[0] = &a;
    others[1] = &c;
    open_triple(&a, &b, &c, NULL);
    ck_assert_int_eq(cvy_fire_outbound_copy(c.ctx, "x", 1), UV_EPIPE);
    ck_assert_ptr_nonnull(b.ctx);
    cvy_embedded_run(conn);
    ck_assert_ptr_null(b.ctx);
    ends_clean();
}
END_TEST

/* E8 */
START_TEST(a_failure_starts_at_the_next_stage_after_the_dispatch_and_handled_the_connection_lives)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS, DOES("bytes", fail_with) };
    recorder_t b = RECORDER("b"), c = RECORDER("c");
    c.rules = handles;
    a.flags |= RECORD_NO_TURNS;
    open_triple(&a, &b, &c, NULL);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\n"
               "b: error EMSGSIZE recorder\nc: error EMSGSIZE recorder\n");
    ck_assert(!cvy_transport_closing(transport));
    feed("y");
    history_is("a: bytes 1 y\nb: bytes 1 y\nc: bytes 1 y\n"
               "b: error EMSGSIZE recorder\nc: error EMSGSIZE recorder\n");
    ends_clean();
}
END_TEST

static cvy_error_t seen_error;

static void keep_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    (void)ctx;
    seen_error = *err;
}

/* E8 */
START_TEST(an_error_says_code_stage_detail_and_the_limit)
{
    static const cvy_stage_t handler = { .name = "handler", .on_error = keep_error };
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS, DOES("bytes", fail_with) };
    row_t rows[] = { { &recorder_stage, &a }, { &handler, NULL }, { 0 } };
    open_conn(rows, NULL);
    feed("x");
    ck_assert_int_eq(seen_error.code, UV_EMSGSIZE);
    ck_assert_str_eq(seen_error.stage, "recorder");
    ck_assert_str_eq(seen_error.detail, "too much");
    ck_assert_uint_eq(seen_error.value, 5);
    ck_assert_uint_eq(seen_error.limit, 4);
    ends_clean();
}
END_TEST

/* E8 */
START_TEST(an_error_that_reaches_tail_closes_with_its_code_and_the_verb_of_the_option)
{
    for (int reset = 0; reset < 2; reset++) {
        recorder_t a = RECORDER("a"), b = RECORDER("b");
        a.rules = EACH(RECORD_FAIL, UV_EPROTO);
        cvy_transport_opts_t opts = { .error_verb = reset ? CVY_CLOSE_RESET : CVY_CLOSE_NOW };
        open_two(&a, &b, &opts);
        feed("x");
        history_is("a: bytes 1 x\nb: bytes 1 x\nb: error EPROTO recorder\n" END_OF_TWO "ended EPROTO\n");
        bool was_reset;
        ck_assert(cvy_embedded_closed(conn, &was_reset));
        ck_assert_int_eq(was_reset, reset);
        ends_clean();
    }
}
END_TEST

/* E8: the last stage's own failure goes straight to TAIL */
START_TEST(a_failure_of_the_last_stage_closes)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    a.rules = b.rules = NULL;
    b.rules = EACH(RECORD_FAIL, UV_EPROTO);
    open_two(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\n" END_OF_TWO "ended EPROTO\n");
    ends_clean();
}
END_TEST

/* E8 */
START_TEST(a_second_failure_inside_an_error_handler_closes_with_the_option_s_verb)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    a.rules = EACH(RECORD_FAIL, UV_EPROTO);
    b.rules = (recorder_rule_t[]){ { "error", 1, RECORD_FAIL, NULL, UV_EMSGSIZE },
                                   { "error", 0, RECORD_HANDLE, NULL, 0 },
                                   { 0 } };
    cvy_transport_opts_t opts = { .error_verb = CVY_CLOSE_RESET };
    c.rules = handles; /* too late for it */
    open_triple(&a, &b, &c, &opts);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\nb: error EPROTO recorder\n"
               "a: inactive\nb: inactive\nc: inactive\nc: removed\nb: removed\na: removed\nended EMSGSIZE\n");
    bool was_reset;
    ck_assert(cvy_embedded_closed(conn, &was_reset) && was_reset);
    ends_clean();
}
END_TEST

/* E8 */
START_TEST(several_failures_of_one_dispatch_arrive_one_by_one_in_order)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", fail_twice) };
    recorder_t b = RECORDER("b");
    b.rules = handles;
    open_two(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nb: error EPROTO recorder\nb: error EMSGSIZE recorder\n");
    ck_assert(!cvy_transport_closing(transport));
    ends_clean();
}
END_TEST

/* E8: the first that nobody handles ends it; the second is not heard any more */
START_TEST(of_several_failures_the_first_unhandled_one_is_the_cause)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", fail_twice) };
    recorder_t b = RECORDER("b");
    open_two(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nb: error EPROTO recorder\n" END_OF_TWO "ended EPROTO\n");
    ends_clean();
}
END_TEST

/* E8, E6: no inbound event once closing */
START_TEST(a_failure_is_not_heard_once_closing_has_begun)
{
    recorder_t a = {
        .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", fail_and_close)
    };
    recorder_t b = RECORDER("b");
    open_two(&a, &b, NULL);
    feed("x");
    cvy_embedded_end(conn);
    history_is("a: bytes 1 x\n" END_OF_TWO "ended 0\n");
    ends_clean();
}
END_TEST

/* E7, E8: what it fires until its on_removed has returned counts, failures too */
START_TEST(a_failure_of_a_removed_stage_starts_at_its_old_neighbour)
{
    recorder_t a = {
        .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", remove_and_fail)
    };
    recorder_t b = RECORDER("b");
    b.rules = handles;
    open_two(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\na: removed\nb: error EPROTO recorder\n");
    ends_clean();
}
END_TEST

START_TEST(a_failure_inside_on_removed_is_heard)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("removed", fail_with) };
    recorder_t b = RECORDER("b");
    b.rules = handles;
    open_two(&a, &b, NULL);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(a.ctx)), 0);
    cvy_embedded_run(conn);
    history_is("a: removed\nb: error EMSGSIZE recorder\n");
    ends_clean();
}
END_TEST

/* C3, E8: the stage is freed behind its failure, not before */
START_TEST(a_failure_noted_by_a_stage_that_goes_while_the_turn_settles_still_finds_its_place)
{
    recorder_t a = RECORDER("a"),
               b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES("inbound-resume", remove_and_fail) };
    recorder_t c = RECORDER("c");
    c.rules = handles;
    open_triple(&a, &b, &c, NULL);
    cvy_ctx_suspend(a.ctx);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(a.ctx)), 0);
    cvy_embedded_run(conn);
    history_is("a: removed\nc: inbound-resume\nb: inbound-resume\nb: removed\nc: error EPROTO recorder\n");
    ends_clean();
}
END_TEST

/* E8, T17 */
START_TEST(an_error_of_the_transport_is_final_and_is_heard_before_inactive)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    a.rules = handles;
    open_two(&a, &b, NULL);
    feed("x");
    cvy_embedded_reset(conn, UV_ECONNRESET);
    history_is("a: bytes 1 x\nb: bytes 1 x\na: error ECONNRESET transport\n" END_OF_TWO "ended ECONNRESET\n");
    ends_clean();
}
END_TEST

START_TEST(an_error_of_the_transport_passed_on_reaches_every_stage_once)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_two(&a, &b, NULL);
    cvy_embedded_reset(conn, UV_ECONNRESET);
    history_is("a: error ECONNRESET transport\nb: error ECONNRESET transport\n" END_OF_TWO "ended ECONNRESET\n");
    ends_clean();
}
END_TEST

/* E6, E8: the close that the handler chose stands: what it said is sent */
START_TEST(an_error_handler_that_closes_gracefully_and_passes_the_error_on_drops_nothing)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    a.rules = EACH(RECORD_FAIL, UV_EPROTO);
    b.hook = do_deed;
    b.arg = &(deed_t){ "error", write_and_close };
    open_two(&a, &b, NULL);
    feed("x");
    sent_is("sorry");
    cvy_embedded_end(conn);
    history_is("a: bytes 1 x\nb: bytes 1 x\nb: error EPROTO recorder\na: out-bytes 5 sorry\n" END_OF_TWO "ended 0\n");
    ends_clean();
}
END_TEST

/* E8, M3 */
START_TEST(a_failure_that_there_is_no_memory_to_note_closes_with_its_code)
{
    recorder_t a = {
        .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", fail_without_memory)
    };
    recorder_t b = RECORDER("b");
    b.rules = handles;
    open_two(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\n" END_OF_TWO "ended EPROTO\n");
    ends_clean();
}
END_TEST

/* The context */

typedef struct wide {
    max_align_t most;
    char bytes[40];
} wide_t;

static int check_zero(cvy_ctx_t *ctx, const void *opts)
{
    wide_t zero = { 0 };
    (void)opts;
    ck_assert_uint_eq((uintptr_t)cvy_ctx_state(ctx) % alignof(max_align_t), 0);
    ck_assert_mem_eq(cvy_ctx_state(ctx), &zero, sizeof zero);
    memset(cvy_ctx_state(ctx), 0xa5, sizeof zero);
    return 0;
}

static void no_timer(cvy_ctx_t *ctx)
{
    (void)ctx;
}

START_TEST(a_stage_s_state_is_zeroed_aligned_and_its_own)
{
    static const cvy_stage_t plain = { .name = "plain", .state_size = sizeof(wide_t), .on_added = check_zero };
    static const cvy_stage_t timed = {
        .name = "timed", .state_size = sizeof(wide_t), .on_added = check_zero, .on_timer = no_timer
    };
    row_t rows[] = { { &plain, NULL }, { &timed, NULL }, { &plain, NULL }, { 0 } };
    open_conn(rows, NULL);
    cvy_ctx_timer(cvy_conveyor_find(chain, cvy_at_stage(&timed)), 1);
    cvy_embedded_advance(conn, 2);
    ends_clean();
}
END_TEST

START_TEST(a_context_knows_where_it_stands)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    open_conn(rows, NULL);
    ck_assert_ptr_eq(cvy_ctx_stage(a.ctx), &recorder_stage);
    ck_assert_ptr_eq(cvy_ctx_conveyor(a.ctx), chain);
    ck_assert_ptr_eq(cvy_ctx_transport(a.ctx), transport);
    ck_assert_ptr_eq(cvy_ctx_loop(a.ctx), conn_loop);
    ck_assert_ptr_eq(cvy_ctx_pool(a.ctx), cvy_loop_pool(conn_loop));
    ck_assert_ptr_eq(cvy_conveyor_transport(chain), transport);
    ck_assert_ptr_eq(cvy_conveyor_loop(chain), conn_loop);
    ends_clean();
}
END_TEST

static void set_again(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)in;
    if (recorder_seen(r, "timer") < 3) cvy_ctx_timer(ctx, 10);
}

START_TEST(a_stage_s_timer_is_one_set_anew_by_each_call_and_off_by_cvy_off)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS, DOES("timer", set_again) }, b = RECORDER("b");
    open_two(&a, &b, NULL);
    cvy_ctx_timer(a.ctx, 10);
    cvy_embedded_advance(conn, 9);
    cvy_ctx_timer(a.ctx, 10);
    cvy_embedded_advance(conn, 9);
    history_is("");
    cvy_embedded_advance(conn, 1);
    history_is("a: timer\n");
    cvy_embedded_advance(conn, 100);
    history_is("a: timer\na: timer\n");
    cvy_ctx_timer(b.ctx, 10);
    cvy_ctx_timer(b.ctx, CVY_OFF);
    cvy_embedded_advance(conn, 100);
    history_is("");
    ends_clean();
}
END_TEST

/* C2: never after its removal, in whatever way it went */
START_TEST(the_timer_of_a_removed_stage_never_fires)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_triple(&a, &b, &c, NULL);
    cvy_ctx_timer(a.ctx, 10);
    cvy_ctx_timer(b.ctx, 10);
    cvy_ctx_timer(c.ctx, 10);
    c.hook = do_deed;
    c.arg = &(deed_t){ "bytes", remove_victim };
    victim = &a;
    cvy_conveyor_remove(chain, cvy_at_ctx(b.ctx));
    feed("x");
    close_now();
    cvy_embedded_advance(conn, 100);
    history_is("b: removed\na: bytes 1 x\nc: bytes 1 x\na: removed\nc: inactive\nc: removed\nended 0\n");
    ends_clean();
}
END_TEST

static void remove_in_timer(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_conveyor_remove(chain, cvy_at_ctx(ctx));
    cvy_ctx_timer(ctx, 1);
}

START_TEST(a_stage_may_remove_itself_in_its_timer_and_not_set_it_again)
{
    recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS, DOES("timer", remove_in_timer) },
               b = RECORDER("b");
    open_two(&a, &b, NULL);
    cvy_ctx_timer(a.ctx, 1);
    cvy_embedded_advance(conn, 100);
    history_is("a: timer\na: removed\n");
    ends_clean();
}
END_TEST

/* C6, T6 */
START_TEST(a_stage_s_removal_ends_its_own_suspension_and_no_other)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_two(&a, &b, NULL);
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_suspend(b.ctx);
    feed("x");
    cvy_conveyor_remove(chain, cvy_at_ctx(a.ctx));
    cvy_embedded_run(conn);
    ck_assert(cvy_transport_suspended(transport));
    history_is("a: removed\n");
    cvy_conveyor_remove(chain, cvy_at_ctx(b.ctx));
    ck_assert(!cvy_transport_suspended(transport));
    cvy_embedded_run(conn);
    history_is("b: removed\n");
    cvy_transport_stats_t stats;
    cvy_transport_stats(transport, &stats);
    ck_assert_uint_eq(stats.bytes_read, 1);
    ends_clean();
}
END_TEST

static int suspend_and_fail(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    cvy_ctx_suspend(ctx);
    cvy_ctx_timer(ctx, 1);
    return UV_EINVAL;
}

static void must_not(cvy_ctx_t *ctx)
{
    (void)ctx;
    ck_abort_msg("called");
}

/* C5, C6 */
START_TEST(a_stage_whose_on_added_failed_suspends_nothing_and_fires_no_timer)
{
    static const cvy_stage_t failing = { .name = "failing",
                                         .on_added = suspend_and_fail,
                                         .on_removed = must_not,
                                         .on_timer = must_not,
                                         .on_inactive = must_not };
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_two(&a, &b, NULL);
    cvy_ctx_t *ctx = a.ctx;
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &failing, NULL, &ctx), UV_EINVAL);
    ck_assert_ptr_eq(ctx, a.ctx);
    ck_assert(!cvy_transport_suspended(transport));
    cvy_embedded_advance(conn, 10);
    feed("x");
    history_is("b: inbound-resume\na: inbound-resume\na: bytes 1 x\nb: bytes 1 x\n");
    ends_clean();
}
END_TEST

/* M3: the n-th allocation fails, for every n, from the first line of a life to its last */
START_TEST(any_allocation_may_fail_and_costs_at_most_this_connection)
{
    for (long n = 1;; n++) {
        recorder_t a = { .name = "a", .log = &history, .flags = RECORD_PASS, DOES("bytes", fail_twice) };
        recorder_t b = RECORDER("b"), c = RECORDER("c"), late = RECORDER("late");
        c.rules =
            (recorder_rule_t[]){ { "error", 0, RECORD_HANDLE, NULL, 0 }, { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
        row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { &recorder_stage, &c }, { 0 } };
        cvy_embedded_opts_t o = { .init = add_row, .arg = rows };
        cvy__memory_fail(n);
        if (!cvy_embedded_new(&conn, &o)) {
            opened();
            cvy_embedded_feed(conn, "hello", 5);
            cvy_conveyor_add_first(chain, &recorder_stage, &late, NULL);
            if (b.ctx) cvy_conveyor_replace(chain, cvy_at_ctx(b.ctx), &(cvy_stage_with_t){ &recorder_stage, &b }, 1);
            cvy_transport_flush(transport, NULL, NULL);
            cvy_embedded_feed(conn, "world", 5);
            cvy_embedded_end(conn);
        }
        bool failed = cvy__memory_failed();
        cvy__memory_fail(0);
        ends_clean();
        ck_assert_int_eq(recorder_seen(&a, "removed"), recorder_seen(&a, "added"));
        ck_assert_int_eq(recorder_seen(&b, "removed"), recorder_seen(&b, "added"));
        ck_assert_int_eq(recorder_seen(&c, "removed"), recorder_seen(&c, "added"));
        ck_assert_int_eq(recorder_seen(&a, "inactive"), recorder_seen(&a, "active"));
        recorder_clear(&history);
        if (!failed) {
            ck_assert_int_gt(n, 5);
            break;
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stage");
    TCase *cases[] = {
        ADD_TESTS(s, "life", on_removed_runs_from_tail_to_head_and_what_is_fired_in_it_is_discarded,
                  a_stage_removed_in_the_teardown_by_another_is_removed_once,
                  closing_inside_any_callback_takes_effect_at_once_and_ends_later,
                  nothing_that_was_deferred_runs_inside_a_write_from_outside_any_dispatch),
        ADD_TESTS(
            s, "failures", a_failure_starts_at_the_next_stage_after_the_dispatch_and_handled_the_connection_lives,
            an_error_says_code_stage_detail_and_the_limit,
            an_error_that_reaches_tail_closes_with_its_code_and_the_verb_of_the_option,
            a_failure_of_the_last_stage_closes, a_second_failure_inside_an_error_handler_closes_with_the_option_s_verb,
            several_failures_of_one_dispatch_arrive_one_by_one_in_order,
            of_several_failures_the_first_unhandled_one_is_the_cause, a_failure_is_not_heard_once_closing_has_begun,
            a_failure_of_a_removed_stage_starts_at_its_old_neighbour, a_failure_inside_on_removed_is_heard,
            a_failure_noted_by_a_stage_that_goes_while_the_turn_settles_still_finds_its_place,
            an_error_of_the_transport_is_final_and_is_heard_before_inactive,
            an_error_of_the_transport_passed_on_reaches_every_stage_once,
            an_error_handler_that_closes_gracefully_and_passes_the_error_on_drops_nothing,
            a_failure_that_there_is_no_memory_to_note_closes_with_its_code),
        ADD_TESTS(s, "context", a_stage_s_state_is_zeroed_aligned_and_its_own, a_context_knows_where_it_stands,
                  a_stage_s_timer_is_one_set_anew_by_each_call_and_off_by_cvy_off,
                  the_timer_of_a_removed_stage_never_fires, a_stage_may_remove_itself_in_its_timer_and_not_set_it_again,
                  a_stage_s_removal_ends_its_own_suspension_and_no_other,
                  a_stage_whose_on_added_failed_suspends_nothing_and_fires_no_timer),
        ADD_TESTS(s, "memory", any_allocation_may_fail_and_costs_at_most_this_connection),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tcase_add_checked_fixture(cases[i], set_up, tear_down);
    return test_run(s);
}
