/*
 * Drives one decoding stage through every way in which a stream can reach it, and compares each frame with what an oracle read off
 * the flat array. The parsers' drivers (drive_framing.c, drive_resp.c) say what stage, what stream and what must come out; a
 * difference aborts. Checked in each run:
 *   - the oracle's frames and no others, in order, then its error code, once, then nothing but the end of the stream
 *   - nothing while reading is suspended
 *   - memory in use at most what is held needs (B5), whatever lengths were announced (M1); none at the end
 * The runs: whole; cut in two at every place, byte by byte, or at random; with a sink that suspends; pushed in from a stage in
 * front, also while suspended and from inside a frame; the stage removed or replaced after a frame; an allocation failing.
 */
#ifndef CVY_TEST_DRIVE_STAGE_H
#define CVY_TEST_DRIVE_STAGE_H

#include <stdio.h>
#include <stdlib.h>

#include <conveyor/conveyor.h>

#define DRIVE_CHECK(what)                                              \
    do {                                                               \
        if (!(what)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                   \
        }                                                              \
    } while (0)

/* Bytes of the stream. */
typedef struct drive_span {
    size_t at, n;
} drive_span_t;

/* One frame: so many spans from the first on (a frame of bytes is one span). What comes next begins at end. */
typedef struct drive_frame {
    size_t first, count, end;
} drive_frame_t;

typedef struct drive_stage {
    const cvy_stage_t *stage;
    const void *opts;
    const uint8_t *bytes;
    size_t n;
    uint32_t seed; /* of the random runs */
    /* Where the stage's frames are events: compares one with the frame numbered i. */
    const cvy_event_type_t *event;
    bool (*same)(const struct drive_stage *s, size_t i, const cvy_event_t *ev);
    bool drops_lf; /* a line feed after a frame may belong to it */
    bool skips;    /* there are bytes between frames that are part of none */
    /* The oracle's: */
    drive_span_t *spans;
    size_t span_count, span_room;
    drive_frame_t *frames;
    size_t frame_count, frame_room;
    int error; /* 0: the stream ends at a frame's end */
} drive_stage_t;

/* For oracles: a span of the next frame; the frame is complete. */
void drive_stage_span(drive_stage_t *s, size_t at, size_t n);
void drive_stage_frame(drive_stage_t *s, size_t end);
/* After the oracle. All runs, then frees what the oracle found. Answers false where the stage refused its options. */
bool drive_stage_run(drive_stage_t *s);
void drive_stage_fini(drive_stage_t *s);

#endif
