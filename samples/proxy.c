/*
 * proxy: two connections tied together. What one side reads the other writes, without a copy. When a side's outbound queue is full,
 * reading from the other stops until it has drained, so a slow reader slows the sender down and memory stays bounded. The end of
 * one direction is passed on alone (half-close); an error ends both.
 *
 *   echo_server --listen tcp://127.0.0.1:7000 &
 *   proxy --listen tcp://127.0.0.1:7001 --connect tcp://127.0.0.1:7000
 *
 * prints "listening on tcp://127.0.0.1:7001"; then `send_file --connect tcp://127.0.0.1:7001 FILE` goes through it.
 */
#include "common.h"

#include <stdio.h>
#include <uv.h>

#define USAGE "proxy --listen URI... --connect URI"

static const char *upstream;

/* hold_reads would stop reading from a side whose queue is full; here that is for the other side to do. */
static const cvy_transport_opts_t transport = {
    .hold_reads = CVY_OFF,
    .allow_half_close = 1,
    .half_close_timeout_ms = CVY_OFF,
};

/* The state of the relay stage, one on each side. */
typedef struct side {
    cvy_ctx_t *ctx;
    struct side *peer;    /* NULL until the dial has connected, and when the peer is gone */
    cvy_dialer_t *dialer; /* of the accepted side */
    bool dialed, failed;
} side_t;

static int init(cvy_conveyor_t *c, void *peer);

static void dial_failed(cvy_dialer_t *dialer, int err, void *arg)
{
    side_t *side = arg;
    (void)err;
    fprintf(stderr, "proxy: %s\n", cvy_dialer_message(dialer));
    cvy_transport_close(cvy_ctx_transport(side->ctx), CVY_CLOSE_RESET);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    side_t *side = cvy_ctx_state(ctx);
    side->ctx = ctx;
    side->peer = *(side_t *const *)opts;
    side->dialed = side->peer != NULL;
    if (side->peer) side->peer->peer = side;
    return 0;
}

static int on_active(cvy_ctx_t *ctx)
{
    side_t *side = cvy_ctx_state(ctx);
    if (side->dialed) {
        if (side->peer) cvy_ctx_resume(side->peer->ctx);
        return 0;
    }
    cvy_ctx_suspend(ctx); /* not a byte is read before there is somebody to give it to */
    cvy_dialer_opts_t opts = { .address = upstream, .conveyor_init = init, .on_failure = dial_failed, .arg = side };
    opts.loop = cvy_ctx_loop(ctx);
    opts.transport = &transport;
    int err = cvy_dialer_new(&side->dialer, &opts);
    if (err) return err;
    err = cvy_dialer_dial(side->dialer);
    if (err) dial_failed(side->dialer, err, side);
    return 0;
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    side_t *side = cvy_ctx_state(ctx);
    if (!side->peer) return;
    cvy_fire_outbound_bytes(side->peer->ctx, bytes);
    if (!cvy_ctx_writable(side->peer->ctx)) cvy_ctx_suspend(ctx);
}

static void on_outbound_resume(cvy_ctx_t *ctx)
{
    side_t *side = cvy_ctx_state(ctx);
    if (side->peer) cvy_ctx_resume(side->peer->ctx);
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    side_t *side = cvy_ctx_state(ctx);
    if (side->peer) cvy_transport_shutdown_write(cvy_ctx_transport(side->peer->ctx));
    return 0;
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    side_t *side = cvy_ctx_state(ctx);
    side->failed = true;
    report_error(ctx, err);
}

static void on_removed(cvy_ctx_t *ctx)
{
    side_t *side = cvy_ctx_state(ctx);
    cvy_dialer_free(side->dialer); /* a dial that is under way ends here, without a callback */
    if (!side->peer) return;
    side->peer->peer = NULL;
    cvy_transport_close(cvy_ctx_transport(side->peer->ctx), side->failed ? CVY_CLOSE_RESET : CVY_CLOSE_GRACEFUL);
}

static const cvy_stage_t relay = {
    .name = "relay",
    .state_size = sizeof(side_t),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_active = on_active,
    .on_inbound_bytes = on_bytes,
    .on_read_closed = on_read_closed,
    .on_outbound_resume = on_outbound_resume,
    .on_error = on_error,
};

/* peer: the side that dials; an accepted connection has none yet. */
static int init(cvy_conveyor_t *c, void *peer)
{
    return cvy_conveyor_add_last(c, &relay, &peer, NULL);
}

int main(int argc, char **argv)
{
    addresses_t listen = { 0 };
    parse_options(argc, argv, USAGE, NULL,
                  (option_t[]){ { .name = "--listen", .addresses = &listen },
                                { .name = "--connect", .text = &upstream },
                                { 0 } });
    if (!listen.count) wrong_usage(USAGE, "--listen", "is missing");
    if (!upstream) wrong_usage(USAGE, "--connect", "is missing");
    char why[300];
    if (cvy_address_check(upstream, why, sizeof why)) { /* now, not when the first connection comes */
        fprintf(stderr, "proxy: %s\n", why);
        return 1;
    }
    return serve("proxy", &(cvy_listener_opts_t){
                              .addresses = listen.list,
                              .conveyor_init = init,
                              .on_started = print_listening,
                              .transport = &transport,
                          });
}
