/* One check test case per kind, so that check's own results tell the kind. */
#include "conform.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

int conform_kind(int i)
{
    return i / CONFORM_MOST_VARIANTS;
}

int conform_variant(int i)
{
    return i % CONFORM_MOST_VARIANTS;
}

const char *conform_lacking(const conform_kind_t *kind, unsigned needs)
{
    for (const conform_lack_t *lack = kind->lacks; lack && lack->need; lack++)
        if (lack->need & needs) return lack->why;
    return NULL;
}

static int variants(const conform_suite_t *s, const conform_case_t *c)
{
    const char *most = getenv("CONFORM_VARIANTS");
    int n = most ? atoi(most) : s->n_variants;
    return c->vary == CONFORM_ONE_VARIANT ? 1 : n < s->n_variants ? n : s->n_variants;
}

/* Why this variant of a case is not run on that kind; NULL: it is. */
static const char *lacking(const conform_suite_t *s, int kind, const conform_case_t *c, int variant)
{
    return conform_lacking(&s->kinds[kind], c->needs | (s->variant_needs ? s->variant_needs[variant] : 0));
}

/* How many variants of a case the kind can't have; *why: the first one's reason. */
static int count_skipped(const conform_suite_t *s, int kind, const conform_case_t *c, const char **why)
{
    int skipped = 0;
    for (int v = variants(s, c) - 1; v >= 0; v--) {
        const char *lack = lacking(s, kind, c, v);
        if (lack) *why = lack;
        skipped += lack != NULL;
    }
    return skipped;
}

/* One case, in each variant that the kind can have. */
static void add_case(TCase *tc, const conform_suite_t *s, int kind, const conform_case_t *c)
{
    const char *why = NULL;
    int all = variants(s, c), skipped = count_skipped(s, kind, c, &why), i = kind * CONFORM_MOST_VARIANTS;
    for (int v = 0; v < all; v++)
        if (!lacking(s, kind, c, v)) tcase_add_loop_test(tc, *c->test, i + v, i + v + 1);
    if (!skipped) return;
    printf("conformance %s %s: skipped %s%s: %s\n", s->name, s->kinds[kind].name, c->name,
           skipped < all ? " in part" : "", why);
}

static bool chosen(const conform_case_t *c)
{
    const char *only = getenv("CONFORM_CASE");
    return !only || !strcmp(only, c->name);
}

static void add_kind(Suite *suite, const conform_suite_t *s, int kind)
{
    TCase *tc = test_case(s->kinds[kind].name);
    for (size_t i = 0; i < s->n_cases; i++)
        if (chosen(&s->cases[i])) add_case(tc, s, kind, &s->cases[i]);
    suite_add_tcase(suite, tc);
}

/* check's results, in the order in which they were added. */
typedef struct results {
    TestResult **all;
    int n, next;
} results_t;

/* Of the next n of that kind: how many have not passed. -1: check has not run them (CK_RUN_CASE). */
static int count_failed(results_t *r, const char *kind, int n)
{
    int failed = 0;
    for (; n && r->next < r->n; r->next++) {
        if (strcmp(tr_tcname(r->all[r->next]), kind)) continue;
        failed += tr_rtype(r->all[r->next]) != CK_PASS;
        n--;
    }
    return n ? -1 : failed;
}

typedef struct counts {
    int passed, skipped, failed;
} counts_t;

static void report(SRunner *runner, const conform_suite_t *s, int kind)
{
    const char *name = s->kinds[kind].name, *why;
    results_t r = { srunner_results(runner), srunner_ntests_run(runner), 0 };
    counts_t cases = { 0 }, runs = { 0 };
    for (size_t i = 0; i < s->n_cases; i++) {
        const conform_case_t *c = &s->cases[i];
        if (!chosen(c)) continue;
        int all = variants(s, c), skipped = count_skipped(s, kind, c, &why);
        int failed = count_failed(&r, name, all - skipped);
        if (failed < 0) break;
        runs.passed += all - skipped - failed;
        runs.skipped += skipped;
        runs.failed += failed;
        *(failed ? &cases.failed : skipped == all ? &cases.skipped : &cases.passed) += 1;
    }
    free(r.all);
    printf("conformance %s %s: %d passed, %d skipped, %d failed; with variants %d, %d, %d\n", s->name, name,
           cases.passed, cases.skipped, cases.failed, runs.passed, runs.skipped, runs.failed);
}

int conform_run(const conform_suite_t *s)
{
    const char *only = getenv("CONFORM_KIND");
    Suite *suite = suite_create(s->name);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int kind = 0; kind < s->n_kinds; kind++)
        if (!only || !strcmp(only, s->kinds[kind].name)) add_kind(suite, s, kind);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    for (int kind = 0; kind < s->n_kinds; kind++)
        if (!only || !strcmp(only, s->kinds[kind].name)) report(runner, s, kind);
    int failed = srunner_ntests_failed(runner), run = srunner_ntests_run(runner);
    srunner_free(runner);
    return failed || !run ? EXIT_FAILURE : EXIT_SUCCESS;
}
