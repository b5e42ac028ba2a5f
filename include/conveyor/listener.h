/*
 * A listener accepts connections: starting, running, paused, closed. Every call is legal in every state and idempotent.
 */
#ifndef CONVEYOR_LISTENER_H
#define CONVEYOR_LISTENER_H

#include <conveyor/address.h>
#include <conveyor/group.h>
#include <conveyor/transport.h>

CVY_BEGIN_DECLS

/**
 * Lifetime: counted. The caller of new has a reference; whoever calls from another thread holds one of its own. Loops and groups are
 * lent; a listener may outlive them, and ends when its first loop does. It keeps its first loop alive until on_shutdown.
 *
 * Order: on_started for each address; then on_accepted, on_error at any time; at the end on_failure where it broke, on_shutdown. After
 * shutdown was called no more connections are lent: what was on its way to another loop is dropped, as the backlog is.
 */
typedef struct cvy_listener cvy_listener_t;

typedef struct cvy_listener_opts {
    const char *address;          /* one address; see address.h; port 0: any free one */
    const char *const *addresses; /* or several, NULL at the end */
    cvy_conveyor_init_cb conveyor_init;

    /* The listener's own callbacks run on its first loop; on_accepted, like conveyor_init, on the connection's. Each may be NULL. */
    void (*on_started)(cvy_listener_t *l, const char *address, void *arg); /* once per address, with the real port */
    void (*on_accepted)(cvy_listener_t *l, cvy_transport_t *t, void *arg); /* lends t */
    /** Out of descriptors or memory: once per episode, goes on. */
    void (*on_error)(cvy_listener_t *l, int err, void *arg);
    void (*on_failure)(cvy_listener_t *l, int err, void *arg); /* broken; on_shutdown follows */
    void (*on_shutdown)(cvy_listener_t *l, void *arg);         /* no on_accepted after it */
    void *arg; /* for conveyor_init and all of these; lives until on_shutdown */

    cvy_loop_t *loop;   /* the loop to accept and serve on; NULL: one of its own, run by listen_and_wait */
    cvy_group_t *group; /* or: accept on loop 0, serve on all */
    int loops; /* or: this many of its own (CVY_GROUP_ALL, CVY_GROUP_AUTO = 0 means one here) for listen_and_wait */
    /* a listening socket per loop where the system balances (UV_ENOTSUP elsewhere); off: 1 turns it on */
    int reuse_port;

    int64_t max_connections;  /* accepting pauses there and goes on 5 % below; off */
    int64_t backlog;          /* SOMAXCONN */
    int64_t accept_budget;    /* accepts per turn; 16 */
    int64_t retry_ms;         /* pause after an error; 1000 */
    int64_t drain_timeout_ms; /* listen_and_wait: how long connections may take to end after shutdown; 10000 */
    /* Who may connect to a Unix socket: its file's mode bits, and whose it becomes: "user", "user:group", ":group", names or numbers. Both
     * stand before anyone can connect. What has no file is UV_ENOTSUP (abstract names, descriptors that were open before), a named pipe
     * has only the last digit of mode, and only to open it to everyone. TCP and inproc are passed over. */
    int mode;          /* 1 to 07777; what umask gives */
    const char *owner; /* who made it */
    int ipv6_only;     /* [::] does not take IPv4; off: 1 turns it on */
    /*
     * SIGINT and SIGTERM, on Windows Ctrl-C, Ctrl-Break and the closing of the console, shut it down with CVY_DRAIN; a second one does
     * what it would do without us, so it ends the program at once. By uv_signal on the first loop: the application's own uv_signal handles are
     * called too, and a handler of its own by sigaction is lost. off: 1 turns it on
     */
    int stop_on_signals;
    const cvy_transport_opts_t *transport;
} cvy_listener_opts_t;

/** Errors: UV_ENOMEM, UV_EINVAL (no address, or more than one of loop, group, loops). A bad address is start's error. */
CVY_EXPORT int cvy_listener_new(cvy_listener_t **out, const cvy_listener_opts_t *opts);
/** Gives up the caller's reference. The last one shuts it down; callbacks go on until on_shutdown, its memory goes after the last
 * connection's end. NULL is fine. Thread: any. */
CVY_EXPORT void cvy_listener_free(cvy_listener_t *l);
CVY_EXPORT cvy_listener_t *cvy_listener_ref(cvy_listener_t *l); /* Thread: any; free gives it up */

/**
 * Binds all addresses or none, and accepts, on opts.loop or opts.group; called on its (first) thread. on_started is called before it
 * returns. A host name is looked up on the spot. After a failure it may be called again.
 *
 * Errors: UV_EADDRINUSE, UV_EACCES, UV_EADDRNOTAVAIL, UV_EINVAL, UV_ENAMETOOLONG, UV_ENOTSUP, UV_ENOENT (owner, systemd://name),
 *         UV_EBADF, UV_ENOTSOCK (fd://), ... (see cvy_listener_message; nothing was called back), UV_EALREADY (started before),
 *         UV_ESHUTDOWN (shut down before), UV_EPERM.
 */
CVY_EXPORT int cvy_listener_start(cvy_listener_t *l);
/**
 * Starts, on loops of its own, and runs the first on the calling thread until shut down and all connections have ended, or were
 * cut at the drain deadline. 0, or the code of the failure; as start before that. Where opts.loop or opts.group is given and was not
 * yet run it is that one that is run, and stopped in the end. Errors: UV_EINVAL (an attached loop).
 */
CVY_EXPORT int cvy_listener_listen_and_wait(cvy_listener_t *l);

typedef enum cvy_shutdown { CVY_KEEP, CVY_DRAIN } cvy_shutdown_t;
/**
 * Ends accepting, for good; on_shutdown follows, once, if it was started. CVY_DRAIN closes its connections gracefully too.
 * (listen_and_wait drains in any case.) Idempotent; a second call with CVY_DRAIN after CVY_KEEP drains. Thread: any, also before start.
 */
CVY_EXPORT void cvy_listener_shutdown(cvy_listener_t *l, cvy_shutdown_t how);

/** Stops (starts) accepting; connections wait in the backlog. 0, UV_ESHUTDOWN (closed), UV_EINVAL (not started), UV_EPERM. */
CVY_EXPORT int cvy_listener_pause(cvy_listener_t *l);
CVY_EXPORT int cvy_listener_resume(cvy_listener_t *l);

/**
 * Its states (the table of lib/endpoint/listener_state.c; test/states.sh keeps both equal):
 *
 *     starting ---1---> running ---2---> paused
 *         |              |   ^              | |
 *         |              |   '------3-------' |
 *         4              5                    6
 *         |              v                    |
 *         '----------> closed <---------------'
 *
 *     1  starting -> running  cvy_listener_start, cvy_listener_listen_and_wait
 *     2  running  -> paused   cvy_listener_pause
 *     3  paused   -> running  cvy_listener_resume
 *     4  starting -> closed   cvy_listener_shutdown, cvy_listener_free
 *     5  running  -> closed   cvy_listener_shutdown, cvy_listener_free, a failure, the first loop's end
 *     6  paused   -> closed   cvy_listener_shutdown, cvy_listener_free, a failure, the first loop's end
 */
typedef enum cvy_listener_state {
    CVY_LISTENER_STARTING,
    CVY_LISTENER_RUNNING,
    CVY_LISTENER_PAUSED,
    CVY_LISTENER_CLOSED
} cvy_listener_state_t;
CVY_EXPORT cvy_listener_state_t cvy_listener_state(const cvy_listener_t *l); /* Thread: any */
CVY_EXPORT size_t cvy_listener_connections(const cvy_listener_t *l); /* open ones that it accepted. Thread: any */
/** The i-th bound address with its real port; NULL: no such. */
CVY_EXPORT const char *cvy_listener_address(const cvy_listener_t *l, size_t i);
/** One line about what went wrong last, with the address. "" at first. */
CVY_EXPORT const char *cvy_listener_message(const cvy_listener_t *l);

CVY_END_DECLS
#endif
