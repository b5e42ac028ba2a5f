/* The timer wheel against a plain array, under a clock that the test moves. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "loop/wheel.h"

#define N 400

typedef struct probe {
    cvy__entry_t entry;
    uint64_t due, order; /* the model: when, and the how-manieth start */
    bool armed;
} probe_t;

static cvy__wheel_t wheel;
static probe_t probes[N];
static uint64_t now, starts, last_due, last_order;
static size_t fired;
static uint64_t seed;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Delays of every magnitude, those beyond the wheel's range too. */
static uint64_t rnd_delay(void)
{
    unsigned bits = (unsigned)(rnd() % 34);
    return rnd() & ((UINT64_C(1) << bits) - 1);
}

static void start(probe_t *p, uint64_t due);

static void on_fire(cvy__entry_t *entry)
{
    probe_t *p = CVY__OF(entry, probe_t, entry);
    ck_assert_msg(p->armed, "fired though not armed, seed %llu", (unsigned long long)seed);
    ck_assert_uint_le(p->due, now);
    ck_assert_uint_ge(p->due, last_due);
    if (p->due == last_due) ck_assert_uint_gt(p->order, last_order);
    last_due = p->due;
    last_order = p->order;
    p->armed = false;
    fired++;
    if (rnd() % 4 == 0) { /* stop or start someone, perhaps in this batch */
        probe_t *q = &probes[rnd() % N];
        if (q->armed && rnd() % 2) {
            cvy__wheel_remove(&wheel, &q->entry);
            q->armed = false;
        } else {
            start(q, now + rnd_delay());
        }
    }
}

static void start(probe_t *p, uint64_t due)
{
    if (p->armed) cvy__wheel_remove(&wheel, &p->entry);
    p->entry.fire = on_fire;
    p->entry.due = p->due = due;
    p->order = ++starts;
    p->armed = true;
    cvy__wheel_add(&wheel, &p->entry, now);
}

static uint64_t model_next(void)
{
    uint64_t next = CVY__NEVER;
    for (int i = 0; i < N; i++)
        if (probes[i].armed && probes[i].due < next) next = probes[i].due;
    return next;
}

static void reset(uint64_t at)
{
    memset(probes, 0, sizeof probes);
    now = at;
    starts = last_due = last_order = 0;
    fired = 0;
    cvy__wheel_init(&wheel, now);
}

/* Fires until nothing is due; restarts for now or earlier wait for the next call, whose order starts anew. */
static void fire_all(void)
{
    while (cvy__wheel_next(&wheel) <= now) {
        last_due = last_order = 0;
        cvy__wheel_fire(&wheel, now, rnd() % 8 ? SIZE_MAX : 1 + rnd() % 5);
    }
    ck_assert(model_next() > now);
}

/* M6: MA3, R9 */
START_TEST(wheel_agrees_with_a_sorted_list)
{
    seed = test_seed() * 0x9e3779b97f4a7c15u | 1;
    reset(rnd() >> 20);
    for (int i = 0; i < 300000; i++) {
        probe_t *p = &probes[rnd() % N];
        switch (rnd() % 8) {
        case 0:
        case 1:
        case 2: start(p, now + rnd_delay()); break;
        case 3:
            if (p->armed) cvy__wheel_remove(&wheel, &p->entry);
            p->armed = false;
            break;
        case 4:
            now += rnd() % 3;
            fire_all();
            break;
        case 5:
            now += rnd_delay();
            fire_all();
            break;
        default: /* what a loop does: sleep exactly until the next one */
            if (model_next() == CVY__NEVER) {
                ck_assert_uint_eq(cvy__wheel_next(&wheel), CVY__NEVER);
                break;
            }
            ck_assert_uint_le(cvy__wheel_next(&wheel), model_next());
            if (model_next() > now) now = cvy__wheel_next(&wheel);
            fire_all();
        }
    }
    ck_assert_uint_gt(fired, 10000);
}
END_TEST

/* M6, R4: no wake-up but for what is due */
START_TEST(next_is_the_exact_due_time_of_the_first_entry)
{
    seed = 42;
    for (int round = 0; round < 2000; round++) {
        reset(rnd() >> 24);
        for (int i = 0; i < 30; i++)
            start(&probes[i], now + 1 + rnd_delay());
        for (int i = 0; i < 30; i++) {
            ck_assert_uint_eq(cvy__wheel_next(&wheel), model_next());
            cvy__wheel_remove(&wheel, &probes[i].entry);
            probes[i].armed = false;
        }
        ck_assert_uint_eq(cvy__wheel_next(&wheel), CVY__NEVER);
    }
}
END_TEST

static void fire_plain(cvy__entry_t *entry)
{
    probe_t *p = CVY__OF(entry, probe_t, entry);
    p->armed = false;
    fired++;
}

static void add_plain(probe_t *p, uint64_t due)
{
    p->entry.fire = fire_plain;
    p->entry.due = due;
    p->armed = true;
    cvy__wheel_add(&wheel, &p->entry, now);
}

/* M6 */
START_TEST(due_beyond_the_range_waits_and_fires_in_time)
{
    reset(12345);
    uint64_t years = UINT64_C(5) * 365 * 24 * 3600 * 1000;
    add_plain(&probes[0], now + years);
    ck_assert_uint_eq(cvy__wheel_next(&wheel), now + years);
    uint64_t due = now + years;
    now = due - 1;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 10), 0);
    ck_assert_uint_eq(cvy__wheel_next(&wheel), due);
    now = due;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 10), 1);
}
END_TEST

/* Ten thousand jumps of an hour over an almost empty wheel: steps, not milliseconds, are what a jump costs. */
START_TEST(a_jump_of_the_clock_is_cheap)
{
    reset(1);
    for (int i = 0; i < 10000; i++) {
        add_plain(&probes[0], now + 3600 * 1000 - 1);
        now += 3600 * 1000;
        ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 10), 1);
    }
    add_plain(&probes[1], UINT64_MAX - 1);
    now += UINT64_C(1000) * 365 * 24 * 3600 * 1000; /* a thousand years */
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 10), 0);
    ck_assert(probes[1].armed);
}
END_TEST

/* R9 */
START_TEST(no_more_than_the_limit_fire_and_the_rest_keep_their_order)
{
    reset(1000);
    for (int i = 0; i < 100; i++)
        start(&probes[i], now + 5);
    now += 10;
    for (int i = 0; i < N; i++)
        probes[i].entry.fire = fire_plain;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 30), 30);
    ck_assert(!probes[29].armed && probes[30].armed);
    ck_assert_uint_le(cvy__wheel_next(&wheel), now);
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, 100), 70);
}
END_TEST

static void fire_restart(cvy__entry_t *entry)
{
    fired++;
    entry->due = now;
    cvy__wheel_add(&wheel, entry, now);
}

START_TEST(an_entry_started_for_now_in_its_own_callback_fires_in_a_later_call)
{
    reset(7);
    probes[0].entry.fire = fire_restart;
    probes[0].entry.due = 8;
    cvy__wheel_add(&wheel, &probes[0].entry, now);
    now = 9;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, SIZE_MAX), 1);
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, SIZE_MAX), 1);
    ck_assert_uint_eq(fired, 2);
}
END_TEST

static void fire_stops_the_next(cvy__entry_t *entry)
{
    probe_t *p = CVY__OF(entry, probe_t, entry);
    p->armed = false;
    fired++;
    if (p[1].armed) {
        cvy__wheel_remove(&wheel, &p[1].entry);
        p[1].armed = false;
    }
}

START_TEST(an_entry_stopped_by_another_of_its_batch_does_not_fire)
{
    reset(7);
    for (int i = 0; i < 2; i++) {
        add_plain(&probes[i], 8);
        probes[i].entry.fire = fire_stops_the_next;
    }
    now = 8;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, SIZE_MAX), 1);
    ck_assert_uint_eq(fired, 1);
    ck_assert_uint_eq(cvy__wheel_next(&wheel), CVY__NEVER);
    ck_assert_uint_eq(wheel.count, 0);
}
END_TEST

START_TEST(take_empties_the_wheel_of_one_kind)
{
    reset(7);
    for (int i = 0; i < N; i++) {
        add_plain(&probes[i], now + (uint64_t)i * i * i * 100);
        if (i % 2) probes[i].entry.fire = fire_restart;
    }
    size_t n = 0;
    for (cvy__entry_t *e = cvy__wheel_take(&wheel, fire_restart); e; e = e->next)
        n++;
    ck_assert_uint_eq(n, N / 2);
    ck_assert_uint_eq(wheel.count, N / 2);
    now += UINT64_C(1) << 40;
    ck_assert_uint_eq(cvy__wheel_fire(&wheel, now, SIZE_MAX), N / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wheel");
    ADD_TESTS(suite, "model", wheel_agrees_with_a_sorted_list, next_is_the_exact_due_time_of_the_first_entry);
    ADD_TESTS(suite, "edges", due_beyond_the_range_waits_and_fires_in_time, a_jump_of_the_clock_is_cheap,
              no_more_than_the_limit_fire_and_the_rest_keep_their_order,
              an_entry_started_for_now_in_its_own_callback_fires_in_a_later_call,
              an_entry_stopped_by_another_of_its_batch_does_not_fire, take_empties_the_wheel_of_one_kind);
    return test_run(suite);
}
