/*
 * The conformance suite's runner: one table of cases, run over one table of kinds, each in every variant that the case asks for.
 * A case that needs what a kind lacks is not run there, and is counted as skipped, with the kind's own reason beside it.
 *
 *   START_TEST(reset_is_no_end_of_stream) { int kind = conform_kind(_i), variant = conform_variant(_i); ... }
 *
 *   const conform_case_t cases[] = { CONFORM(reset_is_no_end_of_stream, NEEDS_RESET, CONFORM_ALL_VARIANTS), ... };
 *   return conform_run(&(conform_suite_t){ "closing", cases, CONFORM_COUNT(cases), kinds, KINDS, VARIANTS });
 *
 * It prints a line per skipped case, and a line per kind: how many cases, and how many runs of them in all variants. A case has failed where
 * one variant has, and is skipped where all are.
 *   conformance closing tcp: 19 passed, 0 skipped, 0 failed; with variants 342, 0, 0
 */
#ifndef CVY_TEST_CONFORM_H
#define CVY_TEST_CONFORM_H

#include <check.h>

typedef struct conform_lack {
    unsigned need;   /* one bit of the suite's own enum */
    const char *why; /* "a local socket has no reset" */
} conform_lack_t;

typedef struct conform_kind {
    const char *name;
    const conform_lack_t *lacks; /* up to one without a need; NULL: nothing */
} conform_kind_t;

typedef enum conform_vary { CONFORM_ONE_VARIANT, CONFORM_ALL_VARIANTS } conform_vary_t;

typedef struct conform_case {
    const char *name;
    const TTest **test; /* &the START_TEST */
    unsigned needs;
    conform_vary_t vary;
} conform_case_t;

#define CONFORM(test, needs, vary) \
    {                              \
#test, &test, needs, vary  \
    }
#define CONFORM_COUNT(cases) (sizeof(cases) / sizeof *(cases))

typedef struct conform_suite {
    const char *name;
    const conform_case_t *cases;
    size_t n_cases;
    const conform_kind_t *kinds;
    int n_kinds, n_variants;
    const unsigned *variant_needs; /* one per variant: what it needs beyond the case; NULL: nothing */
} conform_suite_t;

enum { CONFORM_MOST_VARIANTS = 64 };

/* Why the kind can't have it; NULL: it can. */
const char *conform_lacking(const conform_kind_t *kind, unsigned needs);

/* What _i of a case's test says. Variant 0 is the ordinary one. */
int conform_kind(int i);
int conform_variant(int i);

/*
 * Runs all, prints the table; returns what main() returns. CONFORM_KIND=name runs one kind, CONFORM_VARIANTS=n only the first n variants
 * (for slow instruments), CONFORM_CASE=name one case; CK_FORK is check's own.
 */
int conform_run(const conform_suite_t *suite);

#endif
