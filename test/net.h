/*
 * A net: one loop on the test's thread, a listener and dialers on it, and a log of what they call back. Every connection echoes.
 * Nothing sleeps: NET_UNTIL turns the loop, which waits for events (and now and then looks what other threads have done).
 *
 * The listener may also stand on a group of loops with threads of their own; the dialers stay. Then the listener's calls are made by
 * net_there, its counts are atomic, and its log is read when it has nothing left to write.
 */
#ifndef CVY_TEST_NET_H
#define CVY_TEST_NET_H

#include <conveyor/dialer.h>
#include <conveyor/listener.h>
#include <stdatomic.h>

#include "recorder.h"

#define NET_MOST 512

#define NET_LOOPS 3 /* of a group */

typedef enum net_serve { NET_ONE_LOOP, NET_GROUP, NET_REUSE_PORT } net_serve_t;

typedef struct net {
    cvy_loop_t *loop;
    cvy_group_t *group; /* NULL: the listener is on loop */
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
    void (*on_connected)(struct net *n, cvy_dialer_t *d, cvy_transport_t *t);
    void (*on_refused)(struct net *n, cvy_dialer_t *d, int err);
    void (*on_client_gone)(struct net *n, cvy_transport_t *t, int cause);

    char address[256];
    cvy_dialer_t *dialers[NET_MOST];
    cvy_transport_t *clients[NET_MOST]; /* open ones */
    int dialed, connected, failed, open;
    atomic_int inits, accepted, errors, failures, shutdowns;
    atomic_int late; /* callbacks of the listener after on_shutdown: net_fini wants none */
    int result;      /* the last dial's */
    int cause;       /* of the last client that ended */
    size_t echoed;
} net_t;

void net_init(net_t *n);
void net_init_with(net_t *n, const cvy_loop_opts_t *loop);
void net_init_serve(net_t *n, net_serve_t serve);
/* Starts a listener on address, or ck_asserts. n->address is the bound one. */
void net_listen(net_t *n, const char *address);
int net_try_listen(net_t *n, const char *address);
/* Dials address (NULL: the listener's). */
int net_dial(net_t *n, const char *address);
/* Dials these addresses (tcp), as if a lookup had found them. NULL: no memory for it. */
cvy_dialer_t *net_dial_list(net_t *n, const char *const *uris, int count);
void net_close_clients(net_t *n);
void net_write(net_t *n, int client, const char *text);
/* Until no client is open. Each says something meanwhile: the system may connect one while its listener closes, and then nobody ever accepts it
 * nor tells it so (seen on Linux: an established end whose other end is nowhere); it learns of that when it speaks. */
void net_until_clients_end(net_t *n);
/* Runs f on the thread of the listener's first loop, and returns what it answers. */
int net_there(net_t *n, int (*f)(net_t *n));
int net_pause(net_t *n);
int net_resume(net_t *n);
/* Shuts the listener down from this thread, and turns until it has said so, once. */
void net_end_listener(net_t *n);
/* Four bytes from a client to the listener and back: how many turns of the loop that took. */
uint64_t net_round_trip(net_t *n, int i);
/* Ends everything and checks that nothing is left. */
void net_fini(net_t *n);
/* Turns the loop, waiting at most so long for something to do. */
int net_turn(net_t *n, int64_t ms);
/* Turns without waiting until nothing is ready, a few times, all loops: for "nothing more happens". */
void net_settle(net_t *n);
#define NET_UNTIL(n, condition) \
    while (!(condition))        \
    net_turn(n, (n)->group ? 1 : 10)

/* ipc://name with the process' number, so that two runs at once are not in each other's way. Valid until the next call. */
const char *net_ipc(const char *name);

int net_echo(cvy_conveyor_t *c, void *arg); /* a conveyor_init whose arg is not used */

#endif
