/*
 * A loop without a system: its clock stands until it is moved, and stops at each due time on its way. What is posted runs when the
 * clock is moved, also by 0.
 */
#include <assert.h>

#include "loop/loop.h"

/* Timers that start themselves again without any delay must not hold the clock for ever, nor tasks that post themselves again. */
#define STANDSTILL 10000

int cvy__loop_new_embedded(cvy_loop_t **out, const cvy_loop_opts_t *opts)
{
    cvy_loop_t *loop;
    int err = cvy__loop_alloc(&loop, opts);
    if (err) return err;
    atomic_store(&loop->life, CVY__LIFE_RUNNING);
    *out = loop;
    return 0;
}

void cvy__loop_end_embedded(cvy_loop_t *loop)
{
    assert(!loop->root);
    cvy__posts_close(loop);
    while (!cvy__loop_end_step(loop)) {
        /* A resident that closes by a timer (a graceful close, say) gets its time. */
        uint64_t next = cvy__wheel_next(&loop->wheel);
        if (next == CVY__NEVER) {
            assert(!"a resident did not close");
            break;
        }
        cvy__loop_advance_embedded(loop, next > loop->now_ms ? next - loop->now_ms : 0);
    }
    atomic_store(&loop->life, CVY__LIFE_ENDED);
    cvy_loop_unref(loop);
}

void cvy__loop_advance_embedded(cvy_loop_t *loop, uint64_t ms)
{
    assert(!loop->root);
    uint64_t until = loop->now_ms + ms, next;
    size_t standing = 0, most = loop->wheel.count + STANDSTILL;
    cvy__loop_settle(loop);
    for (int i = 0; i < STANDSTILL && cvy__posts_waiting(loop) && !cvy__loop_ending(loop); i++) {
        cvy__posts_run(loop);
        cvy__loop_settle(loop);
    }
    while ((next = cvy__wheel_next(&loop->wheel)) <= until && standing < most) {
        standing++;
        if (next > loop->now_ms) {
            loop->now_ms = next;
            standing = 0;
            most = loop->wheel.count + STANDSTILL; /* as many may well be due at once */
        }
        cvy__wheel_fire(&loop->wheel, loop->now_ms, 1);
        cvy__loop_settle(loop);
        loop->turns++;
    }
    loop->now_ms = until;
    loop->turns++;
}
