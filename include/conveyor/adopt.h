/*
 * Transports that are not accepted or dialed: a connected descriptor, a pair within the process, and new kinds that an
 * application supplies.
 */
#ifndef CONVEYOR_ADOPT_H
#define CONVEYOR_ADOPT_H

#include <conveyor/transport.h>

CVY_BEGIN_DECLS

/**
 * Makes a transport of a connected descriptor: a TCP or Unix socket, a pipe end, stdin or stdout.
 *
 * Owns:   the transport, on success; it closes fd (stdin, stdout and stderr stay open). The loop owns the transport.
 * Errors: UV_ENOMEM, UV_EBADF, UV_EINVAL (what fd is can't be a transport; one that listens: see fd:// in address.h), UV_ESHUTDOWN,
 *         what conveyor_init answered, UV_ECANCELED (it closed the transport); fd is open then.
 */
CVY_EXPORT int cvy_transport_adopt(cvy_transport_t **out, cvy_loop_t *loop, cvy_socket_t fd,
                                   const cvy_transport_opts_t *opts, cvy_conveyor_init_cb init, void *arg);

/**
 * Two transports of kind "inproc", connected to each other, each on a loop of its own or both on one.
 * Called on the thread of loops[0]; the second is built on its own loop, later where that is another one.
 *
 * out gets the first. An init that fails for the second closes it, which the first sees.
 *
 * Errors: UV_ENOMEM, UV_EINVAL (options), UV_ESHUTDOWN, what init answered for the first, UV_ECANCELED (it closed it).
 */
typedef struct cvy_pair_end {
    cvy_loop_t *loop;
    const cvy_transport_opts_t *opts;
    cvy_conveyor_init_cb init;
    void *arg;
} cvy_pair_end_t;
CVY_EXPORT int cvy_transport_pair(const cvy_pair_end_t *first, const cvy_pair_end_t *second, cvy_transport_t **out);

/** What a new kind of transport supplies, over any descriptor that can be watched. Source: seed, AbstractEventLoopTransport. */
typedef struct cvy_transport_ops {
    const char *name;
    /** Appends what can be read to in: > 0 bytes appended, 0 end of stream, UV_EAGAIN, else an error. */
    int (*read_some)(cvy_transport_t *t, cvy_buf_t *in);
    /** Sends from the head of out, without advancing it: > 0 bytes taken, UV_EAGAIN, else an error. */
    int (*write_some)(cvy_transport_t *t, const cvy_buf_t *out);
    /** The first writability after the transport was made connecting: 0 connected, UV_EAGAIN not yet, else an error. NULL: connected. */
    int (*on_connect_writable)(cvy_transport_t *t);
    /** Ends our side; NULL: closing is the only way to say so. */
    int (*shutdown_write)(cvy_transport_t *t);
    /** While reading is suspended nobody looks: 0, or what is wrong with the connection (UV_ECONNRESET). NULL: it is not asked. */
    int (*probe)(cvy_transport_t *t);
    /** Closes fd. Called once; reset: so that the peer sees a reset, if there is such a thing. */
    void (*close)(cvy_transport_t *t, bool reset);
} cvy_transport_ops_t;

typedef struct cvy_watched_opts {
    const cvy_transport_ops_t *ops;
    cvy_socket_t fd;
    void *user;                                 /* cvy_transport_user */
    const char *self_endpoint, *other_endpoint; /* texts, copied; NULL: "name:" */
    const cvy_transport_opts_t *transport;
    cvy_conveyor_init_cb init;
    void *arg;
    /** on_connect_writable said so (0) or failed. NULL: nobody asks. */
    void (*on_connected)(cvy_transport_t *t, int status, void *arg);
} cvy_watched_opts_t;

/** A transport of a new kind. Owns: the transport, on success, closes fd through ops->close. Errors: UV_ENOMEM, what uv_poll_init answers,
 * UV_ESHUTDOWN, what init answered, UV_ECANCELED (init or on_connected closed it); ops->close is not called then. */
CVY_EXPORT int cvy_transport_watched(cvy_transport_t **out, cvy_loop_t *loop, const cvy_watched_opts_t *opts);
CVY_EXPORT void *cvy_transport_user(const cvy_transport_t *t);

CVY_END_DECLS
#endif
