/*
 * A stage that swaps itself for another in mid-stream, as STARTTLS would: plain lines up to the command, rot13 both ways from exactly the
 * byte behind it on, wherever the reads are cut.
 *
 *   h (recorder)   starttls, later rot13   line   t (recorder: answers each line)
 */
#include "fixture_golden.h"
#include "support.h"

#include <conveyor/line.h>
#include <ctype.h>

#define COMMAND "STARTTLS\n"

/* "secret" and "lines" come as rot13, and so do the answers to them. */
static const char from_peer[] = "hello\nworld\n" COMMAND "frperg\nyvarf\n";
static const char to_peer[] = "re:hello\nre:world\nGO\ner:frperg\ner:yvarf\n";

static void rot13(cvy_buf_t *b, cvy_pool_t *pool)
{
    char text[256];
    size_t n = cvy_buf_read(b, text, sizeof text);
    for (size_t i = 0; i < n; i++)
        if (isalpha((unsigned char)text[i])) text[i] = (char)((tolower((unsigned char)text[i]) - 'a' + 13) % 26 + 'a');
    cvy_buf_fini(b);
    cvy_buf_init(b, pool);
    ck_assert_int_eq(cvy_buf_append(b, text, n), 0);
}

static void rot13_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    rot13(in, cvy_ctx_pool(ctx));
    cvy_fire_inbound_bytes(ctx, in);
}

static void rot13_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    rot13(out, cvy_ctx_pool(ctx));
    cvy_fire_outbound_bytes(ctx, out);
}

static const cvy_stage_t cipher = { .name = "rot13", .on_inbound_bytes = rot13_in, .on_outbound_bytes = rot13_out };

/* Passes whole lines on, and holds the rest, until the command. */
typedef struct starttls {
    cvy_buf_t held;
} starttls_t;

static void upgrade(cvy_ctx_t *ctx)
{
    static const cvy_stage_with_t with = { &cipher, NULL };
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "GO\n", 3), 0);
    ck_assert_int_eq(cvy_conveyor_replace(cvy_ctx_conveyor(ctx), cvy_at_ctx(ctx), &with, 1), 0);
    ck_assert_int_eq(cvy_ctx_stopped(ctx), UV_ECANCELED);
}

static void drain(cvy_ctx_t *ctx)
{
    starttls_t *s = cvy_ctx_state(ctx);
    size_t end;
    while (!cvy_ctx_stopped(ctx) && !cvy_buf_find(&s->held, 0, "\n", 1, &end)) {
        cvy_buf_t line;
        ck_assert_int_eq(cvy_buf_split(&line, &s->held, end + 1), 0);
        bool is_command = cvy_buf_equal(&line, COMMAND, sizeof COMMAND - 1);
        if (is_command)
            cvy_buf_fini(&line);
        else
            cvy_fire_inbound_bytes(ctx, &line);
        if (is_command) upgrade(ctx);
    }
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    starttls_t *s = cvy_ctx_state(ctx);
    cvy_buf_append_buf(&s->held, in);
    drain(ctx);
}

static void on_removed(cvy_ctx_t *ctx)
{
    starttls_t *s = cvy_ctx_state(ctx);
    if (cvy_buf_len(&s->held)) cvy_fire_inbound_bytes(ctx, &s->held);
    cvy_buf_fini(&s->held);
}

static const cvy_stage_t starttls = { .name = "starttls",
                                      .state_size = sizeof(starttls_t),
                                      .on_inbound_bytes = on_bytes,
                                      .on_inbound_resume = drain,
                                      .on_removed = on_removed };

/* The application. */

static bool hold_after_first;

static void answer(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    char text[64] = "re:";
    if (strcmp(event, "bytes")) return;
    size_t n = 3 + cvy_buf_peek(in, text + 3, cvy_buf_len(in));
    text[n++] = '\n';
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, text, n), 0);
    if (hold_after_first && recorder_seen(r, "bytes") == 1) cvy_ctx_suspend(ctx);
}

static int init(cvy_conveyor_t *c, void *arg)
{
    (void)arg;
    ck_assert_int_eq(cvy_conveyor_add_last(c, &recorder_stage, &h, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_last(c, &starttls, NULL, NULL), 0);
    ck_assert_int_eq(cvy_line_add(c, NULL), 0);
    return cvy_conveyor_add_last(c, &recorder_stage, &t, NULL);
}

static void open_it(bool silent)
{
    set_up_story();
    if (silent) h.flags |= RECORD_SILENT;
    t.flags = silent ? RECORD_SILENT : 0;
    t.hook = answer;
    ck_assert_int_eq(cvy_embedded_new(&conn, &(cvy_embedded_opts_t){ .init = init }), 0);
    opened();
}

static void feed_n(size_t from, size_t to)
{
    if (from < to) ck_assert_int_eq(cvy_embedded_feed(conn, from_peer + from, to - from), 0);
}

static void upgraded(void)
{
    sent_is(to_peer);
    ck_assert_ptr_null(cvy_conveyor_find(chain, cvy_at_stage(&starttls)));
    ck_assert_ptr_nonnull(cvy_conveyor_find(chain, cvy_at_stage(&cipher)));
    ends_clean();
    tear_down_story();
}

enum { LEN = sizeof from_peer - 1 };

/* C2, C4, E7 */
START_TEST(the_switch_is_at_its_byte_wherever_two_cuts_are)
{
    for (size_t one = 0; one <= LEN; one++)
        for (size_t two = one; two <= LEN; two++) {
            open_it(true);
            feed_n(0, one);
            feed_n(one, two);
            feed_n(two, LEN);
            upgraded();
        }
}
END_TEST

/* C4, E7, T6: what is held, in whichever stage, goes on at the resume, the command among it */
START_TEST(the_switch_is_at_its_byte_when_the_application_suspends_before_it)
{
    hold_after_first = true;
    for (size_t cut = 0; cut <= LEN; cut++) {
        open_it(true);
        feed_n(0, cut);
        feed_n(cut, LEN);
        ck_assert_int_eq(recorder_seen(&t, "bytes"), 1);
        cvy_ctx_resume(t.ctx);
        cvy_embedded_run(conn);
        upgraded();
    }
    hold_after_first = false;
}
END_TEST

/* C4: a removal without a replacement, at every byte of the line it holds */
START_TEST(a_switch_that_is_called_off_loses_no_byte)
{
    static const char plain[] = "re:hello\nre:world\nre:STARTTLS\nre:frperg\nre:yvarf\n";
    for (size_t cut = 0; cut < sizeof "hello\nworld\n" COMMAND - 1; cut++) {
        open_it(true);
        feed_n(0, cut);
        ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(&starttls)), 0);
        feed_n(cut, LEN);
        sent_is(plain);
        ends_clean();
        tear_down_story();
    }
}
END_TEST

/* C2, C4, E7: the log of both ends */
START_TEST(the_log_of_a_switch_inside_one_read)
{
    open_it(false);
    step("connected");
    feed_n(0, LEN);
    step("the peer sends");
    cvy_embedded_end(conn);
    step("the peer ends");
    story_is("starttls", "one read");
    tear_down_story();
}
END_TEST

/* C2, C4, E7 */
START_TEST(the_log_of_a_switch_byte_by_byte)
{
    open_it(false);
    step("connected");
    for (size_t i = 0; i < LEN; i++) {
        char what[16];
        feed_n(i, i + 1);
        snprintf(what, sizeof what, from_peer[i] == '\n' ? "\\n" : "%c", from_peer[i]);
        step(what);
    }
    story_is("starttls", "byte by byte");
    tear_down_story();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("starttls");
    ADD_TESTS(s, "starttls", the_switch_is_at_its_byte_wherever_two_cuts_are,
              the_switch_is_at_its_byte_when_the_application_suspends_before_it,
              a_switch_that_is_called_off_loses_no_byte, the_log_of_a_switch_inside_one_read,
              the_log_of_a_switch_byte_by_byte);
    return test_run(s);
}
