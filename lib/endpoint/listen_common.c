/* What is the same for tcp and unix sockets, whoever accepts on them: binding, and making a transport of a connected descriptor. */
#include <stdio.h>
#include <string.h>

#include "base/system.h"
#include "endpoint/listener.h"

/* A listener's own name is looked up on the spot: start binds before it returns. */
static int look_up(const cvy__acceptor_t *a, struct sockaddr_storage *out)
{
    uv_getaddrinfo_t request;
    char port[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };

    snprintf(port, sizeof port, "%u", a->address.port);
    int err = uv_getaddrinfo(a->lane->loop->uv, &request, NULL, a->address.name, port, &hints);
    if (err) return err;
    memcpy(out, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
    uv_freeaddrinfo(request.addrinfo);
    return 0;
}

/* What the next lane's socket binds is the address that this one got. */
static int note_address(cvy__acceptor_t *a)
{
    int err = cvy__socket_name(a->fd, &a->address.socket);
    a->address.kind = CVY__ADDRESS_TCP;
    if (!err) cvy__address_format(a->text, sizeof a->text, (struct sockaddr *)&a->address.socket);
    return err;
}

static int bind_tcp(cvy__acceptor_t *a)
{
    const cvy_listener_opts_t *o = &a->lane->listener->opts;
    cvy__listen_opts_t how = { (int)o->backlog, o->ipv6_only > 0, o->reuse_port > 0 };
    int err = a->address.kind == CVY__ADDRESS_HOST ? look_up(a, &a->address.socket) : 0;
    if (!err) err = cvy__tcp_listen(&a->fd, (struct sockaddr *)&a->address.socket, &how);
    if (err) return err;
    err = note_address(a);
    if (err) cvy__socket_close(a->fd);
    return err;
}

static int bind_unix(cvy__acceptor_t *a)
{
    cvy__unix_listen_t how = { .name = a->address.name,
                               .abstract = a->address.abstract,
                               .backlog = (int)a->lane->listener->opts.backlog };
    const char *which = NULL;
    int err = cvy__permissions_file(a, &how);
    if (err) return err;
    err = cvy__unix_listen(&a->fd, &how, &a->file, &which);
    return which ? cvy__permissions_refused(a, which, err) : err;
}

int cvy__socket_acceptor_bind(cvy__acceptor_t *a)
{
    switch (a->address.kind) {
    case CVY__ADDRESS_FD: return cvy__adopted_bind(a);
    case CVY__ADDRESS_UNIX: return bind_unix(a);
    default: return bind_tcp(a);
    }
}

/* A start that failed gives back what it was given; and a file is removed by who made it. */
void cvy__socket_acceptor_unbind(cvy__acceptor_t *a)
{
    bool file = a->address.kind == CVY__ADDRESS_UNIX && !a->address.abstract;
    if (a->adopted && !atomic_load(&a->lane->listener->started)) return;
    if (file && !a->adopted) cvy__unix_unlink(a->address.name, &a->file);
    cvy__socket_close(a->fd);
}

/* A socket that is bound to one address gives it to all that it accepts; one bound to any does not, nor need one that someone else has opened: a
 * transparent one accepts for addresses that it is not bound to. */
static const struct sockaddr *own_name(const cvy__acceptor_t *a)
{
    if (a->adopted) return NULL;
    const struct sockaddr *name = (const struct sockaddr *)&a->address.socket;
    const struct in6_addr any = IN6ADDR_ANY_INIT;
    if (name->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)name)->sin_addr.s_addr != htonl(INADDR_ANY) ? name : NULL;
    if (name->sa_family != AF_INET6) return NULL;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)name)->sin6_addr, &any, sizeof any) != 0 ? name : NULL;
}

static const struct sockaddr *peer_name(const cvy__accepted_t *c)
{
    bool inet = c->peer.ss_family == AF_INET || c->peer.ss_family == AF_INET6;
    return inet ? (const struct sockaddr *)&c->peer : NULL;
}

int cvy__socket_acceptor_build(cvy__accepted_t *c, cvy_transport_t **out)
{
    bool tcp = c->acceptor->address.kind == CVY__ADDRESS_TCP;
    cvy__names_t names = { .self_address = tcp ? own_name(c->acceptor) : NULL, .other_address = peer_name(c) };
    cvy__stream_t *s;
    int err = cvy__stream_new(&s, c->lane->loop, tcp, c->lane->listener->shared);
    if (err) return err;
    err = cvy__stream_open(s, c->fd);
    if (!err) {
        c->stream = s; /* fd is its own from here on */
        err = cvy__stream_become(s, c->lane->listener->shared, &names);
    }
    if (!err)
        *out = &s->transport;
    else if (!c->stream)
        cvy__stream_discard(s);
    return err;
}

void cvy__socket_acceptor_drop(cvy__accepted_t *c)
{
    if (c->stream)
        cvy__stream_discard(c->stream);
    else
        cvy__socket_close(c->fd);
}
