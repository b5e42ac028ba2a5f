/*
 * Both ends of a connection, as text and as addresses: one allocation that knows where each begins. TCP over IPv4 keeps the 12 bytes that say it
 * all, and writes the rest when somebody asks.
 */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "transport/transport.h"

struct cvy__endpoints {
    uint16_t self_address, other_address; /* from the start of the struct; 0: none */
    uint16_t self, other;
};

static size_t address_size(const struct sockaddr *address)
{
    if (!address) return 0;
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static bool is_inet(const struct sockaddr *address)
{
    return address && (address->sa_family == AF_INET || address->sa_family == AF_INET6);
}

static uint16_t put(cvy__endpoints_t *e, size_t *at, const void *from, size_t n)
{
    size_t place = *at;
    if (!n) return 0;
    memcpy((char *)e + place, from, n);
    *at = place + n;
    return (uint16_t)place;
}

/* Addresses first: they want alignment. Errors: UV_ENOMEM, UV_ENAMETOOLONG (texts of 64 KiB). */
int cvy__transport_set_endpoints(cvy_transport_t *t, const char *self, const struct sockaddr *self_address,
                                 const char *other, const struct sockaddr *other_address)
{
    self_address = is_inet(self_address) ? self_address : NULL;
    other_address = is_inet(other_address) ? other_address : NULL;
    size_t a = address_size(self_address), b = address_size(other_address);
    size_t n = strlen(self) + 1, m = strlen(other) + 1, at = sizeof(cvy__endpoints_t);
    if (n > UINT16_MAX - at - a - b || m > UINT16_MAX - at - a - b - n) return UV_ENAMETOOLONG;
    cvy__endpoints_t *e = cvy__malloc(at + a + b + n + m);
    if (!e) return UV_ENOMEM;
    e->self_address = put(e, &at, self_address, a);
    e->other_address = put(e, &at, other_address, b);
    e->self = put(e, &at, self, n);
    e->other = put(e, &at, other, m);
    cvy__transport_forget_endpoints(t);
    t->names.endpoints = e;
    return 0;
}

void cvy__transport_forget_endpoints(cvy_transport_t *t)
{
    if (!t->has_inet4) cvy__free(t->names.endpoints);
    t->has_inet4 = false;
    t->names.endpoints = NULL;
}

static void describe(const struct sockaddr *a, char *out, size_t n)
{
    char host[64];
    if (a && a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)a;
        uv_ip6_name(in6, host, sizeof host);
        snprintf(out, n, "tcp://[%s]:%u", host, (unsigned)ntohs(in6->sin6_port));
    } else if (a && a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        uv_ip4_name(in, host, sizeof host);
        snprintf(out, n, "tcp://%s:%u", host, (unsigned)ntohs(in->sin_port));
    } else {
        snprintf(out, n, "tcp:");
    }
}

static int write_inet(cvy_transport_t *t, const struct sockaddr *self, const struct sockaddr *other)
{
    char self_text[96], other_text[96];
    describe(self, self_text, sizeof self_text);
    describe(other, other_text, sizeof other_text);
    return cvy__transport_set_endpoints(t, self_text, self, other_text, other);
}

int cvy__transport_set_inet(cvy_transport_t *t, const struct sockaddr *self, const struct sockaddr *other)
{
    if (!self || !other || self->sa_family != AF_INET || other->sa_family != AF_INET) return write_inet(t, self, other);
    const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)self;
    const struct sockaddr_in *b = (const struct sockaddr_in *)(const void *)other;
    cvy__transport_forget_endpoints(t);
    memcpy(t->names.inet4.self, &a->sin_addr, sizeof t->names.inet4.self);
    memcpy(t->names.inet4.other, &b->sin_addr, sizeof t->names.inet4.other);
    t->self_port = a->sin_port;
    t->other_port = b->sin_port;
    t->has_inet4 = true;
    return 0;
}

static void put_inet4(struct sockaddr_storage *out, const uint8_t *ip, uint16_t port)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = port };
    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(out, &in, sizeof in);
}

/* Most are never asked for. NULL: not known, or no memory. */
static const cvy__endpoints_t *known(const cvy_transport_t *t)
{
    if (!t->has_inet4) return t->names.endpoints;
    struct sockaddr_storage self = { 0 }, other = { 0 };
    put_inet4(&self, t->names.inet4.self, t->self_port);
    put_inet4(&other, t->names.inet4.other, t->other_port);
    write_inet((cvy_transport_t *)(uintptr_t)t, (struct sockaddr *)&self, (struct sockaddr *)&other);
    return t->has_inet4 ? NULL : t->names.endpoints;
}

static const void *part(const cvy__endpoints_t *e, uint16_t place)
{
    return place ? (const char *)e + place : NULL;
}

static const char *unknown(const cvy_transport_t *t)
{
    return t->has_inet4 ? "tcp:" : "";
}

const char *cvy_transport_self_endpoint(const cvy_transport_t *t)
{
    const cvy__endpoints_t *e = known(t);
    return e ? part(e, e->self) : unknown(t);
}

const char *cvy_transport_other_endpoint(const cvy_transport_t *t)
{
    const cvy__endpoints_t *e = known(t);
    return e ? part(e, e->other) : unknown(t);
}

const struct sockaddr *cvy_transport_self_address(const cvy_transport_t *t)
{
    const cvy__endpoints_t *e = known(t);
    return e ? part(e, e->self_address) : NULL;
}

const struct sockaddr *cvy_transport_other_address(const cvy_transport_t *t)
{
    const cvy__endpoints_t *e = known(t);
    return e ? part(e, e->other_address) : NULL;
}
