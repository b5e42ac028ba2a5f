/*
 * jemalloc as the allocator of segments. A library of its own (conveyor_jemalloc): linking jemalloc replaces malloc for the whole
 * process, so it comes only into programs that ask for it.
 */
#ifndef CONVEYOR_JEMALLOC_H
#define CONVEYOR_JEMALLOC_H

#include <conveyor/alloc.h>

CVY_BEGIN_DECLS

/** mallocx and sdallocx, which are told size and alignment and so look nothing up. Thread: any. */
CVY_EXPORT const cvy_alloc_t *cvy_jemalloc_alloc(void);

CVY_END_DECLS
#endif
