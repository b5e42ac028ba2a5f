/* What an options struct says: 0 is the default, CVY_OFF is off. */
#ifndef CVY_STAGES_OPTIONS_H
#define CVY_STAGES_OPTIONS_H

#include <conveyor/base.h>
#include <uv.h>

/* What a limit that is off resolves to; no byte count and no time reaches it. */
#define CVY__NO_LIMIT UINT64_MAX

/* Errors: UV_EINVAL (negative and not CVY_OFF, or above most). */
static inline int cvy__opt_limit(uint64_t *out, int64_t given, uint64_t by_default, uint64_t most)
{
    if (given < CVY_OFF || (given > 0 && (uint64_t)given > most)) return UV_EINVAL;
    *out = given == 0 ? by_default : given == CVY_OFF ? CVY__NO_LIMIT : (uint64_t)given;
    return 0;
}

/* A time in 32 bits (49 days); off is 0. Errors: UV_EINVAL. */
static inline int cvy__opt_ms(uint32_t *out, int64_t given, uint32_t by_default)
{
    uint64_t ms;
    int err = cvy__opt_limit(&ms, given, by_default, UINT32_MAX);
    if (!err) *out = ms == CVY__NO_LIMIT ? 0 : (uint32_t)ms;
    return err;
}

#endif
