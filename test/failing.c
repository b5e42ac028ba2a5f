/*
 * The n-th allocation of one source fails. libuv's realloc never does: it has one user on this way, maybe_resize (src/unix/core.c), which
 * aborts without memory. On Windows libuv ends the process on most failed allocations (uv_fatal_error), so that there its own are not
 * failed at all.
 */
#include "failing.h"

#include <check.h>
#include <conveyor/conveyor.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#ifdef __linux__
#include <dirent.h>
#endif

#include "base/memory.h"

#ifdef _WIN32
#define LIBUV_FAILS false
#else
#define LIBUV_FAILS true
#endif

static atomic_long fail_in[FAILING_SOURCES]; /* not of our own: base/memory.c counts those */
static atomic_long live[FAILING_SOURCES];

static const cvy_pool_opts_t no_cache = { .small_bytes = 16384, .keep_bytes = CVY_OFF };
const cvy_loop_opts_t failing_no_cache = { .pool = &no_cache };

static bool fails(failing_source_t source)
{
    if (atomic_load(&fail_in[source]) <= 0) return false;
    return atomic_fetch_sub(&fail_in[source], 1) == 1;
}

static void *count(failing_source_t source, void *p)
{
    if (p) atomic_fetch_add(&live[source], 1);
    return p;
}

static void *segment_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    if (fails(FAILING_SEGMENTS)) return NULL;
    return count(FAILING_SEGMENTS, cvy_alloc_malloc()->alloc(cvy_alloc_malloc()->arg, n, align));
}

static void segment_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    atomic_fetch_sub(&live[FAILING_SEGMENTS], 1);
    cvy_alloc_malloc()->free(cvy_alloc_malloc()->arg, p, n, align);
}

static void *libuv_malloc(size_t n)
{
    return fails(FAILING_LIBUV) ? NULL : count(FAILING_LIBUV, malloc(n));
}

static void *libuv_calloc(size_t n, size_t size)
{
    return fails(FAILING_LIBUV) ? NULL : count(FAILING_LIBUV, calloc(n, size));
}

static void libuv_free(void *p)
{
    if (p) atomic_fetch_sub(&live[FAILING_LIBUV], 1);
    free(p);
}

static void *libuv_realloc(void *p, size_t n)
{
    void *next = realloc(p, n);
    if (!p) count(FAILING_LIBUV, next);
    return next;
}

void failing_install(void)
{
    static const cvy_alloc_t segments = { segment_alloc, segment_free, NULL };
    if (uv_replace_allocator(libuv_malloc, libuv_realloc, libuv_calloc, libuv_free)) abort();
    cvy_alloc_set_default(&segments);
}

int failing_descriptors(void)
{
    int n = 0;
#ifdef __linux__
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        n++;
    if (dir) closedir(dir);
#endif
    return n;
}

static void nothing(uv_work_t *work)
{
    (void)work;
}

/* What libuv keeps for good, its threads and its signals' pipe, is there before anything is counted. */
static void warm_up(void)
{
    uv_loop_t loop;
    uv_work_t work;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(uv_queue_work(&loop, &work, nothing, NULL), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void none_left(const failing_t *f, long now, long before, const char *of)
{
    static const char *const names[] = { "ours", "segments", "libuv's" };
    ck_assert_msg(now == before, "%ld of %s left after failing number %ld of %s", now - before, of, f->nth,
                  names[f->source]);
}

static void nothing_is_left(const failing_t *f)
{
    none_left(f, (long)cvy__memory_live(), (long)f->memory, "ours");
    none_left(f, atomic_load(&live[FAILING_SEGMENTS]), f->segments, "the segments");
    none_left(f, atomic_load(&live[FAILING_LIBUV]), f->libuv, "libuv's");
    none_left(f, failing_descriptors(), f->descriptors, "the descriptors");
}

static void begin(failing_t *f)
{
    warm_up();
    f->begun = true;
    f->memory = cvy__memory_live();
    f->segments = atomic_load(&live[FAILING_SEGMENTS]);
    f->libuv = atomic_load(&live[FAILING_LIBUV]);
    f->descriptors = failing_descriptors();
}

bool failing_next(failing_t *f)
{
    if (!f->begun) {
        begin(f);
    } else {
        nothing_is_left(f);
        ck_assert_int_lt(f->nth, 10000); /* one that never ends */
        f->failures[f->source] += f->failed;
        if (!f->failed) {
            f->source++;
            f->nth = 0;
        }
    }
    if (f->source == FAILING_LIBUV && !LIBUV_FAILS) f->source++;
    f->nth++;
    f->failed = false;
    if (f->source < FAILING_SOURCES) return true;
    if (getenv("FAILING_VERBOSE"))
        printf("failed: %d of ours, %d segments, %d of libuv's\n", f->failures[0], f->failures[1], f->failures[2]);
    return false;
}

void failing_arm(const failing_t *f)
{
    if (f->source == FAILING_OURS)
        cvy__memory_fail(f->nth);
    else
        atomic_store(&fail_in[f->source], f->nth);
}

bool failing_happened(const failing_t *f)
{
    return f->source == FAILING_OURS ? cvy__memory_failed() : atomic_load(&fail_in[f->source]) <= 0;
}

bool failing_over(failing_t *f)
{
    f->failed = failing_happened(f);
    cvy__memory_fail(0);
    for (int i = 0; i < FAILING_SOURCES; i++)
        atomic_store(&fail_in[i], 0);
    return f->failed;
}

void failing_setup(failing_t *f, int err)
{
    failing_over(f);
    ck_assert_int_eq(err, f->failed ? UV_ENOMEM : 0);
}
