/*
 * What the tests of events, stages and chains share: one embedded connection with recorders in it, and the whole log compared.
 * Every test ends with ends_clean(), which closes what is open and sees that no segment and no allocation is left.
 */
#ifndef CVY_TEST_FIXTURE_CHAIN_H
#define CVY_TEST_FIXTURE_CHAIN_H

#include <check.h>
#include <conveyor/embedded.h>
#include <string.h>

#include "base/memory.h"
#include "recorder.h"

static recorder_log_t history;
static cvy_embedded_t *conn;
static cvy_conveyor_t *chain;
static cvy_transport_t *transport;
static cvy_loop_t *conn_loop;
static size_t memory_before, segments_before;

/* A row of stages, all recorders or all of the test's own: { stage, opts }, ..., { 0 } */
typedef struct row {
    const cvy_stage_t *stage;
    const void *opts;
} row_t;

static inline int add_row(cvy_conveyor_t *c, void *arg)
{
    int err = 0;
    for (const row_t *row = arg; row && row->stage && !err; row++)
        err = cvy_conveyor_add_last(c, row->stage, row->opts, NULL);
    return err;
}

static inline void on_ended(cvy_transport_t *t, int cause, void *arg)
{
    (void)t, (void)arg;
    recorder_line(&history, "ended %s", cause ? uv_err_name(cause) : "0");
}

static inline void set_up(void)
{
    memory_before = cvy__memory_live();
    segments_before = cvy_pool_live(NULL);
    recorder_log_init(&history);
    cvy_log_set(NULL, NULL);
    conn = NULL;
}

static inline void opened(void)
{
    chain = cvy_embedded_conveyor(conn);
    transport = cvy_embedded_transport(conn);
    conn_loop = cvy_loop_ref(cvy_embedded_loop(conn));
    cvy_transport_on_shutdown_completed(transport, on_ended, NULL);
}

/* Not connected yet: for those who want to hold it before active. */
static inline void prepare_conn(const row_t *rows, const cvy_transport_opts_t *opts)
{
    cvy_embedded_opts_t o = { .init = add_row, .arg = (void *)(uintptr_t)rows, .transport = opts, .connecting = true };
    ck_assert_int_eq(cvy_embedded_new(&conn, &o), 0);
    opened();
}

static inline void open_conn(const row_t *rows, const cvy_transport_opts_t *opts)
{
    prepare_conn(rows, opts);
    cvy_embedded_connect(conn, 0);
}

static inline void feed(const char *text)
{
    ck_assert_int_eq(cvy_embedded_feed(conn, text, strlen(text)), 0);
}

static inline void history_is(const char *golden)
{
    ck_assert_str_eq(recorder_text(&history), golden);
    recorder_clear(&history);
}

static inline void sent_is(const char *golden)
{
    char text[256] = "";
    size_t n = cvy_buf_read(cvy_embedded_sent(conn), text, sizeof text - 1);
    text[n] = 0;
    ck_assert_str_eq(text, golden);
}

static inline void close_now(void)
{
    cvy_transport_close(transport, CVY_CLOSE_NOW);
    cvy_embedded_run(conn);
}

static inline void ends_clean(void)
{
    if (conn) {
        cvy_embedded_free(conn);
        ck_assert_uint_eq(cvy_pool_live(cvy_loop_pool(conn_loop)), 0);
        cvy_loop_unref(conn_loop);
    }
    conn = NULL;
    ck_assert_uint_eq(cvy_pool_live(NULL), segments_before);
    ck_assert_uint_eq(cvy__memory_live(), memory_before);
}

static inline void tear_down(void)
{
    recorder_log_fini(&history);
}

/* A recorder that passes bytes on and keeps quiet about turns. */
#define RECORDER(text)                                                        \
    {                                                                         \
        .name = text, .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS \
    }

/* A hook that does one thing at one event of one recorder: arg points to one of these. */
typedef struct deed {
    const char *on;
    void (*run)(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in);
} deed_t;

static inline void do_deed(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    const deed_t *deed = r->arg;
    if (!strcmp(deed->on, event)) deed->run(r, ctx, in);
}

#define DOES(event, function)         \
    .hook = do_deed, .arg = &(deed_t) \
    {                                 \
        event, function               \
    }

#endif
