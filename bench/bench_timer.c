/* Nanoseconds to start, restart and stop a timer while many are armed: the wheel beside libuv's heap. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "loop/loop.h"

#define ROUNDS 2000000

static uint64_t seed = 88172645463325252;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void on_wheel(cvy_timer_t *timer)
{
    (void)timer;
}

static void on_heap(uv_timer_t *timer)
{
    (void)timer;
}

static double wheel_ns(cvy_timer_t *timers, size_t n, cvy_loop_t *loop)
{
    for (size_t i = 0; i < n; i++) {
        cvy_timer_init(&timers[i], loop, on_wheel, NULL);
        cvy_timer_start(&timers[i], 1000 + rnd() % 60000);
    }
    uint64_t begin = uv_hrtime();
    for (int i = 0; i < ROUNDS; i++)
        cvy_timer_start(&timers[rnd() % n], 1000 + rnd() % 60000);
    double ns = (double)(uv_hrtime() - begin) / ROUNDS;
    for (size_t i = 0; i < n; i++)
        cvy_timer_stop(&timers[i]);
    return ns;
}

static double heap_ns(uv_timer_t *timers, size_t n, uv_loop_t *uv)
{
    for (size_t i = 0; i < n; i++) {
        uv_timer_init(uv, &timers[i]);
        uv_timer_start(&timers[i], on_heap, 1000 + rnd() % 60000, 0);
    }
    uint64_t begin = uv_hrtime();
    for (int i = 0; i < ROUNDS; i++)
        uv_timer_start(&timers[rnd() % n], on_heap, 1000 + rnd() % 60000, 0);
    double ns = (double)(uv_hrtime() - begin) / ROUNDS;
    for (size_t i = 0; i < n; i++)
        uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(uv, UV_RUN_DEFAULT);
    return ns;
}

int main(void)
{
    cvy_loop_t *loop;
    uv_loop_t uv;
    if (cvy__loop_new_embedded(&loop, NULL) || uv_loop_init(&uv)) return 1;
    printf("%10s %14s %14s\n", "armed", "wheel ns", "uv_timer ns");
    for (size_t n = 1000; n <= 1000000; n *= 10) {
        cvy_timer_t *wheel = calloc(n, sizeof *wheel);
        uv_timer_t *heap = calloc(n, sizeof *heap);
        if (!wheel || !heap) return 1;
        printf("%10zu %14.1f %14.1f\n", n, wheel_ns(wheel, n, loop), heap_ns(heap, n, &uv));
        free(wheel);
        free(heap);
    }
    uv_loop_close(&uv);
    cvy__loop_end_embedded(loop);
    return 0;
}
