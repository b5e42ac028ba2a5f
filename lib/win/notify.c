/* Windows' services are told by another way, which is the application's. */
#include "base/system_service.h"

#include <uv.h>

int cvy__service_tell(const char *path, const char *text)
{
    (void)path, (void)text;
    return UV_ENOTSUP;
}

bool cvy__has_services(void)
{
    return false;
}
