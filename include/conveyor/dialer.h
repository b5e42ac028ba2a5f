/*
 * A dialer connects once: exactly one of on_connected and on_failure is called, never inside dial.
 */
#ifndef CONVEYOR_DIALER_H
#define CONVEYOR_DIALER_H

#include <conveyor/address.h>
#include <conveyor/transport.h>

CVY_BEGIN_DECLS

/**
 * Everything of a dialer happens on its loop's thread. The loop is lent: it outlives the dial. A dial that is under way keeps the loop
 * alive; when the loop ends first, on_failure gets UV_ECANCELED.
 *
 * A name with several addresses is raced (RFC 8305): families take turns, the next attempt starts when one fails or has said nothing
 * for attempt_delay_ms, the first to connect wins. At most 16 addresses are tried.
 */
typedef struct cvy_dialer cvy_dialer_t;

typedef struct cvy_dialer_opts {
    const char *address; /* see address.h; copied */
    cvy_loop_t *loop;
    cvy_conveyor_init_cb conveyor_init;
    /** Lends the transport; writing is possible from here on. May be NULL. */
    void (*on_connected)(cvy_dialer_t *d, cvy_transport_t *t, void *arg);
    /** UV_ETIMEDOUT, UV_ECANCELED, UV_ECONNREFUSED, UV_EAI_*, what conveyor_init answered, ...: the last address' error
     * where there were several. See cvy_dialer_message. May be NULL. */
    void (*on_failure)(cvy_dialer_t *d, int err, void *arg);
    void *arg; /* for all three */
    const cvy_transport_opts_t *transport;
    int64_t timeout_ms;       /* for everything from name to connection; 30000. CVY_OFF: the system's */
    int64_t attempt_delay_ms; /* between staggered attempts when a name has several addresses; 250 (RFC 8305) */
    const char *bind_address; /* tcp://host:port to connect from; NULL: any */
} cvy_dialer_opts_t;

/** Errors: UV_ENOMEM, UV_EINVAL (no address or no loop). A bad address is dial's error. */
CVY_EXPORT int cvy_dialer_new(cvy_dialer_t **out, const cvy_dialer_opts_t *opts);
/** Legal at any time, also inside its callbacks; a dial that is under way is given up without a callback. NULL is fine. */
CVY_EXPORT void cvy_dialer_free(cvy_dialer_t *d);
/** Errors: UV_EALREADY (dialed before), UV_EINVAL, UV_ENAMETOOLONG, UV_ENOTSUP (the address), UV_ESHUTDOWN, UV_EPERM, UV_ENOMEM; then no callback. */
CVY_EXPORT int cvy_dialer_dial(cvy_dialer_t *d);
/** on_failure(UV_ECANCELED) follows, later. Errors: UV_EALREADY (there was a result), UV_EINVAL (not dialed). */
CVY_EXPORT int cvy_dialer_cancel(cvy_dialer_t *d);
/** One line about what went wrong last, with the address: "tcp://127.0.0.1:1: connection refused (ECONNREFUSED)". "" at first. */
CVY_EXPORT const char *cvy_dialer_message(const cvy_dialer_t *d);

CVY_END_DECLS
#endif
