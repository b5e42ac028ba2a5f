/* The embedded transport: the peer's wire is what it keeps, and it is simulated down to the clock. */
#include <conveyor/embedded.h>

#include "inner.h"

static cvy_embedded_t *e;

static void open_embedded(const cvy_transport_opts_t *opts, const cvy_loop_opts_t *loop_opts, bool connecting)
{
    cvy_embedded_opts_t with = { .init = drive_init, .transport = opts, .loop = loop_opts, .connecting = true };
    must(cvy_embedded_new(&e, &with) == 0);
    d.loop = cvy_loop_ref(cvy_embedded_loop(e));
    d.t = cvy_transport_ref(cvy_embedded_transport(e));
    d.c = cvy_embedded_conveyor(e);
    drive_watch(d.t);
    if (!connecting) cvy_embedded_connect(e, 0);
}

static void connect_embedded(int status)
{
    cvy_embedded_connect(e, status);
}

static void turns(void)
{
    cvy_embedded_run(e);
}

static void advance(uint64_t ms)
{
    cvy_embedded_advance(e, ms);
}

/* A script of a few writes, or all of them would block. */
static void hinder(uint32_t how)
{
    int results[6];
    size_t n = how % 7;
    if (how / 7 % 3 == 0) {
        cvy_embedded_block(e, how / 21 % 2);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next(2);
        results[i] = r % 3 == 0 ? UV_EAGAIN : r % 61 == 1 ? UV_ECONNRESET : (int)(1 + r % 900);
    }
    cvy_embedded_script(e, results, n);
}

static void unhinder(bool for_good)
{
    if (for_good) {
        cvy_embedded_script(e, NULL, 0);
        cvy_embedded_block(e, false);
    } else {
        cvy_embedded_unblock(e);
    }
}

static size_t peer_write(const uint8_t *bytes, size_t n)
{
    int err = cvy_embedded_feed(e, bytes, n);
    must(!err || err == UV_ENOMEM);
    return err ? 0 : n;
}

static int peer_read(uint8_t *bytes, size_t n)
{
    size_t m = cvy_buf_peek_at(cvy_embedded_sent(e), d.peer_got, bytes, n);
    if (m) return (int)m;
    return cvy_embedded_shut(e) ? 0 : UV_EAGAIN;
}

static void peer_end(void)
{
    cvy_embedded_end(e);
}

static void peer_close(bool reset)
{
    const int gone = UV_EPIPE;
    if (reset) {
        cvy_embedded_reset(e, UV_ECONNRESET);
    } else {
        cvy_embedded_script(e, &gone, 1);
        cvy_embedded_end(e);
    }
}

static void free_embedded(void)
{
    cvy_embedded_free(e);
    e = NULL;
}

const drive_io_t drive_embedded = {
    .name = "the embedded transport",
    .resets = true,
    .simulated = true,
    .open = open_embedded,
    .connect = connect_embedded,
    .turns = turns,
    .advance = advance,
    .hinder = hinder,
    .unhinder = unhinder,
    .peer_write = peer_write,
    .peer_read = peer_read,
    .peer_end = peer_end,
    .peer_close = peer_close,
    .free = free_embedded,
};
