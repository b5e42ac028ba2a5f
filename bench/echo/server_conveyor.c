/* Conveyor as its samples have it: flow control, framing, and a stage that echoes. */
#include <conveyor/conveyor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "wire.h"

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    cvy_fire_outbound_bytes(ctx, frame);
}

static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_bytes };

static struct {
    bool idle;       /* --idle: and an idle stage, as the memory figure wants it */
    int loops;       /* --loops N */
    bool reuse_port; /* --reuse-port: a listening socket for each */
    long work;       /* --work N: so many steps of computing per frame, a nanosecond or two each */
} options;

static void work_and_echo(cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    for (long i = 0; i < options.work; i++)
        __asm__ volatile("" : : "r"(i)); /* a step that is not optimised away */
    cvy_fire_outbound_bytes(ctx, frame);
}

static const cvy_stage_t working = { .name = "working", .on_inbound_bytes = work_and_echo };

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    int err = cvy_flow_control_add(c, NULL);
    if (!err) err = cvy_frame_add(c, NULL);
    if (!err && options.idle) err = cvy_idle_add(c, &(cvy_idle_opts_t){ .all_ms = 600000 });
    if (!err) err = cvy_conveyor_add_last(c, options.work ? &working : &echo, NULL, NULL);
    return err;
}

static void on_started(cvy_listener_t *listener, const char *address, void *arg)
{
    (void)listener, (void)address, (void)arg;
    wire_ready();
}

static void parse(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--idle")) options.idle = true;
        if (!strcmp(argv[i], "--reuse-port")) options.reuse_port = true;
        if (!strcmp(argv[i], "--loops") && i + 1 < argc) options.loops = atoi(argv[++i]);
        if (!strcmp(argv[i], "--work") && i + 1 < argc) options.work = atol(argv[++i]);
    }
}

int main(int argc, char **argv)
{
    char address[200] = "";
    parse(argc, argv);
    if (argc > 1 && !strncmp(argv[1], "tcp:", 4)) snprintf(address, sizeof address, "tcp://127.0.0.1:%s", argv[1] + 4);
    if (argc > 1 && !strncmp(argv[1], "unix:", 5)) snprintf(address, sizeof address, "unix://%s", argv[1] + 5);
    cvy_listener_t *listener = NULL;
    int err = cvy_listener_new(&listener, &(cvy_listener_opts_t){ .address = address,
                                                                  .conveyor_init = init,
                                                                  .on_started = on_started,
                                                                  .loops = options.loops,
                                                                  .reuse_port = options.reuse_port });
    if (!err) err = cvy_listener_listen_and_wait(listener);
    if (err) fprintf(stderr, "echo_conveyor: %s: %s\n", address, uv_strerror(err));
    cvy_listener_free(listener);
    return err ? 1 : 0;
}
