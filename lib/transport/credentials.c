/* The peer's credentials: the transport has the descriptor, the system knows the rest. */
#include <conveyor/credentials.h>

#include "base/system_service.h"

int cvy_transport_peer_credentials(const cvy_transport_t *t, cvy_credentials_t *out)
{
    cvy_socket_t fd;
    cvy_credentials_t found = { -1, -1, -1 };
    int err = cvy_transport_fd(t, &fd);
    if (!err) err = cvy__peer_credentials(fd, &found.pid, &found.uid, &found.gid);
    if (!err) *out = found;
    return err;
}
