/* An event as users define theirs, in a header that several files take in. */
#ifndef CVY_TEST_EVENT_PING_H
#define CVY_TEST_EVENT_PING_H

#include <conveyor/event.h>

typedef struct ping {
    cvy_event_t event;
    int number;
} ping_t;
CVY_EVENT(ping);

/* The type of ping as another file sees it. */
const cvy_event_type_t *ping_type_elsewhere(void);

#endif
