/* Proves lib/conveyor/event.c, fire.c and tail.c: types, who gets an event, who owns its bytes, what a fire answers. E1-E4, E7, E9, E10. */
#include "event_ping.h"
#include "fixture_chain.h"
#include "support.h"

#include <stdlib.h>

typedef struct pong {
    cvy_event_t event;
} pong_t;
CVY_EVENT(pong);

static const char *name_of(cvy_ctx_t *ctx)
{
    return *(const char **)cvy_ctx_state(ctx);
}

static int take_name(cvy_ctx_t *ctx, const void *opts)
{
    *(const char **)cvy_ctx_state(ctx) = opts;
    return 0;
}

#define NAMED .name = "named", .state_size = sizeof(const char *), .on_added = take_name

static void note(cvy_ctx_t *ctx, const char *how, const char *what)
{
    recorder_line(&history, "%s: %s %s", name_of(ctx), how, what);
}

/* Catch-alls that see, and fire on. */
static void see_in(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    note(ctx, "in", ev->type->name);
    cvy_fire_inbound(ctx, ev);
}

static void see_out(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    note(ctx, "out", ev->type->name);
    cvy_fire_outbound(ctx, ev);
}

static const cvy_stage_t seer = { NAMED, .on_inbound = see_in, .on_outbound = see_out };

/* Catch-alls that keep everything to themselves. */
static void eat_in(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    note(ctx, "ate", ev->type->name);
}

static const cvy_stage_t glutton = { NAMED, .on_inbound = eat_in, .on_outbound = eat_in };

static void table_ping(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    note(ctx, "table", ev->type->name);
    ck_assert_int_eq(cvy_event_as(ev, ping)->number, 7);
}

static void table_any(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    note(ctx, "table", ev->type->name);
}

static void slot_bytes(cvy_ctx_t *ctx, cvy_buf_t *b)
{
    (void)b;
    note(ctx, "slot", "bytes");
}

static const cvy_on_t ping_only[] = { CVY_ON(ping, table_ping), { 0 } };
static const cvy_on_t bytes_too[] = { CVY_ON(cvy_inbound_bytes, table_any),
                                      CVY_ON(cvy_outbound_bytes, table_any),
                                      CVY_ON(cvy_read_complete, table_any),
                                      CVY_ON(cvy_outbound_flush, table_any),
                                      { 0 } };

static int fire_ping(cvy_ctx_t *from, bool inbound)
{
    ping_t ping = { CVY_EVENT_OF(ping), 7 };
    if (!from)
        return inbound ? cvy_conveyor_fire_inbound(chain, &ping.event) : cvy_conveyor_fire_outbound(chain, &ping.event);
    return inbound ? cvy_fire_inbound(from, &ping.event) : cvy_fire_outbound(from, &ping.event);
}

static void write_text(const char *text)
{
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_loop_pool(conn_loop));
    ck_assert_int_eq(cvy_buf_append(&b, text, strlen(text)), 0);
    ck_assert_int_eq(cvy_conveyor_write(chain, &b), 0);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
    cvy_embedded_run(conn);
}

/* E1 */
START_TEST(a_type_is_the_address_of_one_object_in_every_file)
{
    ck_assert_ptr_eq(&ping_event, ping_type_elsewhere());
    ck_assert_ptr_ne(&ping_event, &pong_event);
    ck_assert_str_eq(ping_event.name, "ping");
    ck_assert_int_eq(ping_event.builtin, 0);
}
END_TEST

/* E1 */
START_TEST(an_event_reads_as_its_own_type_and_as_no_other)
{
    ping_t ping = { CVY_EVENT_OF(ping), 7 };
    ck_assert_ptr_eq(cvy_event_as(&ping.event, ping), &ping);
    ck_assert_ptr_null(cvy_event_as(&ping.event, pong));
    ck_assert_ptr_null(cvy_event_as(&ping.event, cvy_inbound_bytes));
    const cvy_event_type_t same_name = { "ping", 0 };
    cvy_event_t other = { &same_name };
    ck_assert_ptr_null(cvy_event_as(&other, ping));
}
END_TEST

/* E3: slot, table, catch-all, past; user events towards TAIL */
START_TEST(a_user_event_goes_to_the_table_else_to_the_catch_all_else_past_inbound)
{
    static const cvy_stage_t deaf = { NAMED };
    static const cvy_stage_t both = { NAMED, .events = ping_only, .on_inbound = see_in, .on_outbound = see_out };
    row_t rows[] = { { &deaf, "deaf" }, { &seer, "all" }, { &both, "both" }, { &glutton, "behind" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    ck_assert_int_eq(fire_ping(NULL, true), 0);
    history_is("all: in ping\n"
               "both: table ping\n");
    pong_t pong = { CVY_EVENT_OF(pong) };
    ck_assert_int_eq(cvy_conveyor_fire_inbound(chain, &pong.event), 0);
    history_is("all: in pong\n"
               "both: in pong\n"
               "behind: ate pong\n");
    ends_clean();
}
END_TEST

/* E3: the same towards HEAD */
START_TEST(a_user_event_goes_to_the_table_else_to_the_catch_all_else_past_outbound)
{
    static const cvy_stage_t deaf = { NAMED };
    static const cvy_stage_t both = { NAMED, .events = ping_only, .on_inbound = see_in, .on_outbound = see_out };
    row_t rows[] = { { &glutton, "behind" }, { &both, "both" }, { &seer, "all" }, { &deaf, "deaf" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    ck_assert_int_eq(fire_ping(NULL, false), 0);
    history_is("all: out ping\n"
               "both: table ping\n");
    pong_t pong = { CVY_EVENT_OF(pong) };
    ck_assert_int_eq(cvy_conveyor_fire_outbound(chain, &pong.event), 0);
    history_is("all: out pong\n"
               "both: out pong\n"
               "behind: ate pong\n");
    ends_clean();
}
END_TEST

/* E3: one way's catch-all is no business of the other's */
START_TEST(a_catch_all_sees_its_own_direction_only)
{
    static const cvy_stage_t in_only = { NAMED, .on_inbound = see_in };
    static const cvy_stage_t out_only = { NAMED, .on_outbound = see_out };
    row_t rows[] = { { &in_only, "in" }, { &out_only, "out" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    fire_ping(NULL, true);
    history_is("in: in ping\n");
    fire_ping(NULL, false);
    history_is("out: out ping\n");
    ends_clean();
}
END_TEST

/* E3, E9: what passes TAIL and HEAD is silent */
START_TEST(an_event_that_nobody_takes_passes_both_ends_silently)
{
    static const cvy_stage_t deaf = { NAMED };
    row_t rows[] = { { &deaf, "deaf" }, { 0 } };
    open_conn(rows, NULL);
    ck_assert_int_eq(fire_ping(NULL, true), 0);
    ck_assert_int_eq(fire_ping(NULL, false), 0);
    cvy_event_t strange[] = { { &cvy_active_event },          { &cvy_read_complete_event },
                              { &cvy_read_closed_event },     { &cvy_outbound_suspend_event },
                              { &cvy_outbound_resume_event }, { &cvy_inactive_event } };
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        ck_assert_int_eq(cvy_conveyor_fire_inbound(chain, &strange[i]), 0);
    cvy_embedded_run(conn);
    ck_assert(!cvy_transport_closing(transport));
    history_is("");
    ends_clean();
}
END_TEST

/* E3: bytes go to the slot, even where table and catch-all would take them */
START_TEST(built_in_events_go_to_the_slot_before_the_table_and_the_catch_all)
{
    static const cvy_stage_t slots = { NAMED,
                                       .on_inbound_bytes = slot_bytes,
                                       .on_outbound_bytes = slot_bytes,
                                       .events = bytes_too,
                                       .on_inbound = see_in,
                                       .on_outbound = see_out };
    row_t rows[] = { { &slots, "slots" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    history_is("slots: slot bytes\n"
               "slots: table cvy_read_complete\n"
               "slots: table cvy_outbound_flush\n");
    write_text("y");
    history_is("slots: slot bytes\n"
               "slots: table cvy_outbound_flush\n");
    sent_is("");
    ends_clean();
}
END_TEST

/* E3: a table alone is enough, for built-in events too */
START_TEST(built_in_events_go_to_the_table_where_there_is_no_slot)
{
    static const cvy_stage_t table = { NAMED, .events = bytes_too };
    row_t rows[] = { { &table, "table" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    history_is("table: table cvy_inbound_bytes\n"
               "table: table cvy_read_complete\n"
               "table: table cvy_outbound_flush\n");
    write_text("y");
    history_is("table: table cvy_outbound_bytes\n"
               "table: table cvy_outbound_flush\n");
    sent_is("");
    ends_clean();
}
END_TEST

/* E4, E5: the life of a connection as a stage with nothing but catch-alls sees it: every built-in event, once, in order */
START_TEST(a_catch_all_sees_every_built_in_event_of_a_life)
{
    row_t rows[] = { { &seer, "all" }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1 };
    open_conn(rows, &opts);
    feed("hello");
    write_text("ok");
    cvy_embedded_block(conn, true);
    write_text("123456");
    cvy_embedded_block(conn, false);
    history_is("all: in cvy_active\n"
               "all: in cvy_inbound_bytes\n"
               "all: in cvy_read_complete\n"
               "all: out cvy_outbound_flush\n"
               "all: out cvy_outbound_bytes\n"
               "all: out cvy_outbound_flush\n"
               "all: out cvy_outbound_bytes\n"
               "all: in cvy_outbound_suspend\n"
               "all: out cvy_outbound_flush\n"
               "all: out cvy_outbound_flush\n"
               "all: out cvy_inbound_resume\n"
               "all: in cvy_outbound_resume\n");
    sent_is("ok123456");
    cvy_embedded_end(conn);
    history_is("all: in cvy_read_closed\n"
               "all: out cvy_outbound_flush\n"
               "all: out cvy_outbound_close\n"
               "all: in cvy_inactive\n"
               "ended 0\n");
    ends_clean();
}
END_TEST

/* E4: the error event, for a catch-all too */
START_TEST(a_catch_all_sees_the_error_and_passes_it_to_tail)
{
    recorder_t a = RECORDER("a");
    a.rules = (recorder_rule_t[]){ { "bytes", 1, RECORD_FAIL, NULL, UV_EPROTO }, { 0 } };
    row_t rows[] = { { &recorder_stage, &a }, { &seer, "all" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    history_is("a: bytes 1 x\n"
               "all: in cvy_inbound_bytes\n"
               "all: in cvy_failure\n"
               "a: inactive\n"
               "all: in cvy_inactive\n"
               "a: removed\n"
               "ended EPROTO\n");
    ends_clean();
}
END_TEST

/* E3: what a stage has to fire on: a catch-all that does not keeps bytes, errors, close and user events */
START_TEST(bytes_errors_close_and_user_events_end_at_a_stage_that_does_not_fire_them_on)
{
    recorder_t first = RECORDER("first"), last = RECORDER("last");
    row_t rows[] = { { &recorder_stage, &first }, { &glutton, "glutton" }, { &recorder_stage, &last }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    feed("x");
    fire_ping(NULL, true);
    cvy_error_t err = { UV_EPROTO, "test", NULL, 0, 0 };
    ck_assert_int_eq(cvy_fire_error(first.ctx, &err), 0);
    history_is("first: bytes 1 x\n"
               "glutton: ate cvy_inbound_bytes\n"
               "glutton: ate cvy_read_complete\n"
               "glutton: ate cvy_outbound_flush\n"
               "first: in ping\n"
               "glutton: ate ping\n"
               "glutton: ate cvy_failure\n");
    fire_ping(NULL, false);
    ck_assert_int_eq(cvy_fire_outbound_copy(last.ctx, "y", 1), 0);
    cvy_close_t how = { CVY_CLOSE_NOW, 0 };
    ck_assert_int_eq(cvy_fire_outbound_close(last.ctx, &how), 0);
    history_is("last: out ping\n"
               "glutton: ate ping\n"
               "glutton: ate cvy_outbound_bytes\n"
               "glutton: ate cvy_outbound_close\n");
    ck_assert(!cvy_transport_closing(transport));
    cvy_embedded_run(conn);
    sent_is("");
    ends_clean();
}
END_TEST

/* E3: what walks by itself: the same stage swallows none of it */
START_TEST(no_stage_can_swallow_what_walks_by_itself)
{
    recorder_t last = { .name = "last", .log = &history },
               first = { .name = "first", .log = &history, .flags = RECORD_PASS };
    row_t rows[] = { { &recorder_stage, &first }, { &glutton, "glutton" }, { &recorder_stage, &last }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = 4, .low_bytes = 1, .allow_half_close = 1 };
    open_conn(rows, &opts);
    cvy_embedded_block(conn, true);
    cvy_fire_outbound_copy(first.ctx, "123456", 6);
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, false);
    cvy_embedded_end(conn);
    close_now();
    history_is("first: added\n"
               "last: added\n"
               "first: active\n"
               "glutton: ate cvy_active\n"
               "last: active\n"
               "first: outbound-suspend\n"
               "glutton: ate cvy_outbound_suspend\n"
               "last: outbound-suspend\n"
               "last: flush\n"
               "glutton: ate cvy_outbound_flush\n"
               "first: flush\n"
               "last: flush\n"
               "glutton: ate cvy_outbound_flush\n"
               "first: flush\n"
               "last: inbound-resume\n"
               "glutton: ate cvy_inbound_resume\n"
               "first: inbound-resume\n"
               "first: outbound-resume\n"
               "glutton: ate cvy_outbound_resume\n"
               "last: outbound-resume\n"
               "first: read-closed\n"
               "glutton: ate cvy_read_closed\n"
               "last: read-closed\n"
               "first: inactive\n"
               "glutton: ate cvy_inactive\n"
               "last: inactive\n"
               "last: removed\n"
               "first: removed\n"
               "ended 0\n");
    ends_clean();
}
END_TEST

/* E3: a catch-all that fires everything on, what walks by itself too, doubles nothing */
START_TEST(firing_on_what_walks_by_itself_does_nothing)
{
    recorder_t first = { .name = "first", .log = &history, .flags = RECORD_PASS },
               last = { .name = "last", .log = &history };
    row_t rows[] = { { &recorder_stage, &first }, { &seer, "all" }, { &recorder_stage, &last }, { 0 } };
    open_conn(rows, NULL);
    feed("x");
    cvy_transport_readable_state_changed(transport, false);
    cvy_transport_readable_state_changed(transport, true);
    cvy_embedded_run(conn);
    history_is("first: added\n"
               "last: added\n"
               "first: active\n"
               "all: in cvy_active\n"
               "last: active\n"
               "first: bytes 1 x\n"
               "all: in cvy_inbound_bytes\n"
               "last: bytes 1 x\n"
               "first: read-complete\n"
               "all: in cvy_read_complete\n"
               "last: read-complete\n"
               "last: flush\n"
               "all: out cvy_outbound_flush\n"
               "first: flush\n"
               "last: inbound-resume\n"
               "all: out cvy_inbound_resume\n"
               "first: inbound-resume\n");
    ends_clean();
}
END_TEST

static void suspend_and_see(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    if (ev->type == &cvy_inbound_resume_event) cvy_ctx_suspend(ctx);
    cvy_fire_outbound(ctx, ev);
}

/* E3, T6: firing inbound-resume on from a catch-all is not the call that ends one's own suspend */
START_TEST(a_catch_all_that_suspends_and_fires_resume_on_stays_suspended)
{
    static const cvy_stage_t stubborn = { NAMED, .on_outbound = suspend_and_see };
    recorder_t first = RECORDER("first");
    row_t rows[] = { { &recorder_stage, &first }, { &stubborn, "stubborn" }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    cvy_transport_readable_state_changed(transport, false);
    cvy_transport_readable_state_changed(transport, true);
    cvy_embedded_run(conn);
    ck_assert(cvy_transport_suspended(transport));
    feed("x");
    history_is("");
    ends_clean();
}
END_TEST

/* T6: firing the seeds' events is the same as the calls */
START_TEST(firing_inbound_suspend_and_resume_is_the_call)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    cvy_event_t suspend = { &cvy_inbound_suspend_event }, resume = { &cvy_inbound_resume_event };
    cvy_fire_outbound(b.ctx, &suspend);
    ck_assert(cvy_transport_suspended(transport));
    ck_assert_int_eq(cvy_ctx_stopped(a.ctx), UV_EAGAIN);
    cvy_fire_outbound(b.ctx, &resume);
    ck_assert(!cvy_transport_suspended(transport));
    cvy_embedded_run(conn);
    history_is("b: inbound-resume\n"
               "a: inbound-resume\n");
    ends_clean();
}
END_TEST

static cvy_buf_t moved;

static void move_out(cvy_ctx_t *ctx, cvy_buf_t *b)
{
    (void)ctx;
    cvy_buf_move(&moved, b, 2);
}

/* E2: bytes may be moved out; the rest is dropped by whoever fired them */
START_TEST(what_a_stage_moves_out_is_its_own_and_the_rest_is_dropped)
{
    static const cvy_stage_t taker = { .name = "taker", .on_inbound_bytes = move_out, .on_outbound_bytes = move_out };
    row_t rows[] = { { &taker, NULL }, { 0 } };
    open_conn(rows, NULL);
    cvy_buf_init(&moved, cvy_loop_pool(conn_loop));
    feed("in, and more");
    ck_assert(cvy_buf_equal(&moved, "in", 2));
    write_text("outbound");
    ck_assert(cvy_buf_equal(&moved, "inou", 4));
    sent_is("");
    cvy_buf_fini(&moved);
    ck_assert_uint_eq(cvy_pool_live(cvy_loop_pool(conn_loop)), 0);
    ends_clean();
}
END_TEST

static void make(cvy_buf_t *b)
{
    cvy_buf_init(b, cvy_loop_pool(conn_loop));
    ck_assert_int_eq(cvy_buf_append(b, "bytes", 5), 0);
}

/* Fires bytes from ctx in every way there is; all are gone afterwards, and the answers are in, out. */
static void fires_answer(cvy_ctx_t *ctx, int in, int out)
{
    cvy_buf_t b;
    ping_t ping = { CVY_EVENT_OF(ping), 7 };
    make(&b);
    ck_assert_int_eq(cvy_fire_inbound_bytes(ctx, &b), in);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
    make(&b);
    cvy_inbound_bytes_t ib = { CVY_EVENT_OF(cvy_inbound_bytes), &b };
    ck_assert_int_eq(cvy_fire_inbound(ctx, &ib.event), in);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
    ck_assert_int_eq(cvy_fire_inbound(ctx, &ping.event), in);
    ck_assert_int_eq(cvy_ctx_stopped(ctx), in);
    make(&b);
    ck_assert_int_eq(cvy_fire_outbound_bytes(ctx, &b), out);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
    make(&b);
    cvy_outbound_bytes_t ob = { CVY_EVENT_OF(cvy_outbound_bytes), &b };
    ck_assert_int_eq(cvy_fire_outbound(ctx, &ob.event), out);
    ck_assert_uint_eq(cvy_buf_len(&b), 0);
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "z", 1), out);
    ck_assert_int_eq(cvy_fire_outbound(ctx, &ping.event), out);
    ck_assert_int_eq(cvy_ctx_writable(ctx), out == 0);
}

/* E2, E7 */
START_TEST(a_fire_answers_why_to_stop_and_takes_the_bytes_in_every_case)
{
    recorder_t a = RECORDER("a"), b = { .name = "b", .log = &history, .flags = RECORD_SILENT };
    a.flags |= RECORD_SILENT;
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = 64, .hold_reads = CVY_OFF };
    open_conn(rows, &opts);
    fires_answer(a.ctx, 0, 0);
    cvy_ctx_suspend(b.ctx);
    fires_answer(a.ctx, UV_EAGAIN, 0);
    cvy_embedded_run(conn);
    cvy_embedded_block(conn, true);
    ck_assert_int_eq(
        cvy_fire_outbound_copy(b.ctx, "0123456789012345678901234567890123456789012345678901234567890123456789", 70),
        UV_EAGAIN);
    fires_answer(a.ctx, UV_EAGAIN, UV_EAGAIN);
    cvy_ctx_resume(b.ctx);
    fires_answer(a.ctx, 0, UV_EAGAIN);
    cvy_transport_close(transport, CVY_CLOSE_GRACEFUL);
    fires_answer(a.ctx, UV_EPIPE, UV_EPIPE);
    cvy_transport_close(transport, CVY_CLOSE_NOW);
    fires_answer(a.ctx, UV_EPIPE, UV_EPIPE);
    ends_clean();
}
END_TEST

static void remove_self_and_fire(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r, (void)in;
    if (strcmp(event, "timer")) return;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), 0);
    fires_answer(ctx, UV_ECANCELED, UV_ECANCELED);
    cvy_ctx_suspend(ctx);
    ck_assert_int_eq(cvy_ctx_stopped(ctx), UV_ECANCELED);
    cvy_transport_close(transport, CVY_CLOSE_NOW);
    fires_answer(ctx, UV_ECANCELED, UV_ECANCELED);
}

/* E7: removed is said first, whatever else holds */
START_TEST(a_removed_stage_that_still_runs_is_told_so_and_its_bytes_still_go_on)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    a.hook = remove_self_and_fire;
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    cvy_ctx_timer(a.ctx, 5);
    recorder_clear(&history);
    cvy_embedded_advance(conn, 5);
    history_is("a: timer\n"
               "b: bytes 5 bytes\n"
               "b: bytes 5 bytes\n"
               "b: in ping\n"
               "a: removed\n"
               "b: inactive\n"
               "b: removed\n"
               "ended 0\n");
    ends_clean();
}
END_TEST

/* E2: the wrong direction is a mistake, not a leak */
START_TEST(bytes_fired_in_the_wrong_direction_go_nowhere_and_are_gone)
{
    recorder_t a = RECORDER("a"), b = RECORDER("b");
    row_t rows[] = { { &recorder_stage, &a }, { &recorder_stage, &b }, { 0 } };
    open_conn(rows, NULL);
    recorder_clear(&history);
    cvy_buf_t bytes;
    make(&bytes);
    cvy_outbound_bytes_t ob = { CVY_EVENT_OF(cvy_outbound_bytes), &bytes };
    cvy_fire_inbound(a.ctx, &ob.event);
    ck_assert_uint_eq(cvy_buf_len(&bytes), 0);
    make(&bytes);
    cvy_inbound_bytes_t ib = { CVY_EVENT_OF(cvy_inbound_bytes), &bytes };
    cvy_fire_outbound(b.ctx, &ib.event);
    ck_assert_uint_eq(cvy_buf_len(&bytes), 0);
    history_is("");
    ends_clean();
}
END_TEST

/* E7: a hole in the stream would be worse: passing the hard limit ends the connection */
START_TEST(bytes_that_pass_the_hard_limit_at_head_end_the_connection_with_enobufs)
{
    recorder_t a = RECORDER("a");
    a.flags |= RECORD_NO_BYTES;
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = 8, .low_bytes = 4, .hard_bytes = 16 };
    open_conn(rows, &opts);
    cvy_embedded_block(conn, true);
    recorder_clear(&history);
    ck_assert_int_eq(cvy_fire_outbound_copy(a.ctx, "0123456789012345", 16), UV_EAGAIN);
    ck_assert_int_eq(cvy_fire_outbound_copy(a.ctx, "6", 1), UV_EAGAIN);
    ck_assert_int_eq(cvy_fire_outbound_copy(a.ctx, "7", 1), UV_EPIPE);
    cvy_embedded_run(conn);
    history_is("a: error ENOBUFS transport\n"
               "a: inactive\n"
               "a: removed\n"
               "ended ENOBUFS\n");
    sent_is("");
    ends_clean();
}
END_TEST

/* C1, T5: the writing calls refuse instead, whole, before any stage */
START_TEST(a_write_over_the_hard_limit_is_refused_before_any_stage)
{
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = 2, .low_bytes = 1, .hard_bytes = 4 };
    open_conn(rows, &opts);
    cvy_embedded_block(conn, true);
    cvy_fire_outbound_copy(a.ctx, "01234", 5);
    cvy_embedded_run(conn);
    recorder_clear(&history);
    cvy_buf_t b;
    make(&b);
    ck_assert_int_eq(cvy_conveyor_write(chain, &b), UV_ENOBUFS);
    ck_assert_int_eq(cvy_transport_write(transport, &b), UV_ENOBUFS);
    ck_assert(cvy_buf_equal(&b, "bytes", 5));
    cvy_embedded_run(conn);
    history_is("");
    cvy_embedded_block(conn, false);
    sent_is("01234");
    close_now();
    ck_assert_int_eq(cvy_conveyor_write(chain, &b), UV_EPIPE);
    ck_assert(cvy_buf_equal(&b, "bytes", 5));
    cvy_buf_fini(&b);
    ends_clean();
}
END_TEST

static int lines_logged;

static void count_line(void *arg, cvy_log_level_t level, const char *line)
{
    (void)arg;
    ck_assert_int_eq(level, CVY_LOG_WARN);
    ck_assert_ptr_nonnull(strstr(line, "no stage took them"));
    lines_logged++;
}

static uint64_t bytes_dropped(void)
{
    cvy_transport_stats_t stats;
    cvy_transport_stats(transport, &stats);
    return stats.bytes_dropped;
}

/* E9 */
START_TEST(tail_counts_what_nobody_took_and_logs_it_once)
{
    lines_logged = 0;
    cvy_log_set(count_line, NULL);
    open_conn(NULL, NULL);
    feed("three");
    feed("four");
    ck_assert_uint_eq(bytes_dropped(), 9);
    ck_assert_int_eq(lines_logged, 1);
    ck_assert(!cvy_transport_closing(transport));
    ends_clean();
    ck_assert_int_eq(lines_logged, 1);
}
END_TEST

/* E9: nothing is not something that nobody took */
START_TEST(an_empty_buffer_at_tail_is_neither_logged_nor_an_error)
{
    lines_logged = 0;
    cvy_log_set(count_line, NULL);
    cvy_transport_opts_t opts = { .strict_tail = 1 };
    open_conn(NULL, &opts);
    cvy_buf_t empty = CVY_BUF_INIT;
    cvy_inbound_bytes_t ev = { CVY_EVENT_OF(cvy_inbound_bytes), &empty };
    ck_assert_int_eq(cvy_conveyor_fire_inbound(chain, &ev.event), 0);
    ck_assert(!cvy_transport_closing(transport));
    ck_assert_int_eq(lines_logged, 0);
    ends_clean();
}
END_TEST

/* E9: strict */
START_TEST(strict_tail_makes_what_nobody_took_an_error)
{
    lines_logged = 0;
    cvy_log_set(count_line, NULL);
    recorder_t a = RECORDER("a");
    row_t rows[] = { { &recorder_stage, &a }, { 0 } };
    cvy_transport_opts_t opts = { .strict_tail = 1, .error_verb = CVY_CLOSE_RESET };
    open_conn(rows, &opts);
    recorder_clear(&history);
    feed("x");
    history_is("a: bytes 1 x\n"
               "a: error EPROTO transport\n"
               "a: inactive\n"
               "a: removed\n"
               "ended EPROTO\n");
    bool was_reset;
    ck_assert(cvy_embedded_closed(conn, &was_reset) && was_reset);
    ck_assert_uint_eq(bytes_dropped(), 1);
    ck_assert_int_eq(lines_logged, 1);
    ends_clean();
}
END_TEST

/* E10 on a small stack */

enum { MANY = 1000000, SMALL_STACK = 128 * 1024 };

static size_t frames, echoes, completions, errors_seen;

static void split_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_buf_t frame;
    while (cvy_buf_len(in)) {
        cvy_buf_init(&frame, cvy_ctx_pool(ctx));
        if (cvy_buf_move(&frame, in, 1) || cvy_fire_inbound_bytes(ctx, &frame)) break;
    }
}

static void echo_frame(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    frames++;
    cvy_fire_outbound_bytes(ctx, in);
}

static void count_echo(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    echoes += cvy_buf_len(out);
    cvy_fire_outbound_bytes(ctx, out);
}

static void fail_each(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    for (size_t n = cvy_buf_len(in); n; n--)
        cvy_ctx_fail(ctx, UV_EPROTO, "each byte is wrong");
}

static void handle_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    (void)ctx, (void)err;
    errors_seen++;
}

static void on_small_stack(void (*body)(void *arg))
{
    uv_thread_t thread;
    uv_thread_options_t options = { .flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = SMALL_STACK };
    ck_assert_int_eq(uv_thread_create_ex(&thread, &options, body, NULL), 0);
    uv_thread_join(&thread);
}

static void feed_many(const row_t *rows, const cvy_transport_opts_t *opts)
{
    cvy_embedded_opts_t o = { .init = add_row, .arg = (void *)(uintptr_t)rows, .transport = opts };
    cvy_embedded_t *e = NULL;
    if (cvy_embedded_new(&e, &o)) return;
    char *bytes = calloc(1, MANY);
    if (bytes) cvy_embedded_feed(e, bytes, MANY);
    free(bytes);
    cvy_embedded_free(e);
}

static void frames_body(void *arg)
{
    (void)arg;
    static const cvy_stage_t counter = { .name = "counter", .on_outbound_bytes = count_echo };
    static const cvy_stage_t splitter = { .name = "splitter", .on_inbound_bytes = split_bytes };
    static const cvy_stage_t echo = { .name = "echo", .on_inbound_bytes = echo_frame };
    row_t rows[] = { { &counter, NULL }, { &splitter, NULL }, { &echo, NULL }, { 0 } };
    cvy_transport_opts_t opts = { .high_bytes = MANY * 2, .hard_bytes = MANY * 4 };
    feed_many(rows, &opts);
}

/* E10 */
START_TEST(a_million_frames_in_one_event_take_no_deeper_stack_than_one)
{
    frames = echoes = 0;
    on_small_stack(frames_body);
    ck_assert_uint_eq(frames, MANY);
    ck_assert_uint_eq(echoes, MANY);
    ends_clean();
}
END_TEST

static void failures_body(void *arg)
{
    (void)arg;
    static const cvy_stage_t failing = { .name = "failing", .on_inbound_bytes = fail_each };
    static const cvy_stage_t handler = { .name = "handler", .on_error = handle_error };
    row_t rows[] = { { &failing, NULL }, { &handler, NULL }, { 0 } };
    feed_many(rows, NULL);
}

/* E10, E8: and no time that grows with their square */
START_TEST(a_million_failures_in_one_event_take_no_deeper_stack_than_one)
{
    errors_seen = 0;
    on_small_stack(failures_body);
    ck_assert_uint_eq(errors_seen, MANY);
    ends_clean();
}
END_TEST

static void on_complete(cvy_transport_t *t, int status, void *arg)
{
    (void)arg;
    if (!status && ++completions < MANY) cvy_transport_flush(t, on_complete, NULL);
}

static void count_complete(cvy_transport_t *t, int status, void *arg)
{
    (void)t, (void)arg;
    completions += status == UV_ECANCELED;
}

/* Half of them chained, each asked for by the one before; half waiting at once, and cancelled. */
static void completions_body(void *arg)
{
    (void)arg;
    cvy_embedded_t *e = NULL;
    if (cvy_embedded_new(&e, NULL)) return;
    cvy_transport_t *t = cvy_embedded_transport(e);
    cvy_transport_flush(t, on_complete, NULL);
    cvy_embedded_run(e);
    cvy_embedded_block(e, true);
    cvy_buf_t b = CVY_BUF_INIT;
    cvy_buf_append(&b, "x", 1);
    cvy_transport_write(t, &b);
    for (int i = 0; i < MANY; i++)
        cvy_transport_flush(t, count_complete, NULL);
    cvy_embedded_free(e);
}

/* E10 */
START_TEST(a_million_completions_take_no_deeper_stack_than_one)
{
    completions = 0;
    on_small_stack(completions_body);
    ck_assert_uint_eq(completions, 2 * MANY);
    ends_clean();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("event");
    TCase *cases[] = {
        ADD_TESTS(s, "types", a_type_is_the_address_of_one_object_in_every_file,
                  an_event_reads_as_its_own_type_and_as_no_other),
        ADD_TESTS(s, "who gets it", a_user_event_goes_to_the_table_else_to_the_catch_all_else_past_inbound,
                  a_user_event_goes_to_the_table_else_to_the_catch_all_else_past_outbound,
                  a_catch_all_sees_its_own_direction_only, an_event_that_nobody_takes_passes_both_ends_silently,
                  built_in_events_go_to_the_slot_before_the_table_and_the_catch_all,
                  built_in_events_go_to_the_table_where_there_is_no_slot,
                  a_catch_all_sees_every_built_in_event_of_a_life, a_catch_all_sees_the_error_and_passes_it_to_tail,
                  bytes_errors_close_and_user_events_end_at_a_stage_that_does_not_fire_them_on,
                  no_stage_can_swallow_what_walks_by_itself, firing_on_what_walks_by_itself_does_nothing,
                  a_catch_all_that_suspends_and_fires_resume_on_stays_suspended,
                  firing_inbound_suspend_and_resume_is_the_call),
        ADD_TESTS(s, "whose bytes", what_a_stage_moves_out_is_its_own_and_the_rest_is_dropped,
                  bytes_fired_in_the_wrong_direction_go_nowhere_and_are_gone),
        ADD_TESTS(s, "answers", a_fire_answers_why_to_stop_and_takes_the_bytes_in_every_case,
                  a_removed_stage_that_still_runs_is_told_so_and_its_bytes_still_go_on,
                  bytes_that_pass_the_hard_limit_at_head_end_the_connection_with_enobufs,
                  a_write_over_the_hard_limit_is_refused_before_any_stage),
        ADD_TESTS(s, "tail", tail_counts_what_nobody_took_and_logs_it_once,
                  an_empty_buffer_at_tail_is_neither_logged_nor_an_error, strict_tail_makes_what_nobody_took_an_error),
        ADD_TESTS(s, "stack", a_million_frames_in_one_event_take_no_deeper_stack_than_one,
                  a_million_failures_in_one_event_take_no_deeper_stack_than_one,
                  a_million_completions_take_no_deeper_stack_than_one),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tcase_add_checked_fixture(cases[i], set_up, tear_down);
    return test_run(s);
}
