/*
 * A failure in every callback: b fails, and c, its neighbour towards TAIL, handles it, passes it on, or fails itself while it does. Behind
 * it the peer sends and the application writes, where the connection lives. The whole log of each is in golden/error.txt: a section for each
 * callback, a line for each failure. golden.h tells how to write it anew.
 */
#include "support.h"

#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "five.h"

/* What c does about it. */

static void handle(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)ctx, (void)in;
    if (!strcmp(event, "error")) r->answer = 1;
}

static void fail_too(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    handle(r, ctx, event, in);
    if (!strcmp(event, "error")) cvy_ctx_fail(ctx, UV_EIO, "while it handles another");
}

static void c_handles(void)
{
    five.c.hook = handle;
}

static void c_fails(void)
{
    five.c.hook = fail_too;
}

/* What b does. */

static void fail_once(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "a test");
}

static void fail_twice(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "a test");
    cvy_ctx_fail(ctx, UV_EINVAL, "another");
}

static void fail_and_go(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "a test");
    five_answer(cvy_conveyor_remove(five.chain, cvy_at_ctx(ctx)));
}

static void fail_and_close(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "a test");
    cvy_transport_close(five.transport, CVY_CLOSE_NOW);
}

static void fail_without_memory(cvy_ctx_t *ctx)
{
    cvy__memory_fail(1);
    cvy_ctx_fail(ctx, UV_EMSGSIZE, "a test");
    cvy__memory_fail(0);
}

static void add_without_memory(cvy_ctx_t *ctx)
{
    cvy__memory_fail(1);
    five_answer(cvy_conveyor_add_after(five.chain, cvy_at_ctx(ctx), &recorder_stage, five_take(), NULL));
    cvy__memory_fail(0);
}

static void replace_without_memory(cvy_ctx_t *ctx)
{
    cvy_stage_with_t with[2] = { { &recorder_stage, five_take() }, { &recorder_stage, five_take() } };
    cvy__memory_fail(2);
    five_answer(cvy_conveyor_replace(five.chain, cvy_at_ctx(ctx), with, 2));
    cvy__memory_fail(0);
}

static void fire(cvy_ctx_t *ctx)
{
    cvy_error_t error = { UV_EMSGSIZE, "b", "a test", 0, 0 };
    five_answer(cvy_fire_error(ctx, &error));
}

static const five_act_t acts[] = {
    { "unhandled", fail_once, NULL },
    { "handled", fail_once, c_handles },
    { "handler fails", fail_once, c_fails },
    { "twice, handled", fail_twice, c_handles },
    { "twice, unhandled", fail_twice, NULL },
    { "then removed", fail_and_go, c_handles },
    { "then closed", fail_and_close, c_handles },
    { "fired, unhandled", fire, NULL },
    { "fired, handled", fire, c_handles },
    { "fired, handler fails", fire, c_fails },
    { "no memory to note it", fail_without_memory, c_handles },
    { "no memory to add", add_without_memory, NULL },
    { "no memory to replace", replace_without_memory, NULL },
    { NULL, NULL, NULL },
};

/* E8, C5, M3 */
START_TEST(every_failure_inside_every_callback_is_as_the_golden_log_says)
{
    five_section_is("error", &five_spots[_i], acts, five_probe);
}
END_TEST

/* Callbacks that answer */

static void answer_code(cvy_ctx_t *ctx)
{
    (void)ctx;
    five_answers(UV_EMSGSIZE);
}

static void fire_and_answer(cvy_ctx_t *ctx)
{
    cvy_fire_outbound_copy(ctx, "q", 1);
    cvy_ctx_suspend(ctx);
    five_answers(UV_EMSGSIZE);
}

static void fail_and_answer(cvy_ctx_t *ctx)
{
    cvy_ctx_fail(ctx, UV_EINVAL, "a test");
    five_answers(UV_EMSGSIZE);
}

static void remove_and_answer(cvy_ctx_t *ctx)
{
    five_answer(cvy_conveyor_remove(five.chain, cvy_at_ctx(ctx)));
    five_answers(UV_EMSGSIZE);
}

static const five_act_t answers[] = {
    { "unhandled", answer_code, NULL },
    { "handled", answer_code, c_handles },
    { "having done things", fire_and_answer, c_handles },
    { "having failed", fail_and_answer, c_handles },
    { "having gone", remove_and_answer, c_handles },
    { NULL, NULL, NULL },
};

/* C5, E3, E5, E8 */
START_TEST(callbacks_that_answer_a_code_fail_as_the_golden_log_says)
{
    for (int i = 0; i < five_spot_count; i++) {
        const five_spot_t *spot = &five_spots[i];
        bool asks = spot->event && (!strcmp(spot->event, "added") || !strcmp(spot->event, "active") ||
                                    !strcmp(spot->event, "read-closed"));
        if (asks) five_section_is("error_answered", spot, answers, five_probe);
    }
}
END_TEST

START_TEST(no_section_is_without_its_test)
{
    ck_assert_int_eq(golden_sections("error"), five_spot_count);
    ck_assert_int_eq(golden_sections("error_answered"), 7);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("golden_error");
    TCase *tc = test_case("error");
    tcase_add_loop_test(tc, every_failure_inside_every_callback_is_as_the_golden_log_says, 0, five_spot_count);
    tcase_add_test(tc, callbacks_that_answer_a_code_fail_as_the_golden_log_says);
    tcase_add_test(tc, no_section_is_without_its_test);
    suite_add_tcase(s, tc);
    return test_run(s);
}
