/* Cables: see cable.h. One thread moves packets from each device into a queue that is kept by due time, and from there to the other device. */
#include "cable.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE "cable"

enum { PACKET_BYTES = 2048 };

struct cable_packet {
    cable_packet_t *next;
    uint64_t due; /* uv_hrtime */
    int to;
    size_t n;
    uint8_t bytes[PACKET_BYTES];
};

/* The kernel's in6_ifreq, whose header does not go together with netinet/in.h; as large as what that call takes otherwise. */
union address6 {
    struct {
        struct in6_addr address;
        uint32_t prefix;
        int device;
    } in6;
    struct ifreq usual;
};

/* Making hosts. Each step answers why it failed; NULL: it did not. */

static const char *new_host(void)
{
    if (!unshare(CLONE_NEWNET)) return NULL;
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) ? "no network namespaces for this user" : NULL;
}

static bool set_flags(int s, const char *device, bool up)
{
    struct ifreq r = { 0 };
    strcpy(r.ifr_name, device);
    if (ioctl(s, SIOCGIFFLAGS, &r)) return false;
    r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
    return !ioctl(s, SIOCSIFFLAGS, &r);
}

static bool set_mtu(int s, int mtu)
{
    struct ifreq r = { .ifr_mtu = mtu };
    strcpy(r.ifr_name, DEVICE);
    return !ioctl(s, SIOCSIFMTU, &r);
}

static bool set_address(int s, unsigned long request, uint32_t address)
{
    struct ifreq r = { 0 };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };
    strcpy(r.ifr_name, DEVICE);
    memcpy(&r.ifr_addr, &at, sizeof at);
    return !ioctl(s, request, &r);
}

/* A machine without IPv6 has none here either. The kernel makes the address good to use some time later. */
static void set_address6(int host)
{
    int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    union address6 r;
    memset(&r, 0, sizeof r);
    r.in6.prefix = 64;
    r.in6.device = (int)if_nametoindex(DEVICE);
    r.in6.address.s6_addr[0] = 0xfd;
    r.in6.address.s6_addr[1] = 0x77;
    r.in6.address.s6_addr[15] = (uint8_t)(1 + host);
    if (s < 0) return;
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = r.in6.address };
    bool there = !ioctl(s, SIOCSIFADDR, &r);
    for (int ms = 0; there && ms < 2000 && bind(s, (struct sockaddr *)&at, sizeof at); ms++)
        uv_sleep(1);
    close(s);
}

static const char *open_device(int *tun)
{
    struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    strcpy(r.ifr_name, DEVICE);
    *tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*tun < 0) return "no /dev/net/tun";
    return ioctl(*tun, TUNSETIFF, &r) ? "no TUN device in a namespace" : NULL;
}

static const char *make_host(int host, int mtu, int *fd, int *tun)
{
    const char *why = new_host();
    if (!why) why = open_device(tun);
    if (why) return why;
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = set_flags(s, "lo", true) && set_address(s, SIOCSIFADDR, 0x0a4d0001u + (uint32_t)host) &&
              set_address(s, SIOCSIFNETMASK, 0xffffff00u) && set_mtu(s, mtu) && set_flags(s, DEVICE, true);
    close(s);
    if (!ok) return "a device in a namespace can not be set up";
    if (mtu >= 1280) set_address6(host);
    *fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return *fd < 0 ? "no /proc/thread-self/ns/net" : NULL;
}

const char *cable_missing(void)
{
    const char *why = NULL;
    int answer[2], fd, tun;
    if (pipe(answer)) return "no pipe";
    pid_t child = fork();
    if (!child) {
        for (int host = 0; host < 2 && !why; host++)
            why = make_host(host, 1500, &fd, &tun);
        _exit(write(answer[1], &why, sizeof why) == sizeof why ? 0 : 1); /* the text is at the same place in both */
    }
    if (child < 0 || read(answer[0], &why, sizeof why) != sizeof why) why = "no process to try it in";
    if (child > 0) waitpid(child, NULL, 0);
    close(answer[0]);
    close(answer[1]);
    return why;
}

/* Carrying */

static uint32_t of_hundred(cable_t *c)
{
    c->seed ^= c->seed << 13;
    c->seed ^= c->seed >> 17;
    c->seed ^= c->seed << 5;
    return c->seed % 100;
}

static void enqueue(cable_t *c, const cable_packet_t *packet)
{
    cable_packet_t *p = malloc(sizeof *p), **at = &c->queue;
    int64_t ms = c->opts.delay_ms;
    if (c->opts.jitter_ms)
        ms += (int64_t)(of_hundred(c) * (uint32_t)(2 * c->opts.jitter_ms + 1) / 100) - c->opts.jitter_ms;
    *p = *packet;
    p->due = uv_hrtime() + (ms > 0 ? (uint64_t)ms * 1000000 : 0);
    while (*at && (*at)->due <= p->due)
        at = &(*at)->next;
    p->next = *at;
    *at = p;
}

static void receive(cable_t *c, int from)
{
    static cable_packet_t p;
    for (ssize_t n; (n = read(c->tun[from], p.bytes, PACKET_BYTES)) > 0;) {
        bool dead = atomic_load(&c->cut) || (atomic_load(&c->no_ipv6) && p.bytes[0] >> 4 == 6);
        p.n = (size_t)n;
        p.to = !from;
        if (dead || of_hundred(c) < (uint32_t)c->opts.loss) {
            atomic_fetch_add(&c->lost, 1);
            continue;
        }
        enqueue(c, &p);
        if (of_hundred(c) >= (uint32_t)c->opts.doubled) continue;
        enqueue(c, &p);
        atomic_fetch_add(&c->doubled, 1);
    }
}

static void deliver(cable_t *c)
{
    for (cable_packet_t *p; (p = c->queue) && (p->due <= uv_hrtime() || atomic_load(&c->cut));) {
        c->queue = p->next;
        if (atomic_load(&c->cut) || write(c->tun[p->to], p->bytes, p->n) < 0)
            atomic_fetch_add(&c->lost, 1);
        else
            atomic_fetch_add(&c->carried, 1);
        free(p);
    }
}

static void carry(void *arg)
{
    cable_t *c = arg;
    struct pollfd fds[3] = { { c->tun[0], POLLIN, 0 }, { c->tun[1], POLLIN, 0 }, { c->bell[0], POLLIN, 0 } };
    while (!(fds[2].revents & (POLLIN | POLLHUP))) {
        uint64_t now = uv_hrtime();
        int ms = !c->queue ? 1000 : c->queue->due <= now ? 0 : (int)((c->queue->due - now) / 1000000) + 1;
        poll(fds, 3, ms);
        receive(c, 0);
        receive(c, 1);
        deliver(c);
    }
}

/* The public calls */

void cable_open(cable_t *c, const cable_opts_t *opts)
{
    memset(c, 0, sizeof *c);
    c->opts = *opts;
    c->seed = 2463534242u;
    for (int host = 0; host < 2; host++) {
        const char *why = make_host(host, opts->mtu ? opts->mtu : 1500, &c->host[host], &c->tun[host]);
        ck_assert_msg(!why, "%s", why);
    }
    ck_assert(!pipe(c->bell));
    ck_assert(!uv_thread_create(&c->thread, carry, c));
}

void cable_close(cable_t *c)
{
    close(c->bell[1]);
    uv_thread_join(&c->thread);
    close(c->bell[0]);
    for (cable_packet_t *p; (p = c->queue);) {
        c->queue = p->next;
        free(p);
    }
    for (int host = 0; host < 2; host++) {
        close(c->tun[host]);
        close(c->host[host]);
    }
}

void cable_enter(const cable_t *c, int host)
{
    ck_assert_int_eq(setns(c->host[host], CLONE_NEWNET), 0);
}

void cable_cut(cable_t *c, bool cut)
{
    atomic_store(&c->cut, cut);
}

void cable_cut_ipv6(cable_t *c)
{
    atomic_store(&c->no_ipv6, true);
}

void cable_link(const cable_t *c, int host, bool up)
{
    cable_enter(c, host);
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert(set_flags(s, DEVICE, up));
    close(s);
}
