/*
 * Who may connect to a local socket: mode and owner of its file, and what of that a named pipe has. Where neither can be had the answer is
 * UV_ENOTSUP, and not a socket that is open to more than was asked for. TCP and inproc have no such thing, and are passed over.
 */
#include <stdio.h>
#include <string.h>

#include "base/system_service.h"
#include "endpoint/listener.h"

#define MODE_MOST 07777
#define ID_MOST   UINT64_C(4294967294) /* the one above means "nobody's" to chown */

/* "address: what value: rule (CODE)" */
static int refuse(cvy__acceptor_t *a, const char *what, const char *value, const char *rule, int err)
{
    char line[400], said[128];
    cvy_listener_t *l = a->lane->listener;
    if (!rule) rule = uv_strerror_r(err, said, sizeof said);
    snprintf(line, sizeof line, "%s %.200s: %s", what, value, rule);
    return cvy__address_say(l->message, sizeof l->message, a->address.text, line, err);
}

static int refuse_mode(cvy__acceptor_t *a, const char *rule, int err)
{
    char value[16];
    snprintf(value, sizeof value, "0%o", (unsigned)a->lane->listener->opts.mode);
    return refuse(a, "mode", value, rule, err);
}

static int refuse_owner(cvy__acceptor_t *a, const char *rule, int err)
{
    return refuse(a, "owner", a->lane->listener->owner, rule, err);
}

/* A number, or a name. */
static int find(cvy__acceptor_t *a, const char *name, bool group, int64_t *out)
{
    uint64_t id = 0;
    size_t digits = strspn(name, "0123456789");
    if (!*name) return refuse_owner(a, "it is written user, user:group or :group", UV_EINVAL);
    for (size_t i = 0; i < digits && id <= ID_MOST; i++)
        id = id * 10 + (uint64_t)(name[i] - '0');
    if (!name[digits] && id > ID_MOST)
        return refuse_owner(a, group ? "group must be 0 to 4294967294" : "user must be 0 to 4294967294", UV_EINVAL);
    *out = (int64_t)id;
    int err = name[digits] ? cvy__owner_find(name, group, out) : 0;
    if (err == UV_ENOENT) return refuse_owner(a, group ? "there is no such group" : "there is no such user", err);
    return err ? refuse_owner(a, NULL, err) : 0;
}

static int find_owner(cvy__acceptor_t *a, int64_t *user, int64_t *group)
{
    char text[256];
    const char *owner = a->lane->listener->owner;
    if (strlen(owner) >= sizeof text) return refuse_owner(a, "longer than 255 bytes", UV_ENAMETOOLONG);
    memcpy(text, owner, strlen(owner) + 1);
    char *colon = strchr(text, ':');
    if (colon) *colon = '\0';
    int err = colon == text ? 0 : find(a, text, false, user);
    return err || !colon ? err : find(a, colon + 1, true, group);
}

int cvy__permissions_valid(cvy__acceptor_t *a)
{
    const cvy_listener_t *l = a->lane->listener;
    unsigned mode = (unsigned)l->opts.mode;
    bool local = a->address.kind == CVY__ADDRESS_UNIX || a->address.kind == CVY__ADDRESS_PIPE;
    if (mode > MODE_MOST) return refuse_mode(a, "must be 0 to 07777", UV_EINVAL);
    if (!local || (!mode && !l->owner)) return 0;
    if (a->address.abstract && mode) return refuse_mode(a, "an abstract name has no file", UV_ENOTSUP);
    if (a->address.abstract) return refuse_owner(a, "an abstract name has no file", UV_ENOTSUP);
    if (a->address.kind == CVY__ADDRESS_PIPE && l->owner)
        return refuse_owner(a, "a named pipe belongs to who made it", UV_ENOTSUP);
    return 0;
}

int cvy__permissions_file(cvy__acceptor_t *a, cvy__unix_listen_t *how)
{
    const cvy_listener_t *l = a->lane->listener;
    how->mode = l->opts.mode;
    how->user = how->group = -1;
    return l->owner ? find_owner(a, &how->user, &how->group) : 0;
}

int cvy__permissions_refused(cvy__acceptor_t *a, const char *which, int err)
{
    return strcmp(which, "mode") ? refuse_owner(a, NULL, err) : refuse_mode(a, NULL, err);
}

int cvy__permissions_pipe(cvy__acceptor_t *a)
{
    int mode = a->lane->listener->opts.mode, err = mode ? cvy__pipe_mode(a->pipe, mode) : 0;
    if (err == UV_ENOTSUP) return refuse_mode(a, "a named pipe can be opened to everyone, and not closed to them", err);
    return err ? refuse_mode(a, NULL, err) : 0;
}
