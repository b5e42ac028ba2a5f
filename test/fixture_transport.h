/*
 * What the tests of the transport core share: one embedded transport with one recorder stage "a", a log of both, and nothing left of
 * them afterwards: no live segment, no live memory.
 */
#ifndef CVY_TEST_FIXTURE_TRANSPORT_H
#define CVY_TEST_FIXTURE_TRANSPORT_H

#include "support.h"

#include <conveyor/embedded.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "recorder.h"
#include "transport/transport.h"

static recorder_log_t notes;
static recorder_t a, b; /* b: for tests that add a second one behind it */
static cvy_embedded_t *e;
static cvy_transport_t *t;
static cvy_conveyor_t *c;
static uint64_t offered; /* bytes of the pattern that write() and below() made so far */
static size_t memory_before;

static void setup(void)
{
    memory_before = cvy__memory_live();
    recorder_log_init(&notes);
    a = (recorder_t){ .name = "a", .log = &notes, .flags = RECORD_NO_TURNS };
    b = a;
    b.name = "b";
    e = NULL;
    t = NULL;
    c = NULL;
    offered = 0;
}

/* Closes at once what is open, frees it, and wants everything back. */
static void finish(void)
{
    if (!e) return;
    cvy_loop_t *loop = cvy_loop_ref(cvy_embedded_loop(e));
    cvy_embedded_free(e);
    recorder_fini(&a);
    recorder_fini(&b);
    e = NULL;
    ck_assert_uint_eq(cvy_pool_live(cvy_loop_pool(loop)), 0);
    cvy_loop_unref(loop);
    ck_assert_uint_eq(cvy_pool_live(NULL), 0);
}

static void teardown(void)
{
    a.rules = b.rules = NULL; /* the test's own, whose scope has ended */
    finish();
    recorder_log_fini(&notes);
    ck_assert_uint_eq(cvy__memory_live(), memory_before);
}

static inline void note_end(cvy_transport_t *ended, int cause, void *arg)
{
    (void)ended, (void)arg;
    recorder_line(&notes, "end %s", cause ? uv_err_name(cause) : "0");
}

static inline int init_noted(cvy_conveyor_t *conveyor, void *arg)
{
    cvy_transport_on_shutdown_completed(cvy_conveyor_transport(conveyor), note_end, NULL);
    return cvy_conveyor_add_last(conveyor, &recorder_stage, arg, NULL);
}

static inline void open_as(const cvy_embedded_opts_t *opts)
{
    cvy_embedded_opts_t with = *opts;
    if (!with.init) with.init = init_noted;
    if (!with.arg) with.arg = &a;
    ck_assert_int_eq(cvy_embedded_new(&e, &with), 0);
    t = cvy_embedded_transport(e);
    c = cvy_embedded_conveyor(e);
}

/* With these options of the transport (NULL: the defaults); the log is empty then. */
static inline void open_with(const cvy_transport_opts_t *opts)
{
    open_as(&(cvy_embedded_opts_t){ .transport = opts });
    recorder_clear(&notes);
}

#define LOG(golden) ck_assert_str_eq(recorder_text(&notes), golden)

static inline uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 31 + at / 251);
}

/* The next n bytes of the pattern, in a buffer of the loop's pool. */
static inline cvy_buf_t next_bytes(size_t n)
{
    cvy_buf_t out;
    uint8_t *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(offered + i);
    cvy_buf_init(&out, cvy_loop_pool(cvy_embedded_loop(e)));
    ck_assert_int_eq(cvy_buf_append(&out, bytes, n), 0);
    free(bytes);
    return out;
}

static inline int offer(size_t n, bool through_stages)
{
    cvy_buf_t buf = next_bytes(n);
    int err = through_stages ? cvy_conveyor_write(c, &buf) : cvy_transport_write(t, &buf);
    ck_assert_uint_eq(cvy_buf_len(&buf), err ? n : 0); /* all or nothing */
    if (!err) offered += n;
    cvy_buf_fini(&buf);
    return err;
}

/* Through the stages; and below them all. */
static inline int put(size_t n)
{
    return offer(n, true);
}

static inline int below(size_t n)
{
    return offer(n, false);
}

static inline void add_b(void)
{
    ck_assert_int_eq(cvy_conveyor_add_last(c, &recorder_stage, &b, NULL), 0);
    recorder_clear(&notes);
}

static inline void turn(void)
{
    cvy_embedded_run(e);
}

static inline void later(uint64_t ms)
{
    cvy_embedded_advance(e, ms);
}

static inline size_t sent(void)
{
    return cvy_buf_len(cvy_embedded_sent(e));
}

/* The wire has the first n bytes of the pattern, and no others. */
static inline void wire_has(size_t n)
{
    cvy_buf_t *out = cvy_embedded_sent(e);
    ck_assert_uint_eq(cvy_buf_len(out), n);
    uint8_t *bytes = malloc(n + 1);
    cvy_buf_peek(out, bytes, n);
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != pattern(i)) ck_abort_msg("byte %d of %d is another", (int)i, (int)n);
    free(bytes);
}

static inline void feed(const char *text)
{
    ck_assert_int_eq(cvy_embedded_feed(e, text, strlen(text)), 0);
}

/* A flush whose completion is a line: "ticket NAME CODE". */
static inline void note_ticket(cvy_transport_t *of, int status, void *arg)
{
    (void)of;
    recorder_line(&notes, "ticket %s %s", (const char *)arg, status ? uv_err_name(status) : "0");
}

static inline int ticket(const char *name)
{
    return cvy_transport_flush(t, note_ticket, (void *)(uintptr_t)name);
}

static inline TCase *fixed(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    return tc;
}

#endif
