/* libevent's evbuffer. It has no way to split bytes off without a copy: evbuffer_remove_buffer moves whole chains and copies the rest. */
#include <event2/buffer.h>

#include "driver.h"

enum { MOVES = 10000, SEGMENT = 128 * 1024 };

static struct evbuffer *in, *out;
static char piece[PIECE], bytes[SEGMENT];

static long append_and_drain(int size)
{
    (void)size;
    for (int t = 0; t < TIMES; t++) {
        for (int i = 0; i < PIECES; i++)
            must(evbuffer_add(in, piece, PIECE));
        must(evbuffer_drain(in, evbuffer_get_length(in)));
    }
    return TIMES * PIECES;
}

static void fill(int size)
{
    (void)size;
    evbuffer_drain(in, evbuffer_get_length(in));
    for (size_t n = 0; n < BLOCK; n += SEGMENT)
        must(evbuffer_add_reference(in, bytes, SEGMENT, NULL, NULL));
}

static long split_frames(int size)
{
    long frames = 0;
    for (; evbuffer_get_length(in); frames++) {
        if (evbuffer_remove_buffer(in, out, (size_t)size) != size) abort();
        must(evbuffer_drain(out, (size_t)size));
    }
    return frames;
}

static long move_chain(int size)
{
    (void)size;
    for (int i = 0; i < MOVES / 2; i++) {
        must(evbuffer_add_buffer(out, in));
        must(evbuffer_add_buffer(in, out));
    }
    return MOVES / 2 * 2;
}

static const inproc_t benches[] = {
    { "append", NULL, append_and_drain, NULL },
    { "split", fill, split_frames, fill },
    { "move", fill, move_chain, NULL },
    { NULL, NULL, NULL, NULL },
};

int main(void)
{
    in = evbuffer_new();
    out = evbuffer_new();
    return inproc_serve(benches);
}
