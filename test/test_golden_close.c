/*
 * Every way to close, from outside and from inside every callback: b writes "q", closes, and asks what a fire answers then. Behind it the
 * peer ends its side, then ten seconds pass. The whole log of each, and what the peer got, is in golden/close.txt: a section for each
 * callback, a line for each verb. golden.h tells how to write it anew.
 */
#include "support.h"

#include <uv.h>

#include "five.h"

static void say(cvy_ctx_t *ctx, const char *text)
{
    int err = cvy_fire_outbound_copy(ctx, text, 1);
    five_answer(err == UV_EAGAIN ? 0 : err); /* above the mark in some spots */
}

static void then_close(cvy_ctx_t *ctx, cvy_close_verb_t verb)
{
    five_answer(cvy_transport_close(five.transport, verb));
    say(ctx, "l");
}

static void graceful(cvy_ctx_t *ctx)
{
    say(ctx, "q");
    then_close(ctx, CVY_CLOSE_GRACEFUL);
}

static void stuck(cvy_ctx_t *ctx)
{
    cvy_embedded_block(five.conn, true);
    graceful(ctx);
}

static void now(cvy_ctx_t *ctx)
{
    say(ctx, "q");
    then_close(ctx, CVY_CLOSE_NOW);
}

static void reset(cvy_ctx_t *ctx)
{
    say(ctx, "q");
    then_close(ctx, CVY_CLOSE_RESET);
}

static void graceful_then_now(cvy_ctx_t *ctx)
{
    graceful(ctx);
    five_answer(cvy_transport_close(five.transport, CVY_CLOSE_NOW));
}

static void graceful_then_reset(cvy_ctx_t *ctx)
{
    graceful(ctx);
    five_answer(cvy_transport_close(five.transport, CVY_CLOSE_RESET));
}

static void reset_then_graceful(cvy_ctx_t *ctx)
{
    reset(ctx);
    five_answer(cvy_transport_close(five.transport, CVY_CLOSE_GRACEFUL));
}

static void shut_down(cvy_ctx_t *ctx)
{
    say(ctx, "q");
    five_answer(cvy_transport_shutdown(five.transport, UV_EPROTO));
    say(ctx, "l");
}

static void fire(cvy_ctx_t *ctx)
{
    say(ctx, "q");
    five_answer(cvy_fire_outbound_close(ctx, &(cvy_close_t){ CVY_CLOSE_RESET, UV_EINVAL }));
}

static const five_act_t acts[] = {
    { "graceful", graceful, NULL },
    { "graceful, stuck", stuck, NULL },
    { "now", now, NULL },
    { "reset", reset, NULL },
    { "graceful, now", graceful_then_now, NULL },
    { "graceful, reset", graceful_then_reset, NULL },
    { "reset, graceful", reset_then_graceful, NULL },
    { "shutdown(EPROTO)", shut_down, NULL },
    { "fire close(reset)", fire, NULL },
    { NULL, NULL, NULL },
};

static void end_and_wait(void)
{
    five_step();
    cvy_embedded_end(five.conn);
    if (cvy_embedded_closed(five.conn, NULL)) return;
    five_step();
    cvy_embedded_advance(five.conn, 10000);
}

/* E5, E6, E7, T9 */
START_TEST(every_close_inside_every_callback_is_as_the_golden_log_says)
{
    five_section_is("close", &five_spots[_i], acts, end_and_wait);
}
END_TEST

START_TEST(no_section_is_without_its_test)
{
    ck_assert_int_eq(golden_sections("close"), five_spot_count);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("golden_close");
    TCase *tc = test_case("close");
    tcase_add_loop_test(tc, every_close_inside_every_callback_is_as_the_golden_log_says, 0, five_spot_count);
    tcase_add_test(tc, no_section_is_without_its_test);
    suite_add_tcase(s, tc);
    return test_run(s);
}
