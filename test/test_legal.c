/*
 * Proves legal.h (E11), and C2, E7, R1 along the way: performs every call in every situation of the table and compares.
 *
 * The chain: front, probe, back. Front and back are recorders; the probe performs the call. Each call looks for its effect as well as at its
 * answer, so that "does" and "does nothing" differ where both answer 0.
 */
#include "conveyor/core.h"
#include "fixture_chain.h"
#include "support.h"

#include <conveyor/credentials.h>
#include <conveyor/legal.h>
#include <setjmp.h>
#include <signal.h>

typedef enum verdict {
    DOES,
    NOTHING,
    NO,
    PIPE,
    CANCELED,
    NOENT,
    SRCH,
    GONE,
    PERM,
    ASSERT,
    RACE,
    ANY,
    BROKEN
} verdict_t;
static const char *const verdicts[] = { "DOES", "NOTHING", "NO",     "PIPE", "CANCELED", "NOENT", "SRCH",
                                        "GONE", "PERM",    "ASSERT", "RACE", "ANY",      "BROKEN" };

static recorder_t front, back, added;
static cvy_transport_id_t id;

static verdict_t verdict(int answer)
{
    switch (answer) {
    case 0: return DOES;
    case UV_EPIPE: return PIPE;
    case UV_ECANCELED: return CANCELED;
    case UV_ENOENT: return NOENT;
    case UV_ESRCH: return SRCH;
    case UV_EPERM: return PERM;
    default: return BROKEN;
    }
}

/* An answer of 0 or "removed" goes with an effect, every other with none. */
static verdict_t with_effect(int answer, bool effect)
{
    verdict_t v = verdict(answer);
    return effect == (v == DOES || v == CANCELED) ? v : v == DOES ? NOTHING : BROKEN;
}

static verdict_t does(bool effect)
{
    return effect ? DOES : NOTHING;
}

/* Firing */

/* Not on the stack: the jump out of an assertion leaves it behind. */
static cvy_buf_t parcel;

static void make(cvy_buf_t *b)
{
    cvy_buf_init(b, cvy_loop_pool(conn_loop));
    cvy_buf_append(b, "bytes", 5);
}

#define SEEN(call, recorder, event)                                  \
    int before = recorder_seen(&(recorder), event), answer = (call); \
    verdict_t v = with_effect(answer, recorder_seen(&(recorder), event) != before)

static const cvy_event_type_t user = { "user", 0 };
static cvy_event_t user_event = { &user };
static const cvy_error_t an_error = { UV_EPROTO, "test", NULL, 0, 0 };
static const cvy_close_t graceful = { CVY_CLOSE_GRACEFUL, 0 };

static verdict_t do_fire_inbound(cvy_ctx_t *ctx)
{
    SEEN(cvy_fire_inbound(ctx, &user_event), back, "in");
    return v;
}

static verdict_t do_fire_inbound_bytes(cvy_ctx_t *ctx)
{
    make(&parcel);
    SEEN(cvy_fire_inbound_bytes(ctx, &parcel), back, "bytes");
    return cvy_buf_len(&parcel) ? BROKEN : v;
}

static verdict_t do_fire_error(cvy_ctx_t *ctx)
{
    SEEN(cvy_fire_error(ctx, &an_error), back, "error");
    return v;
}

static verdict_t do_fire_outbound(cvy_ctx_t *ctx)
{
    SEEN(cvy_fire_outbound(ctx, &user_event), front, "out");
    return v;
}

static verdict_t do_fire_outbound_bytes(cvy_ctx_t *ctx)
{
    make(&parcel);
    SEEN(cvy_fire_outbound_bytes(ctx, &parcel), front, "out-bytes");
    return cvy_buf_len(&parcel) ? BROKEN : v;
}

static verdict_t do_fire_outbound_copy(cvy_ctx_t *ctx)
{
    SEEN(cvy_fire_outbound_copy(ctx, "x", 1), front, "out-bytes");
    return v;
}

static verdict_t do_fire_outbound_flush(cvy_ctx_t *ctx)
{
    SEEN(cvy_fire_outbound_flush(ctx), front, "flush");
    return v;
}

/* The answer comes after the close: it is EPIPE then, and the event is what tells. */
static verdict_t do_fire_outbound_close(cvy_ctx_t *ctx)
{
    int before = recorder_seen(&front, "out-close"), answer = cvy_fire_outbound_close(ctx, &graceful);
    bool effect = recorder_seen(&front, "out-close") != before;
    return effect && answer == UV_EPIPE ? DOES : with_effect(answer, effect);
}

/* The context */

static verdict_t do_ctx_state(cvy_ctx_t *ctx)
{
    return does(cvy_ctx_state(ctx) != NULL);
}

static verdict_t do_ctx_stage(cvy_ctx_t *ctx)
{
    return does(!strcmp(cvy_ctx_stage(ctx)->name, "probe"));
}

static verdict_t do_ctx_conveyor(cvy_ctx_t *ctx)
{
    return does(cvy_ctx_conveyor(ctx) == chain);
}

static verdict_t do_ctx_transport(cvy_ctx_t *ctx)
{
    return does(cvy_ctx_transport(ctx) == transport);
}

static verdict_t do_ctx_loop(cvy_ctx_t *ctx)
{
    return does(cvy_ctx_loop(ctx) == conn_loop);
}

static verdict_t do_ctx_pool(cvy_ctx_t *ctx)
{
    return does(cvy_ctx_pool(ctx) == cvy_loop_pool(conn_loop));
}

static verdict_t do_ctx_stopped(cvy_ctx_t *ctx)
{
    return verdict(cvy_ctx_stopped(ctx));
}

static verdict_t do_ctx_writable(cvy_ctx_t *ctx)
{
    return cvy_ctx_writable(ctx) ? DOES : NO;
}

static verdict_t do_ctx_timer(cvy_ctx_t *ctx)
{
    cvy_ctx_timer(ctx, 1);
    bool armed = cvy__wheel_next(&conn_loop->wheel) <= cvy_loop_now(conn_loop) + 1;
    cvy_ctx_timer(ctx, CVY_OFF);
    return does(armed);
}

static verdict_t do_ctx_suspend(cvy_ctx_t *ctx)
{
    cvy_ctx_suspend(ctx);
    return does(cvy_transport_suspended(transport));
}

static verdict_t do_ctx_resume(cvy_ctx_t *ctx)
{
    cvy_ctx_suspend(ctx);
    bool was = cvy_transport_suspended(transport);
    cvy_ctx_resume(ctx);
    return does(was && !cvy_transport_suspended(transport));
}

static verdict_t do_ctx_fail(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EPROTO, "a test");
    return does(chain->failures != NULL);
}

static verdict_t do_ctx_fail_limit(cvy_ctx_t *ctx)
{
    cvy_ctx_fail_limit(ctx, UV_EPROTO, "a test", 2, 1);
    return does(chain->failures != NULL);
}

static verdict_t do_ctx_activate_next(cvy_ctx_t *ctx)
{
    int before = recorder_seen(&back, "active");
    cvy_ctx_activate_next(ctx);
    return does(recorder_seen(&back, "active") != before);
}

static verdict_t do_ctx_read_closed_next(cvy_ctx_t *ctx)
{
    bool before = chain->read_closed_held;
    cvy_ctx_read_closed_next(ctx);
    return does(before && !chain->read_closed_held && !cvy__conveyor_is_closing(chain));
}

/* The chain */

static bool is_ctx(const cvy_ctx_t *ctx, void *arg)
{
    return ctx == arg;
}

static const cvy_stage_t *to_none(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    (void)ctx, (void)opts, (void)arg;
    return NULL;
}

#define ADDS(call)       \
    int answer = (call); \
    return with_effect(answer, added.ctx != NULL)

static verdict_t do_conveyor_add_last(cvy_ctx_t *ctx)
{
    (void)ctx;
    ADDS(cvy_conveyor_add_last(chain, &recorder_stage, &added, NULL));
}

static verdict_t do_conveyor_add_first(cvy_ctx_t *ctx)
{
    (void)ctx;
    ADDS(cvy_conveyor_add_first(chain, &recorder_stage, &added, NULL));
}

static verdict_t do_conveyor_add_before(cvy_ctx_t *ctx)
{
    ADDS(cvy_conveyor_add_before(chain, cvy_at_ctx(ctx), &recorder_stage, &added, NULL));
}

static verdict_t do_conveyor_add_after(cvy_ctx_t *ctx)
{
    ADDS(cvy_conveyor_add_after(chain, cvy_at_ctx(ctx), &recorder_stage, &added, NULL));
}

static verdict_t do_conveyor_remove(cvy_ctx_t *ctx)
{
    bool before = ctx && !(ctx->flags & CVY__CTX_REMOVED);
    int answer = cvy_conveyor_remove(chain, cvy_at_ctx(ctx));
    return with_effect(answer, before && cvy_conveyor_find(chain, cvy_at_ctx(ctx)) == NULL);
}

static verdict_t do_conveyor_replace(cvy_ctx_t *ctx)
{
    cvy_stage_with_t with = { &recorder_stage, &added };
    ADDS(cvy_conveyor_replace(chain, cvy_at_ctx(ctx), &with, 1));
}

static verdict_t do_conveyor_map(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_conveyor_map(chain, to_none, is_ctx, front.ctx) == 1 && !front.ctx);
}

static verdict_t do_conveyor_find(cvy_ctx_t *ctx)
{
    return does(ctx && cvy_conveyor_find(chain, cvy_at_ctx(ctx)) == ctx);
}

static verdict_t do_conveyor_fire_inbound(cvy_ctx_t *ctx)
{
    (void)ctx;
    SEEN(cvy_conveyor_fire_inbound(chain, &user_event), front, "in");
    return v;
}

static verdict_t do_conveyor_fire_outbound(cvy_ctx_t *ctx)
{
    (void)ctx;
    SEEN(cvy_conveyor_fire_outbound(chain, &user_event), back, "out");
    return v;
}

/* On failure the bytes stay with the caller. */
static verdict_t write_verdict(int answer, cvy_buf_t *b, bool effect)
{
    verdict_t v = with_effect(answer, effect);
    bool kept = cvy_buf_len(b) == 5;
    cvy_buf_fini(b);
    return kept == (answer != 0) ? v : BROKEN;
}

static verdict_t do_conveyor_write(cvy_ctx_t *ctx)
{
    (void)ctx;
    make(&parcel);
    int before = recorder_seen(&back, "out-bytes"), answer = cvy_conveyor_write(chain, &parcel);
    return write_verdict(answer, &parcel, recorder_seen(&back, "out-bytes") != before);
}

static verdict_t do_conveyor_transport(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_conveyor_transport(chain) == transport);
}

static verdict_t do_conveyor_loop(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_conveyor_loop(chain) == conn_loop);
}

/* The transport */

static verdict_t do_transport_write(cvy_ctx_t *ctx)
{
    (void)ctx;
    make(&parcel);
    size_t before = cvy_transport_queued(transport);
    int answer = cvy_transport_write(transport, &parcel);
    return write_verdict(answer, &parcel, cvy_transport_queued(transport) == before + 5);
}

static verdict_t do_transport_write_some(cvy_ctx_t *ctx)
{
    (void)ctx;
    make(&parcel);
    size_t taken = 0;
    int answer = cvy_transport_write_some(transport, &parcel, &taken);
    return write_verdict(answer, &parcel, taken == 5);
}

static int flushed;

static void on_flushed(cvy_transport_t *t, int status, void *arg)
{
    (void)t, (void)status, (void)arg;
    flushed++;
}

static verdict_t do_transport_flush(cvy_ctx_t *ctx)
{
    (void)ctx;
    return verdict(cvy_transport_flush(transport, on_flushed, NULL));
}

static verdict_t do_transport_queued(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_queued(transport) == 0);
}

static verdict_t do_transport_writable(cvy_ctx_t *ctx)
{
    (void)ctx;
    return cvy_transport_writable(transport) ? DOES : NO;
}

static verdict_t do_transport_close(cvy_ctx_t *ctx)
{
    (void)ctx;
    bool before = cvy_embedded_closed(conn, NULL);
    int answer = cvy_transport_close(transport, CVY_CLOSE_NOW);
    return with_effect(answer, !before && cvy_embedded_closed(conn, NULL));
}

static verdict_t do_transport_shutdown(cvy_ctx_t *ctx)
{
    (void)ctx;
    bool before = cvy_transport_closing(transport);
    int answer = cvy_transport_shutdown(transport, 0);
    return with_effect(answer, !before && cvy_transport_closing(transport));
}

static verdict_t do_transport_shutdown_write(cvy_ctx_t *ctx)
{
    (void)ctx;
    int answer = cvy_transport_shutdown_write(transport);
    return with_effect(answer,
                       cvy_transport_write_state(transport) == CVY_WRITE_SHUTTING && !cvy_transport_closing(transport));
}

static verdict_t do_transport_readable_state_changed(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_readable_state_changed(transport, false);
    bool suspended = cvy_transport_suspended(transport);
    cvy_transport_readable_state_changed(transport, true);
    return does(suspended && !cvy_transport_suspended(transport));
}

static verdict_t do_transport_on_flush_completed(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_on_flush_completed(transport, NULL, NULL);
    return DOES;
}

static verdict_t do_transport_on_writable_state_changed(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_on_writable_state_changed(transport, NULL, NULL);
    return DOES;
}

static verdict_t do_transport_on_shutdown_completed(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_on_shutdown_completed(transport, on_ended, NULL);
    return DOES;
}

static verdict_t do_transport_read_state(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_read_state(transport) <= CVY_READ_CLOSED);
}

static verdict_t do_transport_write_state(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_write_state(transport) <= CVY_WRITE_CLOSED);
}

static verdict_t do_transport_closing(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_closing(transport) == cvy__conveyor_is_closing(chain));
}

static verdict_t do_transport_self_endpoint(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!strcmp(cvy_transport_self_endpoint(transport), "embedded:"));
}

static verdict_t do_transport_other_endpoint(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!strcmp(cvy_transport_other_endpoint(transport), "embedded:"));
}

static verdict_t do_transport_self_address(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!cvy_transport_self_address(transport)); /* this kind has none */
}

static verdict_t do_transport_other_address(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!cvy_transport_other_address(transport));
}

static verdict_t do_transport_conveyor(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_conveyor(transport) == chain);
}

static verdict_t do_transport_loop(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_loop(transport) == conn_loop);
}

static verdict_t do_transport_fd(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_socket_t out;
    return does(cvy_transport_fd(transport, &out) == UV_ENOTSUP); /* this kind has none */
}

static verdict_t do_transport_peer_credentials(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_credentials_t out;
    return does(cvy_transport_peer_credentials(transport, &out) == UV_ENOTSUP); /* this kind has none */
}

static verdict_t do_transport_kind(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!strcmp(cvy_transport_kind(transport), "embedded"));
}

static verdict_t do_transport_stats(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_stats_t stats;
    cvy_transport_stats(transport, &stats);
    return does(stats.bytes_read == 0);
}

static verdict_t do_transport_suspended(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(!cvy_transport_suspended(transport));
}

static verdict_t do_transport_set_data(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_transport_set_data(transport, &user_event);
    return does(cvy_transport_data(transport) == &user_event);
}

static verdict_t do_transport_data(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_data(transport) == NULL);
}

static verdict_t do_transport_ref(cvy_ctx_t *ctx)
{
    (void)ctx;
    bool same = cvy_transport_ref(transport) == transport;
    cvy_transport_unref(transport);
    return does(same);
}

static verdict_t do_transport_unref(cvy_ctx_t *ctx)
{
    return do_transport_ref(ctx);
}

static verdict_t do_transport_id(cvy_ctx_t *ctx)
{
    (void)ctx;
    return does(cvy_transport_id(transport) == id);
}

static void on_posted(void *arg, int status)
{
    (void)arg, (void)status;
}

static void on_called(cvy_transport_t *t, void *arg, int status)
{
    (void)t, (void)arg, (void)status;
}

static verdict_t do_transport_post_write(cvy_ctx_t *ctx)
{
    (void)ctx;
    cvy_buf_t b = CVY_BUF_INIT;
    cvy_buf_append(&b, "bytes", 5);
    int answer = cvy_transport_post_write(conn_loop, id, &b, on_posted, NULL);
    return write_verdict(answer, &b, answer == 0);
}

static verdict_t do_transport_post_close(cvy_ctx_t *ctx)
{
    (void)ctx;
    return verdict(cvy_transport_post_close(conn_loop, id, &graceful));
}

static verdict_t do_transport_post_call(cvy_ctx_t *ctx)
{
    (void)ctx;
    return verdict(cvy_transport_post_call(conn_loop, id, on_called, NULL));
}

/* The table, and the situations */

typedef struct line {
    const char *name;
    verdict_t (*run)(cvy_ctx_t *ctx);
    verdict_t added, callback, outside, closing, removed, ended, thread;
} line_t;

#define LINE(call, added, callback, outside, closing, removed, ended, thread) \
    { #call, do_##call, added, callback, outside, closing, removed, ended, thread },
static const line_t lines[] = { CVY_LEGAL(LINE) };

static const line_t *now;
static verdict_t got;
static bool performed;
static bool in_added;                             /* the probe performs in its on_added */
static enum { JUST, CLOSE, REMOVE, REMOVED } how; /* what comes before it in the callback */

static void perform(cvy_ctx_t *ctx)
{
    got = now->run(ctx);
    performed = true;
}

static int probe_added(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    if (in_added) perform(ctx);
    in_added = false;
    return 0;
}

static void probe_timer(cvy_ctx_t *ctx)
{
    if (performed) return;
    if (how == CLOSE) cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
    if (how == REMOVE || how == REMOVED) ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), 0);
    if (how != REMOVED) perform(ctx);
}

static void probe_removed(cvy_ctx_t *ctx)
{
    if (how == REMOVED && !performed) perform(ctx);
}

static int hold(cvy_ctx_t *ctx)
{
    (void)ctx;
    return UV_EAGAIN;
}

static void pass_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_fire_inbound_bytes(ctx, in);
}

static const cvy_stage_t probe = {
    .name = "probe", .state_size = 1, .on_added = probe_added, .on_removed = probe_removed, .on_timer = probe_timer
};
static const cvy_stage_t holds_active = { .name = "probe",
                                          .on_removed = probe_removed,
                                          .on_timer = probe_timer,
                                          .on_active = hold,
                                          .on_inbound_bytes = pass_bytes };
static const cvy_stage_t holds_end = {
    .name = "probe", .on_removed = probe_removed, .on_timer = probe_timer, .on_read_closed = hold
};

static cvy_ctx_t *begin(const line_t *line)
{
    const cvy_stage_t *stage = strstr(line->name, "activate_next")      ? &holds_active
                               : strstr(line->name, "read_closed_next") ? &holds_end
                                                                        : &probe;
    now = line;
    got = BROKEN;
    performed = in_added = false;
    how = JUST;
    front = back = added = (recorder_t){ .flags = RECORD_SILENT | RECORD_PASS };
    static const recorder_rule_t handles[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    back.rules = handles;
    row_t rows[] = { { &recorder_stage, &front }, { stage, NULL }, { &recorder_stage, &back }, { 0 } };
    cvy_transport_opts_t opts = { .allow_half_close = 1 };
    open_conn(rows, &opts);
    id = cvy_transport_id(transport);
    if (stage == &holds_end) cvy_embedded_end(conn);
    return cvy_conveyor_find(chain, cvy_at_stage(stage));
}

static void judge(verdict_t expected, const char *situation)
{
    ck_assert_msg(performed, "%s %s: was not performed", now->name, situation);
    ck_assert_msg(got == expected, "%s %s: %s, the table says %s", now->name, situation, verdicts[got],
                  verdicts[expected]);
    cvy_buf_fini(&parcel);
    cvy_embedded_advance(conn, 60000);
    ends_clean();
}

#define EACH_LINE                                \
    const line_t *line = lines;                  \
    line < lines + sizeof lines / sizeof *lines; \
    line++

static void in_callback(const line_t *line, int first, verdict_t expected, const char *situation)
{
    cvy_ctx_t *ctx = begin(line);
    how = first;
    cvy_ctx_timer(ctx, 1);
    cvy_embedded_advance(conn, 1);
    judge(expected, situation);
}

/* E11 */
START_TEST(inside_on_added_each_call_is_as_the_table_says)
{
    for (EACH_LINE) {
        begin(line);
        in_added = true;
        ck_assert_int_eq(cvy_conveyor_add_before(chain, cvy_at_ctx(back.ctx), &probe, NULL, NULL), 0);
        cvy_embedded_run(conn);
        judge(line->added, "inside on_added");
    }
}
END_TEST

/* E11 */
START_TEST(inside_a_callback_each_call_is_as_the_table_says)
{
    for (EACH_LINE)
        in_callback(line, JUST, line->callback, "inside a callback");
}
END_TEST

/* E11 */
START_TEST(outside_any_dispatch_each_call_is_as_the_table_says)
{
    for (EACH_LINE) {
        perform(begin(line));
        judge(line->outside, "outside any dispatch");
    }
}
END_TEST

/* E11, C2, E6 */
START_TEST(after_closing_began_each_call_is_as_the_table_says)
{
    for (EACH_LINE) {
        cvy_ctx_t *ctx = begin(line);
        cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
        perform(ctx);
        judge(line->closing, "after closing began");
        in_callback(line, CLOSE, line->closing, "after closing began inside this callback");
    }
}
END_TEST

/* E11, E7 */
START_TEST(from_a_removed_context_each_call_is_as_the_table_says)
{
    for (EACH_LINE) {
        in_callback(line, REMOVE, line->removed, "from a removed context");
        in_callback(line, REMOVED, line->removed, "inside on_removed");
    }
}
END_TEST

/* E11, T16 */
START_TEST(after_shutdown_completed_each_call_is_as_the_table_says)
{
    for (EACH_LINE) {
        if (line->ended == GONE) continue;
        begin(line);
        cvy_transport_ref(transport);
        close_now();
        perform(NULL);
        cvy_transport_unref(transport);
        judge(line->ended, "after shutdown-completed");
    }
}
END_TEST

/* On another thread. In debug builds the assertion comes first, before anything was touched: the thread leaves it by a jump. */

static jmp_buf out_of_abort;

static void on_abort(int number)
{
    (void)number;
    longjmp(out_of_abort, 1);
}

static void on_thread(void *arg)
{
    if (setjmp(out_of_abort)) {
        got = ASSERT;
        performed = true;
    } else {
        perform(arg);
    }
}

static verdict_t on_another_thread(const line_t *line)
{
#ifdef NDEBUG
    return line->thread == ANY ? DOES : line->thread;
#else
    return line->thread == ANY ? DOES : line->thread == PERM ? ASSERT : line->thread;
#endif
}

/* E11, R1, R2 */
START_TEST(on_another_thread_each_call_that_is_checked_is_as_the_table_says)
{
    void (*before)(int) = signal(SIGABRT, on_abort);
    for (EACH_LINE) {
        verdict_t expected = on_another_thread(line);
        if (expected == RACE) continue;
#ifdef NDEBUG
        if (expected == ASSERT) continue;
#endif
        cvy_ctx_t *ctx = begin(line);
        uv_thread_t thread;
        ck_assert_int_eq(uv_thread_create(&thread, on_thread, ctx), 0);
        uv_thread_join(&thread);
        signal(SIGABRT, on_abort);
        judge(expected, "on another thread");
    }
    signal(SIGABRT, before);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("legal");
    TCase *all = ADD_TESTS(
        s, "legal", inside_on_added_each_call_is_as_the_table_says, inside_a_callback_each_call_is_as_the_table_says,
        outside_any_dispatch_each_call_is_as_the_table_says, after_closing_began_each_call_is_as_the_table_says,
        from_a_removed_context_each_call_is_as_the_table_says, after_shutdown_completed_each_call_is_as_the_table_says,
        on_another_thread_each_call_that_is_checked_is_as_the_table_says);
    tcase_add_checked_fixture(all, set_up, tear_down);
    return test_run(s);
}
