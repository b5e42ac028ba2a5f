/* One copy's side: compiled into the program, and again into the plugin. */
#include "copy.h"

#include <stdio.h>

#include "exchange.h"

static cvy_loop_t *loop;
static exchange_t server, client;
static int lines;

static void on_line(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg, (void)level, (void)line;
    lines++;
}

static int open_both(char *address, size_t n)
{
    cvy_log_set(on_line, NULL);
    int err = cvy_loop_new(&loop, NULL);
    if (!err) err = exchange_begin(&server, loop, NULL); /* and a client of its own copy */
    if (!err) snprintf(address, n, "%s", cvy_listener_address(server.listener, 0));
    return err;
}

static int dial(const char *address)
{
    return exchange_begin(&client, loop, address);
}

static void turn(void)
{
    cvy_loop_turn(loop, 1);
}

static int heard(void)
{
    return exchange_over(&server) && exchange_over(&client) && !server.err && !client.err;
}

static void again(void)
{
    exchange_again(&server);
    exchange_again(&client);
}

static int count_lines(void)
{
    return lines;
}

/* Bytes that no stage takes are a line of TAIL's. */
static void log_one(void)
{
    cvy_embedded_t *e;
    if (cvy_embedded_new(&e, NULL)) return;
    cvy_embedded_feed(e, "x", 1);
    cvy_embedded_free(e);
}

static void close_all(void)
{
    exchange_end(&client);
    exchange_end(&server);
    for (int i = 0; i < 20; i++)
        turn();
    cvy_loop_unref(loop);
}

static const copy_t self = { cvy_version, &cvy_active_event, &cvy_frame_stage, open_both, dial, turn, heard,
                             again,       count_lines,       log_one,          close_all };

const copy_t *copy(void)
{
    return &self;
}
