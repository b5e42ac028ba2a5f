/* T14: one suite over every kind of transport. Here: a connection's whole life, its bytes, its names and its descriptor. */
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static const recorder_rule_t hello_and_close[] = { { "active", 1, RECORD_WRITE, "hello", 0 },
                                                   { "bytes", 1, RECORD_GRACEFUL, NULL, 0 },
                                                   { 0 } };
static const recorder_rule_t echo[] = { { "bytes", 0, RECORD_ECHO, NULL, 0 }, { 0 } };

/* E5, E6, T8, T9, L2: a says hello when active; b answers; a closes on the answer. The whole order, on both sides. */
START_OVER_KINDS(order_of_events)
{
    w.a.r.rules = hello_and_close;
    w.b.r.rules = echo;
    w.a.r.flags |= RECORD_NO_TURNS;
    w.b.r.flags |= RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_str_eq(recorder_text(&w.a.log), "a: added\na: active\na: bytes 5 hello\na: inactive\na: removed\n");
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: bytes 5 hello\nb: read-closed\n"
                                              "b: out-close graceful 0\nb: inactive\nb: removed\n");
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T7, E4: the same with its turns: read-complete behind the bytes, one flush for each turn that wrote. */
START_OVER_KINDS(order_of_turns)
{
    w.a.r.rules = hello_and_close;
    w.b.r.rules = echo;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_str_eq(recorder_text(&w.a.log),
                     "a: added\na: active\na: flush\na: bytes 5 hello\na: inactive\na: removed\n");
    ck_assert_str_eq(recorder_text(&w.b.log), "b: added\nb: active\nb: bytes 5 hello\nb: read-complete\nb: flush\n"
                                              "b: read-closed\nb: flush\nb: out-close graceful 0\nb: inactive\n"
                                              "b: removed\n");
}
END_OVER_KINDS

/* Both directions at once, in pieces of the given size. */
static void stream_both_ways(wire_t *w, uint64_t total, size_t chunk)
{
    w->a.r.hook = w->b.r.hook = wire_hook;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.hold_reads = w->b.opts.hold_reads = CVY_OFF;
    ck_assert_int_eq(wire_open(w, NULL), 0);
    wire_source(&w->a, total, chunk);
    wire_source(&w->b, total, chunk);
    WIRE_UNTIL(w, w->a.r.bytes >= total && w->b.r.bytes >= total);
    ck_assert_uint_eq(w->a.r.bytes, total);
    ck_assert_uint_eq(w->b.r.bytes, total);
    ck_assert_uint_eq(w->a.wrong + w->b.wrong, 0);
    cvy_transport_close(w->a.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(w, wire_gone(w));
    ck_assert_int_eq(w->a.cause, 0);
    ck_assert_int_eq(w->b.cause, 0);
}

/* T3, T4 */
START_OVER_KINDS(bytes_written_one_by_one_arrive_intact)
{
    stream_both_ways(&w, wire_scaled(20000), 1);
}
END_OVER_KINDS

/* T3, T4, T7: more than the kernel takes at once. */
START_OVER_KINDS(writes_of_1_mib_arrive_intact)
{
    stream_both_ways(&w, 32 << 20, 1 << 20);
}
END_OVER_KINDS

/* T3, T4, T7: the kernel takes a little at a time: of a piece that both sides' buffers can't hold, some and not all, while nobody reads. */
START_OVER_KINDS(writes_into_a_send_buffer_of_1_kib_arrive_intact)
{
    const size_t piece = 300000;
    const uint64_t total = 2 * piece;
    w.a.opts.send_buffer = 1024;
    w.b.r.hook = w.a.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    wire_source(&w.a, total, piece);
    WIRE_UNTIL(&w, cvy_transport_queued(w.a.t) % piece > 0);
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, w.b.r.bytes >= total);
    ck_assert_uint_eq(w.b.r.bytes, total);
    ck_assert_uint_eq(w.b.wrong, 0);
}
END_OVER_KINDS

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* The next n bytes of end's pattern, made of pieces of random sizes, appended or joined. */
static void build(cvy_buf_t *out, const wire_end_t *end, size_t n, uint32_t *seed)
{
    for (size_t done = 0, m; done < n; done += m) {
        m = 1 + next_random(seed) % (n - done);
        if (next_random(seed) % 2) {
            wire_pattern(out, end->sent + done, m);
            continue;
        }
        cvy_buf_t other;
        cvy_buf_init(&other, cvy_loop_pool(end->loop));
        wire_pattern(&other, end->sent + done, m);
        cvy_buf_append_buf(out, &other);
        cvy_buf_fini(&other);
    }
}

/* T3, T4, B2: whatever is written, in whatever pieces, comes back as it was. */
START_OVER_KINDS(an_echo_of_random_sizes_and_chunkings)
{
    uint64_t total = wire_scaled(2 << 20);
    uint32_t seed = 88172645u + (uint32_t)_i;
    w.a.r.hook = wire_hook;
    w.b.r.rules = echo;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.hold_reads = CVY_OFF; /* who fills its queue and waits for the echo would wait for ever */
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    while (w.a.r.bytes < total) {
        while (w.a.sent < total && cvy_transport_writable(w.a.t)) {
            size_t n = 1 + next_random(&seed) % (next_random(&seed) % 8 ? 300 : 30000);
            cvy_buf_t out;
            cvy_buf_init(&out, cvy_loop_pool(w.a.loop));
            if (n > total - w.a.sent) n = (size_t)(total - w.a.sent);
            build(&out, &w.a, n, &seed);
            if (cvy_transport_write(w.a.t, &out)) ck_abort_msg("refused");
            w.a.sent += n;
        }
        wire_turn(&w);
    }
    ck_assert_uint_eq(w.a.r.bytes, total);
    ck_assert_uint_eq(w.a.wrong, 0);
    ck_assert_uint_eq(w.b.r.bytes, total);
}
END_OVER_KINDS

static size_t lent, given_back;

static void give_back(void *arg, void *base, size_t n)
{
    (void)arg;
    (void)n;
    given_back++;
    free(base);
}

/* n bytes of the pattern in foreign memory: a view that nothing can be merged with. */
static void write_foreign(wire_end_t *end, size_t n)
{
    cvy_buf_t out, copy = CVY_BUF_INIT;
    char *base = malloc(n);
    wire_pattern(&copy, end->sent, n);
    cvy_buf_read(&copy, base, n);
    cvy_buf_fini(&copy);
    cvy_buf_init(&out, cvy_loop_pool(end->loop));
    ck_assert_int_eq(cvy_buf_wrap(&out, base, n, give_back, NULL), 0);
    ck_assert_int_eq(cvy_transport_write(end->t, &out), 0);
    end->sent += n;
    lent++;
}

/* T4, T7, B1: more views than one write can take, beside some that no write can take whole; each is given back once. */
START_OVER_KINDS(many_small_and_some_huge_buffers_gather)
{
    lent = given_back = 0;
    w.b.r.hook = wire_hook;
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.high_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (int i = 0; i < 1200; i++)
        write_foreign(&w.a, i % 600 == 300 ? (size_t)wire_scaled(3 << 20) + 70000 : 200 + (size_t)(i % 7) * 30);
    WIRE_UNTIL(&w, w.b.r.bytes == w.a.sent);
    ck_assert_uint_eq(w.b.wrong, 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_uint_eq(given_back, lent);
}
END_OVER_KINDS

static void write_hundred(wire_end_t *end)
{
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wire_text(end, "one of a hundred small writes"), 0);
}

/* T7: what is written in one turn leaves at its end. */
START_OVER_KINDS(a_turn_ends_with_nothing_queued)
{
    w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    write_hundred(&w.a);
    ck_assert_uint_eq(cvy_transport_queued(w.a.t), 2900);
    wire_turn(&w);
    ck_assert_uint_eq(cvy_transport_queued(w.a.t), 0);
    WIRE_UNTIL(&w, w.b.r.bytes == 2900);
    cvy_transport_stats_t stats;
    cvy_transport_stats(w.a.t, &stats);
    ck_assert_uint_eq(stats.bytes_written, 2900);
}
END_OVER_KINDS

/* T7: in one gathered write. */
START_OVER_KINDS(a_turn_ends_with_one_write)
{
    w.b.r.flags = RECORD_SILENT;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    size_t before = wire_writes(&w.a);
    write_hundred(&w.a);
    WIRE_UNTIL(&w, w.b.r.bytes == 2900);
    ck_assert_uint_eq(wire_writes(&w.a) - before, 1);
}
END_OVER_KINDS

/* R3, T16: a connection that follows at once on another's descriptor and memory gets its own bytes and no other's. */
START_OVER_KINDS(a_hundred_rounds_of_reuse_without_cross_talk)
{
    static const cvy_close_verb_t verbs[] = { CVY_CLOSE_GRACEFUL, CVY_CLOSE_NOW, CVY_CLOSE_RESET };
    wire_t rounds[2];
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    for (int i = 0; i < 100; i++) {
        wire_t *x = &rounds[i % 2];
        char text[32];
        int n = snprintf(text, sizeof text, "the bytes of round %d", i);
        wire_init(x, w.kind);
        x->a.r.flags |= RECORD_KEEP;
        x->b.r.flags |= RECORD_KEEP;
        ck_assert_int_eq(wire_open(x, w.a.loop), 0);
        if (i) wire_fini(&rounds[(i - 1) % 2]);
        ck_assert_int_eq(wire_text(&x->a, text), 0);
        ck_assert_int_eq(wire_text(&x->b, text), 0);
        WIRE_UNTIL(x, x->a.r.bytes && x->b.r.bytes);
        ck_assert(cvy_buf_equal(&x->a.r.received, text, (size_t)n));
        ck_assert(cvy_buf_equal(&x->b.r.received, text, (size_t)n));
        wire_text(&x->a, "on its way when it ends");
        wire_text(&x->b, "on its way when it ends");
        cvy_transport_close(x->a.t, verbs[i % 3]);
        cvy_transport_close(x->b.t, verbs[i / 3 % 3]);
    }
    wire_fini(&rounds[1]);
    ck_assert_int_eq(recorder_seen(&w.a.r, "bytes") + recorder_seen(&w.b.r, "bytes"), 0);
}
END_OVER_KINDS

typedef struct names {
    const char *self, *other;
    const struct sockaddr *self_address, *other_address;
    char text[512];
} names_t;

static names_t names_of(const cvy_transport_t *t)
{
    names_t n = { cvy_transport_self_endpoint(t), cvy_transport_other_endpoint(t), cvy_transport_self_address(t),
                  cvy_transport_other_address(t), "" };
    snprintf(n.text, sizeof n.text, "%s %s", n.self, n.other);
    return n;
}

static names_t at_active;

static void note_names(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)r;
    (void)in;
    if (!strcmp(event, "active")) at_active = names_of(cvy_ctx_transport(ctx));
}

static void same_names(const cvy_transport_t *t)
{
    names_t now = names_of(t);
    ck_assert_ptr_eq(now.self, at_active.self);
    ck_assert_ptr_eq(now.other, at_active.other);
    ck_assert_ptr_eq(now.self_address, at_active.self_address);
    ck_assert_ptr_eq(now.other_address, at_active.other_address);
    ck_assert_str_eq(now.text, at_active.text);
}

/* T12: there before active, the same while it is open, while it closes, and as long as the memory. */
START_OVER_KINDS(names_stay_before_during_and_after)
{
    w.a.r.hook = note_names;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_t *t = cvy_transport_ref(w.a.t);
    ck_assert_ptr_nonnull(strchr(at_active.self, ':'));
    ck_assert_ptr_nonnull(strchr(at_active.other, ':'));
    same_names(t);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    same_names(t);
    cvy_transport_unref(t);
}
END_OVER_KINDS

/* T13: the descriptor is lent while it is open. */
START_OVER_KINDS(the_descriptor_is_answered_until_closing)
{
    cvy_socket_t fd;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(cvy_transport_fd(w.a.t, &fd), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_NOW);
    ck_assert_int_eq(cvy_transport_fd(w.a.t, &fd), UV_EBADF);
}
END_OVER_KINDS

/* T13, T17 */
START_OVER_KINDS(without_a_descriptor_the_answer_is_not_supported)
{
    cvy_socket_t fd;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(cvy_transport_fd(w.a.t, &fd), UV_ENOTSUP);
}
END_OVER_KINDS

static const conform_case_t cases[] = {
    CONFORM(order_of_events, 0, CONFORM_ALL_VARIANTS),
    CONFORM(order_of_turns, NEEDS_NO_COPY, CONFORM_ONE_VARIANT),
    CONFORM(bytes_written_one_by_one_arrive_intact, 0, CONFORM_ALL_VARIANTS),
    CONFORM(writes_of_1_mib_arrive_intact, 0, CONFORM_ONE_VARIANT),
    CONFORM(writes_into_a_send_buffer_of_1_kib_arrive_intact, NEEDS_BUFFER_SIZES, CONFORM_ALL_VARIANTS),
    CONFORM(an_echo_of_random_sizes_and_chunkings, 0, CONFORM_ALL_VARIANTS),
    CONFORM(many_small_and_some_huge_buffers_gather, 0, CONFORM_ALL_VARIANTS),
    CONFORM(a_turn_ends_with_nothing_queued, 0, CONFORM_ALL_VARIANTS),
    CONFORM(a_turn_ends_with_one_write, NEEDS_COUNTED_WRITES, CONFORM_ALL_VARIANTS),
    CONFORM(a_hundred_rounds_of_reuse_without_cross_talk, NEEDS_ONE_LOOP, CONFORM_ALL_VARIANTS),
    CONFORM(names_stay_before_during_and_after, 0, CONFORM_ALL_VARIANTS),
    CONFORM(the_descriptor_is_answered_until_closing, NEEDS_FD, CONFORM_ONE_VARIANT),
    CONFORM(without_a_descriptor_the_answer_is_not_supported, NEEDS_NO_FD, CONFORM_ONE_VARIANT),
};

int main(void)
{
    return WIRE_RUN("bytes", cases);
}
