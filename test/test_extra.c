/*
 * Proves lib/transport/extra.c: what a connection seldom needs is made when it is first needed. Where there is no memory for it, who can answer
 * says so and the connection lives; a setter or a deadline ends it.
 */
#include "fixture_transport.h"

/* The next allocation but n fails within what is done; it was made. */
#define WITHOUT_MEMORY(n, what)          \
    do {                                 \
        cvy__memory_fail(n);             \
        what;                            \
        ck_assert(cvy__memory_failed()); \
        cvy__memory_fail(0);             \
    } while (0)

static const cvy_transport_opts_t no_deadlines = { .drain_timeout_ms = CVY_OFF,
                                                   .linger_timeout_ms = CVY_OFF,
                                                   .write_stall_timeout_ms = CVY_OFF,
                                                   .half_close_timeout_ms = CVY_OFF,
                                                   .probe_interval_ms = CVY_OFF };

static void no_flush_completed(cvy_transport_t *of, void *arg)
{
    (void)of, (void)arg;
}

static void no_writable(cvy_transport_t *of, bool writable, void *arg)
{
    (void)of, (void)writable, (void)arg;
}

/* M3: closed, with its code, and all of it is over */
static void ended_without_memory(void)
{
    ck_assert(cvy_transport_closing(t));
    turn();
    ck_assert_ptr_nonnull(strstr(recorder_text(&notes), "end ENOMEM\n"));
    ck_assert(cvy_embedded_closed(e, NULL));
}

/* M4 */
START_TEST(a_connection_that_keeps_up_needs_none_of_it)
{
    a.rules = (recorder_rule_t[]){ { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
    open_with(NULL);
    for (int i = 0; i < 100; i++)
        feed("question");
    ck_assert_uint_eq(sent(), 800);
    ck_assert_ptr_null(t->extra);
    finish();
}
END_TEST

/* M3 */
START_TEST(a_setter_without_memory_ends_the_connection)
{
    for (int i = 0; i < 2; i++) {
        open_with(NULL);
        if (i)
            WITHOUT_MEMORY(1, cvy_transport_on_flush_completed(t, no_flush_completed, NULL));
        else
            WITHOUT_MEMORY(1, cvy_transport_on_writable_state_changed(t, no_writable, NULL));
        ended_without_memory();
        finish();
    }
}
END_TEST

/* M3, E9: bytes that nobody took are counted, or the connection ends */
START_TEST(bytes_that_reach_tail_without_memory_to_count_them_end_the_connection)
{
    cvy_buf_t nobodys;
    open_with(NULL);
    cvy_buf_init(&nobodys, cvy_ctx_pool(a.ctx));
    ck_assert_int_eq(cvy_buf_append(&nobodys, "nobody's", 8), 0);
    WITHOUT_MEMORY(1, cvy_fire_inbound_bytes(a.ctx, &nobodys));
    ended_without_memory();
    finish();
}
END_TEST

/* M3 */
START_TEST(taking_a_setter_back_needs_no_memory)
{
    open_with(NULL);
    cvy__memory_fail(1);
    cvy_transport_on_flush_completed(t, NULL, NULL);
    cvy_transport_on_writable_state_changed(t, NULL, NULL);
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert(!cvy_transport_closing(t));
    finish();
}
END_TEST

/* M3, T4: for the ticket and for what holds it; nothing was flushed or noted */
START_TEST(a_ticket_without_memory_is_refused_and_the_connection_lives)
{
    open_with(NULL);
    for (int n = 1; n <= 2; n++) {
        ck_assert_int_eq(below(10), 0);
        WITHOUT_MEMORY(n, ck_assert_int_eq(ticket("first"), UV_ENOMEM));
        ck_assert(!cvy_transport_closing(t));
    }
    ck_assert_uint_eq(sent(), 0);
    ck_assert_int_eq(ticket("second"), 0);
    turn();
    LOG("ticket second 0\n");
    wire_has(20);
    finish();
}
END_TEST

/* M3, T10 */
START_TEST(a_suspend_without_memory_for_its_probe_ends_the_connection)
{
    open_with(NULL);
    WITHOUT_MEMORY(1, cvy_ctx_suspend(a.ctx));
    ended_without_memory();
    finish();
}
END_TEST

/* M3, T10 */
START_TEST(a_stalled_write_without_memory_for_its_deadline_ends_the_connection)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    ck_assert_int_eq(put(10), 0);
    WITHOUT_MEMORY(1, turn());
    ended_without_memory();
    finish();
}
END_TEST

/* M3, T8 */
START_TEST(an_end_of_the_peers_without_memory_for_its_deadlines_ends_the_connection)
{
    open_with(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    WITHOUT_MEMORY(1, cvy_embedded_end(e));
    ended_without_memory();
    finish();
}
END_TEST

/* M3, T9: for the drain, where something is left to send; or for the linger */
START_TEST(a_graceful_close_without_memory_for_its_deadline_ends_the_connection)
{
    open_with(&(cvy_transport_opts_t){ .write_stall_timeout_ms = CVY_OFF });
    cvy_embedded_block(e, true);
    ck_assert_int_eq(put(10), 0);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    WITHOUT_MEMORY(1, turn());
    ck_assert(!cvy_embedded_shut(e));
    ended_without_memory();
    finish();
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    WITHOUT_MEMORY(1, turn());
    ck_assert(cvy_embedded_shut(e));
    ended_without_memory();
    finish();
}
END_TEST

static void keep_it(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    (void)ctx, (void)how;
}

/* M3, T9: the stage that keeps it back may never let it go */
START_TEST(a_close_that_a_stage_keeps_without_memory_for_its_deadline_ends_the_connection)
{
    static const cvy_stage_t keeper = { .name = "keeper", .on_outbound_close = keep_it };
    open_with(NULL);
    ck_assert_int_eq(cvy_conveyor_add_last(c, &keeper, NULL, NULL), 0);
    WITHOUT_MEMORY(1, cvy_transport_shutdown(t, UV_EPROTO));
    ended_without_memory();
    finish();
}
END_TEST

/* M1: a deadline that is off needs no memory either */
START_TEST(deadlines_that_are_off_need_no_memory)
{
    open_with(&no_deadlines);
    cvy__memory_fail(1);
    cvy_ctx_suspend(a.ctx);
    cvy_ctx_resume(a.ctx);
    turn();
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    turn();
    ck_assert(!cvy__memory_failed());
    cvy__memory_fail(0);
    ck_assert_ptr_null(t->extra);
    cvy_embedded_end(e);
    ck_assert_ptr_nonnull(strstr(recorder_text(&notes), "end 0\n"));
    finish();
}
END_TEST

/* T9: the queue falls to its low mark behind the peer's end, reading resumes, and there is no memory for the deadline that begins then: what is
 * left of the queue must not go to a descriptor that is closed by now. */
START_TEST(a_flush_that_ends_its_connection_asks_the_system_for_nothing_more)
{
    open_with(&(cvy_transport_opts_t){ .high_bytes = 1000,
                                       .low_bytes = 500,
                                       .write_stall_timeout_ms = CVY_OFF,
                                       .probe_interval_ms = CVY_OFF,
                                       .allow_half_close = 1 });
    cvy_embedded_block(e, true);
    ck_assert_int_eq(put(2000), 0);
    turn();
    ck_assert(cvy_transport_suspended(t));
    cvy_embedded_end(e);
    ck_assert_int_eq(cvy_transport_read_state(t), CVY_READ_EOF);
    ck_assert_ptr_null(t->extra);
    ck_assert_int_eq(cvy_embedded_script(e, (const int[]){ 1600, 100, 300 }, 3), 0);
    WITHOUT_MEMORY(1, cvy_embedded_block(e, false); cvy_embedded_unblock(e));
    ended_without_memory();
    ck_assert_uint_eq(cvy_embedded_write_calls(e), 1);
    wire_has(1600);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("extra");
    fixed(ADD_TESTS(
        suite, "memory", a_connection_that_keeps_up_needs_none_of_it, a_setter_without_memory_ends_the_connection,
        bytes_that_reach_tail_without_memory_to_count_them_end_the_connection, taking_a_setter_back_needs_no_memory,
        a_ticket_without_memory_is_refused_and_the_connection_lives, deadlines_that_are_off_need_no_memory));
    fixed(ADD_TESTS(suite, "deadlines", a_suspend_without_memory_for_its_probe_ends_the_connection,
                    a_stalled_write_without_memory_for_its_deadline_ends_the_connection,
                    an_end_of_the_peers_without_memory_for_its_deadlines_ends_the_connection,
                    a_graceful_close_without_memory_for_its_deadline_ends_the_connection,
                    a_close_that_a_stage_keeps_without_memory_for_its_deadline_ends_the_connection,
                    a_flush_that_ends_its_connection_asks_the_system_for_nothing_more));
    return test_run(suite);
}
