/*
 * resp_server: a protocol of the real world in two stages. The decoder (resp_decoder.c) turns bytes into events of type resp_command,
 * the application stage below answers each. Nobody buffers replies: what is fired during one turn of the loop leaves in one write,
 * so a pipeline of a hundred commands costs one read and one write.
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
#include "resp_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define USAGE "resp_server [--listen URI]..."

/* One command being answered. */
typedef struct call {
    cvy_ctx_t *ctx;
    const resp_command_t *command;
    resp_store_t *store;
    int64_t now_ms;
    cvy_buf_t *out;
} call_t;

static int ping(call_t *c)
{
    return c->command->count == 1 ? resp_status(c->out, "PONG") : resp_bulk(c->out, resp_arg(c->command, 1));
}

static int echo(call_t *c)
{
    return resp_bulk(c->out, resp_arg(c->command, 1));
}

/* When a key expires whose time to live is n units of so many milliseconds; false: no such time. */
static bool expiry(const call_t *c, int64_t n, int64_t unit_ms, int64_t *out)
{
    if (n > (RESP_NEVER - 1 - c->now_ms) / unit_ms || n < -(RESP_NEVER / unit_ms)) return false;
    *out = c->now_ms + n * unit_ms;
    return true;
}

static int set(call_t *c)
{
    resp_value_t value = { resp_arg(c->command, 2), RESP_NEVER }, old;
    bool nx = false, xx = false;
    for (size_t i = 3; i < c->command->count; i++) {
        resp_text_t option = resp_arg(c->command, i);
        int64_t n = 0, unit_ms = resp_is(option, "ex") ? 1000 : resp_is(option, "px") ? 1 : 0;
        nx = nx || resp_is(option, "nx");
        xx = xx || resp_is(option, "xx");
        if (resp_is(option, "nx") || resp_is(option, "xx")) continue;
        if (!unit_ms || ++i == c->command->count || value.expires_ms != RESP_NEVER)
            return resp_error(c->out, "syntax error", NULL);
        if (!resp_number(resp_arg(c->command, i), &n))
            return resp_error(c->out, "value is not an integer or out of range", NULL);
        if (n <= 0 || !expiry(c, n, unit_ms, &value.expires_ms))
            return resp_error(c->out, "invalid expire time in 'set' command", NULL);
    }
    if (nx && xx) return resp_error(c->out, "syntax error", NULL);
    if (nx || xx) {
        bool exists = resp_store_get(c->store, resp_arg(c->command, 1), c->now_ms, &old);
        if (exists == nx) return resp_nil(c->out);
    }
    int err = resp_store_set(c->store, resp_arg(c->command, 1), &value, c->now_ms);
    return err ? resp_error(c->out, "out of memory", NULL) : resp_status(c->out, "OK");
}

static int get(call_t *c)
{
    resp_value_t value;
    if (!resp_store_get(c->store, resp_arg(c->command, 1), c->now_ms, &value)) return resp_nil(c->out);
    return resp_bulk(c->out, value.text);
}

static int del(call_t *c)
{
    int64_t removed = 0;
    for (size_t i = 1; i < c->command->count; i++)
        removed += resp_store_remove(c->store, resp_arg(c->command, i), c->now_ms);
    return resp_integer(c->out, removed);
}

static int exists(call_t *c)
{
    int64_t found = 0;
    resp_value_t value;
    for (size_t i = 1; i < c->command->count; i++)
        found += resp_store_get(c->store, resp_arg(c->command, i), c->now_ms, &value);
    return resp_integer(c->out, found);
}

static int incr(call_t *c)
{
    resp_value_t value = { { "0", 1 }, RESP_NEVER };
    int64_t n = 0;
    char digits[24];
    resp_store_get(c->store, resp_arg(c->command, 1), c->now_ms, &value);
    if (!resp_number(value.text, &n)) return resp_error(c->out, "value is not an integer or out of range", NULL);
    if (n == INT64_MAX) return resp_error(c->out, "increment or decrement would overflow", NULL);
    value.text = (resp_text_t){ digits, (size_t)snprintf(digits, sizeof digits, "%" PRId64, n + 1) };
    int err = resp_store_set(c->store, resp_arg(c->command, 1), &value, c->now_ms);
    return err ? resp_error(c->out, "out of memory", NULL) : resp_integer(c->out, n + 1);
}

static int expire(call_t *c)
{
    int64_t seconds = 0, expires_ms = 0;
    if (!resp_number(resp_arg(c->command, 2), &seconds))
        return resp_error(c->out, "value is not an integer or out of range", NULL);
    if (!expiry(c, seconds, 1000, &expires_ms))
        return resp_error(c->out, "invalid expire time in 'expire' command", NULL);
    return resp_integer(c->out, resp_store_expire(c->store, resp_arg(c->command, 1), expires_ms, c->now_ms));
}

static int ttl(call_t *c)
{
    resp_value_t value;
    if (!resp_store_get(c->store, resp_arg(c->command, 1), c->now_ms, &value)) return resp_integer(c->out, -2);
    if (value.expires_ms == RESP_NEVER) return resp_integer(c->out, -1);
    return resp_integer(c->out, (value.expires_ms - c->now_ms + 500) / 1000);
}

static int command(call_t *c)
{
    return resp_array(c->out, 0); /* redis-cli asks for help texts when it starts: there are none */
}

/* redis-benchmark asks for these two before it starts. */
static int config(call_t *c)
{
    resp_text_t name = resp_arg(c->command, 2);
    if (!resp_is(resp_arg(c->command, 1), "get")) return resp_error(c->out, "only CONFIG GET is known", NULL);
    if (!resp_is(name, "save") && !resp_is(name, "appendonly")) return resp_array(c->out, 0);
    int err = resp_array(c->out, 2);
    if (!err) err = resp_bulk(c->out, name);
    return err ? err : resp_bulk(c->out, resp_is(name, "save") ? (resp_text_t){ "", 0 } : (resp_text_t){ "no", 2 });
}

static int quit(call_t *c)
{
    int err = resp_status(c->out, "OK");
    cvy_fire_outbound_bytes(c->ctx, c->out);
    cvy_fire_outbound_close(c->ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL });
    return err;
}

static const struct verb {
    const char *name;
    size_t min, max; /* arguments, the name included */
    int (*run)(call_t *c);
} verbs[] = {
    { "get", 2, 2, get },
    { "set", 3, RESP_ARGS_MAX, set },
    { "ping", 1, 2, ping },
    { "echo", 2, 2, echo },
    { "del", 2, RESP_ARGS_MAX, del },
    { "exists", 2, RESP_ARGS_MAX, exists },
    { "incr", 2, 2, incr },
    { "expire", 3, 3, expire },
    { "ttl", 2, 2, ttl },
    { "command", 1, RESP_ARGS_MAX, command },
    { "config", 3, 3, config },
    { "quit", 1, RESP_ARGS_MAX, quit },
};

static int answer(call_t *c)
{
    resp_text_t name = resp_arg(c->command, 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!resp_is(name, verbs[i].name)) continue;
        if (c->command->count < verbs[i].min || c->command->count > verbs[i].max)
            return resp_error(c->out, "wrong number of arguments for '%s' command", verbs[i].name);
        return verbs[i].run(c);
    }
    char shown[64] = { 0 }; /* whatever it is, it must not end the line */
    for (size_t i = 0; i < name.n && i < sizeof shown - 1; i++)
        shown[i] = (char)(name.bytes[i] >= ' ' && name.bytes[i] <= '~' ? name.bytes[i] : '?');
    return resp_error(c->out, "unknown command '%s'", shown);
}

static void on_command(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    cvy_buf_t out;
    const resp_command_t *command = cvy_event_as(ev, resp_command);
    if (!command) return;
    cvy_buf_init(&out, cvy_ctx_pool(ctx));
    call_t call = {
        .ctx = ctx,
        .command = command,
        .store = *(resp_store_t **)cvy_ctx_state(ctx),
        .now_ms = (int64_t)cvy_loop_now(cvy_ctx_loop(ctx)),
        .out = &out,
    };
    int err = answer(&call);
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
