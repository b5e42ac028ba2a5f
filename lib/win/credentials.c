/* The peer of a named pipe: its process. Which user that is would be the process' token, which need not be open to us. */
#include "base/system_service.h"

#include <windows.h>
#include <uv.h>

bool cvy__has_credentials(void)
{
    return true;
}

int cvy__peer_credentials(cvy_socket_t fd, int64_t *pid, int64_t *uid, int64_t *gid)
{
    HANDLE pipe = (HANDLE)fd;
    DWORD flags;
    ULONG peer = 0;
    (void)uid, (void)gid;
    if (GetFileType(pipe) != FILE_TYPE_PIPE || !GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL)) return UV_ENOTSUP;
    BOOL found =
        flags & PIPE_SERVER_END ? GetNamedPipeClientProcessId(pipe, &peer) : GetNamedPipeServerProcessId(pipe, &peer);
    if (!found) return uv_translate_sys_error((int)GetLastError());
    *pid = peer;
    return 0;
}
