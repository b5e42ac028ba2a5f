/* The environment's side of socket activation: three variables, of which each may be wrong. */
#include "endpoint/passed.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/system.h"
#include "endpoint/address.h"

static bool parse(const char *text, uint64_t most, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    *out = 0;
    for (size_t i = 0; i < digits && *out <= most; i++)
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    return digits && !text[digits] && *out <= most;
}

/* "who: NAME=value rule (CODE)" */
static int broken(const char *who, char *why, size_t n, const char *name, const char *rule, int err)
{
    char line[300];
    snprintf(line, sizeof line, "%s=%.100s %s", name, getenv(name), rule);
    return cvy__address_say(why, n, who, line, err);
}

static int check_open(const char *who, char *why, size_t n, int count)
{
    char rule[64];
    for (int i = 0; i < count; i++) {
        int err = cvy__fd_close_on_exec((cvy_socket_t)(CVY__PASSED_FIRST + i));
        snprintf(rule, sizeof rule, "and descriptor %d is not open", CVY__PASSED_FIRST + i);
        if (err) return broken(who, why, n, "LISTEN_FDS", rule, err);
    }
    return count;
}

int cvy__passed_count(const char *who, char *why, size_t n)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t process, count;
    if (!pid || !fds) return 0;
    if (!parse(pid, INT_MAX, &process))
        return broken(who, why, n, "LISTEN_PID", "must be a process' number", UV_EINVAL);
    if (process != (uint64_t)uv_os_getpid()) return 0; /* meant for who started us */
    if (!parse(fds, INT_MAX - CVY__PASSED_FIRST, &count))
        return broken(who, why, n, "LISTEN_FDS", "must be 0 to 2147483644", UV_EINVAL);
    return check_open(who, why, n, (int)count);
}

bool cvy__passed_is(int i, const char *name)
{
    const char *at = getenv("LISTEN_FDNAMES");
    for (; at && i > 0; i--) {
        at = strchr(at, ':');
        if (at) at++;
    }
    return at && strcspn(at, ":") == strlen(name) && !strncmp(at, name, strlen(name));
}

int cvy__passed_none(const char *who, int count, char *why, size_t n)
{
    const char *pid = getenv("LISTEN_PID");
    if (count && getenv("LISTEN_FDNAMES")) return broken(who, why, n, "LISTEN_FDNAMES", "has no such name", UV_ENOENT);
    if (count) return cvy__address_say(why, n, who, "LISTEN_FDNAMES is not set: no socket has a name", UV_ENOENT);
    if (pid && getenv("LISTEN_FDS")) {
        bool ours = strtoll(pid, NULL, 10) == uv_os_getpid();
        return ours ? broken(who, why, n, "LISTEN_FDS", "passes none", UV_ENOENT)
                    : broken(who, why, n, "LISTEN_PID", "is not this process", UV_ENOENT);
    }
    return cvy__address_say(why, n, who, "no sockets were passed: LISTEN_FDS is not set", UV_ENOENT);
}
