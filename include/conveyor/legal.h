/*
 * Which call is legal where, and what it does or answers elsewhere: one table, which test/test_legal.c walks. To read, not to
 * include; nothing in the library needs it.
 *
 * The situations:
 *   added     inside the on_added of the context that the call names, or of the one that runs
 *   callback  inside any other callback
 *   outside   outside any dispatch: a timer, a task, the application's own callback, on the loop's thread
 *   closing   after closing began, until shutdown-completed; inside a callback or not
 *   removed   by a stage that was removed, until its on_removed has returned; a call that names a context names that one
 *   ended     after shutdown-completed, by whoever holds a reference to the transport; the contexts are gone
 *   thread    on another thread than the loop's
 *
 * The answers:
 *   DOES      does what it says; answers 0, or what was asked for
 *   NOTHING   does nothing; answers nothing, 0 or NULL
 *   NO        does nothing; answers false
 *   PIPE      does nothing; answers UV_EPIPE. A fire takes its event all the same, and disposes of its bytes
 *   CANCELED  does what it says; answers UV_ECANCELED, for the stage to stop
 *   NOENT     does nothing; answers UV_ENOENT: a removed context is not in the chain
 *   SRCH      does nothing; answers UV_ESRCH
 *   GONE      never: the memory of the context is gone
 *   PERM      never: an assertion in debug builds; in release builds does nothing and answers UV_EPERM
 *   ASSERT    never: an assertion in debug builds; in release builds nobody knows
 *   RACE      never: not checked
 *   ANY       does what it says
 */
#ifndef CONVEYOR_LEGAL_H
#define CONVEYOR_LEGAL_H

/* X(call, added, callback, outside, closing, removed, ended, thread) */
/* clang-format off */
#define CVY_LEGAL(X)                                                                                            \
    /* stage.h: firing                  added    callback outside  closing  removed   ended    thread */        \
    X(fire_inbound,                     DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_inbound_bytes,               DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_error,                       DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_outbound,                    DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_outbound_bytes,              DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_outbound_copy,               DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_outbound_flush,              DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    X(fire_outbound_close,              DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    ASSERT)          \
    /* stage.h: the context */                                                                                  \
    X(ctx_state,                        DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_stage,                        DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_conveyor,                     DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_transport,                    DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_loop,                         DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_pool,                         DOES,    DOES,    DOES,    DOES,    DOES,     GONE,    RACE)            \
    X(ctx_stopped,                      DOES,    DOES,    DOES,    PIPE,    CANCELED, GONE,    RACE)            \
    X(ctx_writable,                     DOES,    DOES,    DOES,    NO,      NO,       GONE,    RACE)            \
    X(ctx_timer,                        DOES,    DOES,    DOES,    DOES,    NOTHING,  GONE,    ASSERT)          \
    X(ctx_suspend,                      DOES,    DOES,    DOES,    DOES,    NOTHING,  GONE,    ASSERT)          \
    X(ctx_resume,                       DOES,    DOES,    DOES,    DOES,    NOTHING,  GONE,    ASSERT)          \
    X(ctx_fail,                         DOES,    DOES,    DOES,    NOTHING, DOES,     GONE,    ASSERT)          \
    X(ctx_fail_limit,                   DOES,    DOES,    DOES,    NOTHING, DOES,     GONE,    ASSERT)          \
    X(ctx_activate_next,                NOTHING, DOES,    DOES,    NOTHING, NOTHING,  GONE,    ASSERT)          \
    X(ctx_read_closed_next,             NOTHING, DOES,    DOES,    NOTHING, NOTHING,  GONE,    ASSERT)          \
    /* chain.h                          added    callback outside  closing  removed   ended    thread */        \
    X(conveyor_add_last,                DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(conveyor_add_first,               DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(conveyor_add_before,              DOES,    DOES,    DOES,    PIPE,    NOENT,    PIPE,    PERM)            \
    X(conveyor_add_after,               DOES,    DOES,    DOES,    PIPE,    NOENT,    PIPE,    PERM)            \
    X(conveyor_remove,                  DOES,    DOES,    DOES,    DOES,    NOENT,    NOENT,   PERM)            \
    X(conveyor_replace,                 DOES,    DOES,    DOES,    PIPE,    NOENT,    PIPE,    PERM)            \
    X(conveyor_map,                     DOES,    DOES,    DOES,    DOES,    DOES,     NOTHING, ASSERT)          \
    X(conveyor_find,                    DOES,    DOES,    DOES,    DOES,    NOTHING,  NOTHING, RACE)            \
    X(conveyor_fire_inbound,            DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    ASSERT)          \
    X(conveyor_fire_outbound,           DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    ASSERT)          \
    X(conveyor_write,                   DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(conveyor_transport,               DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(conveyor_loop,                    DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    /* transport.h                      added    callback outside  closing  removed   ended    thread */        \
    X(transport_write,                  DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(transport_write_some,             DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(transport_flush,                  DOES,    DOES,    DOES,    DOES,    DOES,     PIPE,    PERM)            \
    X(transport_queued,                 DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_writable,               DOES,    DOES,    DOES,    NO,      DOES,     NO,      RACE)            \
    X(transport_close,                  DOES,    DOES,    DOES,    DOES,    DOES,     NOTHING, PERM)            \
    X(transport_shutdown,               DOES,    DOES,    DOES,    NOTHING, DOES,     NOTHING, PERM)            \
    X(transport_shutdown_write,         DOES,    DOES,    DOES,    PIPE,    DOES,     PIPE,    PERM)            \
    X(transport_readable_state_changed, DOES,    DOES,    DOES,    NOTHING, DOES,     NOTHING, ASSERT)          \
    X(transport_on_flush_completed,     DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_on_writable_state_changed, DOES, DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_on_shutdown_completed,  DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_read_state,             DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_write_state,            DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_closing,                DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_self_endpoint,          DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_other_endpoint,         DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_self_address,           DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_other_address,          DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_conveyor,               DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_loop,                   DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_fd,                     DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_kind,                   DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_stats,                  DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_suspended,              DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_set_data,               DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_data,                   DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_ref,                    DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_unref,                  DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_id,                     DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)            \
    X(transport_post_write,             DOES,    DOES,    DOES,    DOES,    DOES,     SRCH,    ANY)             \
    X(transport_post_close,             DOES,    DOES,    DOES,    DOES,    DOES,     SRCH,    ANY)             \
    X(transport_post_call,              DOES,    DOES,    DOES,    DOES,    DOES,     SRCH,    ANY)             \
    /* credentials.h */                                                                                         \
    X(transport_peer_credentials,       DOES,    DOES,    DOES,    DOES,    DOES,     DOES,    RACE)

/*
 * The calls on what is no conveyor and no transport: what they do on another thread than the loop's. On the loop's own they are legal at any
 * time, in and outside callbacks; their headers say what they answer in which state. Buffers belong to whoever has them (buf.h), an
 * embedded transport to the thread that made it.
 *
 * X(call, thread)
 */
#define CVY_LEGAL_ELSEWHERE(X)        \
    /* loop.h */                      \
    X(loop_attach, RACE)              \
    X(loop_new, ANY)                  \
    X(loop_ref, ANY)                  \
    X(loop_unref, ANY)                \
    X(loop_detach, PERM)              \
    X(loop_run, RACE)                 \
    X(loop_turn, RACE)                \
    X(loop_start, RACE)               \
    X(loop_join, RACE)                \
    X(loop_stop, ANY)                 \
    X(loop_wake, ANY)                 \
    X(loop_uv, RACE)                  \
    X(loop_pool, RACE)                \
    X(loop_now, RACE)                 \
    X(loop_in_thread, ANY)            \
    X(loop_post, ANY)                 \
    X(loop_post_after, ANY)           \
    /* group.h */                     \
    X(group_new, ANY)                 \
    X(group_free, RACE)               \
    X(group_start, RACE)              \
    X(group_run, RACE)                \
    X(group_stop, ANY)                \
    X(group_join, RACE)               \
    X(group_size, ANY)                \
    X(group_loop, ANY)                \
    /* listener.h */                  \
    X(listener_new, ANY)              \
    X(listener_free, ANY)             \
    X(listener_ref, ANY)              \
    X(listener_start, PERM)           \
    X(listener_listen_and_wait, RACE) \
    X(listener_shutdown, ANY)         \
    X(listener_pause, PERM)           \
    X(listener_resume, PERM)          \
    X(listener_state, ANY)            \
    X(listener_connections, ANY)      \
    X(listener_address, RACE)         \
    X(listener_message, RACE)         \
    /* dialer.h */                    \
    X(dialer_new, ANY)                \
    X(dialer_free, ASSERT)            \
    X(dialer_dial, PERM)              \
    X(dialer_cancel, PERM)            \
    X(dialer_message, RACE)           \
    /* timer.h */                     \
    X(timer_init, RACE)               \
    X(timer_start, ASSERT)            \
    X(timer_stop, ASSERT)             \
    X(timer_armed, RACE)              \
    /* watch.h */                     \
    X(watch_new, PERM)                \
    X(watch_free, ASSERT)             \
    X(watch_read, PERM)               \
    X(watch_write, PERM)              \
    X(unwatch_read, ASSERT)           \
    X(unwatch_write, ASSERT)          \
    X(watch_fd, RACE)                 \
    /* adopt.h */                     \
    X(transport_adopt, PERM)          \
    X(transport_pair, PERM)           \
    X(transport_watched, PERM)        \
    X(transport_user, RACE)           \
    /* service.h */                   \
    X(service_sockets, ANY)           \
    X(service_forget, RACE)           \
    X(service_notify, ANY)
/* clang-format on */

#endif
