/*
 * L3: this process has no descriptors left, and a thief, another thread, takes each one that is freed. The listener says so once per
 * episode, tries again once per retry_ms, and costs next to nothing meanwhile; open connections go on. Linux: calls of accept are counted, and
 * processor time is the listener's thread's own. Not under valgrind, which keeps the limit of descriptors to itself.
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "inject.h"
#include "loop/loop.h"
#include "net.h"
#include "support.h"

enum { OPEN = 5, WAITING = 30, SPARE = 20 };

static rlim_t limit_to(rlim_t most)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

static rlim_t next_descriptor(void)
{
    int next = dup(0);
    close(next);
    return (rlim_t)next;
}

typedef struct thief {
    uv_thread_t thread;
    atomic_bool stop;
    atomic_long refused; /* times that there was nothing to take */
    int taken[1024];
    int n;
} thief_t;

/* Takes all there is; then puts one back and takes it again, with what else was freed, over and over. */
static void steal(void *arg)
{
    thief_t *thief = arg;
    while (!atomic_load(&thief->stop)) {
        int fd = thief->n < 1024 ? dup(0) : -1;
        if (fd >= 0) {
            thief->taken[thief->n++] = fd;
            continue;
        }
        atomic_fetch_add(&thief->refused, 1);
        uv_sleep(1);
        if (thief->n) close(thief->taken[--thief->n]);
    }
    while (thief->n)
        close(thief->taken[--thief->n]);
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_THREAD, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void turn_for(net_t *n, uint64_t ms)
{
    uint64_t began = uv_hrtime();
    NET_UNTIL(n, (uv_hrtime() - began) / 1000000 >= ms);
}

static void goes_round(net_t *n)
{
    size_t before = n->echoed;
    for (int i = 0; i < OPEN; i++)
        if (n->clients[i]) net_write(n, i, "goes on");
    NET_UNTIL(n, n->echoed >= before + 7 * (OPEN - 1));
}

static void open_all(net_t *n)
{
    net_init(n);
    n->quiet = true;
    net_listen(n, "tcp://127.0.0.1:0");
    for (int i = 0; i < OPEN; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->accepted == OPEN && n->connected == OPEN);
    cvy_listener_pause(n->listener);
    net_settle(n);
    for (int i = 0; i < WAITING; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected == OPEN + WAITING);
}

/* Each error began an episode, and each episode but the last was ended by an accept. */
static void check_pause(net_t *n)
{
    double cpu = cpu_seconds();
    uint64_t began = uv_hrtime(), turns = n->loop->turns;
    long calls = inject_calls(INJECT_ACCEPT);
    int accepted = n->accepted;
    turn_for(n, 1500);                                 /* a retry or two */
    cvy_transport_close(n->clients[0], CVY_CLOSE_NOW); /* frees two, for whoever is first */
    turn_for(n, 1000);
    double elapsed = (double)(uv_hrtime() - began) / 1e9;
    long tries = inject_calls(INJECT_ACCEPT) - calls;
    ck_assert_int_ge(n->errors, 1);
    ck_assert_int_le(n->errors, n->accepted - OPEN + 1);
    ck_assert_int_le(tries, n->accepted - accepted + 2 * (int)(elapsed + 1));
    ck_assert_uint_lt(n->loop->turns - turns, 120 * (uint64_t)(elapsed + 1)); /* NET_UNTIL looks every 10 ms */
    ck_assert(cpu_seconds() - cpu < 0.05 * elapsed);
}

START_TEST(a_thief_of_descriptors_costs_the_listener_a_pause_and_nothing_else) /* L3 */
{
    static thief_t thief;
    net_t n;
    open_all(&n);
    rlim_t before = limit_to(next_descriptor() + SPARE);
    ck_assert_int_eq(uv_thread_create(&thief.thread, steal, &thief), 0);
    NET_UNTIL(&n, atomic_load(&thief.refused) > 0);
    ck_assert_int_eq(cvy_listener_resume(n.listener), 0);
    NET_UNTIL(&n, n.errors);
    goes_round(&n);
    check_pause(&n);
    goes_round(&n);
    atomic_store(&thief.stop, true);
    uv_thread_join(&thief.thread);
    limit_to(before);
    int errors = n.errors;
    long calls = inject_calls(INJECT_ACCEPT), waiting = OPEN + WAITING - n.accepted;
    NET_UNTIL(&n, n.accepted == OPEN + WAITING);
    ck_assert_int_le(inject_calls(INJECT_ACCEPT) - calls,
                     waiting + 4);          /* the next retry, at most 1 s later, was the last */
    ck_assert_int_le(n.errors, errors + 1); /* one was on its way */
    goes_round(&n);
    net_fini(&n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults, descriptors");
    ADD_TESTS(suite, "thief", a_thief_of_descriptors_costs_the_listener_a_pause_and_nothing_else);
    return test_run(suite);
}
