/* What a compiler can be told. Without it all of this is nothing. */
#ifndef CVY_BASE_HINTS_H
#define CVY_BASE_HINTS_H

/* A function that is rarely called: out of line, away from the others, and nothing of it in its caller's way. */
#if defined(__GNUC__)
#define CVY__COLD __attribute__((noinline, cold))
#else
#define CVY__COLD
#endif

/* Out of line only: a call's long way that is taken often enough to be fast, but not so often that the short one saves registers for it. */
#if defined(__GNUC__)
#define CVY__APART __attribute__((noinline))
#else
#define CVY__APART
#endif

#endif
