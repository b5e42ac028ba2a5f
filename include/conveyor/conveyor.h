/*
 * Conveyor: Netty's pipeline for C, on libuv. This header takes in all the others.
 *
 * What holds everywhere unless a docstring says otherwise:
 *   Arguments are not NULL and are borrowed for the call. Options are copied before the call returns; NULL means all defaults.
 *   Functions that return int return 0, or one of libuv's negative UV_E* codes; outputs are untouched on failure.
 *   Everything happens on the loop's thread; a call from another thread asserts in debug builds and answers UV_EPERM, where it can.
 *   Names: new/free are ours to allocate, init/fini yours, ref/unref shared; fire goes to the neighbour, post comes from any thread.
 */
#ifndef CONVEYOR_CONVEYOR_H
#define CONVEYOR_CONVEYOR_H

#include <conveyor/address.h>
#include <conveyor/adopt.h>
#include <conveyor/alloc.h>
#include <conveyor/base.h>
#include <conveyor/buf.h>
#include <conveyor/chain.h>
#include <conveyor/cursor.h>
#include <conveyor/delimiter.h>
#include <conveyor/dialer.h>
#include <conveyor/embedded.h>
#include <conveyor/event.h>
#include <conveyor/fixed.h>
#include <conveyor/flow_control.h>
#include <conveyor/frame.h>
#include <conveyor/group.h>
#include <conveyor/heartbeat.h>
#include <conveyor/idle.h>
#include <conveyor/line.h>
#include <conveyor/listener.h>
#include <conveyor/loop.h>
#include <conveyor/stage.h>
#include <conveyor/timer.h>
#include <conveyor/trace.h>
#include <conveyor/transport.h>
#include <conveyor/watch.h>

#endif
