/*
 * M3, on open connections: every stock stage in every layout, changes to the chain, closing, holding and posting. Each scenario runs
 * on a wire of its own; a bystander on the same loop goes on unharmed. Closing needs no memory at all.
 *
 * test/failing_memory.sh asks that every stage of include/conveyor stands in the table.
 */
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "failing.h"
#include "support.h"
#include "wire.h"

/* One loop, a bystander, and the wire that memory fails for. */
typedef struct scene {
    failing_t *f;
    cvy_loop_t *loop, *other; /* other: of the far end, for a pair over two loops */
    wire_t bystander, x;
} scene_t;

static const recorder_rule_t echo[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };

static void goes_on(wire_t *w)
{
    uint64_t before = w->a.r.bytes;
    ck_assert(w->a.t && w->b.t);
    ck_assert_int_eq(wire_text(&w->a, "still here?"), 0);
    WIRE_UNTIL(w, w->a.r.bytes == before + 11);
}

static void begin(scene_t *s, wire_kind_t kind, failing_t *f)
{
    memset(s, 0, sizeof *s);
    s->f = f;
    ck_assert_int_eq(cvy_loop_new(&s->loop, &failing_no_cache), 0);
    wire_init(&s->bystander, kind == WIRE_PAIR_LOOPS ? WIRE_PAIR : kind);
    s->bystander.a.r.flags = s->bystander.b.r.flags = RECORD_SILENT;
    s->bystander.b.r.rules = echo;
    ck_assert_int_eq(wire_open(&s->bystander, s->loop), 0);
    goes_on(&s->bystander);
    wire_init(&s->x, kind);
    s->x.a.r.flags = s->x.b.r.flags = RECORD_SILENT;
    s->x.a.r.hook = s->x.b.r.hook = wire_hook;
    if (kind != WIRE_PAIR_LOOPS) return;
    ck_assert_int_eq(cvy_loop_new(&s->other, &failing_no_cache), 0);
    s->x.b.loop = cvy_loop_ref(s->other);
}

static void open_x(scene_t *s)
{
    ck_assert_int_eq(wire_open(&s->x, s->loop), 0);
    failing_arm(s->f);
}

/* Memory is there again. What was lost was lost for the want of it. */
static void over(scene_t *s)
{
    const wire_t *x = &s->x;
    bool lost = x->a.cause < 0 || x->b.cause < 0;
    failing_over(s->f);
    if (lost) ck_assert(s->f->failed);
    if (lost) ck_assert(x->a.cause == UV_ENOMEM || x->b.cause == UV_ENOMEM);
}

static void end_loop(cvy_loop_t *loop)
{
    cvy_loop_stop(loop);
    cvy_loop_run(loop);
    cvy_loop_unref(loop);
}

static void end(scene_t *s)
{
    wire_fini(&s->x);
    goes_on(&s->bystander);
    wire_fini(&s->bystander);
    end_loop(s->loop);
    if (s->other) end_loop(s->other);
}

#define SCENES(s, kind) \
    scene_t s;          \
    FAILING_EACH(f)     \
    for (int once = (begin(&s, kind, &f), 1); once; once = 0, end(&s))

/* Stages */

typedef struct stage_row {
    const char *name;
    const cvy_stage_t *stage;
    const void *opts;
    const char *ending; /* of a message on the wire, where the stage adds none */
    size_t extra;       /* bytes of a frame's header that are delivered too */
} stage_row_t;

#define FRAME(text, more, ...)                                                               \
    {                                                                                        \
        "frame, " text, &cvy_frame_stage, &(const cvy_frame_opts_t){ __VA_ARGS__ }, "", more \
    }

static const cvy_delimiter_t two[] = { { "--", 2 }, { "==", 2 } };

static const stage_row_t stages[] = {
    FRAME("4 bytes", 0, .width = 4),
    FRAME("2 bytes", 0, .width = 2),
    FRAME("3 bytes, little endian", 0, .width = 3, .little_endian = 1),
    FRAME("8 bytes", 0, .width = 8),
    FRAME("varint", 0, .width = CVY_FRAME_VARINT),
    FRAME("the header counted", 0, .width = 4, .includes_header = 1),
    FRAME("behind two bytes", 4, .width = 4, .offset = 2),
    FRAME("adjusted", 4, .width = 4, .adjustment = 2),
    FRAME("stripped", 0, .width = 4, .offset = 2, .strip = 4),
    { "line", &cvy_line_stage, &(const cvy_line_opts_t){ .outbound = CVY_LINE_END_CRLF }, "", 0 },
    { "line, with its end", &cvy_line_stage, &(const cvy_line_opts_t){ .keep_end = 1 }, "\n", 1 },
    { "delimiter", &cvy_delimiter_stage,
      &(const cvy_delimiter_opts_t){ .delimiters = two, .count = 2, .append_outbound = 1 }, "", 0 },
    { "delimiter, kept", &cvy_delimiter_stage,
      &(const cvy_delimiter_opts_t){ .delimiters = two, .count = 2, .keep_end = 1 }, "==", 2 },
    { "fixed", &cvy_fixed_stage, &(const cvy_fixed_opts_t){ .bytes = 5000 }, "", 0 },
    { "idle", &cvy_idle_stage, &(const cvy_idle_opts_t){ .read_ms = 60000, .write_ms = 60000, .all_ms = 60000 }, "",
      0 },
    { "heartbeat", &cvy_heartbeat_stage, &(const cvy_heartbeat_opts_t){ .bytes = "beat", .n = 4 }, "", 0 },
    { "flow control", &cvy_flow_control_stage, NULL, "", 0 },
    { "trace", &cvy_trace_stage, &(const cvy_trace_opts_t){ .level = CVY_LOG_DEBUG }, "", 0 },
};
enum { STAGES = sizeof stages / sizeof *stages };

/* Several segments long, and no ending in it. 60000: lines and delimiters allow 65536. */
static const size_t lengths[] = { 5000, 60000, 10000 };

/* UV_ENOMEM: there was none for the message itself. */
static int say(wire_end_t *end, size_t n, const char *ending)
{
    char text[60000];
    cvy_buf_t b;
    memset(text, 'x', n);
    cvy_buf_init(&b, cvy_loop_pool(end->loop));
    int err = cvy_buf_append(&b, text, n);
    if (!err) err = cvy_buf_append(&b, ending, strlen(ending));
    if (!err && end->t) cvy_conveyor_write(cvy_transport_conveyor(end->t), &b);
    cvy_buf_fini(&b);
    return err;
}

static void send_all(scene_t *s, const stage_row_t *row)
{
    wire_t *x = &s->x;
    uint64_t wanted = 0;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!say(&x->a, lengths[i], row->ending)) wanted += lengths[i] + row->extra;
    WIRE_UNTIL(x, x->b.r.bytes == wanted || !x->a.t || !x->b.t);
    if (!failing_happened(s->f)) ck_assert_uint_eq(x->b.r.bytes, wanted);
}

static int add_stage(const wire_end_t *end, const stage_row_t *row)
{
    cvy_ctx_t *ctx = NULL;
    return cvy_conveyor_add_first(cvy_transport_conveyor(end->t), row->stage, row->opts, &ctx);
}

/* Refused for want of memory it is added the second time. */
static void add_anyway(scene_t *s, const wire_end_t *end, const stage_row_t *row)
{
    int err = add_stage(end, row);
    if (!err) return;
    ck_assert_int_eq(err, UV_ENOMEM);
    ck_assert(failing_happened(s->f));
    ck_assert_ptr_null(cvy_conveyor_find(cvy_transport_conveyor(end->t), cvy_at_stage(row->stage)));
    ck_assert_int_eq(add_stage(end, row), 0);
}

static void no_log(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

/* M3 */
START_TEST(every_stage_in_every_layout)
{
    const stage_row_t *row = &stages[_i];
    cvy_log_set(no_log, NULL);
    SCENES(s, WIRE_TCP)
    {
        s.x.a.r.hook = s.x.b.r.hook = NULL;
        open_x(&s);
        add_anyway(&s, &s.x.a, row);
        add_anyway(&s, &s.x.b, row);
        send_all(&s, row);
        over(&s);
    }
}
END_TEST

/* M3: All of them in one conveyor, taken away and put back while bytes pass. */
START_TEST(stages_added_replaced_and_removed)
{
    static const cvy_stage_with_t twins[] = { { &cvy_flow_control_stage, NULL }, { &cvy_idle_stage, NULL } };
    SCENES(s, WIRE_PIPE)
    {
        open_x(&s);
        cvy_conveyor_t *c = cvy_transport_conveyor(s.x.a.t);
        const stage_row_t *idle = &stages[14];
        add_anyway(&s, &s.x.a, idle);
        int err = cvy_conveyor_replace(c, cvy_at_stage(&cvy_idle_stage), twins, 2);
        ck_assert(!err || (err == UV_ENOMEM && failing_happened(&f)));
        if (err) ck_assert_ptr_nonnull(cvy_conveyor_find(c, cvy_at_stage(&cvy_idle_stage))); /* the old one stays */
        if (err) ck_assert_int_eq(cvy_conveyor_replace(c, cvy_at_stage(&cvy_idle_stage), twins, 2), 0);
        ck_assert_int_eq(cvy_conveyor_remove(c, cvy_at_stage(&cvy_flow_control_stage)), 0);
        send_all(&s, idle);
        over(&s);
    }
}
END_TEST

/* Everything at once */

static void talk(scene_t *s)
{
    wire_t *x = &s->x;
    failing_arm(s->f);
    int err = wire_open(x, s->loop);
    ck_assert(!err || err == UV_ENOMEM);
    if (!err && x->a.t && x->b.t) {
        uint64_t sent = 0;
        for (int i = 0; i < 3; i++)
            if (!say(&x->a, 20000, "")) sent += 20000;
        WIRE_UNTIL(x, !x->a.t || !x->b.t || x->b.r.bytes == sent);
        if (x->a.t) cvy_transport_close(x->a.t, CVY_CLOSE_GRACEFUL);
        if (x->b.t && !x->a.t) cvy_transport_close(x->b.t, CVY_CLOSE_NOW);
        WIRE_UNTIL(x, wire_gone(x));
    }
}

/* M3 */
START_TEST(a_life_from_opening_to_the_end)
{
    SCENES(s, (wire_kind_t)_i)
    {
        s.x.a.r.hook = s.x.b.r.hook = NULL;
        talk(&s);
        failing_over(&f);
    }
}
END_TEST

/* Closing */

typedef struct tickets {
    int asked, done, failed;
} tickets_t;

static void on_flushed(cvy_transport_t *t, int status, void *arg)
{
    tickets_t *k = arg;
    (void)t;
    k->done++;
    k->failed += status != 0;
}

/* A queue that waits, with a ticket behind each write; none is lost, whatever fails. */
static void fill(scene_t *s, tickets_t *k)
{
    wire_t *x = &s->x;
    for (int i = 0; i < 4; i++) {
        say(&x->a, 60000, "");
        int err = x->a.t ? cvy_transport_flush(x->a.t, on_flushed, k) : UV_EPIPE;
        ck_assert(!err || (err == UV_ENOMEM && failing_happened(s->f)) || (err == UV_EPIPE && failing_happened(s->f)));
        k->asked += !err;
    }
}

static void close_with_a_queue(wire_kind_t kind, cvy_close_verb_t verb)
{
    SCENES(s, kind)
    {
        wire_t *x = &s.x;
        tickets_t k = { 0 };
        x->a.r.hook = x->b.r.hook = NULL;
        x->a.opts.send_buffer = 16384;
        open_x(&s);
        cvy_transport_readable_state_changed(x->b.t, false);
        fill(&s, &k);
        wire_turns(x, 2);
        if (x->a.t) cvy_transport_close(x->a.t, verb);
        if (x->b.t) cvy_transport_readable_state_changed(x->b.t, true);
        WIRE_UNTIL(x, wire_gone(x));
        failing_over(&f);
        ck_assert_int_eq(k.done, k.asked);
        if (!f.failed && verb == CVY_CLOSE_GRACEFUL) ck_assert_uint_eq(x->b.r.bytes, 4 * 60000);
        if (!f.failed && verb == CVY_CLOSE_GRACEFUL) ck_assert_int_eq(k.failed, 0);
    }
}

/* M3 */
START_TEST(a_close_of_each_verb_with_a_queue_and_tickets)
{
    close_with_a_queue((wire_kind_t)_i, CVY_CLOSE_GRACEFUL);
    close_with_a_queue((wire_kind_t)_i, CVY_CLOSE_NOW);
    close_with_a_queue((wire_kind_t)_i, CVY_CLOSE_RESET);
}
END_TEST

/* M3: Our side ends, the peer answers behind it. */
START_TEST(a_half_close_and_the_answer)
{
    static const recorder_rule_t answer[] = { { "read-closed", 1, RECORD_WRITE, "the answer", 0 },
                                              { "read-closed", 1, RECORD_END, NULL, 0 },
                                              { 0 } };
    if (!wire_half_closes((wire_kind_t)_i)) return;
    SCENES(s, (wire_kind_t)_i)
    {
        wire_t *x = &s.x;
        x->a.r.hook = x->b.r.hook = NULL;
        x->a.opts.allow_half_close = x->b.opts.allow_half_close = 1;
        x->b.r.rules = answer;
        open_x(&s);
        say(&x->a, 10, "");
        if (x->a.t) cvy_transport_shutdown_write(x->a.t);
        WIRE_UNTIL(x, wire_gone(x)); /* also where there is no memory for the end itself */
        if (!failing_happened(&f)) ck_assert_uint_eq(x->a.r.bytes, 10);
        over(&s);
    }
}
END_TEST

/* M3: What flow control and a frame stage hold while reading is suspended comes with the resume. */
START_TEST(bytes_held_while_reading_is_suspended)
{
    static const recorder_rule_t hold[] = { { "bytes", 1, RECORD_SUSPEND, NULL, 0 }, { 0 } };
    SCENES(s, (wire_kind_t)_i)
    {
        wire_t *x = &s.x;
        x->a.r.hook = x->b.r.hook = NULL;
        x->b.r.rules = hold;
        open_x(&s);
        add_anyway(&s, &x->a, &stages[0]);
        add_anyway(&s, &x->b, &stages[16]);
        add_anyway(&s, &x->b, &stages[0]);
        int sent = 0;
        for (int i = 0; i < 10; i++)
            sent += !say(&x->a, 20, "");
        WIRE_UNTIL(x, x->b.r.bytes || !x->a.t || !x->b.t);
        wire_turns(x, 3);
        if (!failing_happened(&f)) ck_assert_uint_eq(x->b.r.bytes, 20);
        if (x->b.r.ctx) cvy_ctx_resume(x->b.r.ctx);
        WIRE_UNTIL(x, x->b.r.bytes == 20u * (unsigned)sent || !x->a.t || !x->b.t);
        over(&s);
    }
}
END_TEST

/* M3: A stage's failure is told by an error event; where there is no memory for one, the connection ends with that code. */
START_TEST(a_failure_handled_or_not)
{
    static const recorder_rule_t handle[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    SCENES(s, WIRE_TCP)
    {
        wire_t *x = &s.x;
        static recorder_log_t log;
        recorder_t front = { .name = "front", .log = &log, .flags = RECORD_SILENT | RECORD_PASS };
        recorder_log_init(&log);
        x->a.r.rules = handle;
        ck_assert_int_eq(wire_open(x, s.loop), 0);
        ck_assert_int_eq(cvy_conveyor_add_first(cvy_transport_conveyor(x->a.t), &recorder_stage, &front, NULL), 0);
        failing_arm(&f);
        cvy_ctx_fail(front.ctx, UV_EPROTO, "on purpose");
        wire_turns(x, 3);
        if (failing_over(&f))
            ck_assert_int_eq(x->a.cause, UV_EPROTO);
        else
            ck_assert(x->a.t && x->b.t && recorder_seen(&x->a.r, "error") == 1);
        wire_fini(x);
        recorder_fini(&front);
        recorder_log_fini(&log);
        wire_init(x, WIRE_TCP); /* for the end */
    }
}
END_TEST

/* Posting */

typedef struct posts {
    cvy_loop_t *loop;
    cvy_transport_id_t id;
    cvy_buf_t bytes;
    int written, called; /* answers of the calls */
    int ran;             /* callbacks */
} posts_t;

static void on_post(void *arg, int status)
{
    posts_t *p = arg;
    (void)status;
    p->ran++;
}

static void on_call(cvy_transport_t *t, void *arg, int status)
{
    (void)t;
    on_post(arg, status);
}

static void post_both(void *arg)
{
    posts_t *p = arg;
    size_t n = cvy_buf_len(&p->bytes);
    p->written = cvy_transport_post_write(p->loop, p->id, &p->bytes, on_post, p);
    ck_assert_uint_eq(cvy_buf_len(&p->bytes), p->written ? n : 0); /* taken, or untouched */
    p->called = cvy_transport_post_call(p->loop, p->id, on_call, p);
}

static void post_close(void *arg)
{
    posts_t *p = arg;
    p->written = cvy_transport_post_close(p->loop, p->id, &(cvy_close_t){ CVY_CLOSE_NOW, 0 });
}

static void run_in(bool thread, void (*what)(void *arg), posts_t *p)
{
    uv_thread_t other;
    if (!thread) {
        what(p);
        return;
    }
    ck_assert_int_eq(uv_thread_create(&other, what, p), 0);
    uv_thread_join(&other);
}

static void post_failing(bool thread)
{
    SCENES(s, WIRE_TCP)
    {
        wire_t *x = &s.x;
        x->a.r.hook = x->b.r.hook = NULL;
        ck_assert_int_eq(wire_open(x, s.loop), 0);
        posts_t p = { .loop = s.loop, .id = cvy_transport_id(x->a.t) };
        cvy_buf_init(&p.bytes, NULL);
        ck_assert_int_eq(cvy_buf_append(&p.bytes, "posted", 6), 0);
        failing_arm(&f);
        run_in(thread, post_both, &p);
        ck_assert(!p.written || p.written == UV_ENOMEM);
        ck_assert(!p.called || p.called == UV_ENOMEM);
        WIRE_UNTIL(x, p.ran == !p.written + !p.called);
        over(&s);
        cvy_buf_fini(&p.bytes);
    }
    SCENES(s2, WIRE_TCP)
    {
        wire_t *x = &s2.x;
        ck_assert_int_eq(wire_open(x, s2.loop), 0);
        posts_t p = { .loop = s2.loop, .id = cvy_transport_id(x->a.t) };
        failing_arm(&f);
        run_in(thread, post_close, &p);
        failing_setup(&f, p.written);
        if (p.written) run_in(thread, post_close, &p);
        ck_assert_int_eq(p.written, 0);
        WIRE_UNTIL(x, wire_gone(x));
    }
}

/* M3 */
START_TEST(posts_from_the_own_thread_and_another)
{
    post_failing(false);
    post_failing(true);
}
END_TEST

int main(void)
{
    failing_install();
    Suite *suite = suite_create("failing memory, stages");
    TCase *tc = test_case("stages");
    tcase_add_loop_test(tc, every_stage_in_every_layout, 0, STAGES);
    tcase_add_test(tc, stages_added_replaced_and_removed);
    tcase_add_test(tc, a_failure_handled_or_not);
    suite_add_tcase(suite, tc);
    tc = ADD_TESTS(suite, "every kind", posts_from_the_own_thread_and_another);
    ADD_OVER_KINDS(tc, a_life_from_opening_to_the_end);
    ADD_OVER_KINDS(tc, a_close_of_each_verb_with_a_queue_and_tickets);
    ADD_OVER_KINDS(tc, a_half_close_and_the_answer);
    ADD_OVER_KINDS(tc, bytes_held_while_reading_is_suspended);
    return test_run(suite);
}
