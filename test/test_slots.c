/* Names that outlive what they name. */
#include "support.h"

#include <stdlib.h>
#include <uv.h>

#include "base/memory.h"
#include "loop/loop.h"

static cvy_loop_t *loop;

static void open_loop(void)
{
    ck_assert_int_eq(cvy__loop_new_embedded(&loop, NULL), 0);
}

static void end_loop(void)
{
    cvy__loop_end_embedded(loop);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

/* R2 */
START_TEST(a_stale_name_never_finds_the_slots_next_tenant)
{
    int a, b;
    uint64_t old, now;
    ck_assert_int_eq(cvy__slots_add(loop, &a, &old), 0);
    ck_assert_uint_ne(old, 0);
    ck_assert_ptr_eq(cvy__slots_find(loop, old), &a);
    cvy__slots_remove(loop, old);
    ck_assert_ptr_null(cvy__slots_find(loop, old));
    ck_assert_int_eq(cvy__slots_add(loop, &b, &now), 0);
    ck_assert_uint_eq((uint32_t)old, (uint32_t)now); /* the same slot */
    ck_assert_uint_ne(old, now);
    ck_assert_ptr_null(cvy__slots_find(loop, old));
    cvy__slots_remove(loop, old);
    ck_assert_ptr_eq(cvy__slots_find(loop, now), &b);
    ck_assert_int_eq(cvy__slot_reserve(loop, old, 1), UV_ESRCH);
}
END_TEST

/* R2 */
START_TEST(names_never_given_find_nothing)
{
    ck_assert_ptr_null(cvy__slots_find(loop, 0));
    ck_assert_ptr_null(cvy__slots_find(loop, UINT64_MAX));
    ck_assert_ptr_null(cvy__slots_find(loop, UINT64_C(1) << 32 | 5000));
    cvy__slots_remove(loop, UINT64_MAX);
    ck_assert_int_eq(cvy__slot_reserve(loop, 0, 1), UV_ESRCH);
    cvy__slot_release(loop, UINT64_C(1) << 32 | 5000, 1);
}
END_TEST

/* R2 */
START_TEST(a_used_up_slot_is_never_used_again)
{
    int a;
    uint64_t id, next;
    ck_assert_int_eq(cvy__slots_add(loop, &a, &id), 0);
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    atomic_store(&slot->generation, UINT32_MAX - 2);
    cvy__slots_remove(loop, (uint64_t)(UINT32_MAX - 2) << 32 | slot->index);
    ck_assert_int_eq(cvy__slots_add(loop, &a, &next), 0);
    ck_assert_uint_ne((uint32_t)next, (uint32_t)id);
}
END_TEST

START_TEST(slots_do_not_move_while_others_are_added)
{
    enum { MANY = 5000 };
    static uint64_t ids[MANY];
    static int objects[MANY];
    ck_assert_int_eq(cvy__slots_add(loop, &objects[0], &ids[0]), 0);
    cvy__slot_t *first = cvy__slots_at(loop, ids[0]);
    for (int i = 1; i < MANY; i++)
        ck_assert_int_eq(cvy__slots_add(loop, &objects[i], &ids[i]), 0);
    ck_assert_ptr_eq(first, cvy__slots_at(loop, ids[0]));
    for (int i = 0; i < MANY; i++)
        ck_assert_ptr_eq(cvy__slots_find(loop, ids[i]), &objects[i]);
}
END_TEST

/* R1: a loop finds all that live on it, whoever comes and goes while it looks */
START_TEST(all_that_are_taken_are_found_once)
{
    enum { MANY = 200 };
    uint64_t ids[MANY], id;
    int objects[MANY + 1], found = 0;
    uint32_t at = 0;
    ck_assert_ptr_null(cvy__slots_next(loop, &at));
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(cvy__slots_add(loop, &objects[i], &ids[i]), 0);
    for (int i = 0; i < MANY; i += 2)
        cvy__slots_remove(loop, ids[i]);
    for (int *object; (object = cvy__slots_next(loop, &at)); found++) {
        ck_assert_int_eq((object - objects) % 2, 1);
        cvy__slots_remove(loop, ids[object - objects]);
        if (found % 2) continue; /* it takes the one that has just become free, which was looked at */
        ck_assert_int_eq(cvy__slots_add(loop, &objects[MANY], &id), 0);
    }
    ck_assert_int_eq(found, MANY / 2);
}
END_TEST

/* T5: posted bytes count when they are posted */
START_TEST(reservations_stop_when_the_limit_is_exceeded)
{
    int a;
    uint64_t id;
    ck_assert_int_eq(cvy__slots_add(loop, &a, &id), 0);
    cvy__slot_t *slot = cvy__slots_at(loop, id);
    atomic_store(&slot->room, 100);
    ck_assert_int_eq(cvy__slot_reserve(loop, id, 1000), 0); /* one of any size while there is room */
    ck_assert_int_eq(cvy__slot_reserve(loop, id, 1), UV_ENOBUFS);
    cvy__slot_release(loop, id, 1000);
    atomic_store(&slot->room, -1);
    ck_assert_int_eq(cvy__slot_reserve(loop, id, 1), UV_ENOBUFS);
    atomic_store(&slot->room, 0);
    ck_assert_int_eq(cvy__slot_reserve(loop, id, 1), 0);
    atomic_store(&slot->room, INT64_MAX);
    ck_assert_int_eq(cvy__slot_reserve(loop, id, UINT64_MAX), UV_ENOBUFS); /* sums do not wrap */
    cvy__slot_release(loop, id, 1);
    ck_assert_uint_eq(atomic_load(&slot->posted), 0);
}
END_TEST

START_TEST(no_memory_for_a_slot_is_an_error)
{
    int a;
    uint64_t id = 77;
    cvy__memory_fail(1);
    ck_assert_int_eq(cvy__slots_add(loop, &a, &id), UV_ENOMEM);
    ck_assert_uint_eq(id, 77);
    ck_assert_int_eq(cvy__slots_add(loop, &a, &id), 0);
}
END_TEST

static _Atomic uint64_t shared_id;
static atomic_int stop;

static void reserve_for_ever(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        uint64_t id = atomic_load(&shared_id);
        if (!cvy__slot_reserve(loop, id, 3)) cvy__slot_release(loop, id, 3);
    }
}

/* Reservations race with removals: nothing is lost, nothing is below zero. */
START_TEST(posted_bytes_come_back_to_zero_while_tenants_change)
{
    uv_thread_t threads[3];
    for (int i = 0; i < 3; i++)
        uv_thread_create(&threads[i], reserve_for_ever, NULL);
    int a;
    for (int i = 0; i < 20000; i++) {
        uint64_t mine;
        ck_assert_int_eq(cvy__slots_add(loop, &a, &mine), 0);
        atomic_store(&shared_id, mine);
        cvy__slots_remove(loop, mine);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        uv_thread_join(&threads[i]);
    uint64_t last;
    ck_assert_int_eq(cvy__slots_add(loop, &a, &last), 0);
    ck_assert_uint_eq(atomic_load(&cvy__slots_at(loop, last)->posted), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slots");
    TCase *tc =
        ADD_TESTS(suite, "slots", a_stale_name_never_finds_the_slots_next_tenant, names_never_given_find_nothing,
                  a_used_up_slot_is_never_used_again, slots_do_not_move_while_others_are_added,
                  all_that_are_taken_are_found_once, reservations_stop_when_the_limit_is_exceeded,
                  no_memory_for_a_slot_is_an_error, posted_bytes_come_back_to_zero_while_tenants_change);
    tcase_add_checked_fixture(tc, open_loop, end_loop);
    return test_run(suite);
}
