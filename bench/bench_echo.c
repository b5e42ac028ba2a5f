/*
 * Echo over TCP on the loopback: Conveyor against raw libuv and libevent, in the same run.
 *
 *   bench_echo [ROUNDS] [SECONDS]       5 rounds of 1 second by default
 *
 * Each peer is a process of its own on processor 0, the client is on processor 1. Rounds are interleaved: every peer is measured once per
 * round, in turn. A line says the median of the echoes per second, its ratio to raw libuv's, and the spread (least ... most) of that ratio
 * over the rounds. The client checks that every byte came back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "echo_peers.h"

typedef struct scenario {
    const char *name;
    int connections, pipeline, bytes; /* bytes of a frame, header included */
} scenario_t;

static const scenario_t scenarios[] = {
    { "1 connection, 64 B, one at a time", 1, 1, 64 },       { "50 connections, 64 B, one at a time", 50, 1, 64 },
    { "50 connections, 64 B, 16 in flight", 50, 16, 64 },    { "1 connection, 16 KiB, 8 in flight", 1, 8, 16384 },
    { "10 connections, 64 KiB, 4 in flight", 10, 4, 65536 },
};

enum { MOST_ROUNDS = 99, SCENARIOS = sizeof scenarios / sizeof *scenarios };

typedef struct connection {
    int fd;
    size_t sent, received; /* bytes, in all */
} connection_t;

static char *payload; /* one pipeline's worth of frames, u32be headers */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) die("sched_setaffinity");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void make_payload(const scenario_t *s)
{
    size_t n = (size_t)s->bytes;
    payload = calloc((size_t)s->pipeline, n);
    if (!payload) die("calloc");
    for (int i = 0; i < s->pipeline; i++) {
        uint32_t length = htonl((uint32_t)(n - 4));
        memcpy(payload + (size_t)i * n, &length, 4);
        for (size_t j = 4; j < n; j++)
            payload[(size_t)i * n + j] = (char)(j * 31 + 7);
    }
}

static int connect_to(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Keeps one window of the payload under way: what came back is sent again. */
static void send_more(connection_t *c, size_t window)
{
    while (c->sent < c->received + window) {
        size_t at = c->sent % window, n = window - at;
        if (n > c->received + window - c->sent) n = c->received + window - c->sent;
        ssize_t w = write(c->fd, payload + at, n);
        if (w < 0 && errno == EAGAIN) return;
        if (w <= 0) die("write");
        c->sent += (size_t)w;
    }
}

static void receive(connection_t *c, size_t window, size_t frame, char *buffer, size_t size)
{
    ssize_t n = read(c->fd, buffer, size);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) die("read");
    for (size_t done = 0; done < (size_t)n;) {
        size_t at = c->received % window, m = window - at;
        if (m > (size_t)n - done) m = (size_t)n - done;
        if (memcmp(payload + at, buffer + done, m) != 0) {
            fprintf(stderr, "an echo differs\n");
            exit(1);
        }
        done += m;
        c->received += m;
    }
    if (c->received % frame == 0 || window > frame) send_more(c, window);
}

/* Echoes per second. */
static double run_client(const scenario_t *s, int port, double seconds)
{
    enum { MOST = 64, BUFFER = 256 * 1024 };
    static connection_t connections[MOST];
    static char buffer[BUFFER];
    size_t frame = (size_t)s->bytes, window = frame * (size_t)s->pipeline;
    int poller = epoll_create1(0);
    for (int i = 0; i < s->connections; i++) {
        connections[i] = (connection_t){ connect_to(port), 0, 0 };
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &connections[i] };
        epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &ev);
        send_more(&connections[i], window);
    }
    double start = now(), end = start + seconds, at = start;
    size_t before = 0, after = 0;
    while (at < end) {
        struct epoll_event events[MOST];
        int n = epoll_wait(poller, events, MOST, 1000);
        if (!n) die("the server is silent");
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr, window, frame, buffer, sizeof buffer);
        for (int i = 0; i < s->connections && window > sizeof buffer; i++)
            send_more(&connections[i], window);
        at = now();
    }
    for (int i = 0; i < s->connections; i++) {
        after += connections[i].received / frame;
        close(connections[i].fd);
    }
    close(poller);
    return (double)(after - before) / (at - start);
}

static double measure(const echo_peer_t *peer, const scenario_t *s, double seconds)
{
    int ready[2];
    if (pipe(ready)) die("pipe");
    pid_t pid = fork();
    if (!pid) {
        pin(0);
        close(ready[0]);
        peer->serve(ready[1]);
        _exit(0);
    }
    close(ready[1]);
    int port = 0;
    if (read(ready[0], &port, sizeof port) != (ssize_t)sizeof port) die("no port from the server");
    close(ready[0]);
    double rate = run_client(s, port, seconds);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return rate;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *rates, const double *base, int rounds)
{
    double ratios[MOST_ROUNDS], sorted[MOST_ROUNDS];
    for (int i = 0; i < rounds; i++) {
        ratios[i] = rates[i] / base[i];
        sorted[i] = rates[i];
    }
    qsort(ratios, (size_t)rounds, sizeof *ratios, by_size);
    qsort(sorted, (size_t)rounds, sizeof *sorted, by_size);
    printf("  %-18s %10.0f/s   %.2f x libuv  (%.2f ... %.2f)\n", name, sorted[rounds / 2], ratios[rounds / 2],
           ratios[0], ratios[rounds - 1]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 5;
    double seconds = argc > 2 ? atof(argv[2]) : 1;
    if (rounds < 1 || rounds > MOST_ROUNDS || seconds <= 0) {
        fprintf(stderr, "usage: bench_echo [ROUNDS 1..%d] [SECONDS]\n", MOST_ROUNDS);
        return 2;
    }
    pin(1);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < SCENARIOS; i++) {
        static double rates[ECHO_PEERS][MOST_ROUNDS];
        make_payload(&scenarios[i]);
        printf("%s\n", scenarios[i].name);
        for (int round = 0; round < rounds; round++)
            for (int p = 0; p < ECHO_PEERS; p++)
                rates[p][round] = measure(&echo_peers[p], &scenarios[i], seconds);
        for (int p = 0; p < ECHO_PEERS; p++)
            report(echo_peers[p].name, rates[p], rates[0], rounds);
        free(payload);
    }
    return 0;
}
