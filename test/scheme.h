/*
 * The address schemes as the kinds of a conformance suite, and a net over one of them: its listener stands on the test's loop, on a
 * group of loops, or has a socket per loop, which are the suite's variants.
 *
 *   START_OVER_SCHEMES(somebody_is_served)
 *   {
 *       ends_listen(&e);
 *       ck_assert_int_eq(net_dial(n, NULL), 0);
 *       ...
 *   }
 *   END_OVER_SCHEMES
 */
#ifndef CVY_TEST_SCHEME_H
#define CVY_TEST_SCHEME_H

#include "conform.h"
#include "net.h"

typedef enum scheme {
    SCHEME_TCP,
    SCHEME_TCP6,
    SCHEME_UNIX,
    SCHEME_ABSTRACT,
    SCHEME_IPC,
    SCHEME_PIPE,
    SCHEME_INPROC,
    SCHEME_FD, /* a TCP socket that was opened before */
    SCHEMES
} scheme_t;

enum {
    NEEDS_SCHEME = 1,     /* all do: it exists on this system */
    NEEDS_PORT = 2,       /* TCP */
    NEEDS_FILE = 4,       /* a socket file */
    NEEDS_RESET = 8,      /* a reset that is no close */
    NEEDS_HOST_NAME = 16, /* localhost is this address */
    NEEDS_QUEUE = 32,     /* clients are connected before they are accepted, up to the backlog ... */
    NEEDS_FULL = 64,      /* ... and wait when it is full */
    NEEDS_ONE_OWNER = 128,
    NEEDS_REUSE_PORT = 256,
    NEEDS_OWN_SOCKET = 1024, /* the listener opens it: name and backlog are the test's */
    NEEDS_FREED_NAME = 512   /* the name ends with its listener, not with its last connection */
};

/* The kinds of this machine. */
const conform_kind_t *scheme_kinds(void);
/* An address of this scheme that nobody has used; for TCP the port is 0; for a descriptor it is open. */
void scheme_address(char out[256], scheme_t scheme);
bool scheme_is_tcp(scheme_t scheme);
/* What dialing answers where nobody listens. */
int scheme_refusal(scheme_t scheme);
/* The socket file of an address that scheme_address made. */
void scheme_path(char out[256], const char *address);
/* conform_run over all schemes and ways to serve, in a folder for their files. */
int scheme_run(const char *name, const conform_case_t *cases, size_t n);

#define OVER_SCHEMES(test, needs)          CONFORM(test, NEEDS_SCHEME | (needs), CONFORM_ALL_VARIANTS)
#define OVER_SCHEMES_ONE_LOOP(test, needs) CONFORM(test, NEEDS_SCHEME | (needs), CONFORM_ONE_VARIANT)

typedef struct ends {
    net_t net; /* first: the callbacks' argument */
    scheme_t scheme;
    char fresh[256]; /* an address to listen on */
    /* where ends_record was called: the one connection's two ends. The server's log is the net's */
    recorder_t server, client;
    recorder_log_t client_log;
    atomic_int server_gone;
} ends_t;

void ends_init(ends_t *e, int i);
void ends_fini(ends_t *e);
void ends_listen(ends_t *e);
/* Both ends get a recorder as their only stage, without the turns; init, accepted and connected, gone are lines too. What the
 * server receives it sends back. */
void ends_record(ends_t *e);
/* count dials, all connected. */
void ends_dial(ends_t *e, int count);
/* An address that somebody listened on a moment ago. */
void ends_free_address(const ends_t *e, char out[256]);
/* A paused listener whose backlog is full, and dials that hang: those not in net.clients. */
void ends_fill_backlog(ends_t *e);
/* The server's end has come and gone. */
void ends_until_peer_gone(ends_t *e);
/* Connections that the listener has not heard the end of. */
size_t ends_connections(const ends_t *e);

#define START_OVER_SCHEMES(name) \
    START_TEST(name)             \
    {                            \
        ends_t e;                \
        net_t *n = &e.net;       \
        ends_init(&e, _i);       \
        (void)n;

#define END_OVER_SCHEMES \
    ends_fini(&e);       \
    }                    \
    END_TEST

#endif
