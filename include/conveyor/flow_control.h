/*
 * Couples both directions for the stages behind it, and shields them while reading is suspended. Source: seed, FlowControlStage.
 *
 * What every conveyor does without it: cvy_ctx_suspend (or firing InboundSuspend) stops reading, writability walks by itself, and
 * `hold_reads` holds reading while the outbound queue is above its high mark. What this stage adds:
 *   - it holds reading from outbound-suspend to outbound-resume, for this conveyor alone, where `hold_reads` is off;
 *   - buffers that still arrive while reading is suspended (from a stage in front that fires in spite of UV_EAGAIN, or
 *     the rest of one that was removed) wait here, each on its own, end of stream behind them, and go on with inbound-resume.
 *     They are no more than what one turn brings.
 * Two peers that both stop reading until the other reads wait for each other: the write-stall timeout ends that.
 */
#ifndef CONVEYOR_FLOW_CONTROL_H
#define CONVEYOR_FLOW_CONTROL_H

#include <conveyor/chain.h>

CVY_BEGIN_DECLS

typedef struct cvy_flow_control_opts {
    int uncoupled; /* writability does not hold reading; off: 1 turns it on */
} cvy_flow_control_opts_t;

CVY_EXPORT_DATA extern const cvy_stage_t cvy_flow_control_stage;

/** Adds it at the end. Errors: as cvy_conveyor_add_last. */
CVY_EXPORT int cvy_flow_control_add(cvy_conveyor_t *c, const cvy_flow_control_opts_t *opts);

CVY_END_DECLS
#endif
