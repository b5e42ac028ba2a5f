/*
 * Listening and connecting where there are POSIX sockets. A Unix socket's file outlives its process, so whoever finds one in the way
 * asks it: nobody listens means stale. The file that a listener made is remembered by device and inode.
 */
#include "base/system_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/system.h"

static int code(void)
{
    return uv_translate_sys_error(errno);
}

bool cvy__has_unix(void)
{
    return true;
}

bool cvy__has_abstract(void)
{
#ifdef CVY_HAVE_ABSTRACT_NAMES
    return true;
#else
    return false;
#endif
}

bool cvy__has_pipes(void)
{
    return false;
}

bool cvy__has_balancing(void)
{
#if defined(CVY_HAVE_SO_REUSEPORT_LB) || defined(CVY_HAVE_BALANCING_REUSEPORT)
    return true;
#else
    return false;
#endif
}

size_t cvy__unix_path_max(void)
{
    return sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
}

static int open_socket(int family, int *out)
{
#ifdef CVY_HAVE_SOCK_CLOEXEC
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return code();
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return code();
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK)) {
        int err = code();
        close(fd);
        return err;
    }
#endif
    *out = fd;
    return 0;
}

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) ? code() : 0;
}

static int set_reuse_port(int fd)
{
#if defined(CVY_HAVE_SO_REUSEPORT_LB)
    return set(fd, SOL_SOCKET, SO_REUSEPORT_LB, 1);
#elif defined(CVY_HAVE_BALANCING_REUSEPORT)
    return set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#else
    (void)fd;
    return UV_ENOTSUP;
#endif
}

static int backlog_of(int backlog)
{
    return backlog > 0 ? backlog : SOMAXCONN;
}

static socklen_t length(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int tcp_listen(int fd, const struct sockaddr *address, const cvy__listen_opts_t *opts)
{
    int err = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!err && address->sa_family == AF_INET6) err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->ipv6_only);
    if (!err && opts->reuse_port) err = set_reuse_port(fd);
    if (!err && (bind(fd, address, length(address)) || listen(fd, backlog_of(opts->backlog)))) err = code();
    return err;
}

int cvy__tcp_listen(cvy_socket_t *out, const struct sockaddr *address, const cvy__listen_opts_t *opts)
{
    int fd = -1, err = open_socket(address->sa_family, &fd);
    if (err) return err;
    err = tcp_listen(fd, address, opts);
    if (err)
        close(fd);
    else
        *out = fd;
    return err;
}

int cvy__socket_name(cvy_socket_t fd, struct sockaddr_storage *out)
{
    socklen_t n = sizeof *out;
    return getsockname(fd, (struct sockaddr *)out, &n) ? code() : 0;
}

/* Unix sockets */

static int unix_address(struct sockaddr_un *out, socklen_t *len, const char *name, bool abstract)
{
    size_t n = strlen(name);
    if (n > cvy__unix_path_max()) return UV_ENAMETOOLONG;
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    memcpy(out->sun_path + abstract, name, n);
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + n + !abstract);
    return 0;
}

int cvy__unix_connect(cvy_socket_t *out, const char *name, bool abstract)
{
    struct sockaddr_un address;
    socklen_t n;
    int fd = -1, err = unix_address(&address, &n, name, abstract);
    if (!err) err = open_socket(AF_UNIX, &fd);
    if (err) return err;
    while (connect(fd, (struct sockaddr *)&address, n)) {
        if (errno == EINTR) continue;
        err = errno == EINPROGRESS ? UV_EAGAIN : code();
        close(fd);
        return err;
    }
    *out = fd;
    return 0;
}

/* Removes a socket file that nobody listens on. */
static int replace_stale(const char *path)
{
    struct stat st;
    cvy_socket_t probe = -1;
    if (lstat(path, &st)) return errno == ENOENT ? 0 : code();
    if (!S_ISSOCK(st.st_mode)) return UV_EADDRINUSE;
    int err = cvy__unix_connect(&probe, path, false);
    if (!err) cvy__socket_close(probe);
    if (err != UV_ECONNREFUSED) return err == UV_ENOENT ? 0 : UV_EADDRINUSE;
    struct stat now;
    if (lstat(path, &now) || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
        return UV_EADDRINUSE; /* someone else replaced it meanwhile */
    return unlink(path) && errno != ENOENT ? code() : 0;
}

/* The mode first: once the file is another user's it may be too late. */
static int give_away(const char *path, const cvy__unix_listen_t *how, const char **which)
{
    int err = how->mode && chmod(path, (mode_t)how->mode) ? code() : 0;
    if (err) *which = "mode";
    if (err || (how->user < 0 && how->group < 0)) return err;
    err = lchown(path, (uid_t)how->user, (gid_t)how->group) ? code() : 0;
    if (err) *which = "owner";
    return err;
}

static int bind_file(int fd, const struct sockaddr_un *address, socklen_t n, cvy__file_id_t *file)
{
    struct stat st;
    int err = replace_stale(address->sun_path);
    if (err) return err;
    if (bind(fd, (const struct sockaddr *)address, n)) return code();
    if (stat(address->sun_path, &st)) {
        err = code();
        unlink(address->sun_path);
        return err;
    }
    *file = (cvy__file_id_t){ (uint64_t)st.st_dev, (uint64_t)st.st_ino };
    return 0;
}

static int unix_listen(int fd, const cvy__unix_listen_t *how, cvy__file_id_t *file, const char **which)
{
    struct sockaddr_un address;
    socklen_t n;
    int err = unix_address(&address, &n, how->name, how->abstract);
    if (err) return err;
    if (how->abstract)
        err = bind(fd, (struct sockaddr *)&address, n) ? code() : 0;
    else
        err = bind_file(fd, &address, n, file);
    if (err) return err;
    if (!how->abstract) err = give_away(how->name, how, which);
    if (!err && listen(fd, backlog_of(how->backlog))) err = code();
    if (err && !how->abstract) cvy__unix_unlink(how->name, file);
    return err;
}

/* Listeners of ours take turns in a folder: between one's probe and its listen no other replaces a file. -1: can't be locked. */
static int lock_folder(const char *path)
{
    struct sockaddr_un folder;
    const char *slash = strrchr(path, '/');
    snprintf(folder.sun_path, sizeof folder.sun_path, "%.*s", slash > path ? (int)(slash - path) : 1, path);
    int fd = open(folder.sun_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); tries++) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 100) {
            close(fd);
            return -1;
        }
        uv_sleep(1);
    }
    return fd;
}

int cvy__unix_listen(cvy_socket_t *out, const cvy__unix_listen_t *how, cvy__file_id_t *file, const char **which)
{
    int fd = -1, err = open_socket(AF_UNIX, &fd);
    if (err) return err;
    int lock = how->abstract ? -1 : lock_folder(how->name);
    err = unix_listen(fd, how, file, which);
    if (lock >= 0) close(lock);
    if (err)
        close(fd);
    else
        *out = fd;
    return err;
}

void cvy__unix_unlink(const char *path, const cvy__file_id_t *file)
{
    struct stat st;
    if (!lstat(path, &st) && (uint64_t)st.st_dev == file->device && (uint64_t)st.st_ino == file->inode) unlink(path);
}

/* ipc:// */

static int check_folder(const char *folder, bool make)
{
    struct stat st;
    if (make && mkdir(folder, 0700) && errno != EEXIST) return code();
    if (lstat(folder, &st)) return errno == ENOENT && !make ? 0 : code(); /* connecting will tell */
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 077) ? 0 : UV_EPERM;
}

static int own_folder(char *out, size_t n, bool make)
{
    const char *temporary = getenv("TMPDIR");
    if (!temporary || temporary[0] != '/') temporary = "/tmp";
    int len = snprintf(out, n, "%s/conveyor-%lu", temporary, (unsigned long)geteuid());
    return len < 0 || (size_t)len >= n ? UV_ENAMETOOLONG : check_folder(out, make);
}

int cvy__ipc_path(char *out, size_t n, const char *name, bool make)
{
    char folder[512];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int err = 0;
    if (!runtime || runtime[0] != '/')
        err = own_folder(folder, sizeof folder, make);
    else if (strlen(runtime) >= sizeof folder)
        err = UV_ENAMETOOLONG;
    else
        snprintf(folder, sizeof folder, "%s", runtime);
    if (err) return err;
    int len = snprintf(out, n, "%s/%s", folder, name);
    return len < 0 || (size_t)len >= n || (size_t)len > cvy__unix_path_max() ? UV_ENAMETOOLONG : 0;
}
