/*
 * Proves lib/conveyor/ctx.c: contexts in the room behind their connection. A listener learns from one connection how much the next will want, and
 * may be wrong each time.
 */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "conveyor/core.h"
#include "net.h"

enum { CONNECTIONS = 40, MOST = 12 };

static int added, removed, in_room, on_heap;

static uint8_t mark_of(const cvy_ctx_t *ctx)
{
    return (uint8_t)((uintptr_t)ctx >> 4);
}

static void intact(cvy_ctx_t *ctx)
{
    const uint8_t *state = cvy_ctx_state(ctx);
    for (size_t i = 0; i < cvy_ctx_stage(ctx)->state_size; i++)
        ck_assert_int_eq(state[i], mark_of(ctx));
}

/* The strictest that a type of this size can want. */
static size_t alignment(size_t size)
{
    size_t align = 1;
    while (size % (2 * align) == 0 && align < _Alignof(max_align_t))
        align *= 2;
    return align;
}

static int mark_added(cvy_ctx_t *ctx, const void *opts)
{
    uint8_t *state = cvy_ctx_state(ctx);
    size_t size = cvy_ctx_stage(ctx)->state_size;
    (void)opts;
    ck_assert_uint_eq((uintptr_t)state % alignment(size), 0);
    for (size_t i = 0; i < size; i++)
        ck_assert_int_eq(state[i], 0);
    cvy_ctx_timer(ctx, 3600000 + added);
    memset(state, mark_of(ctx), size);
    cvy_ctx_timer(ctx, 7200000 + added); /* it stands behind the state */
    added++;
    if (ctx->flags & CVY__CTX_IN_ROOM)
        in_room++;
    else
        on_heap++;
    return 0;
}

static void mark_removed(cvy_ctx_t *ctx)
{
    intact(ctx);
    removed++;
}

static void bytes_in(cvy_ctx_t *ctx, cvy_buf_t *in);

static void bytes_out(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    intact(ctx);
    cvy_fire_outbound_bytes(ctx, out);
}

static void never(cvy_ctx_t *ctx)
{
    (void)ctx;
    ck_abort();
}

#define MARKED(size)                                                                                                 \
    {                                                                                                                \
        .name = "marked", .state_size = size, .on_added = mark_added, .on_removed = mark_removed, .on_timer = never, \
        .on_inbound_bytes = bytes_in, .on_outbound_bytes = bytes_out                                                 \
    }
static const cvy_stage_t marked[] = { MARKED(52), MARKED(48), MARKED(1), MARKED(40), MARKED(16) };

static const cvy_stage_t *one_of_them(void)
{
    return &marked[(size_t)added % (sizeof marked / sizeof *marked)];
}

/* "2": each puts two in its own place, before the bytes go on through them; "0": each goes. */
static void bytes_in(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    uint8_t first = 0;
    cvy_conveyor_t *c = cvy_ctx_conveyor(ctx);
    const cvy_stage_with_t two[] = { { one_of_them(), NULL }, { one_of_them(), NULL } };
    intact(ctx);
    cvy_buf_peek(in, &first, 1);
    cvy_fire_inbound_bytes(ctx, in);
    intact(ctx);
    if (first == '2') ck_assert_int_eq(cvy_conveyor_replace(c, cvy_at_ctx(ctx), two, 2), 0);
    if (first == '0') ck_assert_int_eq(cvy_conveyor_remove(c, cvy_at_ctx(ctx)), 0);
    intact(ctx); /* a tombstone until the dispatch is over */
}

static int stages_of(int connection)
{
    return connection * 5 % (MOST + 1);
}

static int build(cvy_conveyor_t *c, void *arg)
{
    net_t *n = arg;
    for (int i = stages_of(n->inits++); i > 0; i--)
        ck_assert_int_eq(cvy_conveyor_add_last(c, one_of_them(), NULL, NULL), 0);
    return net_echo(c, arg);
}

static void say(net_t *n, const char *text)
{
    size_t want = n->echoed;
    for (int i = 0; i < n->dialed; i++) {
        net_write(n, i, text);
        want += strlen(text);
    }
    NET_UNTIL(n, n->echoed == want);
}

/* C2, C3, M3: connections that get more stages than the last one, and fewer, and others in mid-stream */
START_TEST(stages_live_in_the_room_that_the_last_connection_wanted_and_beyond_it)
{
    net_t n;
    int in_all = 0;
    net_init(&n);
    n.quiet = true;
    n.opts.conveyor_init = build;
    net_listen(&n, "tcp://127.0.0.1:0");
    for (int i = 0; i < CONNECTIONS; i++) {
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        NET_UNTIL(&n, n.connected == i + 1 && n.accepted == i + 1);
        in_all += stages_of(i);
    }
    ck_assert_int_eq(added, in_all);
#ifndef CVY_DEBUG_SEGMENTS
    ck_assert_int_gt(in_room, 0);
#endif
    ck_assert_int_gt(on_heap, 0);
    say(&n, "1");
    say(&n, "2");
    ck_assert_int_eq(added, 3 * in_all);
    ck_assert_int_eq(removed, in_all);
    say(&n, "hello");
    say(&n, "0");
    ck_assert_int_eq(removed, 3 * in_all);
    say(&n, "plain");
    net_close_clients(&n);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(n.listener));
    ck_assert_int_eq(added, removed);
    net_fini(&n);
}
END_TEST

/* M4: from the second connection on the stages of a chain cost no allocation of their own */
START_TEST(the_second_connection_with_the_same_stages_has_all_of_them_in_its_room)
{
#ifndef CVY_DEBUG_SEGMENTS
    net_t n;
    net_init(&n);
    n.quiet = true;
    n.opts.conveyor_init = build;
    net_listen(&n, "tcp://127.0.0.1:0");
    for (int i = 0; i < 3; i++) {
        n.inits = 1; /* five stages, the same ones */
        on_heap = in_room = 0;
        ck_assert_int_eq(net_dial(&n, NULL), 0);
        NET_UNTIL(&n, n.connected == i + 1 && n.accepted == i + 1);
        ck_assert_int_eq(in_room, i ? 5 : 0);
        ck_assert_int_eq(on_heap, i ? 0 : 5);
    }
    net_close_clients(&n);
    NET_UNTIL(&n, !n.open && !cvy_listener_connections(n.listener));
    net_fini(&n);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("room");
    ADD_TESTS(suite, "room", stages_live_in_the_room_that_the_last_connection_wanted_and_beyond_it,
              the_second_connection_with_the_same_stages_has_all_of_them_in_its_room);
    return test_run(suite);
}
