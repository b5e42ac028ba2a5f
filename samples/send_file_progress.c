/* The bar on a terminal, or a line every second; the times; the summary. */
#include "send_file_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>

static int bucket_of(uint64_t us)
{
    int shift = 0;
    while (us >> shift >= UINT64_C(2) * SUB_BUCKETS)
        shift++;
    int index = SUB_BUCKETS * shift + (int)(us >> shift);
    return index < BUCKETS ? index : BUCKETS - 1;
}

static double percentile_ms(const progress_t *progress, double share)
{
    uint64_t total = 0, below = 0;
    int i = 0;
    for (i = 0; i < BUCKETS; i++)
        total += progress->times[i];
    for (i = 0; i < BUCKETS - 1; i++) {
        below += progress->times[i];
        if (below && (double)below >= share * (double)total) break;
    }
    if (!below) return 0;
    int shift = i < 2 * SUB_BUCKETS ? 0 : i / SUB_BUCKETS - 1;
    return (double)((uint64_t)(i - SUB_BUCKETS * shift) << shift) / 1000.0;
}

void progress_sent(round_trip_t *timed, int64_t end)
{
    if (!timed->end) *timed = (round_trip_t){ end, uv_hrtime() };
}

void progress_back(progress_t *progress, round_trip_t *timed, int64_t back)
{
    if (!timed->end || back < timed->end) return;
    progress->times[bucket_of((uv_hrtime() - timed->sent_at) / 1000)]++;
    timed->end = 0;
}

static void show(cvy_timer_t *ticker)
{
    const progress_t *p = ticker->arg;
    double back = (double)p->back;
    double seconds = (double)(uv_hrtime() - p->started_at) / 1e9;
    int percent = p->total > 0 ? (int)(100 * back / p->total) : 100;
    if (p->terminal)
        fprintf(stderr, "\r[%.*s%*s] %3d %% %8.1f MB/s", percent / 4, "#########################", 25 - percent / 4, "",
                percent, back / 1e6 / seconds);
    else
        printf("%d %%, %.1f of %.1f MB\n", percent, back / 1e6, p->total / 1e6);
    fflush(stdout);
    cvy_timer_start(ticker, p->terminal ? 100 : 1000);
}

void progress_start(progress_t *progress, cvy_loop_t *loop, double total)
{
    progress->total = total;
    progress->terminal = uv_guess_handle(2) == UV_TTY;
    progress->started_at = uv_hrtime();
    cvy_timer_init(&progress->ticker, loop, show, progress);
    cvy_timer_start(&progress->ticker, progress->terminal ? 100 : 1000);
}

void progress_stop(progress_t *progress)
{
    cvy_timer_stop(&progress->ticker);
}

void progress_summary(const progress_t *progress)
{
    uint64_t ended_at = progress->ended_at ? progress->ended_at : uv_hrtime();
    double seconds = (double)(ended_at - progress->started_at) / 1e9;
    if (progress->terminal) fprintf(stderr, "\r%60s\r", "");
    printf("bytes     %12" PRId64 "\n", progress->back);
    printf("frames    %12" PRId64 "\n", progress->frames);
    printf("seconds   %12.3f\n", seconds);
    printf("MB/s      %12.1f\n", seconds > 0 ? (double)progress->back / 1e6 / seconds : 0);
    printf("p50 ms    %12.3f\n", percentile_ms(progress, 0.50));
    printf("p99 ms    %12.3f\n", percentile_ms(progress, 0.99));
}
