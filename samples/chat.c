/*
 * chat: one line to everybody. Every receiver's buffer shares the segments of the one line that came in: however many listen, its
 * bytes are in memory once.
 *
 *   chat --listen tcp://127.0.0.1:7000
 *
 * prints "listening on tcp://127.0.0.1:7000". Then run `nc 127.0.0.1 7000` in two terminals: what one types, the other reads, with
 * the sender's address in front.
 */
#include "common.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define USAGE "chat [--listen URI]..."

/* One loop, so one thread: the list needs no lock. */
typedef struct member {
    cvy_ctx_t *ctx;
    struct member *next, **back; /* back: what points to us */
} member_t;

static member_t *members;

/* One buffer is taken by every fire: so each receiver gets a share of it. */
static void send_to(member_t *m, const cvy_buf_t *line)
{
    cvy_buf_t shared;
    if (!cvy_ctx_writable(m->ctx)) return; /* reads too slowly: misses a line, and holds nobody up */
    if (cvy_buf_share(&shared, line) == 0) cvy_fire_outbound_bytes(m->ctx, &shared);
}

static void say(const member_t *from, cvy_buf_t *line)
{
    char name[160];
    snprintf(name, sizeof name, "%s: ", cvy_transport_other_endpoint(cvy_ctx_transport(from->ctx)));
    if (cvy_buf_prepend(line, name, strlen(name))) return;
    for (member_t *m = members; m; m = m->next)
        if (m != from) send_to(m, line);
}

static int on_active(cvy_ctx_t *ctx)
{
    member_t *m = cvy_ctx_state(ctx);
    m->ctx = ctx;
    m->next = members;
    m->back = &members;
    if (members) members->back = &m->next;
    members = m;
    return 0;
}

static void on_line(cvy_ctx_t *ctx, cvy_buf_t *line)
{
    say(cvy_ctx_state(ctx), line);
}

static void on_inactive(cvy_ctx_t *ctx)
{
    member_t *m = cvy_ctx_state(ctx);
    *m->back = m->next;
    if (m->next) m->next->back = m->back;
}

static const cvy_stage_t member = {
    .name = "member",
    .state_size = sizeof(member_t),
    .on_active = on_active,
    .on_inbound_bytes = on_line,
    .on_error = report_error,
    .on_inactive = on_inactive,
};

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    int err = cvy_line_add(c, &(cvy_line_opts_t){ .outbound = CVY_LINE_END_LF, .max_line = 4096 });
    return err ? err : cvy_conveyor_add_last(c, &member, NULL, NULL);
}

int main(int argc, char **argv)
{
    addresses_t listen = { 0 };
    parse_options(argc, argv, USAGE, NULL, (option_t[]){ { .name = "--listen", .addresses = &listen }, { 0 } });
    if (!listen.count) listen.list[0] = "tcp://127.0.0.1:7000";
    return serve("chat", &(cvy_listener_opts_t){
                             .addresses = listen.list,
                             .conveyor_init = init,
                             .on_started = print_listening,
                         });
}
