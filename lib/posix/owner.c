/* Users and groups by their names. Their records come from anywhere (a file, a directory service), in a room that has to be large enough. */
#include "base/system_service.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system_socket.h"

#define ROOM_MOST (1 << 20) /* a group's record holds all its members */

/* 0, ERANGE: more room, or what else errno may be. */
static int find_user(const char *name, char *room, size_t n, int64_t *out)
{
    struct passwd record, *found = NULL;
    int err = getpwnam_r(name, &record, room, n, &found);
    if (found) *out = record.pw_uid;
    return err || found ? err : ENOENT;
}

static int find_group(const char *name, char *room, size_t n, int64_t *out)
{
    struct group record, *found = NULL;
    int err = getgrnam_r(name, &record, room, n, &found);
    if (found) *out = record.gr_gid;
    return err || found ? err : ENOENT;
}

int cvy__owner_find(const char *name, bool group, int64_t *out)
{
    int err = ERANGE;
    for (size_t n = 1024; err == ERANGE && n <= ROOM_MOST; n *= 4) {
        char *room = cvy__malloc(n);
        if (!room) return UV_ENOMEM;
        err = (group ? find_group : find_user)(name, room, n, out);
        cvy__free(room);
    }
    return err ? uv_translate_sys_error(err) : 0;
}

int cvy__pipe_mode(struct uv_pipe_s *pipe, int mode)
{
    (void)pipe, (void)mode;
    return UV_ENOTSUP;
}
