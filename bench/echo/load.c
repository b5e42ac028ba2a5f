/*
 * The load of the echo bench: raw epoll, no Conveyor in it. It polls instead of sleeping (a sleeping client hides the differences behind the
 * machine's wake-ups), checks every byte, and prints what it measured as one line of JSON.
 *
 *   echo_load echo    ADDRESS PID CONNECTIONS BYTES DEPTH WARMUP_S SECONDS
 *   echo_load connect ADDRESS PID CONCURRENT  BYTES 1     WARMUP_S SECONDS     connect, one echo, close
 *   echo_load idle    ADDRESS PID CONNECTIONS BYTES 1     0        0           memory per connection, each having echoed once
 *   echo_load flood   ADDRESS PID CONNECTIONS BYTES DEPTH WARMUP_S SECONDS     as echo with 1 under way, and one more with DEPTH, not counted
 *   echo_load wait    ADDRESS PID CONNECTIONS BYTES DEPTH WARMUP_S SECONDS     as echo, but sleeps when nothing is there
 *
 * BYTES: of a frame with its header. DEPTH: frames under way per connection. PID: the server, whose processor clock is read at both ends of
 * the span, as are the calls to malloc that it counts in the file CVY_BENCH_COUNTS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "count.h"
#include "wire.h"

enum { BUCKETS = 64 * 16, EVENTS = 1024, FLOOD_BYTES = 64 * 1024 };

typedef struct connection {
    int fd;
    bool floods;  /* keeps the whole window under way, and is not counted */
    size_t depth; /* frames under way */
    uint64_t sent, received;
    uint64_t *times; /* when each frame under way began to be sent */
    size_t first, count;
} connection_t;

static struct {
    wire_address_t address;
    pid_t server;
    int n;
    size_t frame, window; /* bytes: of a frame, of all frames of the payload */
    size_t depth;
    uint8_t *payload;
    uint8_t buffer[1 << 20];
    int poller;
    connection_t *connections;
    uint64_t messages;
    uint64_t latency[BUCKETS];
    bool measuring;
    int timeout_ms;         /* 0: polls */
    uint64_t flooded;       /* messages of the connection that floods */
    const counts_t *counts; /* the server's; NULL: it does not count */
} load;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) wire_die("clock_gettime");
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Sixteen buckets to each power of two: within 6 %. */
static void note_latency(uint64_t ns)
{
    unsigned power = ns < 16 ? 0 : 63 - (unsigned)__builtin_clzll(ns) - 4;
    unsigned bucket = power * 16 + (unsigned)(ns >> power);
    load.latency[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static double percentile_us(double share)
{
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        all += load.latency[i];
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += load.latency[i];
        if (all && (double)seen >= share * (double)all) {
            unsigned power = i < 32 ? 0 : i / 16 - 1;
            return (double)((uint64_t)(i - power * 16) << power) / 1000;
        }
    }
    return 0;
}

static void note_frames(connection_t *c, uint64_t before, uint64_t at)
{
    uint64_t done = c->received / load.frame - before / load.frame;
    *(c->floods ? &load.flooded : &load.messages) += done;
    for (; done && c->count; done--, c->count--) {
        if (load.measuring && !c->floods) note_latency(at - c->times[c->first]);
        c->first = (c->first + 1) % c->depth;
    }
}

static void want_room(connection_t *c, bool room)
{
    struct epoll_event ev = { .events = room ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c };
    epoll_ctl(load.poller, EPOLL_CTL_MOD, c->fd, &ev);
}

/* Keeps `depth` frames under way. False: the kernel took only a part. */
static bool send_more(connection_t *c, uint64_t at)
{
    uint64_t whole = c->received / load.frame * load.frame, until = whole + load.frame * c->depth;
    while (c->sent < until) {
        size_t from = (size_t)(c->sent % load.window), n = load.window - from;
        if (n > until - c->sent) n = (size_t)(until - c->sent);
        if (c->floods && n > FLOOD_BYTES) n = FLOOD_BYTES;
        ssize_t taken = send(c->fd, load.payload + from, n, MSG_NOSIGNAL);
        if (taken < 0 && errno == EAGAIN) return false;
        if (taken <= 0) wire_die("send");
        uint64_t begun = (c->sent + load.frame - 1) / load.frame;
        c->sent += (uint64_t)taken;
        for (; begun * load.frame < c->sent && c->count < c->depth; begun++)
            c->times[(c->first + c->count++) % c->depth] = at;
        if (c->floods) return c->sent == until; /* the others' turn */
    }
    return true;
}

static void check(const connection_t *c, const uint8_t *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        size_t from = (size_t)((c->received + done) % load.window), m = load.window - from;
        if (m > n - done) m = n - done;
        if (memcmp(load.payload + from, bytes + done, m) != 0) {
            fprintf(stderr, "echo_load: an echo differs within %zu bytes from %llu on\n", m,
                    (unsigned long long)(c->received + done));
            exit(1);
        }
        done += m;
    }
}

/* False: nothing there. */
static bool receive(connection_t *c)
{
    ssize_t n = recv(c->fd, load.buffer, c->floods ? FLOOD_BYTES : sizeof load.buffer, 0);
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) {
        fprintf(stderr, "echo_load: the server closed a connection\n");
        exit(1);
    }
    uint64_t before = c->received;
    check(c, load.buffer, (size_t)n);
    c->received += (uint64_t)n;
    note_frames(c, before, now_ns(CLOCK_MONOTONIC));
    return true;
}

/* Every connection from an address of its own on the loopback: no port runs out. */
static void open_connection(connection_t *c)
{
    static uint32_t serial;
    c->fd = socket(load.address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) wire_die("socket");
    if (load.address.tcp) {
        struct sockaddr_in from = { .sin_family = AF_INET };
        int one = 1;
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (serial++ & 0xffff) * 4);
        setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(c->fd, (const struct sockaddr *)&from, sizeof from)) wire_die("bind");
    }
    while (connect(c->fd, (const struct sockaddr *)&load.address.storage, load.address.size))
        if (errno != EAGAIN) wire_die("connect"); /* a local socket whose backlog is full */
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    wire_tune(c->fd, &load.address);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(load.poller, EPOLL_CTL_ADD, c->fd, &ev)) wire_die("epoll_ctl");
    c->sent = c->received = 0;
    c->first = c->count = 0;
    if (!send_more(c, now_ns(CLOCK_MONOTONIC))) want_room(c, true);
}

static void serve_echo(connection_t *c, uint32_t events)
{
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(c)) return;
    bool all = send_more(c, now_ns(CLOCK_MONOTONIC));
    if (!all != !!(events & EPOLLOUT)) want_room(c, !all);
}

static void serve_connect(connection_t *c, uint32_t events)
{
    (void)events;
    if (!receive(c) || c->received < load.frame) return;
    close(c->fd);
    open_connection(c);
}

static void poll_until(uint64_t deadline, void (*serve)(connection_t *c, uint32_t events))
{
    struct epoll_event events[EVENTS];
    while (now_ns(CLOCK_MONOTONIC) < deadline) {
        int n = epoll_wait(load.poller, events, EVENTS, load.timeout_ms);
        for (int i = 0; i < n; i++)
            serve(events[i].data.ptr, events[i].events);
    }
}

/* What is read at both ends of the span. */
typedef struct snapshot {
    uint64_t messages, flooded, at, cpu, mallocs;
} snapshot_t;

static snapshot_t take_snapshot(clockid_t cpu)
{
    return (snapshot_t){ load.messages, load.flooded, now_ns(CLOCK_MONOTONIC), now_ns(cpu),
                         load.counts ? load.counts->calls : 0 };
}

static void print_span(const snapshot_t *a, const snapshot_t *b)
{
    double messages = (double)(b->messages - a->messages), all = messages + (double)(b->flooded - a->flooded);
    double span = (double)(b->at - a->at), used = (double)(b->cpu - a->cpu);
    printf("{\"messages_per_s\": %.1f, \"mb_per_s\": %.3f, \"cpu_ns_per_message\": %.1f, \"server_busy\": %.3f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f",
           messages * 1e9 / span, messages * (double)load.frame * 1e3 / span, used / all, used / span,
           percentile_us(.5), percentile_us(.99), percentile_us(.999));
    if (load.counts) printf(", \"mallocs_per_message\": %.6f", (double)(b->mallocs - a->mallocs) / all);
    if (b->flooded)
        printf(", \"flood_mb_per_s\": %.1f", (double)(b->flooded - a->flooded) * (double)load.frame * 1e3 / span);
    printf("}\n");
}

static void measure(double warmup_s, double seconds, void (*serve)(connection_t *c, uint32_t events))
{
    clockid_t cpu;
    if (clock_getcpuclockid(load.server, &cpu)) wire_die("clock_getcpuclockid");
    poll_until(now_ns(CLOCK_MONOTONIC) + (uint64_t)(warmup_s * 1e9), serve);
    snapshot_t before = take_snapshot(cpu);
    load.measuring = true;
    poll_until(before.at + (uint64_t)(seconds * 1e9), serve);
    snapshot_t after = take_snapshot(cpu);
    if (after.messages == before.messages) {
        fprintf(stderr, "echo_load: not one message came back\n");
        exit(1);
    }
    print_span(&before, &after);
}

/* What of the server is resident, in bytes: the pages, not the sockets in the kernel. */
static double server_rss(void)
{
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)load.server);
    FILE *f = fopen(path, "r");
    if (!f) wire_die(path);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "Rss:", 4)) kib = atof(line + 4);
    fclose(f);
    return kib * 1024;
}

/* Opened, and one echo. */
static void introduce(connection_t *c)
{
    open_connection(c);
    while (c->received < load.frame)
        receive(c);
}

static void measure_idle(void)
{
    int warm = load.n / 10; /* what the server sets up once is no connection's */
    for (int i = 0; i < warm; i++)
        introduce(&load.connections[i]);
    double rss = server_rss(), heap = load.counts ? (double)load.counts->held : 0;
    for (int i = warm; i < load.n + warm; i++)
        introduce(&load.connections[i]);
    printf("{\"rss_per_connection\": %.1f", (server_rss() - rss) / load.n);
    if (load.counts) printf(", \"heap_per_connection\": %.1f", ((double)load.counts->held - heap) / load.n);
    printf("}\n");
}

static void open_counts(void)
{
    const char *path = getenv("CVY_BENCH_COUNTS");
    if (!path || !*path) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) wire_die(path);
    const void *shared = mmap(NULL, sizeof *load.counts, PROT_READ, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) wire_die(path);
    close(fd);
    load.counts = shared;
}

static void make_payload(void)
{
    load.window = load.frame * load.depth;
    load.payload = malloc(load.window);
    if (!load.payload) wire_die("malloc");
    for (size_t i = 0; i < load.depth; i++) {
        uint8_t *p = load.payload + i * load.frame;
        uint32_t length = htonl((uint32_t)(load.frame - WIRE_HEADER));
        for (size_t j = WIRE_HEADER; j < load.frame; j++)
            p[j] = (uint8_t)((i + j) * 31 + j / 251);
        memcpy(p, &length, WIRE_HEADER);
    }
}

/* floods: the last one does, and the others have one frame under way. */
static void make_connections(int n, bool floods)
{
    load.connections = calloc((size_t)n, sizeof *load.connections);
    if (!load.connections) wire_die("calloc");
    for (int i = 0; i < n; i++) {
        connection_t *c = &load.connections[i];
        c->floods = floods && i == n - 1;
        c->depth = floods && !c->floods ? 1 : load.depth;
        c->times = calloc(c->depth, sizeof *c->times);
        if (!c->times) wire_die("calloc");
    }
}

static _Noreturn void usage(void)
{
    fprintf(stderr,
            "usage: echo_load echo|connect|idle|flood|wait ADDRESS PID CONNECTIONS BYTES DEPTH WARMUP_S SECONDS\n");
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc != 9) usage();
    struct rlimit files = { 65536, 65536 };
    setrlimit(RLIMIT_NOFILE, &files);
    load.address = wire_parse(argv[2]);
    load.server = (pid_t)atoi(argv[3]);
    load.n = atoi(argv[4]);
    load.frame = (size_t)atol(argv[5]);
    load.depth = (size_t)atol(argv[6]);
    if (load.n < 1 || load.frame < WIRE_HEADER || load.depth < 1) usage();
    bool idle = !strcmp(argv[1], "idle"), connects = !strcmp(argv[1], "connect"), floods = !strcmp(argv[1], "flood");
    if (!strcmp(argv[1], "wait")) load.timeout_ms = 10;
    if (!idle && !connects && !floods && !load.timeout_ms && strcmp(argv[1], "echo") != 0) usage();
    open_counts();
    make_payload();
    load.poller = epoll_create1(EPOLL_CLOEXEC);
    make_connections(load.n + (idle ? load.n / 10 : floods ? 1 : 0), floods);
    if (idle) {
        measure_idle();
        return 0;
    }
    for (int i = 0; i < load.n + floods; i++)
        open_connection(&load.connections[i]);
    measure(atof(argv[7]), atof(argv[8]), connects ? serve_connect : serve_echo);
    return 0;
}
