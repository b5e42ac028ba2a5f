/*
 * Five recorders in a row, h a b c t, h next to HEAD and t next to TAIL, on an embedded transport; and the spots: how to bring b into each
 * callback that there is. What a test does there is an act, inside b's first such callback:
 *
 *   five_live(spot, act, probe);       opens, brings b there, lets the act run, probes, closes
 *   golden_add_case(&text, act->name, five.story);
 *
 * The story is the folded log from the trigger on: "bytes 1 x: h a b{removed: b} c t | ...". Braces hold what the act set going before b's
 * callback returned. "|" stands between the steps. What is left of a life (memory, segments) fails the test.
 */
#ifndef CVY_TEST_FIVE_H
#define CVY_TEST_FIVE_H

#include <conveyor/embedded.h>

#include "golden.h"
#include "recorder.h"

enum { FIVE_FRESH = 8 };

typedef struct five {
    recorder_log_t log;
    cvy_embedded_t *conn;
    cvy_conveyor_t *chain;
    cvy_transport_t *transport;
    recorder_t h, a, b, c, t;
    recorder_t fresh[FIVE_FRESH]; /* n o p ...: for acts that add stages */
    size_t fresh_used;
    char *prologue; /* folded: before the trigger; valid until the next life */
    char *story;    /* folded: from the trigger on */
} five_t;
extern five_t five;

typedef struct five_act {
    const char *name;            /* NULL ends a list */
    void (*run)(cvy_ctx_t *ctx); /* ctx: b's; NULL: nothing is done */
    void (*prepare)(void);       /* before the trigger; may be NULL */
} five_act_t;

typedef struct five_spot {
    const char *name;
    const char *event;        /* the recorder's word; NULL: outside any dispatch */
    const cvy_stage_t *stage; /* b's */
    unsigned flags;
    void (*prepare)(void);
    void (*trigger)(void);
    const recorder_rule_t *rules; /* b's from its first event on; then it keeps inbound bytes back. NULL: none */
} five_spot_t;

enum {
    FIVE_TURNS = 1, /* read-complete and flush are lines as well */
    FIVE_INIT = 2,  /* the trigger is the opening */
    FIVE_LATE = 4,  /* b is added by the trigger */
    FIVE_END = 8    /* the connection is closing there */
};

extern const five_spot_t five_spots[];
extern const int five_spot_count;

/* probe runs behind the trigger, unless the connection has ended. */
void five_live(const five_spot_t *spot, const five_act_t *act, void (*probe)(void));
/* The section of this spot: a line for each act, compared with that of the file. */
void five_section_is(const char *file, const five_spot_t *spot, const five_act_t *acts, void (*probe)(void));

/* A probe: the peer sends "y", the application writes "z", unless the connection is closing. */
void five_probe(void);

/* For acts and probes. */

void five_step(void); /* a "|" in the story */

recorder_t *five_take(void); /* the next fresh one */
/* A line with the name of the code; none for 0. */
void five_answer(int code);
/* What b's on_added, on_active or on_read_closed answers. */
void five_answers(int code);

#endif
