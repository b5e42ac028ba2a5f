/*
 * attach: a program that has its own uv_loop_t, with a timer of its own on it, and keeps both. A listener is added to the loop,
 * used by a client on the same loop, and taken away again; the timer ticks on, and in the end the loop closes with nothing left.
 *
 *   attach --listen tcp://127.0.0.1:0
 *
 * prints a few ticks, "listening on ...", what the client heard back, "detached", one more tick, and "the loop closes: 0".
 */
#include "common.h"

#include <stdio.h>
#include <uv.h>

#define USAGE   "attach [--listen URI]..."
#define TICK_MS 20

typedef struct app {
    uv_loop_t uv;
    uv_timer_t ticks;
    addresses_t listen;
    cvy_loop_t *loop;
    cvy_listener_t *listener;
    cvy_dialer_t *dialer;
    int ticked, last_tick, failed;
} app_t;

static void give_up(app_t *app, const char *what, const char *why)
{
    fprintf(stderr, "attach: %s: %s\n", what, why);
    app->failed = 1;
    uv_close((uv_handle_t *)&app->ticks, NULL);
    cvy_loop_detach(app->loop, CVY_DETACH_CLOSE, NULL, NULL);
}

/* 4. Nothing of Conveyor's is on the loop any more. */
static void on_detached(cvy_loop_t *loop, void *arg)
{
    (void)loop;
    app_t *app = arg;
    printf("detached\n");
    app->last_tick = app->ticked + 1;
}

/* 3. The client has its answer: everything goes again. */
static void hear(cvy_ctx_t *ctx, cvy_buf_t *line)
{
    app_t *app = cvy_transport_data(cvy_ctx_transport(ctx));
    char text[64] = { 0 };
    cvy_buf_read(line, text, sizeof text - 1);
    printf("the client heard \"%s\"\n", text);
    cvy_listener_shutdown(app->listener, CVY_DRAIN);
    cvy_loop_detach(app->loop, CVY_DETACH_CLOSE, on_detached, app);
}

static int greet(cvy_ctx_t *ctx)
{
    cvy_fire_outbound_copy(ctx, "hello", 5);
    return 0;
}

static void echo_line(cvy_ctx_t *ctx, cvy_buf_t *line)
{
    cvy_fire_outbound_bytes(ctx, line);
}

static const cvy_stage_t hearer = { .name = "hearer", .on_active = greet, .on_inbound_bytes = hear };
static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_line };

/* arg: the client's app; the server has none. */
static int init(cvy_conveyor_t *c, void *arg)
{
    cvy_transport_set_data(cvy_conveyor_transport(c), arg);
    int err = cvy_line_add(c, &(cvy_line_opts_t){ .outbound = CVY_LINE_END_LF });
    return err ? err : cvy_conveyor_add_last(c, arg ? &hearer : &echo, NULL, NULL);
}

static void on_failure(cvy_dialer_t *dialer, int err, void *arg)
{
    (void)dialer, (void)err;
    give_up(arg, "dial", cvy_dialer_message(dialer));
}

/* 2. A listener and a client join what already runs. */
static void add_listener(app_t *app)
{
    cvy_listener_opts_t server = { .loop = app->loop, .conveyor_init = init, .on_started = print_listening };
    cvy_dialer_opts_t client = { .loop = app->loop, .conveyor_init = init, .on_failure = on_failure, .arg = app };
    server.addresses = app->listen.list;
    int err = cvy_listener_new(&app->listener, &server);
    if (!err && cvy_listener_start(app->listener)) {
        give_up(app, "listen", cvy_listener_message(app->listener));
        return;
    }
    client.address = err ? NULL : cvy_listener_address(app->listener, 0);
    if (!err) err = cvy_dialer_new(&app->dialer, &client);
    if (!err) err = cvy_dialer_dial(app->dialer);
    if (err) give_up(app, "dial", uv_strerror(err));
}

/* 1. The application lived before Conveyor came, and lives on. */
static void on_tick(uv_timer_t *timer)
{
    app_t *app = timer->data;
    printf("tick %d\n", ++app->ticked);
    if (app->ticked == 2) add_listener(app);
    if (app->ticked == app->last_tick) uv_close((uv_handle_t *)timer, NULL);
}

int main(int argc, char **argv)
{
    static app_t app;
    parse_options(argc, argv, USAGE, NULL, (option_t[]){ { .name = "--listen", .addresses = &app.listen }, { 0 } });
    if (!app.listen.count) app.listen.list[0] = "tcp://127.0.0.1:0";

    int err = uv_loop_init(&app.uv);
    if (!err) err = uv_timer_init(&app.uv, &app.ticks);
    if (!err) err = uv_timer_start(&app.ticks, on_tick, 0, TICK_MS);
    if (!err) err = cvy_loop_attach(&app.loop, &app.uv, NULL);
    if (err) {
        fprintf(stderr, "attach: %s\n", uv_strerror(err));
        return 1;
    }
    app.ticks.data = &app;
    uv_run(&app.uv, UV_RUN_DEFAULT);
    cvy_dialer_free(app.dialer);
    cvy_listener_free(app.listener);
    cvy_loop_unref(app.loop);
    err = uv_loop_close(&app.uv);
    printf("the loop closes: %d\n", err);
    return err || app.failed;
}
