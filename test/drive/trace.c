/* What a life did so far, told when it breaks: by a promise of ours, an assertion of the library, a signal or ASan. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "inner.h"

enum { LINES = 1024 };

static struct {
    struct {
        const char *what, *who;
        uint32_t how;
        uint8_t depth;
        bool op;
    } lines[LINES]; /* the last ones */
    size_t n;
    const char *name;
    bool told;
} trace;

static void add(const char *what, uint32_t how, const char *who, bool op)
{
    size_t i = trace.n++ % LINES;
    trace.lines[i].what = what;
    trace.lines[i].how = how;
    trace.lines[i].who = who;
    trace.lines[i].depth = (uint8_t)d.depth;
    trace.lines[i].op = op;
}

void trace_op(const char *op, uint32_t how, const char *who)
{
    add(op, how, who, true);
}

void trace_event(const char *who, const char *event)
{
    add(event, 0, who, false);
}

static void report(void)
{
    if (trace.told || !d.io) return;
    trace.told = true;
    size_t first = trace.n > LINES ? trace.n - LINES : 0;
    fprintf(stderr, "-- %s on %s, operations and (callbacks)%s:\n", trace.name ? trace.name : "a life", d.io->name,
            first ? ", the last of them" : "");
    for (size_t i = first; i < trace.n; i++) {
        int indent = 2 * (trace.lines[i % LINES].depth + 1);
        const char *what = trace.lines[i % LINES].what, *who = trace.lines[i % LINES].who;
        if (trace.lines[i % LINES].op)
            fprintf(stderr, "%*s%s %u\n", indent, "", what, (unsigned)trace.lines[i % LINES].how);
        else
            fprintf(stderr, "%*s(%s: %s)\n", indent, "", who, what);
    }
    if (d.t)
        fprintf(
            stderr,
            "-- phase %d, read state %d, write state %d, accepted %zu, queued %zu, peer got %zu, fed %zu, arrived %zu, "
            "consumed %zu\n",
            d.t->phase, d.t->read_state, d.t->write_state, d.accepted.len, d.t->out.len, d.peer_got, d.fed.len,
            d.arrived, d.consumed);
    if (trace.name) fprintf(stderr, "-- %s\n", trace.name);
    fflush(stderr);
}

static void on_signal(int signal_number)
{
    signal(signal_number, SIG_DFL);
    report();
    raise(signal_number);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
void __asan_on_error(void);
void __asan_on_error(void)
{
    report();
}
#define SANITIZED
#endif
#endif

void trace_begin(const char *name)
{
    trace.n = 0;
    trace.name = name;
    if (!name) return;
    signal(SIGABRT, on_signal);
#ifndef SANITIZED
    signal(SIGSEGV, on_signal);
#endif
}

void drive_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, what);
    report();
    abort();
}
