/* Proves lib/transport/endpoints.c and what listeners know of their connections' ends: the names of both ends over TCP, whenever they are asked. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "net.h"
#include "scheme.h"

enum { MANY = 3 };

typedef struct names {
    char self[256], other[256];
    int self_port, other_port;
} names_t;

static names_t served[MANY], dialed[MANY];
static int served_gone, dialed_gone;

static int port_of(const struct sockaddr *a)
{
    ck_assert_ptr_nonnull(a);
    if (a->sa_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
}

static void note(names_t *n, const cvy_transport_t *t)
{
    snprintf(n->self, sizeof n->self, "%s", cvy_transport_self_endpoint(t));
    snprintf(n->other, sizeof n->other, "%s", cvy_transport_other_endpoint(t));
    n->self_port = port_of(cvy_transport_self_address(t));
    n->other_port = port_of(cvy_transport_other_address(t));
}

static void on_served_gone(cvy_transport_t *t, int cause, void *arg)
{
    (void)cause, (void)arg;
    note(&served[served_gone++], t);
}

static void on_accepted(net_t *n, cvy_transport_t *t)
{
    (void)n;
    cvy_transport_on_shutdown_completed(t, on_served_gone, NULL);
}

static void on_dialed_gone(net_t *n, cvy_transport_t *t, int cause)
{
    (void)n, (void)cause;
    note(&dialed[dialed_gone++], t);
}

static const char *port_text(const char *address)
{
    return strrchr(address, ':') + 1;
}

/* MANY connections, whose names nobody asks for until they are over. */
static void serve(net_t *n, const char *listen, const char *dial)
{
    char address[300];
    net_init(n);
    served_gone = dialed_gone = 0;
    n->on_accepted = on_accepted;
    n->on_client_gone = on_dialed_gone;
    net_listen(n, listen);
    snprintf(address, sizeof address, "tcp://%s:%s", dial, port_text(n->address));
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(net_dial(n, address), 0);
    NET_UNTIL(n, n->connected == MANY && n->accepted == MANY);
    for (int i = 0; i < MANY; i++)
        net_write(n, i, "x");
    NET_UNTIL(n, n->echoed == MANY);
    net_close_clients(n);
    NET_UNTIL(n, served_gone == MANY && dialed_gone == MANY);
}

/* The one whose other end is called so. */
static const names_t *with_port(const names_t *all, int port)
{
    for (int i = 0; i < MANY; i++)
        if (all[i].other_port == port) return &all[i];
    ck_abort_msg("nobody has port %d", port);
    return NULL;
}

/* Each end's own name is the other's peer. mapped: IPv4, as the accepted end writes it. */
static void check(const net_t *n, const char *host, const char *from, bool mapped)
{
    char own[300], prefix[300];
    int port = atoi(port_text(n->address));
    snprintf(own, sizeof own, mapped ? "tcp://[::ffff:%s]:%d" : "tcp://%s:%d", host, port);
    snprintf(prefix, sizeof prefix, mapped ? "tcp://[::ffff:%s]:" : "tcp://%s:", from);
    for (int i = 0; i < MANY; i++) {
        const names_t *d = &dialed[i], *s = with_port(served, d->self_port);
        ck_assert_str_eq(s->self, own);
        ck_assert_int_eq(s->self_port, port);
        ck_assert_int_eq(d->other_port, port);
        ck_assert_int_eq(strncmp(s->other, prefix, strlen(prefix)), 0);
        ck_assert_int_eq(atoi(port_text(s->other)), d->self_port);
        ck_assert_int_eq(atoi(port_text(d->self)), d->self_port);
        if (mapped) continue;
        ck_assert_str_eq(s->self, d->other);
        ck_assert_str_eq(s->other, d->self);
    }
}

/* T12: listeners bound to one address, to all, on a descriptor that was open; IPv4, IPv6, and IPv4 that comes to an IPv6 socket */
START_TEST(names_that_are_asked_for_after_the_close_are_right_and_the_same_crosswise)
{
    static const struct {
        const char *listen, *dial, *from;
        bool mapped;
    } rows[] = {
        { "tcp://127.0.0.1:0", "127.0.0.1", "127.0.0.1", false },
        { "tcp://0.0.0.0:0", "127.0.0.1", "127.0.0.1", false },
        { "tcp://0.0.0.0:0", "127.0.0.2", "127.0.0.1", false },
        { "tcp://[::1]:0", "[::1]", "[::1]", false },
        { "tcp://[::]:0", "[::1]", "[::1]", false },
        { "tcp://[::]:0", "127.0.0.1", "127.0.0.1", true },
        { "fd", "127.0.0.1", "127.0.0.1", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        net_t n;
        char address[256];
        snprintf(address, sizeof address, "%s", rows[i].listen);
        if (!strcmp(address, "fd")) scheme_address(address, SCHEME_FD);
        serve(&n, address, rows[i].dial);
        check(&n, rows[i].dial, rows[i].from, rows[i].mapped);
        net_fini(&n);
    }
}
END_TEST

/* T12, M3 */
START_TEST(names_without_memory_are_short_and_right_when_there_is_some_again)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.connected == 1 && n.accepted == 1);
    const cvy_transport_t *t = n.clients[0];
    for (int i = 0; i < 3; i++) {
        cvy__memory_fail(1);
        if (i == 0) ck_assert_str_eq(cvy_transport_self_endpoint(t), "tcp:");
        if (i == 1) ck_assert_str_eq(cvy_transport_other_endpoint(t), "tcp:");
        if (i == 2) ck_assert_ptr_null(cvy_transport_other_address(t));
        ck_assert(cvy__memory_failed());
        cvy__memory_fail(0);
    }
    ck_assert(!cvy_transport_closing(t));
    ck_assert_str_eq(cvy_transport_other_endpoint(t), n.address);
    const char *self = cvy_transport_self_endpoint(t);
    ck_assert_ptr_eq(self, cvy_transport_self_endpoint(t));
    ck_assert_int_eq(port_of(cvy_transport_self_address(t)), atoi(port_text(self)));
    net_fini(&n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endpoints");
    ADD_TESTS(suite, "names", names_that_are_asked_for_after_the_close_are_right_and_the_same_crosswise,
              names_without_memory_are_short_and_right_when_there_is_some_again);
    return test_run(suite);
}
