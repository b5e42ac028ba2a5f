/*
 * A transport: one connection, pinned to one loop. It writes, flushes, keeps watermarks, suspends reading, and closes.
 *
 * Lifetime: the loop owns a transport until shutdown-completed; on_accepted and on_connected lend it. ref and unref keep only
 * its memory: one that is closed answers UV_EPIPE. Another thread names it by its id, never by its pointer.
 */
#ifndef CONVEYOR_TRANSPORT_H
#define CONVEYOR_TRANSPORT_H

#include <conveyor/chain.h>
#include <conveyor/loop.h>
#include <conveyor/state.h>

CVY_BEGIN_DECLS

/* 0: the default that stands last in each comment; CVY_OFF: none, or no. */
typedef struct cvy_transport_opts {
    int64_t high_bytes; /* outbound-suspend when more is queued; 65536 */
    int64_t low_bytes;  /* outbound-resume when no more is queued; high / 2. CVY_OFF: when nothing is */
    int64_t hard_bytes; /* writes are refused while more is queued; 16 x high */
    int hold_reads;     /* above high, reading waits until low; on */

    int allow_half_close; /* the peer's end of stream leaves our side open; off: 1 turns it on */
    int strict_tail;      /* bytes that nobody took are an error; off: 1 turns it on */
    /* how an unhandled error closes: CVY_CLOSE_NOW (also what 0 means), CVY_CLOSE_RESET */
    cvy_close_verb_t error_verb;
    int64_t drain_timeout_ms;  /* graceful close: for stages to pass it on, then to send what is queued; 5000 each */
    int64_t linger_timeout_ms; /* graceful close: then to wait for the peer's end; 2000 */
    int64_t linger_bytes;      /* graceful close: then to read and drop; 65536 */
    int64_t write_stall_timeout_ms; /* bytes queued and none taken; 30000 */
    int64_t half_close_timeout_ms;  /* from the peer's end of stream (or the last progress, or resume) to ours; 30000 */
    int64_t probe_interval_ms;      /* reading suspended: look for a reset; 30000 */
    int64_t suspend_timeout_ms;     /* reading suspended at all; off */
    int64_t read_budget;            /* reads per turn; 16 */
    int64_t read_budget_bytes;      /* bytes read per turn; 1 MiB */

    int nodelay;            /* TCP_NODELAY; on */
    int64_t keepalive_s;    /* TCP keepalive after so many seconds; off */
    int64_t send_buffer;    /* SO_SNDBUF, bytes; the system's */
    int64_t receive_buffer; /* SO_RCVBUF, bytes; the system's */
    /* SO_LINGER, seconds; off. On Linux closing with unsent bytes then blocks the loop for so long */
    int64_t linger_s;
    int64_t user_timeout_ms; /* TCP_USER_TIMEOUT where there is one; the system's */
} cvy_transport_opts_t;

/* Writing. cvy_transport_write goes below all stages; to go through them use cvy_conveyor_write. */

/**
 * Takes all of b into the outbound queue, or refuses it whole. Never blocks, never calls back.
 *
 * Errors: UV_EPIPE (closing, or our side is shut), UV_ENOBUFS (hard limit), UV_ENOTCONN (not yet connected), UV_EPERM; b untouched.
 */
CVY_EXPORT int cvy_transport_write(cvy_transport_t *t, cvy_buf_t *b);
/** Takes as much as fits below the hard limit; *taken gets how much. Errors as write; UV_ENOBUFS when nothing fits. */
CVY_EXPORT int cvy_transport_write_some(cvy_transport_t *t, cvy_buf_t *b, size_t *taken);

/** status: 0 when all bytes written before the flush are with the kernel; else the first error (UV_ECANCELED: our own close). */
typedef void (*cvy_flush_cb)(cvy_transport_t *t, int status, void *arg);
/**
 * Sends what is queued without waiting for the end of the turn. cb, where not NULL, is called exactly once, later, in order,
 * before inactive.
 *
 * Errors: UV_ENOMEM, UV_EPIPE (closed), UV_EPERM; cb is not called then.
 */
CVY_EXPORT int cvy_transport_flush(cvy_transport_t *t, cvy_flush_cb cb, void *arg);
/** Bytes written and not yet with the kernel. */
CVY_EXPORT size_t cvy_transport_queued(const cvy_transport_t *t);
/** As cvy_ctx_writable. */
CVY_EXPORT bool cvy_transport_writable(cvy_transport_t *t);

/* Closing */

/** Starts closing below all stages. A second call only escalates (graceful, now, reset). Idempotent. Errors: UV_EPERM. */
CVY_EXPORT int cvy_transport_close(cvy_transport_t *t, cvy_close_verb_t verb);
/** Graceful, with err as the cause: OutboundClose walks from TAIL, stages may still say goodbye. Source: seed, shutdown. */
CVY_EXPORT int cvy_transport_shutdown(cvy_transport_t *t, int err);
/** Ends our side only (FIN after what is queued, and what stages hold for the turn's flush); reading goes on until the peer's end.
 * Errors: UV_EPIPE, UV_EPERM. */
CVY_EXPORT int cvy_transport_shutdown_write(cvy_transport_t *t);

/* Reading */

/** false suspends, true resumes, for the application as a holder of its own. Source: seed. */
CVY_EXPORT void cvy_transport_readable_state_changed(cvy_transport_t *t, bool readable);

/* Named setters of the seeds: for the application, one each; they disturb no stage. The first two need memory: where there is none the connection
 * ends with UV_ENOMEM. */

CVY_EXPORT void cvy_transport_on_flush_completed(cvy_transport_t *t, void (*cb)(cvy_transport_t *t, void *arg),
                                                 void *arg);
CVY_EXPORT void cvy_transport_on_writable_state_changed(cvy_transport_t *t,
                                                        void (*cb)(cvy_transport_t *t, bool writable, void *arg),
                                                        void *arg);
/** The last call about t: cause is 0, or why it ended. After it only what holds a reference may look at t. */
CVY_EXPORT void cvy_transport_on_shutdown_completed(cvy_transport_t *t,
                                                    void (*cb)(cvy_transport_t *t, int cause, void *arg), void *arg);

/* Looking */

CVY_EXPORT cvy_read_state_t cvy_transport_read_state(const cvy_transport_t *t);
CVY_EXPORT cvy_write_state_t cvy_transport_write_state(const cvy_transport_t *t);
CVY_EXPORT bool cvy_transport_closing(const cvy_transport_t *t);

/** In URI form: tcp://127.0.0.1:7000, tcp://[::1]:7000, unix:///path, unix: when unnamed (tcp: when there is no memory to write it). As long
 * as t's memory. */
CVY_EXPORT const char *cvy_transport_self_endpoint(const cvy_transport_t *t);
CVY_EXPORT const char *cvy_transport_other_endpoint(const cvy_transport_t *t);
/** The address itself; NULL where the kind has none. */
CVY_EXPORT const struct sockaddr *cvy_transport_self_address(const cvy_transport_t *t);
CVY_EXPORT const struct sockaddr *cvy_transport_other_address(const cvy_transport_t *t);

CVY_EXPORT cvy_conveyor_t *cvy_transport_conveyor(cvy_transport_t *t);
CVY_EXPORT cvy_loop_t *cvy_transport_loop(const cvy_transport_t *t);
/** The descriptor, for options that are not first-class. Errors: UV_ENOTSUP (this kind has none), UV_EBADF (closed). */
CVY_EXPORT int cvy_transport_fd(const cvy_transport_t *t, cvy_socket_t *out);
/** "tcp", "pipe", "inproc", "embedded", "watched" or the name in its ops. */
CVY_EXPORT const char *cvy_transport_kind(const cvy_transport_t *t);

typedef struct cvy_transport_stats {
    uint64_t bytes_read, bytes_written;   /* from and to the kernel */
    uint64_t bytes_dropped;               /* inbound bytes that no stage took */
    uint64_t last_read_ms, last_write_ms; /* loop clock at the last progress */
} cvy_transport_stats_t;
CVY_EXPORT void cvy_transport_stats(const cvy_transport_t *t, cvy_transport_stats_t *out);
/** Whether reading is held back now, by anyone. */
CVY_EXPORT bool cvy_transport_suspended(const cvy_transport_t *t);

/** A pointer of the application's; NULL at first. */
CVY_EXPORT void cvy_transport_set_data(cvy_transport_t *t, void *data);
CVY_EXPORT void *cvy_transport_data(const cvy_transport_t *t);

CVY_EXPORT cvy_transport_t *cvy_transport_ref(cvy_transport_t *t);
CVY_EXPORT void cvy_transport_unref(cvy_transport_t *t);

/* From other threads */

/** Names a transport on its loop: slot and generation. 0 is never a transport. */
typedef uint64_t cvy_transport_id_t;
CVY_EXPORT cvy_transport_id_t cvy_transport_id(const cvy_transport_t *t);

/** status: 0, or UV_ESRCH (it was gone), UV_ECANCELED (the loop ended), UV_EPIPE (it was closing, or our side is shut). Runs on the loop's thread. */
typedef void (*cvy_post_cb)(void *arg, int status);

/**
 * cvy_conveyor_write from any thread. Takes b on success; its bytes count against the hard limit from now on.
 *
 * Errors: UV_ESRCH, UV_ENOBUFS, UV_ESHUTDOWN, UV_ENOMEM; b untouched, cb not called. cb may be NULL.
 * Thread: any; the caller holds a reference to loop.
 */
CVY_EXPORT int cvy_transport_post_write(cvy_loop_t *loop, cvy_transport_id_t id, cvy_buf_t *b, cvy_post_cb cb,
                                        void *arg);
/** cvy_transport_close (shutdown(err) when graceful) from any thread. Errors: UV_ESRCH, UV_ESHUTDOWN, UV_ENOMEM. */
CVY_EXPORT int cvy_transport_post_close(cvy_loop_t *loop, cvy_transport_id_t id, const cvy_close_t *how);
/** Runs cb(t, arg, 0) on the loop's thread; t is NULL and status not 0 where the transport is gone. Errors as above. */
CVY_EXPORT int cvy_transport_post_call(cvy_loop_t *loop, cvy_transport_id_t id,
                                       void (*cb)(cvy_transport_t *t, void *arg, int status), void *arg);

CVY_END_DECLS
#endif
