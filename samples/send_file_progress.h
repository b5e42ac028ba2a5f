/*
 * What send_file shows: how far it is, and in the end the summary with the frames' round-trip times.
 */
#ifndef SAMPLES_SEND_FILE_PROGRESS_H
#define SAMPLES_SEND_FILE_PROGRESS_H

#include <conveyor/conveyor.h>

/* Round-trip times in microseconds: 32 buckets for every power of two, so 3 % exact, in fixed memory. */
#define SUB_BUCKETS 32
#define BUCKETS     (SUB_BUCKETS * 32)

typedef struct progress {
    double total;
    int64_t back, frames;          /* bytes and frames of all connections: whoever gets them counts them */
    uint64_t started_at, ended_at; /* ended_at: when the last byte came, 0: it did not */
    uint32_t times[BUCKETS];
    bool terminal; /* stderr is one: the bar goes there, so that the summary can go elsewhere */
    cvy_timer_t ticker;
} progress_t;

/** One frame of a connection at a time is timed. */
typedef struct round_trip {
    int64_t end; /* of the frame, in the stream; 0: none is timed */
    uint64_t sent_at;
} round_trip_t;

/** Starts the clock and shows the progress towards total bytes, until stopped. */
void progress_start(progress_t *progress, cvy_loop_t *loop, double total);
void progress_stop(progress_t *progress);

/** A frame is about to be sent; it ends at end. */
void progress_sent(round_trip_t *timed, int64_t end);
/** What was sent is back up to back. */
void progress_back(progress_t *progress, round_trip_t *timed, int64_t back);

void progress_summary(const progress_t *progress);

#endif
