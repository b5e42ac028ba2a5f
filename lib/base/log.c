/*
 * The logging hook. Callback and argument change together: they are copied under a spin lock, which is never held while the
 * callback runs, so that a callback may log or set the hook.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct sink {
    cvy_log_cb cb;
    void *arg;
} sink_t;

static void to_stderr(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg;
    if (level >= CVY_LOG_WARN) fprintf(stderr, "conveyor: %s\n", line);
}

static atomic_flag sink_lock = ATOMIC_FLAG_INIT;
static sink_t sink = { to_stderr, NULL };

static sink_t sink_swap(const sink_t *next)
{
    while (atomic_flag_test_and_set_explicit(&sink_lock, memory_order_acquire))
        continue;
    sink_t old = sink;
    if (next) sink = *next;
    atomic_flag_clear_explicit(&sink_lock, memory_order_release);
    return old;
}

void cvy_log_set(cvy_log_cb cb, void *arg)
{
    sink_swap(&(sink_t){ cb, arg });
}

void cvy__log(cvy_log_level_t level, const char *format, ...)
{
    sink_t to = sink_swap(NULL);
    if (!to.cb) return;
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    to.cb(to.arg, level, line);
}
