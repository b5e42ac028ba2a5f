// The same in C++17: stages and options from lambdas, an event of its own.
#include <conveyor/conveyor.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <uv.h>

struct answer_t {
    cvy_event_t event;
    std::string text;
};
CVY_EVENT(answer);

static std::string heard;

static cvy_stage_t make(const char *name, void (*on_bytes)(cvy_ctx_t *, cvy_buf_t *))
{
    cvy_stage_t stage = {};
    stage.name = name;
    stage.on_inbound_bytes = on_bytes;
    return stage;
}

static const cvy_stage_t echo =
    make("echo", [](cvy_ctx_t *ctx, cvy_buf_t *frame) { cvy_fire_outbound_bytes(ctx, frame); });

static const cvy_stage_t decoder = make("decoder", [](cvy_ctx_t *ctx, cvy_buf_t *frame) {
    answer_t answer = { CVY_EVENT_OF(answer), std::string(cvy_buf_len(frame), '\0') };
    cvy_buf_read(frame, answer.text.data(), answer.text.size());
    cvy_fire_inbound(ctx, &answer.event);
});

static void hear(cvy_ctx_t *, cvy_event_t *ev)
{
    heard = cvy_event_as(ev, answer)->text;
}

static const cvy_on_t hears[] = { CVY_ON(answer, hear), {} };

static cvy_stage_t make_hearer()
{
    cvy_stage_t stage = {};
    stage.name = "hearer";
    stage.events = hears;
    return stage;
}

static const cvy_stage_t hearer = make_hearer();

static int say(cvy_transport_t *t, const char *text)
{
    cvy_buf_t frame;
    cvy_buf_init(&frame, nullptr);
    int err = cvy_buf_append(&frame, text, std::strlen(text));
    if (!err) err = cvy_conveyor_write(cvy_transport_conveyor(t), &frame);
    cvy_buf_fini(&frame);
    return err;
}

int main()
{
    cvy_loop_t *loop = nullptr;
    cvy_listener_t *listener = nullptr;
    cvy_dialer_t *dialer = nullptr;
    int err = cvy_loop_new(&loop, nullptr);
    cvy_listener_opts_t server = {};
    server.address = "tcp://127.0.0.1:0";
    server.loop = loop;
    server.conveyor_init = [](cvy_conveyor_t *c, void *) {
        int err = cvy_frame_add(c, nullptr);
        return err ? err : cvy_conveyor_add_last(c, &echo, nullptr, nullptr);
    };
    if (!err) err = cvy_listener_new(&listener, &server);
    if (!err) err = cvy_listener_start(listener);
    cvy_dialer_opts_t client = {};
    client.loop = loop;
    client.address = err ? nullptr : cvy_listener_address(listener, 0);
    client.conveyor_init = [](cvy_conveyor_t *c, void *) {
        int err = cvy_frame_add(c, nullptr);
        if (!err) err = cvy_conveyor_add_last(c, &decoder, nullptr, nullptr);
        return err ? err : cvy_conveyor_add_last(c, &hearer, nullptr, nullptr);
    };
    client.on_connected = [](cvy_dialer_t *, cvy_transport_t *t, void *) {
        if (say(t, "hello")) std::abort();
    };
    if (!err) err = cvy_dialer_new(&dialer, &client);
    if (!err) err = cvy_dialer_dial(dialer);
    for (int i = 0; !err && heard.empty() && i < 100; i++)
        cvy_loop_turn(loop, 100);
    cvy_listener_shutdown(listener, CVY_DRAIN);
    cvy_dialer_free(dialer);
    cvy_listener_free(listener);
    cvy_loop_unref(loop);
    std::printf("heard %s, %s\n", heard.c_str(), err ? uv_strerror(err) : "no error");
    return err || heard != "hello";
}
