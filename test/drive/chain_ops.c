/* Operations that change the chain, from outside and under the feet of whatever walks it. */
#include "inner.h"

static const cvy_stage_t *kind(uint32_t how)
{
    static const cvy_stage_t *const kinds[] = { &drive_stage_holder, &drive_stage_passer, &drive_stage_catcher,
                                                &drive_stage_holder, &drive_stage_passer, &drive_stage_refuser };
    return kinds[how % 6];
}

static int free_slot(int from)
{
    while (from < MAX_STAGES && d.stages[from])
        from++;
    return from;
}

static void check_answer(int err, const cvy_stage_t *stage)
{
    if (stage == &drive_stage_refuser)
        must(err < 0);
    else
        must(!err || err == UV_ENOMEM || err == UV_EPIPE || err == UV_ENOENT);
}

void op_add(cvy_ctx_t *in, uint32_t how)
{
    (void)in;
    int slot = free_slot(0);
    if (slot == MAX_STAGES || !d.tap) return;
    const cvy_stage_t *stage = kind(how);
    cvy_ctx_t *at = d.stages[how / 8 % MAX_STAGES], *ctx = NULL;
    int err;
    if (at && how / 64 % 2)
        err = cvy_conveyor_add_before(d.c, cvy_at_ctx(at), stage, &slot, &ctx);
    else if (at)
        err = cvy_conveyor_add_after(d.c, cvy_at_ctx(at), stage, &slot, &ctx);
    else if (how / 64 % 2)
        err = cvy_conveyor_add_before(d.c, cvy_at_ctx(d.sink), stage, &slot, &ctx);
    else
        err = cvy_conveyor_add_after(d.c, cvy_at_ctx(d.tap), stage, &slot, &ctx);
    check_answer(err, stage);
}

static bool holds(cvy_ctx_t *ctx)
{
    return cvy_buf_len(&of(ctx)->in) || cvy_buf_len(&of(ctx)->out);
}

/*
 * One that is removed while its callback runs, or replaced, is stepped over at once and lets go of what it holds a little later: bytes that
 * another removal lets pass by in between overtake those. So nobody in here removes such a stage but itself, as the last thing its callback
 * does, and nothing is removed while one that holds bytes is being replaced.
 */
static bool may_go(cvy_ctx_t *at, const cvy_ctx_t *self)
{
    return !d.replacing && (cvy__ctx_busy(at) <= (at == self) || !holds(at));
}

void op_replace(cvy_ctx_t *self, uint32_t how)
{
    int slots[2];
    cvy_ctx_t *at = d.stages[how % MAX_STAGES];
    slots[0] = free_slot(0);
    slots[1] = slots[0] < MAX_STAGES ? free_slot(slots[0] + 1) : MAX_STAGES;
    if (!at || slots[1] >= MAX_STAGES || !may_go(at, self)) return;
    how /= 8;
    cvy_stage_with_t with[2] = { { kind(how), &slots[0] }, { kind(how / 6), &slots[1] } };
    size_t n = 1 + how / 36 % 2;
    d.replacing = holds(at);
    int err = cvy_conveyor_replace(d.c, cvy_at_ctx(at), with, n);
    d.replacing = false;
    check_answer(err, n > 1 && with[1].stage == &drive_stage_refuser ? with[1].stage : with[0].stage);
}

void op_remove(cvy_ctx_t *self, uint32_t how)
{
    cvy_ctx_t *at = d.stages[how % MAX_STAGES];
    if (at && may_go(at, self)) cvy_conveyor_remove(d.c, cvy_at_ctx(at));
}

void op_remove_self(cvy_ctx_t *ctx, uint32_t how)
{
    (void)how;
    if (ctx && ctx != d.tap && ctx != d.sink && may_go(ctx, ctx)) cvy_conveyor_remove(d.c, cvy_at_ctx(ctx));
}

static bool comes_and_goes(const cvy_ctx_t *ctx, void *arg)
{
    (void)arg;
    return ctx != d.tap && ctx != d.sink;
}

static const cvy_stage_t *chosen(cvy_ctx_t *ctx, const void **opts, void *arg)
{
    static int slots[MAX_STAGES];
    uint32_t how = *(const uint32_t *)arg + next(1);
    int slot = free_slot(0);
    if (how % 3 == 0 && may_go(ctx, NULL)) return NULL;
    if (!may_go(ctx, NULL) || holds(ctx) || how % 3 == 1 || slot == MAX_STAGES) return cvy_ctx_stage(ctx);
    slots[slot] = slot;
    *opts = &slots[slot];
    return kind(how / 3);
}

void op_map(cvy_ctx_t *in, uint32_t how)
{
    (void)in;
    if (d.tap && how % 4 == 0) cvy_conveyor_map(d.c, chosen, comes_and_goes, &how);
}
