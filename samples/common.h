/*
 * What the samples share, so that each shows one idea only: the command line, the line that says "ready", and what a server does with errors.
 */
#ifndef SAMPLES_COMMON_H
#define SAMPLES_COMMON_H

#include <conveyor/conveyor.h>

#define ADDRESSES_MAX 16

/** What --listen URI, given several times, collects; the form that cvy_listener_opts_t.addresses wants. */
typedef struct addresses {
    const char *list[ADDRESSES_MAX + 1];
    size_t count;
} addresses_t;

/** One option and where its value goes: exactly one of the four targets. */
typedef struct option {
    const char *name; /* "--loops" */
    addresses_t *addresses;
    const char **text;
    int *choice; /* index in choices, "none|u32be" */
    const char *choices;
    int64_t *number; /* min ... max */
    int64_t min, max;
} option_t;

/**
 * Reads the command line. usage is one line that starts with the program's name; operand names what follows the options ("FILE"),
 * NULL: nothing does. options end with a zeroed one. Returns the operand.
 * A wrong command line ends the program: one line with the value, the rule, the code and the usage; status 2.
 */
const char *parse_options(int argc, char **argv, const char *usage, const char *operand, const option_t *options);

/** Ends the program as parse_options does. */
void wrong_usage(const char *usage, const char *value, const char *rule);

/** Segments come from jemalloc where the samples were built with it, else from malloc. serve does this too. */
void use_best_allocator(void);

/** For on_started: prints "listening on URI". */
void print_listening(cvy_listener_t *listener, const char *address, void *arg);

/** Prints the error with the peer's address. */
void print_error(cvy_ctx_t *ctx, const cvy_error_t *err);

/** For on_error: prints the error and passes it on: the connection closes. */
void report_error(cvy_ctx_t *ctx, const cvy_error_t *err);

/**
 * Listens and waits until SIGINT or SIGTERM, which drain; a second one ends the program at once. Prints what keeps it from accepting.
 * Returns the exit status; what failed is printed.
 */
int serve(const char *program, const cvy_listener_opts_t *opts);

#endif
