/*
 * Lines: "\n" ends one, and a "\r" right before it belongs to the end. Inbound, each line becomes one buffer without a copy;
 * empty lines are delivered. Outbound, each buffer may get its line end.
 *
 * A framing error is final: an error event, and nothing more from this stage; what still arrives is dropped.
 *   UV_EMSGSIZE   longer than max_line
 *   UV_EPROTO     a lone "\r" where that is an error, end of stream inside a line
 *   UV_ETIMEDOUT  not complete deadline_ms after its first byte (not while reading is suspended; anew from when it goes on)
 */
#ifndef CONVEYOR_LINE_H
#define CONVEYOR_LINE_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

/** What a "\r" is that no "\n" follows. */
typedef enum cvy_lone_cr {
    CVY_LONE_CR_CONTENT, /* a byte of the line */
    CVY_LONE_CR_ENDS,    /* it ends the line, as in server-sent events; not together with keep_end */
    CVY_LONE_CR_FAILS    /* a framing error */
} cvy_lone_cr_t;

/** What is appended to each outbound buffer. */
typedef enum cvy_line_end { CVY_LINE_END_NONE, CVY_LINE_END_LF, CVY_LINE_END_CRLF } cvy_line_end_t;

/* 0: the default that stands last in each comment; CVY_OFF: none. */
typedef struct cvy_line_opts {
    cvy_lone_cr_t lone_cr;   /* CVY_LONE_CR_CONTENT */
    cvy_line_end_t outbound; /* CVY_LINE_END_NONE */
    int keep_end;            /* lines are delivered with their end; off: 1 turns it on */
    int64_t max_line;        /* bytes without the end; 65536 (what Redis takes for an inline command) */
    int64_t deadline_ms;     /* for a whole line, from its first byte; 30000 */
} cvy_line_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_line_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a limit or a choice that can't be). */
CVY_EXPORT int cvy_line_add(cvy_conveyor_t *c, const cvy_line_opts_t *opts);

CVY_END_DECLS
#endif
