/*
 * Two hosts and a cable between them that delays, loses, doubles, reorders and can be cut: two network namespaces with a TUN device each, and a
 * thread that carries the packets. So it needs no netem of the kernel's, no iproute2, and disturbs nobody else on the machine.
 *
 *   cable_t c;
 *   cable_open(&c, &(cable_opts_t){ .delay_ms = 50, .jitter_ms = 10, .loss = 5 });
 *   cable_enter(&c, 0);      sockets that this thread makes from now on are host 0's
 *   ...
 *   cable_cut(&c, true);
 *   cable_close(&c);
 *
 * Linux; as root, or where users may have namespaces of their own.
 */
#ifndef CVY_TEST_CABLE_H
#define CVY_TEST_CABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct cable_opts {
    int delay_ms;  /* one way */
    int jitter_ms; /* more or less than that: packets overtake each other */
    int loss;      /* of a hundred packets */
    int doubled;   /* of a hundred packets */
    int mtu;       /* 1500 */
} cable_opts_t;

typedef struct cable_packet cable_packet_t;

typedef struct cable {
    cable_opts_t opts;
    int host[2], tun[2], bell[2];
    uv_thread_t thread;
    cable_packet_t *queue; /* by due time */
    uint32_t seed;
    atomic_bool cut, no_ipv6;
    atomic_int carried, lost, doubled; /* packets */
} cable_t;

/* The hosts' addresses, without a port: tcp://10.77.0.1, tcp://10.77.0.2; IPv6: tcp://[fd77::1], tcp://[fd77::2]. */

/* Why there can be no cables on this machine; NULL: there can. */
const char *cable_missing(void);
void cable_open(cable_t *c, const cable_opts_t *opts);
void cable_close(cable_t *c);
void cable_enter(const cable_t *c, int host);
/* Nothing gets through, and nobody is told; what is on its way is lost. false: whole again. */
void cable_cut(cable_t *c, bool cut);
/* IPv6 alone ends in a black hole. */
void cable_cut_ipv6(cable_t *c);
/* The device of a host goes down, or up again: that side is told. */
void cable_link(const cable_t *c, int host, bool up);

#endif
