/* An application with a uv_loop_t of its own that runs already: it ticks before, during and after. */
#include <stdio.h>
#include <uv.h>

#include "exchange.h"

typedef struct app {
    uv_loop_t uv;
    uv_timer_t ticks;
    cvy_loop_t *loop;
    exchange_t x;
    int ticked, attached_at, detached_at;
} app_t;

static void on_detached(cvy_loop_t *loop, void *arg)
{
    app_t *app = arg;
    (void)loop;
    app->detached_at = app->ticked;
}

static void on_tick(uv_timer_t *ticks)
{
    app_t *app = ticks->data;
    app->ticked++;
    if (app->ticked == 2) {
        app->attached_at = app->ticked;
        app->x.err = cvy_loop_attach(&app->loop, &app->uv, NULL);
        if (!app->x.err) app->x.err = exchange_begin(&app->x, app->loop, NULL);
    }
    if (app->loop && exchange_over(&app->x) && app->detached_at == 0) {
        app->detached_at = -1;
        exchange_end(&app->x);
        cvy_loop_detach(app->loop, CVY_DETACH_CLOSE, on_detached, app);
    }
    if (app->detached_at > 0 && app->ticked > app->detached_at + 2) uv_close((uv_handle_t *)ticks, NULL);
}

int main(void)
{
    static app_t app;
    uv_loop_init(&app.uv);
    app.uv.data = &app; /* the application's */
    uv_timer_init(&app.uv, &app.ticks);
    app.ticks.data = &app;
    uv_timer_start(&app.ticks, on_tick, 0, 2);
    uv_run(&app.uv, UV_RUN_DEFAULT);
    cvy_loop_unref(app.loop);
    int err = uv_loop_close(&app.uv);
    printf("heard %s, the loop closes: %d\n", app.x.heard, err);
    return err || app.x.err || app.uv.data != &app || !exchange_over(&app.x);
}
