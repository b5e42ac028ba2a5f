/*
 * Two copies of Conveyor in one process: this program's is the shared library, and a plugin brings a static one of its own. Both have
 * connections open, to each other; each keeps to its own functions, event types and logging hook.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "copy.h"

static int check(int holds, const char *what)
{
    if (!holds) fprintf(stderr, "two copies: not so: %s\n", what);
    return !holds;
}

static int meet(const copy_t *a, const copy_t *b)
{
    char of_a[64], of_b[64];
    if (check(!a->open(of_a, sizeof of_a) && !b->open(of_b, sizeof of_b), "both listen")) return 1;
    if (check(!a->dial(of_b) && !b->dial(of_a), "both dial")) return 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000 && !(a->heard() && b->heard()); i++) {
            a->turn();
            b->turn();
        }
        if (check(a->heard() && b->heard(), "both hear the other's echo")) return 1;
        a->again();
        b->again();
    }
    return 0;
}

static int keep_apart(const copy_t *a, const copy_t *b)
{
    int a_lines = a->lines(), b_lines = b->lines();
    a->log_one();
    return check(a->lines() == a_lines + 1 && b->lines() == b_lines, "a line goes to the hook of its own copy");
}

int main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (!plugin) {
        fprintf(stderr, "two copies: no plugin: %s\n", dlerror());
        return 1;
    }
    union {
        void *found;
        const copy_t *(*copy)(void);
    } other = { .found = dlsym(plugin, "plugin_copy") };
    const copy_t *a = copy(), *b = other.copy();
    int bad = check(a->version != b->version, "the functions are two") +
              check(a->active != b->active, "the built-in events are two") +
              check(a->stage != b->stage, "the stages are two") +
              check(!strcmp(a->version(), b->version()), "they are of one version");
    if (!bad) bad = meet(a, b);
    if (!bad) bad = keep_apart(a, b) + keep_apart(b, a);
    if (!bad) a->close(), b->close();
    if (!bad) printf("two copies, four connections\n");
    return bad != 0;
}
