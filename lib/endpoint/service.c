/* The public calls of service.h. */
#include <conveyor/service.h>
#include <uv.h>

#include "base/system_service.h"
#include "endpoint/passed.h"

int cvy_service_sockets(char *why, size_t n)
{
    if (why && n) why[0] = '\0';
    return cvy__has_services() ? cvy__passed_count("environment", why, n) : 0;
}

void cvy_service_forget(void)
{
    uv_os_unsetenv("LISTEN_FDS");
    uv_os_unsetenv("LISTEN_PID");
    uv_os_unsetenv("LISTEN_FDNAMES");
}

int cvy_service_notify(const char *state)
{
    char manager[256];
    size_t n = sizeof manager;
    int err = uv_os_getenv("NOTIFY_SOCKET", manager, &n);
    if (err) return err == UV_ENOENT ? 0 : err == UV_ENOBUFS ? UV_ENAMETOOLONG : err;
    return cvy__service_tell(manager, state);
}
