/*
 * Posts into one loop: scale_posts THREADS SECONDS. Each thread posts as fast as it may, at most WINDOW ahead of the loop. Prints posts per second,
 * wake-ups (writes to the loop's descriptor are what they cost) per thousand posts, and how many wake-ups a burst of BURST posts costs while the
 * loop is busy, and while it sleeps.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "loop/loop.h"

enum { WINDOW = 1024, BURST = 1000, BURSTS = 200, MOST = 64 };

typedef struct poster {
    uv_thread_t thread;
    cvy_task_t tasks[WINDOW];
    _Alignas(64) atomic_ullong done; /* by the loop */
} poster_t;

static cvy_loop_t *loop;
static const cvy__driver_t *driver;
static atomic_ullong wakes;
static atomic_bool stop;
static poster_t posters[MOST];
static uv_sem_t entered, leave;

static void must(int err)
{
    if (err) abort();
}

static void counting_wake(cvy_loop_t *l)
{
    atomic_fetch_add(&wakes, 1);
    driver->wake(l);
}

static void count_one(cvy_task_t *task, int status)
{
    poster_t *p = task->arg;
    (void)status;
    atomic_store_explicit(&p->done, atomic_load_explicit(&p->done, memory_order_relaxed) + 1, memory_order_release);
}

static void post_many(void *arg)
{
    poster_t *p = arg;
    for (unsigned long long sent = 0; !atomic_load_explicit(&stop, memory_order_relaxed); sent++) {
        while (sent - atomic_load_explicit(&p->done, memory_order_acquire) >= WINDOW) {
            if (atomic_load(&stop)) return;
            sched_yield(); /* there may be fewer processors than threads */
        }
        cvy_task_t *task = &p->tasks[sent % WINDOW];
        task->run = count_one;
        task->arg = p;
        must(cvy_loop_post(loop, task));
    }
}

static unsigned long long all_done(int threads)
{
    unsigned long long n = 0;
    for (int i = 0; i < threads; i++)
        n += atomic_load(&posters[i].done);
    return n;
}

static void measure_rate(int threads, double seconds)
{
    for (int i = 0; i < threads; i++)
        must(uv_thread_create(&posters[i].thread, post_many, &posters[i]));
    uv_sleep((unsigned)(seconds * 250)); /* warms up */
    unsigned long long posts = all_done(threads), woken = atomic_load(&wakes);
    uint64_t start = uv_hrtime();
    uv_sleep((unsigned)(seconds * 1000));
    posts = all_done(threads) - posts;
    woken = atomic_load(&wakes) - woken;
    double span = (double)(uv_hrtime() - start) / 1e9;
    atomic_store(&stop, true);
    for (int i = 0; i < threads; i++)
        must(uv_thread_join(&posters[i].thread));
    printf("{\"posts_per_s\": %.0f, \"wakes_per_1000\": %.3f", (double)posts / span,
           (double)woken * 1000 / (double)posts);
}

static void stay(cvy_task_t *task, int status)
{
    (void)task, (void)status;
    uv_sem_post(&entered);
    uv_sem_wait(&leave);
}

static void post_burst(poster_t *p)
{
    for (int i = 0; i < BURST; i++) {
        p->tasks[i] = (cvy_task_t){ .run = count_one, .arg = p };
        must(cvy_loop_post(loop, &p->tasks[i]));
    }
}

static void wait_for_burst(poster_t *p, unsigned long long until)
{
    while (atomic_load(&p->done) < until)
        uv_sleep(0);
}

/* busy: within a callback of its own; else in its poll, where it has been for a while. */
static double measure_burst(bool busy)
{
    poster_t *p = &posters[MOST - 1];
    unsigned long long woken = 0;
    for (int i = 0; i < BURSTS; i++) {
        cvy_task_t staying = { .run = stay };
        unsigned long long until = atomic_load(&p->done) + BURST;
        if (busy) {
            must(cvy_loop_post(loop, &staying));
            uv_sem_wait(&entered);
        } else {
            uv_sleep(2);
        }
        unsigned long long before = atomic_load(&wakes);
        post_burst(p);
        woken += atomic_load(&wakes) - before;
        if (busy) uv_sem_post(&leave);
        wait_for_burst(p, until);
    }
    return (double)woken / BURSTS;
}

int main(int argc, char **argv)
{
    int threads = argc == 3 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads >= MOST) {
        fprintf(stderr, "usage: scale_posts THREADS SECONDS\n");
        return 2;
    }
    uv_sem_init(&entered, 0);
    uv_sem_init(&leave, 0);
    must(cvy_loop_new(&loop, NULL));
    driver = loop->driver;
    static cvy__driver_t counting;
    counting = *driver;
    counting.wake = counting_wake;
    loop->driver = &counting;
    must(cvy_loop_start(loop));
    measure_rate(threads, atof(argv[2]));
    printf(", \"burst_busy\": %.3f, \"burst_asleep\": %.3f}\n", measure_burst(true), measure_burst(false));
    cvy_loop_unref(loop);
    return 0;
}
