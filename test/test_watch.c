/* Readiness of descriptors, and silence after unwatch. */
#include "support.h"

#include <conveyor/watch.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "loop/loop.h"

#define PAIRS 3

static cvy_loop_t *loop;
static uv_os_sock_t near_end[PAIRS], far_end[PAIRS];
static cvy_watch_t *watches[PAIRS];
static int reads[PAIRS], writes[PAIRS], last_status;

static void open_loop(void)
{
    memset(reads, 0, sizeof reads);
    memset(writes, 0, sizeof writes);
    last_status = 1;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    for (int i = 0; i < PAIRS; i++) {
        uv_os_sock_t pair[2];
        ck_assert_int_eq(uv_socketpair(SOCK_STREAM, 0, pair, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), 0);
        near_end[i] = pair[0];
        far_end[i] = pair[1];
        ck_assert_int_eq(cvy_watch_new(&watches[i], loop, (cvy_socket_t)near_end[i]), 0);
        ck_assert(cvy_watch_fd(watches[i]) == (cvy_socket_t)near_end[i]);
    }
}

static void end_loop(void)
{
    for (int i = 0; i < PAIRS; i++) {
        cvy_watch_free(watches[i]);
        watches[i] = NULL;
    }
    cvy_watch_free(NULL);
    if (loop) cvy_loop_unref(loop);
    for (int i = 0; i < PAIRS; i++) {
        cvy__socket_close((cvy_socket_t)near_end[i]);
        cvy__socket_close((cvy_socket_t)far_end[i]);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

static void poke(int i)
{
    ck_assert_int_eq((int)send(far_end[i], "x", 1, 0), 1);
}

static void drain(int i)
{
    char c[16];
    ck_assert_int_gt((int)recv(near_end[i], c, sizeof c, 0), 0);
}

static int index_of(const cvy_watch_t *watch)
{
    for (int i = 0; i < PAIRS; i++)
        if (watches[i] == watch) return i;
    ck_abort_msg("a callback of a watch that is gone");
    return -1;
}

static void on_read(cvy_watch_t *watch, int status, void *arg)
{
    (void)arg;
    last_status = status;
    reads[index_of(watch)]++;
}

static void on_write(cvy_watch_t *watch, int status, void *arg)
{
    (void)arg;
    last_status = status;
    writes[index_of(watch)]++;
}

/* R8 */
START_TEST(a_readable_descriptor_calls_back_in_every_turn_until_unwatched)
{
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    cvy_loop_turn(loop, 0);
    ck_assert_int_eq(reads[0], 0);
    poke(0);
    for (int i = 1; i <= 3; i++) {
        cvy_loop_turn(loop, CVY_OFF);
        ck_assert_int_eq(reads[0], i);
    }
    ck_assert_int_eq(last_status, 0);
    cvy_unwatch_read(watches[0]);
    cvy_unwatch_read(watches[0]);
    cvy_loop_turn(loop, 0);
    ck_assert_int_eq(reads[0], 3);
}
END_TEST

/* R8: one handle for both */
START_TEST(read_and_write_interest_come_and_go_independently)
{
    poke(0);
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    ck_assert_int_eq(cvy_watch_write(watches[0], on_write, NULL), 0);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert(reads[0] == 1 && writes[0] == 1);
    cvy_unwatch_read(watches[0]);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert(reads[0] == 1 && writes[0] == 2);
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    cvy_unwatch_write(watches[0]);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert(reads[0] == 2 && writes[0] == 2);
}
END_TEST

static void read_stops_write(cvy_watch_t *watch, int status, void *arg)
{
    on_read(watch, status, arg);
    cvy_unwatch_write(watch);
}

/* R8 */
START_TEST(unwatching_writes_in_the_read_callback_of_the_same_event_silences_them)
{
    poke(0);
    ck_assert_int_eq(cvy_watch_read(watches[0], read_stops_write, NULL), 0);
    ck_assert_int_eq(cvy_watch_write(watches[0], on_write, NULL), 0);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert(reads[0] == 1 && writes[0] == 0);
}
END_TEST

static void read_silences_all(cvy_watch_t *watch, int status, void *arg)
{
    on_read(watch, status, arg);
    for (int i = 0; i < PAIRS; i++)
        cvy_unwatch_read(watches[i]);
}

/* R8: whichever comes first, the others of the batch stay silent */
START_TEST(unwatching_others_in_a_callback_silences_them_in_the_same_poll)
{
    for (int i = 0; i < PAIRS; i++) {
        poke(i);
        ck_assert_int_eq(cvy_watch_read(watches[i], read_silences_all, NULL), 0);
    }
    for (int turn = 0; turn < 3; turn++)
        cvy_loop_turn(loop, 0);
    ck_assert_int_eq(reads[0] + reads[1] + reads[2], 1);
}
END_TEST

static void read_frees_all(cvy_watch_t *watch, int status, void *arg)
{
    on_read(watch, status, arg);
    for (int i = 0; i < PAIRS; i++) {
        cvy_watch_free(watches[i]);
        watches[i] = NULL;
    }
}

/* R8 */
START_TEST(a_watch_may_be_freed_in_its_own_callback_and_in_others)
{
    for (int i = 0; i < PAIRS; i++) {
        poke(i);
        ck_assert_int_eq(cvy_watch_read(watches[i], read_frees_all, NULL), 0);
        ck_assert_int_eq(cvy_watch_write(watches[i], on_write, NULL), 0);
    }
    for (int turn = 0; turn < 3; turn++)
        cvy_loop_turn(loop, 0);
    ck_assert_int_eq(reads[0] + reads[1] + reads[2], 1);
    ck_assert_int_eq(writes[0] + writes[1] + writes[2] <= 2, 1);
}
END_TEST

static void read_moves_to_a_new_watch(cvy_watch_t *watch, int status, void *arg)
{
    int self = index_of(watch);
    on_read(watch, status, arg);
    for (int i = 0; i < PAIRS; i++) {
        if (i == self) continue;
        cvy_watch_free(watches[i]);
        drain(i);
        ck_assert_int_eq(cvy_watch_new(&watches[i], loop, (cvy_socket_t)near_end[i]), 0);
        ck_assert_int_eq(cvy_watch_read(watches[i], on_read, NULL), 0);
    }
    drain(self);
    cvy_unwatch_read(watch);
}

/* R8: an event of the old watch is not the new one's */
START_TEST(a_new_watch_of_a_descriptor_does_not_see_the_old_ones_event)
{
    for (int i = 0; i < PAIRS; i++) {
        poke(i);
        ck_assert_int_eq(cvy_watch_read(watches[i], read_moves_to_a_new_watch, NULL), 0);
    }
    for (int turn = 0; turn < 3; turn++)
        cvy_loop_turn(loop, 0);
    ck_assert_int_eq(reads[0] + reads[1] + reads[2], 1);
}
END_TEST

static void never(cvy_watch_t *watch, int status, void *arg)
{
    (void)watch;
    (void)status;
    ck_abort_msg("the callback that was replaced: %s", (char *)arg);
}

START_TEST(watching_again_replaces_the_callback)
{
    poke(0);
    ck_assert_int_eq(cvy_watch_read(watches[0], never, (char *)"first"), 0);
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert_int_eq(reads[0], 1);
}
END_TEST

/* R7 */
START_TEST(a_watch_keeps_the_loop_alive_only_while_it_watches)
{
    ck_assert_int_eq(cvy_loop_turn(loop, 0), 0);
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    ck_assert_int_eq(cvy_watch_write(watches[0], on_write, NULL), 0);
    ck_assert_uint_eq(loop->alive, 1);
    ck_assert_int_eq(cvy_loop_turn(loop, 0), 1);
    cvy_unwatch_read(watches[0]);
    ck_assert_uint_eq(loop->alive, 1);
    cvy_unwatch_write(watches[0]);
    ck_assert_uint_eq(loop->alive, 0);
    ck_assert_int_eq(cvy_loop_turn(loop, 0), 0);
}
END_TEST

START_TEST(the_loops_end_silences_watches_that_their_owner_frees_later)
{
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    poke(0);
    cvy_loop_stop(loop);
    ck_assert_int_eq(cvy_loop_run(loop), 0);
    ck_assert_int_eq(reads[0], 0);
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), UV_ESHUTDOWN);
    cvy_watch_t *late = NULL;
    ck_assert_int_eq(cvy_watch_new(&late, loop, (cvy_socket_t)near_end[1]), UV_ESHUTDOWN);
    cvy_loop_unref(loop);
    loop = NULL;
    cvy_unwatch_read(watches[0]);
}
END_TEST

START_TEST(a_descriptor_that_can_not_be_watched_is_an_error)
{
    cvy_watch_t *watch = NULL;
    int err = cvy_watch_new(&watch, loop, (cvy_socket_t)-1);
    ck_assert_int_lt(err, 0);
    ck_assert_ptr_null(watch);
}
END_TEST

/* M3 */
START_TEST(no_memory_for_a_watch_is_an_error)
{
    cvy_watch_t *watch = NULL;
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy_watch_new(&watch, loop, (cvy_socket_t)far_end[0]), UV_ENOMEM);
    ck_assert_ptr_null(watch);
}
END_TEST

START_TEST(the_far_ends_close_makes_a_descriptor_readable)
{
    ck_assert_int_eq(cvy_watch_read(watches[0], on_read, NULL), 0);
    cvy__socket_close((cvy_socket_t)far_end[0]);
    cvy_loop_turn(loop, CVY_OFF);
    ck_assert_int_eq(reads[0], 1);
    cvy_unwatch_read(watches[0]);
    uv_os_sock_t pair[2]; /* for the fixture */
    ck_assert_int_eq(uv_socketpair(SOCK_STREAM, 0, pair, 0, 0), 0);
    far_end[0] = pair[0];
    cvy__socket_close((cvy_socket_t)pair[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tc = ADD_TESTS(suite, "watch", a_readable_descriptor_calls_back_in_every_turn_until_unwatched,
                          read_and_write_interest_come_and_go_independently,
                          unwatching_writes_in_the_read_callback_of_the_same_event_silences_them,
                          unwatching_others_in_a_callback_silences_them_in_the_same_poll,
                          a_watch_may_be_freed_in_its_own_callback_and_in_others,
                          a_new_watch_of_a_descriptor_does_not_see_the_old_ones_event,
                          watching_again_replaces_the_callback, a_watch_keeps_the_loop_alive_only_while_it_watches,
                          the_loops_end_silences_watches_that_their_owner_frees_later,
                          a_descriptor_that_can_not_be_watched_is_an_error, no_memory_for_a_watch_is_an_error,
                          the_far_ends_close_makes_a_descriptor_readable);
    tcase_add_checked_fixture(tc, open_loop, end_loop);
    return test_run(suite);
}
