/* The recorder stage. Every callback counts, writes its line, obeys the rules, calls the hook, and then does what the slot asks for. */
#include "recorder.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void recorder_log_init(recorder_log_t *log)
{
    memset(log, 0, sizeof *log);
    uv_mutex_init(&log->mutex);
}

void recorder_log_fini(recorder_log_t *log)
{
    free(log->text);
    uv_mutex_destroy(&log->mutex);
}

static void append(recorder_log_t *log, const char *line, size_t n)
{
    if (log->len + n + 1 > log->cap) {
        log->cap = 2 * (log->cap + n) + 256;
        log->text = realloc(log->text, log->cap);
        if (!log->text) abort();
    }
    memcpy(log->text + log->len, line, n);
    log->len += n;
    log->text[log->len] = 0;
}

void recorder_line(recorder_log_t *log, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2) n = sizeof line - 2;
    line[n++] = '\n';
    uv_mutex_lock(&log->mutex);
    append(log, line, (size_t)n);
    uv_mutex_unlock(&log->mutex);
}

const char *recorder_text(recorder_log_t *log)
{
    return log->text ? log->text : "";
}

void recorder_clear(recorder_log_t *log)
{
    log->len = 0;
    if (log->text) log->text[0] = 0;
}

static const char *const names[] = { "added",       "active",           "bytes",           "read-complete",
                                     "read-closed", "outbound-suspend", "outbound-resume", "error",
                                     "inactive",    "removed",          "timer",           "out-bytes",
                                     "flush",       "inbound-resume",   "out-close",       "in",
                                     "out" };
enum {
    ADDED,
    ACTIVE,
    BYTES,
    READ_COMPLETE,
    READ_CLOSED,
    OUT_SUSPEND,
    OUT_RESUME,
    ERROR_,
    INACTIVE,
    REMOVED,
    TIMER,
    OUT_BYTES,
    FLUSH,
    IN_RESUME,
    OUT_CLOSE,
    IN_USER,
    OUT_USER
};

int recorder_seen(const recorder_t *r, const char *event)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], event)) return r->seen[i];
    return -1;
}

static bool is_turn(int what, const char *rest)
{
    if (what == IN_USER) return !strcmp(rest, cvy_read_complete_event.name);
    if (what == OUT_USER) return !strcmp(rest, cvy_outbound_flush_event.name);
    return what == READ_COMPLETE || what == FLUSH;
}

static bool is_quiet(const recorder_t *r, int what, const char *rest)
{
    if (!r->log || (r->flags & RECORD_SILENT)) return true;
    if ((what == BYTES || what == OUT_BYTES) && (r->flags & RECORD_NO_BYTES)) return true;
    if (what == IN_RESUME && (r->flags & RECORD_NO_RESUMES)) return true;
    return (r->flags & RECORD_NO_TURNS) && is_turn(what, rest);
}

static void write_line(recorder_t *r, int what, const char *rest)
{
    if (is_quiet(r, what, rest)) return;
    recorder_line(r->log, "%s: %s%s%s", r->name, names[what], rest && *rest ? " " : "", rest ? rest : "");
}

static void describe_bytes(char *out, size_t n, const recorder_t *r, const cvy_buf_t *b)
{
    char text[32] = "";
    size_t len = cvy_buf_len(b);
    *out = 0;
    if (r->flags & RECORD_NO_CONTENT) return;
    if (len < sizeof text) {
        cvy_buf_peek(b, text, len);
        for (size_t i = 0; i < len; i++)
            if (!isprint((unsigned char)text[i])) text[i] = '.';
    }
    snprintf(out, n, "%zu%s%s", len, *text ? " " : "", text);
}

static int write_text(cvy_ctx_t *ctx, const recorder_rule_t *rule)
{
    if (rule->text) return cvy_fire_outbound_copy(ctx, rule->text, strlen(rule->text));
    char *bytes = malloc((size_t)rule->n);
    memset(bytes, 'x', (size_t)rule->n);
    int err = cvy_fire_outbound_copy(ctx, bytes, (size_t)rule->n);
    free(bytes);
    return err;
}

static void fire_in(cvy_ctx_t *ctx, const char *text)
{
    cvy_buf_t b;
    cvy_buf_init(&b, cvy_ctx_pool(ctx));
    if (cvy_buf_append(&b, text, strlen(text))) abort();
    cvy_fire_inbound_bytes(ctx, &b);
}

static void obey(cvy_ctx_t *ctx, const recorder_rule_t *rule, cvy_buf_t *in)
{
    cvy_transport_t *t = cvy_ctx_transport(ctx);
    cvy_close_t how = { CVY_CLOSE_GRACEFUL, (int)rule->n };
    switch (rule->act) {
    case RECORD_SUSPEND: cvy_ctx_suspend(ctx); break;
    case RECORD_RESUME: cvy_ctx_resume(ctx); break;
    case RECORD_WRITE: write_text(ctx, rule); break;
    case RECORD_FIRE_IN: fire_in(ctx, rule->text); break;
    case RECORD_ECHO: cvy_fire_outbound_bytes(ctx, in); break;
    case RECORD_FLUSH: cvy_fire_outbound_flush(ctx); break;
    case RECORD_GRACEFUL: cvy_transport_close(t, CVY_CLOSE_GRACEFUL); break;
    case RECORD_NOW: cvy_transport_close(t, CVY_CLOSE_NOW); break;
    case RECORD_RESET: cvy_transport_close(t, CVY_CLOSE_RESET); break;
    case RECORD_FIRE_CLOSE: cvy_fire_outbound_close(ctx, &how); break;
    case RECORD_END: cvy_transport_shutdown_write(t); break;
    case RECORD_FAIL: cvy_ctx_fail(ctx, (int)rule->n, "a rule said so"); break;
    case RECORD_REMOVE: cvy_conveyor_remove(cvy_ctx_conveyor(ctx), cvy_at_ctx(ctx)); break;
    default: break;
    }
}

/* Returns what the rules and the hook say that this callback answers: 0, a code, 1 for an error that is handled. */
static int record(cvy_ctx_t *ctx, int what, const char *rest, cvy_buf_t *in)
{
    recorder_t *r = *(recorder_t **)cvy_ctx_state(ctx);
    int nth = ++r->seen[what];
    r->answer = 0;
    write_line(r, what, rest);
    for (const recorder_rule_t *rule = r->rules; rule && rule->on; rule++) {
        if (strcmp(rule->on, names[what]) || (rule->nth && rule->nth != nth)) continue;
        if (rule->act == RECORD_HANDLE) r->answer = 1;
        if (rule->act == RECORD_HOLD) r->answer = UV_EAGAIN;
        obey(ctx, rule, in);
    }
    if (r->hook) r->hook(r, ctx, names[what], in);
    return r->answer;
}

static recorder_t *of(cvy_ctx_t *ctx)
{
    return *(recorder_t **)cvy_ctx_state(ctx);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    recorder_t *r = (recorder_t *)(uintptr_t)opts;
    *(recorder_t **)cvy_ctx_state(ctx) = r;
    r->ctx = ctx;
    int answer = record(ctx, ADDED, NULL, NULL);
    if (answer) r->ctx = NULL;
    return answer;
}

static void on_removed(cvy_ctx_t *ctx)
{
    of(ctx)->ctx = NULL;
    record(ctx, REMOVED, NULL, NULL);
}

static void on_timer(cvy_ctx_t *ctx)
{
    record(ctx, TIMER, NULL, NULL);
}

static int on_active(cvy_ctx_t *ctx)
{
    return record(ctx, ACTIVE, NULL, NULL);
}

static void on_inbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    recorder_t *r = of(ctx);
    char rest[64];
    describe_bytes(rest, sizeof rest, r, in);
    r->bytes += cvy_buf_len(in);
    record(ctx, BYTES, rest, in);
    if (r->flags & RECORD_PASS)
        cvy_fire_inbound_bytes(ctx, in);
    else if (r->flags & RECORD_KEEP)
        cvy_buf_keep(&r->received, in);
    else
        cvy_buf_advance(in, cvy_buf_len(in));
}

static void on_read_complete(cvy_ctx_t *ctx)
{
    record(ctx, READ_COMPLETE, NULL, NULL);
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    return record(ctx, READ_CLOSED, NULL, NULL);
}

static void on_outbound_suspend(cvy_ctx_t *ctx)
{
    record(ctx, OUT_SUSPEND, NULL, NULL);
}

static void on_outbound_resume(cvy_ctx_t *ctx)
{
    record(ctx, OUT_RESUME, NULL, NULL);
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    char rest[96];
    snprintf(rest, sizeof rest, "%s %s", uv_err_name(err->code), err->stage ? err->stage : "-");
    of(ctx)->last_error = err->code;
    if (!record(ctx, ERROR_, rest, NULL)) cvy_fire_error(ctx, err);
}

static void on_inactive(cvy_ctx_t *ctx)
{
    record(ctx, INACTIVE, NULL, NULL);
}

static void on_outbound_bytes(cvy_ctx_t *ctx, cvy_buf_t *out)
{
    char rest[64];
    describe_bytes(rest, sizeof rest, of(ctx), out);
    record(ctx, OUT_BYTES, rest, out);
    cvy_fire_outbound_bytes(ctx, out);
}

static void on_outbound_flush(cvy_ctx_t *ctx)
{
    record(ctx, FLUSH, NULL, NULL);
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    record(ctx, IN_RESUME, NULL, NULL);
}

static void on_outbound_close(cvy_ctx_t *ctx, const cvy_close_t *how)
{
    static const char *const verbs[] = { "graceful", "now", "reset" };
    char rest[64];
    snprintf(rest, sizeof rest, "%s %s", verbs[how->verb], how->err ? uv_err_name(how->err) : "0");
    record(ctx, OUT_CLOSE, rest, NULL);
    cvy_fire_outbound_close(ctx, how);
}

static void on_inbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    record(ctx, IN_USER, ev->type->name, NULL);
    cvy_fire_inbound(ctx, ev);
}

static void on_outbound(cvy_ctx_t *ctx, cvy_event_t *ev)
{
    record(ctx, OUT_USER, ev->type->name, NULL);
    cvy_fire_outbound(ctx, ev);
}

const cvy_stage_t recorder_stage = {
    .name = "recorder",
    .state_size = sizeof(recorder_t *),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_timer = on_timer,
    .on_active = on_active,
    .on_inbound_bytes = on_inbound_bytes,
    .on_read_complete = on_read_complete,
    .on_read_closed = on_read_closed,
    .on_outbound_suspend = on_outbound_suspend,
    .on_outbound_resume = on_outbound_resume,
    .on_error = on_error,
    .on_inactive = on_inactive,
    .on_outbound_bytes = on_outbound_bytes,
    .on_outbound_flush = on_outbound_flush,
    .on_inbound_resume = on_inbound_resume,
    .on_outbound_close = on_outbound_close,
    .on_inbound = on_inbound,
    .on_outbound = on_outbound,
};

const cvy_stage_t recorder_catch_all_stage = {
    .name = "catch-all",
    .state_size = sizeof(recorder_t *),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_inbound = on_inbound,
    .on_outbound = on_outbound,
};

const cvy_event_type_t recorder_question_event = { "question", 0 };
const cvy_event_type_t recorder_answer_event = { "answer", 0 };

const cvy_stage_t recorder_table_stage = {
    .name = "table",
    .state_size = sizeof(recorder_t *),
    .on_added = on_added,
    .on_removed = on_removed,
    .events = (const cvy_on_t[]){ { &recorder_question_event, on_inbound },
                                  { &recorder_answer_event, on_outbound },
                                  { NULL, NULL } },
};

void recorder_fini(recorder_t *r)
{
    cvy_buf_fini(&r->received);
}

int recorder_init_conveyor(cvy_conveyor_t *c, void *arg)
{
    return cvy_conveyor_add_last(c, &recorder_stage, arg, NULL);
}
