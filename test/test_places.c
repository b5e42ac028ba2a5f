/* Places of max_connections: an exact limit, whoever merely looks, and nobody who was refused is forgotten (L6). */
#include <uv.h>

#include "endpoint/places.h"
#include "support.h"

static void use(cvy__places_t *p, int n)
{
    for (int i = 0; i < n; i++) {
        ck_assert(cvy__places_hold(p));
        cvy__places_use(p);
    }
}

START_TEST(at_the_limit_it_rests_until_five_percent_are_free) /* L6 */
{
    cvy__places_t p;
    cvy__places_init(&p, 40);
    use(&p, 39);
    ck_assert(!cvy__places_resting(&p));
    use(&p, 1);
    ck_assert(cvy__places_resting(&p));
    ck_assert(!cvy__places_hold(&p));
    ck_assert(!cvy__places_give_back(&p)); /* 39 */
    ck_assert(!cvy__places_hold(&p));
    ck_assert(cvy__places_give_back(&p)); /* 38: told once */
    ck_assert(!cvy__places_give_back(&p));
    ck_assert(!cvy__places_resting(&p));
    use(&p, 3);
    ck_assert(cvy__places_resting(&p));
}
END_TEST

START_TEST(a_limit_of_one_rests_until_it_is_gone) /* L6 */
{
    cvy__places_t p;
    cvy__places_init(&p, 1);
    use(&p, 1);
    ck_assert(!cvy__places_hold(&p));
    ck_assert(cvy__places_any(&p));
    ck_assert(cvy__places_give_back(&p));
    ck_assert(!cvy__places_any(&p));
    use(&p, 1);
}
END_TEST

START_TEST(a_held_place_is_no_connection) /* L6: three threads look at once, one connection comes */
{
    cvy__places_t p;
    cvy__places_init(&p, 40);
    use(&p, 38);
    ck_assert(cvy__places_hold(&p));
    ck_assert(cvy__places_hold(&p));
    ck_assert(!cvy__places_hold(&p)); /* as many as there are */
    ck_assert(!cvy__places_resting(&p));
    ck_assert(cvy__places_let_go(&p)); /* the third asks again */
    ck_assert(cvy__places_hold(&p));
    cvy__places_use(&p);
    ck_assert(!cvy__places_resting(&p)); /* 39 used, one held */
    ck_assert(!cvy__places_let_go(&p));  /* nobody was refused since */
    use(&p, 1);
    ck_assert(cvy__places_resting(&p));
}
END_TEST

/* L6 */
START_TEST(who_was_refused_is_told_by_an_end_too)
{
    cvy__places_t p;
    cvy__places_init(&p, 2);
    use(&p, 1);
    ck_assert(cvy__places_hold(&p));
    ck_assert(!cvy__places_hold(&p));
    ck_assert(cvy__places_give_back(&p));
    ck_assert(cvy__places_hold(&p));
}
END_TEST

/* L6 */
START_TEST(without_a_limit_there_is_always_one)
{
    cvy__places_t p;
    cvy__places_init(&p, 0);
    use(&p, 100000);
    ck_assert(!cvy__places_resting(&p));
    cvy__places_init(&p, INT64_MAX);
    use(&p, 100000);
    ck_assert(!cvy__places_resting(&p));
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000, MOST = 3 };

static cvy__places_t shared;
static atomic_int in_use, too_many;
static atomic_uint told; /* the bell that a listener's lanes hear */

static void ring(bool news)
{
    if (news) atomic_fetch_add(&told, 1);
}

/* Refused, it waits for the bell and nothing else: a lost one hangs. */
static void take_turns(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < ROUNDS; seed = seed * 1664525 + 1013904223) {
        unsigned before = atomic_load(&told);
        if (!cvy__places_hold(&shared)) {
            while (atomic_load(&told) == before)
                uv_sleep(0);
            continue;
        }
        i++;
        if (seed >> 30) {
            ring(cvy__places_let_go(&shared));
            continue;
        }
        cvy__places_use(&shared);
        if (atomic_fetch_add(&in_use, 1) >= MOST) atomic_fetch_add(&too_many, 1);
        atomic_fetch_sub(&in_use, 1);
        ring(cvy__places_give_back(&shared));
    }
}

START_TEST(threads_that_wait_only_when_refused_all_get_their_turns) /* L6 */
{
    uv_thread_t threads[THREADS];
    unsigned seeds[THREADS];
    cvy__places_init(&shared, MOST);
    in_use = too_many = 0;
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = (unsigned)i * 2654435761u + 1;
        ck_assert_int_eq(uv_thread_create(&threads[i], take_turns, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    ck_assert_int_eq(too_many, 0);
    ck_assert(!cvy__places_any(&shared));
    ck_assert(!cvy__places_resting(&shared));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");
    ADD_TESTS(suite, "one thread", at_the_limit_it_rests_until_five_percent_are_free,
              a_limit_of_one_rests_until_it_is_gone, a_held_place_is_no_connection,
              who_was_refused_is_told_by_an_end_too, without_a_limit_there_is_always_one);
    ADD_TESTS(suite, "threads", threads_that_wait_only_when_refused_all_get_their_turns);
    return test_run(suite);
}
