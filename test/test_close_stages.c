/* Closing and the end of stream where stages stand in between: a close that is kept back, a stage that comes behind the end. */
#include "fixture_transport.h"

/* Keeps every close back. */
static int closes_kept;
static cvy_close_t kept;

static void keep_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    (void)ctx;
    closes_kept++;
    kept = *how;
}

static const cvy_stage_t keeper = { .name = "keeper", .on_outbound_close = keep_close };

static cvy_ctx_t *open_with_keeper(const cvy_transport_opts_t *opts)
{
    cvy_ctx_t *ctx = NULL;
    closes_kept = 0;
    open_with(opts);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &keeper, NULL, &ctx), 0);
    recorder_clear(&notes);
    return ctx;
}

/* T9, T10: nobody keeps a connection open by forgetting to pass the close on */
START_TEST(a_close_that_a_stage_keeps_back_is_done_at_the_drain_deadline)
{
    open_with_keeper(NULL);
    cvy_embedded_block(e, true);
    below(10);
    ticket("stuck");
    cvy_transport_shutdown(t, 0);
    later(4999);
    ck_assert_int_eq(closes_kept, 1);
    ck_assert(!cvy_transport_closing(t));
    later(1);
    ck_assert(cvy_embedded_closed(e, NULL));
    LOG("a: out-close graceful 0\nticket stuck ETIMEDOUT\na: error ETIMEDOUT transport\na: inactive\na: removed\n"
        "end ETIMEDOUT\n");
}
END_TEST

/* T9: the cause that shutdown was given stays the cause */
START_TEST(a_close_that_is_kept_back_keeps_its_cause)
{
    open_with_keeper(NULL);
    cvy_transport_shutdown(t, UV_EPROTO);
    later(5000);
    LOG("a: out-close graceful EPROTO\na: inactive\na: removed\nend EPROTO\n");
}
END_TEST

/* T9 */
START_TEST(another_close_does_not_extend_the_deadline_of_the_first)
{
    open_with_keeper(NULL);
    cvy_transport_shutdown(t, 0);
    later(3000);
    cvy_transport_shutdown(t, UV_EPROTO);
    later(2000);
    ck_assert_int_eq(closes_kept, 2);
    ck_assert(cvy_embedded_closed(e, NULL));
}
END_TEST

/* T9: passed on in time, it drains under a deadline of its own */
START_TEST(a_close_that_is_passed_on_later_drains_as_any)
{
    cvy_ctx_t *ctx = open_with_keeper(NULL);
    cvy_embedded_block(e, true);
    below(10);
    cvy_transport_shutdown(t, 0);
    later(4000);
    cvy_fire_outbound_close(ctx, &kept);
    ck_assert(cvy_transport_closing(t));
    later(4000);
    cvy_embedded_block(e, false);
    wire_has(10);
    ck_assert(cvy_embedded_shut(e));
    cvy_embedded_end(e);
    LOG("a: out-close graceful 0\na: inactive\na: removed\nend 0\n");
}
END_TEST

/* T8, T9: so does the default of the peer's end */
START_TEST(the_peers_end_closes_also_past_a_stage_that_keeps_the_close)
{
    open_with_keeper(NULL);
    cvy_embedded_end(e);
    LOG("a: read-closed\na: out-close graceful 0\n");
    later(5000);
    LOG("a: read-closed\na: out-close graceful 0\na: error ETIMEDOUT transport\na: inactive\na: removed\nend "
        "ETIMEDOUT\n");
}
END_TEST

/* T9, M1 */
START_TEST(with_the_drain_deadline_off_a_stage_may_keep_the_close)
{
    open_with_keeper(&(cvy_transport_opts_t){ .drain_timeout_ms = CVY_OFF });
    cvy_transport_shutdown(t, 0);
    later(1000000);
    ck_assert(!cvy_transport_closing(t));
}
END_TEST

static int say_goodbye(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    cvy_fire_outbound_copy(ctx, "too many", 8);
    return cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_GRACEFUL);
}

static const cvy_stage_t doorman = { .name = "doorman", .on_added = say_goodbye };

static int init_with_doorman(cvy_conveyor_t *conveyor, void *arg)
{
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(conveyor), note_end, NULL);
    int err = cvy_conveyor_add_last(conveyor, &doorman, NULL, NULL);
    if (!err) err = cvy_conveyor_add_last(conveyor, &recorder_stage, arg, NULL);
    return err;
}

/* C2, L2, T9: the next stage is refused with UV_EPIPE, which the init passes on */
START_TEST(a_stage_that_turns_a_connection_away_while_it_is_built_is_heard)
{
    open_as(&(cvy_embedded_opts_t){ .init = init_with_doorman, .connecting = true });
    cvy_embedded_connect(e, 0);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "too many", 8));
    ck_assert(cvy_embedded_shut(e));
    cvy_embedded_end(e);
    LOG("end 0\n");
}
END_TEST

static const cvy_transport_opts_t half = { .allow_half_close = 1, .half_close_timeout_ms = CVY_OFF };

/* E3, E5: as with writability, who comes late hears how things are */
START_TEST(a_stage_that_comes_behind_the_end_of_stream_hears_of_it)
{
    open_with(&half);
    cvy_embedded_end(e);
    ck_assert_int_eq(cvy_conveyor_add_last(c, &recorder_stage, &b, NULL), 0);
    turn();
    LOG("a: read-closed\nb: added\nb: active\nb: read-closed\n");
}
END_TEST

/* E3, C4: also one in front of those that have heard, and a replacement; each once */
START_TEST(a_replacement_behind_the_end_of_stream_hears_of_it_once)
{
    open_with(&half);
    cvy_embedded_end(e);
    cvy_stage_with_t with = { &recorder_stage, &b };
    ck_assert_int_eq(cvy_conveyor_replace(c, cvy_at_stage(&recorder_stage), &with, 1), 0);
    turn();
    turn();
    LOG("a: read-closed\nb: added\nb: active\na: removed\nb: read-closed\n");
}
END_TEST

/* T8: while reading is suspended it waits, for those who come late as for the others */
START_TEST(one_who_comes_late_waits_while_reading_is_suspended)
{
    open_with(&half);
    cvy_embedded_end(e);
    cvy_transport_readable_state_changed(t, false);
    ck_assert_int_eq(cvy_conveyor_add_first(c, &recorder_stage, &b, NULL), 0);
    turn();
    LOG("a: read-closed\nb: added\nb: active\n");
    cvy_transport_readable_state_changed(t, true);
    turn();
    LOG("a: read-closed\nb: added\nb: active\na: inbound-resume\nb: inbound-resume\nb: read-closed\n");
}
END_TEST

/* E3: nothing stands against a hold; the default is not done a second time */
START_TEST(a_late_hold_of_the_end_of_stream_changes_nothing)
{
    b.rules = (const recorder_rule_t[]){ { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
    open_with(&half);
    cvy_embedded_end(e);
    ck_assert_int_eq(cvy_conveyor_add_last(c, &recorder_stage, &b, NULL), 0);
    turn();
    cvy_ctx_read_closed_next(b.ctx);
    turn();
    LOG("a: read-closed\nb: added\nb: active\nb: read-closed\n");
    ck_assert(!cvy_transport_closing(t));
    ck_assert_int_eq(cvy_transport_shutdown_write(t), 0);
    turn();
    ck_assert(cvy_transport_closing(t));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("close_stages");
    fixed(ADD_TESTS(suite, "kept", a_close_that_a_stage_keeps_back_is_done_at_the_drain_deadline,
                    a_close_that_is_kept_back_keeps_its_cause, another_close_does_not_extend_the_deadline_of_the_first,
                    a_close_that_is_passed_on_later_drains_as_any,
                    the_peers_end_closes_also_past_a_stage_that_keeps_the_close,
                    with_the_drain_deadline_off_a_stage_may_keep_the_close));
    fixed(ADD_TESTS(suite, "turned away", a_stage_that_turns_a_connection_away_while_it_is_built_is_heard));
    fixed(ADD_TESTS(suite, "late", a_stage_that_comes_behind_the_end_of_stream_hears_of_it,
                    a_replacement_behind_the_end_of_stream_hears_of_it_once,
                    one_who_comes_late_waits_while_reading_is_suspended,
                    a_late_hold_of_the_end_of_stream_changes_nothing));
    return test_run(suite);
}
