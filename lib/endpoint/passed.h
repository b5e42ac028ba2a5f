/*
 * Descriptors that a service manager passes to a process that it starts: from number 3 on, as many as LISTEN_FDS says, for the process LISTEN_PID,
 * named by LISTEN_FDNAMES. Source: sd_listen_fds(3).
 */
#ifndef CVY_ENDPOINT_PASSED_H
#define CVY_ENDPOINT_PASSED_H

#include <stdbool.h>
#include <stddef.h>

#define CVY__PASSED_FIRST 3

/*
 * How many were passed to this process, all of them open and close-on-exec from here on; or a code, and why gets one line that begins with
 * who. UV_EINVAL (a variable), UV_EBADF (one is not open).
 */
int cvy__passed_count(const char *who, char *why, size_t n);
/* Whether the i-th has this name. */
bool cvy__passed_is(int i, const char *name);
/* UV_ENOENT, and says why there is none. */
int cvy__passed_none(const char *who, int count, char *why, size_t n);

#endif
