/*
 * service: a program that a service manager starts when the first client comes, and stops without losing what is under way. The manager has
 * opened the sockets; the program listens on what it was passed, says when it is ready and when it stops, and drains on SIGTERM. It answers
 * as inetd's echo did.
 *
 *   systemd-socket-activate -l 127.0.0.1:7000 ./service
 *
 * waits; `nc 127.0.0.1 7000` starts the program, which prints "listening on tcp://127.0.0.1:7000" and echoes. For good: service.socket and
 * service.service, which stand beside this file, belong into /etc/systemd/system and the program into /usr/local/bin; then
 *
 *   systemctl enable --now service.socket
 *
 * Started by hand it opens --listen URI by itself (tcp://127.0.0.1:7000), and --listen systemd://echo takes the sockets of one name.
 */
#include "common.h"

#include <stdio.h>

#define USAGE "service [--listen URI]..."

static void echo_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    cvy_fire_outbound_bytes(ctx, bytes);
}

static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_bytes, .on_error = report_error };

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    int err = cvy_flow_control_add(c, NULL);
    return err ? err : cvy_conveyor_add_last(c, &echo, NULL, NULL);
}

/* Where there is no manager, or it did not ask to be told, nothing happens. */
static void tell(const char *state)
{
    if (cvy_service_notify(state)) fprintf(stderr, "service: the manager does not hear \"%s\"\n", state);
}

/* All addresses are bound when the first of them is told. */
static void on_started(cvy_listener_t *listener, const char *address, void *arg)
{
    print_listening(listener, address, arg);
    tell("READY=1");
}

/* Nobody is accepted any more; those who are connected drain. */
static void on_shutdown(cvy_listener_t *listener, void *arg)
{
    (void)listener;
    (void)arg;
    tell("STOPPING=1");
}

/* What was passed, or else an address of our own. */
static const char *own_address(void)
{
    char why[300];
    int passed = cvy_service_sockets(why, sizeof why);
    if (passed < 0) fprintf(stderr, "service: %s\n", why);
    return passed < 0 ? NULL : passed ? "systemd://" : "tcp://127.0.0.1:7000";
}

int main(int argc, char **argv)
{
    addresses_t listen = { 0 };
    parse_options(argc, argv, USAGE, NULL, (option_t[]){ { .name = "--listen", .addresses = &listen }, { 0 } });
    if (!listen.count) listen.list[0] = own_address();
    if (!listen.list[0]) return 1;
    return serve("service", &(cvy_listener_opts_t){
                                .addresses = listen.list,
                                .conveyor_init = init,
                                .on_started = on_started,
                                .on_shutdown = on_shutdown,
                            });
}
