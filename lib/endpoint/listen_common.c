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

int cvy__socket_acceptor_bind(cvy__acceptor_t *a)
{
    const cvy_listener_opts_t *o = &a->lane->listener->opts;
    if (a->address.kind == CVY__ADDRESS_UNIX)
        return cvy__unix_listen(&a->fd, a->address.name, a->address.abstract, o->mode, (int)o->backlog, &a->file);
    return bind_tcp(a);
}

void cvy__socket_acceptor_unbind(cvy__acceptor_t *a)
{
    if (a->address.kind == CVY__ADDRESS_UNIX && !a->address.abstract) cvy__unix_unlink(a->address.name, &a->file);
    cvy__socket_close(a->fd);
}

int cvy__socket_acceptor_build(cvy__accepted_t *c, cvy_transport_t **out)
{
    bool tcp = c->acceptor->address.kind == CVY__ADDRESS_TCP;
    cvy__stream_t *s;
    int err = tcp ? cvy__stream_new_tcp(&s, c->lane->loop) : cvy__stream_new_pipe(&s, c->lane->loop);
    if (err) return err;
    err = cvy__stream_open(s, c->fd);
    if (!err) {
        c->stream = s; /* fd is its own from here on */
        err = cvy__stream_become(s, c->lane->listener->shared, NULL);
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
