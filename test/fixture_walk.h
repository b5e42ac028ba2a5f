/* What the tests of the walks share: three recorders in a row, and deeds that change the chain under a walk. */
#ifndef CVY_TEST_FIXTURE_WALK_H
#define CVY_TEST_FIXTURE_WALK_H

#include "fixture_chain.h"
#include "support.h"

static recorder_t extra; /* added by a deed */

static inline void set_up_walk(void)
{
    set_up();
    extra = (recorder_t)RECORDER("extra");
}

static inline void remove_self(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    ck_assert_int_eq(cvy_conveyor_remove(chain, cvy_at_ctx(ctx)), 0);
}

static inline void add_before_self(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    ck_assert_int_eq(cvy_conveyor_add_before(chain, cvy_at_ctx(ctx), &recorder_stage, &extra, NULL), 0);
}

static inline void add_after_self(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    ck_assert_int_eq(cvy_conveyor_add_after(chain, cvy_at_ctx(ctx), &recorder_stage, &extra, NULL), 0);
}

static inline void replace_self(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_stage_with_t with = { &recorder_stage, &extra };
    ck_assert_int_eq(cvy_conveyor_replace(chain, cvy_at_ctx(ctx), &with, 1), 0);
}

static inline void fire_text(recorder_t *r, cvy_ctx_t *ctx, cvy_buf_t *in)
{
    (void)r, (void)in;
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    cvy_buf_append(&b, "left", 4);
    cvy_fire_inbound_bytes(ctx, &b);
}

static inline void open_three(recorder_t *a, recorder_t *b, recorder_t *c, const cvy_transport_opts_t *opts)
{
    row_t rows[] = { { &recorder_stage, a }, { &recorder_stage, b }, { &recorder_stage, c }, { 0 } };
    open_conn(rows, opts);
}

#define ADDED "a: added\nb: added\nc: added\n"
#define GONE  "c: removed\nb: removed\na: removed\n"

#endif
