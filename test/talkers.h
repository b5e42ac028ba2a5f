/*
 * Talkers: one loop, a listener, and connections to it that send a pattern and get it back. Both ends check every byte.
 *
 *   talkers_t s;
 *   talkers_begin(&s, "tcp://127.0.0.1:0");
 *   talkers_connect(&s, 3);
 *   talkers_rounds(&s, 4);
 *   talkers_end(&s);
 */
#ifndef CVY_TEST_TALKERS_H
#define CVY_TEST_TALKERS_H

#include <conveyor/dialer.h>
#include <conveyor/listener.h>

enum { TALK_LENGTH = 3000, TALK_MOST = 64 };

/* One end of a connection, the dialed or the accepted one. */
typedef struct talk_end {
    struct talkers *scene;
    cvy_transport_t *t; /* NULL once it has ended */
    int cause;          /* 1: it has not */
    int errors, last_error;
    uint64_t got, wrong;
} talk_end_t;

typedef struct talkers {
    cvy_loop_t *loop;
    cvy_listener_t *listener;
    char address[64];
    talk_end_t talkers[TALK_MOST], servers[TALK_MOST];
    cvy_dialer_t *dialers[TALK_MOST];
    int dials, dialed, accepted, failed, errors, failures, shutdowns;
    int dial_error, listen_error;
} talkers_t;

/* Turns of the loop; check's time limit is the only one. */
#define TALKERS_UNTIL(s, condition) \
    while (!(condition))            \
    cvy_loop_turn((s)->loop, 10)

void talkers_begin(talkers_t *s, const char *address);
/* Ends everything; no byte was wrong. */
void talkers_end(talkers_t *s);
int talkers_dial(talkers_t *s);
/* Dials n more, all of which are accepted. */
void talkers_connect(talkers_t *s, int n);
/* Sends n bytes of the pattern, from a place in it on. */
void talkers_say(talk_end_t *end, uint64_t from, size_t n);
/* Each open one sends TALK_LENGTH bytes, and all wait for the answers; n times. */
void talkers_rounds(talkers_t *s, int n);
/* Closes all gracefully, and waits for it. */
void talkers_close(talkers_t *s);
/* How many of n ends have ended with code (0: with any error). */
int talkers_lost(const talk_end_t *ends, int n, int code);

#endif
