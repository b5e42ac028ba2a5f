// The same in C++17.
#include <conveyor/conveyor.h>
#include <cstdio>
#include <uv.h>

static cvy_stage_t make_echo()
{
    cvy_stage_t stage = {};
    stage.name = "echo";
    stage.on_inbound_bytes = [](cvy_ctx_t *ctx, cvy_buf_t *frame) { cvy_fire_outbound_bytes(ctx, frame); };
    return stage;
}

static const cvy_stage_t echo = make_echo();

int main()
{
    cvy_listener_opts_t opts = {};
    opts.address = "tcp://127.0.0.1:7000";
    opts.conveyor_init = [](cvy_conveyor_t *c, void *) {
        cvy_frame_opts_t frame = {};
        frame.max_frame = 1 << 20;
        int err = cvy_frame_add(c, &frame);
        return err ? err : cvy_conveyor_add_last(c, &echo, nullptr, nullptr);
    };
    cvy_listener_t *listener = nullptr;
    int err = cvy_listener_new(&listener, &opts);
    if (!err) err = cvy_listener_listen_and_wait(listener);
    if (err) std::fprintf(stderr, "echo: %s\n", uv_strerror(err));
    cvy_listener_free(listener);
    return err ? 1 : 0;
}
