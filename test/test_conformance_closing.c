/* T14, continued: our own close, by each verb, from everywhere, and what is left of a closed transport, over every kind. */
#include <string.h>

#include "wire.h"

static const cvy_close_verb_t verbs[] = { CVY_CLOSE_GRACEFUL, CVY_CLOSE_NOW, CVY_CLOSE_RESET };

/* T9: graceful close sends what is queued, whatever there is of it. */
START_OVER_KINDS(graceful_close_drains)
{
    size_t n = (size_t)wire_scaled(4 << 20);
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    wire_source(&w.a, n, n);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    ck_assert_int_eq(wire_text(&w.a, "late"), UV_EPIPE);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_uint_eq(w.b.r.bytes, n);
    ck_assert_uint_eq(w.b.wrong, 0);
    ck_assert_int_eq(recorder_seen(&w.b.r, "read-closed"), 1);
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T9: an ordinary close is no reset: the peer sees an end of stream and nothing else. */
START_OVER_KINDS(closing_is_no_reset)
{
    wire_fini(&w);
    for (int i = 0; i < 2; i++) {
        wire_init(&w, w.kind);
        w.b.r.flags |= RECORD_NO_TURNS;
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        cvy_transport_close(w.a.t, verbs[i]);
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: read-closed\nb: out-close graceful 0\n"
                                                  "b: inactive\nb: removed\n");
        ck_assert_int_eq(w.a.cause, 0);
        ck_assert_int_eq(w.b.cause, 0);
        if (!i) wire_fini(&w);
    }
}
END_OVER_KINDS

/* E6, T3, T16: after closing writes are refused whole; a reference keeps the memory, and it answers. */
START_OVER_KINDS(a_closed_transport_refuses)
{
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_t *t = cvy_transport_ref(w.a.t);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    ck_assert_int_eq(wire_text(&w.a, "no"), UV_EPIPE);
    WIRE_UNTIL(&w, wire_gone(&w));
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_append(&b, "no", 2), 0);
    ck_assert_int_eq(cvy_transport_write(t, &b), UV_EPIPE);
    ck_assert_int_eq(cvy_conveyor_write(cvy_transport_conveyor(t), &b), UV_EPIPE);
    ck_assert_uint_eq(cvy_buf_len(&b), 2);
    ck_assert_int_eq(cvy_transport_flush(t, NULL, NULL), UV_EPIPE);
    ck_assert_str_eq(cvy_transport_kind(t), wire_name(w.kind));
    cvy_buf_fini(&b);
    cvy_transport_unref(t);
}
END_OVER_KINDS

/* T9, E5: in every order of two verbs it ends once; the wire checks that each event came once. */
START_OVER_KINDS(close_twice_from_outside)
{
    wire_fini(&w);
    for (int i = 0; i < 9; i++) {
        wire_init(&w, w.kind);
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        ck_assert_int_eq(wire_text(&w.a, "on its way"), 0);
        ck_assert_int_eq(cvy_transport_close(w.a.t, verbs[i / 3]), 0);
        ck_assert_int_eq(cvy_transport_close(w.a.t, verbs[i % 3]), 0);
        ck_assert(cvy_transport_closing(w.a.t));
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_int_eq(w.a.cause, 0);
        ck_assert_int_eq(recorder_seen(&w.a.r, "removed"), 1);
        if (i < 8) wire_fini(&w);
    }
}
END_OVER_KINDS

static int order;

static void close_twice(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r;
    (void)in;
    if (strcmp(event, "bytes")) return;
    cvy_transport_t *t = cvy_ctx_transport(ctx);
    ck_assert_int_eq(cvy_transport_close(t, verbs[order / 3]), 0);
    ck_assert_int_eq(cvy_transport_close(t, verbs[order % 3]), 0);
    ck_assert(cvy_transport_closing(t));
    ck_assert_int_eq(cvy_fire_outbound_copy(ctx, "x", 1), UV_EPIPE);
}

/* T9, E5, E6: the same inside a callback, where it takes effect at once: no further read. */
START_OVER_KINDS(close_twice_from_a_callback)
{
    wire_fini(&w);
    for (order = 0; order < 9; order++) {
        wire_init(&w, w.kind);
        w.a.r.hook = close_twice;
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        wire_source(&w.b, 20000, 5000);
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_int_eq(recorder_seen(&w.a.r, "bytes"), 1);
        ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 0);
        ck_assert_int_eq(w.a.cause, 0);
        if (order < 8) wire_fini(&w);
    }
}
END_OVER_KINDS

/* What comes by itself. */
static bool inbound(const char *place)
{
    return !strcmp(place, "bytes") || !strcmp(place, "read-complete") || !strcmp(place, "read-closed") ||
           !strcmp(place, "outbound-resume");
}

/* A life with every event in it. The wire checks what must have come once. */
static void live(wire_kind_t kind, const char *place, recorder_act_t act)
{
    static const recorder_rule_t echo[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };
    wire_t w;
    const recorder_rule_t rules[] = { { place, 1, act, NULL, 0 }, { "active", 1, RECORD_WRITE, NULL, 12000 }, { 0 } };
    wire_init(&w, kind);
    w.a.r.rules = rules;
    w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.b.r.rules = echo;
    w.a.opts.high_bytes = 4096;
    w.a.opts.hold_reads = CVY_OFF; /* or both ends wait for the other to read */
    int err = wire_open(&w, NULL); /* where a is reset before b is opened, b's socket is not connected any more */
    ck_assert(!err || ((err == UV_EINVAL || err == UV_ECANCELED) && !w.b.opened));
    if (w.a.t) wire_source(&w.a, 12000, 6000); /* asks, and is told of the mark */
    wire_turns(&w, 2);
    if (w.a.r.ctx && w.a.t) {
        cvy_buf_t out = CVY_BUF_INIT;
        cvy_ctx_suspend(w.a.r.ctx);
        cvy_ctx_resume(w.a.r.ctx);
        ck_assert_int_eq(cvy_buf_append(&out, "through the stage", 17), 0);
        cvy_conveyor_write(cvy_transport_conveyor(w.a.t), &out);
        cvy_buf_fini(&out);
    }
    wire_turns(&w, 2);
    if (!strcmp(place, "read-closed") && w.b.t) cvy_transport_close(w.b.t, CVY_CLOSE_GRACEFUL);
    while (w.a.t && inbound(place) && !recorder_seen(&w.a.r, place))
        wire_turn(&w);
    if (w.a.t) cvy_transport_shutdown(w.a.t, 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_ge(recorder_seen(&w.a.r, place), 1);
    wire_fini(&w);
}

/* E5, E6: closing is legal in the callback, by every verb. */
static void close_inside(int i, const char *place)
{
    static const recorder_act_t acts[] = { RECORD_GRACEFUL, RECORD_NOW, RECORD_RESET, RECORD_FIRE_CLOSE };
    wire_vary(conform_variant(i));
    for (int act = 0; act < 4; act++)
        live((wire_kind_t)conform_kind(i), place, acts[act]);
}

#define CLOSE_INSIDE(name, place) \
    START_TEST(name)              \
    {                             \
        close_inside(_i, place);  \
    }                             \
    END_TEST

/* E5, E6 */
CLOSE_INSIDE(close_inside_on_added, "added")
CLOSE_INSIDE(close_inside_active, "active")
CLOSE_INSIDE(close_inside_a_read, "bytes")
CLOSE_INSIDE(close_inside_read_complete, "read-complete")
CLOSE_INSIDE(close_inside_read_closed, "read-closed")
CLOSE_INSIDE(close_inside_outbound_suspend, "outbound-suspend")
CLOSE_INSIDE(close_inside_outbound_resume, "outbound-resume")
CLOSE_INSIDE(close_inside_inactive, "inactive")
CLOSE_INSIDE(close_inside_removal, "removed")
CLOSE_INSIDE(close_inside_outbound_bytes, "out-bytes")
CLOSE_INSIDE(close_inside_a_flush, "flush")
CLOSE_INSIDE(close_inside_inbound_resume, "inbound-resume")
CLOSE_INSIDE(close_inside_outbound_close, "out-close")

/* E5, E6, E8: inside the transport's own error, when it is over already. */
START_OVER_KINDS(close_inside_an_error)
{
    static const recorder_rule_t rules[] = { { "error", 1, RECORD_GRACEFUL, NULL, 0 },
                                             { "error", 1, RECORD_RESET, NULL, 0 },
                                             { "error", 1, RECORD_FIRE_CLOSE, NULL, 0 },
                                             { 0 } };
    w.a.r.rules = rules;
    w.a.r.flags |= RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.a.t, false);
    cvy_transport_close(w.b.t, CVY_CLOSE_NOW);
    while (w.a.t) {
        wire_text(&w.a, "anyone there?");
        wire_turn(&w);
    }
    ck_assert_int_eq(recorder_seen(&w.a.r, "error"), 1);
    ck_assert_int_eq(w.a.cause, w.a.r.last_error);
}
END_OVER_KINDS

static void on_written(cvy_transport_t *t, int status, void *arg)
{
    int *told = arg;
    ck_assert_int_eq(status, 0);
    *told += 1;
    cvy_transport_close(t, verbs[order]);
}

/* T4, E6: inside a write's completion. */
START_OVER_KINDS(close_inside_a_ticket)
{
    wire_fini(&w);
    for (order = 0; order < 3; order++) {
        int told = 0;
        wire_init(&w, w.kind);
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        ck_assert_int_eq(wire_text(&w.a, "last words"), 0);
        ck_assert_int_eq(cvy_transport_flush(w.a.t, on_written, &told), 0);
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_int_eq(told, 1);
        ck_assert_int_eq(w.a.cause, 0);
        if (order < 2) wire_fini(&w);
    }
}
END_OVER_KINDS

static void on_writable(cvy_transport_t *t, bool writable, void *arg)
{
    int *told = arg;
    *told += 1;
    if (writable) cvy_transport_close(t, verbs[order]);
}

/* T5, E6: inside the application's own callback of writability; none follows. */
START_OVER_KINDS(close_inside_the_named_writability_callback)
{
    wire_fini(&w);
    for (order = 0; order < 3; order++) {
        int told = 0;
        wire_init(&w, w.kind);
        w.a.r.flags = w.b.r.flags = RECORD_SILENT;
        w.a.opts.high_bytes = 4096;
        ck_assert_int_eq(wire_open(&w, NULL), 0);
        cvy_transport_on_writable_state_changed(w.a.t, on_writable, &told);
        wire_source(&w.a, 20000, 10000);
        WIRE_UNTIL(&w, wire_gone(&w));
        ck_assert_int_eq(told, 2);
        ck_assert_int_eq(w.a.cause, 0);
        if (order < 2) wire_fini(&w);
    }
}
END_OVER_KINDS

#define INSIDE(name) CONFORM(name, 0, CONFORM_ALL_VARIANTS)

static const conform_case_t cases[] = {
    CONFORM(graceful_close_drains, 0, CONFORM_ALL_VARIANTS),
    CONFORM(closing_is_no_reset, 0, CONFORM_ALL_VARIANTS),
    CONFORM(a_closed_transport_refuses, 0, CONFORM_ALL_VARIANTS),
    CONFORM(close_twice_from_outside, 0, CONFORM_ALL_VARIANTS),
    CONFORM(close_twice_from_a_callback, 0, CONFORM_ALL_VARIANTS),
    INSIDE(close_inside_on_added),
    INSIDE(close_inside_active),
    INSIDE(close_inside_a_read),
    INSIDE(close_inside_read_complete),
    INSIDE(close_inside_read_closed),
    INSIDE(close_inside_outbound_suspend),
    INSIDE(close_inside_outbound_resume),
    INSIDE(close_inside_an_error),
    INSIDE(close_inside_inactive),
    INSIDE(close_inside_removal),
    INSIDE(close_inside_outbound_bytes),
    INSIDE(close_inside_a_flush),
    INSIDE(close_inside_inbound_resume),
    INSIDE(close_inside_outbound_close),
    INSIDE(close_inside_a_ticket),
    INSIDE(close_inside_the_named_writability_callback),
};

int main(void)
{
    return WIRE_RUN("closing", cases);
}
