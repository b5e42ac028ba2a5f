/*
 * What frames that are begun or held may cost: M1, M6, B5, B6. The bounds are bytes of segments (rig_memory), counts, or processor time as a
 * ratio: what late bytes cost, against early ones.
 *
 * CVY_TEST_SCALE=n does an nth of the long ones' work, for slow instruments.
 */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "buf/pool.h"
#include "buf/segment.h"
#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1

enum {
    SMALL = CVY__SMALL_BYTES + 176 + sizeof(cvy_segment_t),
    LARGE = CVY__LARGE_BYTES + 176 + sizeof(cvy_segment_t)
}; /* segments of the default pool, with what they (in debug builds more) and the pool need for themselves */

/* Every stage that frames, with a frame of 1 MiB whose every byte may be the last but one. */
enum { BODY = 1 << 20 };
#define DELIMITED(...)                                             \
    .stage = &cvy_delimiter_stage, .opts = &(cvy_delimiter_opts_t) \
    {                                                              \
        .max_frame = BODY, __VA_ARGS__                             \
    }
#define LINED(cr)                                        \
    .stage = &cvy_line_stage, .opts = &(cvy_line_opts_t) \
    {                                                    \
        .max_line = BODY, .lone_cr = cr                  \
    }
#define FRAMED(...)                                        \
    .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t) \
    {                                                      \
        .max_frame = BODY, __VA_ARGS__                     \
    }

static const cvy_delimiter_t crlf[] = { { LIT("\r\n") } };
static const cvy_delimiter_t several[] = {
    { LIT("xxx\n") }, { LIT("\r\n") }, { LIT("0123456789abcde\n") }, { LIT("yx\n") }
};

static const struct slow_frame {
    const char *head;
    size_t head_n;
    char body;       /* the byte that is sent again and again */
    const char *end; /* two bytes */
    rig_t rig;
} slow_frames[] = {
    { LIT("\0\20\0\0"), 'x', "xx", { FRAMED(.width = 4) } },
    { LIT("HH\0\0\20\0\0\0\0\0"), 'x', "xx", { FRAMED(.width = 8, .offset = 2, .little_endian = 1) } },
    { LIT("\x80\x80\x40"), 'x', "xx", { FRAMED(.width = CVY_FRAME_VARINT) } },
    { LIT(""), 'x', "xx", { .stage = &cvy_fixed_stage, .opts = &(cvy_fixed_opts_t){ .bytes = BODY } } },
    { LIT(""), 'x', "x\n", { LINED(CVY_LONE_CR_CONTENT) } },
    { LIT(""), '\r', "\r\n", { LINED(CVY_LONE_CR_CONTENT) } },
    { LIT(""), 'x', "x\r", { LINED(CVY_LONE_CR_ENDS) } },
    { LIT(""), 'x', "\r\n", { LINED(CVY_LONE_CR_FAILS) } },
    { LIT(""), 'x', "\r\n", { DELIMITED(.delimiters = crlf, .count = 1) } },
    { LIT(""), '\r', "\r\n", { DELIMITED(.delimiters = crlf, .count = 1) } },
    { LIT(""), '\n', "\r\n", { DELIMITED(.delimiters = crlf, .count = 1) } }, /* each byte might be an end */
    { LIT(""), '\n', "\r\n", { DELIMITED(.delimiters = several, .count = 4) } },
};
enum { SLOW_FRAMES = sizeof slow_frames / sizeof *slow_frames };

/* n times the same byte, so many in each read. Returns the time; *peak is the most bytes of segments beyond twice what was held. */
static uint64_t drip(rig_t *r, char byte, size_t piece, size_t held, size_t n, size_t *peak)
{
    char bytes[1000];
    memset(bytes, byte, sizeof bytes);
    uint64_t start = test_cpu_us();
    for (size_t i = 0; i < n; i += piece) {
        if (cvy_embedded_feed(r->e, bytes, n - i < piece ? n - i : piece))
            break; /* an assertion of check is a system call */
        size_t memory = rig_memory(), twice = 2 * (held + i + piece);
        if (memory > twice && memory - twice > *peak) *peak = memory - twice;
    }
    return test_cpu_us() - start;
}

/* The same in eight pieces; returns eight times the cheapest: what else goes on makes single ones dearer. */
static uint64_t drip_cheaply(rig_t *r, char byte, size_t piece, size_t held, size_t n, size_t *peak)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0, done = 0; i < 8; i++) {
        size_t now = (n - done) / (8 - i);
        uint64_t cost = drip(r, byte, piece, held + done, now, peak);
        if (cost < least) least = cost;
        done += now;
    }
    return 8 * least;
}

static void drip_frame(const struct slow_frame *f, size_t piece, size_t part)
{
    rig_t r = f->rig;
    size_t peak = 0;
    rig_open(&r);
    rig_feed(&r, f->head, f->head_n);
    uint64_t first = drip(&r, f->body, piece, 0, part, &peak);
    drip(&r, f->body, piece, part, 6 * part, &peak);
    uint64_t last = drip_cheaply(&r, f->body, piece, 7 * part, part - 2, &peak);
    ck_assert_uint_eq(r.frames, 0);
    if (part == BODY / 8) {
        rig_feed(&r, f->end, 2);
        ck_assert_uint_eq(r.frames, 1);
        ck_assert_uint_ge(r.len, 4 + BODY - 2);
    }
    ck_assert_uint_eq(r.errors, 0);
    ck_assert_uint_le(peak, 2 * SMALL); /* the last of what is held, and one for reading */
    ck_assert_msg(last <= 3 * first + 30000, "the first eighth took %d us, the last %d", (int)first, (int)last);
    rig_close(&r);
}

/* B5, M1: at most twice the bytes held and one segment; and a byte late in a frame costs what an early one does (with rescanning fifteen
 * times as much). */
START_TEST(a_mebibyte_sent_byte_by_byte_costs_its_bytes_and_no_rescanning)
{
    drip_frame(&slow_frames[_i], 1, (size_t)test_scaled(BODY / 8));
}
END_TEST

/* The same of a burst: what is in one read may be looked at together. */
START_TEST(a_mebibyte_sent_in_small_reads_costs_its_bytes_and_no_rescanning)
{
    drip_frame(&slow_frames[_i], 1000, BODY / 8);
}
END_TEST

/* M1: nothing is reserved because a peer announced it: a thousand connections cost what their few bytes do. */
START_TEST(frames_announced_and_never_sent_on_a_thousand_connections_hold_their_headers_only)
{
    static const struct {
        cvy_frame_opts_t opts;
        const char *head;
        size_t n;
    } announced[] = {
        { { .width = 4 }, LIT("\0\377\377\377") },
        { { .width = 8, .max_frame = INT64_MAX }, LIT("\77\377\377\377\377\377\377\377x") },
        { { .width = 8, .max_frame = CVY_OFF, .little_endian = 1 }, LIT("\0\0\0\200\0\0\0\0x") },
        { { .width = CVY_FRAME_VARINT, .max_frame = CVY_OFF }, LIT("\377\377\377\377\377\377\377\377\77x") },
    };
    enum { PEERS = 1000 };
    static rig_t rigs[PEERS];
    size_t memory, live;
    for (size_t i = 0; i < PEERS; i++) {
        rigs[i] = (rig_t){ .stage = &cvy_frame_stage, .opts = &announced[i % 4].opts, .no_cache = true };
        rig_open(&rigs[i]);
    }
    memory = rig_memory();
    live = cvy__memory_live();
    for (size_t i = 0; i < PEERS; i++)
        rig_feed(&rigs[i], announced[i % 4].head, announced[i % 4].n);
    ck_assert_uint_le(rig_memory() - memory, PEERS * SMALL);
    ck_assert_uint_le(cvy__memory_live() - live, PEERS); /* a segment each */
    for (size_t i = 0; i < PEERS; i++) {
        ck_assert_uint_eq(rigs[i].errors, 0);
        cvy_embedded_advance(rigs[i].e, 30000);
        ck_assert_int_eq(rigs[i].cause, UV_ETIMEDOUT);
    }
    ck_assert_uint_eq(rig_memory(), memory);
    for (size_t i = 1; i < PEERS; i++)
        cvy_embedded_free(rigs[i].e);
    rig_close(&rigs[0]);
}
END_TEST

/* M1, M6: a slow loris keeps idle detection content for ever, a byte per half of its time; the frame's deadline gets it. */
START_TEST(a_thousand_slow_lorises_are_never_idle_and_end_at_the_frames_deadline)
{
    enum { PEERS = 1000 };
    static rig_t rigs[PEERS];
    static const cvy_idle_opts_t idle = { .read_ms = 10000 };
    for (size_t i = 0; i < PEERS; i++) {
        rigs[i] = (rig_t){ .stage = &cvy_frame_stage, .no_cache = true };
        rig_open(&rigs[i]);
        ck_assert_int_eq(cvy_conveyor_add_first(cvy_embedded_conveyor(rigs[i].e), &cvy_idle_stage, &idle, NULL), 0);
        rig_feed(&rigs[i], "\0\0\1\0", 4);
    }
    for (int s = 0; s < 25; s += 5)
        for (size_t i = 0; i < PEERS; i++) {
            cvy_embedded_advance(rigs[i].e, 5000);
            rig_feed(&rigs[i], "x", 1);
        }
    ck_assert_uint_le(rig_memory(), PEERS * SMALL);
    for (size_t i = 0; i < PEERS; i++) {
        ck_assert_int_eq(rigs[i].cause, 1);
        cvy_embedded_advance(rigs[i].e, 4999);
        ck_assert_int_eq(rigs[i].cause, 1);
        cvy_embedded_advance(rigs[i].e, 1);
        ck_assert_int_eq(rigs[i].cause, UV_ETIMEDOUT);
    }
    for (size_t i = 1; i < PEERS; i++)
        cvy_embedded_free(rigs[i].e);
    rig_close(&rigs[0]);
}
END_TEST

typedef struct holder {
    cvy_buf_t *held;
    size_t count;
    bool move;
} holder_t;

static void hold_ten(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    holder_t *h = r->arg;
    if (cvy_buf_len(frame) != 10) return;
    cvy_buf_t *one = &h->held[h->count++];
    cvy_buf_init(one, cvy_ctx_pool(ctx));
    ck_assert_int_eq(h->move ? cvy_buf_append_buf(one, frame) : cvy_buf_keep(one, frame), 0);
}

/* A frame of ten bytes and a large one, in one read. */
static const uint8_t large_read[65536] = "\0\0\0\12abcdefghij\0\0\377\356";

static void hold_many(rig_t *r, holder_t *h, size_t reads)
{
    h->held = calloc(reads, sizeof *h->held);
    *r = (rig_t){ .stage = &cvy_frame_stage, .no_cache = true, .on_frame = hold_ten, .arg = h };
    rig_open(r);
    for (size_t i = 0; i < reads; i++) {
        rig_feed(r, large_read, sizeof large_read);
        r->len = 0;
    }
    ck_assert_uint_eq(h->count, reads);
}

static void let_go(rig_t *r, holder_t *h)
{
    for (size_t i = 0; i < h->count; i++) {
        ck_assert(cvy_buf_equal(&h->held[i], "abcdefghij", 10));
        cvy_buf_fini(&h->held[i]);
    }
    free(h->held);
    rig_close(r);
}

/* B6: with cvy_buf_keep, ten bytes pin a small segment and not the read that they came in. */
START_TEST(ten_thousand_frames_of_ten_bytes_kept_pin_no_large_read)
{
    rig_t r;
    holder_t h = { 0 };
    size_t reads = (size_t)test_scaled(10000);
    hold_many(&r, &h, reads);
    ck_assert_uint_le(rig_memory(), reads * SMALL + LARGE);
    let_go(&r, &h);
}
END_TEST

/* B6: an application that merely moves them has them pinned (no copy is what it asked for), until it compacts. */
START_TEST(frames_that_were_moved_pin_their_reads_until_they_are_compacted)
{
    enum { READS = 200 };
    rig_t r;
    holder_t h = { .move = true };
    hold_many(&r, &h, READS);
    ck_assert_uint_ge(rig_memory(), READS * sizeof large_read);
    for (size_t i = 0; i < READS; i++)
        ck_assert_int_eq(cvy_buf_compact(&h.held[i]), 0);
    ck_assert_uint_le(rig_memory(), READS * SMALL + LARGE);
    let_go(&r, &h);
}
END_TEST

/* B5, B6, T5: a peer that takes nothing, on a loop whose other connections read much: each reply stands in another read's segment */
START_TEST(replies_that_nobody_takes_pin_no_large_read_each)
{
    enum { REPLIES = 100, REPLY = 600 };
    static uint8_t read_bytes[100000];
    rig_t r = { .stage = &cvy_flow_control_stage };
    rig_open(&r);
    cvy_embedded_block(r.e, true);
    for (int i = 0; i < REPLIES; i++) {
        cvy_buf_t whole, reply;
        cvy_buf_init(&whole, cvy_loop_pool(cvy_embedded_loop(r.e)));
        ck_assert_int_eq(cvy_buf_append(&whole, read_bytes, sizeof read_bytes), 0);
        ck_assert_int_eq(cvy_buf_split(&reply, &whole, REPLY), 0);
        ck_assert_int_eq(cvy_conveyor_write(cvy_embedded_conveyor(r.e), &reply), 0);
        cvy_buf_fini(&whole);
        cvy_embedded_run(r.e);
    }
    ck_assert_uint_eq(cvy_transport_queued(cvy_embedded_transport(r.e)), REPLIES * REPLY);
    ck_assert_uint_le(rig_memory(), REPLIES * SMALL + 10 * LARGE); /* the first, and what the pool keeps */
    rig_close(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("attacks on memory");
    TCase *tc =
        ADD_TESTS(s, "memory", frames_announced_and_never_sent_on_a_thousand_connections_hold_their_headers_only,
                  a_thousand_slow_lorises_are_never_idle_and_end_at_the_frames_deadline,
                  ten_thousand_frames_of_ten_bytes_kept_pin_no_large_read,
                  frames_that_were_moved_pin_their_reads_until_they_are_compacted,
                  replies_that_nobody_takes_pin_no_large_read_each);
    tc = test_case("drip");
    tcase_add_loop_test(tc, a_mebibyte_sent_byte_by_byte_costs_its_bytes_and_no_rescanning, 0, SLOW_FRAMES);
    tcase_add_loop_test(tc, a_mebibyte_sent_in_small_reads_costs_its_bytes_and_no_rescanning, 0, SLOW_FRAMES);
    suite_add_tcase(s, tc);
    return test_run(s);
}
