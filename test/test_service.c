/* What a service manager passes by the environment, and how it is told (service.h). Listening on it: test_adopted.c. */
#include <conveyor/service.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/system_socket.h"
#include "endpoint/passed.h"
#include "support.h"

static char why[300];

static void passed(const char *pid, const char *fds)
{
    cvy_service_forget();
    if (pid) uv_os_setenv("LISTEN_PID", pid);
    if (fds) uv_os_setenv("LISTEN_FDS", fds);
}

static const char *own_pid(void)
{
    static char text[32];
    snprintf(text, sizeof text, "%d", (int)uv_os_getpid());
    return text;
}

static void none(const char *pid, const char *fds)
{
    passed(pid, fds);
    ck_assert_int_eq(cvy_service_sockets(why, sizeof why), 0);
    ck_assert_str_eq(why, "");
}

/* L12 */
START_TEST(nothing_is_passed_where_the_environment_does_not_say_so_or_means_another_process)
{
    none(NULL, NULL);
    none(own_pid(), NULL);
    none(NULL, "1");
    none("1", "1");
    none("1", "abc");
    none(own_pid(), "0");
    ck_assert_int_eq(cvy_service_sockets(NULL, 0), 0);
}
END_TEST

START_TEST(the_environment_can_be_forgotten)
{
    passed(own_pid(), "1");
    uv_os_setenv("LISTEN_FDNAMES", "web");
    cvy_service_forget();
    ck_assert(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES"));
}
END_TEST

START_TEST(where_nobody_asked_to_be_told_nobody_is)
{
    uv_os_unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(cvy_service_notify("READY=1"), 0);
}
END_TEST

#ifdef _WIN32
START_TEST(there_is_no_such_thing_here)
{
    none(own_pid(), "1");
    none(own_pid(), "abc");
    uv_os_setenv("NOTIFY_SOCKET", "/run/manager");
    ck_assert_int_eq(cvy_service_notify("READY=1"), UV_ENOTSUP);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "windows", there_is_no_such_thing_here);
}
#else
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void wrong(const char *pid, const char *fds, int err, const char *line)
{
    char cut[10];
    passed(pid, fds);
    ck_assert_int_eq(cvy_service_sockets(why, sizeof why), err);
    ck_assert_str_eq(why, line);
    ck_assert_int_eq(cvy_service_sockets(NULL, 0), err);
    ck_assert_int_eq(cvy_service_sockets(cut, sizeof cut), err);
    ck_assert_str_eq(cut, "environme");
}

/* L12 */
START_TEST(a_variable_that_can_not_be_read_is_named_with_its_value_and_the_limit)
{
    const char *me = own_pid();
    wrong(me, "abc", UV_EINVAL, "environment: LISTEN_FDS=abc must be 0 to 2147483644 (EINVAL)");
    wrong(me, "", UV_EINVAL, "environment: LISTEN_FDS= must be 0 to 2147483644 (EINVAL)");
    wrong(me, "-1", UV_EINVAL, "environment: LISTEN_FDS=-1 must be 0 to 2147483644 (EINVAL)");
    wrong(me, "1x", UV_EINVAL, "environment: LISTEN_FDS=1x must be 0 to 2147483644 (EINVAL)");
    wrong(me, "2147483645", UV_EINVAL, "environment: LISTEN_FDS=2147483645 must be 0 to 2147483644 (EINVAL)");
    wrong(me, "18446744073709551617", UV_EINVAL,
          "environment: LISTEN_FDS=18446744073709551617 must be 0 to 2147483644 (EINVAL)");
    wrong("me", "1", UV_EINVAL, "environment: LISTEN_PID=me must be a process' number (EINVAL)");
    wrong("99999999999", "1", UV_EINVAL, "environment: LISTEN_PID=99999999999 must be a process' number (EINVAL)");
}
END_TEST

/* L12: an announced number reserves nothing, the first that is not open ends it. */
START_TEST(a_descriptor_that_is_not_open_is_named)
{
    char line[200];
    int first = dup(STDIN_FILENO);
    ck_assert_int_ge(first, 0);
    for (int fd = CVY__PASSED_FIRST; fd < first; fd++)
        ck_assert_int_ge(fcntl(fd, F_GETFD), 0); /* dup takes the lowest */
    close(first);
    if (first < CVY__PASSED_FIRST) return;
    snprintf(line, sizeof line, "environment: LISTEN_FDS=2147483644 and descriptor %d is not open (EBADF)", first);
    wrong(own_pid(), "2147483644", UV_EBADF, line);
}
END_TEST

/* L12 */
START_TEST(names_are_told_apart_by_place_and_in_full)
{
    cvy_service_forget();
    ck_assert(!cvy__passed_is(0, ""));
    uv_os_setenv("LISTEN_FDNAMES", "web:ctl::web2");
    ck_assert(cvy__passed_is(0, "web") && cvy__passed_is(1, "ctl") && cvy__passed_is(2, "") &&
              cvy__passed_is(3, "web2"));
    ck_assert(!cvy__passed_is(0, "we") && !cvy__passed_is(0, "web2") && !cvy__passed_is(3, "web"));
    ck_assert(!cvy__passed_is(0, "web:ctl") && !cvy__passed_is(4, "") && !cvy__passed_is(5, "web"));
}
END_TEST

/* A manager's socket at path (@: abstract), what it is told, and that nothing stays open. */
static void told(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char text[64] = { 0 };
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] == '/'));
    int manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    memcpy(at.sun_path, path, strlen(path));
    if (path[0] == '@') at.sun_path[0] = '\0';
    ck_assert_int_eq(bind(manager, (struct sockaddr *)&at, n), 0);
    uv_os_setenv("NOTIFY_SOCKET", path);
    ck_assert_int_eq(cvy_service_notify("READY=1\nSTATUS=well"), 0);
    ck_assert_int_eq(recv(manager, text, sizeof text, MSG_DONTWAIT), 19);
    ck_assert_str_eq(text, "READY=1\nSTATUS=well");
    int next = dup(manager);
    ck_assert_int_eq(next, manager + 1);
    close(next);
    close(manager);
    ck_assert_int_eq(cvy_service_notify("READY=1"), UV_ECONNREFUSED);
}

START_TEST(a_manager_is_told_in_one_datagram)
{
    char path[100];
    snprintf(path, sizeof path, "/tmp/cvy-notify-%d", (int)getpid());
    told(path);
    unlink(path);
    ck_assert_int_eq(cvy_service_notify("READY=1"), UV_ENOENT);
    snprintf(path, sizeof path, "@cvy-notify-%d", (int)getpid());
    if (cvy__has_abstract()) told(path);
    uv_os_setenv("NOTIFY_SOCKET", "@cvy-notify-nobody");
    ck_assert_int_eq(cvy_service_notify("READY=1"), cvy__has_abstract() ? UV_ECONNREFUSED : UV_ENOTSUP);
}
END_TEST

START_TEST(a_manager_that_can_not_be_is_refused)
{
    char path[300] = "/";
    static const char *const bad[] = { "", "/", "@", "relative", "vsock:2:1234" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uv_os_setenv("NOTIFY_SOCKET", bad[i]);
        ck_assert_int_eq(cvy_service_notify("READY=1"), UV_EINVAL);
    }
    memset(path + 1, 'x', 200);
    path[201] = '\0';
    uv_os_setenv("NOTIFY_SOCKET", path);
    ck_assert_int_eq(cvy_service_notify("READY=1"), UV_ENAMETOOLONG);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "variables", a_variable_that_can_not_be_read_is_named_with_its_value_and_the_limit,
              a_descriptor_that_is_not_open_is_named, names_are_told_apart_by_place_and_in_full);
    ADD_TESTS(suite, "telling", a_manager_is_told_in_one_datagram, a_manager_that_can_not_be_is_refused);
}
#endif

int main(void)
{
    Suite *suite = suite_create("service");
    ADD_TESTS(suite, "any system", nothing_is_passed_where_the_environment_does_not_say_so_or_means_another_process,
              the_environment_can_be_forgotten, where_nobody_asked_to_be_told_nobody_is);
    add_more(suite);
    return test_run(suite);
}
