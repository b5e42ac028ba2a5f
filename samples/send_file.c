/*
 * send_file: streaming under back-pressure. It sends while the connection takes bytes (cvy_ctx_writable) and goes on when told that
 * it takes more (on_outbound_resume), so a file of any size passes through a few hundred KiB of memory. What an echo server sends
 * back is compared with the file as it arrives. The file itself is in send_file_source.c, what is shown in send_file_progress.c.
 *
 *   echo_server --listen tcp://127.0.0.1:7000 --framing u32be &
 *   send_file --connect tcp://127.0.0.1:7000 --framing u32be FILE
 *
 * shows the progress, then bytes, frames, seconds, MB/s and the frames' round-trip times. Status 0: every byte came back.
 */
#include "common.h"
#include "send_file_progress.h"
#include "send_file_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

#define USAGE "send_file --connect URI [--framing none|u32be] [--chunk BYTES] [--connections N] FILE"

typedef struct run {
    const char *connect;
    int framed;
    int64_t chunk, connections;
    cvy_loop_t *loop;
    int64_t connected, completed, ended; /* connections */
    source_t source;
    progress_t progress;
} run_t;

/* The state of the stage: one connection. */
typedef struct stream {
    run_t *run;
    cvy_buf_t ahead;    /* read from the file, not yet sent */
    int64_t sent, back; /* bytes */
    round_trip_t timed;
    bool completed, failed;
} stream_t;

static void fail(cvy_ctx_t *ctx, const char *why)
{
    stream_t *s = cvy_ctx_state(ctx);
    if (!s->failed) fprintf(stderr, "send_file: %s: %s\n", s->run->connect, why);
    s->failed = true;
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_RESET);
}

static void send_more(cvy_ctx_t *ctx)
{
    stream_t *s = cvy_ctx_state(ctx);
    const run_t *run = s->run;
    while (s->sent < run->source.size && cvy_ctx_writable(ctx)) {
        int64_t left = run->source.size - s->sent;
        size_t n = (size_t)(run->chunk < left ? run->chunk : left);
        cvy_buf_t chunk;
        int err = source_read_ahead(&run->source, &s->ahead, s->sent, n);
        if (!err) err = cvy_buf_split(&chunk, &s->ahead, n);
        if (err) {
            fail(ctx, uv_strerror(err));
            return;
        }
        s->sent += (int64_t)n;
        progress_sent(&s->timed, s->sent);
        err = cvy_fire_outbound_bytes(ctx, &chunk);
        cvy_buf_fini(&chunk);
        if (err && err != UV_EAGAIN) return; /* closing */
    }
}

/* Every byte came back. */
static void complete(cvy_ctx_t *ctx)
{
    stream_t *s = cvy_ctx_state(ctx);
    run_t *run = s->run;
    s->completed = true;
    if (++run->completed == run->connections) run->progress.ended_at = uv_hrtime();
    cvy_fire_outbound_close(ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL });
}

static int on_active(cvy_ctx_t *ctx)
{
    const stream_t *s = cvy_ctx_state(ctx);
    send_more(ctx);
    if (s->run->source.size == 0) complete(ctx);
    return 0;
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    stream_t *s = cvy_ctx_state(ctx);
    run_t *run = s->run;
    int64_t before = s->back, size = run->source.size;
    int64_t expected = run->chunk < size - before ? run->chunk : size - before;
    bool other_length = run->framed && (int64_t)cvy_buf_len(bytes) != expected;
    const char *wrong =
        other_length ? "a frame came back with another length" : source_compare(&run->source, bytes, &s->back);
    run->progress.back += s->back - before;
    if (wrong) {
        fail(ctx, wrong);
        return;
    }
    run->progress.frames += s->back / run->chunk - before / run->chunk + (s->back == size && size % run->chunk);
    progress_back(&run->progress, &s->timed, s->back);
    if (s->back == size) complete(ctx);
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    stream_t *s = cvy_ctx_state(ctx);
    s->failed = true;
    report_error(ctx, err);
}

static void on_removed(cvy_ctx_t *ctx)
{
    stream_t *s = cvy_ctx_state(ctx);
    if (!s->completed && !s->failed)
        fprintf(stderr, "send_file: %s: closed after %" PRId64 " of %" PRId64 " bytes\n", s->run->connect, s->back,
                s->run->source.size);
    cvy_buf_fini(&s->ahead);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    stream_t *s = cvy_ctx_state(ctx);
    s->run = *(run_t *const *)opts;
    cvy_buf_init(&s->ahead, cvy_ctx_pool(ctx));
    return 0;
}

static const cvy_stage_t streamer = {
    .name = "streamer",
    .state_size = sizeof(stream_t),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_active = on_active,
    .on_inbound_bytes = on_bytes,
    .on_outbound_resume = send_more,
    .on_error = on_error,
};

static int init(cvy_conveyor_t *c, void *arg)
{
    const run_t *run = arg;
    int err = run->framed ? cvy_frame_add(c, &(cvy_frame_opts_t){ .max_frame = run->chunk }) : 0;
    return err ? err : cvy_conveyor_add_last(c, &streamer, &run, NULL);
}

static void one_ended(run_t *run)
{
    if (++run->ended < run->connections) return;
    progress_stop(&run->progress);
    cvy_loop_stop(run->loop);
}

static void on_shutdown_completed(cvy_transport_t *t, int cause, void *arg)
{
    (void)t;
    (void)cause;
    one_ended(arg);
}

static void on_connected(cvy_dialer_t *dialer, cvy_transport_t *t, void *arg)
{
    run_t *run = arg;
    run->connected++;
    cvy_transport_on_shutdown_completed(t, on_shutdown_completed, run);
    cvy_dialer_free(dialer);
}

static void on_failure(cvy_dialer_t *dialer, int err, void *arg)
{
    (void)err;
    fprintf(stderr, "send_file: %s\n", cvy_dialer_message(dialer));
    cvy_dialer_free(dialer);
    one_ended(arg);
}

static int dial(run_t *run)
{
    cvy_dialer_t *dialer = NULL;
    int err = cvy_dialer_new(
        &dialer, &(cvy_dialer_opts_t){
                     .address = run->connect,
                     .loop = run->loop,
                     .conveyor_init = init,
                     .on_connected = on_connected,
                     .on_failure = on_failure,
                     .arg = run,
                     /* We stream both ways: to stop reading while we can't write would block both ends. */
                     .transport = &(cvy_transport_opts_t){ .hold_reads = CVY_OFF, .high_bytes = 4 * BLOCK_BYTES },
                 });
    if (!err) err = cvy_dialer_dial(dialer);
    if (!err) return 0;
    fprintf(stderr, "send_file: %s\n", dialer ? cvy_dialer_message(dialer) : uv_strerror(err));
    cvy_dialer_free(dialer);
    return err;
}

int main(int argc, char **argv)
{
    static run_t run = { .chunk = BLOCK_BYTES, .connections = 1 };
    const char *path =
        parse_options(argc, argv, USAGE, "FILE",
                      (option_t[]){
                          { .name = "--connect", .text = &run.connect },
                          { .name = "--framing", .choice = &run.framed, .choices = "none|u32be" },
                          { .name = "--chunk", .number = &run.chunk, .min = 1, .max = 16 << 20 },
                          { .name = "--connections", .number = &run.connections, .min = 1, .max = 10000 },
                          { 0 },
                      });
    if (!run.connect) wrong_usage(USAGE, "--connect", "is missing");

    use_best_allocator();
    int err = source_open(&run.source, path);
    if (!err) err = cvy_loop_new(&run.loop, NULL);
    if (err) {
        const char *rule = err == UV_EINVAL ? "not a regular file" : uv_strerror(err);
        fprintf(stderr, "send_file: %s: %s (%s)\n", path, rule, uv_err_name(err));
        source_close(&run.source);
        return 1;
    }
    progress_start(&run.progress, run.loop, (double)run.source.size * (double)run.connections);
    for (int64_t i = 0; i < run.connections && !err; i++)
        err = dial(&run);
    if (err) {
        progress_stop(&run.progress);
        cvy_loop_stop(run.loop);
    }
    cvy_loop_run(run.loop);
    cvy_loop_unref(run.loop);
    source_close(&run.source);
    if (run.connected) progress_summary(&run.progress);
    return run.completed == run.connections ? 0 : 1;
}
