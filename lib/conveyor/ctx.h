/* Making a context; the rest of what this room shares is in core.h. */
#ifndef CVY_CONVEYOR_CTX_H
#define CVY_CONVEYOR_CTX_H

#include "conveyor/core.h"

/* Zeroed state; not yet in the chain. NULL: no memory. */
cvy_ctx_t *cvy__ctx_new(cvy_conveyor_t *c, const cvy_stage_t *stage);

#endif
