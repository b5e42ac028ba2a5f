/* Addresses: what is taken, what is refused, and how the refusal reads. */
#include <string.h>
#include <uv.h>

#include "base/system_socket.h"
#include "endpoint/address.h"
#include "support.h"

#ifdef _WIN32
#define ONLY(posix, windows) windows
#else
#define ONLY(posix, windows) posix
#endif

static char why[CVY__MESSAGE_MAX];

static int check(const char *uri)
{
    return cvy_address_check(uri, why, sizeof why);
}

static void refused(const char *uri, int err, const char *line)
{
    ck_assert_int_eq(check(uri), err);
    ck_assert_str_eq(why, line);
}

START_TEST(good_addresses_are_taken_without_a_word)
{
    static const char *const good[] = {
        "tcp://127.0.0.1:7000", "tcp://127.0.0.1:0",   "tcp://0.0.0.0:65535",      "tcp://[::1]:0",
        "tcp://[::]:80",        "tcp://[fe80::1%1]:1", "tcp://localhost:1",        "tcp://a-b.example_c:00080",
        "ipc://name",           "ipc://a.b-c",         "inproc://any thing/at:all"
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(check(good[i]) == 0, "%s", why);
        ck_assert_str_eq(why, "");
    }
    ck_assert_int_eq(cvy_address_check("tcp://127.0.0.1:1", NULL, 0), 0);
}
END_TEST

/* The message names the value, the rule and the code. */
START_TEST(bad_tcp_addresses_are_refused_with_the_rule)
{
    refused("tcp://127.0.0.1:99999", UV_EINVAL, "tcp://127.0.0.1:99999: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1:65536", UV_EINVAL, "tcp://127.0.0.1:65536: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1:", UV_EINVAL, "tcp://127.0.0.1:: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1:-1", UV_EINVAL, "tcp://127.0.0.1:-1: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1:7x", UV_EINVAL, "tcp://127.0.0.1:7x: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1:4294967297", UV_EINVAL, "tcp://127.0.0.1:4294967297: port must be 0 to 65535 (EINVAL)");
    refused("tcp://127.0.0.1", UV_EINVAL, "tcp://127.0.0.1: port is missing (tcp://host:port) (EINVAL)");
    refused("tcp://[::1]", UV_EINVAL, "tcp://[::1]: port is missing (tcp://host:port) (EINVAL)");
    refused("tcp://", UV_EINVAL, "tcp://: port is missing (tcp://host:port) (EINVAL)");
    refused("tcp://:80", UV_EINVAL,
            "tcp://:80: host is missing (all addresses of this host: 0.0.0.0 or [::]) (EINVAL)");
    refused("tcp://::1:80", UV_EINVAL, "tcp://::1:80: an IPv6 address is written tcp://[address]:port (EINVAL)");
    refused("tcp://[::1:80", UV_EINVAL, "tcp://[::1:80: an IPv6 address is written tcp://[address]:port (EINVAL)");
    refused("tcp://[]:80", UV_EINVAL, "tcp://[]:80: not an IPv6 address (EINVAL)");
    refused("tcp://[1.2.3.4]:80", UV_EINVAL, "tcp://[1.2.3.4]:80: not an IPv6 address (EINVAL)");
    refused("tcp://[::1%]:80", UV_EINVAL, "tcp://[::1%]:80: there is no such interface behind the % (EINVAL)");
    refused("tcp://[fe80::1%no-such]:80", UV_EINVAL,
            "tcp://[fe80::1%no-such]:80: there is no such interface behind the % (EINVAL)");
    refused("tcp://[fe80::1%4294967297]:80", UV_EINVAL,
            "tcp://[fe80::1%4294967297]:80: there is no such interface behind the % (EINVAL)");
    refused("tcp://[1111:2222:3333:4444:5555:6666:7777:8888:9999%1]:80", UV_EINVAL,
            "tcp://[1111:2222:3333:4444:5555:6666:7777:8888:9999%1]:80: not an IPv6 address (EINVAL)");
    refused("tcp://1.2.3:80", UV_EINVAL, "tcp://1.2.3:80: not an IPv4 address (EINVAL)");
    refused("tcp://1.2.3.256:80", UV_EINVAL, "tcp://1.2.3.256:80: not an IPv4 address (EINVAL)");
    refused("tcp://a b:80", UV_EINVAL, "tcp://a b:80: host may have letters, digits, '-', '.' and '_' (EINVAL)");
}
END_TEST

START_TEST(an_unknown_scheme_lists_the_known_ones)
{
    refused("udp://x:1", UV_EINVAL,
            "udp://x:1: unknown scheme; there are tcp://, unix://, ipc://, pipe://, inproc://, fd:// and systemd:// "
            "(EINVAL)");
    refused("", UV_EINVAL,
            ": unknown scheme; there are tcp://, unix://, ipc://, pipe://, inproc://, fd:// and systemd:// (EINVAL)");
    refused("127.0.0.1:80", UV_EINVAL,
            "127.0.0.1:80: unknown scheme; there are tcp://, unix://, ipc://, pipe://, inproc://, fd:// and systemd:// "
            "(EINVAL)");
    refused("TCP://127.0.0.1:80", UV_EINVAL,
            "TCP://127.0.0.1:80: unknown scheme; there are tcp://, unix://, ipc://, pipe://, inproc://, fd:// and "
            "systemd:// (EINVAL)");
}
END_TEST

static const char *repeat(char *out, const char *prefix, size_t n)
{
    size_t at = strlen(prefix);
    memcpy(out, prefix, at);
    memset(out + at, 'x', n);
    out[at + n] = '\0';
    return out;
}

START_TEST(names_have_a_rule_and_a_limit)
{
    char uri[600];
    refused("ipc://", UV_EINVAL, "ipc://: name is missing (EINVAL)");
    refused("ipc://a/b", UV_EINVAL, "ipc://a/b: name must not have slashes or be a folder (EINVAL)");
    refused("ipc://..", UV_EINVAL, "ipc://..: name must not have slashes or be a folder (EINVAL)");
    refused("inproc://", UV_EINVAL, "inproc://: name is missing (EINVAL)");
    ck_assert_int_eq(check(repeat(uri, "inproc://", 255)), 0);
    ck_assert_int_eq(check(repeat(uri, "inproc://", 256)), UV_ENAMETOOLONG);
    ck_assert_int_eq(check(repeat(uri, "ipc://", 550)), UV_ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(why, "longer than 511 bytes (ENAMETOOLONG)"));
    repeat(uri, "tcp://", 256);
    ck_assert_int_eq(check(strcat(uri, ":1")), UV_ENAMETOOLONG);
}
END_TEST

/* L12: the message names the limit. */
START_TEST(descriptors_and_names_of_passed_sockets_have_rules)
{
    char uri[600];
    ck_assert_int_eq(check("fd://0"), 0);
    ck_assert_int_eq(check("fd://2147483647"), 0);
    refused("fd://", UV_EINVAL,
            ONLY("fd://: descriptor must be 0 to 2147483647 (EINVAL)",
                 "fd://: descriptor must be 0 to 18446744073709551614 (EINVAL)"));
    ck_assert_int_eq(check("fd://x"), UV_EINVAL);
    ck_assert_int_eq(check("fd://3x"), UV_EINVAL);
    ck_assert_int_eq(check("fd://-1"), UV_EINVAL);
    ck_assert_int_eq(check("fd:// 3"), UV_EINVAL);
    ck_assert_int_eq(check("fd://2147483648"), ONLY(UV_EINVAL, 0));
    ck_assert_int_eq(check("fd://18446744073709551615"), UV_EINVAL);
    ck_assert_int_eq(check("fd://18446744073709551619"), UV_EINVAL);
    ck_assert_int_eq(check("systemd://"), ONLY(0, UV_ENOTSUP));
    ck_assert_int_eq(check("systemd://web"), ONLY(0, UV_ENOTSUP));
    ck_assert_int_eq(check(repeat(uri, "systemd://", 255)), ONLY(0, UV_ENOTSUP));
    ck_assert_int_eq(check(repeat(uri, "systemd://", 256)), ONLY(UV_ENAMETOOLONG, UV_ENOTSUP));
    refused("systemd://a:b", ONLY(UV_EINVAL, UV_ENOTSUP),
            ONLY("systemd://a:b: name must not have colons (EINVAL)",
                 "systemd://a:b: no service manager passes sockets here (ENOTSUP)"));
}
END_TEST

/* L7: too long a path is refused, never cut. */
START_TEST(unix_paths_are_checked_against_the_systems_limit)
{
#ifndef _WIN32
    char uri[600];
    size_t most = cvy__unix_path_max();
    ck_assert_int_eq(check("unix:///run/x"), 0);
    ck_assert_int_eq(check(repeat(uri, "unix:///", most - 1)), 0);
    ck_assert_int_eq(check(repeat(uri, "unix:///", most)), UV_ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(why, ": path is longer than "));
    refused("unix://x", UV_EINVAL,
            "unix://x: the path must be absolute (unix:///path) or abstract (unix://@name) (EINVAL)");
    refused("unix://", UV_EINVAL,
            "unix://: the path must be absolute (unix:///path) or abstract (unix://@name) (EINVAL)");
    if (!cvy__has_abstract()) {
        refused("unix://@x", UV_ENOTSUP, "unix://@x: abstract names are Linux's alone (ENOTSUP)");
        return;
    }
    ck_assert_int_eq(check(repeat(uri, "unix://@", most)), 0);
    ck_assert_int_eq(check(repeat(uri, "unix://@", most + 1)), UV_ENAMETOOLONG);
    refused("unix://@", UV_EINVAL, "unix://@: name is missing (EINVAL)");
#endif
}
END_TEST

/* T17: what is not to be had here says so. */
START_TEST(what_a_system_lacks_is_enotsup)
{
    ck_assert_int_eq(check("pipe://x"), ONLY(UV_ENOTSUP, 0));
    ck_assert_int_eq(check("unix:///x"), ONLY(0, UV_ENOTSUP));
    ck_assert_str_eq(why, ONLY("", "unix:///x: there are no Unix sockets here (ENOTSUP)"));
}
END_TEST

START_TEST(a_message_is_cut_at_the_callers_size)
{
    char small[12];
    ck_assert_int_eq(cvy_address_check("tcp://127.0.0.1:99999", small, sizeof small), UV_EINVAL);
    ck_assert_str_eq(small, "tcp://127.0");
}
END_TEST

START_TEST(a_socket_address_is_written_as_it_is_read)
{
    static const char *const texts[] = { "tcp://127.0.0.1:7000", "tcp://[::1]:65535", "tcp://[fe80::1%1]:2" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cvy__address_t a;
        char text[128];
        ck_assert_int_eq(cvy__address_parse(&a, texts[i], why, sizeof why), 0);
        cvy__address_format(text, sizeof text, (struct sockaddr *)&a.socket);
        ck_assert_str_eq(text, texts[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    ADD_TESTS(suite, "address", good_addresses_are_taken_without_a_word, bad_tcp_addresses_are_refused_with_the_rule,
              an_unknown_scheme_lists_the_known_ones, names_have_a_rule_and_a_limit,
              descriptors_and_names_of_passed_sockets_have_rules, unix_paths_are_checked_against_the_systems_limit,
              what_a_system_lacks_is_enotsup, a_message_is_cut_at_the_callers_size,
              a_socket_address_is_written_as_it_is_read);
    return test_run(suite);
}
