/* Who may connect to a local socket: mode and owner of its file (L7), when they stand, and how what can't be had is refused (T17). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "net.h"
#include "support.h"

static char file[128], address[160];

static void set_up(void)
{
    snprintf(file, sizeof file, "/tmp/cvy-permissions-%d", (int)uv_os_getpid());
    snprintf(address, sizeof address, "unix://%s", file);
}

/* Starting on where fails with err and the line behind the address, calls nothing back, and may be tried again. */
static void refused_at(const char *where, int mode, const char *owner, int err, const char *line)
{
    net_t n;
    char whole[600];
    net_init(&n);
    n.opts.mode = mode;
    n.opts.owner = owner;
    ck_assert_int_eq(net_try_listen(&n, where), err);
    snprintf(whole, sizeof whole, "%s: %s", where, line);
    ck_assert_str_eq(cvy_listener_message(n.listener), whole);
    ck_assert_str_eq(recorder_text(&n.log), "");
    ck_assert_int_eq(cvy_listener_start(n.listener), err);
    net_fini(&n);
}

static void served_at(const char *where, int mode, const char *owner)
{
    net_t n;
    net_init(&n);
    n.opts.mode = mode;
    n.opts.owner = owner;
    net_listen(&n, where);
    ck_assert_int_eq(net_dial(&n, NULL), 0);
    NET_UNTIL(&n, n.accepted && n.connected);
    net_fini(&n);
}

/* L7 */
START_TEST(what_has_no_file_is_passed_over)
{
    served_at("tcp://127.0.0.1:0", 0600, "no-such-user");
    served_at("inproc://cvy-permissions", 0600, "no-such-user");
}
END_TEST

/* L7 */
START_TEST(a_mode_that_is_none_is_refused_everywhere)
{
    refused_at("tcp://127.0.0.1:0", 010000, NULL, UV_EINVAL, "mode 010000: must be 0 to 07777 (EINVAL)");
    refused_at("inproc://cvy-permissions", -1, NULL, UV_EINVAL, "mode 037777777777: must be 0 to 07777 (EINVAL)");
}
END_TEST

#ifdef _WIN32
/* T17: README, table of systems. */
START_TEST(a_named_pipe_can_be_opened_to_everyone_and_no_more)
{
    const char *pipe = "pipe://cvy-permissions";
    refused_at(pipe, 0600, NULL, UV_ENOTSUP,
               "mode 0600: a named pipe can be opened to everyone, and not closed to them (ENOTSUP)");
    refused_at(pipe, 0, "me", UV_ENOTSUP, "owner me: a named pipe belongs to who made it (ENOTSUP)");
    served_at(pipe, 0666, NULL);
    served_at(pipe, 0604, NULL);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "pipes", a_named_pipe_can_be_opened_to_everyone_and_no_more);
}
#else
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file as it was when listen was called, and what chmod and chown are to fail with. */
static struct stat at_listen;
static int chmod_error, chown_error;

#ifdef __linux__
#include <sys/socket.h>
#include <sys/syscall.h>

int listen(int fd, int backlog)
{
    memset(&at_listen, 0, sizeof at_listen);
    stat(file, &at_listen);
    return (int)syscall(SYS_listen, fd, backlog);
}

int chmod(const char *path, mode_t mode)
{
    errno = chmod_error;
    return chmod_error ? -1 : (int)syscall(SYS_fchmodat, AT_FDCWD, path, mode);
}

int lchown(const char *path, uid_t user, gid_t group)
{
    errno = chown_error;
    return chown_error ? -1 : (int)syscall(SYS_fchownat, AT_FDCWD, path, user, group, AT_SYMLINK_NOFOLLOW);
}
#endif

/* What the file is with this mode and owner, while it is listened on. */
static struct stat made(int mode, const char *owner)
{
    struct stat st;
    net_t n;
    net_init(&n);
    n.opts.mode = mode;
    n.opts.owner = owner;
    net_listen(&n, address);
    ck_assert_int_eq(stat(file, &st), 0);
#ifdef __linux__
    ck_assert_uint_eq(at_listen.st_mode, st.st_mode); /* before anyone could connect */
    ck_assert_uint_eq(at_listen.st_uid, st.st_uid);
    ck_assert_uint_eq(at_listen.st_gid, st.st_gid);
#endif
    net_fini(&n);
    ck_assert_int_ne(stat(file, &st), 0);
    return st;
}

/* L7: only root can give a file away; anyone can to himself. */
START_TEST(mode_and_owner_stand_before_anyone_can_connect)
{
    char numbers[64];
    struct stat st = made(0604, NULL);
    ck_assert_uint_eq(st.st_mode & 07777, 0604);
    ck_assert_uint_eq(st.st_uid, geteuid());
    snprintf(numbers, sizeof numbers, "%u:%u", (unsigned)geteuid(), (unsigned)getegid());
    st = made(0640, numbers);
    ck_assert_uint_eq(st.st_mode & 07777, 0640);
    if (geteuid() != 0) return;
    st = made(0600, "65533:65532");
    ck_assert(st.st_uid == 65533 && st.st_gid == 65532);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    st = made(0, "65533");
    ck_assert(st.st_uid == 65533 && st.st_gid == getegid());
    st = made(0, ":65532");
    ck_assert(st.st_uid == 0 && st.st_gid == 65532);
    st = made(0, "0:0");
    ck_assert(st.st_uid == 0 && st.st_gid == 0);
}
END_TEST

/* L7 */
START_TEST(names_of_users_and_groups_are_looked_up)
{
    char names[300];
    const struct passwd *user = getpwuid(geteuid());
    const struct group *group = getgrgid(getegid());
    if (!user || !group) return; /* a user without a name */
    snprintf(names, sizeof names, "%s:%s", user->pw_name, group->gr_name);
    struct stat st = made(0, names);
    ck_assert(st.st_uid == geteuid() && st.st_gid == getegid());
    if (geteuid() != 0) return;
    do
        group = getgrent();
    while (group && getpwnam(group->gr_name)); /* a group that no user is called after */
    user = getpwnam("nobody");
    if (!user || !group) return;
    uid_t uid = user->pw_uid;
    gid_t gid = group->gr_gid;
    snprintf(names, sizeof names, "nobody:%s", group->gr_name);
    st = made(0, names);
    ck_assert(st.st_uid == uid && st.st_gid == gid);
}
END_TEST

/* L7 */
START_TEST(an_owner_who_can_not_be_is_named)
{
    char line[400], text[300];
    refused_at(address, 0, "no-such-user", UV_ENOENT, "owner no-such-user: there is no such user (ENOENT)");
    refused_at(address, 0, "0:no-such-group", UV_ENOENT, "owner 0:no-such-group: there is no such group (ENOENT)");
    refused_at(address, 0, "4294967295", UV_EINVAL, "owner 4294967295: user must be 0 to 4294967294 (EINVAL)");
    refused_at(address, 0, ":18446744073709551616", UV_EINVAL,
               "owner :18446744073709551616: group must be 0 to 4294967294 (EINVAL)");
    refused_at(address, 0, "", UV_EINVAL, "owner : it is written user, user:group or :group (EINVAL)");
    refused_at(address, 0, ":", UV_EINVAL, "owner :: it is written user, user:group or :group (EINVAL)");
    refused_at(address, 0, "0:", UV_EINVAL, "owner 0:: it is written user, user:group or :group (EINVAL)");
    memset(text, 'u', 256);
    text[256] = '\0';
    snprintf(line, sizeof line, "owner %.200s: longer than 255 bytes (ENAMETOOLONG)", text);
    refused_at(address, 0, text, UV_ENAMETOOLONG, line);
    ck_assert_int_ne(access(file, F_OK), 0);
}
END_TEST

/* L4, L7: and the file is gone again. */
START_TEST(what_the_system_refuses_is_named_with_its_value)
{
#ifdef __linux__
    chmod_error = EPERM;
    refused_at(address, 0620, NULL, UV_EPERM, "mode 0620: operation not permitted (EPERM)");
    ck_assert_int_ne(access(file, F_OK), 0);
    chmod_error = 0;
    chown_error = EPERM;
    refused_at(address, 0620, "0:1", UV_EPERM, "owner 0:1: operation not permitted (EPERM)");
    ck_assert_int_ne(access(file, F_OK), 0);
    chown_error = 0;
#endif
}
END_TEST

/* T17 */
START_TEST(an_abstract_name_has_neither)
{
    const char *abstract = "unix://@cvy-permissions";
    if (cvy_address_check(abstract, NULL, 0)) return; /* Linux's alone */
    refused_at(abstract, 0600, NULL, UV_ENOTSUP, "mode 0600: an abstract name has no file (ENOTSUP)");
    refused_at(abstract, 0, "0", UV_ENOTSUP, "owner 0: an abstract name has no file (ENOTSUP)");
    served_at(abstract, 0, NULL);
}
END_TEST

static void add_more(Suite *suite)
{
    ADD_TESTS(suite, "files", mode_and_owner_stand_before_anyone_can_connect, names_of_users_and_groups_are_looked_up,
              an_owner_who_can_not_be_is_named, what_the_system_refuses_is_named_with_its_value,
              an_abstract_name_has_neither);
}
#endif

int main(void)
{
    Suite *suite = suite_create("permissions");
    set_up();
    ADD_TESTS(suite, "any system", what_has_no_file_is_passed_over, a_mode_that_is_none_is_refused_everywhere);
    add_more(suite);
    return test_run(suite);
}
