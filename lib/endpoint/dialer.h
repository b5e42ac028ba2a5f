/*
 * A dialer from inside. `requests` counts what libuv still owes us (a lookup, connects): the dial stays on the loop's list of residents
 * until they have come back, and the memory as long. `finished` is set before the one callback.
 */
#ifndef CVY_ENDPOINT_DIALER_H
#define CVY_ENDPOINT_DIALER_H

#include <conveyor/dialer.h>
#include <conveyor/timer.h>
#include <uv.h>

#include "base/list.h"
#include "endpoint/address.h"
#include "loop/loop.h"
#include "transport/stream.h"

#define CVY__TARGETS 16 /* addresses of one name that are tried */

typedef enum cvy__dial_state { CVY__DIAL_NEW, CVY__DIAL_RUNNING, CVY__DIAL_FINISHED } cvy__dial_state_t;

struct cvy_dialer {
    cvy_dialer_opts_t opts;
    cvy__shared_opts_t *shared;
    char *uri, *bind_uri;
    cvy__address_t address;
    struct sockaddr_storage bind;
    bool bound;
    cvy__dial_state_t state;
    unsigned refs; /* the user's, and one per request or callback on the stack */
    unsigned requests;
    bool freed; /* by the user: no callback any more */
    int result; /* what the deferred work reports: a failure, or 0: begin */
    cvy__work_t work;
    cvy__resident_t resident;
    cvy_timer_t timeout, next_attempt;
    uv_getaddrinfo_t lookup;
    bool looking_up;

    /* the race: dialer_race.c */
    struct sockaddr_storage targets[CVY__TARGETS];
    unsigned n_targets, next_target, running;
    cvy__link_t attempts;
    int last_error;
    uint64_t retry_ms; /* a Unix socket whose backlog is full */
    char message[CVY__MESSAGE_MAX];
};

void cvy__dialer_unref(cvy_dialer_t *d);
/* A request that libuv owes; returned once it has come back. */
void cvy__dialer_borrow(cvy_dialer_t *d);
void cvy__dialer_return(cvy_dialer_t *d);
/* The one result of a failed dial. Ignored when there was one. */
void cvy__dialer_fail(cvy_dialer_t *d, int err);
/* s is connected: makes it a transport and reports. s is gone afterwards, whatever happens. */
void cvy__dialer_connected(cvy_dialer_t *d, cvy__stream_t *s);
/* The same for a transport that was made otherwise. */
void cvy__dialer_open(cvy_dialer_t *d, cvy_transport_t *t);

/* dialer_race.c */

/* Orders what a lookup found: families take turns, the first one's first (RFC 8305, 4). At most CVY__TARGETS. */
void cvy__race_order(cvy_dialer_t *d, const struct addrinfo *found);
/* Tries the targets one after the other, and gives up when none is left. */
void cvy__race_start(cvy_dialer_t *d);
/* A named pipe, through libuv. */
void cvy__race_pipe(cvy_dialer_t *d);
/* Gives up all attempts that are under way. */
void cvy__race_end(cvy_dialer_t *d);

#endif
