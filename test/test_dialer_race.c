/*
 * Several addresses (RFC 8305) and deadlines. A black hole on this machine: a listening socket whose backlog is full answers no SYN.
 */
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "endpoint/dialer.h"
#include "net.h"
#include "support.h"

#ifndef _WIN32
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* Black holes */

typedef struct hole {
    struct sockaddr_in address;
    int listener, fillers[8], n;
} hole_t;

/* Whether fd is connected soon: no wait, loopback connects within the call. */
static bool connected(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    return poll(&p, 1, 200) == 1;
}

static void hole_open(hole_t *h)
{
    socklen_t len = sizeof h->address;
    memset(h, 0, sizeof *h);
    h->address.sin_family = AF_INET;
    h->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    h->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(h->listener, (struct sockaddr *)&h->address, sizeof h->address), 0);
    ck_assert_int_eq(listen(h->listener, 0), 0);
    ck_assert_int_eq(getsockname(h->listener, (struct sockaddr *)&h->address, &len), 0);
    do {
        int fd = h->fillers[h->n++] = socket(AF_INET, SOCK_STREAM, 0);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        if (connect(fd, (struct sockaddr *)&h->address, len) && errno == EINPROGRESS && !connected(fd)) return;
    } while (h->n < 8);
    ck_abort_msg("the backlog does not fill");
}

static void hole_close(hole_t *h)
{
    for (int i = 0; i < h->n; i++)
        close(h->fillers[i]);
    close(h->listener);
}

static void hole_uri(const hole_t *h, char *out, size_t n)
{
    cvy__address_format(out, n, (const struct sockaddr *)&h->address);
}

START_TEST(a_dial_that_nobody_answers_times_out) /* L8, T17 */
{
    net_t n;
    hole_t hole;
    char uri[64];
    net_init(&n);
    hole_open(&hole);
    hole_uri(&hole, uri, sizeof uri);
    n.dial.timeout_ms = 60;
    uint64_t before = uv_hrtime();
    net_turn(&n, 0); /* takes the loop's clock, which is not earlier now */
    ck_assert_int_eq(net_dial(&n, uri), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ETIMEDOUT);
    ck_assert_uint_ge((uv_hrtime() - before) / 1000000, 58); /* whole milliseconds, of two clocks */
    net_settle(&n);
    ck_assert_int_eq(n.failed, 1);
    ck_assert_int_eq(n.connected, 0);
    hole_close(&hole);
    net_fini(&n);
}
END_TEST

/* L8 */
START_TEST(cancelled_while_connecting_it_ends_at_once)
{
    net_t n;
    hole_t hole;
    char uri[64];
    net_init(&n);
    hole_open(&hole);
    hole_uri(&hole, uri, sizeof uri);
    ck_assert_int_eq(net_dial(&n, uri), 0);
    net_settle(&n);
    ck_assert_int_eq(n.failed, 0);
    ck_assert_int_eq(cvy_dialer_cancel(n.dialers[0]), 0);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECANCELED);
    hole_close(&hole);
    net_fini(&n);
}
END_TEST

START_TEST(the_loop_may_end_while_several_attempts_are_under_way)
{
    net_t n;
    hole_t hole;
    char uri[64];
    net_init(&n);
    hole_open(&hole);
    hole_uri(&hole, uri, sizeof uri);
    n.dial.attempt_delay_ms = 1;
    cvy_dialer_t *d = net_dial_list(&n, (const char *[]){ uri, uri, uri }, 3);
    NET_UNTIL(&n, d->running == 3);
    cvy_loop_stop(n.loop);
    ck_assert_int_eq(cvy_loop_run(n.loop), 0);
    ck_assert_int_eq(n.result, UV_ECANCELED);
    ck_assert_int_eq(n.failed, 1);
    hole_close(&hole);
    net_fini(&n);
}
END_TEST

START_TEST(freed_while_several_attempts_are_under_way_it_starts_no_more)
{
    net_t n;
    hole_t hole;
    char uri[64];
    net_init(&n);
    hole_open(&hole);
    hole_uri(&hole, uri, sizeof uri);
    n.dial.attempt_delay_ms = 3600000;
    cvy_dialer_t *d = net_dial_list(&n, (const char *[]){ uri, uri, uri, uri, uri, uri }, 6);
    d->next_attempt.cb(&d->next_attempt); /* as if the first delay were over */
    ck_assert_uint_eq(d->running, 2);
    ck_assert(cvy_timer_armed(&d->next_attempt));
    cvy_dialer_free(d);
    n.dialed--;
    net_settle(&n);
    ck_assert_uint_eq(cvy__wheel_next(&n.loop->wheel), CVY__NEVER); /* no timer of its */
    ck_assert(!uv_loop_alive(cvy_loop_uv(n.loop)));
    hole_close(&hole);
    net_fini(&n);
}
END_TEST

START_TEST(an_address_that_says_nothing_is_overtaken_after_the_delay) /* L8 */
{
    net_t n;
    hole_t hole;
    char uri[64];
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    hole_open(&hole);
    hole_uri(&hole, uri, sizeof uri);
    n.dial.attempt_delay_ms = 50;
    uint64_t before = uv_hrtime();
    net_turn(&n, 0); /* takes the loop's clock, which is not earlier now */
    net_dial_list(&n, (const char *[]){ uri, n.address }, 2);
    NET_UNTIL(&n, n.connected);
    ck_assert_uint_ge((uv_hrtime() - before) / 1000000, 48); /* whole milliseconds, of two clocks */
    ck_assert_str_eq(cvy_transport_other_endpoint(n.clients[0]), n.address);
    net_settle(&n);
    ck_assert_int_eq(n.connected, 1);
    ck_assert_int_eq(n.failed, 0);
    hole_close(&hole);
    net_fini(&n);
}
END_TEST

/* L8 */
START_TEST(the_first_address_wins_when_it_answers_in_time)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    n.dial.attempt_delay_ms = 3600000;
    cvy_dialer_t *d = net_dial_list(&n, (const char *[]){ n.address, "tcp://127.0.0.1:1" }, 2);
    NET_UNTIL(&n, n.connected);
    ck_assert_uint_eq(d->next_target, 1); /* the second was never tried */
    net_fini(&n);
}
END_TEST

/* L8 */
START_TEST(losers_that_connect_too_are_discarded)
{
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    cvy_dialer_t *d = net_dial_list(&n, (const char *[]){ n.address, n.address, n.address }, 3);
    while (d->next_target < 3)
        d->next_attempt.cb(&d->next_attempt); /* as if all delays were over */
    NET_UNTIL(&n, n.connected);
    NET_UNTIL(&n, n.accepted == 3 && cvy_listener_connections(n.listener) == 1);
    ck_assert_int_eq(n.connected, 1);
    net_fini(&n);
}
END_TEST

#endif

START_TEST(a_failed_address_is_followed_by_the_next_at_once) /* L8 */
{
#ifndef _WIN32
    net_t n;
    net_init(&n);
    net_listen(&n, "tcp://127.0.0.1:0");
    n.dial.attempt_delay_ms = 3600000;
    net_dial_list(&n, (const char *[]){ "tcp://127.0.0.1:1", "tcp://[::1]:1", n.address }, 3);
    NET_UNTIL(&n, n.connected || n.failed);
    ck_assert_int_eq(n.connected, 1);
    net_fini(&n);
#endif
}
END_TEST

/* L8 */
START_TEST(when_all_addresses_fail_there_is_one_failure)
{
#ifndef _WIN32
    net_t n;
    net_init(&n);
    net_dial_list(&n, (const char *[]){ "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", "tcp://127.0.0.1:3" }, 3);
    NET_UNTIL(&n, n.failed);
    ck_assert_int_eq(n.result, UV_ECONNREFUSED);
    net_settle(&n);
    ck_assert_int_eq(n.failed, 1);
    net_fini(&n);
#endif
}
END_TEST

/* Order: 6 and 4 stand for the families; the digit behind is the place in what was found. */
static void order(const char *found, const char *expected)
{
    struct addrinfo info[40];
    struct sockaddr_in6 sockets[40];
    cvy_dialer_t d;
    size_t n = strlen(found);
    memset(&d, 0, sizeof d);
    memset(sockets, 0, sizeof sockets);
    memset(info, 0, sizeof info);
    for (size_t i = 0; i < n; i++) {
        info[i].ai_family = found[i] == '6' ? AF_INET6 : AF_INET;
        info[i].ai_addr = (struct sockaddr *)&sockets[i];
        info[i].ai_next = i + 1 < n ? &info[i + 1] : NULL;
        sockets[i].sin6_family = (unsigned short)info[i].ai_family;
        sockets[i].sin6_port = (uint16_t)i;
    }
    cvy__race_order(&d, n ? info : NULL);
    char text[CVY__TARGETS * 2 + 1] = "";
    for (unsigned i = 0; i < d.n_targets; i++) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&d.targets[i];
        char one[] = { in6->sin6_family == AF_INET6 ? '6' : '4', (char)('a' + in6->sin6_port), '\0' };
        strcat(text, one);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(families_take_turns_the_first_found_first) /* RFC 8305, 4 */
{
    order("", "");
    order("4", "4a");
    order("66", "6a6b");
    order("6644", "6a4c6b4d");
    order("4466", "4a6c4b6d");
    order("66664", "6a4e6b6c6d");
    order("6446", "6a4b6d4c");
    order("44444444444444444444", "4a4b4c4d4e4f4g4h4i4j4k4l4m4n4o4p");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dialer_race");
    ADD_TESTS(suite, "order", families_take_turns_the_first_found_first,
              a_failed_address_is_followed_by_the_next_at_once, when_all_addresses_fail_there_is_one_failure);
#ifndef _WIN32
    ADD_TESTS(suite, "time", a_dial_that_nobody_answers_times_out, cancelled_while_connecting_it_ends_at_once,
              the_loop_may_end_while_several_attempts_are_under_way,
              freed_while_several_attempts_are_under_way_it_starts_no_more,
              an_address_that_says_nothing_is_overtaken_after_the_delay, the_first_address_wins_when_it_answers_in_time,
              losers_that_connect_too_are_discarded);
#endif
    return test_run(suite);
}
