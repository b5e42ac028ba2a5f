/*
 * One function for each command, and the table that finds it.
 */
#include "resp_commands.h"

#include <inttypes.h>
#include <stdio.h>

/* One command being answered. */
typedef struct call {
    cvy_ctx_t *ctx;
    const resp_command_t *command;
    resp_store_t *store;
    int64_t now_ms;
    cvy_buf_t *out;
} call_t;

/* Case does not matter; name is in lower case. */
static bool is(resp_text_t text, const char *name)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.bytes[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (c != name[i]) return false; /* also at the end of name: no argument that matches holds a zero byte there */
        if (c == '\0') return false;
    }
    return name[text.n] == '\0';
}

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
        int64_t n = 0, unit_ms = is(option, "ex") ? 1000 : is(option, "px") ? 1 : 0;
        nx = nx || is(option, "nx");
        xx = xx || is(option, "xx");
        if (is(option, "nx") || is(option, "xx")) continue;
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
    if (!is(resp_arg(c->command, 1), "get")) return resp_error(c->out, "only CONFIG GET is known", NULL);
    if (!is(name, "save") && !is(name, "appendonly")) return resp_array(c->out, 0);
    int err = resp_array(c->out, 2);
    if (!err) err = resp_bulk(c->out, name);
    return err ? err : resp_bulk(c->out, is(name, "save") ? (resp_text_t){ "", 0 } : (resp_text_t){ "no", 2 });
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

int resp_answer(cvy_buf_t *out, cvy_ctx_t *ctx, const resp_command_t *command, resp_store_t *store)
{
    call_t c = { ctx, command, store, (int64_t)cvy_loop_now(cvy_ctx_loop(ctx)), out };
    resp_text_t name = resp_arg(command, 0);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!is(name, verbs[i].name)) continue;
        if (command->count < verbs[i].min || command->count > verbs[i].max)
            return resp_error(out, "wrong number of arguments for '%s' command", verbs[i].name);
        return verbs[i].run(&c);
    }
    char shown[64] = { 0 }; /* whatever it is, it must not end the line */
    for (size_t i = 0; i < name.n && i < sizeof shown - 1; i++)
        shown[i] = (char)(name.bytes[i] >= ' ' && name.bytes[i] <= '~' ? name.bytes[i] : '?');
    return resp_error(out, "unknown command '%s'", shown);
}
