/* libuv's timers, a heap, in the same bench. */
#include <uv.h>

#include "timers.h"

static uv_loop_t loop;
static uv_timer_t *timers;
static int made;

static void never(uv_timer_t *timer)
{
    (void)timer;
    abort();
}

static void cancel_all(int n)
{
    for (int i = 0; i < n; i++)
        uv_timer_stop(&timers[i]);
}

static void set_all(int n)
{
    for (int i = 0; i < n; i++)
        uv_timer_start(&timers[i], never, timers_ms(), 0);
}

static void make(int n)
{
    for (int i = 0; i < made; i++)
        uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    free(timers);
    made = n;
    timers = calloc((size_t)n, sizeof *timers);
    if (!timers) abort();
    for (int i = 0; i < n; i++)
        uv_timer_init(&loop, &timers[i]);
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
        uv_timer_start(&timers[timers_random() % (uint64_t)n], never, timers_ms(), 0);
    return n;
}

static const inproc_t benches[] = {
    { "set", make, run_set, cancel_all },
    { "cancel", make, run_cancel, set_all },
    { "anew", make_armed, run_anew, NULL },
    { NULL, NULL, NULL, NULL },
};

int main(void)
{
    must(uv_loop_init(&loop));
    return inproc_serve(benches);
}
