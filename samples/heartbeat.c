/*
 * heartbeat: events of one's own, and idle connections. A decoder stage turns lines into events of its own type; the stage behind
 * it sees no bytes any more, only events: what the peer said, and that the peer said nothing.
 *
 *   heartbeat --listen tcp://127.0.0.1:7000 --interval 1000
 *
 * prints "listening on tcp://127.0.0.1:7000"; `nc 127.0.0.1 7000` then gets a "ping 1" after a second of silence. Answer "pong 1"
 * and the server prints how long that took; answer nothing to three of them and it says "bye" and closes.
 */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define USAGE "heartbeat [--listen URI]... [--interval MILLISECONDS]"

#define MISSED_MAX 3

/* The event: its type is the address of one object, which CVY_EVENT defines. */
typedef struct pong {
    cvy_event_t event;
    unsigned long number;
} pong_t;
CVY_EVENT(pong);

/* Lines that say "pong N" become events; others are dropped. */
static void decode_line(cvy_ctx_t *ctx, cvy_buf_t *line)
{
    char text[32] = { 0 };
    cvy_buf_read(line, text, sizeof text - 1);
    if (strncmp(text, "pong ", 5) != 0) return;
    pong_t pong = { CVY_EVENT_OF(pong), strtoul(text + 5, NULL, 10) };
    cvy_fire_inbound(ctx, &pong.event);
}

static const cvy_stage_t decoder = { .name = "decoder", .on_inbound_bytes = decode_line };

typedef struct beat {
    unsigned long sent, missed;
    uint64_t sent_at;
} beat_t;

static void on_pong(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    beat_t *b = cvy_ctx_state(ctx);
    const pong_t *pong = cvy_event_as(ev, pong);
    if (!pong || pong->number != b->sent) return;
    b->missed = 0;
    printf("%s: pong %lu after %" PRIu64 " ms\n", cvy_transport_other_endpoint(cvy_ctx_transport(ctx)), pong->number,
           cvy_loop_now(cvy_ctx_loop(ctx)) - b->sent_at);
    fflush(stdout);
}

/* The idle stage fires this after every further interval without a byte from the peer. */
static void on_idle(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    (void)ev;
    beat_t *b = cvy_ctx_state(ctx);
    if (b->missed++ == MISSED_MAX) {
        cvy_fire_outbound_copy(ctx, "bye", 3);
        cvy_fire_outbound_close(ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL, .err = UV_ETIMEDOUT });
        return;
    }
    char text[32];
    snprintf(text, sizeof text, "ping %lu", ++b->sent);
    b->sent_at = cvy_loop_now(cvy_ctx_loop(ctx));
    cvy_fire_outbound_copy(ctx, text, strlen(text));
}

static const cvy_on_t beat_events[] = { CVY_ON(pong, on_pong), CVY_ON(cvy_idle, on_idle), { 0 } };

static const cvy_stage_t beat = {
    .name = "beat",
    .state_size = sizeof(beat_t),
    .on_error = report_error,
    .events = beat_events,
};

static int init(cvy_conveyor_t *c, void *arg)
{
    const int64_t *interval_ms = arg;
    int err = cvy_idle_add(c, &(cvy_idle_opts_t){ .read_ms = *interval_ms });
    if (!err) err = cvy_line_add(c, &(cvy_line_opts_t){ .outbound = CVY_LINE_END_LF, .max_line = 256 });
    if (!err) err = cvy_conveyor_add_last(c, &decoder, NULL, NULL);
    if (!err) err = cvy_conveyor_add_last(c, &beat, NULL, NULL);
    return err;
}

int main(int argc, char **argv)
{
    addresses_t listen = { 0 };
    int64_t interval_ms = 1000;
    parse_options(argc, argv, USAGE, NULL,
                  (option_t[]){ { .name = "--listen", .addresses = &listen },
                                { .name = "--interval", .number = &interval_ms, .min = 1, .max = 3600000 },
                                { 0 } });
    if (!listen.count) listen.list[0] = "tcp://127.0.0.1:7000";
    return serve("heartbeat", &(cvy_listener_opts_t){
                                  .addresses = listen.list,
                                  .conveyor_init = init,
                                  .on_started = print_listening,
                                  .arg = &interval_ms,
                              });
}
