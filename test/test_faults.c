/*
 * Faults from outside, on open connections: three of them echo through one listener on one loop, and the n-th call of a kind fails, for
 * every n. What passes by itself loses nothing; what does not costs exactly the connection whose call it was, with its own code.
 */
#include <conveyor/conveyor.h>
#include <uv.h>

#include "failing.h"
#include "inject.h"
#include "net.h"
#include "support.h"
#include "talkers.h"

enum { TALKERS = 3, ROUNDS = 4 };

/* What a fault comes to. */
typedef enum fate { PASSES, COSTS } fate_t;

typedef struct row {
    inject_call_t call;
    int err;
    fate_t fate;
    int code; /* COSTS: the connection's cause; 0: as uv_translate_sys_error says */
} row_t;

static const row_t rows[] = {
    { INJECT_READ, EINTR, PASSES, 0 },
    { INJECT_READ, EAGAIN, PASSES, 0 },
    { INJECT_READ, ECONNRESET, COSTS, 0 },
    { INJECT_READ, ETIMEDOUT, COSTS, 0 },
    { INJECT_READ, ENOMEM, COSTS, 0 },
    { INJECT_READ, ENOBUFS, COSTS, 0 },
    { INJECT_READ, EPIPE, COSTS, 0 },
    { INJECT_READ, EIO, COSTS, 0 },
    { INJECT_READ, EHOSTUNREACH, COSTS, 0 },
    { INJECT_WRITE, EINTR, PASSES, 0 },
    { INJECT_WRITE, EAGAIN, PASSES, 0 },
    { INJECT_WRITE, ENOBUFS, PASSES, 0 },
    { INJECT_WRITE, EPIPE, COSTS, 0 },
    { INJECT_WRITE, ECONNRESET, COSTS, 0 },
    { INJECT_WRITE, ENOMEM, COSTS, 0 },
    { INJECT_WRITE, EPERM, COSTS, 0 },
    { INJECT_WRITE, EPROTOTYPE, COSTS, UV_ECONNRESET }, /* macOS's word for it */
    { INJECT_WRITEV, EINTR, PASSES, 0 },
    { INJECT_WRITEV, EAGAIN, PASSES, 0 },
    { INJECT_WRITEV, ENOBUFS, PASSES, 0 },
    { INJECT_WRITEV, EPIPE, COSTS, 0 },
    { INJECT_WRITEV, ECONNRESET, COSTS, 0 },
    { INJECT_WRITEV, ENOMEM, COSTS, 0 },
    { INJECT_WRITEV, EHOSTUNREACH, COSTS, 0 },
    { INJECT_EPOLL_WAIT, EINTR, PASSES, 0 },
};

/* One own end with the code; its peer saw an end or a reset; the others nothing. */
static void cost_one(const talkers_t *s, int code)
{
    int own = talkers_lost(s->talkers, s->dialed, code) + talkers_lost(s->servers, s->accepted, code);
    int all = talkers_lost(s->talkers, s->dialed, 0) + talkers_lost(s->servers, s->accepted, 0);
    int open = 0;
    for (int i = 0; i < s->dialed; i++)
        open += s->talkers[i].t != NULL;
    ck_assert_int_ge(own, 1);
    ck_assert_int_le(all, 2);
    ck_assert_int_eq(open, TALKERS - 1);
}

/* Returns whether there was an nth call. */
static bool one_fault(const row_t *row, const char *address, int nth, int times)
{
    talkers_t s;
    talkers_begin(&s, address);
    talkers_connect(&s, TALKERS);
    talkers_rounds(&s, 1);
    inject(row->call, nth, row->err, times);
    talkers_rounds(&s, ROUNDS);
    bool hit = inject_over() > 0;
    if (hit && row->fate == COSTS)
        cost_one(&s, row->code ? row->code : uv_translate_sys_error(row->err));
    else
        ck_assert_int_eq(talkers_lost(s.talkers, s.dialed, 0) + talkers_lost(s.servers, s.accepted, 0), 0);
    ck_assert_int_eq(s.errors + s.failures, 0);
    talkers_rounds(&s, 1); /* the others go on, and new ones come */
    talkers_connect(&s, 1);
    talkers_close(&s);
    talkers_end(&s);
    return hit;
}

/* T17, M3: over tcp and unix sockets. */
START_TEST(an_error_of_the_nth_call_passes_or_costs_one_connection)
{
    const char *const addresses[] = { "tcp://127.0.0.1:0", net_ipc("cvy-faults") };
    const row_t *row = &rows[_i];
    for (int i = 0; i < 2; i++) {
        int nth = 1, before = failing_descriptors();
        while (nth <= 12 && one_fault(row, addresses[i], nth, 1))
            nth++;
        ck_assert_int_gt(nth, 3);
        if (row->fate == PASSES) one_fault(row, addresses[i], 2, 5); /* and several in a row */
        ck_assert_int_eq(failing_descriptors(), before);
    }
}
END_TEST

/* Closing: whatever shutdown, close and SO_ERROR say, our side ends, and the descriptor is gone. */
START_TEST(an_error_of_shutdown_close_or_getsockopt_ends_like_any_other)
{
    static const row_t closing[] = {
        { INJECT_SHUTDOWN, ENOTCONN, PASSES, 0 }, { INJECT_SHUTDOWN, EINTR, PASSES, 0 },
        { INJECT_SHUTDOWN, ENOBUFS, PASSES, 0 },  { INJECT_CLOSE, EINTR, PASSES, 0 },
        { INJECT_CLOSE, EIO, PASSES, 0 },         { INJECT_GETSOCKOPT, ENOTSOCK, PASSES, 0 },
        { INJECT_GETSOCKOPT, ENOBUFS, COSTS, 0 }
    };
    for (size_t i = 0; i < sizeof closing / sizeof *closing; i++)
        for (int nth = 1; nth <= 4; nth++) {
            talkers_t s;
            int before = failing_descriptors();
            talkers_begin(&s, "tcp://127.0.0.1:0");
            talkers_connect(&s, TALKERS);
            talkers_rounds(&s, 1);
            inject(closing[i].call, nth, closing[i].err, 1);
            for (int k = 0; k < TALKERS; k++)
                cvy_transport_close(s.talkers[k].t, CVY_CLOSE_GRACEFUL);
            talkers_close(&s);
            /* Whoever is closed by the peer's end and has nothing left to send only closes. */
            int hits = closing[i].call == INJECT_SHUTDOWN && nth > TALKERS ? 0 : 1;
            ck_assert_msg(inject_over() == hits, "%s %d", inject_name(closing[i].call), nth);
            int all = talkers_lost(s.talkers, s.dialed, 0) + talkers_lost(s.servers, s.accepted, 0);
            ck_assert_int_le(all, closing[i].fate == COSTS ? 1 : 0);
            talkers_connect(&s, 1);
            talkers_rounds(&s, 1);
            talkers_end(&s);
            ck_assert_int_eq(failing_descriptors(), before);
        }
}
END_TEST

/* T4: one byte at a time, and a few at random: all bytes, in order. */
START_TEST(short_reads_and_writes_lose_nothing)
{
    static const unsigned most[] = { 1, 7, 1500 };
    for (size_t i = 0; i < 3; i++) {
        talkers_t s;
        talkers_begin(&s, "tcp://127.0.0.1:0");
        talkers_connect(&s, TALKERS);
        inject_short(most[i], 2463534242u + (unsigned)i);
        talkers_rounds(&s, ROUNDS);
        inject_short(0, 0);
        for (int k = 0; k < TALKERS; k++) {
            ck_assert_uint_eq(s.talkers[k].got, ROUNDS * TALK_LENGTH);
            ck_assert_uint_eq(s.servers[k].got, ROUNDS * TALK_LENGTH);
        }
        talkers_close(&s);
        ck_assert_int_eq(talkers_lost(s.talkers, s.dialed, 0) + talkers_lost(s.servers, s.accepted, 0), 0);
        talkers_end(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *tc = ADD_TESTS(suite, "connections", an_error_of_shutdown_close_or_getsockopt_ends_like_any_other,
                          short_reads_and_writes_lose_nothing);
    tcase_add_loop_test(tc, an_error_of_the_nth_call_passes_or_costs_one_connection, 0, sizeof rows / sizeof *rows);
    tcase_add_checked_fixture(tc, inject_warm_up, NULL);
    return test_run(suite);
}
