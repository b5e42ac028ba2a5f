/* One life: opened with options that the numbers choose, driven, brought to rest or not, ended, and nothing left of it. */
#include <conveyor/loop.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "buf/debug.h"
#include "inner.h"

enum { PATIENCE = 5000 };

drive_t d;

static const drive_io_t *const backends[DRIVE_BACKENDS] = { &drive_embedded, &drive_tcp, &drive_pipe };

/* On Windows a named pipe is no socket: its peer can't be read without a loop. */
const char *drive_backend_name(drive_backend_t backend)
{
#ifdef _WIN32
    if (backend == DRIVE_PIPE) return NULL;
#endif
    return backends[backend]->name;
}

static void open_life(void)
{
    uint32_t how = next(2);
    cvy_transport_opts_t opts = { .high_bytes = 1 + how % 900, .hard_bytes = 2000 + how / 900 * 40 };
    how = next(2);
    opts.allow_half_close = how & 1;
    opts.hold_reads = how & 2 ? CVY_OFF : 0;
    opts.low_bytes = how & 4 ? CVY_OFF : 0;
    opts.read_budget = how & 8 ? 2 : 0;
    opts.suspend_timeout_ms = how & 16 ? 10000 : 0;
    opts.error_verb = how & 32 ? CVY_CLOSE_RESET : CVY_CLOSE_NOW;
    opts.send_buffer = how & 1024 ? 2048 : 0;
    cvy_pool_opts_t pool = { .alloc = &drive_segments,
                             .small_bytes = 64,
                             .large_bytes = how & 128 ? 256 : 4096,
                             .keep_bytes = how & 2048 ? CVY_OFF : 0 };
    cvy_loop_opts_t loop_opts = { .flush_limit = how & 64 ? 1 : 0, .pool = &pool };
    d.io->open(&opts, &loop_opts, (how & 0x7000) == 0);
}

static void come_to_rest(void)
{
    if (d.t->phase == CVY__CONNECTING) d.io->connect(0);
    d.io->unhinder(true);
    d.io->turns();
    if (!d.io->simulated && !d.peer_gone) peer_reads(EVERYTHING);
    check_rest();
}

/* Where the clock is the system's the peer sees to it: it takes all, and ends when we do. */
static void see_it_end(void)
{
    if (d.io->simulated) d.io->advance(20000);
    for (int i = 0; !d.ended; i++) {
        must(!d.io->simulated && i < PATIENCE);
        look();
        bool moved = !d.peer_gone && peer_reads(EVERYTHING);
        if (d.shut && d.peer_got == d.accepted.len) d.io->peer_end();
        if (moved)
            d.io->turns();
        else
            d.io->wait();
    }
}

static void end_gracefully(void)
{
    d.inside = MAX_INSIDE; /* nobody disturbs this one */
    come_to_rest();
    bool undisturbed = !cvy_transport_closing(d.t) && !d.peer_gone && !d.sabotaged;
    cvy_transport_close(d.t, CVY_CLOSE_GRACEFUL);
    d.io->turns();
    check_flow();
    see_it_end();
    if (!d.io->simulated && !d.peer_gone) peer_reads(EVERYTHING);
    must(!undisturbed || ((d.shut || !EDGES_ARE_SEEN) && d.peer_got == d.accepted.len));
}

static void end_life(bool gracefully)
{
    cvy__memory_fail(0);
    d.segment_fails = 0;
    d.finishing = true;
    if (gracefully && !d.ended) end_gracefully();
    cvy_transport_close(d.t, CVY_CLOSE_NOW);
    d.io->turns();
    if (!d.ended) d.io->wait();
    must(d.ended);
    check_flow();
    if (!d.io->simulated && !d.peer_gone) peer_reads(EVERYTHING);
}

/* Everything is back. */
static void check_leftovers(size_t memory_before)
{
    posts_end();
    d.io->free();
    for (int i = 0; i < 2; i++)
        must(d.posters[i].done == d.posters[i].made);
    cvy_transport_unref(d.t);
    d.t = NULL;
    cvy_loop_unref(d.loop);
    if (d.segments) cvy__segments_dump(stderr);
    must(d.segments == 0);
    must(cvy_pool_live(NULL) == 0);
    must(cvy__memory_live() == memory_before);
}

void drive_life(drive_numbers_t numbers, drive_backend_t backend)
{
    size_t memory_before = cvy__memory_live();
    memset(&d, 0, sizeof d);
    d.numbers = numbers;
    d.backend = backend;
    d.io = backends[backend];
    cvy_log_set(NULL, NULL);
    trace_begin(numbers.name);
    coverage_hook();
    bool gracefully = next(1) & 1;
    open_life();
    while (d.numbers.more(d.numbers.arg)) {
        drive_act(NULL);
        check_flow();
        if (next(1) % 8 == 0) continue;
        d.io->turns();
        check_rest();
    }
    end_life(gracefully);
    check_leftovers(memory_before);
    free(d.accepted.data);
    free(d.fed.data);
}
