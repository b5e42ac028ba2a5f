/* Length-field framing: contracts B4, B6, E7, E10, M1, M2, M3, M4, T6, T8; security classes S1-S4, S8-S10, S15, S25. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/memory.h"
#include "rig.h"
#include "support.h"

#define LIT(text) text, sizeof(text) - 1

static const rig_t plain = { .stage = &cvy_frame_stage };
static const char three[] = "\0\0\0\1a\0\0\0\0\0\0\0\5hello";

START_TEST(frames_are_cut_out_and_the_header_is_stripped)
{
    rig_t r = plain;
    rig_open(&r);
    rig_feed(&r, LIT(three));
    rig_expect(&r, "a", "", "hello", NULL);
    rig_close(&r);
}
END_TEST

/* Issue item 6: joins frames cut anywhere. */
START_TEST(framer_joins_frames_cut_anywhere)
{
    uint8_t bytes[2000];
    size_t n = 0;
    for (size_t len = 0; n + 4 + len < sizeof bytes - 20; len = len * 2 + 1) {
        memcpy(bytes + n, (uint8_t[]){ 0, 0, (uint8_t)(len >> 8), (uint8_t)len }, 4);
        for (size_t i = 0; i < len; i++)
            bytes[n + 4 + i] = (uint8_t)(len + i);
        n += 4 + len;
    }
    rig_cut_everywhere(&plain, bytes, n);
    rig_cut_everywhere(&plain, bytes, n - 1); /* ends inside a frame */
}
END_TEST

START_TEST(every_cut_of_every_layout_gives_the_same_frames)
{
    static const struct {
        cvy_frame_opts_t opts;
        const char *bytes;
        size_t n;
    } cases[] = {
        { { .width = 1 }, LIT("\3abc\0\1x") },
        { { .width = 2, .little_endian = 1 }, LIT("\3\0abc\0\0\1\0x") },
        { { .width = 3, .offset = 2 }, LIT("HH\0\0\3abcHH\0\0\0") },
        { { .width = 8, .includes_header = 1 }, LIT("\0\0\0\0\0\0\0\13abc\0\0\0\0\0\0\0\10") },
        { { .width = CVY_FRAME_VARINT }, LIT("\3abc\0\x81\0x\x80\x80\0") },
        { { .width = CVY_FRAME_VARINT, .offset = 1, .strip = 2 }, LIT("H\3abcH\1x") },
        { { .width = 2, .adjustment = 3, .strip = CVY_OFF }, LIT("\0\1AAAx\0\0BBB") },
        { { .width = 1, .adjustment = -1, .strip = 1 }, LIT("\4abc\1\2z") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_t r = { .stage = &cvy_frame_stage, .opts = &cases[i].opts };
        rig_cut_everywhere(&r, cases[i].bytes, cases[i].n);
    }
}
END_TEST

/* Netty's own examples: LengthFieldBasedFrameDecoder's documentation. */
START_TEST(layouts_of_netty_give_what_its_documentation_says)
{
    static const struct {
        cvy_frame_opts_t opts;
        const char *in;
        size_t n;
        const char *out;
        size_t out_n;
    } cases[] = {
        { { .width = 2, .strip = CVY_OFF }, LIT("\0\14HELLO, WORLD"), LIT("\0\14HELLO, WORLD") },
        { { .width = 2 }, LIT("\0\14HELLO, WORLD"), LIT("HELLO, WORLD") },
        { { .width = 2, .adjustment = -2 }, LIT("\0\16HELLO, WORLD"), LIT("\0\16HELLO, WORLD") },
        { { .width = 3, .offset = 2 }, LIT("\xca\xfe\0\0\14HELLO, WORLD"), LIT("\xca\xfe\0\0\14HELLO, WORLD") },
        { { .width = 3, .adjustment = 2 }, LIT("\0\0\14\xca\xfeHELLO, WORLD"), LIT("\0\0\14\xca\xfeHELLO, WORLD") },
        { { .width = 2, .offset = 1, .adjustment = 1, .strip = 3 },
          LIT("\xca\0\14\xfeHELLO, WORLD"),
          LIT("\xfeHELLO, WORLD") },
        { { .width = 2, .offset = 1, .adjustment = -3, .strip = 3 },
          LIT("\xca\0\20\xfeHELLO, WORLD"),
          LIT("\xfeHELLO, WORLD") },
        { { .width = 2, .offset = 1, .includes_header = 1, .strip = 3 },
          LIT("\xca\0\17HELLO, WORLD"),
          LIT("HELLO, WORLD") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_t r = { .stage = &cvy_frame_stage, .opts = &cases[i].opts };
        rig_open(&r);
        rig_feed(&r, cases[i].in, cases[i].n);
        ck_assert_uint_eq(r.frames, 1);
        ck_assert_uint_eq(r.len - 4, cases[i].out_n);
        ck_assert(!memcmp(r.text + 4, cases[i].out, cases[i].out_n));
        rig_close(&r);
    }
}
END_TEST

/* What the header of a layout means, in the compiler's own checked arithmetic: the oracle. */
static int oracle(const cvy_frame_opts_t *o, uint64_t value, uint64_t *total)
{
    int64_t add = o->adjustment;
    uint64_t body;
    if (o->includes_header) add -= o->offset + o->width;
    if (__builtin_add_overflow(value, add, &body)) return add < 0 ? UV_EPROTO : UV_EMSGSIZE;
    if (body > (uint64_t)o->max_frame) return UV_EMSGSIZE;
    *total = body + (uint64_t)(o->offset + o->width);
    return o->strip > 0 && (uint64_t)o->strip > *total ? UV_EPROTO : 0;
}

static size_t header_of(const cvy_frame_opts_t *o, uint64_t value, uint8_t *out)
{
    memset(out, 'H', (size_t)o->offset);
    for (int i = 0; i < o->width; i++)
        out[o->offset + (o->little_endian ? i : o->width - 1 - i)] = (uint8_t)(value >> (8 * i));
    return (size_t)(o->offset + o->width);
}

static void try_layout(const cvy_frame_opts_t *o, uint64_t value)
{
    static uint8_t bytes[65536];
    rig_t r = { .stage = &cvy_frame_stage, .opts = o, .handle = true };
    uint64_t total = 0;
    size_t n = header_of(o, value, bytes);
    int want = oracle(o, value, &total);
    rig_open(&r);
    rig_feed(&r, bytes, n);
    if (!want && total > n) {
        ck_assert_uint_eq(r.frames, 0);
        rig_feed(&r, bytes, (size_t)total - n);
    }
    ck_assert_int_eq(r.error.code, want);
    ck_assert_uint_eq(r.frames, want ? 0 : 1);
    int64_t strip = o->strip > 0 ? o->strip : o->strip == 0 && !o->offset && !o->adjustment ? o->width : 0;
    if (!want) ck_assert_uint_eq(r.len - 4, (size_t)total - (size_t)strip);
    rig_close(&r);
}

/* S2, M1: all (offset, width, adjustment, strip, max) at the boundaries of every length. */
START_TEST(no_layout_and_no_length_makes_the_arithmetic_wrap)
{
    static const int widths[] = { 1, 2, 3, 4, 8 };
    static const int64_t offsets[] = { 0, 1, 7 }, strips[] = { CVY_OFF, 0, 3, 100 }, maxima[] = { 1, 300, 30000 };
    static const int64_t adjustments[] = { 0, 1, -1, -6, 250, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN + 100 };
    const int64_t max = maxima[_i % 3];
    const uint64_t lengths[] = { 0,
                                 1,
                                 6,
                                 10,
                                 (uint64_t)max - 1,
                                 (uint64_t)max,
                                 (uint64_t)max + 1,
                                 INT32_MAX,
                                 1u << 31,
                                 UINT32_MAX - 1,
                                 UINT32_MAX,
                                 (uint64_t)UINT32_MAX + 1,
                                 INT64_MAX,
                                 (uint64_t)INT64_MAX + 1,
                                 UINT64_MAX - 1,
                                 UINT64_MAX };
    for (size_t w = 0; w < 5; w++)
        for (size_t a = 0; a < sizeof adjustments / sizeof *adjustments; a++)
            for (size_t x = 0; x < 3 * 4 * 2; x++) {
                cvy_frame_opts_t o = { .width = widths[w],
                                       .adjustment = adjustments[a],
                                       .offset = offsets[x % 3],
                                       .strip = strips[x / 3 % 4],
                                       .includes_header = x / 12 && adjustments[a] > INT64_MIN / 2,
                                       .max_frame = max,
                                       .little_endian = _i / 3 };
                for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
                    if (widths[w] == 8 || lengths[l] < (uint64_t)1 << (8 * widths[w])) try_layout(&o, lengths[l]);
            }
}
END_TEST

START_TEST(options_that_can_not_be_are_refused)
{
    static const cvy_frame_opts_t bad[] = {
        { .width = 5 },
        { .width = -1 },
        { .width = 16 },
        { .offset = 65536 },
        { .offset = -2 },
        { .strip = -2 },
        { .strip = INT64_MAX },
        { .max_frame = -2 },
        { .deadline_ms = -2 },
        { .deadline_ms = INT64_MAX },
        { .width = CVY_FRAME_VARINT, .includes_header = 1 },
        { .includes_header = 1, .adjustment = INT64_MIN },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rig_t r = { .stage = &cvy_frame_stage, .opts = &bad[i] };
        ck_assert_int_eq(rig_try(&r), UV_EINVAL);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}
END_TEST

/* M1 */
START_TEST(max_frame_is_taken_and_one_more_is_refused)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .max_frame = 5 } };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\5hello\0\0\0\6"));
    rig_expect(&r, "hello", NULL);
    ck_assert_int_eq(r.error.code, UV_EMSGSIZE);
    ck_assert_uint_eq(r.error.value, 6);
    ck_assert_uint_eq(r.error.limit, 5);
    ck_assert_str_eq(r.error.stage, "frame");
    ck_assert_int_eq(r.cause, UV_EMSGSIZE);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(default_limit_is_sixteen_mebibytes)
{
    rig_t a = { .stage = &cvy_frame_stage, .handle = true }, b = a;
    rig_open(&a);
    rig_feed(&a, LIT("\1\0\0\0"));
    ck_assert_uint_eq(a.errors, 0);
    rig_close(&a);
    rig_open(&b);
    rig_feed(&b, LIT("\1\0\0\1"));
    ck_assert_int_eq(b.error.code, UV_EMSGSIZE);
    rig_close(&b);
}
END_TEST

/* M2, S4. */
START_TEST(a_strip_longer_than_the_frame_is_final)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .width = 1, .strip = 3 }, .handle = true };
    rig_open(&r);
    rig_feed(&r, LIT("\2ab\1a\4abcd"));
    ck_assert_uint_eq(r.frames, 1);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    rig_feed(&r, LIT("\4abcd"));
    ck_assert_uint_eq(r.frames, 1);
    ck_assert_uint_eq(r.errors, 1);
    rig_close(&r);
}
END_TEST

/* M2 */
START_TEST(garbage_for_a_varint_is_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } cases[] = {
        { LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), UV_EPROTO },
        { LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), UV_EPROTO },
        { LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), UV_EMSGSIZE },
        { LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0 },
        { LIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_t r = { .stage = &cvy_frame_stage,
                    .opts = &(cvy_frame_opts_t){ .width = CVY_FRAME_VARINT },
                    .handle = true };
        rig_open(&r);
        rig_feed(&r, cases[i].bytes, cases[i].n);
        ck_assert_int_eq(r.error.code, cases[i].code);
        rig_close(&r);
    }
}
END_TEST

/* M1, S1: nothing is reserved because a peer announced it. */
START_TEST(an_announced_length_reserves_nothing)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .max_frame = CVY_OFF } };
    rig_open(&r);
    rig_feed(&r, LIT("\xff\xff\xff\xfe"));
    rig_feed(&r, LIT("abc"));
    ck_assert_uint_eq(r.errors, 0);
    ck_assert_uint_le(rig_live(&r), 2);
    rig_close(&r);

    rig_t s = { .stage = &cvy_frame_stage };
    rig_open(&s);
    rig_feed(&s, LIT("\xff\xff\xff\xff"));
    ck_assert_uint_eq(rig_live(&s), 0);
    ck_assert_int_eq(s.cause, UV_EMSGSIZE);
    rig_close(&s);
}
END_TEST

/* M1, S10. */
START_TEST(a_trickling_frame_ends_at_the_deadline_measured_from_its_first_byte)
{
    rig_t r = plain;
    rig_open(&r);
    rig_feed(&r, LIT(three));
    cvy_embedded_advance(r.e, 100000); /* no frame has begun */
    ck_assert_uint_eq(r.errors, 0);
    rig_feed(&r, LIT("\0\0\0\100"));
    for (int i = 0; i < 29; i++) {
        cvy_embedded_advance(r.e, 1000);
        rig_feed(&r, "x", 1);
    }
    cvy_embedded_advance(r.e, 999);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    ck_assert_int_eq(r.cause, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(a_trickling_header_ends_at_the_same_deadline)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .width = CVY_FRAME_VARINT } };
    rig_open(&r);
    for (int i = 0; i < 3; i++) { /* each byte is looked at */
        ck_assert_uint_eq(r.errors, 0);
        rig_feed(&r, "\x80", 1);
        cvy_embedded_advance(r.e, 10000);
    }
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(a_frame_that_is_complete_has_no_deadline_any_more)
{
    rig_t r = plain;
    rig_open(&r);
    rig_feed_cut(&r, LIT("\0\0\0\1a"), 2);
    cvy_embedded_advance(r.e, 100000);
    ck_assert_uint_eq(r.errors, 0);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(each_frame_has_a_deadline_of_its_own)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .deadline_ms = 100 } };
    rig_open(&r);
    for (int i = 0; i < 10; i++) { /* always some frame has begun, none for long */
        rig_feed(&r, i ? "a\0\0\0\1" : "\0\0\0\1", i ? 5 : 4);
        cvy_embedded_advance(r.e, 60);
    }
    ck_assert_uint_eq(r.errors, 0);
    ck_assert_uint_eq(r.frames, 9);
    cvy_embedded_advance(r.e, 40);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* M1 */
START_TEST(the_deadline_can_be_off)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .deadline_ms = CVY_OFF } };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0"));
    cvy_embedded_advance(r.e, 1u << 30);
    ck_assert_uint_eq(r.errors, 0);
    rig_close(&r);
}
END_TEST

START_TEST(a_suspended_stream_does_not_run_into_the_deadline)
{
    rig_t r = { .stage = &cvy_frame_stage, .suspend_at = 1 };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\1a\0\0\0\1b\0\0\0\1"));
    cvy_embedded_advance(r.e, 300000);
    ck_assert_uint_eq(r.frames, 1);
    ck_assert_uint_eq(r.errors, 0);
    rig_resume(&r);
    ck_assert_uint_eq(r.frames, 2);
    cvy_embedded_advance(r.e, 29999);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

START_TEST(a_begun_frame_gets_its_time_again_when_reading_goes_on)
{
    rig_t r = plain;
    rig_open(&r);
    rig_feed(&r, LIT("\0\0"));
    cvy_ctx_suspend(r.sink);
    cvy_embedded_advance(r.e, 29000);
    rig_resume(&r);
    cvy_embedded_advance(r.e, 29999);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_ETIMEDOUT);
    rig_close(&r);
}
END_TEST

/* M2. */
START_TEST(end_of_stream_inside_a_frame_is_an_error)
{
    for (size_t n = 1; n < sizeof three - 1; n++) {
        rig_t r = plain;
        bool between = n == 5 || n == 9;
        rig_open(&r);
        rig_feed(&r, three, n);
        cvy_embedded_end(r.e);
        ck_assert_int_eq(r.error.code, between ? 0 : UV_EPROTO);
        ck_assert_int_eq(r.read_closed, between);
        ck_assert_int_eq(r.cause == UV_EPROTO, !between);
        rig_close(&r);
    }
}
END_TEST

START_TEST(end_of_stream_goes_on_behind_a_handled_error)
{
    rig_t r = { .stage = &cvy_frame_stage, .handle = true };
    rig_open(&r);
    rig_feed(&r, three, 3);
    cvy_embedded_end(r.e);
    cvy_embedded_advance(r.e, 1);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    ck_assert(r.read_closed);
    rig_close(&r);
}
END_TEST

/* T8: end of stream waits behind the bytes that are held. */
START_TEST(end_of_stream_waits_behind_held_frames)
{
    rig_t r = { .stage = &cvy_frame_stage, .suspend_at = SIZE_MAX, .half_close = true };
    rig_open(&r);
    rig_feed(&r, LIT(three));
    ck_assert_int_eq(r.stage->on_read_closed(r.ctx), UV_EAGAIN);
    ck_assert_uint_eq(r.errors, 0);
    cvy_embedded_end(r.e);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_uint_eq(r.frames, i);
        ck_assert(!r.read_closed);
        if (i == 3) r.suspend_at = 0;
        rig_resume(&r);
    }
    ck_assert(r.read_closed);
    ck_assert_uint_eq(r.errors, 0);
    rig_close(&r);
}
END_TEST

/* T8 */
START_TEST(removing_the_framer_lets_a_held_end_of_stream_go_on)
{
    rig_t r = { .stage = &cvy_frame_stage, .suspend_at = 1, .half_close = true };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\1a\0\0\0\1b"));
    cvy_embedded_end(r.e);
    cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_frame_stage));
    ck_assert(!r.read_closed);
    rig_resume(&r);
    ck_assert_uint_eq(r.frames, 2);
    ck_assert(r.read_closed);
    rig_close(&r);
}
END_TEST

/* M2 */
START_TEST(end_of_stream_behind_held_frames_and_a_cut_one_is_an_error)
{
    rig_t r = { .stage = &cvy_frame_stage, .suspend_at = 1 };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\1a\0\0\0\1b\0"));
    cvy_embedded_end(r.e);
    ck_assert_uint_eq(r.errors, 0);
    rig_resume(&r);
    rig_expect(&r, "a", "b", NULL);
    ck_assert_int_eq(r.error.code, UV_EPROTO);
    ck_assert(!r.read_closed);
    rig_close(&r);
}
END_TEST

/* E7, T6. */
START_TEST(a_suspended_framer_emits_nothing_and_later_everything_in_order)
{
    uint8_t bytes[5 * 300];
    for (size_t i = 0; i < 300; i++)
        memcpy(bytes + 5 * i, (uint8_t[]){ 0, 0, 0, 1, (uint8_t)i }, 5);
    for (size_t piece = 1; piece < sizeof bytes; piece += 37) {
        rig_t r = { .stage = &cvy_frame_stage, .suspend_at = SIZE_MAX };
        rig_open(&r);
        rig_feed_pieces(&r, bytes, sizeof bytes, piece);
        for (size_t i = 1; i <= 300; i++) {
            ck_assert_uint_eq(r.frames, i);
            ck_assert_uint_eq(r.text[r.len - 1], (uint8_t)(i - 1));
            rig_resume(&r);
        }
        ck_assert_uint_eq(r.suspended_frames, 0);
        rig_close(&r);
    }
}
END_TEST

/* C4: what it holds goes to the next stage. */
START_TEST(removing_the_framer_passes_on_what_it_holds)
{
    rig_t r = { .stage = &cvy_frame_stage, .remove_at = 1 };
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\1aSTARTTLS"));
    rig_expect(&r, "a", "STARTTLS", NULL);
    rig_feed(&r, "more", 4);
    rig_expect(&r, "a", "STARTTLS", "more", NULL);
    rig_close(&r);
}
END_TEST

/* C4 */
START_TEST(removing_an_idle_framer_passes_on_a_begun_frame)
{
    rig_t r = plain;
    rig_open(&r);
    rig_feed(&r, LIT("\0\0\0\1a\0\0\0\5he"));
    cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_frame_stage));
    cvy_embedded_run(r.e);
    ck_assert_uint_eq(r.frames, 2);
    ck_assert_uint_eq(r.len, 4 + 1 + 4 + 6);
    cvy_embedded_advance(r.e, 100000); /* its deadline went with it */
    ck_assert_uint_eq(r.errors, 0);
    rig_close(&r);
}
END_TEST

/* M2 */
START_TEST(a_poisoned_framer_passes_on_nothing_when_it_is_removed)
{
    rig_t r = { .stage = &cvy_frame_stage, .handle = true };
    rig_open(&r);
    rig_feed(&r, LIT("\xff\xff\xff\xff\0\0\0\1a"));
    cvy_conveyor_remove(cvy_embedded_conveyor(r.e), cvy_at_stage(&cvy_frame_stage));
    cvy_embedded_run(r.e);
    ck_assert_uint_eq(r.frames, 0);
    rig_close(&r);
}
END_TEST

/* E6, E7. */
START_TEST(closing_inside_a_frame_stops_the_rest)
{
    rig_t r = { .stage = &cvy_frame_stage, .close_at = 2 };
    rig_open(&r);
    rig_feed(&r, LIT(three));
    rig_expect(&r, "a", "", NULL);
    rig_close(&r);
}
END_TEST

static void feed_again(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    cvy_buf_t more = CVY_BUF_INIT;
    (void)ctx;
    (void)frame;
    if (r->frames > 1) return;
    ck_assert_int_eq(cvy_buf_append(&more, LIT("\0\0\0\1z")), 0);
    cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &more };
    cvy_conveyor_fire_inbound(cvy_embedded_conveyor(r->e), &ev.event);
    ck_assert_uint_eq(r->frames, 1); /* not nested */
}

/* E7 */
START_TEST(bytes_that_arrive_inside_a_frame_go_behind_those_that_wait)
{
    rig_t r = { .stage = &cvy_frame_stage, .on_frame = feed_again };
    rig_open(&r);
    rig_feed(&r, LIT(three));
    rig_expect(&r, "a", "", "hello", "z", NULL);
    rig_close(&r);
}
END_TEST

static void measure_stack(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    uintptr_t *lowest = r->arg;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0); /* not of a local: sanitizers put those elsewhere */
    (void)ctx;
    (void)frame;
    if (!*lowest || here < *lowest) *lowest = here;
    if (r->frames == 1) lowest[1] = here;
}

/* E10, S15; M4: and nothing is allocated for any of them. */
START_TEST(a_million_frames_in_one_buffer_use_no_deeper_stack_than_one)
{
    enum { FRAMES = 1000000 };
    uintptr_t stack[2] = { 0, 0 };
    rig_t r = {
        .stage = &cvy_frame_stage, .opts = &(cvy_frame_opts_t){ .width = 1 }, .on_frame = measure_stack, .arg = stack
    };
    uint8_t *bytes = malloc(2 * FRAMES);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(bytes + 2 * i, "\1x", 2);
    rig_open(&r);
    rig_feed(&r, bytes, 2 * FRAMES);
    ck_assert_uint_eq(r.frames, FRAMES);
    ck_assert_uint_eq(stack[0], stack[1]);
    free(bytes);
    rig_close(&r);
}
END_TEST

static void echo(rig_t *r, cvy_ctx_t *ctx, cvy_buf_t *frame)
{
    (void)r;
    cvy_fire_outbound_bytes(ctx, frame);
}

/* B4: the header is put back in place, and a burst of frames leaves in one write. */
START_TEST(an_echo_sends_back_the_very_bytes)
{
    rig_t r = { .stage = &cvy_frame_stage, .on_frame = echo };
    rig_open(&r);
    rig_feed(&r, LIT(three));
    ck_assert(rig_sent(&r, LIT(three)));
    ck_assert_uint_eq(cvy_embedded_write_calls(r.e), 1);
    rig_close(&r);
}
END_TEST

/* M4. */
START_TEST(echoing_frames_allocates_nothing_in_the_steady_state)
{
    rig_t r = { .stage = &cvy_frame_stage, .on_frame = echo };
    rig_open(&r);
    for (int i = 0; i < 3; i++) {
        rig_feed(&r, LIT(three));
        cvy_buf_fini(cvy_embedded_sent(r.e));
        r.len = 0;
    }
    size_t before = cvy__memory_live();
    cvy_buf_t in;
    for (int i = 0; i < 1000; i++) {
        cvy_buf_init(&in, cvy_loop_pool(cvy_embedded_loop(r.e)));
        ck_assert_int_eq(cvy_buf_append(&in, LIT(three)), 0);
        cvy__memory_fail(1);
        cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &in };
        cvy_conveyor_fire_inbound(cvy_embedded_conveyor(r.e), &ev.event);
        ck_assert(!cvy__memory_failed());
        cvy__memory_fail(0);
        cvy_embedded_run(r.e);
        cvy_buf_fini(cvy_embedded_sent(r.e));
        r.len = 0;
    }
    ck_assert_uint_eq(cvy__memory_live(), before);
    rig_close(&r);
}
END_TEST

/* B6: the rest that stays in the framer, after a large read and after a resume. */
START_TEST(a_begun_frame_at_the_end_of_a_large_read_does_not_pin_it)
{
    static uint8_t read[65536] = "\0\0\0\0\0\0\377\366"; /* an empty frame, a large one, and two bytes of the next */
    for (size_t suspend_at = 0; suspend_at <= 2; suspend_at++) {
        rig_t r = { .stage = &cvy_frame_stage, .no_cache = true, .suspend_at = suspend_at };
        rig_open(&r);
        rig_feed(&r, read, sizeof read);
        rig_resume(&r);
        ck_assert_uint_eq(r.frames, 2);
        ck_assert_uint_le(rig_memory(), 2048);
        rig_feed(&r, "\0\0\0\0", 2);
        ck_assert_uint_eq(r.frames, 3);
        rig_close(&r);
    }
}
END_TEST

/* M3. */
START_TEST(any_allocation_may_fail)
{
    rig_t r = { .stage = &cvy_frame_stage, .on_frame = echo };
    rig_fail_every_allocation(&r, LIT(three), sizeof three);
    rig_fail_every_allocation(&r, LIT(three), 3);
    r.suspend_at = SIZE_MAX;
    rig_fail_every_allocation(&r, LIT(three), 7);
}
END_TEST

/* Outbound */

static void expect_outbound(const cvy_frame_opts_t *o, const void *in, size_t n, const void *out, size_t out_n)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = o };
    rig_open(&r);
    rig_write(&r, in, n);
    ck_assert_uint_eq(r.errors, 0);
    ck_assert(rig_sent(&r, out, out_n));
    rig_close(&r);
}

START_TEST(outbound_buffers_get_their_length)
{
    expect_outbound(NULL, LIT("hello"), LIT("\0\0\0\5hello"));
    expect_outbound(NULL, LIT(""), LIT("\0\0\0\0"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 1 }, LIT("hello"), LIT("\5hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 3, .little_endian = 1 }, LIT("hello"), LIT("\5\0\0hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 8 }, LIT("hello"), LIT("\0\0\0\0\0\0\0\5hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 2, .includes_header = 1 }, LIT("hello"), LIT("\0\7hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 2, .adjustment = 2 }, LIT("hello"), LIT("\0\3hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 2, .adjustment = -2 }, LIT("hello"), LIT("\0\7hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 2, .offset = 3 }, LIT("HHHhello"), LIT("HHH\0\5hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = 2, .offset = 3, .includes_header = 1 }, LIT("HHHhello"),
                    LIT("HHH\0\12hello"));
    expect_outbound(&(cvy_frame_opts_t){ .width = CVY_FRAME_VARINT }, LIT("hello"), LIT("\5hello"));
    expect_outbound(&(cvy_frame_opts_t){ .raw_outbound = 1 }, LIT("hello"), LIT("hello"));
}
END_TEST

START_TEST(long_outbound_frames_have_long_varints)
{
    char body[300], want[302] = "\xac\2";
    memset(body, 'x', sizeof body);
    memset(want + 2, 'x', sizeof body);
    expect_outbound(&(cvy_frame_opts_t){ .width = CVY_FRAME_VARINT }, body, sizeof body, want, sizeof want);
}
END_TEST

static void expect_refused(const cvy_frame_opts_t *o, size_t n, int code)
{
    rig_t r = { .stage = &cvy_frame_stage, .opts = o, .handle = true };
    char *body = calloc(1, n + 1);
    rig_open(&r);
    rig_write(&r, body, n);
    ck_assert_int_eq(r.error.code, code);
    ck_assert(rig_sent(&r, "", 0));
    rig_write(&r, body, 2); /* not final */
    ck_assert_uint_gt(cvy_buf_len(cvy_embedded_sent(r.e)), 0);
    ck_assert_uint_eq(r.errors, 1);
    free(body);
    rig_close(&r);
}

START_TEST(outbound_frames_that_do_not_fit_are_refused)
{
    expect_refused(&(cvy_frame_opts_t){ .width = 1 }, 256, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .width = 1, .includes_header = 1 }, 255, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .width = 2 }, 65536, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .max_frame = 10 }, 11, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .adjustment = 2 }, 1, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .width = 8, .adjustment = 2 }, 1, UV_EMSGSIZE);
    expect_refused(&(cvy_frame_opts_t){ .offset = 2 }, 1, UV_EINVAL);
}
END_TEST

START_TEST(what_one_framer_sends_another_reads)
{
    static const cvy_frame_opts_t layouts[] = {
        { .width = 1 },
        { .width = 2 },
        { .width = 3 },
        { .width = 4 },
        { .width = 8 },
        { .width = CVY_FRAME_VARINT },
        { .width = 3, .little_endian = 1, .includes_header = 1, .strip = 3 },
        { .width = 2, .adjustment = -7, .strip = 2 },
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        rig_t a = { .stage = &cvy_frame_stage, .opts = &layouts[i] }, b = a;
        char wire[100];
        rig_open(&a);
        rig_write(&a, "hello", 5);
        rig_write(&a, "", 0);
        size_t n = cvy_buf_peek(cvy_embedded_sent(a.e), wire, sizeof wire);
        cvy_buf_fini(cvy_embedded_sent(a.e));
        cvy_embedded_free(a.e);
        rig_open(&b);
        rig_feed(&b, wire, n);
        rig_expect(&b, "hello", "", NULL);
        rig_close(&b);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("frame");
    ADD_TESTS(s, "inbound", frames_are_cut_out_and_the_header_is_stripped, framer_joins_frames_cut_anywhere,
              every_cut_of_every_layout_gives_the_same_frames, layouts_of_netty_give_what_its_documentation_says,
              options_that_can_not_be_are_refused, an_echo_sends_back_the_very_bytes);
    TCase *property = test_case("property");
    tcase_add_loop_test(property, no_layout_and_no_length_makes_the_arithmetic_wrap, 0, 6);
    suite_add_tcase(s, property);
    ADD_TESTS(s, "limits", max_frame_is_taken_and_one_more_is_refused, default_limit_is_sixteen_mebibytes,
              a_strip_longer_than_the_frame_is_final, garbage_for_a_varint_is_refused,
              an_announced_length_reserves_nothing, a_trickling_frame_ends_at_the_deadline_measured_from_its_first_byte,
              each_frame_has_a_deadline_of_its_own, a_trickling_header_ends_at_the_same_deadline,
              a_frame_that_is_complete_has_no_deadline_any_more, a_begun_frame_gets_its_time_again_when_reading_goes_on,
              the_deadline_can_be_off, a_suspended_stream_does_not_run_into_the_deadline);
    ADD_TESTS(s, "end", end_of_stream_inside_a_frame_is_an_error, end_of_stream_goes_on_behind_a_handled_error,
              end_of_stream_waits_behind_held_frames, end_of_stream_behind_held_frames_and_a_cut_one_is_an_error,
              removing_the_framer_lets_a_held_end_of_stream_go_on);
    ADD_TESTS(s, "flow", a_suspended_framer_emits_nothing_and_later_everything_in_order,
              removing_the_framer_passes_on_what_it_holds, removing_an_idle_framer_passes_on_a_begun_frame,
              a_poisoned_framer_passes_on_nothing_when_it_is_removed, closing_inside_a_frame_stops_the_rest,
              bytes_that_arrive_inside_a_frame_go_behind_those_that_wait);
    ADD_TESTS(s, "memory", a_million_frames_in_one_buffer_use_no_deeper_stack_than_one,
              echoing_frames_allocates_nothing_in_the_steady_state,
              a_begun_frame_at_the_end_of_a_large_read_does_not_pin_it, any_allocation_may_fail);
    ADD_TESTS(s, "outbound", outbound_buffers_get_their_length, long_outbound_frames_have_long_varints,
              outbound_frames_that_do_not_fit_are_refused, what_one_framer_sends_another_reads);
    return test_run(s);
}
