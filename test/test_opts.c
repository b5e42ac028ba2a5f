/* What 0, CVY_OFF and values mean in the options, and the defaults that the headers and the contracts tell. */
#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "endpoint/dialer.h"
#include "endpoint/listener.h"
#include "loop/loop.h"
#include "support.h"
#include "transport/transport.h"

static cvy__limits_t resolved(const cvy_transport_opts_t *opts)
{
    cvy__shared_opts_t *shared;
    ck_assert_int_eq(cvy__shared_opts_new(&shared, opts), 0);
    cvy__limits_t out = shared->limits;
    cvy__shared_opts_unref(shared);
    ck_assert_uint_eq(cvy__memory_live(), 0);
    return out;
}

static void is_safe(const cvy__limits_t *l)
{
    ck_assert_uint_eq(l->high, 64 * 1024);
    ck_assert_uint_eq(l->low, 32 * 1024);
    ck_assert_uint_eq(l->hard, 1024 * 1024);
    ck_assert_uint_eq(l->drain_ms, 5000);
    ck_assert_uint_eq(l->linger_ms, 2000);
    ck_assert_uint_eq(l->linger_bytes, 64 * 1024);
    ck_assert_uint_eq(l->stall_ms, 30000);
    ck_assert_uint_eq(l->half_close_ms, 30000);
    ck_assert_uint_eq(l->probe_ms, 30000);
    ck_assert_uint_eq(l->suspend_ms, UINT64_MAX);
    ck_assert_uint_eq(l->read_budget, 16);
    ck_assert_uint_eq(l->read_budget_bytes, 1024 * 1024);
    ck_assert(l->hold_reads && !l->allow_half_close && !l->strict_tail);
    ck_assert_int_eq(l->error_verb, CVY_CLOSE_NOW);
}

/* M1, T5, T8, T9, T10, T11, E8, E9 */
START_TEST(a_transport_without_options_has_the_safe_ones)
{
    cvy__limits_t l = resolved(NULL);
    is_safe(&l);
    l = resolved(&(cvy_transport_opts_t){ 0 });
    is_safe(&l);
}
END_TEST

/* M1, T5 */
START_TEST(marks_that_are_not_given_follow_the_high_one)
{
    cvy__limits_t l = resolved(&(cvy_transport_opts_t){ .high_bytes = 1000 });
    ck_assert_uint_eq(l.low, 500);
    ck_assert_uint_eq(l.hard, 16000);
    l = resolved(&(cvy_transport_opts_t){ .high_bytes = INT64_MAX });
    ck_assert_uint_eq(l.hard, UINT64_MAX);
    l = resolved(&(cvy_transport_opts_t){ .high_bytes = CVY_OFF });
    ck_assert_uint_eq(l.high, UINT64_MAX);
    ck_assert_uint_eq(l.hard, UINT64_MAX);
}
END_TEST

/* M1 */
START_TEST(off_turns_each_limit_off)
{
    cvy__limits_t l = resolved(&(cvy_transport_opts_t){ .low_bytes = CVY_OFF,
                                                        .hard_bytes = CVY_OFF,
                                                        .hold_reads = CVY_OFF,
                                                        .allow_half_close = CVY_OFF,
                                                        .strict_tail = CVY_OFF,
                                                        .drain_timeout_ms = CVY_OFF,
                                                        .linger_timeout_ms = CVY_OFF,
                                                        .linger_bytes = CVY_OFF,
                                                        .write_stall_timeout_ms = CVY_OFF,
                                                        .half_close_timeout_ms = CVY_OFF,
                                                        .probe_interval_ms = CVY_OFF,
                                                        .suspend_timeout_ms = CVY_OFF,
                                                        .read_budget = CVY_OFF,
                                                        .read_budget_bytes = CVY_OFF });
    const uint64_t off[] = { l.hard,          l.drain_ms, l.linger_ms,  l.linger_bytes, l.stall_ms,
                             l.half_close_ms, l.probe_ms, l.suspend_ms, l.read_budget,  l.read_budget_bytes };
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++)
        ck_assert_uint_eq(off[i], UINT64_MAX);
    ck_assert_uint_eq(l.low, 0);
    ck_assert(!l.hold_reads && !l.allow_half_close && !l.strict_tail);
}
END_TEST

/* R9, T7, M1 */
START_TEST(a_loops_budgets_have_defaults_and_can_be_off)
{
    cvy_loop_t *loop;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    ck_assert_int_eq(loop->task_budget, 128);
    ck_assert_int_eq(loop->timer_budget, 256);
    ck_assert_int_eq(loop->flush_limit, 16);
    cvy_loop_unref(loop);
    cvy_loop_opts_t opts = { .task_budget = CVY_OFF, .timer_budget = 3, .flush_limit = 2 };
    ck_assert_int_eq(cvy_loop_new(&loop, &opts), 0);
    ck_assert_int_eq(loop->task_budget, INT64_MAX);
    ck_assert_int_eq(loop->timer_budget, 3);
    ck_assert_int_eq(loop->flush_limit, 2);
    cvy_loop_unref(loop);
}
END_TEST

/* R9, L3, L6, L10, M1 */
START_TEST(a_listener_has_a_budget_a_retry_and_a_drain_deadline_by_default)
{
    cvy_listener_t *l;
    cvy_listener_opts_t opts = { .address = "inproc://opts" };
    ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
    ck_assert_int_eq(l->opts.accept_budget, 16);
    ck_assert_int_eq(l->opts.retry_ms, 1000);
    ck_assert_int_eq(l->opts.drain_timeout_ms, 10000);
    ck_assert_uint_ge(l->places.max, 1000000000);
    cvy_listener_free(l);
    opts.accept_budget = CVY_OFF;
    ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
    ck_assert_int_eq(l->opts.accept_budget, INT64_MAX);
    cvy_listener_free(l);
    opts.max_connections = 1000;
    ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
    ck_assert_uint_eq(l->places.max, 1000);
    ck_assert_uint_eq(l->places.resume_at, 950);
    cvy_listener_free(l);
}
END_TEST

/* L7, L13, M1 */
START_TEST(a_listener_takes_signals_and_gives_files_away_only_when_told_and_copies_what_it_is_told)
{
    cvy_listener_t *l;
    char owner[] = "user:group";
    cvy_listener_opts_t opts = { .address = "inproc://opts" };
    ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
    ck_assert_int_le(l->opts.stop_on_signals, 0);
    ck_assert_ptr_null(l->owner);
    ck_assert_int_eq(l->opts.mode, 0);
    cvy_listener_free(l);
    opts.owner = owner;
    ck_assert_int_eq(cvy_listener_new(&l, &opts), 0);
    owner[0] = 'x';
    ck_assert_str_eq(l->owner, "user:group");
    cvy_listener_free(l);
}
END_TEST

/* L8, M1: RFC 8305, 5 recommends the delay. */
START_TEST(a_dialer_has_a_timeout_and_a_stagger_by_default)
{
    cvy_loop_t *loop;
    cvy_dialer_t *d;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    ck_assert_int_eq(cvy_dialer_new(&d, &(cvy_dialer_opts_t){ .address = "inproc://opts", .loop = loop }), 0);
    ck_assert_int_eq(d->opts.timeout_ms, 30000);
    ck_assert_int_eq(d->opts.attempt_delay_ms, 250);
    cvy_dialer_free(d);
    cvy_loop_unref(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opts");
    ADD_TESTS(suite, "transport", a_transport_without_options_has_the_safe_ones,
              marks_that_are_not_given_follow_the_high_one, off_turns_each_limit_off);
    ADD_TESTS(suite, "others", a_loops_budgets_have_defaults_and_can_be_off,
              a_listener_has_a_budget_a_retry_and_a_drain_deadline_by_default,
              a_listener_takes_signals_and_gives_files_away_only_when_told_and_copies_what_it_is_told,
              a_dialer_has_a_timeout_and_a_stagger_by_default);
    return test_run(suite);
}
