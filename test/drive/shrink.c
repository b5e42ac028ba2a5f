/*
 * Finds a short life that breaks as the given one does: leaves out runs of numbers, long ones first, then makes what is left zero. Each try
 * is a process of its own, because a broken life ends the process that lives it.
 */
#include <stdlib.h>
#include <string.h>

#include "inner.h"

#ifdef _WIN32
static bool breaks_elsewhere(void (*run)(void))
{
    (void)run;
    return false;
}
#else
#include <sys/wait.h>
#include <unistd.h>

static bool breaks_elsewhere(void (*run)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (!child) {
        if (!freopen("/dev/null", "w", stderr)) _exit(0);
        alarm(10);
        run();
        _exit(0);
    }
    must(waitpid(child, &status, 0) == child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}
#endif

static struct {
    uint32_t *numbers;
    size_t n, at, operations, left;
    drive_backend_t backend;
} life;

static uint32_t next_kept(void *arg, unsigned bytes)
{
    (void)arg;
    return life.at < life.n ? life.numbers[life.at++] & ((1U << 8 * bytes) - 1) : 0;
}

static bool more_kept(void *arg)
{
    (void)arg;
    return life.left-- > 0;
}

static void run(void)
{
    life.at = 0;
    life.left = life.operations;
    drive_life((drive_numbers_t){ next_kept, more_kept, NULL, "a shrunk life" }, life.backend);
}

static void leave_out(size_t size)
{
    uint32_t *all = malloc(life.n * sizeof *all + 1);
    must(all);
    for (size_t at = 0; at + size <= life.n;) {
        size_t n = life.n;
        memcpy(all, life.numbers, n * sizeof *all);
        memmove(life.numbers + at, life.numbers + at + size, (n - at - size) * sizeof *all);
        life.n -= size;
        if (breaks_elsewhere(run)) continue;
        memcpy(life.numbers, all, n * sizeof *all);
        life.n = n;
        at += size;
    }
    free(all);
}

static void make_zero(void)
{
    for (size_t i = 0; i < life.n; i++) {
        uint32_t was = life.numbers[i];
        if (!was) continue;
        life.numbers[i] = 0;
        if (!breaks_elsewhere(run)) life.numbers[i] = was;
    }
}

static void shorten(void)
{
    for (size_t step = life.operations / 2; step; step /= 2)
        while (life.operations > step) {
            life.operations -= step;
            if (breaks_elsewhere(run)) continue;
            life.operations += step;
            break;
        }
}

void drive_shrink(const uint32_t *numbers, size_t n, size_t operations, drive_backend_t backend)
{
    life.numbers = malloc(n * sizeof *numbers + 1);
    must(life.numbers);
    memcpy(life.numbers, numbers, n * sizeof *numbers);
    life.n = n;
    life.operations = operations;
    life.backend = backend;
    if (breaks_elsewhere(run)) {
        shorten();
        for (int round = 0; round < 2; round++)
            for (size_t size = life.n / 2; size; size /= 2)
                leave_out(size);
        make_zero();
        shorten();
        fprintf(stderr, "-- shrunk from %zu numbers to %zu\n", n, life.n);
    }
    run();
    free(life.numbers);
}
