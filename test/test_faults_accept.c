/*
 * Faults from outside, while accepting: accept4 fails, or what an accepted connection needs. The client's fault is skipped, a want of ours
 * is an episode, a broken listening socket the end; open connections go on.
 */
#include <conveyor/conveyor.h>
#include <uv.h>

#include "failing.h"
#include "inject.h"
#include "support.h"
#include "talkers.h"

enum { TALKERS = 3 };

typedef enum accept_fate { SKIPPED, EPISODE, BREAKS } accept_fate_t;

typedef struct accept_row {
    int err;
    accept_fate_t fate;
} accept_row_t;

static const accept_row_t accepts[] = {
    { EINTR, SKIPPED },      { EAGAIN, SKIPPED },   { ECONNABORTED, SKIPPED }, { EPROTO, SKIPPED },
    { EPERM, SKIPPED },      { ENETDOWN, SKIPPED }, { ETIMEDOUT, SKIPPED },    { EHOSTUNREACH, SKIPPED },
    { EOPNOTSUPP, SKIPPED }, { EMFILE, EPISODE },   { ENFILE, EPISODE },       { ENOBUFS, EPISODE },
    { ENOMEM, EPISODE },     { EBADF, BREAKS },     { EINVAL, BREAKS },        { ENOTSOCK, BREAKS },
};

static void accept_with(const accept_row_t *row, int nth, int times)
{
    talkers_t s;
    talkers_begin(&s, "tcp://127.0.0.1:0");
    talkers_connect(&s, TALKERS);
    talkers_rounds(&s, 1);
    ck_assert_int_eq(cvy_listener_pause(s.listener), 0);
    int dialed = s.dialed + 3;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(talkers_dial(&s), 0);
    TALKERS_UNTIL(&s, s.dialed == dialed);
    inject(INJECT_ACCEPT, nth, row->err, times);
    long before = inject_calls(INJECT_ACCEPT);
    ck_assert_int_eq(cvy_listener_resume(s.listener), 0);
    TALKERS_UNTIL(&s, s.accepted == dialed || s.shutdowns);
    long tries = inject_calls(INJECT_ACCEPT) - before;
    int hits = inject_over();
    ck_assert_int_eq(hits, row->fate == BREAKS ? 1 : times);
    ck_assert_int_eq(s.errors, row->fate == EPISODE);
    ck_assert_int_eq(s.failures, row->fate == BREAKS);
    if (s.errors) ck_assert_int_eq(s.listen_error, uv_translate_sys_error(row->err));
    if (row->fate == BREAKS) ck_assert_int_eq(s.accepted, TALKERS + nth - 1);
    ck_assert_int_le(tries, 3 + hits + 3); /* nobody spins */
    for (int i = 0; i < TALKERS; i++)      /* existing connections go on */
        talkers_say(&s.talkers[i], TALK_LENGTH, TALK_LENGTH);
    for (int i = 0; i < TALKERS; i++)
        TALKERS_UNTIL(&s, s.talkers[i].got == 2 * TALK_LENGTH);
    talkers_end(&s);
}

/* L3, L4 */
START_TEST(an_error_of_accept_is_skipped_or_an_episode_or_the_end)
{
    const accept_row_t *row = &accepts[_i];
    int before = failing_descriptors();
    for (int nth = 1; nth <= 3; nth++)
        accept_with(row, nth, 1);
    if (row->fate != BREAKS) accept_with(row, 1, 5);
    if (row->fate != BREAKS) accept_with(row, 2, 20);
    ck_assert_int_eq(failing_descriptors(), before);
}
END_TEST

/* L3: an accept between them ends an episode, so that the next is told again. */
START_TEST(each_episode_is_told_once)
{
    talkers_t s;
    talkers_begin(&s, "tcp://127.0.0.1:0");
    for (int i = 1; i <= 3; i++) {
        inject(INJECT_ACCEPT, 1, i % 2 ? EMFILE : ENOBUFS, 4);
        talkers_connect(&s, 1);
        ck_assert_int_eq(inject_over(), 4);
        ck_assert_int_eq(s.errors, i);
    }
    talkers_end(&s);
}
END_TEST
/* Three that wait; the fault comes when the first of them is made a transport. */
static void build_with(inject_call_t call, int err, int nth, int errors)
{
    talkers_t s;
    talkers_begin(&s, "tcp://127.0.0.1:0");
    talkers_connect(&s, TALKERS);
    ck_assert_int_eq(cvy_listener_pause(s.listener), 0);
    int dialed = s.dialed + 3;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(talkers_dial(&s), 0);
    TALKERS_UNTIL(&s, s.dialed == dialed);
    inject(call, nth, err, 1);
    ck_assert_int_eq(cvy_listener_resume(s.listener), 0);
    int ended = 0;
    while (ended + s.accepted < dialed) {
        cvy_loop_turn(s.loop, 10);
        ended = 0;
        for (int i = 0; i < dialed; i++)
            ended += !s.talkers[i].t;
    }
    ck_assert_int_eq(inject_over(), 1);
    ck_assert_int_eq(ended, 1);
    ck_assert_int_eq(s.errors, errors);
    if (errors) ck_assert_int_eq(s.listen_error, uv_translate_sys_error(err));
    talkers_rounds(&s, 1);
    talkers_end(&s);
}

/* L3: what one connection can't be opened for costs that one; where it was a want of ours, it is an episode. */
START_TEST(an_accepted_socket_that_can_not_be_opened_costs_itself)
{
    int before = failing_descriptors();
    for (int nth = 1; nth <= 3; nth++) {
        build_with(INJECT_IOCTL, EIO, nth, 0);
        build_with(INJECT_IOCTL, ENOMEM, nth, 1);
        build_with(INJECT_IOCTL, ENOBUFS, nth, 1);
    }
    ck_assert_int_eq(failing_descriptors(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults, accepting");
    TCase *tc = ADD_TESTS(suite, "accepting", each_episode_is_told_once,
                          an_accepted_socket_that_can_not_be_opened_costs_itself);
    tcase_add_loop_test(tc, an_error_of_accept_is_skipped_or_an_episode_or_the_end, 0,
                        sizeof accepts / sizeof *accepts);
    tcase_add_checked_fixture(tc, inject_warm_up, NULL);
    return test_run(suite);
}
