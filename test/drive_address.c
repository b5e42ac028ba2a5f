/*
 * The address parser's driver. What was taken is put together again from its parts and must be the same address; what was refused
 * says so in one line that names the address and the code, cut to any length without a byte behind it. An independent reading of
 * ports, and libuv's strict one of IP addresses, say what may be taken.
 */
#include <string.h>

#include <uv.h>

#include "base/system_socket.h"
#include "drive_parsers.h"
#include "drive_stage.h"
#include "endpoint/address.h"

enum { GUARD = 0x5a };

/* The digits behind the last colon; -1 where they are none, or too much. */
static long port_of(const char *uri)
{
    const char *p = strrchr(uri, ':') + 1;
    long port = *p ? 0 : -1;
    for (; *p && port >= 0 && port <= 65535; p++)
        port = *p >= '0' && *p <= '9' ? port * 10 + *p - '0' : -1;
    return port > 65535 ? -1 : port;
}

static void same_socket(const cvy__address_t *a, const cvy__address_t *b)
{
    DRIVE_CHECK(a->kind == b->kind && a->port == b->port && a->socket.ss_family == b->socket.ss_family);
    DRIVE_CHECK(!memcmp(&a->socket, &b->socket, sizeof a->socket));
}

/* The host as it stands in the text, without brackets and zone, is an address to libuv as well, and the zone is in it. */
static void check_ip(const cvy__address_t *a, const char *uri)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->socket;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->socket;
    char text[CVY__URI_MAX + 1], *zone;
    struct in6_addr ip6;
    struct in_addr ip4;
    snprintf(text, sizeof text, "%s", uri + strlen("tcp://"));
    *strrchr(text, ':') = '\0';
    if (text[0] != '[') {
        DRIVE_CHECK(!uv_inet_pton(AF_INET, text, &ip4) && !memcmp(&ip4, &in->sin_addr, sizeof ip4));
        DRIVE_CHECK(ntohs(in->sin_port) == a->port);
        return;
    }
    text[strlen(text) - 1] = '\0';
    zone = strchr(text, '%');
    if (zone) *zone = '\0';
    DRIVE_CHECK(!uv_inet_pton(AF_INET6, text + 1, &ip6) && !memcmp(&ip6, &in6->sin6_addr, sizeof ip6));
    DRIVE_CHECK(ntohs(in6->sin6_port) == a->port);
    if (!zone) DRIVE_CHECK(in6->sin6_scope_id == 0);
    if (zone && strspn(zone + 1, "0123456789") == strlen(zone + 1))
        DRIVE_CHECK(zone[1] && in6->sin6_scope_id == strtoull(zone + 1, NULL, 10));
    else if (zone)
        DRIVE_CHECK(in6->sin6_scope_id != 0);
}

/* What was taken, written again, is the same address, and from then on the same text. */
static void check_taken(const cvy__address_t *a, const char *uri)
{
    char again[2 * CVY__URI_MAX], third[2 * CVY__URI_MAX];
    cvy__address_t b;
    DRIVE_CHECK(!strcmp(a->text, uri));
    switch (a->kind) {
    case CVY__ADDRESS_TCP:
        check_ip(a, uri);
        cvy__address_format(again, sizeof again, (const struct sockaddr *)&a->socket);
        DRIVE_CHECK(!cvy__address_parse(&b, again, NULL, 0));
        same_socket(a, &b);
        cvy__address_format(third, sizeof third, (const struct sockaddr *)&b.socket);
        DRIVE_CHECK(!strcmp(again, third));
        return;
    case CVY__ADDRESS_HOST:
        DRIVE_CHECK(!strncmp(uri + strlen("tcp://"), a->name, strlen(a->name)) && port_of(uri) == a->port);
        snprintf(again, sizeof again, "tcp://%s:%u", a->name, a->port);
        DRIVE_CHECK(!cvy__address_parse(&b, again, NULL, 0) && b.port == a->port && !strcmp(a->name, b.name));
        return;
    case CVY__ADDRESS_UNIX: snprintf(again, sizeof again, "unix://%s%s", a->abstract ? "@" : "", a->name); break;
    case CVY__ADDRESS_IPC: snprintf(again, sizeof again, "ipc://%s", a->name); break;
    case CVY__ADDRESS_PIPE: snprintf(again, sizeof again, "pipe://%s", a->name + strlen("\\\\.\\pipe\\")); break;
    case CVY__ADDRESS_INPROC: snprintf(again, sizeof again, "inproc://%s", a->name); break;
    case CVY__ADDRESS_SYSTEMD: snprintf(again, sizeof again, "systemd://%s", a->name); break;
    case CVY__ADDRESS_FD: DRIVE_CHECK(strtoull(uri + strlen("fd://"), NULL, 10) == (uint64_t)a->fd); return;
    }
    DRIVE_CHECK(!strcmp(again, uri));
}

/* The same refusal in n bytes: the line's beginning, and nothing behind. */
static void check_cut(const char *uri, int err, const char *line, size_t n)
{
    char *cut = malloc(n + 1); /* to the byte, for the sanitizer */
    if (!cut) abort();
    memset(cut, GUARD, n + 1);
    DRIVE_CHECK(cvy_address_check(uri, cut, n) == err && cut[n] == GUARD);
    size_t most = n ? n - 1 : 0, len = strlen(line);
    if (n) DRIVE_CHECK(strlen(cut) == (len < most ? len : most) && !strncmp(cut, line, strlen(cut)));
    free(cut);
}

static void check_refused(const char *uri, int err, uint32_t seed)
{
    char line[4 * CVY__URI_MAX], end[64];
    size_t n = strlen(uri);
    DRIVE_CHECK(err == UV_EINVAL || err == UV_ENAMETOOLONG || err == UV_ENOTSUP);
    DRIVE_CHECK(cvy_address_check(uri, line, sizeof line) == err);
    DRIVE_CHECK(!strncmp(line, uri, n) && !strncmp(line + n, ": ", 2));
    snprintf(end, sizeof end, " (%s)", uv_err_name(err));
    size_t len = strlen(line);
    DRIVE_CHECK(len > n + 2 + strlen(end) && !strcmp(line + len - strlen(end), end));
    check_cut(uri, err, line, seed % (len + 2));
    check_cut(uri, err, line, 0);
    check_cut(uri, err, line, 1);
    DRIVE_CHECK(cvy_address_check(uri, NULL, 0) == err);
}

void drive_address(const uint8_t *data, size_t n)
{
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    size_t len = zero ? (size_t)(zero - data) : n;
    if (len > 1000) return;
    char *uri = malloc(len + 1), why[8] = "?";
    cvy__address_t a;
    if (!uri) abort();
    if (len) memcpy(uri, data, len);
    uri[len] = '\0';
    int err = cvy__address_parse(&a, uri, NULL, 0);
    bool tcp = !strncmp(uri, "tcp://", 6);
    if (err) {
        check_refused(uri, err, (uint32_t)(len * 7 + (len ? data[len - 1] : 0)));
    } else {
        DRIVE_CHECK(!cvy_address_check(uri, why, sizeof why) && !why[0]);
        DRIVE_CHECK(!tcp || port_of(uri) == a.port);
        check_taken(&a, uri);
    }
    free(uri);
}
