/*
 * What the buffer's calls cost, in ns each: the best of many rounds, since noise only ever adds. `bench_buf` prints a line per call;
 * the thresholds in buf_keep.c come from its last lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "buf/queue.h"
#include "buf/slab.h"

enum { ROUNDS = 300, FRAME = 100, FRAMES = 1000 };

static cvy_pool_t *pool;
static cvy__slab_t slab;

static void must(int err)
{
    if (err) abort();
}

/* A buffer as a loop lends it: FRAMES frames of FRAME bytes behind four bytes of length. */
static void read_frames(cvy_buf_t *in)
{
    char *base;
    size_t len, at = 0;
    must(cvy__slab_room(&slab, &base, &len));
    if (len < (FRAME + 4) * FRAMES) abort();
    for (int i = 0; i < FRAMES; i++, at += FRAME + 4)
        memcpy(base + at, "\0\0\0\144", 4);
    must(cvy__slab_lend(&slab, in, at));
}

static void echo_one(cvy_buf_t *in, cvy_buf_t *out)
{
    uint32_t n;
    cvy_buf_t frame;
    static const uint8_t header[4] = { 0, 0, 0, FRAME };
    must(cvy_buf_read_u32(in, &n));
    must(cvy_buf_split(&frame, in, n));
    must(cvy_buf_prepend(&frame, header, 4));
    must(cvy__buf_queue(out, &frame, false));
    cvy_buf_fini(&frame);
}

static void echo(void)
{
    cvy_buf_t in, out;
    read_frames(&in);
    cvy_buf_init(&out, pool);
    while (cvy_buf_len(&in))
        echo_one(&in, &out);
    if (cvy_buf_view_count(&out) != 1) abort();
    cvy_buf_fini(&out);
    cvy_buf_fini(&in);
}

static void split_and_drop(void)
{
    cvy_buf_t in, frame;
    read_frames(&in);
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_split(&frame, &in, FRAME));
        cvy_buf_fini(&frame);
    }
    cvy_buf_fini(&in);
}

static void move_and_join(void)
{
    cvy_buf_t in, out = { .pool = pool };
    read_frames(&in);
    for (int i = 0; i < FRAMES; i++)
        must(cvy_buf_move(&out, &in, FRAME));
    cvy_buf_fini(&out);
    cvy_buf_fini(&in);
}

static void advance_and_prepend(void)
{
    cvy_buf_t in;
    read_frames(&in);
    for (int i = 0; i < FRAMES; i++) {
        cvy_buf_advance(&in, 4);
        must(cvy_buf_prepend(&in, "abcd", 4));
    }
    cvy_buf_fini(&in);
}

static void read_integers(void)
{
    cvy_buf_t in;
    uint32_t v, sum = 0;
    read_frames(&in);
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_read_u32(&in, &v));
        sum += v;
    }
    if (!sum) abort();
    cvy_buf_fini(&in);
}

static void append_integers(void)
{
    cvy_buf_t b = { .pool = pool };
    for (uint32_t i = 0; i < FRAMES; i++)
        must(cvy_buf_append_u32(&b, i));
    cvy_buf_fini(&b);
}

static void take_and_drop_a_segment(void)
{
    cvy_buf_t b = { .pool = pool };
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_append(&b, "reply", 5));
        cvy_buf_fini(&b);
    }
}

static void share_and_drop(void)
{
    cvy_buf_t in, share;
    read_frames(&in);
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_share(&share, &in));
        cvy_buf_fini(&share);
    }
    cvy_buf_fini(&in);
}

static void share_and_drop_crossed(void)
{
    cvy_buf_t in, share;
    read_frames(&in);
    cvy_buf_hand_over(&in);
    in.pool = pool;
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_share(&share, &in));
        cvy_buf_fini(&share);
    }
    cvy_buf_fini(&in);
}

static size_t piece; /* bytes moved at a time by the two below */

static void link_pieces(void)
{
    cvy_buf_t in, out = { .pool = pool };
    read_frames(&in);
    for (int i = 0; i < FRAMES && cvy_buf_len(&in) > piece + 1; i++) {
        must(cvy_buf_move(&out, &in, piece));
        cvy_buf_advance(&in, 1);
        if (i % 16 == 15) cvy_buf_fini(&out);
    }
    cvy_buf_fini(&out);
    cvy_buf_fini(&in);
}

static void copy_pieces(void)
{
    static char bytes[65536];
    static uv_buf_t room;
    cvy_buf_t out = { .pool = pool };
    for (int i = 0; i < FRAMES; i++) {
        must(cvy_buf_reserve(&out, 65536));
        cvy_buf_tail_views(&out, &room, 1);
        memcpy(room.base, bytes, piece);
        cvy_buf_commit(&out, piece);
        if (i % 16 == 15) cvy_buf_fini(&out);
    }
    cvy_buf_fini(&out);
}

static void report(const char *name, void (*run)(void), double per)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = uv_hrtime();
        run();
        uint64_t took = uv_hrtime() - start;
        if (took < best) best = took;
        cvy__slab_settle(&slab);
    }
    printf("%-48s %8.1f ns\n", name, (double)best / per);
}

int main(void)
{
    static const size_t pieces[] = { 16, 64, 128, 256, 512, 1024, 4096, 16384 };
    must(cvy_pool_new(&pool, NULL));
    slab.pool = pool;
    report("echo of a frame: read, split, prepend, queue", echo, FRAMES);
    report("split and drop", split_and_drop, FRAMES);
    report("move to a tail that it continues", move_and_join, FRAMES);
    report("advance and prepend", advance_and_prepend, FRAMES);
    report("read_u32", read_integers, FRAMES);
    report("append_u32", append_integers, FRAMES);
    report("append to an empty buffer and drop", take_and_drop_a_segment, FRAMES);
    report("share and drop", share_and_drop, FRAMES);
    report("share and drop, handed over", share_and_drop_crossed, FRAMES);
    piece = 100;
    report("move a view and drop it, linked", link_pieces, FRAMES);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        char name[64];
        piece = pieces[i];
        snprintf(name, sizeof name, "copy %zu bytes into room", piece);
        report(name, copy_pieces, FRAMES);
    }
    cvy__slab_fini(&slab);
    if (cvy_pool_live(pool)) abort();
    cvy_pool_free(pool);
    return 0;
}
