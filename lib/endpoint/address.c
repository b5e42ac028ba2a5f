/*
 * Addresses: one table of schemes, one small parser each. A parser answers a code and names the rule that was broken; the line around
 * it is made in one place.
 */
#include "endpoint/address.h"

#include <stdio.h>
#include <string.h>

#include "base/system_service.h"
#include "base/system_socket.h"

/* What went wrong: text that may be made up, because some rules have a number in them. */
typedef struct rule {
    char text[160];
} rule_t;

static int broken(rule_t *rule, int err, const char *text)
{
    snprintf(rule->text, sizeof rule->text, "%s", text);
    return err;
}

int cvy__address_say(char *why, size_t n, const char *uri, const char *rule, int err)
{
    char code[64], said[128];
    if (why && n)
        snprintf(why, n, "%s: %s (%s)", uri, rule ? rule : uv_strerror_r(err, said, sizeof said),
                 uv_err_name_r(err, code, sizeof code));
    return err;
}

void cvy__address_format(char *out, size_t n, const struct sockaddr *socket)
{
    char ip[64] = "";
    if (socket->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)socket;
        uv_ip6_name(in6, ip, sizeof ip);
        if (in6->sin6_scope_id)
            snprintf(out, n, "tcp://[%s%%%lu]:%u", ip, (unsigned long)in6->sin6_scope_id, ntohs(in6->sin6_port));
        else
            snprintf(out, n, "tcp://[%s]:%u", ip, ntohs(in6->sin6_port));
    } else if (socket->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)socket;
        uv_ip4_name(in, ip, sizeof ip);
        snprintf(out, n, "tcp://%s:%u", ip, ntohs(in->sin_port));
    } else {
        snprintf(out, n, "unix:");
    }
}

static int parse_port(const char *text, uint16_t *out, rule_t *rule)
{
    unsigned long port = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && port <= 65535; i++)
        port = port * 10 + (unsigned long)(text[i] - '0');
    if (!digits || text[digits] || port > 65535) return broken(rule, UV_EINVAL, "port must be 0 to 65535");
    *out = (uint16_t)port;
    return 0;
}

/* An interface's number or name. libuv, which looks names up, would take one that is unknown for none at all. */
static int parse_zone(const char *text, struct sockaddr_in6 *out, rule_t *rule)
{
    char any[CVY__URI_MAX + 4];
    struct sockaddr_in6 found = { 0 };
    uint64_t zone = 0;
    size_t digits = strspn(text, "0123456789");
    bool number = digits && !text[digits];
    for (size_t i = 0; number && i < digits && zone <= UINT32_MAX; i++)
        zone = zone * 10 + (uint64_t)(text[i] - '0');
    snprintf(any, sizeof any, "::%%%s", text);
    if (!number && !uv_ip6_addr(any, 0, &found)) zone = found.sin6_scope_id;
    if (zone > UINT32_MAX || (!number && !zone))
        return broken(rule, UV_EINVAL, "there is no such interface behind the %");
    out->sin6_scope_id = (uint32_t)zone;
    return 0;
}

static int parse_ip6(cvy__address_t *a, const char *end, rule_t *rule)
{
    char *closing = strchr(a->name, ']');
    if (!closing || closing + 1 != end)
        return broken(rule, UV_EINVAL, "an IPv6 address is written tcp://[address]:port");
    *closing = '\0';
    char *zone = strchr(a->name, '%'); /* libuv would cut what is too long in front of it */
    if (zone) *zone++ = '\0';
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&a->socket;
    if (uv_ip6_addr(a->name + 1, a->port, in6)) return broken(rule, UV_EINVAL, "not an IPv6 address");
    a->kind = CVY__ADDRESS_TCP;
    return zone ? parse_zone(zone, in6, rule) : 0;
}

static int parse_host(cvy__address_t *a, rule_t *rule)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t len = strlen(a->name);
    if (!len) return broken(rule, UV_EINVAL, "host is missing (all addresses of this host: 0.0.0.0 or [::])");
    if (len > CVY__NAME_MAX) return broken(rule, UV_ENAMETOOLONG, "host is longer than 255 bytes");
    if (strchr(a->name, ':')) return broken(rule, UV_EINVAL, "an IPv6 address is written tcp://[address]:port");
    if (strspn(a->name, letters) != len)
        return broken(rule, UV_EINVAL, "host may have letters, digits, '-', '.' and '_'");
    if (!uv_ip4_addr(a->name, a->port, (struct sockaddr_in *)(void *)&a->socket))
        a->kind = CVY__ADDRESS_TCP;
    else if (strspn(a->name, "0123456789.") == len)
        return broken(rule, UV_EINVAL, "not an IPv4 address");
    return 0;
}

static int parse_tcp(cvy__address_t *a, rule_t *rule)
{
    char *colon = strrchr(a->name, ':');
    if (!colon || (colon > a->name && strchr(colon, ']')))
        return broken(rule, UV_EINVAL, "port is missing (tcp://host:port)");
    int err = parse_port(colon + 1, &a->port, rule);
    if (err) return err;
    *colon = '\0';
    return a->name[0] == '[' ? parse_ip6(a, colon, rule) : parse_host(a, rule);
}

static int parse_unix(cvy__address_t *a, rule_t *rule)
{
    if (!cvy__has_unix()) return broken(rule, UV_ENOTSUP, "there are no Unix sockets here");
    a->abstract = a->name[0] == '@';
    if (a->abstract && !cvy__has_abstract()) return broken(rule, UV_ENOTSUP, "abstract names are Linux's alone");
    if (a->abstract)
        memmove(a->name, a->name + 1, strlen(a->name));
    else if (a->name[0] != '/')
        return broken(rule, UV_EINVAL, "the path must be absolute (unix:///path) or abstract (unix://@name)");
    if (!a->name[0]) return broken(rule, UV_EINVAL, "name is missing");
    if (strlen(a->name) <= cvy__unix_path_max()) return 0;
    snprintf(rule->text, sizeof rule->text, "%s is longer than %u bytes", a->abstract ? "name" : "path",
             (unsigned)cvy__unix_path_max());
    return UV_ENAMETOOLONG;
}

static int parse_name(cvy__address_t *a, rule_t *rule)
{
    if (!a->name[0]) return broken(rule, UV_EINVAL, "name is missing");
    if (strlen(a->name) > CVY__NAME_MAX) return broken(rule, UV_ENAMETOOLONG, "name is longer than 255 bytes");
    return 0;
}

static int parse_ipc(cvy__address_t *a, rule_t *rule)
{
    if (strpbrk(a->name, "/\\") || !strcmp(a->name, ".") || !strcmp(a->name, ".."))
        return broken(rule, UV_EINVAL, "name must not have slashes or be a folder");
    return parse_name(a, rule);
}

static const char pipe_prefix[] =
    "\\\\.\\pipe\\"; /* CreateNamedPipe: 256 characters in all, no backslash in the name */

static int parse_pipe(cvy__address_t *a, rule_t *rule)
{
    if (!cvy__has_pipes()) return broken(rule, UV_ENOTSUP, "there are no named pipes here");
    if (strchr(a->name, '\\')) return broken(rule, UV_EINVAL, "name must not have backslashes");
    if (strlen(a->name) > 256 - sizeof pipe_prefix)
        return broken(rule, UV_ENAMETOOLONG, "name is longer than 247 bytes");
    int err = parse_name(a, rule);
    if (err) return err;
    memmove(a->name + sizeof pipe_prefix - 1, a->name, strlen(a->name) + 1);
    memcpy(a->name, pipe_prefix, sizeof pipe_prefix - 1);
    return 0;
}

static int parse_fd(cvy__address_t *a, rule_t *rule)
{
    uint64_t most = cvy__socket_max(), fd = 0;
    size_t digits = strspn(a->name, "0123456789");
    bool fits = digits && !a->name[digits];
    for (size_t i = 0; i < digits && fits; i++) {
        uint64_t digit = (uint64_t)(a->name[i] - '0');
        fits = fd <= (most - digit) / 10;
        fd = fd * 10 + digit;
    }
    a->fd = (cvy_socket_t)fd;
    if (fits) return 0;
    snprintf(rule->text, sizeof rule->text, "descriptor must be 0 to %llu", (unsigned long long)most);
    return UV_EINVAL;
}

static int parse_systemd(cvy__address_t *a, rule_t *rule)
{
    if (!cvy__has_services()) return broken(rule, UV_ENOTSUP, "no service manager passes sockets here");
    if (strchr(a->name, ':')) return broken(rule, UV_EINVAL, "name must not have colons");
    return *a->name ? parse_name(a, rule) : 0;
}

typedef struct scheme {
    const char *prefix;
    cvy__address_kind_t kind;
    int (*parse)(cvy__address_t *a, rule_t *rule);
} scheme_t;

static const scheme_t schemes[] = {
    { "tcp://", CVY__ADDRESS_HOST, parse_tcp },
    { "unix://", CVY__ADDRESS_UNIX, parse_unix },
    { "ipc://", CVY__ADDRESS_IPC, parse_ipc },
    { "pipe://", CVY__ADDRESS_PIPE, parse_pipe },
    { "inproc://", CVY__ADDRESS_INPROC, parse_name },
    { "fd://", CVY__ADDRESS_FD, parse_fd },
    { "systemd://", CVY__ADDRESS_SYSTEMD, parse_systemd },
};

static int parse(cvy__address_t *a, const char *uri, rule_t *rule)
{
    if (strlen(uri) > CVY__URI_MAX) return broken(rule, UV_ENAMETOOLONG, "longer than 511 bytes");
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const scheme_t *scheme = &schemes[i];
        size_t n = strlen(scheme->prefix);
        if (strncmp(uri, scheme->prefix, n) != 0) continue;
        a->kind = scheme->kind;
        snprintf(a->text, sizeof a->text, "%s", uri);
        snprintf(a->name, sizeof a->name, "%s", uri + n);
        return scheme->parse(a, rule);
    }
    return broken(rule, UV_EINVAL,
                  "unknown scheme; there are tcp://, unix://, ipc://, pipe://, inproc://, fd:// and systemd://");
}

int cvy__address_parse(cvy__address_t *out, const char *uri, char *why, size_t n)
{
    rule_t rule;
    memset(out, 0, sizeof *out);
    int err = parse(out, uri, &rule);
    return err ? cvy__address_say(why, n, uri, rule.text, err) : 0;
}

int cvy__address_place(cvy__address_t *a, bool make, char *why, size_t n)
{
    char place[CVY__URI_MAX + 1];
    if (a->kind != CVY__ADDRESS_IPC) return 0;
    int err = cvy__ipc_path(place, sizeof place, a->name, make);
    if (err == UV_EPERM)
        return cvy__address_say(why, n, a->text, "the folder for it belongs to someone else or is open to others", err);
    if (err) return cvy__address_say(why, n, a->text, NULL, err);
    memcpy(a->name, place, sizeof place);
    a->kind = cvy__has_unix() ? CVY__ADDRESS_UNIX : CVY__ADDRESS_PIPE;
    return 0;
}

void cvy__address_endpoint(char *out, size_t n, const cvy__address_t *a)
{
    if (a->kind == CVY__ADDRESS_PIPE)
        snprintf(out, n, "pipe://%s", a->name + sizeof pipe_prefix - 1);
    else
        snprintf(out, n, "unix://%s%s", a->abstract ? "@" : "", a->name);
}

int cvy_address_check(const char *uri, char *why, size_t n)
{
    cvy__address_t a;
    if (why && n) why[0] = '\0';
    return cvy__address_parse(&a, uri, why, n);
}
