/* Proves lib/conveyor/chain.c: adding, removing, replacing and mapping stages, at any time and from any callback. C1-C6, E5, E7. */
#include "fixture_chain.h"
#include "support.h"

static recorder_t extra, more; /* added by deeds */

static void set_up_chain(void)
{
    set_up();
    extra = (recorder_t)RECORDER("extra");
    more = (recorder_t)RECORDER("more");
}

static void open_row(recorder_t *a, recorder_t *b, recorder_t *c)
{
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { c ? &recorder_stage : NULL, c }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
}

/* What stands in the chain, by an event that every stage sees. */
static void chain_is(const char *golden)
{
    static const cvy_event_type_t roll_call = { "", 0 };
    cvy_event_t ev = { &roll_call };
    recorder_clear(&history);
    cvy_conveyor_fire_inbound(chain, &ev);
    char text[256] = "";
    for (const char *line = recorder_text(&history); *line; line = strchr(line, '\n') + 1)
        strncat(text, line, strcspn(line, ":") + 0), strcat(text, " ");
    ck_assert_str_eq(text, golden);
    recorder_clear(&history);
}

static bool is_named(const cvy_ctx_t *ctx, void *name)
{
    recorder_t *r = *(recorder_t **)cvy_ctx_state((cvy_ctx_t *)(uintptr_t)ctx);
    return cvy_ctx_stage(ctx) == &recorder_stage && !strcmp(r->name, name);
}

static cvy_anchor_t at(const char *name)
{
    return cvy_at_match(is_named, (void *)(uintptr_t)name);
}

static int add_failing(cvy_ctx_t *ctx, const void *opts)
{
    (void)opts;
    recorder_line(&history, "failing: added");
    cvy_fire_outbound_copy(ctx, "trace", 5);
    return UV_EINVAL;
}

static void never(cvy_ctx_t *ctx)
{
    (void)ctx;
    ck_abort_msg("on_removed of a stage whose on_added failed");
}

static const cvy_stage_t failing = { .name = "failing", .on_added = add_failing, .on_removed = never };
static const cvy_stage_t other = { .name = "other" };

/* C1 */
START_TEST(stages_go_first_last_before_and_after)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c"), d = RECORDER("d"), e = RECORDER("e");
    open_conn(NULL, NULL);
    cvy_ctx_t *ctx = NULL;
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, &c, &ctx), 0);
    ck_assert_ptr_eq(ctx, c.ctx);
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, &e, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_first(chain, &recorder_stage, &a, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_before(chain, at("c"), &recorder_stage, &b, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_after(chain, at("c"), &recorder_stage, &d, NULL), 0);
    history_is(
        "c: added\nc: active\ne: added\ne: active\na: added\na: active\nb: added\nb: active\nd: added\nd: active\n");
    chain_is("a b c d e ");
    ends_clean();
}
END_TEST

/* C1 */
START_TEST(an_anchor_is_a_stage_a_context_or_a_predicate_and_means_the_first_that_matches)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_row(&a, &b, &c);
    ck_assert_ptr_eq(cvy_conveyor_find(chain, cvy_at_stage(&recorder_stage)), a.ctx);
    ck_assert_ptr_eq(cvy_conveyor_find(chain, cvy_at_ctx(b.ctx)), b.ctx);
    ck_assert_ptr_eq(cvy_conveyor_find(chain, at("c")), c.ctx);
    ck_assert_ptr_null(cvy_conveyor_find(chain, at("d")));
    ck_assert_ptr_null(cvy_conveyor_find(chain, cvy_at_stage(&other)));
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(&recorder_stage)), 0);
    ck_assert_ptr_eq(cvy_conveyor_find(chain, cvy_at_stage(&recorder_stage)), b.ctx);
    ends_clean();
}
END_TEST

/* C1 */
START_TEST(without_a_match_nothing_changes_and_the_answer_is_enoent)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_add_before(chain, at("z"), &recorder_stage, &extra, NULL), UV_ENOENT);
    ck_assert_int_eq(cvy_conveyor_add_after(chain, cvy_at_stage(&other), &recorder_stage, &extra, NULL), UV_ENOENT);
    ck_assert_int_eq(cvy_conveyor_replace(chain, cvy_at_ctx(NULL), &with, 1), UV_ENOENT);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(NULL)), UV_ENOENT);
    history_is("");
    chain_is("a b ");
    ends_clean();
}
END_TEST

/* C1, E5: one by one, each with its own context */
START_TEST(one_stage_stands_twice_in_a_chain_with_a_state_for_each)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &other, NULL }, { &recorder_stage, &a }, { &other, NULL }, { 0 } };
    open_conn(rows, NULL);
    cvy_ctx_t *first = cvy_conveyor_find(chain, cvy_at_stage(&other));
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(&other)), 0);
    cvy_ctx_t *second = cvy_conveyor_find(chain, cvy_at_stage(&other));
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_ne(first, second);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(first)), UV_ENOENT);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(second)), 0);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_stage(&other)), UV_ENOENT);
    chain_is("a ");
    ends_clean();
}
END_TEST

static void let_go(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    cvy_buf_append(&b, "held", 4);
    ck_assert_int_eq(cvy_fire_inbound_bytes(ctx, &b), UV_ECANCELED);
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "owed", 4), UV_ECANCELED);
}

/* C4 */
START_TEST(a_replaced_stage_lets_go_inbound_to_the_replacement_and_outbound_to_its_old_neighbour)
{
    recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES("removed", let_go) };
    recorder_t c = RECORDER("c");
    open_row(&a, &b, &c);
    cvy_stage_with_t with[] = { { &recorder_stage, &extra }, { &recorder_stage, &more } };
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("b"), with, 2), 0);
    history_is("extra: added\nmore: added\nextra: active\nmore: active\n"
               "b: removed\n"
               "extra: bytes 4 held\nmore: bytes 4 held\nc: bytes 4 held\n"
               "a: out-bytes 4 owed\n");
    chain_is("a extra more c ");
    cvy_embedded_run(conn);
    sent_is("owed");
    ends_clean();
}
END_TEST

/* C4: "in the place of" */
START_TEST(what_a_replacement_says_first_does_not_pass_through_the_old_stage)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    extra.rules = (recorder_rule_t[]){ { "added", 1, RECORD_WRITE, "hello", 0 },
                                       { "active", 1, RECORD_WRITE, "again", 0 },
                                       { 0 } };
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("b"), &with, 1), 0);
    history_is("extra: added\na: out-bytes 5 hello\nextra: active\na: out-bytes 5 again\nb: removed\n");
    ends_clean();
}
END_TEST

/* C4 */
START_TEST(a_removed_stage_lets_go_to_both_its_neighbours)
{
    recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, .flags = RECORD_PASS, DOES("removed", let_go) };
    recorder_t c = RECORDER("c");
    open_row(&a, &b, &c);
    ck_assert_int_eq(cvy_conveyor_remove(chain, at("b")), 0);
    history_is("b: removed\nc: bytes 4 held\na: out-bytes 4 owed\n");
    ends_clean();
}
END_TEST

/* C5 */
START_TEST(an_addition_whose_on_added_fails_changes_nothing_else)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    cvy_ctx_t *out = a.ctx;
    ck_assert_int_eq(cvy_conveyor_add_after(chain, at("a"), &failing, NULL, &out), UV_EINVAL);
    ck_assert_ptr_eq(out, a.ctx);
    history_is("failing: added\na: out-bytes 5 trace\n");
    ck_assert_ptr_null(cvy_conveyor_find(chain, cvy_at_stage(&failing)));
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\n");
    close_now();
    history_is("a: inactive\nb: inactive\nb: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

/* C5 */
START_TEST(a_replacement_that_fails_in_the_middle_leaves_the_old_one)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    cvy_stage_with_t with[] = {
        { &recorder_stage, &extra }, { &recorder_stage, &more }, { &failing, NULL }, { &other, NULL }
    };
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("a"), with, 4), UV_EINVAL);
    history_is("extra: added\nmore: added\nfailing: added\nmore: removed\nextra: removed\n");
    chain_is("a b ");
    cvy_stage_with_t alone = { &failing, NULL };
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("b"), &alone, 1), UV_EINVAL);
    chain_is("a b ");
    ends_clean();
}
END_TEST

/* C1 */
START_TEST(replacing_by_none_removes)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("a"), NULL, 0), 0);
    history_is("a: removed\n");
    chain_is("b ");
    ends_clean();
}
END_TEST

static const cvy_stage_t *map_letters(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    (void)arg;
    recorder_t *r = *(recorder_t **)cvy_ctx_state(ctx);
    switch (*r->name) {
    case 'a': return &recorder_stage;
    case 'b': return NULL;
    case 'c': return &failing;
    case 'd': return &other;
    default: *opts = NULL; return &recorder_stage;
    }
}

static bool any(const cvy_ctx_t *ctx, void *arg)
{
    (void)arg;
    return cvy_ctx_stage(ctx) == &recorder_stage;
}

static bool none(const cvy_ctx_t *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return false;
}

/* C1 */
START_TEST(map_keeps_removes_replaces_and_leaves_what_could_not_be_replaced)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c"), d = RECORDER("d");
    row_t rows[] = {
        { &recorder_stage, &a }, { &recorder_stage, &b }, { &recorder_stage, &c }, { &recorder_stage, &d }, { 0 }
    };
    open_conn(rows, NULL);
    recorder_clear(&history);
    ck_assert_uint_eq(cvy_conveyor_map(chain, map_letters, none, NULL), 0);
    history_is("");
    ck_assert_uint_eq(cvy_conveyor_map(chain, map_letters, any, NULL), 4);
    history_is("b: removed\nfailing: added\na: out-bytes 5 trace\nd: removed\n");
    ck_assert_ptr_nonnull(cvy_conveyor_find(chain, cvy_at_stage(&other)));
    chain_is("a c ");
    ends_clean();
}
END_TEST

static const cvy_stage_t *map_to_extra(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    (void)ctx, (void)arg;
    *opts = &extra;
    return cvy_ctx_stage(ctx) == &other ? &recorder_stage : &other;
}

static bool all(const cvy_ctx_t *ctx, void *arg)
{
    (void)ctx, (void)arg;
    return true;
}

/* C1: what the mapping adds is not mapped again */
START_TEST(map_hands_its_options_over_and_does_not_look_at_what_it_added)
{
    row_t rows[] = { { &other, NULL }, { 0 } };
    open_conn(rows, NULL);
    ck_assert_uint_eq(cvy_conveyor_map(chain, map_to_extra, all, NULL), 1);
    history_is("extra: added\nextra: active\n");
    chain_is("extra ");
    ends_clean();
}
END_TEST

/* C1: where things start */
START_TEST(the_conveyor_fires_from_its_ends_and_the_transport_writes_below_all_stages)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    cvy_event_type_t type = { "user", 0 };
    cvy_event_t ev = { &type };
    ck_assert_int_eq(cvy_conveyor_fire_inbound(chain, &ev), 0);
    ck_assert_int_eq(cvy_conveyor_fire_outbound(chain, &ev), 0);
    history_is("a: in user\nb: in user\nb: out user\na: out user\n");
    cvy_buf_t out;
    cvy_buf_init(&out, cvy_loop_pool(conn_loop));
    cvy_buf_append(&out, "through", 7);
    ck_assert_int_eq(cvy_conveyor_write(chain, &out), 0);
    cvy_buf_append(&out, " below", 6);
    ck_assert_int_eq(cvy_transport_write(transport, &out), 0);
    ck_assert_int_eq(cvy_transport_flush(transport, NULL, NULL), 0);
    history_is("b: out-bytes 7 through\na: out-bytes 7 through\n");
    sent_is("through below");
    ends_clean();
}
END_TEST

/* C2 */
START_TEST(while_closing_additions_answer_epipe_and_removals_do_not)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    open_row(&a, &b, &c);
    cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, &extra, NULL), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_add_first(chain, &recorder_stage, &extra, NULL), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_add_before(chain, at("a"), &recorder_stage, &extra, NULL), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_add_after(chain, at("a"), &recorder_stage, &extra, NULL), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("a"), &with, 1), UV_EPIPE);
    ck_assert_uint_eq(cvy_conveyor_map(chain, map_to_extra, any, NULL), 3);
    ck_assert_int_eq(cvy_conveyor_remove(chain, at("b")), 0);
    history_is("b: removed\n");
    close_now();
    history_is("a: inactive\nc: inactive\nc: removed\na: removed\nended 0\n");
    ends_clean();
}
END_TEST

static void leave_and_echo(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), 0);
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), UV_ENOENT);
    ck_assert_ptr_null(cvy_conveyor_find(chain, cvy_at_ctx(ctx)));
    cvy_buf_t copy;
    ck_assert_int_eq(cvy_buf_share(&copy, in), 0);
    ck_assert_int_eq(cvy_fire_outbound_bytes(ctx, &copy), UV_ECANCELED);
    ck_assert_int_eq(cvy_conveyor_add_first(chain, &recorder_stage, &extra, NULL), 0);
    ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, &more, NULL), 0);
    ck_assert_int_eq(cvy_ctx_stopped(ctx), UV_ECANCELED);
}

/* C3, E7: a tombstone's way to its neighbours is never stale */
START_TEST(what_a_removed_stage_fires_finds_the_stages_that_were_added_meanwhile)
{
    recorder_t a = {
        .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", leave_and_echo)
    };
    recorder_t b = RECORDER("b");
    open_row(&a, &b, NULL);
    feed("x");
    history_is("a: bytes 1 x\n"
               "extra: added\nextra: active\nmore: added\nmore: active\n"
               "b: bytes 1 x\nmore: bytes 1 x\n"
               "a: removed\n");
    sent_is("x");
    chain_is("extra b more ");
    feed("y");
    history_is("extra: bytes 1 y\nb: bytes 1 y\nmore: bytes 1 y\n");
    ends_clean();
}
END_TEST

static recorder_t *victim;

static void remove_victim(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    if (victim->ctx) cvy_conveyor_remove(chain, cvy_at_ctx(victim->ctx));
}

/* C4: while its own callback is on the stack, however deep */
START_TEST(on_removed_waits_until_none_of_the_stage_s_callbacks_is_on_the_stack)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b"), c = RECORDER("c");
    victim = &b;
    c.rules = (recorder_rule_t[]){ { "bytes", 1, RECORD_ECHO, NULL, 0 }, { 0 } };
    a.hook = do_deed; /* b: bytes, c: bytes, b: out-bytes, a: out-bytes are on the stack then */
    a.arg = &(deed_t){ "out-bytes", remove_victim };
    open_row(&a, &b, &c);
    feed("x");
    history_is("a: bytes 1 x\nb: bytes 1 x\nc: bytes 1 x\nb: out-bytes 1 x\na: out-bytes 1 x\nb: removed\n");
    feed("y");
    history_is("a: bytes 1 y\nc: bytes 1 y\n");
    ends_clean();
}
END_TEST

/* C3: the next one goes while the one before it runs */
START_TEST(a_stage_removed_by_its_neighbour_gets_nothing_from_the_removing_call_on)
{
    recorder_t a = {
        .name = "a", .log = &history, .flags = RECORD_PASS | RECORD_NO_TURNS, DOES("bytes", remove_victim)
    };
    recorder_t b = RECORDER("b"), c = RECORDER("c");
    victim = &b;
    open_row(&a, &b, &c);
    feed("x");
    history_is("a: bytes 1 x\nb: removed\nc: bytes 1 x\n");
    ends_clean();
}
END_TEST

static void fire_from_added(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)ctx, (void)in;
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_loop_pool(conn_loop));
    cvy_buf_append(&b, "in", 2);
    cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &b };
    cvy_conveyor_fire_inbound(chain, &ev.event);
    cvy_buf_append(&b, "out", 3);
    ck_assert_int_eq(cvy_conveyor_write(chain, &b), 0);
    ck_assert_int_eq(cvy_conveyor_add_after(chain, cvy_at_ctx(ctx), &recorder_stage, &more, NULL), 0);
}

/* E5: active right after on_added, before anything else, even what its on_added sets going */
START_TEST(nothing_comes_to_a_stage_between_on_added_and_active)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    extra.hook = do_deed;
    extra.arg = &(deed_t){ "added", fire_from_added };
    open_row(&a, &b, NULL);
    cvy_ctx_t *out = NULL;
    ck_assert_int_eq(cvy_conveyor_add_after(chain, at("a"), &recorder_stage, &extra, &out), 0);
    ck_assert_ptr_eq(out, extra.ctx);
    history_is("extra: added\na: bytes 2 in\nb: bytes 2 in\nb: out-bytes 3 out\na: out-bytes 3 out\n"
               "more: added\nmore: active\nextra: active\n");
    chain_is("a extra more b ");
    ends_clean();
}
END_TEST

static void add_helper(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    ck_assert_int_eq(cvy_conveyor_add_before(chain, cvy_at_ctx(ctx), &recorder_stage, &more, NULL), 0);
}

/* C2, E5: a stage made of two */
START_TEST(a_replacement_may_add_a_helper_in_its_on_added_and_each_gets_active_once)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    open_row(&a, &b, NULL);
    extra.hook = do_deed;
    extra.arg = &(deed_t){ "added", add_helper };
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_replace(chain, at("a"), &with, 1), 0);
    history_is("extra: added\nmore: added\nmore: active\nextra: active\na: removed\n");
    chain_is("more extra b ");
    ends_clean();
}
END_TEST

static void remove_self(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_conveyor_remove(chain, cvy_at_ctx(ctx));
}

/* C2, C4 */
START_TEST(a_stage_that_removes_itself_while_it_is_added_was_added_and_is_gone)
{
    static const char *const when[] = { "added", "active" };
    for (int i = 0; i < 2; i++) {
        recorder_t a = RECORDER("a"), b = RECORDER("b");
        deed_t deed = { when[i], remove_self };
        extra = (recorder_t){ .name = "extra", .log = &history, .hook = do_deed, .arg = &deed };
        open_row(&a, &b, NULL);
        cvy_ctx_t *out = a.ctx;
        ck_assert_int_eq(cvy_conveyor_add_last(chain, &recorder_stage, &extra, &out), 0);
        ck_assert_ptr_null(out);
        history_is(i ? "extra: added\nextra: active\nextra: removed\n" : "extra: added\nextra: removed\n");
        cvy_stage_with_t with = { &recorder_stage, &extra };
        ck_assert_int_eq(cvy_conveyor_replace(chain, at("b"), &with, 1), 0);
        recorder_clear(&history);
        chain_is("a ");
        ends_clean();
    }
}
END_TEST

/* C2: every change, on itself and on its neighbours, inside every kind of callback */

typedef struct life {
    recorder_t r;
    bool added, active, ended, gone;
} life_t;

static const char *attack_on;
static int attack, attacks;
static life_t lives[3], spare[8];
static size_t spares;

static const char *const kinds[] = { "added",       "active",           "bytes",           "read-complete",
                                     "read-closed", "outbound-suspend", "outbound-resume", "error",
                                     "inactive",    "removed",          "timer",           "out-bytes",
                                     "flush",       "inbound-resume",   "out-close",       "in",
                                     "out" };

static recorder_t *take_spare(void)
{
    ck_assert_uint_lt(spares, sizeof spare / sizeof *spare);
    return &spare[spares++].r;
}

static const cvy_stage_t *map_to_spare(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    (void)arg;
    if (*(recorder_t **)cvy_ctx_state(ctx) == &lives[0].r) return NULL;
    *opts = *(recorder_t **)cvy_ctx_state(ctx) == &lives[1].r ? take_spare() : NULL;
    return *opts ? &other : &recorder_stage;
}

static void remove_at(const life_t *life)
{
    if (life->r.ctx) cvy_conveyor_remove(chain, cvy_at_ctx(life->r.ctx));
}

static void replace_at(const life_t *life, size_t n)
{
    cvy_stage_with_t with[2] = { { &recorder_stage, take_spare() }, { &recorder_stage, n > 1 ? take_spare() : NULL } };
    if (life->r.ctx) cvy_conveyor_replace(chain, cvy_at_ctx(life->r.ctx), with, n);
}

/* The attacks; ctx is the middle one's. */
static void do_attack(cvy_ctx_t *ctx)
{
    cvy_stage_with_t half[2] = { { &recorder_stage, NULL }, { &failing, NULL } };
    attacks++;
    switch (attack) {
    case 0: remove_at(&lives[1]); break;
    case 1: remove_at(&lives[0]); break;
    case 2: remove_at(&lives[2]); break;
    case 3: remove_at(&lives[0]), remove_at(&lives[1]), remove_at(&lives[2]); break;
    case 4: remove_at(&lives[2]), remove_at(&lives[1]), remove_at(&lives[0]); break;
    case 5: replace_at(&lives[1], 1); break;
    case 6: replace_at(&lives[0], 2); break;
    case 7: replace_at(&lives[2], 2); break;
    case 8: replace_at(&lives[1], 2), replace_at(&lives[0], 1), replace_at(&lives[2], 1); break;
    case 9: cvy_conveyor_map(chain, map_to_spare, any, NULL); break;
    case 10: cvy_conveyor_add_before(chain, cvy_at_ctx(ctx), &recorder_stage, take_spare(), NULL); break;
    case 11: cvy_conveyor_add_after(chain, cvy_at_ctx(ctx), &recorder_stage, take_spare(), NULL); break;
    case 12: cvy_conveyor_add_first(chain, &recorder_stage, take_spare(), NULL); break;
    case 13: cvy_conveyor_add_last(chain, &recorder_stage, take_spare(), NULL), remove_at(&lives[1]); break;
    case 14: half[0].opts = take_spare(), cvy_conveyor_replace(chain, cvy_at_ctx(ctx), half, 2); break;
    case 15: remove_at(&lives[1]), cvy_transport_close(transport, CVY_CLOSE_NOW); break;
    case 16: remove_at(&lives[1]), cvy_ctx_fail(ctx, UV_EPROTO, "gone"); break;
    default: cvy_ctx_suspend(ctx), replace_at(&lives[1], 1); break;
    }
}
enum { ATTACKS = 18 };

/* E5 for each stage, whatever happens: added, [active ... inactive], removed. */
static void check_life(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    life_t *life = (life_t *)r;
    bool is_added = !strcmp(event, "added"), is_active = !strcmp(event, "active"),
         is_inactive = !strcmp(event, "inactive");
    bool is_removed = !strcmp(event, "removed"), is_outbound = !strncmp(event, "out", 3) && !strstr(event, "outbound");
    (void)in;
    ck_assert_msg(is_added != life->added, "%s: %s", r->name, event);
    ck_assert_msg(!life->gone, "%s: %s after removed", r->name, event);
    ck_assert_msg(!is_active || !life->active, "%s: active twice", r->name);
    ck_assert_msg(!life->ended || is_removed, "%s: %s after inactive", r->name, event);
    ck_assert_msg(!is_inactive || life->active, "%s: inactive without active", r->name);
    ck_assert_msg(is_added || is_active || is_removed || is_outbound || life->active || !strcmp(event, "flush") ||
                      !strcmp(event, "inbound-resume") || !strcmp(event, "error"),
                  "%s: %s before active", r->name, event);
    life->added |= is_added;
    life->active |= is_active;
    life->ended |= is_inactive;
    life->gone |= is_removed;
    if (r == &lives[1].r && !strcmp(event, attack_on) && recorder_seen(r, event) == 1) do_attack(ctx);
}

static void make_life(life_t *life, const char *name)
{
    *life = (life_t){ .r = { .name = name, .log = &history, .flags = RECORD_PASS, .hook = check_life } };
}

static void fire_user(void)
{
    cvy_event_type_t type = { "user", 0 };
    cvy_event_t ev = { &type };
    cvy_conveyor_fire_inbound(chain, &ev);
    cvy_conveyor_fire_outbound(chain, &ev);
}

/* Past every kind of callback. */
static void live(void)
{
    static const recorder_rule_t handles[] = { { "error", 0, RECORD_HANDLE, NULL, 0 }, { 0 } };
    make_life(&lives[0], "a");
    make_life(&lives[1], "b");
    make_life(&lives[2], "c");
    lives[2].r.rules = handles;
    for (spares = sizeof spare / sizeof *spare; spares; spares--)
        make_life(&spare[spares - 1], "spare");
    cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1, .allow_half_close = 1 };
    row_t rows[] = {
        { &recorder_stage, &lives[0].r }, { &recorder_stage, &lives[1].r }, { &recorder_stage, &lives[2].r }, { 0 }
    };
    open_conn(rows, &opts);
    cvy_embedded_feed(conn, "x", 1);
    if (lives[1].r.ctx) cvy_ctx_timer(lives[1].r.ctx, 5);
    cvy_embedded_advance(conn, 5);
    fire_user();
    if (lives[0].r.ctx) cvy_ctx_fail(lives[0].r.ctx, UV_EPROTO, "a test");
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, true);
    if (lives[2].r.ctx) cvy_fire_outbound_copy(lives[2].r.ctx, "123456", 6);
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, false);
    cvy_embedded_end(conn);
    cvy_transport_shutdown(transport, 0);
    cvy_embedded_run(conn);
    cvy_embedded_advance(conn, 60000);
    ends_clean();
}

static void check_ended(const life_t *life)
{
    ck_assert_msg(life->added == life->gone, "%s: added %d, removed %d", life->r.name, life->added, life->gone);
    ck_assert_msg(!life->ended || life->active, "%s: inactive", life->r.name);
}

START_TEST(any_change_inside_any_callback_leaves_every_stage_its_life)
{
    attack_on = kinds[_i];
    for (attack = 0; attack < ATTACKS; attack++) {
        attacks = 0;
        live();
        ck_assert_msg(attacks == 1, "%s was not seen", attack_on);
        for (int i = 0; i < 3; i++)
            check_ended(&lives[i]);
        for (size_t i = 0; i < sizeof spare / sizeof *spare; i++)
            check_ended(&spare[i]);
        recorder_clear(&history);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("chain");
    TCase *cases[] = {
        ADD_TESTS(s, "changes", stages_go_first_last_before_and_after,
                  an_anchor_is_a_stage_a_context_or_a_predicate_and_means_the_first_that_matches,
                  without_a_match_nothing_changes_and_the_answer_is_enoent,
                  one_stage_stands_twice_in_a_chain_with_a_state_for_each,
                  a_replaced_stage_lets_go_inbound_to_the_replacement_and_outbound_to_its_old_neighbour,
                  what_a_replacement_says_first_does_not_pass_through_the_old_stage,
                  a_removed_stage_lets_go_to_both_its_neighbours, an_addition_whose_on_added_fails_changes_nothing_else,
                  a_replacement_that_fails_in_the_middle_leaves_the_old_one, replacing_by_none_removes,
                  map_keeps_removes_replaces_and_leaves_what_could_not_be_replaced,
                  map_hands_its_options_over_and_does_not_look_at_what_it_added,
                  the_conveyor_fires_from_its_ends_and_the_transport_writes_below_all_stages,
                  while_closing_additions_answer_epipe_and_removals_do_not),
        ADD_TESTS(s, "inside", what_a_removed_stage_fires_finds_the_stages_that_were_added_meanwhile,
                  on_removed_waits_until_none_of_the_stage_s_callbacks_is_on_the_stack,
                  a_stage_removed_by_its_neighbour_gets_nothing_from_the_removing_call_on,
                  nothing_comes_to_a_stage_between_on_added_and_active,
                  a_replacement_may_add_a_helper_in_its_on_added_and_each_gets_active_once,
                  a_stage_that_removes_itself_while_it_is_added_was_added_and_is_gone),
        test_case("any change"),
    };
    tcase_add_loop_test(cases[2], any_change_inside_any_callback_leaves_every_stage_its_life, 0,
                        (int)(sizeof kinds / sizeof *kinds));
    suite_add_tcase(s, cases[2]);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tcase_add_checked_fixture(cases[i], set_up_chain, tear_down);
    return test_run(s);
}
