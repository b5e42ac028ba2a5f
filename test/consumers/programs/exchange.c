#include "exchange.h"

#include <string.h>

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    cvy_fire_outbound_bytes(ctx, frame);
}

static void hear(cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    exchange_t *x = cvy_transport_data(cvy_ctx_transport(ctx));
    cvy_buf_read(frame, x->heard, sizeof x->heard - 1);
}

static void forget(cvy_transport_t *t, int cause, void *arg)
{
    (void)t, (void)cause;
    ((exchange_t *)arg)->client = NULL;
}

static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_bytes };
static const cvy_stage_t hearer = { .name = "hearer", .on_inbound_bytes = hear };

static int init(cvy_conveyor_t *c, void *arg)
{
    cvy_transport_set_data(cvy_conveyor_transport(c), arg);
    int err = cvy_frame_add(c, &(cvy_frame_opts_t){ .max_frame = 1 << 20 });
    return err ? err : cvy_conveyor_add_last(c, arg ? &hearer : &echo, NULL, NULL);
}

static void on_connected(cvy_dialer_t *d, cvy_transport_t *t, void *arg)
{
    exchange_t *x = arg;
    (void)d;
    x->client = t;
    cvy_transport_on_shutdown_completed(t, forget, x);
    exchange_again(x);
}

static void on_failure(cvy_dialer_t *d, int err, void *arg)
{
    (void)d;
    ((exchange_t *)arg)->err = err;
}

void exchange_again(exchange_t *x)
{
    cvy_buf_t frame;
    memset(x->heard, 0, sizeof x->heard);
    cvy_buf_init(&frame, NULL);
    x->err = cvy_buf_append(&frame, "hello", 5);
    if (!x->err) x->err = cvy_conveyor_write(cvy_transport_conveyor(x->client), &frame);
    cvy_buf_fini(&frame);
}

int exchange_begin(exchange_t *x, cvy_loop_t *loop, const char *address)
{
    *x = (exchange_t){ 0 };
    cvy_listener_opts_t server = { .address = "tcp://127.0.0.1:0", .loop = loop, .conveyor_init = init };
    int err = address ? 0 : cvy_listener_new(&x->listener, &server);
    if (!err && !address) err = cvy_listener_start(x->listener);
    if (err) return err;
    cvy_dialer_opts_t client = { .address = address ? address : cvy_listener_address(x->listener, 0),
                                 .loop = loop,
                                 .conveyor_init = init,
                                 .on_connected = on_connected,
                                 .on_failure = on_failure,
                                 .arg = x };
    err = cvy_dialer_new(&x->dialer, &client);
    return err ? err : cvy_dialer_dial(x->dialer);
}

bool exchange_over(const exchange_t *x)
{
    return x->err || !strcmp(x->heard, "hello");
}

void exchange_end(exchange_t *x)
{
    if (x->client) cvy_transport_close(x->client, CVY_CLOSE_GRACEFUL);
    if (x->listener) cvy_listener_shutdown(x->listener, CVY_DRAIN);
    cvy_dialer_free(x->dialer);
    cvy_listener_free(x->listener);
}
