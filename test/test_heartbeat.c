/* Heartbeat: contract M6. */
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "recorder.h"
#include "support.h"

typedef struct setup {
    const cvy_heartbeat_opts_t *opts;
    bool framed;
    recorder_t *after;
    int cause;
    cvy_ctx_t *ctx;
} setup_t;

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    (void)t;
    ((setup_t *)arg)->cause = cause;
}

static int init(cvy_conveyor_t *c, void *arg)
{
    setup_t *s = arg;
    s->cause = 1;
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_end, s);
    int err = s->framed ? cvy_frame_add(c, NULL) : 0;
    if (!err) err = cvy_conveyor_add_last(c, &cvy_heartbeat_stage, s->opts, &s->ctx);
    if (!err && s->after) err = cvy_conveyor_add_last(c, &recorder_stage, s->after, NULL);
    return err;
}

static cvy_embedded_t *open_with(setup_t *s)
{
    cvy_embedded_t *e = NULL;
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init, .arg = s }), 0);
    return e;
}

static void end(cvy_embedded_t *e)
{
    cvy_embedded_free(e);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

/* M6 */
START_TEST(after_the_interval_without_a_write_the_bytes_are_sent)
{
    setup_t s = { .opts =
                      &(cvy_heartbeat_opts_t){ .interval_ms = 100, .timeout_ms = CVY_OFF, .bytes = "beat", .n = 4 } };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_advance(e, 99);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "", 0));
    cvy_embedded_advance(e, 1);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "beat", 4));
    cvy_embedded_advance(e, 200);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "beatbeatbeat", 12));
    end(e);
}
END_TEST

/* M6 */
START_TEST(a_write_puts_the_beat_off)
{
    setup_t s = { .opts =
                      &(cvy_heartbeat_opts_t){ .interval_ms = 100, .timeout_ms = CVY_OFF, .bytes = "beat", .n = 4 } };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_advance(e, 60);
    cvy_fire_outbound_copy(s.ctx, "x", 1);
    cvy_embedded_run(e);
    cvy_embedded_advance(e, 99);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "x", 1));
    cvy_embedded_advance(e, 1);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "xbeat", 5));
    end(e);
}
END_TEST

START_TEST(nothing_is_added_to_bytes_that_wait)
{
    setup_t s = { .opts =
                      &(cvy_heartbeat_opts_t){ .interval_ms = 100, .timeout_ms = CVY_OFF, .bytes = "beat", .n = 4 } };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_block(e, true);
    cvy_fire_outbound_copy(s.ctx, "x", 1);
    cvy_embedded_run(e);
    cvy_embedded_advance(e, 1000);
    ck_assert_uint_eq(cvy_transport_queued(cvy_embedded_transport(e)), 1);
    end(e);
}
END_TEST

START_TEST(without_bytes_a_frame_of_length_zero_is_sent)
{
    setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .interval_ms = 100, .timeout_ms = CVY_OFF }, .framed = true };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_advance(e, 100);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "\0\0\0\0", 4));
    end(e);
}
END_TEST

/* T17, M6 */
START_TEST(a_silent_peer_is_closed_with_timed_out)
{
    setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .interval_ms = CVY_OFF, .timeout_ms = 100 } };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_advance(e, 60);
    cvy_embedded_feed(e, "x", 1);
    cvy_embedded_advance(e, 99);
    ck_assert(!cvy_embedded_closed(e, NULL));
    cvy_embedded_advance(e, 1);
    ck_assert(cvy_embedded_closed(e, NULL));
    ck_assert_int_eq(s.cause, UV_ETIMEDOUT);
    end(e);
}
END_TEST

START_TEST(the_default_is_a_minute_and_beats_twice_in_it)
{
    setup_t s = { .framed = true };
    cvy_embedded_t *e = open_with(&s);
    cvy_embedded_advance(e, 30000);
    ck_assert_uint_eq(cvy_buf_len(cvy_embedded_sent(e)), 4);
    cvy_embedded_advance(e, 29999);
    ck_assert(!cvy_embedded_closed(e, NULL));
    cvy_embedded_advance(e, 1);
    ck_assert_int_eq(s.cause, UV_ETIMEDOUT);
    end(e);
}
END_TEST

/* M6 */
START_TEST(a_suspended_connection_is_not_taken_for_dead)
{
    setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .timeout_ms = 100, .interval_ms = CVY_OFF } };
    cvy_embedded_t *e = open_with(&s);
    cvy_ctx_suspend(s.ctx);
    cvy_embedded_advance(e, 10000);
    ck_assert(!cvy_embedded_closed(e, NULL));
    end(e);
}
END_TEST

/* Bytes, errors and other stages' events. */
START_TEST(everything_else_passes)
{
    recorder_log_t log;
    recorder_log_init(&log);
    recorder_t a = { .name = "a", .log = &log, .flags = RECORD_NO_TURNS };
    setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .interval_ms = 50, .timeout_ms = CVY_OFF, .bytes = "b", .n = 1 },
                  .after = &a };
    cvy_embedded_t *e = open_with(&s);
    const cvy_idle_opts_t other = { .read_ms = 10 };
    ck_assert_int_eq(cvy_conveyor_add_first(cvy_embedded_conveyor(e), &cvy_idle_stage, &other, NULL), 0);
    cvy_embedded_feed(e, "hello", 5);
    cvy_embedded_advance(e, 10);
    cvy_embedded_advance(e, 40);
    ck_assert_str_eq(recorder_text(&log),
                     "a: added\na: active\na: bytes 5 hello\na: in cvy_idle\na: in cvy_idle\na: in cvy_idle\n"
                     "a: in cvy_idle\na: in cvy_idle\n");
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "b", 1));
    end(e);
    recorder_fini(&a);
    recorder_log_fini(&log);
}
END_TEST

START_TEST(its_idle_stage_comes_and_goes_with_it)
{
    setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .interval_ms = 100, .bytes = "beat", .n = 4 } };
    cvy_embedded_t *e = open_with(&s);
    cvy_conveyor_t *c = cvy_embedded_conveyor(e);
    ck_assert_ptr_nonnull(cvy_conveyor_find(c, cvy_at_stage(&cvy_idle_stage)));
    ck_assert_int_eq(cvy_conveyor_remove(c, cvy_at_stage(&cvy_heartbeat_stage)), 0);
    cvy_embedded_run(e);
    ck_assert_ptr_null(cvy_conveyor_find(c, cvy_at_stage(&cvy_idle_stage)));
    cvy_embedded_advance(e, 100000);
    ck_assert_uint_eq(cvy_buf_len(cvy_embedded_sent(e)), 0);
    ck_assert(!cvy_embedded_closed(e, NULL));
    ck_assert_int_eq(cvy_conveyor_add_last(c, &cvy_heartbeat_stage, s.opts, NULL), 0); /* on an active connection */
    cvy_embedded_advance(e, 100);
    ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "beat", 4));
    end(e);
}
END_TEST

START_TEST(times_that_can_not_be_are_refused)
{
    static const cvy_heartbeat_opts_t bad[] = { { .interval_ms = -2 }, { .timeout_ms = -2 } };
    setup_t s = { 0 };
    cvy_embedded_t *e = open_with(&s);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(cvy_heartbeat_add(cvy_embedded_conveyor(e), &bad[i]), UV_EINVAL);
    end(e);
}
END_TEST

/* M3. */
START_TEST(any_allocation_may_fail)
{
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        setup_t s = { .opts = &(cvy_heartbeat_opts_t){ .interval_ms = 10, .timeout_ms = 25, .bytes = "beat", .n = 4 } };
        cvy_embedded_t *e = NULL;
        cvy__memory_fail(nth);
        int err = cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init, .arg = &s });
        if (!err) cvy_embedded_advance(e, 100);
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        ck_assert(err == 0 || err == UV_ENOMEM);
        if (!err) ck_assert(s.cause == UV_ETIMEDOUT || (failed && s.cause == UV_ENOMEM));
        end(err ? NULL : e);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heartbeat");
    ADD_TESTS(s, "heartbeat", after_the_interval_without_a_write_the_bytes_are_sent, a_write_puts_the_beat_off,
              nothing_is_added_to_bytes_that_wait, without_bytes_a_frame_of_length_zero_is_sent,
              a_silent_peer_is_closed_with_timed_out, the_default_is_a_minute_and_beats_twice_in_it,
              a_suspended_connection_is_not_taken_for_dead, everything_else_passes,
              its_idle_stage_comes_and_goes_with_it, times_that_can_not_be_are_refused, any_allocation_may_fail);
    return test_run(s);
}
