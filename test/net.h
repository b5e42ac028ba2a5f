/*
 * A net: one loop on the test's thread, a listener and dialers on it, and a log of what they call back. Every connection echoes.
 * Nothing sleeps: NET_UNTIL turns the loop, which waits for events (and now and then looks what other threads have done).
 */
#ifndef CVY_TEST_NET_H
#define CVY_TEST_NET_H

#include <conveyor/dialer.h>
#include <conveyor/listener.h>

#include "recorder.h"

#define NET_MOST 512

typedef struct net {
    cvy_loop_t *loop;
    recorder_log_t log; /* the listener's callbacks and the dialers' */
    cvy_listener_t *listener;
    cvy_listener_opts_t opts; /* set before net_listen; callbacks and arg are the net's */
    cvy_dialer_opts_t dial;   /* for net_dial: likewise */
    int init_answer;          /* what conveyor_init of the accepting side says */
    bool quiet;               /* the log has no addresses and no on_accepted */
    void (*on_accepted)(struct net *n, cvy_transport_t *t);
    void (*on_started)(struct net *n);
    void (*on_shutdown)(struct net *n);
    void (*on_error)(struct net *n, int err);

    char address[256];
    cvy_dialer_t *dialers[NET_MOST];
    cvy_transport_t *clients[NET_MOST]; /* open ones */
    int dialed, connected, failed, open;
    int accepted, errors, failures, shutdowns;
    int result; /* the last dial's */
    size_t echoed;
} net_t;

void net_init(net_t *n);
/* Starts a listener on address, or ck_asserts. n->address is the bound one. */
void net_listen(net_t *n, const char *address);
int net_try_listen(net_t *n, const char *address);
/* Dials address (NULL: the listener's). */
int net_dial(net_t *n, const char *address);
void net_close_clients(net_t *n);
void net_write(net_t *n, int client, const char *text);
/* Ends everything and checks that nothing is left. */
void net_fini(net_t *n);
/* Turns the loop, waiting at most so long for something to do. */
int net_turn(net_t *n, int64_t ms);
/* Turns without waiting until nothing is ready, a few times: for "nothing more happens". */
void net_settle(net_t *n);
#define NET_UNTIL(n, condition) \
    while (!(condition))        \
    net_turn(n, 10)

int net_echo(cvy_conveyor_t *c, void *arg); /* a conveyor_init whose arg is not used */

#endif
