/* Buffers with a pool, as on a loop. */
#include <uv.h>

#include "conveyor.h"

enum { MOVES = 10000, SEGMENT = 128 * 1024 };

static cvy_buf_t in, out;
static char piece[PIECE];

void buf_start(void)
{
    static cvy_pool_t *pool;
    must(cvy_pool_new(&pool, NULL));
    cvy_buf_init(&in, pool);
    cvy_buf_init(&out, pool);
}

long append_and_drain(int size)
{
    (void)size;
    for (int t = 0; t < TIMES; t++) {
        for (int i = 0; i < PIECES; i++)
            must(cvy_buf_append(&in, piece, PIECE));
        cvy_buf_advance(&in, cvy_buf_len(&in));
    }
    return TIMES * PIECES;
}

/* In segments as reading fills them; their bytes are not touched. */
void fill(int size)
{
    (void)size;
    cvy_buf_fini(&in);
    for (size_t n = 0; n < BLOCK; n += SEGMENT) {
        must(cvy_buf_reserve(&in, SEGMENT));
        if (cvy_buf_commit(&in, SEGMENT) != SEGMENT) abort();
    }
}

long split_frames(int size)
{
    long frames = 0;
    cvy_buf_t frame;
    for (; cvy_buf_len(&in); frames++) {
        must(cvy_buf_split(&frame, &in, (size_t)size));
        cvy_buf_fini(&frame);
    }
    return frames;
}

long move_chain(int size)
{
    (void)size;
    for (int i = 0; i < MOVES / 2; i++) {
        must(cvy_buf_append_buf(&out, &in));
        must(cvy_buf_append_buf(&in, &out));
    }
    return MOVES / 2 * 2;
}
