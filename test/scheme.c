/* What each scheme lacks is found once, before the suite runs: by asking the system, not by its name where that can be. */
#include "scheme.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <check.h>
#include <uv.h>

#include "base/system_socket.h"
#include "base/system.h"

#ifdef _WIN32
#include <windows.h>
static bool has_wine(void)
{
    HMODULE ntdll = GetModuleHandleA("ntdll.dll");
    return ntdll && GetProcAddress(ntdll, "wine_get_version");
}
#else
static bool has_wine(void)
{
    return false;
}
#endif

/* The schemes' names and addresses */

static const char *const names[SCHEMES] = { "tcp://", "tcp://[::1]", "unix://",   "unix://@",
                                            "ipc://", "pipe://",     "inproc://", "fd://" };
static char folder[128]; /* for socket files */

/* Descriptors that were opened, and may have been adopted since. */
static struct opened {
    cvy_socket_t fd;
    struct sockaddr_storage name;
} opened[8];
static size_t n_opened;

static void open_descriptor(char out[256])
{
    struct opened *o = &opened[n_opened++];
    ck_assert_uint_le(n_opened, sizeof opened / sizeof *opened);
    ck_assert_int_eq(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&o->name), 0);
    ck_assert_int_eq(cvy__tcp_listen(&o->fd, (struct sockaddr *)&o->name, &(cvy__listen_opts_t){ 0 }), 0);
    ck_assert_int_eq(cvy__socket_name(o->fd, &o->name), 0);
    snprintf(out, 256, "fd://%llu", (unsigned long long)o->fd);
}

/* Closes those that nobody adopted; a number may be another's by now. */
static void close_descriptors(void)
{
    while (n_opened) {
        const struct opened *o = &opened[--n_opened];
        struct sockaddr_storage name;
        memset(&name, 0, sizeof name);
        if (!cvy__socket_name(o->fd, &name) && !memcmp(&name, &o->name, sizeof(struct sockaddr_in)))
            cvy__socket_close(o->fd);
    }
}

bool scheme_is_tcp(scheme_t scheme)
{
    return scheme == SCHEME_TCP || scheme == SCHEME_TCP6 || scheme == SCHEME_FD;
}

void scheme_address(char out[256], scheme_t scheme)
{
    static const char *const patterns[SCHEMES] = { NULL,
                                                   NULL,
                                                   "unix://%s/%d-%d",
                                                   "unix://@%s-%d-%d",
                                                   "ipc://%.0scvy-test-%d-%d",
                                                   "pipe://%.0scvy-test-%d-%d",
                                                   "inproc://%s-%d-%d",
                                                   NULL };
    static int number;
    if (scheme == SCHEME_FD)
        open_descriptor(out);
    else if (scheme == SCHEME_TCP || scheme == SCHEME_TCP6)
        snprintf(out, 256, scheme == SCHEME_TCP ? "tcp://127.0.0.1:0" : "tcp://[::1]:0");
    else
        snprintf(out, 256, patterns[scheme], folder, (int)uv_os_getpid(), ++number);
}

void scheme_path(char out[256], const char *address)
{
    if (!strncmp(address, "ipc://", 6))
        snprintf(out, 256, "%s/%s", folder, address + 6);
    else
        snprintf(out, 256, "%s", address + 7);
}

int scheme_refusal(scheme_t scheme)
{
    bool missing = scheme == SCHEME_UNIX || scheme == SCHEME_PIPE || scheme == SCHEME_IPC;
    return missing ? UV_ENOENT : UV_ECONNREFUSED;
}

/* What they lack */

static conform_lack_t lacks[SCHEMES][16];
static conform_kind_t kinds[SCHEMES];

static void lack(scheme_t scheme, unsigned need, const char *why)
{
    conform_lack_t *at = lacks[scheme];
    while (at->need)
        at++;
    *at = (conform_lack_t){ need, why };
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address;
    cvy_socket_t fd;
    uv_ip6_addr("::1", 0, &address);
    if (cvy__tcp_listen(&fd, (struct sockaddr *)&address, &(cvy__listen_opts_t){ 0 })) return false;
    cvy__socket_close(fd);
    return true;
}

/* Whether localhost has an address of this family. */
static bool has_name(int family)
{
    uv_loop_t loop;
    uv_getaddrinfo_t request;
    struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
    if (uv_loop_init(&loop)) return false;
    int err = uv_getaddrinfo(&loop, &request, NULL, "localhost", "1", &hints);
    if (!err) uv_freeaddrinfo(request.addrinfo);
    uv_loop_close(&loop);
    return !err;
}

static void look_at_tcp(scheme_t scheme, int family)
{
    if (!has_name(family)) lack(scheme, NEEDS_HOST_NAME, "localhost has no address of this family here");
    if (!cvy__has_balancing())
        lack(scheme, NEEDS_REUSE_PORT, "this system does not balance between sockets on one port");
    if (cvy__has_pipes()) lack(scheme, NEEDS_FULL, "Windows refuses clients when the backlog is full");
    lack(scheme, NEEDS_FILE, "TCP has no file");
}

static void look_at_local(scheme_t scheme)
{
    lack(scheme, NEEDS_PORT, "only TCP has ports");
    lack(scheme, NEEDS_HOST_NAME, "only TCP has host names");
    lack(scheme, NEEDS_REUSE_PORT, "only TCP has a socket per loop");
    if (scheme != SCHEME_INPROC) lack(scheme, NEEDS_RESET, "a local socket has no reset");
}

static void look_at_pipe(scheme_t scheme)
{
    lack(scheme, NEEDS_FILE, "a named pipe has no file");
    lack(scheme, NEEDS_QUEUE, "the clients of a named pipe wait outside until they are accepted");
    lack(scheme, NEEDS_FULL, "a named pipe has no backlog");
    lack(scheme, NEEDS_FREED_NAME,
         "a named pipe lives as long as a connection of it, and who dials it meanwhile waits");
    if (has_wine()) lack(scheme, NEEDS_ONE_OWNER, "wine lets a second server take a pipe's name");
}

const conform_kind_t *scheme_kinds(void)
{
    memset(lacks, 0, sizeof lacks);
    for (int i = 0; i < SCHEMES; i++)
        kinds[i] = (conform_kind_t){ names[i], lacks[i] };
    if (!has_ipv6()) lack(SCHEME_TCP6, NEEDS_SCHEME, "this machine has no [::1]");
    if (!cvy__has_unix()) lack(SCHEME_UNIX, NEEDS_SCHEME, "libuv has no Unix sockets on Windows");
    if (!cvy__has_abstract())
        lack(SCHEME_ABSTRACT, NEEDS_SCHEME, "abstract names are Linux's alone, and can be built without");
    if (!cvy__has_pipes()) lack(SCHEME_PIPE, NEEDS_SCHEME, "there are no named pipes here");
    look_at_tcp(SCHEME_TCP, AF_INET);
    look_at_tcp(SCHEME_TCP6, AF_INET6);
    for (int i = SCHEME_UNIX; i <= SCHEME_INPROC; i++)
        look_at_local((scheme_t)i);
    look_at_pipe(SCHEME_PIPE);
    if (cvy__has_pipes()) look_at_pipe(SCHEME_IPC);
    lack(SCHEME_ABSTRACT, NEEDS_FILE, "an abstract name has no file");
    lack(SCHEME_INPROC, NEEDS_FILE, "a name in the process has no file");
    lack(SCHEME_INPROC, NEEDS_FULL, "a full in-process backlog refuses");
    lack(SCHEME_FD, NEEDS_OWN_SOCKET | NEEDS_FULL, "who opened a descriptor chose its name and its backlog");
    lack(SCHEME_FD, NEEDS_REUSE_PORT, "a descriptor is one socket");
    lack(SCHEME_FD, NEEDS_HOST_NAME, "a descriptor has no host name");
    lack(SCHEME_FD, NEEDS_FILE, "TCP has no file");
    return kinds;
}

/* Running */

static void make_folder(void)
{
    uv_fs_t request;
    char temporary[64] = "/tmp";
    size_t size = sizeof temporary;
    if (cvy__has_pipes()) uv_os_tmpdir(temporary, &size);
    snprintf(folder, sizeof folder, "%s/cvy-XXXXXX", temporary);
    if (uv_fs_mkdtemp(NULL, &request, folder, NULL)) abort();
    snprintf(folder, sizeof folder, "%s", request.path);
    uv_fs_req_cleanup(&request);
    uv_os_setenv("XDG_RUNTIME_DIR", folder);
}

/* A test that failed may have left files. */
static void remove_folder(void)
{
    uv_fs_t request, file;
    uv_dirent_t entry;
    char path[512];
    for (int n = uv_fs_scandir(NULL, &request, folder, 0, NULL); n > 0 && !uv_fs_scandir_next(&request, &entry);) {
        snprintf(path, sizeof path, "%s/%s", folder, entry.name);
        uv_fs_unlink(NULL, &file, path, NULL);
        uv_fs_req_cleanup(&file);
    }
    uv_fs_req_cleanup(&request);
    uv_fs_rmdir(NULL, &request, folder, NULL);
    uv_fs_req_cleanup(&request);
}

int scheme_run(const char *name, const conform_case_t *cases, size_t n)
{
    static const unsigned serve_needs[] = { [NET_ONE_LOOP] = 0, [NET_GROUP] = 0, [NET_REUSE_PORT] = NEEDS_REUSE_PORT };
    make_folder();
    conform_suite_t suite = { name, cases, n, scheme_kinds(), SCHEMES, CONFORM_COUNT(serve_needs), serve_needs };
    int answer = conform_run(&suite);
    remove_folder();
    return answer;
}

/* Both ends */

void ends_init(ends_t *e, int i)
{
    memset(e, 0, sizeof *e);
    net_init_serve(&e->net, (net_serve_t)conform_variant(i));
    e->scheme = (scheme_t)conform_kind(i);
    e->net.quiet = true;
    scheme_address(e->fresh, e->scheme);
    recorder_log_init(&e->client_log);
}

void ends_fini(ends_t *e)
{
    net_fini(&e->net);
    close_descriptors();
    recorder_fini(&e->server);
    recorder_fini(&e->client);
    recorder_log_fini(&e->client_log);
}

void ends_listen(ends_t *e)
{
    net_listen(&e->net, e->fresh);
}

void ends_dial(ends_t *e, int count)
{
    net_t *n = &e->net;
    int all = n->connected + count;
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected + n->failed >= all);
    ck_assert_msg(!n->failed, "%s", uv_strerror(n->result));
}

size_t ends_connections(const ends_t *e)
{
    return cvy_listener_connections(e->net.listener);
}

void ends_free_address(const ends_t *e, char out[256])
{
    net_t other;
    char address[256];
    snprintf(address, sizeof address, "%s", e->fresh);
    if (e->scheme == SCHEME_FD) scheme_address(address, e->scheme); /* it is closed with its listener */
    net_init(&other);
    net_listen(&other, address);
    snprintf(out, 256, "%s", other.address);
    net_fini(&other);
}

void ends_fill_backlog(ends_t *e)
{
    enum { FULL = 24 };
    net_t *n = &e->net;
    n->opts.backlog = 1;
    ends_listen(e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    for (int i = 0; i < FULL; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected);
    net_settle(n);
    ck_assert_int_lt(n->connected, FULL);
}

void ends_until_peer_gone(ends_t *e)
{
    NET_UNTIL(&e->net, e->net.accepted && !ends_connections(e));
}

/* Recording */

static void on_server_gone(cvy_transport_t *t, int cause, void *arg)
{
    ends_t *e = arg;
    (void)t;
    recorder_line(&e->net.log, "gone %s", cause ? uv_err_name(cause) : "0");
    e->server_gone++;
    cvy_loop_wake(e->net.loop);
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    ends_t *e = arg;
    recorder_line(&e->net.log, "init");
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_server_gone, e);
    int err = cvy_conveyor_add_last(c, &recorder_stage, &e->server, NULL);
    return err ? err : e->net.init_answer;
}

static void on_client_gone(cvy_transport_t *t, int cause, void *arg)
{
    ends_t *e = arg;
    (void)t;
    recorder_line(&e->client_log, "gone %s", cause ? uv_err_name(cause) : "0");
}

static int init_client(cvy_conveyor_t *c, void *arg)
{
    ends_t *e = arg;
    recorder_line(&e->client_log, "init");
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(c), on_client_gone, e);
    return cvy_conveyor_add_last(c, &recorder_stage, &e->client, NULL);
}

static void on_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)d, (void)t;
    recorder_line(&((ends_t *)n)->client_log, "connected");
}

static void on_refused(net_t *n, cvy_dialer_t *d, int err)
{
    (void)d;
    recorder_line(&((ends_t *)n)->client_log, "refused %s", uv_err_name(err));
}

static void on_net_client_gone(net_t *n, cvy_transport_t *t, int cause)
{
    on_client_gone(t, cause, n);
}

void ends_record(ends_t *e)
{
    static const recorder_rule_t echo[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
    net_t *n = &e->net;
    n->quiet = false;
    n->opts.conveyor_init = init_server;
    n->dial.conveyor_init = init_client;
    n->on_connected = on_connected;
    n->on_refused = on_refused;
    n->on_client_gone = on_net_client_gone;
    e->server = (recorder_t){ .name = "s", .log = &n->log, .rules = echo, .flags = RECORD_NO_TURNS };
    e->client = (recorder_t){ .name = "c", .log = &e->client_log, .flags = RECORD_NO_TURNS };
}
