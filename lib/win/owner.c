/* Who may open a named pipe. Its owner is who made it; everyone's share is all that libuv can change, and only to give more. */
#include "base/system_service.h"

#include <uv.h>

#include "base/system_socket.h"

int cvy__owner_find(const char *name, bool group, int64_t *out)
{
    (void)name, (void)group, (void)out;
    return UV_ENOTSUP;
}

int cvy__pipe_mode(struct uv_pipe_s *pipe, int mode)
{
    int everyone = (mode & 04 ? UV_READABLE : 0) | (mode & 02 ? UV_WRITABLE : 0);
    return everyone ? uv_pipe_chmod(pipe, everyone) : UV_ENOTSUP;
}
