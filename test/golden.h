/*
 * Golden texts: test/golden/FILE.txt holds sections, "## name" and the lines below it. A test hands the text that it got; another one
 * fails it and is printed as a diff. Whoever changes what happens runs the test with GOLDEN_WRITE=1, which writes the file anew, reads the
 * diff that git shows against the contracts, line by line, and commits it: a wrong golden log is worse than none.
 */
#ifndef CVY_TEST_GOLDEN_H
#define CVY_TEST_GOLDEN_H

#include <stddef.h>

/* Fails the test (ck_abort_msg) unless text is what the section holds. */
void golden_is(const char *file, const char *section, const char *text);

/* How many sections the file holds: for a test that none is left without its test. */
int golden_sections(const char *file);

/* A text that grows. */
typedef struct golden_text {
    char *text; /* NULL: empty */
    size_t len, cap;
} golden_text_t;

void golden_add(golden_text_t *to, const char *text, size_t n);
/* "name    text", where the text, too long for one line, goes on below itself; broken behind "; " and before "| ". */
void golden_add_case(golden_text_t *to, const char *name, const char *text);
void golden_fini(golden_text_t *text);

#endif
