/*
 * An address taken apart. Parsing looks nothing up and touches no file; what a kind needs beyond that (a host's addresses, the
 * folder of ipc://) is found when it is bound or dialed.
 */
#ifndef CVY_ENDPOINT_ADDRESS_H
#define CVY_ENDPOINT_ADDRESS_H

#include <conveyor/address.h>
#include <uv.h>

#define CVY__NAME_MAX    255 /* of a host (RFC 1035), a pipe, an in-process name */
#define CVY__URI_MAX     511
#define CVY__MESSAGE_MAX 768

typedef enum cvy__address_kind {
    CVY__ADDRESS_TCP,  /* socket */
    CVY__ADDRESS_HOST, /* name and port: to be looked up */
    CVY__ADDRESS_UNIX, /* name is a path, or abstract */
    CVY__ADDRESS_IPC,  /* name: see cvy__address_place */
    CVY__ADDRESS_PIPE, /* name is the whole pipe name */
    CVY__ADDRESS_INPROC,
    CVY__ADDRESS_FD,     /* fd: for listeners */
    CVY__ADDRESS_SYSTEMD /* name, or "" for all: for listeners */
} cvy__address_kind_t;

typedef struct cvy__address {
    char text[CVY__URI_MAX + 1];
    char name[CVY__URI_MAX + 1];
    struct sockaddr_storage socket;
    cvy_socket_t fd;
    uint16_t port;
    cvy__address_kind_t kind;
    bool abstract;
} cvy__address_t;

/* why gets the whole line, with address and code. UV_EINVAL, UV_ENAMETOOLONG, UV_ENOTSUP; *out is undefined then. */
int cvy__address_parse(cvy__address_t *out, const char *uri, char *why, size_t n);
/* Turns ipc into unix or pipe; anything else stays. make: makes the folder. */
int cvy__address_place(cvy__address_t *a, bool make, char *why, size_t n);
/* "uri: rule (CODE)"; rule == NULL: what libuv says to the code. Returns err. */
int cvy__address_say(char *why, size_t n, const char *uri, const char *rule, int err);
/* What the endpoint at a placed local address is called: "unix:///path", "unix://@name", "pipe://name" */
void cvy__address_endpoint(char *out, size_t n, const cvy__address_t *a);
/* "tcp://127.0.0.1:7000", "tcp://[::1]:7000" */
void cvy__address_format(char *out, size_t n, const struct sockaddr *socket);

#endif
