/* A program with a loop of Conveyor's. WITH_JEMALLOC: its segments come from jemalloc. */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "exchange.h"
#ifdef WITH_JEMALLOC
#include <conveyor/jemalloc.h>
#endif

int main(void)
{
    exchange_t x;
    cvy_loop_t *loop;
#ifdef WITH_JEMALLOC
    cvy_alloc_set_default(cvy_jemalloc_alloc());
#endif
    if (strcmp(CVY_VERSION, cvy_version()) != 0) return 3;
    int err = cvy_loop_new(&loop, NULL);
    if (!err) err = exchange_begin(&x, loop, NULL);
    while (!err && !exchange_over(&x))
        cvy_loop_turn(loop, 100);
    if (err || x.err) {
        fprintf(stderr, "exchange: %s\n", uv_strerror(err ? err : x.err));
        return 1;
    }
    exchange_end(&x);
    while (cvy_loop_turn(loop, 100) == 1)
        continue;
    cvy_loop_unref(loop);
    printf("heard %s, Conveyor %s\n", x.heard, CVY_VERSION);
    return 0;
}
