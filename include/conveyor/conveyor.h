/*
 * Conveyor: Netty's pipeline for C, on libuv. This header takes in all the others.
 *
 * What holds everywhere unless a docstring says otherwise:
 *   Arguments are not NULL and are borrowed for the call. Options are copied before the call returns; NULL means all defaults.
 *   Functions that return int return 0, or one of libuv's negative UV_E* codes; outputs are untouched on failure.
 *   Everything happens on the loop's thread; a call from another thread asserts in debug builds and answers UV_EPERM, where it can.
 *   Names: new/free are ours to allocate, init/fini yours, ref/unref shared; fire goes to the neighbour, post comes from any thread.
 *
 * Who comes from the design that this follows finds its methods in snake case: Transport.onFlushCompleted is
 * cvy_transport_on_flush_completed, Listener.listenAndWait cvy_listener_listen_and_wait. What is elsewhere (ByteBuf: see buf.h):
 *   Transport.pipeline                    cvy_transport_conveyor
 *   StageContext.pipeline, fireInbound    cvy_ctx_conveyor, cvy_fire_inbound
 *   Stage.onAdded, onInbound(InboundBytes), ...   the slots of cvy_stage_t: on_added, on_inbound_bytes, ...
 *   Stage.onInboundEvent, onOutboundEvent the catch-alls of cvy_stage_t: on_inbound, on_outbound
 *   Event.type, EventBase.static_type     ev->type, &name_event
 *   as<T>                                 cvy_event_as
 *   InboundTransportActive, -Inactive     cvy_active, cvy_inactive
 *   InboundTransportError                 cvy_failure; its slot is on_error
 *   Dialer, Listener: onFailure, ...      members of their options: on_failure, ...
 *   EventWatcher.watchRead, unwatchRead   cvy_watch_read, cvy_unwatch_read
 *   readSome, writeSome, onConnectWritable    cvy_transport_ops_t (adopt.h)
 *   onReadable, onWritable                the watched transport's own; no one else calls them
 */
#ifndef CONVEYOR_CONVEYOR_H
#define CONVEYOR_CONVEYOR_H

#include <conveyor/address.h>
#include <conveyor/adopt.h>
#include <conveyor/alloc.h>
#include <conveyor/base.h>
#include <conveyor/buf.h>
#include <conveyor/chain.h>
#include <conveyor/credentials.h>
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
#include <conveyor/service.h>
#include <conveyor/stage.h>
#include <conveyor/timer.h>
#include <conveyor/trace.h>
#include <conveyor/transport.h>
#include <conveyor/version.h>
#include <conveyor/watch.h>

#endif
