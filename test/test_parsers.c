/*
 * Every parser against its oracle, with streams from a seeded generator: the same drivers as the fuzzers'. CVY_TEST_SEED repeats a
 * run, CVY_TEST_OPS says how many inputs each parser gets, CVY_TEST_SCALE=n makes it an nth of them. Contracts M1, M2, M3, B5, E7, C4.
 */
#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_parsers.h"

enum { LONGEST = 6000 };

typedef struct maker {
    uint64_t x;
    uint8_t bytes[LONGEST + 64];
    size_t n;
} maker_t;

static uint32_t some(maker_t *m, uint32_t below)
{
    m->x ^= m->x << 13; /* xorshift64 */
    m->x ^= m->x >> 7;
    m->x ^= m->x << 17;
    return (uint32_t)(m->x >> 16) % below;
}

static void put(maker_t *m, const void *bytes, size_t n)
{
    if (n > LONGEST - m->n) n = LONGEST - m->n;
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}

static void put_byte(maker_t *m, uint32_t byte)
{
    put(m, &(uint8_t){ (uint8_t)byte }, 1);
}

static void put_some(maker_t *m, size_t n)
{
    while (n--)
        put_byte(m, some(m, 256));
}

static void put_text(maker_t *m, const char *text)
{
    put(m, text, strlen(text));
}

/* Mostly short streams, which are cut everywhere; some long ones. */
static size_t some_length(maker_t *m)
{
    static const uint32_t below[] = { 8, 30, 64, 64, 200, 200, 1000, 5000 };
    return some(m, below[some(m, 8)]);
}

/* Of such bytes, or (one in eight) of any. */
static void put_of(maker_t *m, const char *bytes, size_t count)
{
    for (size_t n = some_length(m); n--;)
        put_byte(m, some(m, 8) ? (uint8_t)bytes[some(m, (uint32_t)count)] : some(m, 256));
}

/* Small numbers and zeros, so that frames have ends, in all widths. */
static void make_frames(maker_t *m)
{
    put_some(m, 7);
    if (some(m, 2)) m->bytes[3] |= 4; /* a plain layout */
    bool wide = some(m, 12) == 0;
    if (wide) m->bytes[0] = (uint8_t)((m->bytes[0] & ~7) | 4), m->bytes[3] = 0xf1; /* 64 bits with large adjustments */
    for (size_t left = some_length(m); left && m->n < LONGEST;) {
        size_t n = some(m, 16) ? some(m, 24) : some(m, 400);
        if (some(m, 20) == 0) put_some(m, 3);
        if (some(m, 12) == 0) { /* a varint of about 64 bits */
            for (uint32_t k = 8 + some(m, 2); k--;)
                put_byte(m, 0x80 | some(m, 128));
            put_byte(m, some(m, 4));
        }
        if (some(m, wide ? 2 : 30) == 0) put(m, "\xff\xff\xff\xff\xff\xff\xff", some(m, 8));
        put(m, "\0\0\0\0\0\0\0", some(m, 8));
        put_byte(m, (uint32_t)n);
        for (size_t i = 0; i < n; i++)
            put_byte(m, some(m, 6));
        left = left > n + 1 ? left - n - 1 : 0;
    }
}

static void make_encoder(maker_t *m)
{
    put_some(m, 7 + 2 * some(m, 9));
    if (some(m, 2)) m->bytes[3] |= 4;
}

/* Lines and frames of about the limit that the options chose. */
static void put_about(maker_t *m, size_t limit, const char *const *ends, uint32_t count)
{
    for (uint32_t k = 1 + some(m, 4); k--;) {
        size_t n = some(m, 3) ? limit - some(m, 2) : some(m, (uint32_t)limit + 1);
        if (some(m, 12) == 0) n = limit + 1 + some(m, 2);
        while (n--)
            put_byte(m, "ab;"[some(m, 2)]);
        put_text(m, ends[some(m, count)]);
    }
}

static void make_lines(maker_t *m)
{
    static const char *const ends[] = { "\n", "\r\n", "\r\n", "\r", "\r\r\n" };
    put_some(m, 4);
    if (some(m, 3) == 0) {
        m->bytes[1] %= 20;
        put_about(m, 1u + m->bytes[1], ends, 5);
    } else if (some(m, 2))
        put_of(m, "ab\r\n", 4);
    else
        put_of(m, "abcdefghijklmnopqrstuvwxyz\r\n\n", 29);
}

static void make_delimiters(maker_t *m)
{
    static const char *const ends[] = { ";", "a;", "b;", ";;", "ab;" };
    put_some(m, 4);
    if (some(m, 3) == 0) m->bytes[1] %= 20;
    for (int k = 0; k < 1 + (m->bytes[0] & 3); k++) {
        size_t n = some(m, 4) ? some(m, 4) : some(m, 16);
        put_byte(m, (uint32_t)n);
        for (size_t i = 0; i <= n; i++)
            put_byte(m, "ab;"[some(m, 3)]);
    }
    if (m->bytes[1] < 20) put_about(m, 1u + m->bytes[1], ends, 5);
    put_of(m, "ab;cdefghijklmnop", some(m, 2) ? 3 : 17);
}

static void make_fixed(maker_t *m)
{
    put_some(m, 3 + some_length(m));
}

static void put_command(maker_t *m)
{
    char line[32];
    uint32_t count = some(m, 5), broken = some(m, 12);
    snprintf(line, sizeof line, broken == 1 ? "*%u\n" : broken == 2 ? "*0%u\r\n" : "*%u\r\n", count);
    put_text(m, line);
    while (count--) {
        uint32_t n = some(m, 10) ? some(m, 12) : some(m, 300);
        snprintf(line, sizeof line, some(m, 30) ? "$%u\r\n" : "$-%u\r\n", n);
        put_text(m, line);
        for (uint32_t i = 0; i < n; i++)
            put_byte(m, (uint8_t) "0123456789-$*\r\n "[some(m, 16)]);
        put_text(m, some(m, 40) ? "\r\n" : "\n");
    }
}

static void make_resp(maker_t *m)
{
    static const char *const words[] = { "GET",
                                         "set",
                                         " ",
                                         "\t",
                                         "\r\n",
                                         "\n",
                                         "*",
                                         "$",
                                         "-1",
                                         "18446744073709551617",
                                         "*1025\r\n",
                                         "*1\r\n$16777217\r\n",
                                         "*-1\r\n",
                                         "0",
                                         "*2147483648\r\n",
                                         "*1234567890123456789012345678901234567890" };
    put_some(m, 2);
    for (size_t end = m->n + some_length(m); m->n < end;) {
        if (some(m, 4))
            put_command(m);
        else
            put_text(m, words[some(m, sizeof words / sizeof *words)]);
    }
}

static void make_address(maker_t *m)
{
    static const char *const parts[] = { "127.0.0.1",
                                         "[::1]",
                                         "[fe80::1%1]",
                                         "[fe80::1%lo]",
                                         "[fe80::1%4294967297]",
                                         ":18446744073709551617",
                                         ":4294967297",
                                         "%",
                                         "%4294967297",
                                         "localhost",
                                         ":",
                                         ":0",
                                         ":65535",
                                         ":65536",
                                         "99999999999999999999",
                                         "0",
                                         "/",
                                         "/run/x",
                                         "@",
                                         "@name",
                                         ".",
                                         "..",
                                         "\\",
                                         "[",
                                         "]",
                                         "::",
                                         "1.2.3",
                                         "256",
                                         "a-b_c.d",
                                         "1111:2222:3333:4444:5555:6666:7777:8888",
                                         " ",
                                         "x" };
    static const char *const schemes[] = { "tcp://",  "tcp://",    "tcp://[", "unix://",    "ipc://",
                                           "pipe://", "inproc://", "fd://",   "systemd://", "" };
    put_text(m, schemes[some(m, sizeof schemes / sizeof *schemes)]);
    for (uint32_t n = some(m, 5); n--;) {
        if (some(m, 5))
            put_text(m, parts[some(m, sizeof parts / sizeof *parts)]);
        else
            for (uint32_t k = some(m, 3) ? some(m, 4) : some(m, 300); k--;)
                put_byte(m, 'a' + some(m, 26));
    }
    if (some(m, 2)) put_text(m, ":7000");
}

static void make_integers(maker_t *m)
{
    put_some(m, 3);
    put_some(m, m->bytes[2] % 64u);
    for (size_t n = some(m, 300); n--;)
        put_byte(m, some(m, 2) ? 0x80 | some(m, 128) : some(m, 3));
}

static const struct {
    const char *name;
    void (*make)(maker_t *m);
    void (*drive)(const uint8_t *data, size_t n);
    uint64_t share; /* of the inputs, in hundredths: what costs less gets more */
} parsers[] = {
    { "frame", make_frames, drive_frame, 100 },       { "encoder", make_encoder, drive_encoder, 50 },
    { "line", make_lines, drive_line, 100 },          { "delimiter", make_delimiters, drive_delimiter, 100 },
    { "fixed", make_fixed, drive_fixed, 50 },         { "resp", make_resp, drive_resp, 100 },
    { "address", make_address, drive_address, 2000 }, { "integers", make_integers, drive_integers, 1000 },
};

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *given = getenv(name);
    return given ? strtoull(given, NULL, 0) : otherwise;
}

/* M1, M2, M3, B5, C4, E7 */
START_TEST(a_parser_agrees_with_its_oracle_however_its_input_comes)
{
    static maker_t m;
    uint64_t seed = test_seed();
    uint64_t inputs = number("CVY_TEST_OPS", (uint64_t)test_scaled(1000)) * parsers[_i].share / 100;

    for (uint64_t i = 0; i < inputs; i++) {
        m.x = (seed + i) * 0x9e3779b97f4a7c15u | 1;
        m.n = 0;
        some(&m, 2);
        parsers[_i].make(&m);
        parsers[_i].drive(m.bytes, m.n);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parsers");
    TCase *all = test_case("all");
    tcase_add_loop_test(all, a_parser_agrees_with_its_oracle_however_its_input_comes, 0,
                        sizeof parsers / sizeof *parsers);
    suite_add_tcase(suite, all);
    return test_run(suite);
}
