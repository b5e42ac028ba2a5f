/*
 * Every change of the chain inside every callback: b, in the middle of h a b c t, removes, replaces, adds, itself and its neighbours. The
 * whole log of each, and of a probe in both directions behind it, is in golden/change.txt: a section for each callback, a line for each
 * change; what leaving stages hold then, and let go of, in golden/leftovers.txt. golden.h tells how to write them anew.
 */
#include "support.h"

#include <string.h>
#include <uv.h>

#include "five.h"

static void remove_at(const cvy_ctx_t *ctx)
{
    five_answer(cvy_conveyor_remove(five.chain, cvy_at_ctx(ctx)));
}

static void remove_self(cvy_ctx_t *ctx)
{
    remove_at(ctx);
}

static void remove_previous(cvy_ctx_t *ctx)
{
    (void)ctx;
    remove_at(five.a.ctx);
}

static void remove_next(cvy_ctx_t *ctx)
{
    (void)ctx;
    remove_at(five.c.ctx);
}

static void remove_forward(cvy_ctx_t *ctx)
{
    remove_at(five.a.ctx);
    remove_at(ctx);
    remove_at(five.c.ctx);
}

static void remove_backward(cvy_ctx_t *ctx)
{
    remove_at(five.c.ctx);
    remove_at(ctx);
    remove_at(five.a.ctx);
}

static void replace_at(const cvy_ctx_t *ctx, size_t n)
{
    cvy_stage_with_t with[2] = { { &recorder_stage, five_take() }, { &recorder_stage, n > 1 ? five_take() : NULL } };
    five_answer(cvy_conveyor_replace(five.chain, cvy_at_ctx(ctx), with, n));
}

static void replace_self(cvy_ctx_t *ctx)
{
    replace_at(ctx, 1);
}

static void replace_self_by_two(cvy_ctx_t *ctx)
{
    replace_at(ctx, 2);
}

static void replace_previous(cvy_ctx_t *ctx)
{
    (void)ctx;
    replace_at(five.a.ctx, 1);
}

static void replace_next(cvy_ctx_t *ctx)
{
    (void)ctx;
    replace_at(five.c.ctx, 1);
}

static void replace_all(cvy_ctx_t *ctx)
{
    replace_at(five.a.ctx, 1);
    replace_at(ctx, 1);
    replace_at(five.c.ctx, 1);
}

static void replace_all_by_two(cvy_ctx_t *ctx)
{
    replace_at(five.a.ctx, 2);
    replace_at(ctx, 2);
    replace_at(five.c.ctx, 2);
}

static int refuse(cvy_ctx_t *ctx, const void *opts)
{
    (void)ctx, (void)opts;
    return UV_EINVAL;
}

static const cvy_stage_t refusing = { .name = "refusing", .on_added = refuse };

static void replace_in_vain(cvy_ctx_t *ctx)
{
    cvy_stage_with_t with[2] = { { &recorder_stage, five_take() }, { &refusing, NULL } };
    five_answer(cvy_conveyor_replace(five.chain, cvy_at_ctx(ctx), with, 2));
}

static bool is_middle(const cvy_ctx_t *ctx, void *arg)
{
    (void)arg;
    return ctx == five.a.ctx || ctx == five.b.ctx || ctx == five.c.ctx;
}

static const cvy_stage_t *swap(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    (void)arg;
    if (ctx == five.a.ctx) return NULL;
    if (ctx == five.c.ctx) return cvy_ctx_stage(ctx);
    *opts = five_take();
    return cvy_ctx_stage(ctx) == &recorder_stage ? &recorder_catch_all_stage : &recorder_stage;
}

static void map_all(cvy_ctx_t *ctx)
{
    (void)ctx;
    recorder_line(&five.log, "matched %d", (int)cvy_conveyor_map(five.chain, swap, is_middle, NULL));
}

static void add_first(cvy_ctx_t *ctx)
{
    (void)ctx;
    five_answer(cvy_conveyor_add_first(five.chain, &recorder_stage, five_take(), NULL));
}

static void add_last(cvy_ctx_t *ctx)
{
    (void)ctx;
    five_answer(cvy_conveyor_add_last(five.chain, &recorder_stage, five_take(), NULL));
}

static void add_before(cvy_ctx_t *ctx)
{
    five_answer(cvy_conveyor_add_before(five.chain, cvy_at_ctx(ctx), &recorder_stage, five_take(), NULL));
}

static void add_after(cvy_ctx_t *ctx)
{
    five_answer(cvy_conveyor_add_after(five.chain, cvy_at_ctx(ctx), &recorder_stage, five_take(), NULL));
}

static void move_behind_c(cvy_ctx_t *ctx)
{
    remove_at(ctx);
    five_answer(cvy_conveyor_add_after(five.chain, cvy_at_ctx(five.c.ctx), &recorder_stage, five_take(), NULL));
}

static const five_act_t acts[] = {
    { "nothing", NULL, NULL },
    { "add first", add_first, NULL },
    { "add last", add_last, NULL },
    { "add before", add_before, NULL },
    { "add after", add_after, NULL },
    { "remove self", remove_self, NULL },
    { "remove previous", remove_previous, NULL },
    { "remove next", remove_next, NULL },
    { "remove a, b, c", remove_forward, NULL },
    { "remove c, b, a", remove_backward, NULL },
    { "replace self", replace_self, NULL },
    { "replace self by 2", replace_self_by_two, NULL },
    { "replace previous", replace_previous, NULL },
    { "replace next", replace_next, NULL },
    { "replace a, b, c", replace_all, NULL },
    { "replace each by 2", replace_all_by_two, NULL },
    { "replace in vain", replace_in_vain, NULL },
    { "map a, b, c", map_all, NULL },
    { "move behind c", move_behind_c, NULL },
    { NULL, NULL, NULL },
};

/* C1, C2, C3, C4, C5, E3, E5, E6, E7 */
START_TEST(every_change_inside_every_callback_is_as_the_golden_log_says)
{
    five_section_is("change", &five_spots[_i], acts, five_probe);
}
END_TEST

/* Leftovers: two of each way, let go of in on_removed. */

static const recorder_rule_t lets_go_a[] = { { "removed", 1, RECORD_FIRE_IN, "a1", 0 },
                                             { "removed", 1, RECORD_FIRE_IN, "a2", 0 },
                                             { "removed", 1, RECORD_WRITE, "a3", 0 },
                                             { "removed", 1, RECORD_WRITE, "a4", 0 },
                                             { 0 } };
static const recorder_rule_t lets_go_b[] = { { "removed", 1, RECORD_FIRE_IN, "b1", 0 },
                                             { "removed", 1, RECORD_FIRE_IN, "b2", 0 },
                                             { "removed", 1, RECORD_WRITE, "b3", 0 },
                                             { "removed", 1, RECORD_WRITE, "b4", 0 },
                                             { 0 } };
static const recorder_rule_t lets_go_c[] = { { "removed", 1, RECORD_FIRE_IN, "c1", 0 },
                                             { "removed", 1, RECORD_FIRE_IN, "c2", 0 },
                                             { "removed", 1, RECORD_WRITE, "c3", 0 },
                                             { "removed", 1, RECORD_WRITE, "c4", 0 },
                                             { 0 } };

static void hold_leftovers(void)
{
    five.a.rules = lets_go_a;
    five.b.rules = lets_go_b;
    five.c.rules = lets_go_c;
}

/* Nobody holds bytes while active is on its way, but who just had it. */
static void hold_leftovers_in_b(void)
{
    five.b.rules = lets_go_b;
}

/* C4, E7 */
START_TEST(what_leaving_stages_let_go_of_goes_where_the_golden_log_says)
{
    static const char *const where[] = { "outside", "on_active", "on_inbound_bytes", "on_outbound_bytes",
                                         "on_inactive" };
    five_act_t holding[sizeof acts / sizeof *acts];
    memcpy(holding, acts, sizeof acts);
    for (five_act_t *act = holding; act->name; act++)
        act->prepare = strcmp(where[_i], "on_active") ? hold_leftovers : hold_leftovers_in_b;
    for (int i = 0; i < five_spot_count; i++)
        if (!strcmp(five_spots[i].name, where[_i])) five_section_is("leftovers", &five_spots[i], holding, five_probe);
}
END_TEST

START_TEST(no_section_is_without_its_test)
{
    ck_assert_int_eq(golden_sections("change"), five_spot_count);
    ck_assert_int_eq(golden_sections("leftovers"), 5);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("golden_change");
    TCase *tc = test_case("change");
    tcase_add_loop_test(tc, every_change_inside_every_callback_is_as_the_golden_log_says, 0, five_spot_count);
    tcase_add_loop_test(tc, what_leaving_stages_let_go_of_goes_where_the_golden_log_says, 0, 5);
    tcase_add_test(tc, no_section_is_without_its_test);
    suite_add_tcase(s, tc);
    return test_run(s);
}
