/* The second file that takes in event_ping.h. */
#include "event_ping.h"

const cvy_event_type_t *ping_type_elsewhere(void)
{
    return &ping_event;
}
