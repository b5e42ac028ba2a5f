/*
 * With CVY_DEBUG_SEGMENTS every live segment remembers which stage took it and the last stages it passed, so that a leak can be
 * told by name. Without it all of this is nothing.
 */
#ifndef CVY_BUF_DEBUG_H
#define CVY_BUF_DEBUG_H

#include <stdio.h>

#include <conveyor/buf.h>

#ifdef CVY_DEBUG_SEGMENTS

enum { CVY__TRACE_STAGES = 4 };

typedef struct cvy__segment_trace {
    const char *taken_by; /* static text, or NULL: outside all stages */
    const char *passed[CVY__TRACE_STAGES];
    unsigned passed_count;
    cvy_segment_t *older; /* all live segments, under one lock */
    cvy_segment_t *newer;
} cvy__segment_trace_t;

void cvy__segment_born(cvy_segment_t *s);
void cvy__segment_died(cvy_segment_t *s);
/* All bytes of b pass the stage. The name must outlive them. */
void cvy__buf_touch(cvy_buf_t *b, const char *stage);
/* Who takes segments on this thread from now on; returns who did before. */
const char *cvy__buf_taker(const char *stage);
/* One line per live segment. */
void cvy__segments_dump(FILE *out);

#else

static inline void cvy__segment_born(cvy_segment_t *s)
{
    (void)s;
}

static inline void cvy__segment_died(cvy_segment_t *s)
{
    (void)s;
}

static inline void cvy__buf_touch(cvy_buf_t *b, const char *stage)
{
    (void)b;
    (void)stage;
}

static inline const char *cvy__buf_taker(const char *stage)
{
    (void)stage;
    return NULL;
}

static inline void cvy__segments_dump(FILE *out)
{
    (void)out;
}

#endif
#endif
