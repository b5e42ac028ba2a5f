/*
 * Writes and flushes from inside callbacks that writes and flushes caused: a section of golden/reentry.txt each. Braces hold what happened
 * before the callback in front of them returned. golden.h tells how to write it anew.
 */
#include "fixture_golden.h"
#include "support.h"

#define STORY_IS(name) story_is("reentry", name)

static void open_ends(const cvy_transport_opts_t *opts)
{
    open_conn(ends, opts);
    step("connected");
}

static void hear(const char *text)
{
    feed(text);
    step("the peer sends");
}

static void write_it(const char *text)
{
    say(text);
    step("t writes");
}

static void turn_on(const char *what)
{
    cvy_embedded_block(conn, false);
    step(what);
}

/* Two connections on two loops */

typedef struct side {
    cvy_embedded_t *conn;
    recorder_t head_end, tail_end;
} side_t;

static side_t left, right;
static int rounds; /* still to go */

static side_t *other_of(const recorder_t *r)
{
    return r == &left.head_end || r == &left.tail_end ? &right : &left;
}

/* The number of this round, to the other side: as its application's write, or as its peer's bytes. */
static void write_to(side_t *to)
{
    cvy_buf_t b;
    char digit = (char)('0' + rounds);
    cvy_buf_init(&b, NULL);
    ck_assert_int_eq(cvy_buf_append(&b, &digit, 1), 0);
    ck_assert_int_eq(cvy_conveyor_write(cvy_embedded_conveyor(to->conn), &b), 0);
    cvy_buf_fini(&b);
}

static void feed_to(side_t *to)
{
    char digit = (char)('0' + rounds);
    ck_assert_int_eq(cvy_embedded_feed(to->conn, &digit, 1), 0);
}

static void play(recorder_t *r, const char *event, const char *on, void (*hit)(side_t *to))
{
    if (strcmp(event, on) || rounds == 0) return;
    rounds--;
    recorder_line(&history, "{");
    hit(other_of(r));
    recorder_line(&history, "}");
}

static void write_on_write(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    play(r, event, "out-bytes", write_to);
}

static void write_on_bytes(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    play(r, event, "bytes", write_to);
}

static void feed_on_bytes(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    play(r, event, "bytes", feed_to);
}

static void open_side(side_t *side, const char *head, const char *tail)
{
    side->head_end = (recorder_t){ .name = head, .log = &history, .flags = RECORD_PASS };
    side->tail_end = (recorder_t){ .name = tail, .log = &history, .flags = RECORD_PASS };
    row_t rows[] = { { &recorder_stage, &side->head_end }, { &recorder_stage, &side->tail_end }, { 0 } };
    ck_assert_int_eq(cvy_embedded_new(&side->conn, &(cvy_embedded_opts_t){ .init = add_row, .arg = rows }), 0);
}

static void open_sides(int n)
{
    open_side(&left, "lh", "lt");
    open_side(&right, "rh", "rt");
    rounds = n;
    recorder_clear(&history);
}

static void run_sides(void)
{
    cvy_embedded_run(left.conn);
    step("left runs");
    cvy_embedded_run(right.conn);
    step("right runs");
}

static void sent_by(side_t *side, const char *what)
{
    char text[32] = "";
    text[cvy_buf_read(cvy_embedded_sent(side->conn), text, sizeof text - 1)] = 0;
    recorder_line(&history, "%s", text);
    step(what);
    cvy_embedded_free(side->conn);
}

static void sides_are(const char *section)
{
    sent_by(&left, "left sent");
    step("left ends");
    sent_by(&right, "right sent");
    step("right ends");
    ck_assert_uint_eq(cvy_pool_live(NULL), segments_before);
    ck_assert_uint_eq(cvy__memory_live(), memory_before);
    STORY_IS(section);
}

/* R10, E10 */
START_TEST(a_write_inside_the_other_s_write_nests_and_leaves_at_each_one_s_own_turn)
{
    open_sides(6);
    left.head_end.hook = right.head_end.hook = write_on_write;
    write_to(&left);
    step("left writes");
    run_sides();
    sides_are("ping-pong: each writes inside the other's write");
}
END_TEST

/* R10 */
START_TEST(a_proxy_writes_inside_the_other_s_bytes)
{
    open_sides(4);
    left.tail_end.hook = right.tail_end.hook = write_on_bytes;
    cvy_embedded_feed(left.conn, "a", 1);
    step("left is fed");
    run_sides();
    cvy_embedded_feed(right.conn, "b", 1);
    step("right is fed");
    run_sides();
    sides_are("proxy: each writes inside the other's bytes");
}
END_TEST

/* E6, R10: one side's second event does not run inside its first */
START_TEST(a_feed_inside_the_other_s_bytes_nests_once_and_then_waits)
{
    open_sides(6);
    left.tail_end.hook = right.tail_end.hook = feed_on_bytes;
    cvy_embedded_feed(left.conn, "a", 1);
    step("left is fed");
    run_sides();
    sides_are("ping-pong: each feeds the other inside its bytes");
}
END_TEST

/* One connection */

/* h answers what leaves with bytes from the wire's side, t answers those with a write: a conversation inside one write. */
static void converse(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    cvy_buf_t b;
    bool from_t = r == &t && !strcmp(event, "bytes");
    if (!rounds || !(from_t || (r == &h && !strcmp(event, "out-bytes")))) return;
    char digit = (char)('0' + --rounds);
    recorder_line(&history, "{");
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    ck_assert_int_eq(cvy_buf_append(&b, &digit, 1), 0);
    ck_assert_int_eq(from_t ? cvy_fire_outbound_bytes(ctx, &b) : cvy_fire_inbound_bytes(ctx, &b), 0);
    recorder_line(&history, "}");
}

/* E2, E10: who writes last inside leaves first */
START_TEST(two_stages_of_one_conveyor_answer_each_other_inside_one_write)
{
    h.hook = t.hook = converse;
    rounds = 6;
    open_ends(NULL);
    write_it("x");
    STORY_IS("two stages answer each other inside one write");
}
END_TEST

/* L2, E5, T2 */
START_TEST(writes_inside_on_added_and_on_active_leave_in_their_order)
{
    static const recorder_rule_t h_rules[] = { { "added", 1, RECORD_WRITE, "1", 0 },
                                               { "active", 1, RECORD_WRITE, "3", 0 },
                                               { 0 } };
    static const recorder_rule_t t_rules[] = { { "added", 1, RECORD_WRITE, "2", 0 },
                                               { "active", 1, RECORD_WRITE, "4", 0 },
                                               { 0 } };
    h.rules = h_rules;
    t.rules = t_rules;
    open_ends(NULL);
    STORY_IS("writes in on_added and on_active");
}
END_TEST

/* T5, T7 */
START_TEST(a_flush_inside_writability_adds_no_pair)
{
    static const recorder_rule_t rules[] = { { "outbound-suspend", 0, RECORD_FLUSH, NULL, 0 },
                                             { "outbound-resume", 1, RECORD_WRITE, "y", 0 },
                                             { "outbound-resume", 1, RECORD_FLUSH, NULL, 0 },
                                             { 0 } };
    t.rules = rules;
    open_ends(&(cvy_transport_opts_t){ .high_bytes = 4, .low_bytes = 1 });
    cvy_embedded_block(conn, true);
    write_it("123456");
    turn_on("unblocked");
    STORY_IS("a flush in writability");
}
END_TEST

/* T5: at most one pair per turn, strictly alternating */
START_TEST(a_write_above_the_mark_inside_outbound_resume_is_another_pair_of_another_turn)
{
    static const recorder_rule_t rules[] = { { "outbound-resume", 1, RECORD_WRITE, "abcdef", 0 },
                                             { "outbound-resume", 2, RECORD_WRITE, "ghijkl", 0 },
                                             { 0 } };
    t.rules = rules;
    open_ends(&(cvy_transport_opts_t){ .high_bytes = 4, .low_bytes = 1 });
    cvy_embedded_block(conn, true);
    write_it("123456");
    turn_on("unblocked");
    STORY_IS("a write above the mark in outbound-resume");
}
END_TEST

/* T5: nobody reads meanwhile, and the kernel takes no more */
START_TEST(a_write_above_the_mark_inside_outbound_resume_that_blocks_waits)
{
    static const recorder_rule_t rules[] = { { "outbound-resume", 1, RECORD_WRITE, "abcdef", 0 }, { 0 } };
    t.rules = rules;
    open_ends(&(cvy_transport_opts_t){ .high_bytes = 4, .low_bytes = 1 });
    ck_assert_int_eq(cvy_embedded_script(conn, (const int[]){ UV_EAGAIN, 6, UV_EAGAIN }, 3), 0);
    write_it("123456");
    cvy_embedded_unblock(conn);
    step("unblocked");
    hear("held");
    cvy_embedded_unblock(conn);
    step("unblocked again");
    STORY_IS("a write above the mark in outbound-resume, blocked");
}
END_TEST

/* T7 */
START_TEST(a_write_inside_flush_leaves_in_the_same_turn)
{
    static const recorder_rule_t rules[] = { { "read-complete", 1, RECORD_WRITE, "a", 0 },
                                             { "flush", 1, RECORD_WRITE, "b", 0 },
                                             { 0 } };
    t.rules = h.rules = rules;
    open_ends(NULL);
    hear("x");
    ck_assert_uint_eq(cvy_embedded_write_calls(conn), 1);
    STORY_IS("writes in read-complete and flush");
}
END_TEST

/* T7, E10 */
START_TEST(a_flush_inside_flush_and_inside_a_write_sends_what_was_fired_before)
{
    static const recorder_rule_t t_rules[] = { { "flush", 1, RECORD_FLUSH, NULL, 0 }, { 0 } };
    static const recorder_rule_t h_rules[] = { { "out-bytes", 2, RECORD_FLUSH, NULL, 0 }, { 0 } };
    t.rules = t_rules;
    h.rules = h_rules;
    open_ends(NULL);
    cvy_fire_outbound_copy(t.ctx, "a", 1);
    cvy_fire_outbound_copy(t.ctx, "b", 1);
    step("t writes twice");
    cvy_embedded_run(conn);
    step("the turn ends");
    ck_assert_uint_eq(cvy_embedded_write_calls(conn), 2);
    STORY_IS("flushes in flush and in a write");
}
END_TEST

/* Completions */

static void write_on_completion(cvy_transport_t *of, int status, void *arg)
{
    (void)of;
    on_ticket(of, status, arg);
    recorder_line(&history, "{");
    cvy_fire_outbound_copy(t.ctx, "more", 4);
    ck_assert_int_eq(cvy_transport_flush(of, on_ticket, (void *)(uintptr_t) "inner"), 0);
    recorder_line(&history, "}");
}

/* T4: completions are never called inside the call that made them due */
START_TEST(a_write_and_a_flush_inside_a_completion)
{
    open_ends(NULL);
    cvy_fire_outbound_copy(t.ctx, "x", 1);
    ck_assert_int_eq(cvy_transport_flush(transport, write_on_completion, (void *)(uintptr_t) "outer"), 0);
    step("t writes, flushes");
    cvy_embedded_run(conn);
    step("the turn ends");
    STORY_IS("a write and a flush in a completion");
}
END_TEST

static void close_on_completion(cvy_transport_t *of, int status, void *arg)
{
    on_ticket(of, status, arg);
    cvy_transport_close(of, CVY_CLOSE_NOW);
}

/* T4, T9 */
START_TEST(a_close_inside_a_completion_fails_the_tickets_behind_it)
{
    open_ends(NULL);
    ck_assert_int_eq(cvy_embedded_script(conn, (const int[]){ 1, UV_EAGAIN }, 2), 0);
    cvy_fire_outbound_copy(t.ctx, "x", 1);
    ck_assert_int_eq(cvy_transport_flush(transport, close_on_completion, (void *)(uintptr_t) "first"), 0);
    cvy_fire_outbound_copy(t.ctx, "y", 1);
    ck_assert_int_eq(cvy_transport_flush(transport, on_ticket, (void *)(uintptr_t) "second"), 0);
    step("two tickets");
    cvy_embedded_run(conn);
    step("the turn ends");
    STORY_IS("a close in a completion");
}
END_TEST

static void write_when_flushed(cvy_transport_t *of, void *arg)
{
    (void)of, (void)arg;
    recorder_line(&history, "flush completed");
    if (!rounds) return;
    rounds--;
    cvy_fire_outbound_copy(t.ctx, "z", 1);
}

static void note_writable(cvy_transport_t *of, bool writable, void *arg)
{
    (void)of, (void)arg;
    recorder_line(&history, "writable %d", writable);
}

/* T5, T7: the application's own setters */
START_TEST(writes_inside_the_named_setters_callbacks)
{
    open_ends(&(cvy_transport_opts_t){ .high_bytes = 4, .low_bytes = 1 });
    cvy_transport_on_flush_completed(transport, write_when_flushed, NULL);
    cvy_transport_on_writable_state_changed(transport, note_writable, NULL);
    rounds = 2;
    cvy_embedded_block(conn, true);
    write_it("123456");
    turn_on("unblocked");
    STORY_IS("writes in the named setters' callbacks");
}
END_TEST

/* At the end */

static void write_late(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)in;
    if (strcmp(event, "error") && strcmp(event, "inactive") && strcmp(event, "removed")) return;
    int fired = cvy_fire_outbound_copy(ctx, "late", 4);
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    ck_assert_int_eq(cvy_buf_append(&b, "late", 4), 0);
    int written = cvy_conveyor_write(chain, &b);
    ck_assert_uint_eq(cvy_buf_len(&b), 4);
    int below = cvy_transport_write(transport, &b);
    cvy_buf_fini(&b);
    int flushed = cvy_transport_flush(transport, on_ticket, (void *)(uintptr_t) "late");
    recorder_line(&history, "fire %s, write %s, below %s, flush %s", uv_err_name(fired), uv_err_name(written),
                  uv_err_name(below), uv_err_name(flushed));
}

/* E5, E6, E7 */
START_TEST(writes_inside_error_inactive_and_removed_are_disposed_of)
{
    t.hook = write_late;
    open_ends(NULL);
    cvy_embedded_reset(conn, UV_ECONNRESET);
    step("the peer resets");
    STORY_IS("writes in the last error, inactive and removed");
}
END_TEST

/* T9: a goodbye */
START_TEST(a_write_inside_out_close_still_leaves)
{
    static const recorder_rule_t rules[] = { { "out-close", 1, RECORD_WRITE, "bye", 0 },
                                             { "out-close", 1, RECORD_FLUSH, NULL, 0 },
                                             { "flush", 1, RECORD_WRITE, "held, ", 0 },
                                             { 0 } };
    t.rules = rules;
    open_ends(NULL);
    cvy_transport_shutdown(transport, UV_EPROTO);
    step("shutdown");
    cvy_embedded_run(conn);
    cvy_embedded_end(conn);
    step("the peer ends");
    STORY_IS("a goodbye in out-close");
}
END_TEST

START_TEST(no_section_is_without_its_test)
{
    ck_assert_int_eq(golden_sections("reentry"), 15);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("golden_reentry");
    TCase *cases[] = {
        ADD_TESTS(s, "two", a_write_inside_the_other_s_write_nests_and_leaves_at_each_one_s_own_turn,
                  a_proxy_writes_inside_the_other_s_bytes, a_feed_inside_the_other_s_bytes_nests_once_and_then_waits),
        ADD_TESTS(s, "one", two_stages_of_one_conveyor_answer_each_other_inside_one_write,
                  writes_inside_on_added_and_on_active_leave_in_their_order, a_flush_inside_writability_adds_no_pair,
                  a_write_above_the_mark_inside_outbound_resume_is_another_pair_of_another_turn,
                  a_write_above_the_mark_inside_outbound_resume_that_blocks_waits,
                  a_write_inside_flush_leaves_in_the_same_turn,
                  a_flush_inside_flush_and_inside_a_write_sends_what_was_fired_before,
                  a_write_and_a_flush_inside_a_completion, a_close_inside_a_completion_fails_the_tickets_behind_it,
                  writes_inside_the_named_setters_callbacks, writes_inside_error_inactive_and_removed_are_disposed_of,
                  a_write_inside_out_close_still_leaves, no_section_is_without_its_test),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tcase_add_checked_fixture(cases[i], set_up_story, tear_down_story);
    return test_run(s);
}
