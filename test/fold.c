/*
 * Folds a recorder's log into one line that a reader takes in at a glance: what happened once, and behind it who saw it, in order.
 * Each depth of braces has an event of its own, so that who comes after an inner frame joins those who came before it.
 */
#include "recorder.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 32 };

typedef struct fold {
    char *out;
    size_t len;
    int depth;
    bool begun[DEPTH];       /* something stands in this frame */
    const char *what[DEPTH]; /* the event that stands last in it; NULL: none that others may join */
    size_t what_len[DEPTH];
} fold_t;

static void say(fold_t *f, const char *text, size_t n)
{
    memcpy(f->out + f->len, text, n);
    f->len += n;
    f->out[f->len] = 0;
}

static void say_text(fold_t *f, const char *text)
{
    say(f, text, strlen(text));
}

static void enter(fold_t *f)
{
    say_text(f, "{");
    if (++f->depth == DEPTH) abort();
    f->begun[f->depth] = false;
    f->what[f->depth] = NULL;
}

static void leave(fold_t *f)
{
    say_text(f, "}");
    if (f->depth-- == 0) abort();
    f->begun[f->depth] = true;
}

static void step(fold_t *f)
{
    say_text(f, f->len && f->out[f->len - 1] != ' ' ? " | " : "| ");
    f->begun[f->depth] = false;
    f->what[f->depth] = NULL;
}

/* "who: what", or a line of nobody's. */
static void event(fold_t *f, const char *line, size_t n)
{
    const char *what = line;
    for (size_t i = 0; i + 1 < n && what == line; i++)
        if (line[i] == ':' && line[i + 1] == ' ') what = line + i + 2;
    size_t what_len = n - (size_t)(what - line), who_len = what == line ? 0 : (size_t)(what - line) - 2;
    const char *last = f->what[f->depth];
    bool joins = who_len && last && f->what_len[f->depth] == what_len && !memcmp(last, what, what_len);
    if (!joins) {
        if (f->begun[f->depth]) say_text(f, "; ");
        say(f, what, what_len);
        if (who_len) say_text(f, ":");
    }
    if (who_len) say_text(f, " ");
    say(f, line, who_len);
    f->begun[f->depth] = true;
    f->what[f->depth] = who_len ? what : NULL;
    f->what_len[f->depth] = what_len;
}

char *recorder_fold(recorder_log_t *log)
{
    fold_t f = { .out = malloc(3 * log->len + 1) }; /* a line of one letter becomes "; x" or " | " */
    if (!f.out) abort();
    *f.out = 0;
    for (const char *line = recorder_text(log), *end; (end = strchr(line, '\n')); line = end + 1) {
        size_t n = (size_t)(end - line);
        if (n == 1 && *line == '{')
            enter(&f);
        else if (n == 1 && *line == '}')
            leave(&f);
        else if (n == 1 && *line == '|')
            step(&f);
        else
            event(&f, line, n);
    }
    return f.out;
}
