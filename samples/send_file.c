/*
 * send_file: streaming under back-pressure. It sends while the connection takes bytes (cvy_ctx_writable) and goes on when told that
 * it takes more (on_outbound_resume), so a file of any size passes through a few hundred KiB of memory. What an echo server sends
 * back is compared with the file as it arrives.
 *
 *   echo_server --listen tcp://127.0.0.1:7000 --framing u32be &
 *   send_file --connect tcp://127.0.0.1:7000 --framing u32be FILE
 *
 * shows the progress, then bytes, frames, seconds, MB/s and the frames' round-trip times. Status 0: every byte came back.
 */
#include "common.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define USAGE "send_file --connect URI [--framing none|u32be] [--chunk BYTES] [--connections N] FILE"

#define BLOCK_BYTES ((size_t)65536)

/* Round-trip times in microseconds: 32 buckets for every power of two, so 3 % exact, in fixed memory. */
#define SUB_BUCKETS 32
#define BUCKETS     (SUB_BUCKETS * 32)

typedef struct run {
    const char *connect, *path;
    int framed;
    int64_t chunk, connections;
    uv_file file;
    int64_t size;
    cvy_loop_t *loop;
    cvy_timer_t ticker;
    bool terminal;                       /* stderr is one: the bar goes there, so that the summary can go elsewhere */
    int64_t back, frames;                /* of all connections */
    int64_t connected, completed, ended; /* connections */
    uint64_t started_at, completed_at;
    uint32_t times[BUCKETS];
    char block[BLOCK_BYTES]; /* of the file, to compare with */
} run_t;

/* The state of the stage: one connection. */
typedef struct stream {
    run_t *run;
    cvy_buf_t ahead;    /* read from the file, not yet sent */
    int64_t sent, back; /* bytes */
    int64_t marked;     /* one frame at a time is timed: where it ends, 0: none is */
    uint64_t marked_at;
    bool completed, failed;
} stream_t;

static int bucket_of(uint64_t us)
{
    int shift = 0;
    while (us >> shift >= UINT64_C(2) * SUB_BUCKETS)
        shift++;
    int index = SUB_BUCKETS * shift + (int)(us >> shift);
    return index < BUCKETS ? index : BUCKETS - 1;
}

static double percentile_ms(const run_t *run, double share)
{
    uint64_t total = 0, below = 0;
    int i = 0;
    for (i = 0; i < BUCKETS; i++)
        total += run->times[i];
    for (i = 0; i < BUCKETS - 1; i++) {
        below += run->times[i];
        if (below && (double)below >= share * (double)total) break;
    }
    if (!below) return 0;
    int shift = i < 2 * SUB_BUCKETS ? 0 : i / SUB_BUCKETS - 1;
    return (double)((uint64_t)(i - SUB_BUCKETS * shift) << shift) / 1000.0;
}

static void fail(cvy_ctx_t *ctx, const char *why)
{
    stream_t *s = cvy_ctx_state(ctx);
    if (!s->failed) fprintf(stderr, "send_file: %s: %s\n", s->run->connect, why);
    s->failed = true;
    cvy_transport_close(cvy_ctx_transport(ctx), CVY_CLOSE_RESET);
}

/* The file is read where it is needed, without waiting for a callback: this program has nothing else to do meanwhile. */
static int64_t read_file(const run_t *run, uv_buf_t into, int64_t at)
{
    uv_fs_t req;
    int64_t n = uv_fs_read(NULL, &req, run->file, &into, 1, at, NULL);
    uv_fs_req_cleanup(&req);
    return n;
}

/* Reads ahead until n bytes can be sent. */
static int read_ahead(stream_t *s, size_t n)
{
    while (cvy_buf_len(&s->ahead) < n) {
        uv_buf_t room;
        int err = cvy_buf_reserve(&s->ahead, BLOCK_BYTES);
        if (err) return err;
        cvy_buf_tail_views(&s->ahead, &room, 1);
        int64_t got = read_file(s->run, room, s->sent + (int64_t)cvy_buf_len(&s->ahead));
        if (got <= 0) return got < 0 ? (int)got : UV_EOF;
        cvy_buf_commit(&s->ahead, (size_t)got);
    }
    return 0;
}

static void send_more(cvy_ctx_t *ctx)
{
    stream_t *s = cvy_ctx_state(ctx);
    const run_t *run = s->run;
    while (s->sent < run->size && cvy_ctx_writable(ctx)) {
        int64_t left = run->size - s->sent;
        size_t n = (size_t)(run->chunk < left ? run->chunk : left);
        cvy_buf_t chunk;
        int err = read_ahead(s, n);
        if (!err) err = cvy_buf_split(&chunk, &s->ahead, n);
        if (err) {
            fail(ctx, uv_strerror(err));
            return;
        }
        s->sent += (int64_t)n;
        if (!s->marked) {
            s->marked = s->sent;
            s->marked_at = uv_hrtime();
        }
        err = cvy_fire_outbound_bytes(ctx, &chunk);
        cvy_buf_fini(&chunk);
        if (err && err != UV_EAGAIN) return; /* closing */
    }
}

/* Every byte came back. */
static void complete(cvy_ctx_t *ctx)
{
    stream_t *s = cvy_ctx_state(ctx);
    s->completed = true;
    s->run->completed++;
    s->run->completed_at = uv_hrtime();
    cvy_fire_outbound_close(ctx, &(cvy_close_t){ .verb = CVY_CLOSE_GRACEFUL });
}

static int on_active(cvy_ctx_t *ctx)
{
    const stream_t *s = cvy_ctx_state(ctx);
    send_more(ctx);
    if (s->run->size == 0) complete(ctx);
    return 0;
}

/* Compares bytes with the file; answers whether they are the same. */
static bool compare(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    stream_t *s = cvy_ctx_state(ctx);
    run_t *run = s->run;
    uv_buf_t view;
    while (cvy_buf_views(bytes, &view, 1)) {
        int64_t n =
            read_file(run, uv_buf_init(run->block, view.len < BLOCK_BYTES ? (unsigned)view.len : BLOCK_BYTES), s->back);
        if (n <= 0) {
            fail(ctx, n < 0 ? uv_strerror((int)n) : "more came back than was sent");
            return false;
        }
        if (memcmp(view.base, run->block, (size_t)n) != 0) {
            char why[80];
            int64_t at = 0;
            while (view.base[at] == run->block[at])
                at++;
            snprintf(why, sizeof why, "byte %" PRId64 " came back as 0x%02x, was sent as 0x%02x", s->back + at,
                     (unsigned)(unsigned char)view.base[at], (unsigned)(unsigned char)run->block[at]);
            fail(ctx, why);
            return false;
        }
        s->back += n;
        run->back += n;
        cvy_buf_advance(bytes, (size_t)n);
    }
    return true;
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    stream_t *s = cvy_ctx_state(ctx);
    run_t *run = s->run;
    int64_t left = run->size - s->back;
    if (run->framed && (int64_t)cvy_buf_len(bytes) != (run->chunk < left ? run->chunk : left)) {
        fail(ctx, "a frame came back with another length");
        return;
    }
    int64_t frames_before = s->back / run->chunk;
    if (!compare(ctx, bytes)) return;
    run->frames += s->back / run->chunk - frames_before + (s->back == run->size && s->back % run->chunk);
    if (s->marked && s->back >= s->marked) {
        run->times[bucket_of((uv_hrtime() - s->marked_at) / 1000)]++;
        s->marked = 0;
    }
    if (s->back == run->size) complete(ctx);
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
                s->run->size);
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

static void show_progress(cvy_timer_t *ticker)
{
    const run_t *run = ticker->arg;
    double total = (double)run->size * (double)run->connections, back = (double)run->back;
    double seconds = (double)(uv_hrtime() - run->started_at) / 1e9;
    int percent = total > 0 ? (int)(100 * back / total) : 100;
    if (run->terminal)
        fprintf(stderr, "\r[%.*s%*s] %3d %% %8.1f MB/s", percent / 4, "#########################", 25 - percent / 4, "",
                percent, back / 1e6 / seconds);
    else
        printf("%d %%, %.1f of %.1f MB\n", percent, back / 1e6, total / 1e6);
    fflush(stdout);
    cvy_timer_start(ticker, run->terminal ? 100 : 1000);
}

static void one_ended(run_t *run)
{
    if (++run->ended < run->connections) return;
    cvy_timer_stop(&run->ticker);
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

static int open_file(run_t *run)
{
    uv_fs_t req;
    /* Not to wait for whoever may open the other end of a named pipe. */
    int err = run->file = uv_fs_open(NULL, &req, run->path, UV_FS_O_RDONLY | UV_FS_O_NONBLOCK, 0, NULL);
    uv_fs_req_cleanup(&req);
    if (err < 0) return err;
    err = uv_fs_fstat(NULL, &req, run->file, NULL);
    if (!err && (req.statbuf.st_mode & S_IFMT) != S_IFREG) err = UV_EINVAL;
    if (!err) run->size = (int64_t)req.statbuf.st_size;
    uv_fs_req_cleanup(&req);
    return err;
}

static void close_file(run_t *run)
{
    uv_fs_t req;
    if (run->file >= 0) uv_fs_close(NULL, &req, run->file, NULL);
}

static void show_summary(const run_t *run)
{
    uint64_t ended_at = run->completed == run->connections ? run->completed_at : uv_hrtime();
    double seconds = (double)(ended_at - run->started_at) / 1e9;
    if (run->terminal) fprintf(stderr, "\r%60s\r", "");
    printf("bytes     %12" PRId64 "\n", run->back);
    printf("frames    %12" PRId64 "\n", run->frames);
    printf("seconds   %12.3f\n", seconds);
    printf("MB/s      %12.1f\n", seconds > 0 ? (double)run->back / 1e6 / seconds : 0);
    printf("p50 ms    %12.3f\n", percentile_ms(run, 0.50));
    printf("p99 ms    %12.3f\n", percentile_ms(run, 0.99));
}

int main(int argc, char **argv)
{
    static run_t run = { .chunk = BLOCK_BYTES, .connections = 1, .file = -1 };
    run.path = parse_options(argc, argv, USAGE, "FILE",
                             (option_t[]){
                                 { .name = "--connect", .text = &run.connect },
                                 { .name = "--framing", .choice = &run.framed, .choices = "none|u32be" },
                                 { .name = "--chunk", .number = &run.chunk, .min = 1, .max = 16 << 20 },
                                 { .name = "--connections", .number = &run.connections, .min = 1, .max = 10000 },
                                 { 0 },
                             });
    if (!run.connect) wrong_usage(USAGE, "--connect", "is missing");

    use_best_allocator();
    int err = open_file(&run);
    if (!err) err = cvy_loop_new(&run.loop, NULL);
    if (err) {
        const char *rule = err == UV_EINVAL ? "not a regular file" : uv_strerror(err);
        fprintf(stderr, "send_file: %s: %s (%s)\n", run.path, rule, uv_err_name(err));
        close_file(&run);
        return 1;
    }
    run.terminal = uv_guess_handle(2) == UV_TTY;
    run.started_at = uv_hrtime();
    cvy_timer_init(&run.ticker, run.loop, show_progress, &run);
    cvy_timer_start(&run.ticker, run.terminal ? 100 : 1000);
    for (int64_t i = 0; i < run.connections && !err; i++)
        err = dial(&run);
    if (err) {
        cvy_timer_stop(&run.ticker);
        cvy_loop_stop(run.loop);
    }
    cvy_loop_run(run.loop);
    cvy_loop_unref(run.loop);
    close_file(&run);
    if (run.connected) show_summary(&run);
    return run.completed == run.connections ? 0 : 1;
}
