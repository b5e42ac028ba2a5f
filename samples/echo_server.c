/*
 * echo_server: what a conveyor is. Bytes come in at its head, walk through the stages, and what the last stage fires back leaves
 * on the wire. The same stage echoes raw bytes or whole frames: that is decided by what stands in front of it.
 *
 *   echo_server --listen tcp://127.0.0.1:7000 --framing u32be
 *
 * prints "listening on tcp://127.0.0.1:7000"; then
 *
 *   printf '\0\0\0\5hello' | nc -q1 127.0.0.1 7000
 *
 * sends one frame (four bytes of length, big endian, then the body) and shows it again. Ctrl-C lets the connections finish and
 * ends the server; a second Ctrl-C ends it at once.
 */
#include "common.h"

#define USAGE "echo_server [--listen URI]... [--framing none|u32be] [--loops N] [--max-frame BYTES] [--idle SECONDS]"

typedef struct settings {
    int framed;
    int64_t max_frame;
    int64_t idle_s;
} settings_t;

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    cvy_fire_outbound_bytes(ctx, bytes); /* no copy: the views that were read are the views that are written */
}

static void close_idle(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    (void)ev;
    cvy_fire_outbound_close(ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL });
}

static const cvy_on_t echo_events[] = { CVY_ON(cvy_idle, close_idle), { 0 } };

static const cvy_stage_t echo = {
    .name = "echo",
    .on_inbound_bytes = echo_bytes,
    .on_error = report_error,
    .events = echo_events,
};

/* Runs for every new connection, on its loop. Nearest to the wire first. */
static int init(cvy_conveyor_t *c, void *arg)
{
    const settings_t *s = arg;
    int err = cvy_flow_control_add(c, NULL);
    if (!err && s->idle_s) err = cvy_idle_add(c, &(cvy_idle_opts_t){ .all_ms = s->idle_s * 1000 });
    if (!err && s->framed) err = cvy_frame_add(c, &(cvy_frame_opts_t){ .max_frame = s->max_frame });
    if (!err) err = cvy_conveyor_add_last(c, &echo, NULL, NULL);
    return err;
}

int main(int argc, char **argv)
{
    settings_t settings = { 0 };
    addresses_t listen = { 0 };
    int64_t loops = 1;
    parse_options(argc, argv, USAGE, NULL,
                  (option_t[]){
                      { .name = "--listen", .addresses = &listen },
                      { .name = "--framing", .choice = &settings.framed, .choices = "none|u32be" },
                      { .name = "--loops", .number = &loops, .min = 1, .max = 64 },
                      { .name = "--max-frame", .number = &settings.max_frame, .min = 1, .max = UINT32_MAX },
                      { .name = "--idle", .number = &settings.idle_s, .min = 1, .max = 86400 },
                      { 0 },
                  });
    if (!listen.count) listen.list[0] = "tcp://127.0.0.1:7000";

    return serve("echo_server", &(cvy_listener_opts_t){
                                    .addresses = listen.list,
                                    .conveyor_init = init,
                                    .on_started = print_listening,
                                    .arg = &settings,
                                    .loops = (int)loops,
                                });
}
