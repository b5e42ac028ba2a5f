/*
 * The embedded transport: drives a conveyor without I/O and without a uv_loop_t. Bytes go in and come out by calls, and time moves
 * when the test says so. For testing one's own stages.
 *
 *   cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init });
 *   cvy_embedded_feed(e, "PING\r\n", 6);
 *   ck_assert(cvy_buf_equal(cvy_embedded_sent(e), "PONG\r\n", 6));
 */
#ifndef CONVEYOR_EMBEDDED_H
#define CONVEYOR_EMBEDDED_H

#include <conveyor/transport.h>

CVY_BEGIN_DECLS

typedef struct cvy_embedded cvy_embedded_t;

typedef struct cvy_embedded_opts {
    cvy_conveyor_init_cb init;
    void *arg;
    const cvy_transport_opts_t *transport;
    const cvy_loop_opts_t *loop;
    bool connecting; /* not connected until cvy_embedded_connect */
} cvy_embedded_opts_t;

/** Connected, active and reading when it returns. Errors: UV_ENOMEM, what init answered. */
CVY_EXPORT int cvy_embedded_new(cvy_embedded_t **out, const cvy_embedded_opts_t *opts);
/** Closes at once what is open, delivers the end, and frees; NULL is fine. Segments that are still held are the caller's leak. */
CVY_EXPORT void cvy_embedded_free(cvy_embedded_t *e);

CVY_EXPORT cvy_transport_t *cvy_embedded_transport(cvy_embedded_t *e); /* memory valid until free */
CVY_EXPORT cvy_conveyor_t *cvy_embedded_conveyor(cvy_embedded_t *e);
CVY_EXPORT cvy_loop_t *cvy_embedded_loop(cvy_embedded_t *e);

/** The peer sends n bytes: one read, when reading runs; until then they wait, as in a socket. Errors: UV_ENOMEM, UV_EPIPE (ended). */
CVY_EXPORT int cvy_embedded_feed(cvy_embedded_t *e, const void *bytes, size_t n);
/** The peer ends its side, behind what was fed; a reset overtakes everything. */
CVY_EXPORT void cvy_embedded_end(cvy_embedded_t *e);
CVY_EXPORT void cvy_embedded_reset(cvy_embedded_t *e, int code);
CVY_EXPORT void cvy_embedded_connect(cvy_embedded_t *e, int status);

/** What left for the wire so far; consume it with the buffer's calls. */
CVY_EXPORT cvy_buf_t *cvy_embedded_sent(cvy_embedded_t *e);
/** Writes that reached "the kernel" (gathered ones count once), and whether our side ended. */
CVY_EXPORT size_t cvy_embedded_write_calls(const cvy_embedded_t *e);
CVY_EXPORT bool cvy_embedded_shut(const cvy_embedded_t *e);
/** Our side was closed; was_reset: by a reset. */
CVY_EXPORT bool cvy_embedded_closed(const cvy_embedded_t *e, bool *was_reset);

/**
 * Scripts the next writes, one entry each: > 0 takes at most so many bytes, UV_EAGAIN would block until cvy_embedded_unblock,
 * another negative code fails. Behind the script's end everything is taken. The script is copied. Errors: UV_ENOMEM.
 */
CVY_EXPORT int cvy_embedded_script(cvy_embedded_t *e, const int *results, size_t n);
/** From now on writes would block (false: they pass). */
CVY_EXPORT void cvy_embedded_block(cvy_embedded_t *e, bool block);
CVY_EXPORT void cvy_embedded_unblock(cvy_embedded_t *e);

/** Ends the turn: flushes and all that is deferred. Done by every call above, except inside a callback. */
CVY_EXPORT void cvy_embedded_run(cvy_embedded_t *e);
/** Moves the clock; timers fire in order. */
CVY_EXPORT void cvy_embedded_advance(cvy_embedded_t *e, uint64_t ms);

CVY_END_DECLS
#endif
