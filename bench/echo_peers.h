/* The servers that bench_echo measures: each listens on a free port, writes it (an int) to `ready`, and echoes until it is killed. */
#ifndef CVY_BENCH_ECHO_PEERS_H
#define CVY_BENCH_ECHO_PEERS_H

typedef struct echo_peer {
    const char *name;
    void (*serve)(int ready);
} echo_peer_t;

#ifdef BENCH_LIBEVENT
enum { ECHO_PEERS = 4 };
#else
enum { ECHO_PEERS = 3 };
#endif
extern const echo_peer_t echo_peers[]; /* the first is raw libuv */

void serve_libevent(int ready);

#endif
