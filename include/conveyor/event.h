/*
 * Events: typed things that travel through a conveyor. An event's type is the address of one object; there is no registry.
 *
 *   typedef struct command {
 *       cvy_event_t event;               first
 *       int verb;
 *   } command_t;
 *   CVY_EVENT(command);                  the one line, in a header or a .c file
 *
 *   command_t c = {CVY_EVENT_OF(command), .verb = 1};
 *   cvy_fire_inbound(ctx, &c.event);
 *   ...
 *   command_t *c = cvy_event_as(ev, command);   NULL when ev is something else
 *
 * Events are borrowed: valid during the callback. What an event owns (the buffer of a bytes event) may be moved out; who fired it
 * disposes of the rest after the call.
 */
#ifndef CONVEYOR_EVENT_H
#define CONVEYOR_EVENT_H

#include <conveyor/buf.h>

CVY_BEGIN_DECLS

typedef struct cvy_event_type {
    const char *name;
    int builtin; /* 0 for every type but ours */
} cvy_event_type_t;

typedef struct cvy_event {
    const cvy_event_type_t *type;
} cvy_event_t;

#ifdef __cplusplus
#define CVY_EVENT(name) extern "C" CVY_ONE_DEFINITION const cvy_event_type_t name##_event = { #name, 0 }
#else
/* The attribute has to stand at the first declaration: mingw forgets it otherwise. */
#define CVY_EVENT(name)                                            \
    CVY_ONE_DEFINITION extern const cvy_event_type_t name##_event; \
    CVY_ONE_DEFINITION const cvy_event_type_t name##_event = { #name, 0 }
#endif

/* clang-format off */
#define CVY_EVENT_OF(name) { &name##_event }
/* clang-format on */

#define cvy_event_as(ev, name) ((name##_t *)cvy_event_if((ev), &name##_event))

static inline cvy_event_t *cvy_event_if(cvy_event_t *ev, const cvy_event_type_t *type)
{
    return ev->type == type ? ev : NULL;
}

/* How to close: see transport.h. */
typedef enum cvy_close_verb {
    CVY_CLOSE_GRACEFUL, /* send what is queued, say goodbye (FIN), wait for the peer's, close; under deadlines */
    CVY_CLOSE_NOW,      /* drop what is queued, close */
    CVY_CLOSE_RESET     /* the peer sees a reset; where there is none: now */
} cvy_close_verb_t;

typedef struct cvy_close {
    cvy_close_verb_t verb;
    int err; /* the cause that on_shutdown_completed gets; 0: none */
} cvy_close_t;

/* The built-in events. A stage normally has a slot for each (stage.h) and never sees these structs; its catch-all does. */

#define CVY_BUILTIN(name) CVY_EXPORT_DATA extern const cvy_event_type_t name##_event
/* inbound */
CVY_BUILTIN(cvy_active);
CVY_BUILTIN(cvy_inbound_bytes);
CVY_BUILTIN(cvy_read_complete);
CVY_BUILTIN(cvy_read_closed);
CVY_BUILTIN(cvy_outbound_suspend);
CVY_BUILTIN(cvy_outbound_resume);
CVY_BUILTIN(cvy_failure);
CVY_BUILTIN(cvy_inactive);
/* outbound */
CVY_BUILTIN(cvy_outbound_bytes);
CVY_BUILTIN(cvy_outbound_flush);
CVY_BUILTIN(cvy_inbound_suspend);
CVY_BUILTIN(cvy_inbound_resume);
CVY_BUILTIN(cvy_outbound_close);
#undef CVY_BUILTIN

typedef struct cvy_inbound_bytes {
    cvy_event_t event;
    cvy_buf_t *buf;
} cvy_inbound_bytes_t;

typedef struct cvy_outbound_bytes {
    cvy_event_t event;
    cvy_buf_t *buf;
} cvy_outbound_bytes_t;

typedef struct cvy_failure {
    cvy_event_t event;
    const cvy_error_t *error;
} cvy_failure_t;

typedef struct cvy_outbound_close {
    cvy_event_t event;
    const cvy_close_t *how;
} cvy_outbound_close_t;

CVY_END_DECLS
#endif
