/*
 * Two embedded transports back to back, and between them what a kernel would do: a bounded link, bytes before the end, a reset for whoever
 * closes on bytes that were not read or writes to one who is gone.
 *
 * A link's room is handed out in sixteenths, so that writes are short and would block as they do on a socket.
 */
#include "wire.h"

#include <check.h>

#define LINK_BYTES (256 * 1024)
#define SHARES     16

static int open_end(wire_end_t *end, int (*init)(cvy_conveyor_t *c, void *end))
{
    const cvy_embedded_opts_t opts = { .init = init, .arg = end, .transport = &end->opts, .loop = wire_loop_opts() };
    int err = cvy_embedded_new(&end->e, &opts);
    if (err) end->e = NULL;
    return err;
}

int wire_embedded_open(wire_t *w, int (*init)(cvy_conveyor_t *c, void *end))
{
    int err = open_end(&w->a, init);
    if (err) return err;
    err = open_end(&w->b, init);
    if (err) cvy_transport_close(cvy_embedded_transport(w->a.e), CVY_CLOSE_NOW);
    return err;
}

/* What is with the system and was not read. */
static uint64_t unread(const wire_end_t *end)
{
    cvy_transport_stats_t stats;
    cvy_transport_stats(cvy_embedded_transport(end->e), &stats);
    return end->fed - stats.bytes_read;
}

static void tell_reset(wire_end_t *end)
{
    if (end->reset_told) return;
    end->reset_told = true;
    cvy_embedded_reset(end->e, UV_ECONNRESET);
}

static bool feed(wire_end_t *from, wire_end_t *to)
{
    static char piece[65536];
    cvy_buf_t *sent = cvy_embedded_sent(from->e);
    bool fed = false;
    for (size_t n; !cvy_embedded_closed(to->e, NULL) && (n = cvy_buf_read(sent, piece, wire_segment_bytes())) > 0;) {
        fed = true;
        to->fed += n;
        if (cvy_embedded_feed(to->e, piece, n)) ck_abort_msg("what was sent can not be fed");
    }
    return fed;
}

/* Whether anything moved. */
static bool pass(wire_end_t *from, wire_end_t *to)
{
    cvy_buf_t *sent = cvy_embedded_sent(from->e);
    bool with_reset, closed = cvy_embedded_closed(from->e, &with_reset);
    if (from->reset_told) {
        cvy_buf_advance(sent, cvy_buf_len(sent));
        return false;
    }
    if (closed && (with_reset || unread(from))) {
        tell_reset(to);
        return false;
    }
    if (cvy_embedded_closed(to->e, NULL)) {
        if (cvy_buf_len(sent)) tell_reset(from);
        return false;
    }
    bool moved = feed(from, to);
    if ((closed || cvy_embedded_shut(from->e)) && !cvy_buf_len(sent) && !to->end_told) {
        to->end_told = moved = true;
        cvy_embedded_end(to->e);
    }
    return moved;
}

static void make_room(wire_end_t *from, const wire_end_t *to)
{
    uint64_t link = from->opts.send_buffer > 0 ? (uint64_t)from->opts.send_buffer : LINK_BYTES, used = unread(to);
    int script[SHARES + 1024], n = 0, share = (int)(link / SHARES);
    for (uint64_t room = used < link ? link - used : 0; room >= (uint64_t)share && n < SHARES; room -= (uint64_t)share)
        script[n++] = share;
    while (n < SHARES + 1024)
        script[n++] = UV_EAGAIN;
    if (cvy_embedded_script(from->e, script, (size_t)n)) ck_abort_msg("no memory for the script");
    cvy_embedded_unblock(from->e);
}

void wire_embedded_turn(wire_t *w)
{
    if (!w->b.e) { /* it was not opened */
        if (w->a.e) cvy_embedded_run(w->a.e);
        return;
    }
    bool moved = pass(&w->a, &w->b);
    moved |= pass(&w->b, &w->a);
    make_room(&w->a, &w->b);
    make_room(&w->b, &w->a);
    cvy_embedded_advance(w->a.e, moved ? 0 : 1);
    cvy_embedded_advance(w->b.e, moved ? 0 : 1);
}

void wire_embedded_free(wire_t *w)
{
    cvy_embedded_free(w->a.e);
    cvy_embedded_free(w->b.e);
}
