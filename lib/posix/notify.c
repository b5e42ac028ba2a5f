/* Telling a service manager, in one datagram. */
#include "base/system_service.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/system_socket.h"

static int send_to(const struct sockaddr_un *manager, socklen_t n, const char *text)
{
    int err = 0, fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) return uv_translate_sys_error(errno);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    while (sendto(fd, text, strlen(text), 0, (const struct sockaddr *)manager, n) < 0 && !err)
        if (errno != EINTR) err = uv_translate_sys_error(errno);
    close(fd);
    return err;
}

int cvy__service_tell(const char *path, const char *text)
{
    struct sockaddr_un manager = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || !path[1]) return UV_EINVAL;
    if (path[0] == '@' && !cvy__has_abstract()) return UV_ENOTSUP;
    if (n >= sizeof manager.sun_path) return UV_ENAMETOOLONG;
    memcpy(manager.sun_path, path, n);
    if (path[0] == '@') manager.sun_path[0] = '\0';
    return send_to(&manager, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/')), text);
}

bool cvy__has_services(void)
{
    return true;
}
