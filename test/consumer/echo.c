/* An echo server on frames, as an application in C writes it: public headers only. */
#include <conveyor/conveyor.h>
#include <stdio.h>
#include <uv.h>

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    cvy_fire_outbound_bytes(ctx, frame);
}

static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_bytes };

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    int err = cvy_frame_add(c, &(cvy_frame_opts_t){ .max_frame = 1 << 20 });
    return err ? err : cvy_conveyor_add_last(c, &echo, NULL, NULL);
}

int main(void)
{
    cvy_listener_t *listener = NULL;
    int err =
        cvy_listener_new(&listener, &(cvy_listener_opts_t){ .address = "tcp://127.0.0.1:7000", .conveyor_init = init });
    if (!err) err = cvy_listener_listen_and_wait(listener);
    if (err) fprintf(stderr, "echo: %s\n", uv_strerror(err));
    cvy_listener_free(listener);
    return err ? 1 : 0;
}
