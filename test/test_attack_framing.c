/*
 * Attacks on what cuts a stream into frames: what is too long, lengths at the edges of arithmetic, delimiters across cuts, slow senders. Contracts
 * M1, M2.
 *
 * CVY_TEST_SCALE=n does an nth of the long ones' work, for slow instruments.
 */
#include <string.h>

#include <uv.h>

#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1

static const cvy_delimiter_t crlf[] = { { LIT("\r\n") } };

/* A good frame "a", one that is too long, whose body is good frames, and more good frames behind it. */
static const struct oversize {
    const char *bytes;
    size_t n;
    rig_t rig;
} oversizes[] = {
#define OVER(text, ...)                                                                                           \
    {                                                                                                             \
        LIT(text),                                                                                                \
        {                                                                                                         \
            .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .max_frame = 8, __VA_ARGS__ }, .handle = true \
        }                                                                                                         \
    }
    OVER("\1a\11\1b\1c\1d\1e\0\1f\1g", .width = 1),
    OVER("\0\1a\0\11\0\1b\0\1c\0\1d\0\1f\0\1g", .width = 2),
    OVER("\1\0a\11\0\1\0b\1\0c\1\0d\1\0f\1\0g", .width = 2, .little_endian = 1),
    OVER("\0\0\1a\0\0\11\0\0\1b\0\0\1c\0\0\1d\0\0\1f", .width = 3),
    OVER("\0\0\0\1a\0\0\0\11\0\0\0\1b\0\0\0\1c\0\0\0\1d", .width = 4),
    OVER("\0\0\0\1a\200\0\0\0\0\0\0\1b\0\0\0\1c\0\0\0\1d", .width = 4),
    OVER("\1\0\0\0a\0\0\0\200\1\0\0\0b\1\0\0\0c\1\0\0\0d", .width = 4, .little_endian = 1),
    OVER("\0\0\0\0\0\0\0\1a\200\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1b", .width = 8),
    OVER("\0\0\0\0\0\0\0\1a\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\1b", .width = 8),
    OVER("\0\3a\0\14\0\3b\0\3c\0\3d\0\3e", .width = 2, .includes_header = 1, .strip = 2),
    OVER("H\1aH\11H\1bH\1cH\1dH\1e", .width = 1, .offset = 1, .strip = 2),
    OVER("\0\0Xa\0\10\0\0Xb\0\0Xc\0\0Xd\0\0Xe", .width = 2, .adjustment = 2, .strip = 3),
    OVER("\1a\11\1b\1c\1d\1e\0\1f", .width = CVY_FRAME_VARINT),
    OVER("\1a\211\0\1b\1c\1d\1e\0\1f", .width = CVY_FRAME_VARINT),
    OVER("\1a\377\377\377\377\377\377\377\377\377\1\1b\1c\1d", .width = CVY_FRAME_VARINT),
#define LONG_LINE(cr)                                                                                            \
    {                                                                                                            \
        LIT("a\nbbbbbbbbb\r\nc\nd\n"),                                                                           \
        {                                                                                                        \
            .stage = &cvy_line_stage, .opts = &(cvy_line_opts_t){ .max_line = 8, .lone_cr = cr }, .handle = true \
        }                                                                                                        \
    }
    LONG_LINE(CVY_LONE_CR_CONTENT),
    LONG_LINE(CVY_LONE_CR_ENDS),
    LONG_LINE(CVY_LONE_CR_FAILS),
    { LIT("a\r\nbbb\nbbb\rbb\r\nc\r\nd\r\n"),
      { .stage = &cvy_delimiter_stage,
        .opts = &(cvy_delimiter_opts_t){ .max_frame = 8, .delimiters = crlf, .count = 1 },
        .handle = true } },
};
enum { OVERSIZES = sizeof oversizes / sizeof *oversizes };

/* M2: also when a later stage handles the error, and however the stream was cut. */
START_TEST(no_frame_in_or_behind_one_that_is_too_long_comes_out_in_any_layout)
{
    const struct oversize *o = &oversizes[_i];
    rig_t r = o->rig;
    rig_cut_everywhere(&r, o->bytes, o->n);
    for (size_t piece = 1; piece <= o->n; piece++) {
        r = o->rig;
        rig_open(&r);
        rig_feed_pieces(&r, o->bytes, o->n, piece);
        rig_feed_pieces(&r, o->bytes, o->n, piece);
        ck_assert_uint_eq(r.frames, 1);
        ck_assert_uint_eq(r.text[r.len - 1], 'a');
        ck_assert_uint_eq(r.errors, 1);
        ck_assert_int_eq(r.error.code, UV_EMSGSIZE);
        ck_assert_uint_eq(rig_live(&r), 0); /* and nothing is held of it */
        rig_close(&r);
    }
}
END_TEST

/* v in so many groups of seven bits; the last ones may be empty ("overlong"). */
static size_t put_varint(uint8_t *to, uint64_t v, size_t groups)
{
    for (size_t i = 0; i < groups; i++, v = v >> 7)
        to[i] = (uint8_t)((v & 127) | (i + 1 < groups ? 128 : 0));
    return groups;
}

/* M1, M2: what a varint says, at every boundary, in every form of up to ten bytes, against the compiler's checked arithmetic. */
START_TEST(no_varint_and_no_adjustment_makes_the_arithmetic_wrap)
{
    static const int64_t adjustments[] = { 0, 1, -1, -5, INT32_MAX, INT64_MAX, INT64_MIN };
    static const uint64_t values[] = { 0,          1,          5,         99,         100,
                                       101,        127,        128,       INT32_MAX,  1ull << 31,
                                       UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX };
    uint8_t bytes[10 + 101] = { 0 };
    for (size_t a = 0; a < sizeof adjustments / sizeof *adjustments; a++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++)
            for (size_t groups = 1; groups <= 10; groups++) {
                cvy_frame_opts_t o = {
                    .width = CVY_FRAME_VARINT, .adjustment = adjustments[a], .max_frame = 100, .strip = CVY_OFF
                };
                rig_t r = { .stage = &cvy_frame_stage, .opts = &o, .handle = true };
                uint64_t body = 0, rest = groups < 10 ? values[i] >> (7 * groups) : 0;
                if (rest) continue; /* does not fit into so few */
                size_t n = put_varint(bytes, values[i], groups);
                bool wraps = __builtin_add_overflow(values[i], adjustments[a], &body);
                int want = wraps ? (o.adjustment < 0 ? UV_EPROTO : UV_EMSGSIZE) : body > 100 ? UV_EMSGSIZE : 0;
                rig_open(&r);
                rig_feed_pieces(&r, bytes, n, 1 + groups % 3);
                if (!want && body) rig_feed(&r, bytes + n, (size_t)body);
                ck_assert_int_eq(r.error.code, want);
                ck_assert_uint_eq(r.frames, want ? 0 : 1);
                if (!want) ck_assert_uint_eq(r.len, 4 + n + body);
                rig_close(&r);
            }
}
END_TEST

/* What the delimiters cut, by the definition: the first to be complete ends the frame, of those the longest. */
static size_t oracle_cut(const cvy_delimiter_t *d, size_t count, const char *bytes, size_t n, size_t *end)
{
    for (size_t at = 1; at <= n; at++) {
        *end = 0;
        for (size_t k = 0; k < count; k++)
            if (d[k].n <= at && d[k].n > *end && !memcmp(bytes + at - d[k].n, d[k].bytes, d[k].n)) *end = d[k].n;
        if (*end) return at;
    }
    return 0;
}

static void expect_cuts(const rig_t *r, const cvy_delimiter_t *d, size_t count, const char *bytes, size_t n)
{
    const uint8_t *text = r->text;
    size_t frames = 0, end;
    for (size_t at; (at = oracle_cut(d, count, bytes, n, &end)); bytes += at, n -= at, frames++) {
        uint32_t len = (uint32_t)(at - end);
        ck_assert_uint_lt(frames, r->frames);
        ck_assert(!memcmp(text, &len, 4) && !memcmp(text + 4, bytes, len));
        text += 4 + len;
    }
    ck_assert_uint_eq(r->frames, frames);
}

/* M2: delimiters that are prefixes and suffixes of each other, over two letters, so that every cut goes through some of them. */
START_TEST(delimiters_that_straddle_every_cut_are_found_where_they_end)
{
    static const char letters[] = "ab";
    uint32_t seed = 88172645u;
    size_t rounds = (size_t)test_scaled(200);
    for (size_t round = 0; round < rounds; round++) {
        char text[4][6], bytes[48];
        cvy_delimiter_t d[4];
        size_t count = 1 + rig_random(&seed) % 4;
        for (size_t k = 0; k < count; k++) {
            d[k] = (cvy_delimiter_t){ text[k], 1 + rig_random(&seed) % 5 };
            for (size_t i = 0; i < d[k].n; i++)
                text[k][i] = letters[rig_random(&seed) >> 3 & 1];
        }
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = letters[rig_random(&seed) >> 3 & 1];
        cvy_delimiter_opts_t o = { .delimiters = d, .count = count };
        rig_t whole = { .stage = &cvy_delimiter_stage, .opts = &o, .handle = true }, pattern = whole;
        rig_open(&whole);
        rig_feed(&whole, bytes, sizeof bytes);
        expect_cuts(&whole, d, count, bytes, sizeof bytes);
        rig_close(&whole);
        rig_cut_everywhere(&pattern, bytes, sizeof bytes);
    }
}
END_TEST

static const rig_t timed[][2] = {
#define TIMED(type, name, ...)                                                \
    {                                                                         \
        { .stage = &name, .opts = &(type){ .deadline_ms = 0, __VA_ARGS__ } }, \
        {                                                                     \
            .stage = &name, .opts = &(type)                                   \
            {                                                                 \
                .deadline_ms = CVY_OFF, __VA_ARGS__                           \
            }                                                                 \
        }                                                                     \
    }
    TIMED(cvy_frame_opts_t, cvy_frame_stage, .width = 4),
    TIMED(cvy_frame_opts_t, cvy_frame_stage, .width = CVY_FRAME_VARINT),
    TIMED(cvy_line_opts_t, cvy_line_stage, .max_line = 0),
    TIMED(cvy_delimiter_opts_t, cvy_delimiter_stage, .max_frame = 0),
    TIMED(cvy_fixed_opts_t, cvy_fixed_stage, .bytes = 100),
};
enum { TIMED_STAGES = sizeof timed / sizeof *timed };

/* M1: 30 s from the first byte, in every framing stage; a byte every 29 s does not extend it, and off is off. */
START_TEST(a_byte_every_29_seconds_extends_no_frame)
{
    rig_t r = timed[_i][0], off = timed[_i][1];
    rig_open(&r);
    cvy_embedded_advance(r.e, 1000000); /* no frame has begun */
    rig_feed(&r, "\2", 1);
    cvy_embedded_advance(r.e, 29000);
    rig_feed(&r, "\2", 1);
    cvy_embedded_advance(r.e, 999);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    ck_assert_int_eq(r.cause, UV_ETIMEDOUT);
    rig_close(&r);

    rig_open(&off);
    for (int i = 0; i < 50; i++) {
        rig_feed(&off, "x", off.stage == &cvy_frame_stage ? i < 3 : 1);
        cvy_embedded_advance(off.e, 29000);
    }
    ck_assert_uint_eq(off.errors, 0);
    rig_close(&off);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("attacks on framing");
    TCase *tc = ADD_TESTS(s, "lengths", no_varint_and_no_adjustment_makes_the_arithmetic_wrap,
                          delimiters_that_straddle_every_cut_are_found_where_they_end);
    tcase_add_loop_test(tc, no_frame_in_or_behind_one_that_is_too_long_comes_out_in_any_layout, 0, OVERSIZES);
    tcase_add_loop_test(tc, a_byte_every_29_seconds_extends_no_frame, 0, TIMED_STAGES);
    return test_run(s);
}
