/*
 * resp_server: a protocol of the real world in two stages. The decoder (resp_decoder.c) turns bytes into events of type resp_command,
 * the application stage below answers each (resp_commands.c). Nobody buffers replies: what is fired during one turn of the loop
 * leaves in one write, so a pipeline of a hundred commands costs one read and one write.
 *
 *   resp_server --listen tcp://127.0.0.1:6379
 *
 * prints "listening on tcp://127.0.0.1:6379". Then
 *
 *   redis-cli set greeting hello
 *   redis-cli get greeting
 *   redis-benchmark -t ping,set,get -P 16 -c 50 -n 100000
 *
 * print "OK", "hello", and how many requests a second it answers. Keys and values are in memory only.
 */
#include "common.h"
#include "resp_codec.h"
#include "resp_commands.h"
#include "resp_store.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define USAGE "resp_server [--listen URI]..."

static void on_command(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    cvy_buf_t out;
    const resp_command_t *command = cvy_event_as(ev, resp_command);
    if (!command) return;
    cvy_buf_init(&out, cvy_ctx_pool(ctx));
    int err = resp_answer(&out, ctx, command, *(resp_store_t **)cvy_ctx_state(ctx));
    if (err)
        cvy_ctx_fail(ctx, err, "no memory for a reply"); /* half a reply would break the stream */
    else
        cvy_fire_outbound_bytes(ctx, &out);
    cvy_buf_fini(&out);
}

/* What breaks the protocol is told to the peer, as Redis does, and ends the connection gracefully; everything else ends it now. */
static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    cvy_buf_t out;
    if (strcmp(err->stage, "resp") != 0) {
        report_error(ctx, err);
        return;
    }
    print_error(ctx, err);
    cvy_buf_init(&out, cvy_ctx_pool(ctx));
    if (resp_error(&out, "Protocol error: %s", err->detail) == 0) cvy_fire_outbound_bytes(ctx, &out);
    cvy_buf_fini(&out);
    cvy_fire_outbound_close(ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL, .err = err->code });
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    *(resp_store_t **)cvy_ctx_state(ctx) = *(resp_store_t *const *)opts;
    return 0;
}

static const cvy_on_t answerer_events[] = { CVY_ON(resp_command, on_command), { 0 } };

static const cvy_stage_t answerer = {
    .name = "answerer",
    .state_size = sizeof(resp_store_t *),
    .on_added = on_added,
    .on_error = on_error,
    .events = answerer_events,
};

static int init(cvy_conveyor_t *c, void *arg)
{
    int err = cvy_conveyor_add_last(c, &resp_decoder, NULL, NULL);
    return err ? err : cvy_conveyor_add_last(c, &answerer, &arg, NULL);
}

int main(int argc, char **argv)
{
    addresses_t listen = { 0 };
    parse_options(argc, argv, USAGE, NULL, (option_t[]){ { .name = "--listen", .addresses = &listen }, { 0 } });
    if (!listen.count) listen.list[0] = "tcp://127.0.0.1:6379";

    resp_store_t *store = resp_store_new();
    if (!store) {
        fprintf(stderr, "resp_server: %s (ENOMEM)\n", uv_strerror(UV_ENOMEM));
        return 1;
    }
    int status = serve("resp_server", &(cvy_listener_opts_t){
                                          .addresses = listen.list,
                                          .conveyor_init = init,
                                          .on_started = print_listening,
                                          .arg = store, /* one loop, one thread: the store needs no lock */
                                      });
    resp_store_free(store);
    return status;
}
