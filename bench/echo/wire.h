/*
 * What every echo server of the bench and the load generator share; plain C and POSIX, no Conveyor in it.
 *
 * A frame is a length of 4 bytes, big endian, and so many bytes. A server echoes each frame once it is there whole. It takes its address as the
 * only argument, tcp:PORT (on 127.0.0.1) or unix:PATH, prints "ready" when it listens, and runs until it is killed.
 */
#ifndef CVY_BENCH_ECHO_WIRE_H
#define CVY_BENCH_ECHO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { WIRE_HEADER = 4, WIRE_READ_BYTES = 256 * 1024 };

typedef struct wire_address {
    struct sockaddr_storage storage;
    socklen_t size;
    bool tcp;
} wire_address_t;

/* The address that the text names; ends the program with a message when it names none. */
wire_address_t wire_parse(const char *text);
/* A listening, non-blocking socket with SO_REUSEADDR and a backlog of 4096. From here on SIGPIPE is ignored. */
int wire_listen(const wire_address_t *a);
/* What every contender sets on a connection: TCP_NODELAY. */
void wire_tune(int fd, const wire_address_t *a);
void wire_ready(void);
void wire_die(const char *what) __attribute__((noreturn));

static inline uint32_t wire_length(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* How many of the first n bytes are whole frames; *missing: how many more the next one needs at least. */
size_t wire_whole(const uint8_t *bytes, size_t n, size_t *missing);

#endif
