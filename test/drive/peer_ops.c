/* What the peer does. */
#include <string.h>

#include "inner.h"

enum { PIECE = 4096 };

/* All it gets follows what it got. */
static void got(const uint8_t *bytes, size_t n)
{
    must(n <= d.accepted.len - d.peer_got);
    must(!memcmp(bytes, d.accepted.data + d.peer_got, n));
    d.peer_got += n;
}

/* The end of our stream. Who closes at once, or while the peer still sends, may lose bytes that the kernel had. */
static void saw_end(void)
{
    must(d.shut || d.t->phase >= CVY__CLOSING || d.t->shut_called || d.sabotaged);
    must(d.sabotaged || !d.shut || d.t->phase >= CVY__CLOSING || d.peer_got == d.accepted.len);
}

bool peer_reads(size_t n)
{
    uint8_t piece[PIECE];
    size_t before = d.peer_got;
    int m = 1;
    while (n && m > 0) {
        m = d.io->peer_read(piece, n < PIECE ? n : PIECE);
        if (m <= 0) break;
        got(piece, (size_t)m);
        n -= (size_t)m;
    }
    if (m == 0) saw_end();
    return d.peer_got > before;
}

static void peer_writes(size_t n)
{
    uint8_t raw[BIG];
    for (size_t i = 0; i < n; i++)
        raw[i] = (uint8_t)((d.fed.len + i) * 17 + (d.fed.len + i) / 253);
    keep(&d.fed, raw, n); /* before: it may run turns */
    size_t sent = d.peer_ended || d.peer_gone ? 0 : d.io->peer_write(raw, n);
    d.fed.len -= n - sent;
}

void op_peer_writes(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    peer_writes(how % 50);
}

void op_peer_writes_more(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    peer_writes(how % BIG);
}

void op_peer_reads(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (!d.peer_gone) peer_reads(how % 2 ? how % (2 * BIG) : EVERYTHING);
}

void op_peer_ends(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 6 || d.peer_gone) return;
    d.peer_ended = true;
    d.io->peer_end();
}

void op_peer_closes(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 12 || d.peer_gone) return;
    d.peer_ended = d.peer_gone = true;
    d.io->peer_close(false);
}

void op_peer_resets(cvy_ctx_t *ctx, uint32_t how)
{
    (void)ctx;
    if (how % 12 || d.peer_gone || !d.io->resets) return;
    d.reset = d.peer_gone = true;
    d.io->peer_close(true);
}
