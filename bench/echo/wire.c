/* Addresses, listening sockets and frames for the echo bench. */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

void wire_die(const char *what)
{
    perror(what);
    exit(1);
}

wire_address_t wire_parse(const char *text)
{
    wire_address_t a = { .tcp = !strncmp(text, "tcp:", 4) };
    if (a.tcp) {
        struct sockaddr_in *in = (struct sockaddr_in *)&a.storage;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)atoi(text + 4));
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        a.size = sizeof *in;
        return a;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)&a.storage;
    if (strncmp(text, "unix:", 5) != 0 || strlen(text + 5) >= sizeof un->sun_path) {
        fprintf(stderr, "%s: neither tcp:PORT nor unix:PATH\n", text);
        exit(2);
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, text + 5);
    a.size = sizeof *un;
    return a;
}

int wire_listen(const wire_address_t *a)
{
    int one = 1, fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) wire_die("socket");
    signal(SIGPIPE, SIG_IGN);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!a->tcp) unlink(((const struct sockaddr_un *)&a->storage)->sun_path);
    if (bind(fd, (const struct sockaddr *)&a->storage, a->size)) wire_die("bind");
    if (listen(fd, 4096)) wire_die("listen");
    return fd;
}

void wire_tune(int fd, const wire_address_t *a)
{
    int one = 1;
    if (a->tcp) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void wire_ready(void)
{
    puts("ready");
    fflush(stdout);
}

size_t wire_whole(const uint8_t *bytes, size_t n, size_t *missing)
{
    size_t whole = 0;
    for (;;) {
        size_t left = n - whole;
        size_t frame = left < WIRE_HEADER ? WIRE_HEADER : WIRE_HEADER + (size_t)wire_length(bytes + whole);
        if (left < WIRE_HEADER || left < frame) {
            *missing = frame - left;
            return whole;
        }
        whole += frame;
    }
}
