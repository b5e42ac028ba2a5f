#include "driver.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The thread's own clock: what others do on this processor meanwhile does not count. */
static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The clock is read around each run, so that what is restored in between does not count. A run is long beside a look at the clock (0.3 us). */
static double measure(const inproc_t *bench, int size, double seconds)
{
    uint64_t spent = 0, operations = 0, until = now_ns() + (uint64_t)(seconds * 1e9);
    if (bench->prepare) bench->prepare(size);
    bench->run(size); /* warms up */
    do {
        if (bench->restore) bench->restore(size);
        uint64_t begin = now_ns();
        operations += (uint64_t)bench->run(size);
        spent += now_ns() - begin;
    } while (now_ns() < until);
    return (double)spent / (double)operations;
}

int inproc_serve(const inproc_t *benches)
{
    char name[64];
    int size;
    double seconds;
    while (scanf("%63s %d %lf", name, &size, &seconds) == 3) {
        const inproc_t *bench = benches;
        while (bench->name && strcmp(bench->name, name) != 0)
            bench++;
        if (bench->name)
            printf("%.4f\n", measure(bench, size, seconds));
        else
            printf("-\n");
        fflush(stdout);
    }
    return 0;
}
