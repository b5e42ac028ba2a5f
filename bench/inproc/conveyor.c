/* Conveyor, by its public interface alone. */
#include "conveyor.h"

static const inproc_t benches[] = {
    { "append", NULL, append_and_drain, NULL },
    { "split", fill, split_frames, fill },
    { "move", fill, move_chain, NULL },
    { "pass", chain_passing, send_through, NULL },
    { "skip", chain_skipped, send_through, NULL },
    { NULL, NULL, NULL, NULL },
};

int main(void)
{
    buf_start();
    return inproc_serve(benches);
}
