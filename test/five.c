/* Five recorders in a row, and the spots: each brings b into one callback, in a connection that does nothing else of note. */
#include "five.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

five_t five;

static const five_spot_t *spot_now;
static const five_act_t *act_now;
static int acts_left; /* 1 from the trigger on, until it has run */

/* The stages */

static void act(cvy_ctx_t *ctx)
{
    if (!acts_left) return;
    acts_left = 0;
    recorder_line(&five.log, "{");
    if (act_now->run) act_now->run(ctx);
    recorder_line(&five.log, "}");
}

static void on_event(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    (void)r;
    if (spot_now->event && !strcmp(event, spot_now->event)) act(ctx);
}

static recorder_t recorder(const char *name)
{
    unsigned flags = spot_now->flags & FIVE_TURNS ? RECORD_PASS : RECORD_PASS | RECORD_NO_TURNS;
    return (recorder_t){ .name = name, .log = &five.log, .flags = flags };
}

static void make_stages(void)
{
    static const char *const names[FIVE_FRESH] = { "n", "o", "p", "q", "r", "s", "u", "v" };
    five.h = recorder("h");
    five.a = recorder("a");
    five.b = recorder("b");
    five.c = recorder("c");
    five.t = recorder("t");
    five.b.hook = on_event;
    five.b.rules = spot_now->rules;
    if (spot_now->rules) five.b.flags &= ~(unsigned)RECORD_PASS;
    for (int i = 0; i < FIVE_FRESH; i++)
        five.fresh[i] = recorder(names[i]);
    five.fresh_used = 0;
}

recorder_t *five_take(void)
{
    ck_assert_uint_lt(five.fresh_used, FIVE_FRESH);
    return &five.fresh[five.fresh_used++];
}

void five_answer(int code)
{
    if (code) recorder_line(&five.log, "%s", uv_err_name(code));
}

void five_answers(int code)
{
    five.b.answer = code;
}

static int init(cvy_conveyor_t *c, void *arg)
{
    recorder_t *row[] = { &five.h, &five.a, &five.b, &five.c, &five.t };
    int err = 0;
    (void)arg;
    for (int i = 0; i < 5 && !err; i++) {
        bool is_b = row[i] == &five.b;
        if (is_b && spot_now->flags & FIVE_LATE) continue;
        err = cvy_conveyor_add_last(c, is_b ? spot_now->stage : &recorder_stage, row[i], NULL);
    }
    return err;
}

/* A life */

static void on_ended(cvy_transport_t *t, int cause, void *arg)
{
    bool was_reset;
    (void)t, (void)arg;
    cvy_embedded_closed(five.conn, &was_reset);
    recorder_line(&five.log, "ended %s%s", cause ? uv_err_name(cause) : "0", was_reset ? ", reset" : "");
}

/* What the peer got. */
static void note_wire(void)
{
    char text[128] = "";
    size_t n = cvy_buf_read(cvy_embedded_sent(five.conn), text, sizeof text - 1);
    text[n] = 0;
    if (n || cvy_embedded_shut(five.conn))
        recorder_line(&five.log, "wire %s%s", text, !cvy_embedded_shut(five.conn) ? "" : n ? " fin" : "fin");
}

static void open_it(void)
{
    static const cvy_transport_opts_t transport = {
        .high_bytes = 4, .low_bytes = 1, .hold_reads = CVY_OFF, .allow_half_close = 1
    };
    ck_assert_int_eq(
        cvy_embedded_new(&five.conn,
                         &(cvy_embedded_opts_t){ .init = init, .transport = &transport, .connecting = true }),
        0);
    five.transport = cvy_embedded_transport(five.conn);
    five.chain = cvy_embedded_conveyor(five.conn);
    cvy_transport_on_shutdown_completed(five.transport, on_ended, NULL);
}

static void connect_it(void)
{
    cvy_embedded_connect(five.conn, 0);
}

void five_step(void)
{
    recorder_line(&five.log, "|");
}

/* Who gets bytes now, either way. The peer may have ended; what would block passes from here on. */
void five_probe(void)
{
    cvy_buf_t b;
    if (cvy_transport_closing(five.transport)) return;
    five_step();
    cvy_embedded_feed(five.conn, "y", 1);
    cvy_buf_init(&b, NULL);
    ck_assert_int_eq(cvy_buf_append(&b, "z", 1), 0);
    five_answer(cvy_conveyor_write(five.chain, &b));
    cvy_buf_fini(&b);
    cvy_embedded_run(five.conn);
    cvy_embedded_block(five.conn, false);
}

static char *take_log(void)
{
    char *folded = recorder_fold(&five.log);
    recorder_clear(&five.log);
    return folded;
}

static void forget(void)
{
    free(five.prologue);
    free(five.story);
    five.prologue = five.story = NULL;
}

void five_live(const five_spot_t *spot, const five_act_t *act, void (*probe)(void))
{
    size_t memory = cvy__memory_live(), segments = cvy_pool_live(NULL);
    forget();
    spot_now = spot;
    act_now = act;
    recorder_log_init(&five.log);
    make_stages();
    open_it();
    if (!(spot->flags & FIVE_INIT)) connect_it();
    if (spot->prepare) spot->prepare();
    if (act->prepare) act->prepare();
    cvy_embedded_run(five.conn);
    five.prologue = take_log();
    acts_left = 1;
    spot->trigger();
    cvy_embedded_run(five.conn);
    ck_assert_msg(!acts_left, "%s: not reached", spot->name);
    if (!cvy_embedded_closed(five.conn, NULL)) probe();
    if (!cvy_embedded_closed(five.conn, NULL)) five_step(), cvy_transport_close(five.transport, CVY_CLOSE_NOW);
    cvy_embedded_run(five.conn);
    note_wire();
    five.story = take_log();
    cvy_embedded_free(five.conn);
    recorder_log_fini(&five.log);
    ck_assert_uint_eq(cvy_pool_live(NULL), segments);
    ck_assert_uint_eq(cvy__memory_live(), memory);
}

void five_section_is(const char *file, const five_spot_t *spot, const five_act_t *acts, void (*probe)(void))
{
    golden_text_t text = { NULL, 0, 0 };
    cvy_log_set(NULL, NULL);
    for (const five_act_t *act = acts; act->name; act++) {
        five_live(spot, act, probe);
        golden_add_case(&text, act->name, five.story);
    }
    golden_is(file, spot->name, text.text);
    golden_fini(&text);
    forget();
}

/* The spots */

static void outside(void)
{
    act(five.b.ctx);
}

static void add_b(void)
{
    five_answer(cvy_conveyor_add_after(five.chain, cvy_at_ctx(five.a.ctx), spot_now->stage, &five.b, NULL));
}

static void feed_x(void)
{
    ck_assert_int_eq(cvy_embedded_feed(five.conn, "x", 1), 0);
}

static void write_x(void)
{
    cvy_fire_outbound_copy(five.t.ctx, "x", 1);
}

static void end_peer(void)
{
    cvy_embedded_end(five.conn);
}

static void fill(void)
{
    cvy_embedded_block(five.conn, true);
    cvy_fire_outbound_copy(five.t.ctx, "123456", 6);
}

static void drain(void)
{
    cvy_embedded_block(five.conn, false);
}

static void fail_a(void)
{
    cvy_ctx_fail(five.a.ctx, UV_EPROTO, "a test");
}

static void handle_at_t(void)
{
    static const recorder_rule_t rules[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    five.t.rules = rules;
}

static void close_it(void)
{
    cvy_transport_close(five.transport, CVY_CLOSE_NOW);
}

static void remove_b(void)
{
    five_answer(cvy_conveyor_remove(five.chain, cvy_at_ctx(five.b.ctx)));
}

static void set_timer(void)
{
    cvy_ctx_timer(five.b.ctx, 5);
}

static void pass_time(void)
{
    cvy_embedded_advance(five.conn, 5);
}

static void hold_reading(void)
{
    cvy_transport_readable_state_changed(five.transport, false);
}

static void go_on_reading(void)
{
    cvy_transport_readable_state_changed(five.transport, true);
}

static void shut_down(void)
{
    cvy_transport_shutdown(five.transport, 0);
}

static void fire_question(void)
{
    cvy_event_t ev = { &recorder_question_event };
    cvy_conveyor_fire_inbound(five.chain, &ev);
}

static void fire_answer(void)
{
    cvy_event_t ev = { &recorder_answer_event };
    cvy_conveyor_fire_outbound(five.chain, &ev);
}

static const recorder_rule_t hold_active[] = { { "active", 1, RECORD_HOLD, NULL, 0 }, { 0 } };
static const recorder_rule_t hold_end[] = { { "read-closed", 1, RECORD_HOLD, NULL, 0 }, { 0 } };

#define STAGE     &recorder_stage
#define CATCH_ALL &recorder_catch_all_stage
#define TABLE     &recorder_table_stage

const five_spot_t five_spots[] = {
    { "outside", NULL, STAGE, 0, NULL, outside, NULL },
    { "on_added, at init", "added", STAGE, FIVE_INIT, NULL, connect_it, NULL },
    { "on_added, later", "added", STAGE, FIVE_LATE, NULL, add_b, NULL },
    { "on_active", "active", STAGE, FIVE_INIT, NULL, connect_it, NULL },
    { "on_active, added later", "active", STAGE, FIVE_LATE, NULL, add_b, NULL },
    { "on_timer", "timer", STAGE, 0, set_timer, pass_time, NULL },
    { "on_inbound_bytes", "bytes", STAGE, 0, NULL, feed_x, NULL },
    { "on_read_complete", "read-complete", STAGE, FIVE_TURNS, NULL, feed_x, NULL },
    { "on_read_closed", "read-closed", STAGE, 0, NULL, end_peer, NULL },
    { "on_outbound_suspend", "outbound-suspend", STAGE, 0, NULL, fill, NULL },
    { "on_outbound_resume", "outbound-resume", STAGE, 0, fill, drain, NULL },
    { "on_error", "error", STAGE, 0, handle_at_t, fail_a, NULL },
    { "on_inactive", "inactive", STAGE, FIVE_END, NULL, close_it, NULL },
    { "on_removed", "removed", STAGE, 0, NULL, remove_b, NULL },
    { "on_removed, at the end", "removed", STAGE, FIVE_END, NULL, close_it, NULL },
    { "on_outbound_bytes", "out-bytes", STAGE, 0, NULL, write_x, NULL },
    { "on_outbound_flush", "flush", STAGE, FIVE_TURNS, NULL, write_x, NULL },
    { "on_inbound_resume", "inbound-resume", STAGE, 0, hold_reading, go_on_reading, NULL },
    { "on_outbound_close", "out-close", STAGE, FIVE_END, NULL, shut_down, NULL },
    { "a user event inbound, from the table", "in", TABLE, 0, NULL, fire_question, NULL },
    { "a user event outbound, from the table", "out", TABLE, 0, NULL, fire_answer, NULL },
    { "on_inbound: a user event", "in", CATCH_ALL, 0, NULL, fire_question, NULL },
    { "on_outbound: a user event", "out", CATCH_ALL, 0, NULL, fire_answer, NULL },
    { "on_inbound: active", "in", CATCH_ALL, FIVE_INIT, NULL, connect_it, NULL },
    { "on_inbound: bytes", "in", CATCH_ALL, 0, NULL, feed_x, NULL },
    { "on_outbound: bytes", "out", CATCH_ALL, 0, NULL, write_x, NULL },
    { "on_active, holding it", "active", STAGE, FIVE_INIT, NULL, connect_it, hold_active },
    { "outside, while b holds active", NULL, STAGE, 0, NULL, outside, hold_active },
    { "on_inbound_bytes, while b holds active", "bytes", STAGE, 0, NULL, feed_x, hold_active },
    { "on_read_closed, holding it", "read-closed", STAGE, 0, NULL, end_peer, hold_end },
    { "outside, while b holds the end", NULL, STAGE, 0, end_peer, outside, hold_end },
};
const int five_spot_count = (int)(sizeof five_spots / sizeof *five_spots);
