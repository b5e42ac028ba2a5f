/*
 * A program as a service: sockets that the service manager has opened before it started the program (systemd's socket activation), and
 * what the manager wants to hear. It is a protocol of environment variables and numbers; nothing of systemd's is linked.
 *
 *     .address = cvy_service_sockets(NULL, 0) > 0 ? "systemd://" : "tcp://127.0.0.1:7000",
 *
 * listens on whatever was passed, and by itself where nothing was. See also stop_on_signals in listener.h.
 */
#ifndef CONVEYOR_SERVICE_H
#define CONVEYOR_SERVICE_H

#include <conveyor/base.h>

CVY_BEGIN_DECLS

/**
 * How many sockets were passed to this process: descriptors 3, 4, ...; they are close-on-exec after it. Listening ones go into a
 * listener as systemd:// (all), systemd://name (those of that name) or fd://3; a connected one (Accept=yes) is cvy_transport_adopt's.
 * 0: none, they are another process', or there is no such thing here. why, where not NULL, gets one line: "environment: LISTEN_FDS=abc must
 * be 0 to 2147483644 (EINVAL)", or "" when all is well.
 *
 * Units:  n in bytes, the terminating zero included; longer text is cut.
 * Errors: UV_EINVAL (a variable can't be read), UV_EBADF (one of them is not open).
 * Thread: any, while nobody changes the environment.
 * Source: sd_listen_fds(3).
 */
CVY_EXPORT int cvy_service_sockets(char *why, size_t n);
/**
 * Removes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES from the environment, for a program that starts others; once its listeners have
 * started. Thread: any, while nobody else reads or changes the environment.
 */
CVY_EXPORT void cvy_service_forget(void);

/**
 * Tells the service manager: "READY=1", "STOPPING=1", "STATUS=one line", several with newlines between. 0 where it is told, and where nobody
 * wants to know (NOTIFY_SOCKET is not set). It may wait until the manager reads.
 *
 * Errors: UV_EINVAL, UV_ENAMETOOLONG (NOTIFY_SOCKET is neither /path nor @name), UV_ENOTSUP (set where there is no such thing), and what
 *         sendto answers.
 * Thread: any, while nobody changes the environment.
 * Source: sd_notify(3).
 */
CVY_EXPORT int cvy_service_notify(const char *state);

CVY_END_DECLS
#endif
