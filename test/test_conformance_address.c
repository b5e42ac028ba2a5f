/*
 * Addresses, over every scheme (L4, L7, L9, T12): what an endpoint is called before, during and after; an address in use; the files of
 * local sockets, and who is at the other end. CONFORM_KIND=unix:// runs one scheme.
 */
#include <conveyor/credentials.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/system_service.h"
#include "endpoint/address.h"
#include "scheme.h"

static bool is_tcp(const ends_t *e)
{
    return scheme_is_tcp(e->scheme);
}

/* L4, T12: port 0 is resolved, anything else is as it was written. */
START_OVER_SCHEMES(the_started_address_is_the_real_one)
{
    ends_listen(&e);
    ck_assert_str_eq(cvy_listener_address(n->listener, 0), n->address);
    ck_assert_ptr_null(cvy_listener_address(n->listener, 1));
    ck_assert_int_eq(strcmp(n->address, e.fresh) != 0, is_tcp(&e));
    ck_assert_int_eq(cvy_address_check(n->address, NULL, 0), 0);
    ck_assert_str_eq(cvy_listener_message(n->listener), "");
    net_end_listener(n);
    ck_assert_str_eq(cvy_listener_address(n->listener, 0), n->address); /* as long as it is held */
}
END_OVER_SCHEMES

/* T12: both ends of both ends. */

typedef struct seen {
    char self[256], other[256];
    struct sockaddr_storage self_address, other_address;
} seen_t;

static seen_t at_server, at_client;
static cvy_transport_t *kept_server, *kept_client;
static atomic_int looked, changed;

static void keep_address(struct sockaddr_storage *out, const struct sockaddr *from)
{
    memset(out, 0, sizeof *out);
    if (from) memcpy(out, from, from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
}

static void look(seen_t *s, const cvy_transport_t *t)
{
    snprintf(s->self, sizeof s->self, "%s", cvy_transport_self_endpoint(t));
    snprintf(s->other, sizeof s->other, "%s", cvy_transport_other_endpoint(t));
    keep_address(&s->self_address, cvy_transport_self_address(t));
    keep_address(&s->other_address, cvy_transport_other_address(t));
}

static void look_again(const seen_t *before, const cvy_transport_t *t)
{
    seen_t now;
    memset(&now, 0, sizeof now);
    look(&now, t);
    looked++;
    changed += strcmp(before->self, now.self) || strcmp(before->other, now.other) ||
               memcmp(&before->self_address, &now.self_address, sizeof now.self_address) ||
               memcmp(&before->other_address, &now.other_address, sizeof now.other_address);
}

static void look_on_event(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)event, (void)in;
    look_again(r->arg, cvy_ctx_transport(ctx));
}

static int init_seen(cvy_conveyor_t *c, recorder_t *r, seen_t *s, cvy_transport_t **kept)
{
    *kept = cvy_transport_ref(cvy_conveyor_transport(c));
    look(s, *kept);
    r->hook = look_on_event;
    r->arg = s;
    r->flags = RECORD_SILENT;
    return cvy_conveyor_add_last(c, &recorder_stage, r, NULL);
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    return init_seen(c, &((ends_t *)arg)->server, &at_server, &kept_server);
}

static int init_client(cvy_conveyor_t *c, void *arg)
{
    return init_seen(c, &((ends_t *)arg)->client, &at_client, &kept_client);
}

static void look_accepted(net_t *n, cvy_transport_t *t)
{
    (void)n;
    look_again(&at_server, t);
}

static void look_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)n, (void)d;
    look_again(&at_client, t);
}

/* What the address itself says, as text. */
static void check_address(const struct sockaddr_storage *address, const char *text, bool tcp)
{
    char again[256];
    if (!tcp) {
        ck_assert_int_eq(address->ss_family, 0);
        return;
    }
    cvy__address_format(again, sizeof again, (const struct sockaddr *)address);
    ck_assert_str_eq(again, text);
}

static void meet(ends_t *e)
{
    net_t *n = &e->net;
    memset(&at_server, 0, sizeof at_server);
    memset(&at_client, 0, sizeof at_client);
    looked = changed = 0;
    ends_record(e);
    n->opts.conveyor_init = init_server;
    n->dial.conveyor_init = init_client;
    n->on_accepted = look_accepted;
    n->on_connected = look_connected;
    ends_listen(e);
    ends_dial(e, 1);
    net_write(n, 0, "x");
    NET_UNTIL(n, n->accepted);
    net_close_clients(n);
    NET_UNTIL(n, !n->open && !ends_connections(e));
}

static void part(void)
{
    cvy_transport_unref(kept_server);
    cvy_transport_unref(kept_client);
}

/* A local socket's name in the kernel: ipc is a Unix socket or a pipe of that name. */
static void real_name(char out[600], const ends_t *e)
{
    cvy__address_t a;
    snprintf(out, 600, "%s", e->net.address);
    ck_assert_int_eq(cvy__address_parse(&a, e->net.address, NULL, 0), 0);
    ck_assert_int_eq(cvy__address_place(&a, false, NULL, 0), 0);
    if (e->scheme == SCHEME_IPC && a.kind == CVY__ADDRESS_UNIX) snprintf(out, 600, "unix://%s", a.name);
    if (e->scheme == SCHEME_IPC && a.kind == CVY__ADDRESS_PIPE)
        snprintf(out, 600, "pipe://%s", strrchr(a.name, '\\') + 1);
}

/* T12 */
START_OVER_SCHEMES(what_one_end_calls_itself_the_other_end_calls_it_too)
{
    char name[600];
    meet(&e);
    real_name(name, &e);
    ck_assert_str_eq(at_client.other, name);
    ck_assert_str_eq(at_server.self, name);
    ck_assert_str_eq(at_client.self, at_server.other);
    ck_assert_int_eq(strcmp(at_client.self, name) != 0, 1);
    check_address(&at_client.self_address, at_client.self, is_tcp(&e));
    check_address(&at_client.other_address, at_client.other, is_tcp(&e));
    check_address(&at_server.self_address, at_server.self, is_tcp(&e));
    check_address(&at_server.other_address, at_server.other, is_tcp(&e));
    part();
}
END_OVER_SCHEMES

/* T12, T16: from conveyor_init to the last reference. */
START_OVER_SCHEMES(endpoints_are_fixed_before_active_and_last_as_long_as_the_memory)
{
    meet(&e);
    ck_assert_int_ge(looked, 8); /* added, lent, active, ..., removed, at each end */
    look_again(&at_server, kept_server);
    look_again(&at_client, kept_client);
    ck_assert_int_eq(changed, 0);
    ck_assert_str_ne(at_client.other, "");
    part();
}
END_OVER_SCHEMES

/* In use */

/* L4, L7: the second calls nothing back, and does not disturb the first; afterwards it may try again. */
START_OVER_SCHEMES(a_second_listener_gets_eaddrinuse_and_the_first_goes_on)
{
    net_t second;
    char line[400];
    ends_listen(&e);
    net_init(&second);
    ck_assert_int_eq(net_try_listen(&second, n->address), UV_EADDRINUSE);
    snprintf(line, sizeof line, "%s: address already in use (EADDRINUSE)", n->address);
    ck_assert_str_eq(cvy_listener_message(second.listener), line);
    net_settle(&second);
    ck_assert_str_eq(recorder_text(&second.log), "");
    ck_assert_int_eq(cvy_listener_state(second.listener), CVY_LISTENER_STARTING);
    ends_dial(&e, 3);
    NET_UNTIL(n, n->accepted >= 3); /* the second's question whether it lives may be one more */
    for (int i = 0; i < 3; i++)
        net_write(n, i, "x");
    NET_UNTIL(n, n->echoed == 3);
    net_end_listener(n);
    int before = n->accepted;
    ck_assert_int_eq(cvy_listener_start(second.listener), 0);
    ends_dial(&e, 2);
    NET_UNTIL(&second, second.accepted == 2);
    ck_assert_int_eq(n->accepted, before);
    net_close_clients(n);
    NET_UNTIL(n, !n->open);
    net_fini(&second);
}
END_OVER_SCHEMES

/* L4 */
START_OVER_SCHEMES(several_addresses_are_bound_all_or_none)
{
    net_t second;
    char free_one[256];
    const char *both[] = { free_one, n->address, NULL };
    scheme_address(free_one, is_tcp(&e) ? SCHEME_INPROC : e.scheme);
    ends_listen(&e);
    net_init(&second);
    second.opts.addresses = both + 1;
    ck_assert_int_eq(net_try_listen(&second, free_one), UV_EADDRINUSE);
    ck_assert_str_eq(recorder_text(&second.log), "");
    ck_assert_int_eq(net_dial(n, free_one), 0);
    NET_UNTIL(n, n->failed);
    cvy_listener_free(second.listener);
    second.opts.addresses = NULL;
    net_listen(&second, free_one); /* nothing of it stayed */
    net_fini(&second);
}
END_OVER_SCHEMES

/* L9, SO_REUSEADDR: whoever closes first leaves a connection in TIME_WAIT behind, which is not in the way. */
START_OVER_SCHEMES(a_port_can_be_listened_on_again_at_once)
{
    char same[256];
    ends_listen(&e);
    snprintf(same, sizeof same, "%s", n->address);
    for (int i = 0; i < 3; i++) {
        ends_dial(&e, 2);
        NET_UNTIL(n, n->accepted == 2 * (i + 1));
        cvy_listener_shutdown(n->listener, CVY_DRAIN);
        NET_UNTIL(n, !n->open && !ends_connections(&e) && n->shutdowns);
        cvy_listener_free(n->listener);
        n->shutdowns = 0;
        net_listen(n, same);
        ck_assert_str_eq(n->address, same);
    }
}
END_OVER_SCHEMES

/* Socket files */

static bool stat_of(const char *path, uv_stat_t *out)
{
    uv_fs_t request;
    int err = uv_fs_lstat(NULL, &request, path, NULL);
    if (!err && out) *out = request.statbuf;
    uv_fs_req_cleanup(&request);
    return !err;
}

static void move_file(const char *from, const char *to)
{
    uv_fs_t request;
    ck_assert_int_eq(uv_fs_rename(NULL, &request, from, to, NULL), 0);
    uv_fs_req_cleanup(&request);
}

static void remove_file(const char *path)
{
    uv_fs_t request;
    uv_fs_unlink(NULL, &request, path, NULL);
    uv_fs_req_cleanup(&request);
}

static void make_file(const char *path)
{
    uv_fs_t request;
    int fd = uv_fs_open(NULL, &request, path, UV_FS_O_CREAT | UV_FS_O_WRONLY, 0600, NULL);
    ck_assert_int_ge(fd, 0);
    uv_fs_req_cleanup(&request);
    uv_fs_close(NULL, &request, fd, NULL);
    uv_fs_req_cleanup(&request);
}

/* A file as a process that died leaves it: its listener is gone, and took another name with it. */
static void leave_stale(const char *path)
{
    net_t dead;
    char aside[300], address[320];
    snprintf(aside, sizeof aside, "%s.x", path);
    snprintf(address, sizeof address, "unix://%s", aside);
    net_init(&dead);
    net_listen(&dead, address);
    move_file(aside, path);
    net_fini(&dead);
    ck_assert(stat_of(path, NULL));
}

/* L7 */
START_OVER_SCHEMES(a_stale_socket_file_is_replaced_and_ours_is_removed_at_the_end)
{
    char path[256];
    scheme_path(path, e.fresh);
    leave_stale(path);
    ends_listen(&e);
    ends_dial(&e, 1);
    NET_UNTIL(n, n->accepted == 1);
    ck_assert(stat_of(path, NULL));
    net_end_listener(n);
    ck_assert(!stat_of(path, NULL));
}
END_OVER_SCHEMES

/* L7: a full backlog is no proof of death. */
START_OVER_SCHEMES(a_live_listeners_file_is_left_alone_even_when_it_does_not_answer)
{
    char path[256];
    uv_stat_t before, after;
    net_t second;
    scheme_path(path, e.fresh);
    n->opts.backlog = 1;
    ends_listen(&e);
    ck_assert_int_eq(net_pause(n), 0);
    net_settle(n);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected);
    ck_assert(stat_of(path, &before));
    net_init(&second);
    ck_assert_int_eq(net_try_listen(&second, e.fresh), UV_EADDRINUSE);
    net_fini(&second);
    ck_assert(stat_of(path, &after));
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_eq(net_resume(n), 0);
    NET_UNTIL(n, n->accepted == 8 && n->connected == 8);
}
END_OVER_SCHEMES

/* L7 */
START_OVER_SCHEMES(a_file_that_is_no_socket_is_left_alone)
{
    char path[256], line[400];
    scheme_path(path, e.fresh);
    make_file(path);
    ck_assert_int_eq(net_try_listen(n, e.fresh), UV_EADDRINUSE);
    snprintf(line, sizeof line, "%s: address already in use (EADDRINUSE)", e.fresh);
    ck_assert_str_eq(cvy_listener_message(n->listener), line);
    cvy_listener_free(n->listener);
    n->listener = NULL;
    net_settle(n);
    ck_assert(stat_of(path, NULL));
    remove_file(path);
}
END_OVER_SCHEMES

/* L7 */
START_OVER_SCHEMES(a_file_that_someone_else_put_there_meanwhile_is_not_removed)
{
    char path[256], aside[300];
    scheme_path(path, e.fresh);
    ends_listen(&e);
    snprintf(aside, sizeof aside, "%s.old", path);
    move_file(path, aside); /* kept, so that its inode is not used again */
    make_file(path);
    net_end_listener(n);
    ck_assert(stat_of(path, NULL));
    remove_file(path);
    remove_file(aside);
}
END_OVER_SCHEMES

/* L7 */
START_OVER_SCHEMES(mode_bits_are_the_ones_asked_for)
{
    char path[256];
    uv_stat_t st;
    scheme_path(path, e.fresh);
    n->opts.mode = 0620;
    ends_listen(&e);
    ck_assert(stat_of(path, &st));
    ck_assert_uint_eq(st.st_mode & 0777, 0620);
    ends_dial(&e, 1);
}
END_OVER_SCHEMES

/* L7: only root gives a file away; to himself anyone does. */
START_OVER_SCHEMES(the_owner_is_the_one_asked_for)
{
    char path[256], owner[64];
    uv_stat_t st;
    uv_passwd_t me;
    ck_assert_int_eq(uv_os_get_passwd(&me), 0);
    long uid = me.uid ? (long)me.uid : 65533, gid = me.uid ? (long)me.gid : 65532;
    uv_os_free_passwd(&me);
    scheme_path(path, e.fresh);
    snprintf(owner, sizeof owner, "%ld:%ld", uid, gid);
    n->opts.owner = owner;
    n->opts.mode = 0666;
    ends_listen(&e);
    ck_assert(stat_of(path, &st));
    ck_assert_uint_eq(st.st_uid, (uint64_t)uid);
    ck_assert_uint_eq(st.st_gid, (uint64_t)gid);
    ends_dial(&e, 1);
}
END_OVER_SCHEMES

static atomic_int told, not_told;

static void ask_who(net_t *n, cvy_transport_t *t)
{
    cvy_credentials_t peer;
    int err = cvy_transport_peer_credentials(t, &peer);
    (void)n;
    told += !err && peer.pid == uv_os_getpid();
    not_told += err == UV_ENOTSUP;
}

static void ask_who_serves(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)d;
    ask_who(n, t);
}

/* T18 */
START_OVER_SCHEMES(both_ends_of_a_local_socket_know_whose_the_other_is)
{
    bool local = cvy__has_credentials() && !is_tcp(&e) && e.scheme != SCHEME_INPROC;
    told = not_told = 0;
    n->on_accepted = ask_who;
    n->on_connected = ask_who_serves;
    ends_listen(&e);
    ends_dial(&e, 3);
    NET_UNTIL(n, n->accepted == 3);
    ck_assert_int_eq(told, local ? 6 : 0);
    ck_assert_int_eq(not_told, local ? 0 : 6);
}
END_OVER_SCHEMES

/* L7: never cut. */
START_OVER_SCHEMES(too_long_a_name_is_enametoolong_on_both_sides)
{
    char address[600];
    size_t at = is_tcp(&e) ? strlen("tcp://") : strlen(e.fresh);
    snprintf(address, sizeof address, "%s", e.fresh);
    memset(address + at, 'x', 400 - at);
    strcpy(address + 400, is_tcp(&e) ? ":1" : "");
    ck_assert_int_eq(net_try_listen(n, address), UV_ENAMETOOLONG);
    ck_assert_int_eq(strncmp(cvy_listener_message(n->listener), address, 400), 0);
    ck_assert_ptr_nonnull(strstr(cvy_listener_message(n->listener), "(ENAMETOOLONG)"));
    ck_assert_int_eq(net_dial(n, address), UV_ENAMETOOLONG);
    net_settle(n);
    ck_assert_str_eq(recorder_text(&n->log), "");
    ck_assert_int_eq(n->failed, 0);
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(the_started_address_is_the_real_one, 0),
        OVER_SCHEMES(what_one_end_calls_itself_the_other_end_calls_it_too, 0),
        OVER_SCHEMES(endpoints_are_fixed_before_active_and_last_as_long_as_the_memory, 0),
        OVER_SCHEMES(a_second_listener_gets_eaddrinuse_and_the_first_goes_on, NEEDS_ONE_OWNER),
        OVER_SCHEMES(several_addresses_are_bound_all_or_none, NEEDS_ONE_OWNER),
        OVER_SCHEMES(a_port_can_be_listened_on_again_at_once, NEEDS_PORT),
        OVER_SCHEMES(a_stale_socket_file_is_replaced_and_ours_is_removed_at_the_end, NEEDS_FILE),
        OVER_SCHEMES(a_live_listeners_file_is_left_alone_even_when_it_does_not_answer, NEEDS_FILE),
        OVER_SCHEMES(a_file_that_is_no_socket_is_left_alone, NEEDS_FILE),
        OVER_SCHEMES(a_file_that_someone_else_put_there_meanwhile_is_not_removed, NEEDS_FILE),
        OVER_SCHEMES(mode_bits_are_the_ones_asked_for, NEEDS_FILE),
        OVER_SCHEMES(the_owner_is_the_one_asked_for, NEEDS_FILE),
        OVER_SCHEMES(both_ends_of_a_local_socket_know_whose_the_other_is, 0),
        OVER_SCHEMES(too_long_a_name_is_enametoolong_on_both_sides, NEEDS_OWN_SOCKET),
    };
    return scheme_run("address", cases, CONFORM_COUNT(cases));
}
