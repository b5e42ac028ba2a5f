/* Golden texts: a file of sections is read whole, and written whole with one of them replaced. */
#include "golden.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef GOLDEN_DIR
#error GOLDEN_DIR: where the files are
#endif

enum { NAME_COLUMNS = 22, COLUMNS = 120 };

void golden_add(golden_text_t *to, const char *text, size_t n)
{
    if (to->len + n + 1 > to->cap) {
        to->cap = 2 * (to->cap + n) + 256;
        to->text = realloc(to->text, to->cap);
        if (!to->text) abort();
    }
    memcpy(to->text + to->len, text, n);
    to->len += n;
    to->text[to->len] = 0;
}

static void add_text(golden_text_t *to, const char *text)
{
    golden_add(to, text, strlen(text));
}

void golden_fini(golden_text_t *text)
{
    free(text->text);
    *text = (golden_text_t){ NULL, 0, 0 };
}

/* The bytes up to where a line may break: behind "; ", before "| ". */
static size_t piece_len(const char *text)
{
    size_t n = 0;
    while (text[n] && !(n && text[n] == '|' && text[n + 1] == ' ')) {
        n++;
        if (n > 1 && text[n - 2] == ';' && text[n - 1] == ' ') break;
    }
    return n;
}

void golden_add_case(golden_text_t *to, const char *name, const char *text)
{
    char head[64];
    size_t column = (size_t)snprintf(head, sizeof head, "%-*s", NAME_COLUMNS, name);
    add_text(to, head);
    for (size_t n; *text; text += n) {
        n = piece_len(text);
        size_t seen = text[n] && text[n - 1] != ' ' ? n : n - (text[n - 1] == ' ');
        if (column > NAME_COLUMNS && column + seen > COLUMNS) {
            while (to->text[to->len - 1] == ' ')
                to->len--;
            snprintf(head, sizeof head, "\n%*s", NAME_COLUMNS, "");
            add_text(to, head);
            column = NAME_COLUMNS;
        }
        golden_add(to, text, n);
        column += n;
    }
    while (to->text[to->len - 1] == ' ')
        to->len--;
    add_text(to, "\n");
}

/* The file, without the carriage returns that a checkout may have put in; a file that is not there is empty. */
static void path_of(char *out, size_t n, const char *file)
{
    snprintf(out, n, "%s/%s.txt", GOLDEN_DIR, file);
}

static void read_file(golden_text_t *to, const char *file)
{
    char path[512];
    path_of(path, sizeof path, file);
    FILE *f = fopen(path, "rb");
    golden_add(to, "", 0);
    for (int c; f && (c = getc(f)) != EOF;)
        if (c != '\r') golden_add(to, (const char[]){ (char)c }, 1);
    if (f) fclose(f);
}

/* NULL: it was the last one. */
static const char *next_section(const char *from)
{
    const char *end = strstr(from, "\n## ");
    return end ? end + 1 : NULL;
}

/* The section with its heading: from *at, *n bytes; where there is none yet: the end of the file. */
static void find_section(const golden_text_t *all, const char *section, size_t *at, size_t *n)
{
    char heading[128];
    size_t len = (size_t)snprintf(heading, sizeof heading, "## %s\n", section);
    *at = all->len;
    *n = 0;
    for (const char *line = all->text; line; line = next_section(line)) {
        if (strncmp(line, heading, len)) continue;
        const char *next = next_section(line);
        *at = (size_t)(line - all->text);
        *n = next ? (size_t)(next - line) : all->len - *at;
        return;
    }
}

int golden_sections(const char *file)
{
    golden_text_t all = { NULL, 0, 0 };
    int n = 0;
    read_file(&all, file);
    for (const char *line = all.text; line; line = next_section(line))
        n += !strncmp(line, "## ", 3);
    golden_fini(&all);
    return n;
}

static void write_section(const char *file, const golden_text_t *all, size_t at, size_t n, const golden_text_t *with)
{
    char path[512];
    path_of(path, sizeof path, file);
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f != NULL, "%s can not be written", path);
    fwrite(all->text, 1, at, f);
    fwrite(with->text, 1, with->len, f);
    fwrite(all->text + at + n, 1, all->len - at - n, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* The diff: the longest common sequence of lines. */

typedef struct lines {
    const char **at; /* one more than there are lines: the end */
    size_t n;
} lines_t;

static lines_t split(const char *text, size_t n)
{
    lines_t lines = { malloc((n + 2) * sizeof(char *)), 0 };
    if (!lines.at) abort();
    for (const char *at = text; at < text + n; at = strchr(at, '\n') + 1)
        lines.at[lines.n++] = at;
    lines.at[lines.n] = text + n;
    return lines;
}

static bool same(const lines_t *a, size_t i, const lines_t *b, size_t j)
{
    size_t n = (size_t)(a->at[i + 1] - a->at[i]);
    return n == (size_t)(b->at[j + 1] - b->at[j]) && !memcmp(a->at[i], b->at[j], n);
}

static void print_line(char mark, const lines_t *of, size_t i)
{
    printf("%c %.*s", mark, (int)(of->at[i + 1] - of->at[i]), of->at[i]);
}

static void print_diff(const lines_t *was, const lines_t *is)
{
    size_t width = is->n + 1;
    unsigned short *common = calloc((was->n + 1) * width, sizeof *common); /* of what is left from (i, j) on */
    if (!common) abort();
    for (size_t i = was->n; i--;)
        for (size_t j = is->n; j--;) {
            unsigned short down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            common[i * width + j] = same(was, i, is, j) ? (unsigned short)(common[(i + 1) * width + j + 1] + 1)
                                    : down > right      ? down
                                                        : right;
        }
    for (size_t i = 0, j = 0; i < was->n || j < is->n;) {
        if (i < was->n && j < is->n && same(was, i, is, j))
            i++, j++;
        else if (j == is->n || (i < was->n && common[(i + 1) * width + j] >= common[i * width + j + 1]))
            print_line('-', was, i++);
        else
            print_line('+', is, j++);
    }
    free(common);
}

static void fail_with_diff(const char *file, const char *section, const golden_text_t *all, size_t at, size_t n,
                           const golden_text_t *got)
{
    lines_t was = split(all->text + at, n), is = split(got->text, got->len);
    printf("golden/%s.txt: - is expected, + was seen\n", file);
    print_diff(&was, &is);
    free((void *)was.at);
    free((void *)is.at);
    ck_abort_msg("\"%s\" is not what golden/%s.txt says; see the diff", section, file);
}

void golden_is(const char *file, const char *section, const char *text)
{
    golden_text_t all = { NULL, 0, 0 }, got = { NULL, 0, 0 };
    size_t at, n;
    read_file(&all, file);
    find_section(&all, section, &at, &n);
    add_text(&got, "## ");
    add_text(&got, section);
    add_text(&got, "\n");
    add_text(&got, text);
    if (got.text[got.len - 1] != '\n') add_text(&got, "\n");
    bool last = at + n == all.len;
    if (!last) add_text(&got, "\n"); /* an empty line before the next heading */
    bool equal = got.len == n && !memcmp(all.text + at, got.text, n);
    if (!equal && getenv("GOLDEN_WRITE")) {
        if (!n && at) golden_add(&all, "\n", 1), at++;
        write_section(file, &all, at, n, &got);
    } else if (!equal) {
        fail_with_diff(file, section, &all, at, n, &got);
    }
    golden_fini(&all);
    golden_fini(&got);
}
