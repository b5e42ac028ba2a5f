/*
 * Where live segments came from. All of it is for debug builds: one list of every live segment, under one lock, since a leak may
 * have been taken on one thread and lost on another.
 */
#include "segment.h"

#ifdef CVY_DEBUG_SEGMENTS

#include <stdlib.h>
#include <uv.h>

static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock;
static cvy_segment_t *newest;
static _Thread_local const char *taker;

static void make_lock(void)
{
    if (uv_mutex_init(&lock)) abort();
}

static void enter(void)
{
    uv_once(&once, make_lock);
    uv_mutex_lock(&lock);
}

void cvy__segment_born(cvy_segment_t *s)
{
    s->trace = (cvy__segment_trace_t){ .taken_by = taker };
    enter();
    s->trace.older = newest;
    if (newest) newest->trace.newer = s;
    newest = s;
    uv_mutex_unlock(&lock);
}

void cvy__segment_died(cvy_segment_t *s)
{
    enter();
    if (s->trace.older) s->trace.older->trace.newer = s->trace.newer;
    if (s->trace.newer)
        s->trace.newer->trace.older = s->trace.older;
    else
        newest = s->trace.older;
    uv_mutex_unlock(&lock);
}

void cvy__buf_touch(cvy_buf_t *b, const char *stage)
{
    enter();
    for (cvy_view_t *v = b->head; v; v = v->next) {
        cvy__segment_trace_t *trace = &v->segment->trace;
        unsigned last = (trace->passed_count + CVY__TRACE_STAGES - 1) % CVY__TRACE_STAGES;
        if (trace->passed_count && trace->passed[last] == stage)
            continue; /* many frames of one segment pass a stage in a row */
        trace->passed[trace->passed_count++ % CVY__TRACE_STAGES] = stage;
    }
    uv_mutex_unlock(&lock);
}

const char *cvy__buf_taker(const char *stage)
{
    const char *before = taker;
    taker = stage;
    return before;
}

static void dump_one(FILE *out, const cvy_segment_t *s)
{
    const cvy__segment_trace_t *trace = &s->trace;
    unsigned count = trace->passed_count;
    fprintf(out, "segment of %zu bytes, %u references, taken by %s, passed", cvy__segment_capacity(s),
            (unsigned)atomic_load_explicit(&s->refs, memory_order_relaxed),
            trace->taken_by ? trace->taken_by : "no stage");
    if (!count) fprintf(out, " none");
    for (unsigned i = count > CVY__TRACE_STAGES ? count - CVY__TRACE_STAGES : 0; i < count; i++)
        fprintf(out, " %s", trace->passed[i % CVY__TRACE_STAGES]);
    fprintf(out, "\n");
}

void cvy__segments_dump(FILE *out)
{
    enter();
    for (const cvy_segment_t *s = newest; s; s = s->trace.older)
        dump_one(out, s);
    uv_mutex_unlock(&lock);
}

#else

typedef int cvy__no_trace_t; /* ISO C wants a declaration in every file */

#endif
