/* Both ends of a connection, as text and as addresses: copied once, into one allocation. */
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

static size_t address_size(const struct sockaddr *address)
{
    if (!address) return 0;
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool is_inet(const struct sockaddr *address)
{
    return address && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

/* Addresses first: they want alignment. */
int cvy__transport_set_endpoints(cvy_transport_t *t, const char *self, const struct sockaddr *self_address,
                                 const char *other, const struct sockaddr *other_address)
{
    self_address = is_inet(self_address) ? self_address : NULL;
    other_address = is_inet(other_address) ? other_address : NULL;
    size_t a = address_size(self_address), b = address_size(other_address);
    size_t n = strlen(self) + 1, m = strlen(other) + 1;
    char *p = cvy__malloc(a + b + n + m);
    if (!p) return UV_ENOMEM;
    cvy__free(t->endpoints);
    t->endpoints = p;
    t->self_address = a ? memcpy(p, self_address, a) : NULL;
    t->other_address = b ? memcpy(p + a, other_address, b) : NULL;
    t->self_endpoint = memcpy(p + a + b, self, n);
    t->other_endpoint = memcpy(p + a + b + n, other, m);
    return 0;
}

const char *cvy_transport_self_endpoint(const cvy_transport_t *t)
{
    return t->self_endpoint ? t->self_endpoint : "";
}

const char *cvy_transport_other_endpoint(const cvy_transport_t *t)
{
    return t->other_endpoint ? t->other_endpoint : "";
}

const struct sockaddr *cvy_transport_self_address(const cvy_transport_t *t)
{
    return t->self_address;
}

const struct sockaddr *cvy_transport_other_address(const cvy_transport_t *t)
{
    return t->other_address;
}
