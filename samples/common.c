/* What the samples share; see common.h. */
#include "common.h"

#ifdef CVY_HAVE_JEMALLOC
#include <conveyor/jemalloc.h>
#endif
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int program_length(const char *usage)
{
    return (int)strcspn(usage, " ");
}

void wrong_usage(const char *usage, const char *value, const char *rule)
{
    fprintf(stderr, "%.*s: %s: %s (EINVAL); usage: %s\n", program_length(usage), usage, value, rule, usage);
    exit(2);
}

static void wrong_value(const char *usage, const option_t *o, const char *value)
{
    char shown[300], rule[300];
    snprintf(shown, sizeof shown, "%s %.200s", o->name, value);
    if (o->addresses)
        snprintf(rule, sizeof rule, "at most %d addresses", ADDRESSES_MAX);
    else if (o->choice)
        snprintf(rule, sizeof rule, "one of %s", o->choices);
    else
        snprintf(rule, sizeof rule, "a whole number from %" PRId64 " to %" PRId64, o->min, o->max);
    wrong_usage(usage, shown, rule);
}

static bool find_choice(const option_t *o, const char *value)
{
    int index = 0;
    for (const char *c = o->choices; *c; c += *c == '|', index++) {
        size_t n = strcspn(c, "|");
        if (n == strlen(value) && memcmp(c, value, n) == 0) {
            *o->choice = index;
            return true;
        }
        c += n;
    }
    return false;
}

static bool take_value(const option_t *o, const char *value)
{
    if (o->addresses) {
        if (o->addresses->count == ADDRESSES_MAX) return false;
        o->addresses->list[o->addresses->count++] = value;
        return true;
    }
    if (o->text) {
        *o->text = value;
        return true;
    }
    if (o->choice) return find_choice(o, value);
    if (*value < '0' || *value > '9') return false;
    char *end = NULL;
    long long n = strtoll(value, &end, 10); /* too large: LLONG_MAX, which no option allows */
    if (*end != '\0' || n < o->min || n > o->max) return false;
    *o->number = n;
    return true;
}

static const option_t *find_option(const option_t *options, const char *name)
{
    while (options->name && strcmp(options->name, name) != 0)
        options++;
    return options->name ? options : NULL;
}

const char *parse_options(int argc, char **argv, const char *usage, const char *operand, const option_t *options)
{
    const char *found = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            printf("%s\n", usage);
            exit(0);
        }
        const option_t *o = find_option(options, argv[i]);
        if (o) {
            if (i + 1 == argc) wrong_usage(usage, argv[i], "needs a value");
            if (!take_value(o, argv[++i])) wrong_value(usage, o, argv[i]);
        } else if (argv[i][0] == '-') {
            wrong_usage(usage, argv[i], "no such option");
        } else if (!operand) {
            wrong_usage(usage, argv[i], "only options are taken");
        } else if (found) {
            wrong_usage(usage, argv[i], "one operand is enough");
        } else {
            found = argv[i];
        }
    }
    if (operand && !found) wrong_usage(usage, operand, "is missing");
    return found;
}

void use_best_allocator(void)
{
#ifdef CVY_HAVE_JEMALLOC
    cvy_alloc_set_default(cvy_jemalloc_alloc());
#endif
}

void print_listening(cvy_listener_t *listener, const char *address, void *arg)
{
    (void)listener;
    (void)arg;
    printf("listening on %s\n", address);
    fflush(stdout); /* who started us may wait for this line */
}

void print_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    char text[300];
    cvy_error_format(text, sizeof text, err);
    fprintf(stderr, "%s: %s\n", cvy_transport_other_endpoint(cvy_ctx_transport(ctx)), text);
}

void report_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    print_error(ctx, err);
    cvy_fire_error(ctx, err);
}

/* Out of descriptors or memory: those who are connected go on, and accepting is tried again. */
static void print_trouble(cvy_listener_t *listener, int err, void *arg)
{
    (void)err;
    (void)arg;
    fprintf(stderr, "%s\n", cvy_listener_message(listener));
}

int serve(const char *program, const cvy_listener_opts_t *opts)
{
    cvy_listener_t *listener = NULL;
    cvy_listener_opts_t all = *opts;
    use_best_allocator();
    all.on_error = print_trouble;
    all.stop_on_signals = 1;
    int err = cvy_listener_new(&listener, &all);
    if (!err) err = cvy_listener_listen_and_wait(listener);
    if (err) fprintf(stderr, "%s: %s\n", program, listener ? cvy_listener_message(listener) : uv_strerror(err));
    cvy_listener_free(listener);
    return err ? 1 : 0;
}
