/* Flow control: contracts E7, T5, T6, T8, C6, M3; research 2.8. */
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "rig.h"
#include "support.h"

static const cvy_transport_opts_t small = {
    .high_bytes = 100, .low_bytes = 50, .hold_reads = CVY_OFF, .allow_half_close = 1
};

static rig_t coupled(void)
{
    return (rig_t){ .stage = &cvy_flow_control_stage, .transport = &small };
}

static bool suspended(const rig_t *r)
{
    return cvy_transport_suspended(cvy_embedded_transport(r->e));
}

/* What a stage in front does that fires in spite of UV_EAGAIN. */
static int push(rig_t *r, const char *text)
{
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_append(&b, text, strlen(text)), 0);
    cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &b };
    return cvy_conveyor_fire_inbound(cvy_embedded_conveyor(r->e), &ev.event);
}

START_TEST(a_full_queue_holds_reading_until_it_has_drained)
{
    rig_t r = coupled();
    char big[101] = "";
    rig_open(&r);
    cvy_embedded_block(r.e, true);
    rig_write(&r, big, 100);
    ck_assert(!suspended(&r));
    rig_write(&r, big, 1);
    ck_assert(suspended(&r));
    rig_feed(&r, "wait", 4);
    ck_assert_uint_eq(r.frames, 0);
    cvy_embedded_block(r.e, false);
    ck_assert(!suspended(&r));
    rig_expect(&r, "wait", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(uncoupled_it_leaves_reading_alone)
{
    rig_t r = coupled();
    char big[200] = "";
    r.opts = &(cvy_flow_control_opts_t){ .uncoupled = 1 };
    rig_open(&r);
    cvy_embedded_block(r.e, true);
    rig_write(&r, big, sizeof big);
    ck_assert(!suspended(&r));
    rig_feed(&r, "go", 2);
    rig_expect(&r, "go", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(added_above_the_mark_it_holds_reading_as_well)
{
    rig_t r = { .stage = &cvy_idle_stage, .transport = &small };
    char big[200] = "";
    rig_open(&r);
    cvy_embedded_block(r.e, true);
    rig_write(&r, big, sizeof big);
    ck_assert(!suspended(&r));
    ck_assert_int_eq(cvy_conveyor_add_first(cvy_embedded_conveyor(r.e), &cvy_flow_control_stage, NULL, NULL), 0);
    cvy_embedded_run(r.e);
    ck_assert(suspended(&r));
    cvy_embedded_block(r.e, false);
    ck_assert(!suspended(&r));
    rig_close(&r);
}
END_TEST

/* T5: there is no outbound-resume to wait for. */
START_TEST(added_when_our_side_has_ended_it_leaves_reading_alone)
{
    rig_t r = { .stage = &cvy_idle_stage, .transport = &small };
    rig_open(&r);
    ck_assert_int_eq(cvy_transport_shutdown_write(cvy_embedded_transport(r.e)), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(cvy_embedded_conveyor(r.e), &cvy_flow_control_stage, NULL, NULL), 0);
    cvy_embedded_run(r.e);
    ck_assert(!suspended(&r));
    rig_feed(&r, "answer", 6);
    rig_expect(&r, "answer", NULL);
    rig_close(&r);
}
END_TEST

/* C6. */
START_TEST(removing_it_lets_reading_go_on)
{
    rig_t r = coupled();
    char big[200] = "";
    rig_open(&r);
    cvy_embedded_block(r.e, true);
    rig_write(&r, big, sizeof big);
    ck_assert(suspended(&r));
    cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_flow_control_stage));
    cvy_embedded_run(r.e);
    ck_assert(!suspended(&r));
    rig_close(&r);
}
END_TEST

START_TEST(what_arrives_while_suspended_waits_buffer_by_buffer)
{
    rig_t r = coupled();
    rig_open(&r);
    cvy_ctx_suspend(r.sink);
    ck_assert_int_eq(push(&r, "one"), UV_EAGAIN);
    push(&r, "");
    push(&r, "three");
    cvy_embedded_run(r.e);
    ck_assert_uint_eq(r.frames, 0);
    cvy_ctx_resume(r.sink);
    push(&r, "before the drain");
    ck_assert_uint_eq(r.frames, 0);
    cvy_embedded_run(r.e);
    rig_expect(&r, "one", "", "three", "before the drain", NULL);
    rig_feed(&r, "four", 4);
    rig_expect(&r, "one", "", "three", "before the drain", "four", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(a_new_suspend_stops_the_drain_and_later_bytes_go_behind)
{
    rig_t r = coupled();
    r.suspend_at = SIZE_MAX;
    rig_open(&r);
    cvy_ctx_suspend(r.sink);
    push(&r, "1");
    push(&r, "2");
    for (size_t i = 1; i <= 4; i++) {
        rig_resume(&r);
        ck_assert_uint_eq(r.frames, i);
        if (i == 1) push(&r, "3");
        if (i == 2) push(&r, "4");
    }
    rig_expect(&r, "1", "2", "3", "4", NULL);
    ck_assert_uint_eq(r.suspended_frames, 0);
    rig_close(&r);
}
END_TEST

static void push_once(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    (void)ctx;
    (void)frame;
    if (r->frames != 2) return; /* the last that waits */
    push(r, "more");
    ck_assert_uint_eq(r->frames, 2); /* not nested */
}

START_TEST(bytes_that_arrive_during_a_drain_go_behind_it)
{
    rig_t r = coupled();
    r.on_frame = push_once;
    rig_open(&r);
    cvy_ctx_suspend(r.sink);
    push(&r, "1");
    push(&r, "2");
    rig_resume(&r);
    rig_expect(&r, "1", "2", "more", NULL);
    rig_close(&r);
}
END_TEST

/* T8 */
START_TEST(end_of_stream_waits_behind_what_waits)
{
    rig_t r = coupled();
    r.suspend_at = SIZE_MAX;
    rig_open(&r);
    rig_feed(&r, "0", 1); /* suspends */
    push(&r, "1");
    push(&r, "2");
    ck_assert_int_eq(r.stage->on_read_closed(r.ctx), UV_EAGAIN);
    cvy_embedded_end(r.e);
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_uint_eq(r.frames, i);
        ck_assert(!r.read_closed);
        if (i == 3) r.suspend_at = 0;
        rig_resume(&r);
    }
    ck_assert(r.read_closed);
    rig_close(&r);
}
END_TEST

/* C4 */
START_TEST(removed_it_passes_on_what_waits)
{
    rig_t r = coupled();
    rig_open(&r);
    cvy_ctx_suspend(r.sink);
    push(&r, "1");
    push(&r, "2");
    cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_flow_control_stage));
    cvy_embedded_run(r.e);
    rig_expect(&r, "1", "2", NULL);
    rig_close(&r);
}
END_TEST

START_TEST(closing_drops_what_waits)
{
    rig_t r = coupled();
    r.close_at = 1;
    rig_open(&r);
    cvy_ctx_suspend(r.sink);
    push(&r, "1");
    push(&r, "2");
    rig_resume(&r);
    rig_expect(&r, "1", NULL);
    rig_close(&r);
}
END_TEST

/* InboundSuspend fired as an event is the same as the call: a holder of its own. */
START_TEST(the_seeds_suspend_events_work_through_it)
{
    rig_t r = coupled();
    cvy_event_t suspend = { &cvy_inbound_suspend_event }, resume = { &cvy_inbound_resume_event };
    rig_open(&r);
    cvy_fire_outbound(r.sink, &suspend);
    cvy_fire_outbound(r.sink, &suspend);
    ck_assert(suspended(&r));
    rig_feed(&r, "x", 1);
    ck_assert_uint_eq(r.frames, 0);
    cvy_fire_outbound(r.sink, &resume);
    cvy_embedded_run(r.e);
    rig_expect(&r, "x", NULL);
    rig_close(&r);
}
END_TEST

/* M3: a lost buffer is a hole in the stream, so that nothing follows it. */
START_TEST(any_allocation_may_fail_and_leaves_no_hole)
{
    bool failed = true;
    for (long nth = 1; failed; nth++) {
        rig_t r = coupled();
        r.handle = true;
        rig_open(&r);
        cvy_ctx_suspend(r.sink);
        cvy_buf_t b[3];
        for (int i = 0; i < 3; i++) {
            cvy_buf_init(&b[i], NULL);
            ck_assert_int_eq(cvy_buf_append(&b[i], &"abc"[i], 1), 0);
        }
        cvy__memory_fail(nth);
        for (int i = 0; i < 3; i++) {
            cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &b[i] };
            cvy_conveyor_fire_inbound(cvy_embedded_conveyor(r.e), &ev.event);
        }
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        cvy_embedded_run(r.e);
        if (r.sink) rig_resume(&r);
        if (failed) ck_assert_int_eq(r.error.code ? r.error.code : r.cause, UV_ENOMEM);
        if (failed)
            ck_assert_uint_eq(r.frames, 0);
        else
            rig_expect(&r, "a", "b", "c", NULL);
        rig_close(&r);
    }
}
END_TEST

/* M3: what it loses when it has to go is an error, not a silent hole in the stream. */
START_TEST(removed_without_memory_it_fails)
{
    size_t failures = 0;
    bool failed = true;
    for (long nth = 1; failed; nth++, failures += failed) {
        rig_t r = coupled();
        rig_open(&r);
        cvy_ctx_suspend(r.sink);
        push(&r, "1");
        push(&r, "2");
        push(&r, "3");
        cvy__memory_fail(nth);
        cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_flow_control_stage));
        failed = cvy__memory_failed();
        cvy__memory_fail(0);
        cvy_embedded_run(r.e);
        ck_assert_int_eq(r.cause, failed ? UV_ENOMEM : 1);
        rig_close(&r);
    }
    ck_assert_uint_gt(failures, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("flow_control");
    ADD_TESTS(s, "coupling", a_full_queue_holds_reading_until_it_has_drained, uncoupled_it_leaves_reading_alone,
              added_above_the_mark_it_holds_reading_as_well, added_when_our_side_has_ended_it_leaves_reading_alone,
              removing_it_lets_reading_go_on, the_seeds_suspend_events_work_through_it);
    ADD_TESTS(s, "holding", what_arrives_while_suspended_waits_buffer_by_buffer,
              a_new_suspend_stops_the_drain_and_later_bytes_go_behind, bytes_that_arrive_during_a_drain_go_behind_it,
              end_of_stream_waits_behind_what_waits, removed_it_passes_on_what_waits, closing_drops_what_waits,
              any_allocation_may_fail_and_leaves_no_hole, removed_without_memory_it_fails);
    return test_run(s);
}
