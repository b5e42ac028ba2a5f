/*
 * Timers of the wheel, set and cancelled while so many are armed: set all, one after the other; cancel all; set one at random anew. Within a
 * callback of the loop, where programs do it.
 */
#include <conveyor/timer.h>
#include <uv.h>

#include "timers.h"

static cvy_loop_t *loop;
static cvy_timer_t *timers;
static int made;

static void never(cvy_timer_t *timer)
{
    (void)timer;
    abort();
}

static void cancel_all(int n)
{
    for (int i = 0; i < n; i++)
        cvy_timer_stop(&timers[i]);
}

static void set_all(int n)
{
    for (int i = 0; i < n; i++)
        cvy_timer_start(&timers[i], timers_ms());
}

static void make(int n)
{
    cancel_all(made);
    free(timers);
    made = n;
    timers = calloc((size_t)n, sizeof *timers);
    if (!timers) abort();
    for (int i = 0; i < n; i++)
        cvy_timer_init(&timers[i], loop, never, NULL);
}

static void make_armed(int n)
{
    make(n);
    set_all(n);
}

static long run_set(int n)
{
    set_all(n);
    return n;
}

static long run_cancel(int n)
{
    cancel_all(n);
    return n;
}

static long run_anew(int n)
{
    for (int i = 0; i < n; i++)
        cvy_timer_start(&timers[timers_random() % (uint64_t)n], timers_ms());
    return n;
}

static const inproc_t benches[] = {
    { "set", make, run_set, cancel_all },
    { "cancel", make, run_cancel, set_all },
    { "anew", make_armed, run_anew, NULL },
    { NULL, NULL, NULL, NULL },
};

static void serve(cvy_task_t *task, int status)
{
    (void)task, (void)status;
    inproc_serve(benches);
    cancel_all(made);
    cvy_loop_stop(loop);
}

int main(void)
{
    cvy_task_t task = { .run = serve };
    must(cvy_loop_new(&loop, NULL));
    must(cvy_loop_post(loop, &task));
    must(cvy_loop_run(loop));
    cvy_loop_unref(loop);
    return 0;
}
