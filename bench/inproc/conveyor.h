/* Conveyor's benches, by what they are about. */
#ifndef CVY_BENCH_INPROC_CONVEYOR_H
#define CVY_BENCH_INPROC_CONVEYOR_H

#include <conveyor/embedded.h>

#include "driver.h"

void buf_start(void);
long append_and_drain(int size);
void fill(int size);
long split_frames(int size);
long move_chain(int size);

void chain_passing(int size);
void chain_skipped(int size);
long send_through(int size);

#endif
