/* Who is at the other end (credentials.h): of every kind of address, and of another process and another user. */
#include <conveyor/conveyor.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/system_service.h"
#include "net.h"
#include "support.h"

static int answer;
static cvy_credentials_t seen;

static void ask(net_t *n, cvy_transport_t *t)
{
    (void)n;
    answer = cvy_transport_peer_credentials(t, &seen);
}

static void forget(void)
{
    answer = 1;
    seen = (cvy_credentials_t){ 7, 7, 7 };
}

static void not_told(void)
{
    ck_assert_int_eq(answer, UV_ENOTSUP);
    ck_assert(seen.pid == 7 && seen.uid == 7 && seen.gid == 7); /* untouched */
}

#ifdef _WIN32
#define TOLD(pid) (pid)

static void is_me(void)
{
    ck_assert_int_eq(answer, 0);
    ck_assert_int_eq(seen.pid, uv_os_getpid());
    ck_assert(seen.uid == -1 && seen.gid == -1);
}
#else
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) || defined(__APPLE__)
#define TOLD(pid) (pid)
#else
#define TOLD(pid) (-1)
#endif

static void is_me(void)
{
    ck_assert_int_eq(answer, 0);
    ck_assert_int_eq(seen.pid, TOLD(getpid()));
    ck_assert_int_eq(seen.uid, geteuid());
    ck_assert_int_eq(seen.gid, getegid());
}
#endif

/* Whose end can be known. */
static bool is_local(const char *address)
{
    return cvy__has_credentials() && strncmp(address, "tcp:", 4) != 0 && strncmp(address, "inproc:", 7) != 0;
}

/* T18 */
START_TEST(each_end_of_a_local_socket_knows_the_other_and_nobody_else_does)
{
    char file[128];
    snprintf(file, sizeof file, "unix:///tmp/cvy-credentials-%d", (int)uv_os_getpid());
    const char *const addresses[] = { "ipc:",
                                      file,
                                      "unix://@cvy-credentials",
                                      "pipe://cvy-credentials",
                                      "tcp://127.0.0.1:0",
                                      "inproc://cvy-credentials" };
    int asked = 0;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        const char *address = i ? addresses[i] : net_ipc("cvy-credentials");
        net_t n;
        if (cvy_address_check(address, NULL, 0)) continue; /* not here */
        net_init(&n);
        n.on_accepted = ask;
        forget();
        net_listen(&n, address);
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        NET_UNTIL(&n, n.accepted && n.connected);
        is_local(address) ? is_me() : not_told();
        forget();
        ask(&n, n.clients[0]);
        is_local(address) ? is_me() : not_told();
        net_fini(&n);
        asked++;
    }
    ck_assert_int_ge(asked, 4);
}
END_TEST

/* T16, T18: Errors: UV_EBADF. */
START_TEST(a_closed_transport_knows_nobody)
{
    net_t n;
    net_init(&n);
    net_listen(&n, net_ipc("cvy-credentials-closed"));
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.accepted && n.connected);
    cvy_transport_t *t = cvy_transport_ref(n.clients[0]);
    net_close_clients(&n);
    NET_UNTIL(&n, !n.open);
    ck_assert_int_eq(cvy_transport_peer_credentials(t, &seen), UV_EBADF);
    cvy_transport_unref(t);
    net_fini(&n);
}
END_TEST

/*
 * Another process, which connects and waits until it is let go. Without exec where there is fork: another user may not reach this
 * program's file.
 */
#ifdef _WIN32
#include <windows.h>

static PROCESS_INFORMATION other;

static const char *other_address(void)
{
    return net_ipc("cvy-credentials-other");
}

static int64_t start_other(const net_t *n, int user)
{
    char command[700], self[300];
    STARTUPINFOA how = { .cb = sizeof how };
    (void)user;
    ck_assert_uint_gt(GetModuleFileNameA(NULL, self, sizeof self), 0);
    snprintf(command, sizeof command, "\"%s\" --connect \\\\.\\pipe\\%s", self, n->address + strlen("ipc://"));
    ck_assert(CreateProcessA(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &how, &other));
    return other.dwProcessId;
}

static void end_other(void)
{
    WaitForSingleObject(other.hProcess, INFINITE);
    CloseHandle(other.hProcess);
    CloseHandle(other.hThread);
}

static int connect_and_wait(const char *pipe)
{
    char byte;
    DWORD n;
    HANDLE h = CreateFileA(pipe, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    while (h != INVALID_HANDLE_VALUE && ReadFile(h, &byte, 1, &n, NULL) && n)
        continue;
    return 0;
}
#else
#include <sys/socket.h>
#include <sys/un.h>

static pid_t other;

static const char *other_address(void)
{
    static char file[128];
    snprintf(file, sizeof file, "unix:///tmp/cvy-credentials-other-%d", (int)getpid());
    return file;
}

static int connect_and_wait(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char byte;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(at.sun_path, path, strlen(path));
    return connect(fd, (struct sockaddr *)&at, sizeof at) || read(fd, &byte, 1) != 0;
}

static int64_t start_other(const net_t *n, int user)
{
    other = fork();
    if (other) return other;
    bool lost = user && (setgid((gid_t)user) || setuid((uid_t)user));
    _exit(lost || connect_and_wait(n->address + strlen("unix://")));
}

static void end_other(void)
{
    int status = -1;
    ck_assert_int_eq(waitpid(other, &status, 0), other);
    ck_assert_int_eq(status, 0);
}
#endif

static void ask_and_part(net_t *n, cvy_transport_t *t)
{
    ask(n, t);
    cvy_transport_close(t, CVY_CLOSE_NOW);
}

static int64_t ask_other(int user)
{
    net_t n;
    net_init(&n);
    n.on_accepted = ask_and_part;
    n.opts.mode = 0777;
    forget();
    net_listen(&n, other_address());
    int64_t pid = start_other(&n, user);
    NET_UNTIL(&n, n.accepted);
    net_end_listener(&n);
    end_other();
    net_fini(&n);
    if (cvy__has_credentials())
        ck_assert_int_eq(answer, 0);
    else
        not_told();
    return cvy__has_credentials() ? pid : 0;
}

/* T18 */
START_TEST(another_process_is_known_by_its_number)
{
    int64_t pid = ask_other(0);
    if (!pid) return; /* this build asks nobody */
    ck_assert_int_ne(pid, uv_os_getpid());
    ck_assert_int_eq(seen.pid, TOLD(pid));
}
END_TEST

#ifndef _WIN32
/* T18: only root can become someone else. */
START_TEST(another_user_is_known_by_user_and_group)
{
    if (geteuid() != 0) return;
    int64_t pid = ask_other(65534);
    if (!pid) return; /* this build asks nobody */
    ck_assert_int_eq(seen.pid, TOLD(pid));
    ck_assert_int_eq(seen.uid, 65534);
    ck_assert_int_eq(seen.gid, 65534);
}
END_TEST
#endif

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--connect")) return connect_and_wait(argv[2]);
    Suite *suite = suite_create("credentials");
    ADD_TESTS(suite, "both ends", each_end_of_a_local_socket_knows_the_other_and_nobody_else_does,
              a_closed_transport_knows_nobody);
    ADD_TESTS(suite, "others", another_process_is_known_by_its_number);
#ifndef _WIN32
    ADD_TESTS(suite, "users", another_user_is_known_by_user_and_group);
#endif
    return test_run(suite);
}
