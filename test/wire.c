/* Wires over every kind of transport: two ends, their sources and checks, opening, turning, and what must be left of them: nothing. */
#include "wire.h"

#include <check.h>
#include <string.h>

/* The gate: of the manual variants. One read per turn; it holds reading by itself, beside whoever else does. */

static wire_end_t *gate_end(cvy_ctx_t *ctx)
{
    return *(wire_end_t **)cvy_ctx_state(ctx);
}

static int gate_added(cvy_ctx_t *ctx, const void *opts)
{
    *(const void **)cvy_ctx_state(ctx) = opts;
    gate_end(ctx)->gate = ctx;
    return 0;
}

static void gate_removed(cvy_ctx_t *ctx)
{
    gate_end(ctx)->gate = NULL;
}

static int gate_active(cvy_ctx_t *ctx)
{
    cvy_ctx_suspend(ctx);
    return 0;
}

static void gate_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    cvy_ctx_suspend(ctx);
    cvy_fire_inbound_bytes(ctx, in);
}

static const cvy_stage_t gate = { .name = "gate",
                                  .state_size = sizeof(wire_end_t *),
                                  .on_added = gate_added,
                                  .on_removed = gate_removed,
                                  .on_active = gate_active,
                                  .on_inbound_bytes = gate_bytes };

static void ask_for_one(const wire_end_t *end)
{
    if (end->gate) cvy_ctx_resume(end->gate);
}

/* Ends */

/* Of a prime period, which is no buffer's size. */
#define PERIOD 65521

static const char *pattern_from(uint64_t at, size_t *n)
{
    static char table[PERIOD];
    if (!table[1])
        for (uint32_t i = 0, x = 1; i < PERIOD; i++)
            table[i] = (char)((x = x * 1664525 + 1013904223) >> 24 | 1);
    size_t offset = (size_t)(at % PERIOD);
    if (*n > PERIOD - offset) *n = PERIOD - offset;
    return table + offset;
}

void wire_pattern(cvy_buf_t *out, uint64_t at, size_t n)
{
    for (size_t m; n; at += m, n -= m) {
        m = n;
        const char *bytes = pattern_from(at, &m);
        if (cvy_buf_append(out, bytes, m)) ck_abort_msg("no memory for the pattern");
    }
}

static void check_pattern(wire_end_t *end, const cvy_buf_t *in)
{
    char piece[16384];
    uint64_t at = end->r.bytes - cvy_buf_len(in);
    for (size_t offset = 0, n; (n = cvy_buf_peek_at(in, offset, piece, sizeof piece)); offset += n)
        for (size_t done = 0, m; done < n; done += m) {
            m = n - done;
            const char *bytes = pattern_from(at + offset + done, &m);
            end->wrong += memcmp(piece + done, bytes, m) != 0;
        }
}

static void fill(wire_end_t *end)
{
    while (end->t && end->sent < end->total && cvy_transport_writable(end->t)) {
        size_t n = end->chunk < end->total - end->sent ? end->chunk : (size_t)(end->total - end->sent);
        cvy_buf_t out;
        cvy_buf_init(&out, cvy_loop_pool(end->loop));
        wire_pattern(&out, end->sent, n);
        int err = cvy_transport_write(end->t, &out);
        if (!err) end->sent += n;
        cvy_buf_fini(&out);
        if (err) return;
    }
}

void wire_hook(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    wire_end_t *end = r->arg;
    (void)ctx;
    if (!strcmp(event, "bytes")) check_pattern(end, in);
    if (!strcmp(event, "outbound-resume")) fill(end);
}

void wire_source(wire_end_t *end, uint64_t total, size_t chunk)
{
    end->total = total;
    end->chunk = chunk;
    fill(end);
}

static void on_gone(cvy_transport_t *t, int cause, void *arg)
{
    wire_end_t *end = arg;
    ck_assert_int_eq(end->cause, 1); /* shutdown-completed comes once */
    ck_assert_ptr_eq(end->t, t);
    end->cause = cause;
    end->t = NULL;
}

static int init_end(cvy_conveyor_t *c, void *arg)
{
    wire_end_t *end = arg;
    end->t = cvy_conveyor_transport(c);
    end->loop = cvy_transport_loop(end->t);
    end->opened = true;
    cvy_transport_on_shutdown_completed(end->t, on_gone, end);
    int err = wire_manual() ? cvy_conveyor_add_last(c, &gate, end, NULL) : 0;
    return err ? err : recorder_init_conveyor(c, &end->r);
}

static void end_init(wire_end_t *end, const char *name)
{
    recorder_log_init(&end->log);
    end->r.name = name;
    end->r.log = &end->log;
    end->r.arg = end;
    if (wire_manual()) end->r.flags = RECORD_NO_RESUMES;
    end->cause = 1;
    end->opts.drain_timeout_ms = end->opts.linger_timeout_ms = 60000; /* more than a slow machine needs */
}

void wire_init(wire_t *w, wire_kind_t kind)
{
    memset(w, 0, sizeof *w);
    w->kind = kind;
    w->segments = wire_segments_live;
    end_init(&w->a, "a");
    end_init(&w->b, "b");
}

static int open_watched(wire_end_t *end, cvy_socket_t fd)
{
    cvy_transport_t *t;
    cvy_watched_opts_t opts = { .ops = &wire_watched_ops,
                                .fd = fd,
                                .user = (void *)(uintptr_t)fd,
                                .transport = &end->opts,
                                .init = init_end,
                                .arg = end };
    return cvy_transport_watched(&t, end->loop, &opts);
}

static int open_fd(wire_t *w, wire_end_t *end, cvy_socket_t fd)
{
    cvy_transport_t *t;
    if (w->kind == WIRE_WATCHED) return open_watched(end, fd);
    return cvy_transport_adopt(&t, end->loop, fd, &end->opts, init_end, end);
}

static int open_fds(wire_t *w)
{
    cvy_socket_t fds[2];
    if (w->kind == WIRE_PIPE)
        wire_pipe_fds(fds);
    else
        wire_tcp_fds(fds);
    if (w->kind == WIRE_WATCHED) {
        wire_fd_nonblocking(fds[0]);
        wire_fd_nonblocking(fds[1]);
    }
    int err = open_fd(w, &w->a, fds[0]);
    if (err) wire_drop_fd(w->kind, fds[0]);
    int err2 = err ? err : open_fd(w, &w->b, fds[1]);
    if (err2) wire_drop_fd(w->kind, fds[1]);
    if (err2 && w->a.t) cvy_transport_close(w->a.t, CVY_CLOSE_NOW);
    return err2;
}

static int open_pair(wire_t *w)
{
    cvy_transport_t *t;
    cvy_pair_end_t a = { w->a.loop, &w->a.opts, init_end, &w->a };
    cvy_pair_end_t b = { w->b.loop, &w->b.opts, init_end, &w->b };
    return cvy_transport_pair(&a, &b, &t);
}

static int open_kind(wire_t *w)
{
    switch (w->kind) {
    case WIRE_EMBEDDED: return wire_embedded_open(w, init_end);
    case WIRE_PAIR:
    case WIRE_PAIR_LOOPS: return open_pair(w);
    default: return open_fds(w);
    }
}

/* Open and active, or gone. */
static bool settled(const wire_end_t *end)
{
    return end->cause != 1 || recorder_seen(&end->r, "active");
}

int wire_open(wire_t *w, cvy_loop_t *loop)
{
    w->own_loops = !loop;
    if (w->kind != WIRE_EMBEDDED) {
        w->a.loop = loop ? loop : wire_new_loop();
        if (!w->b.loop) w->b.loop = w->kind == WIRE_PAIR_LOOPS ? wire_new_loop() : w->a.loop;
    }
    int err = open_kind(w);
    if (err) return err;
    WIRE_UNTIL(w, settled(&w->a) && (settled(&w->b) || (!w->b.opened && w->a.cause != 1)));
    if (wire_manual())
        wire_turns(w, 1); /* who reads by demand reads: wine forgets a reset that nobody was reading for */
    return 0;
}

static void turn_for(wire_t *w, int64_t ms)
{
    ask_for_one(&w->a);
    ask_for_one(&w->b);
    if (w->kind == WIRE_EMBEDDED) {
        wire_embedded_turn(w);
    } else if (w->b.loop == w->a.loop) {
        cvy_loop_turn(w->a.loop, ms);
    } else {
        cvy_loop_turn(w->a.loop, 0);
        cvy_loop_turn(w->b.loop, ms < 1 ? ms : 1);
    }
}

void wire_turn(wire_t *w)
{
    turn_for(w, 5);
}

void wire_turns(wire_t *w, int n)
{
    while (n--)
        turn_for(w, 0);
}

static void end_fini(wire_end_t *end)
{
    if (end->opened) {
        ck_assert_int_eq(recorder_seen(&end->r, "removed"), recorder_seen(&end->r, "added"));
        ck_assert_int_le(recorder_seen(&end->r, "active"), 1);
        ck_assert_int_le(recorder_seen(&end->r, "read-closed"), 1);
        ck_assert_int_eq(recorder_seen(&end->r, "inactive"), recorder_seen(&end->r, "active"));
    }
    recorder_fini(&end->r);
    recorder_log_fini(&end->log);
}

void wire_fini(wire_t *w)
{
    if (w->a.t) cvy_transport_close(w->a.t, CVY_CLOSE_NOW);
    if (w->b.t) cvy_transport_close(w->b.t, CVY_CLOSE_NOW);
    while (w->a.t || w->b.t)
        wire_turn(w);
    end_fini(&w->a);
    end_fini(&w->b);
    if (w->kind == WIRE_EMBEDDED) {
        wire_embedded_free(w);
    } else {
        if (w->b.loop && w->b.loop != w->a.loop) cvy_loop_unref(w->b.loop);
        if (w->own_loops) cvy_loop_unref(w->a.loop);
    }
    if (w->own_loops) ck_assert_int_eq(wire_segments_live, w->segments);
}

int wire_write(wire_end_t *end, const void *bytes, size_t n)
{
    cvy_buf_t out;
    cvy_buf_init(&out, cvy_loop_pool(end->loop));
    ck_assert_int_eq(cvy_buf_append(&out, bytes, n), 0);
    int err = end->t ? cvy_transport_write(end->t, &out) : UV_EPIPE;
    ck_assert_uint_eq(cvy_buf_len(&out), err ? n : 0); /* whole, or untouched */
    cvy_buf_fini(&out);
    return err;
}

int wire_text(wire_end_t *end, const char *text)
{
    return wire_write(end, text, strlen(text));
}

size_t wire_writes(const wire_end_t *end)
{
    return end->e ? cvy_embedded_write_calls(end->e) : (size_t)wire_watched_writes;
}

bool wire_gone(const wire_t *w)
{
    return !w->a.t && !w->b.t;
}

void wire_drop_fd(wire_kind_t kind, cvy_socket_t fd)
{
    if (kind == WIRE_PIPE)
        wire_pipe_fd_close(fd);
    else
        wire_fd_close(fd, false);
}
