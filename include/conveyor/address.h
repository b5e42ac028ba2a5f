/*
 * Addresses are URIs:
 *   tcp://127.0.0.1:7000  tcp://[::1]:0  tcp://localhost:7000   port 0: any free one, for listeners
 *   unix:///path          unix://@name                          a socket file; an abstract name (Linux)
 *   ipc://name            a Unix socket in $XDG_RUNTIME_DIR, else in a folder of the user's own (mode 0700) under the temporary
 *                         directory; on Windows the named pipe of that name
 *   pipe://name           a named pipe (Windows)
 *   inproc://name         within this process
 *   fd://3                for listeners: an open descriptor that listens, TCP or Unix (Windows: the number of a SOCKET, TCP). Who
 *                         opened it gives it away when start succeeds: the listener then closes it; a socket's file stays
 *   systemd://  systemd://name   for listeners: all sockets that a service manager passed, or those of that name; see service.h
 */
#ifndef CONVEYOR_ADDRESS_H
#define CONVEYOR_ADDRESS_H

#include <conveyor/base.h>

CVY_BEGIN_DECLS

/**
 * Checks an address as a listener or dialer would, without looking anything up: for command lines. why, where not NULL, gets one
 * line: "tcp://127.0.0.1:99999: port must be 0 to 65535 (EINVAL)", or "" when all is well.
 *
 * Units:  n in bytes, the terminating zero included; longer text is cut.
 * Errors: UV_EINVAL, UV_ENAMETOOLONG, UV_ENOTSUP (not to be had on this system).
 * Thread: any.
 */
CVY_EXPORT int cvy_address_check(const char *uri, char *why, size_t n);

CVY_END_DECLS
#endif
