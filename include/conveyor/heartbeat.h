/*
 * Keeps a quiet connection alive and notices a dead peer: sends some bytes when nothing was written for interval_ms, and
 * closes when nothing was read for timeout_ms. It adds an idle stage of its own right in front of it, and takes that away again.
 *
 * No beat is added to bytes that are still queued. It closes at once (CVY_CLOSE_NOW) with UV_ETIMEDOUT as the cause: a graceful
 * close would wait for a peer that is not there.
 * The close starts at this stage and goes outbound, so put it in front of stages that want to say goodbye, or behind
 * those that must see it. Idle events of other idle stages pass.
 */
#ifndef CONVEYOR_HEARTBEAT_H
#define CONVEYOR_HEARTBEAT_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

/* 0: the default that stands last in each comment; CVY_OFF: off. */
typedef struct cvy_heartbeat_opts {
    int64_t interval_ms; /* nothing written for so long: send; timeout_ms / 2 (as AMQP peers do), 30000 without one */
    int64_t timeout_ms;  /* nothing read for so long: close; 60000 (RabbitMQ's) */
    const void *bytes;   /* what is sent, copied; an empty buffer: a frame stage in front makes it an empty frame */
    size_t n;            /* of bytes */
} cvy_heartbeat_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_heartbeat_stage;

/** Adds it, and its idle stage, at the end. Errors: as cvy_conveyor_add_last; UV_EINVAL (a time that can't be). */
CVY_EXPORT int cvy_heartbeat_add(cvy_conveyor_t *c, const cvy_heartbeat_opts_t *opts);

CVY_END_DECLS
#endif
