/* Trace: it says what passes and changes nothing; contract E3. */
#include <string.h>

#include <conveyor/conveyor.h>
#include <uv.h>

#include "base/memory.h"
#include "recorder.h"
#include "support.h"

static recorder_log_t lines;
static int levels;

static void take_line(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg;
    levels |= 1 << level;
    recorder_line(&lines, "%s", line);
}

static void begin(void)
{
    recorder_log_init(&lines);
    cvy_log_set(take_line, NULL);
    levels = 0;
}

static void end(cvy_embedded_t *e)
{
    cvy_embedded_free(e);
    cvy_log_set(NULL, NULL);
    recorder_log_fini(&lines);
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

typedef struct setup {
    const cvy_trace_opts_t *opts;
    recorder_t *before, *after;
} setup_t;

static int init(cvy_conveyor_t *c, void *arg)
{
    setup_t *s = arg;
    int err = s->before ? cvy_conveyor_add_last(c, &recorder_stage, s->before, NULL) : 0;
    if (!err) err = cvy_trace_add(c, s->opts);
    return err || !s->after ? err : cvy_conveyor_add_last(c, &recorder_stage, s->after, NULL);
}

static cvy_embedded_t *open_with(setup_t *s, const cvy_transport_opts_t *t)
{
    cvy_embedded_t *e = NULL;
    ck_assert_int_eq(cvy_embedded_new(&e, &(cvy_embedded_opts_t){ .init = init, .arg = s, .transport = t }), 0);
    return e;
}

static bool said(const char *line)
{
    return strstr(recorder_text(&lines), line) != NULL;
}

START_TEST(bytes_are_dumped_in_rows_of_sixteen)
{
    setup_t s = { .opts = &(cvy_trace_opts_t){ .name = "wire" } };
    begin();
    cvy_embedded_t *e = open_with(&s, NULL);
    recorder_clear(&lines);
    cvy_log_set(take_line, NULL);
    cvy_embedded_feed(e, "hello, world!\n\0\377more", 20);
    ck_assert(said("wire <- bytes 20\n"
                   "wire      0  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 0a 00 ff  |hello, world!...|\n"
                   "wire     16  6d 6f 72 65                                      |more|\n"));
    end(e);
}
END_TEST

START_TEST(a_dump_ends_at_its_limit)
{
    char big[100];
    setup_t s = { 0 };
    memset(big, 'x', sizeof big);
    begin();
    cvy_embedded_t *e = open_with(&s, NULL);
    cvy_embedded_feed(e, big, sizeof big);
    ck_assert(said("trace     48  "));
    ck_assert(!said("trace     64  "));
    ck_assert(said("trace        ... 36 more\n"));
    end(e);
}
END_TEST

START_TEST(a_dump_can_be_off_and_lines_have_a_level)
{
    setup_t s = { .opts = &(cvy_trace_opts_t){ .dump_bytes = CVY_OFF, .level = CVY_LOG_INFO } };
    begin();
    cvy_embedded_t *e = open_with(&s, NULL);
    ck_assert_int_eq(levels, 1 << CVY_LOG_INFO);
    cvy_embedded_feed(e, "abc", 3);
    ck_assert(said("trace <- bytes 3\n"));
    ck_assert(!said("|abc|"));
    end(e);
}
END_TEST

typedef struct hello {
    cvy_event_t event;
} hello_t;
CVY_EVENT(hello);

/* Every event of a life, in both directions. */
static void live(cvy_embedded_t *e, const recorder_t *before, const recorder_t *after)
{
    hello_t ev = { CVY_EVENT_OF(hello) };
    static char big[200];
    cvy_embedded_feed(e, "in", 2);
    cvy_conveyor_fire_inbound(cvy_embedded_conveyor(e), &ev.event);
    cvy_conveyor_fire_outbound(cvy_embedded_conveyor(e), &ev.event);
    cvy_embedded_block(e, true);
    cvy_fire_outbound_copy(after->ctx, big, sizeof big);
    cvy_embedded_run(e);
    cvy_embedded_block(e, false);
    cvy_embedded_end(e);
    cvy_ctx_fail(before->ctx, UV_EPROTO, "x");
    cvy_embedded_run(e);
    cvy_transport_shutdown(cvy_embedded_transport(e), UV_EBUSY);
    cvy_embedded_run(e);
}

static const cvy_transport_opts_t small = { .high_bytes = 100, .low_bytes = 50, .allow_half_close = 1 };

START_TEST(every_event_has_its_line)
{
    static const char *const want[] = { "-- added",
                                        "<- active embedded",
                                        "<- bytes 2",
                                        "<- read-complete",
                                        "<- hello",
                                        "-> hello",
                                        "-> bytes 200",
                                        "-> outbound-flush",
                                        "<- outbound-suspend",
                                        "<- outbound-resume",
                                        "-> inbound-resume",
                                        "<- read-closed",
                                        "-> outbound-close graceful EBUSY",
                                        "<- inactive",
                                        "-- removed" };
    recorder_t a = { .name = "a",
                     .flags = RECORD_PASS,
                     .rules = (recorder_rule_t[]){ { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } } };
    recorder_t b = { .name = "b", .rules = a.rules };
    setup_t s = { .before = &a, .after = &b };
    begin();
    cvy_embedded_t *e = open_with(&s, &small);
    live(e, &a, &b);
    cvy_transport_close(cvy_embedded_transport(e), CVY_CLOSE_NOW);
    cvy_embedded_run(e);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        ck_assert_msg(said(want[i]), "no line '%s' in:\n%s", want[i], recorder_text(&lines));
    end(e);
    recorder_fini(&a);
    recorder_fini(&b);
}
END_TEST

START_TEST(errors_pass_and_are_told)
{
    recorder_t a = { .name = "a" }, b = { .name = "b" };
    setup_t s = { .before = &a, .after = &b };
    begin();
    cvy_embedded_t *e = open_with(&s, NULL);
    cvy_ctx_fail_limit(a.ctx, UV_EMSGSIZE, "too long", 9, 5);
    cvy_embedded_run(e);
    ck_assert(said("trace <- error recorder: too long (9 > 5): EMSGSIZE\n"));
    ck_assert_int_eq(b.last_error, UV_EMSGSIZE);
    end(e);
    recorder_fini(&a);
    recorder_fini(&b);
}
END_TEST

/* What the neighbours see is the same with it and without it. */
START_TEST(it_changes_nothing)
{
    recorder_log_t logs[2];
    for (int with = 0; with < 2; with++) {
        recorder_log_init(&logs[with]);
        const recorder_rule_t rules[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
        recorder_t a = { .name = "a", .log = &logs[with], .flags = RECORD_PASS, .rules = rules };
        recorder_t b = { .name = "b", .log = &logs[with], .rules = rules };
        setup_t s = { .before = &a, .after = &b };
        begin();
        cvy_embedded_t *e = open_with(&s, &small);
        if (!with) cvy_conveyor_remove(cvy_embedded_conveyor(e), cvy_at_stage(&cvy_trace_stage));
        live(e, &a, &b);
        end(e);
        recorder_fini(&a);
        recorder_fini(&b);
    }
    ck_assert_str_eq(recorder_text(&logs[0]), recorder_text(&logs[1]));
    recorder_log_fini(&logs[0]);
    recorder_log_fini(&logs[1]);
}
END_TEST

START_TEST(options_that_can_not_be_are_refused)
{
    static const cvy_trace_opts_t bad[] = { { .dump_bytes = -2 }, { .level = (cvy_log_level_t)4 } };
    setup_t s = { .opts = &(cvy_trace_opts_t){ .name = "a name that is longer than thirty-one bytes" } };
    begin();
    cvy_embedded_t *e = open_with(&s, NULL);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(cvy_trace_add(cvy_embedded_conveyor(e), &bad[i]), UV_EINVAL);
    ck_assert(said("a name that is longer than thir -- added\n"));
    end(e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace");
    ADD_TESTS(s, "trace", bytes_are_dumped_in_rows_of_sixteen, a_dump_ends_at_its_limit,
              a_dump_can_be_off_and_lines_have_a_level, every_event_has_its_line, errors_pass_and_are_told,
              it_changes_nothing, options_that_can_not_be_are_refused);
    return test_run(s);
}
