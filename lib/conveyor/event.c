/* The types of the built-in events: one object each, and its address is the type. */
#include <conveyor/event.h>

#include "conveyor/core.h"

#define BUILTIN(name, number) const cvy_event_type_t name##_event = { #name, number }
BUILTIN(cvy_active, CVY__ACTIVE);
BUILTIN(cvy_inbound_bytes, CVY__INBOUND_BYTES);
BUILTIN(cvy_read_complete, CVY__READ_COMPLETE);
BUILTIN(cvy_read_closed, CVY__READ_CLOSED);
BUILTIN(cvy_outbound_suspend, CVY__OUTBOUND_SUSPEND);
BUILTIN(cvy_outbound_resume, CVY__OUTBOUND_RESUME);
BUILTIN(cvy_failure, CVY__FAILURE);
BUILTIN(cvy_inactive, CVY__INACTIVE);
BUILTIN(cvy_outbound_bytes, CVY__OUTBOUND_BYTES);
BUILTIN(cvy_outbound_flush, CVY__OUTBOUND_FLUSH);
BUILTIN(cvy_inbound_suspend, CVY__INBOUND_SUSPEND);
BUILTIN(cvy_inbound_resume, CVY__INBOUND_RESUME);
BUILTIN(cvy_outbound_close, CVY__OUTBOUND_CLOSE);
