/*
 * Readiness of any descriptor on a loop (sockets only on Windows). The descriptor stays the caller's.
 */
#ifndef CONVEYOR_WATCH_H
#define CONVEYOR_WATCH_H

#include <conveyor/loop.h>

CVY_BEGIN_DECLS

typedef struct cvy_watch cvy_watch_t;
/** status: 0 when ready, else what poll reported; then both interests are gone, and the descriptor's own calls tell the reason. */
typedef void (*cvy_watch_cb)(cvy_watch_t *watch, int status, void *arg);

/**
 * One watch per descriptor, which becomes non-blocking; nothing is watched yet.
 *
 * Owns:   the caller; free it before the descriptor is closed. When the loop ends it falls silent, and is still the caller's to free.
 * Errors: UV_ENOMEM, UV_EBADF, UV_EEXIST (where libuv notices), UV_EPERM (a plain file), UV_ESHUTDOWN (the loop ends).
 */
CVY_EXPORT int cvy_watch_new(cvy_watch_t **out, cvy_loop_t *loop, cvy_socket_t fd);
/** No callback after this returns. Legal inside its own callback. */
CVY_EXPORT void cvy_watch_free(cvy_watch_t *watch);

/**
 * Calls back in every turn in which fd is readable (writable), until unwatched. Called again: the new callback holds. A watch keeps the
 * loop alive while it watches something.
 *
 * Errors: UV_ESHUTDOWN (the loop ends), and what uv_poll_start answers.
 */
CVY_EXPORT int cvy_watch_read(cvy_watch_t *watch, cvy_watch_cb cb, void *arg);
CVY_EXPORT int cvy_watch_write(cvy_watch_t *watch, cvy_watch_cb cb, void *arg);
/** No callback after this returns, also for events of the same poll. Idempotent. */
CVY_EXPORT void cvy_unwatch_read(cvy_watch_t *watch);
CVY_EXPORT void cvy_unwatch_write(cvy_watch_t *watch);
CVY_EXPORT cvy_socket_t cvy_watch_fd(const cvy_watch_t *watch);

CVY_END_DECLS
#endif
