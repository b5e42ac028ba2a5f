/*
 * Listening on what someone else has opened: fd://N, and systemd://name, which is as many of them as were passed under that name. From the
 * moment at which start succeeds they are the listener's like any other; a start that fails leaves them open.
 */
#include <stdio.h>
#include <string.h>

#include "endpoint/listener.h"
#include "endpoint/passed.h"

static int refuse(cvy__acceptor_t *a, const char *rule, int err)
{
    char line[200], said[128];
    cvy_listener_t *l = a->lane->listener;
    if (!rule) rule = uv_strerror_r(err, said, sizeof said);
    snprintf(line, sizeof line, "descriptor %llu %s", (unsigned long long)a->fd, rule);
    return cvy__address_say(l->message, sizeof l->message, a->address.text, line, err);
}

static bool is_taken(const cvy__acceptor_t *a)
{
    for (const cvy__acceptor_t *other = a->lane->listener->acceptors; other < a; other++)
        if (other->adopted && other->fd == a->fd) return true;
    return false;
}

static void note(cvy__acceptor_t *a, const cvy__listening_t *what)
{
    a->address.kind = what->tcp ? CVY__ADDRESS_TCP : CVY__ADDRESS_UNIX;
    a->address.abstract = what->abstract;
    snprintf(a->address.name, sizeof a->address.name, "%s", what->name);
    if (what->tcp)
        cvy__address_format(a->text, sizeof a->text, (struct sockaddr *)&a->address.socket);
    else
        cvy__address_endpoint(a->text, sizeof a->text, &a->address);
}

int cvy__adopted_bind(cvy__acceptor_t *a)
{
    const cvy_listener_opts_t *o = &a->lane->listener->opts;
    cvy__listening_t what = { .address = &a->address.socket };
    const char *rule = NULL;
    a->fd = a->address.fd;
    if (is_taken(a)) return refuse(a, "is listed twice", UV_EINVAL);
    if (o->reuse_port > 0) return refuse(a, "is one socket, and reuse_port wants one per loop", UV_EINVAL);
    if (o->mode || a->lane->listener->owner)
        return refuse(a, "is already bound: mode and owner are for who made its file", UV_ENOTSUP);
    int err = cvy__socket_listening(a->fd, &what, &rule);
    if (err) return refuse(a, rule, err);
    a->adopted = true;
    note(a, &what);
    return 0;
}

size_t cvy__adopted_most(const cvy_listener_t *l)
{
    static const char scheme[] = "systemd://";
    size_t addresses = 0;
    for (size_t i = 0; i < l->n_addresses; i++)
        addresses += !strncmp(l->addresses[i], scheme, sizeof scheme - 1);
    int passed = addresses ? cvy__passed_count("", NULL, 0) : 0;
    return passed > 0 ? addresses * (size_t)passed : 0;
}

/* One acceptor for each of that name. */
int cvy__adopted_each(cvy_listener_t *l, const cvy__address_t *address,
                      int (*bind)(cvy_listener_t *l, const cvy__address_t *one))
{
    cvy__address_t one = *address;
    int count = cvy__passed_count(address->text, l->message, sizeof l->message), found = 0, err = 0;
    if (count < 0) return count;
    one.kind = CVY__ADDRESS_FD;
    for (int i = 0; i < count && !err; i++) {
        if (*address->name && !cvy__passed_is(i, address->name)) continue;
        one.fd = (cvy_socket_t)(CVY__PASSED_FIRST + i);
        err = bind(l, &one);
        found++;
    }
    if (err || found) return err;
    return cvy__passed_none(address->text, count, l->message, sizeof l->message);
}
