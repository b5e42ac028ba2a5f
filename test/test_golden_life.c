/*
 * Lives of a connection, from its first line to its last, told by a recorder at each end: a section of golden/life.txt each, a line for
 * each thing that the test did. golden.h tells how to write it anew.
 */
#include "fixture_golden.h"
#include "support.h"

#define STORY_IS(name) story_is("life", name)

static void open_ends(const cvy_transport_opts_t *opts)
{
    prepare_conn(ends, opts);
    step("made");
    cvy_embedded_connect(conn, 0);
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

static void end_peer(void)
{
    cvy_embedded_end(conn);
    step("the peer ends");
}

static void end_ours(void)
{
    cvy_transport_shutdown_write(transport);
    cvy_embedded_run(conn);
    step("we end");
}

static void pass(uint64_t ms)
{
    char what[32];
    cvy_embedded_advance(conn, ms);
    snprintf(what, sizeof what, "%d ms pass", (int)ms);
    step(what);
}

/* Queued behind a kernel that takes nothing, with a ticket. */
static void queue(const char *text, const char *ticket)
{
    cvy_embedded_block(conn, true);
    say(text);
    ck_assert_int_eq(cvy_transport_flush(transport, on_ticket, (void *)(uintptr_t)ticket), 0);
    cvy_embedded_run(conn);
    step("t writes, blocked");
}

/* E4, E5, T2, T4, T8 */
START_TEST(a_life_that_the_peer_ends)
{
    open_ends(NULL);
    hear("hi");
    write_it("ho");
    ck_assert_int_eq(cvy_transport_flush(transport, on_ticket, (void *)(uintptr_t) "one"), 0);
    cvy_embedded_run(conn);
    step("flush");
    end_peer();
    STORY_IS("ordinary: the peer ends first");
}
END_TEST

/* T9 */
START_TEST(a_life_that_we_end)
{
    open_ends(NULL);
    hear("hi");
    cvy_transport_shutdown(transport, 0);
    cvy_embedded_run(conn);
    step("shutdown");
    hear("unheard");
    end_peer();
    STORY_IS("ordinary: we end first");
}
END_TEST

/* T8 */
START_TEST(a_peer_that_ends_early_still_gets_our_answer)
{
    open_ends(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    hear("question");
    end_peer();
    write_it("answer");
    end_ours();
    STORY_IS("half closed by the peer");
}
END_TEST

/* T8 */
START_TEST(we_end_early_and_still_hear_the_peer)
{
    open_ends(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    write_it("question");
    end_ours();
    hear("answer");
    write_it("lost");
    end_peer();
    STORY_IS("half closed by us");
}
END_TEST

/* T8, T10 */
START_TEST(a_half_closed_life_is_bounded)
{
    open_ends(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    end_peer();
    pass(29999);
    pass(1);
    STORY_IS("half closed, and we never end");
}
END_TEST

static int refuse(cvy_conveyor_t *c, void *arg)
{
    int err = add_row(c, arg);
    recorder_line(&history, "init refuses");
    return err ? err : UV_EACCES;
}

static int close_here(cvy_conveyor_t *c, void *arg)
{
    int err = add_row(c, arg);
    cvy_transport_close(cvy_conveyor_transport(c), CVY_CLOSE_GRACEFUL);
    recorder_line(&history, "init closes");
    return err;
}

static void open_as(cvy_conveyor_init_cb init)
{
    cvy_embedded_opts_t opts = { .init = init, .arg = (void *)(uintptr_t)ends, .connecting = true };
    ck_assert_int_eq(cvy_embedded_new(&conn, &opts), 0);
    opened();
    feed("early");
    step("made, the peer sends");
    cvy_embedded_connect(conn, 0);
    step("connected");
}

/* E5, E6, L2 */
START_TEST(a_connection_refused_at_init_sees_only_removed)
{
    open_as(refuse);
    STORY_IS("refused at init");
}
END_TEST

/* E5, E6 */
START_TEST(a_connection_closed_at_init_sees_only_removed)
{
    open_as(close_here);
    STORY_IS("closed at init");
}
END_TEST

/* L8, E5 */
START_TEST(a_dial_in_vain_builds_no_chain)
{
    prepare_conn(ends, NULL);
    step("made");
    cvy_embedded_connect(conn, UV_ECONNREFUSED);
    step("not connected");
    STORY_IS("dialed in vain");
}
END_TEST

/* L8, E5 */
START_TEST(a_cancelled_dial_builds_no_chain)
{
    prepare_conn(ends, NULL);
    step("made");
    cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
    cvy_embedded_run(conn);
    step("closed");
    cvy_embedded_connect(conn, 0);
    step("connected too late");
    STORY_IS("dialed and cancelled");
}
END_TEST

/* T4, T17 */
START_TEST(a_reset_fails_the_ticket_and_is_heard)
{
    open_ends(NULL);
    queue("queued", "one");
    cvy_embedded_reset(conn, UV_ECONNRESET);
    step("the peer resets");
    STORY_IS("reset by the peer");
}
END_TEST

/* T10, T17 */
START_TEST(a_reset_while_suspended_is_found_by_the_probe)
{
    open_ends(NULL);
    cvy_ctx_suspend(t.ctx);
    hear("unread");
    cvy_embedded_reset(conn, UV_ECONNRESET);
    step("the peer resets");
    pass(29999);
    pass(1);
    STORY_IS("reset by the peer while reading is suspended");
}
END_TEST

/* T4, T17 */
START_TEST(a_write_that_fails_ends_the_life)
{
    open_ends(NULL);
    cvy_embedded_script(conn, (const int[]){ 3, UV_EPIPE }, 2);
    write_it("queued");
    STORY_IS("a write fails");
}
END_TEST

/* T10, T17 */
START_TEST(a_write_that_stalls_ends_the_life)
{
    open_ends(NULL);
    queue("queued", "one");
    pass(29999);
    pass(1);
    STORY_IS("a write stalls");
}
END_TEST

/* T4, T9 */
START_TEST(a_drained_life_waits_two_seconds_for_the_peer)
{
    open_ends(NULL);
    queue("queued", "one");
    cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
    cvy_embedded_run(conn);
    step("closed gracefully");
    cvy_embedded_block(conn, false);
    step("unblocked");
    pass(1999);
    pass(1);
    STORY_IS("drained, and the peer never ends");
}
END_TEST

/* E3, T6, T8 */
START_TEST(a_life_suspended_from_the_start_loses_nothing)
{
    static const recorder_rule_t rules[] = { { "active", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    h.rules = rules;
    open_ends(NULL);
    hear("one");
    hear("two");
    end_peer();
    cvy_ctx_resume(h.ctx);
    cvy_embedded_run(conn);
    step("h resumes");
    STORY_IS("suspended from the start");
}
END_TEST

/* T5, T6 */
START_TEST(a_queue_above_the_mark_holds_the_peer)
{
    open_ends(&(cvy_transport_opts_t){ .high_bytes = 4, .low_bytes = 1 });
    queue("123456", "one");
    hear("waits");
    cvy_embedded_block(conn, false);
    step("unblocked");
    end_peer();
    STORY_IS("above the mark and below again");
}
END_TEST

/* E9, E8 */
START_TEST(bytes_that_nobody_takes_end_a_strict_life)
{
    open_ends(&(cvy_transport_opts_t){ .strict_tail = 1 });
    hear("bytes");
    STORY_IS("nobody takes the bytes, and TAIL is strict");
}
END_TEST

START_TEST(no_section_is_without_its_test)
{
    ck_assert_int_eq(golden_sections("life"), 17);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("golden_life");
    TCase *tc = ADD_TESTS(s, "life", a_life_that_the_peer_ends, a_life_that_we_end,
                          a_peer_that_ends_early_still_gets_our_answer, we_end_early_and_still_hear_the_peer,
                          a_half_closed_life_is_bounded, a_connection_refused_at_init_sees_only_removed,
                          a_connection_closed_at_init_sees_only_removed, a_dial_in_vain_builds_no_chain,
                          a_cancelled_dial_builds_no_chain, a_reset_fails_the_ticket_and_is_heard,
                          a_reset_while_suspended_is_found_by_the_probe, a_write_that_fails_ends_the_life,
                          a_write_that_stalls_ends_the_life, a_drained_life_waits_two_seconds_for_the_peer,
                          a_life_suspended_from_the_start_loses_nothing, a_queue_above_the_mark_holds_the_peer,
                          bytes_that_nobody_takes_end_a_strict_life, no_section_is_without_its_test);
    tcase_add_checked_fixture(tc, set_up_story, tear_down_story);
    return test_run(s);
}
