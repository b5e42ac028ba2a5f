/*
 * The recorder stage: writes every event of every slot as a line of text into a log, and does what its rules say at given points.
 * A test compares the whole log with a golden one.
 *
 *   recorder_log_t log;
 *   recorder_log_init(&log);
 *   recorder_t a = { .name = "a", .log = &log, .rules = (recorder_rule_t[]){ { "bytes", 1, RECORD_SUSPEND }, { 0 } } };
 *   cvy_conveyor_add_last(c, &recorder_stage, &a, NULL);           a is lent, not copied
 *   ...
 *   ck_assert_str_eq(recorder_text(&log), "a: added\na: active\na: bytes 5 hello\n");
 *   recorder_fini(&a); recorder_log_fini(&log);
 *
 * The lines: added, active, bytes N [text], read-complete, read-closed, outbound-suspend, outbound-resume, error CODE stage, inactive,
 * removed, timer, out-bytes N [text], flush, inbound-resume, out-close VERB CODE, in NAME, out NAME (user events).
 */
#ifndef CVY_TEST_RECORDER_H
#define CVY_TEST_RECORDER_H

#include <conveyor/chain.h>
#include <conveyor/transport.h>
#include <uv.h>

typedef struct recorder_log {
    uv_mutex_t mutex;
    char *text;
    size_t len, cap;
} recorder_log_t;

void recorder_log_init(recorder_log_t *log);
void recorder_log_fini(recorder_log_t *log);
/* One line; any thread. */
void recorder_line(recorder_log_t *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Valid until the next line. */
const char *recorder_text(recorder_log_t *log);
void recorder_clear(recorder_log_t *log);
/*
 * The log as one line, with who saw the same thing in a row together: "added: a b; active: a b; bytes 1 x: a b". The lines "{" and "}"
 * nest, "|" stands for itself. The caller frees it.
 */
char *recorder_fold(recorder_log_t *log);

typedef enum recorder_act {
    RECORD_NOTHING,
    RECORD_SUSPEND,
    RECORD_RESUME,
    RECORD_WRITE,   /* text, or n bytes 'x': fired outbound from here */
    RECORD_FIRE_IN, /* text: fired inbound from here */
    RECORD_ECHO,    /* the bytes of this event go back (on "bytes") */
    RECORD_FLUSH,
    RECORD_GRACEFUL, /* closes the transport */
    RECORD_NOW,
    RECORD_RESET,
    RECORD_FIRE_CLOSE, /* fires OutboundClose, graceful, with code n */
    RECORD_END,        /* shutdown_write */
    RECORD_FAIL,       /* cvy_ctx_fail with code n */
    RECORD_REMOVE,     /* removes itself */
    RECORD_HANDLE,     /* on "error": handled */
    RECORD_HOLD        /* on "active", "read-closed": answers UV_EAGAIN */
} recorder_act_t;

typedef struct recorder_rule {
    const char *on; /* the line's first word; NULL ends the list */
    int nth;        /* 1: the first such event; 0: each */
    recorder_act_t act;
    const char *text;
    int64_t n;
} recorder_rule_t;

enum {                         /* recorder_t.flags */
       RECORD_PASS = 1,        /* bytes go on to the next stage; else they end here */
       RECORD_KEEP = 2,        /* bytes that end here gather in `received` */
       RECORD_NO_BYTES = 4,    /* no lines for bytes, either direction */
       RECORD_NO_TURNS = 8,    /* none for read-complete and flush */
       RECORD_NO_CONTENT = 16, /* lines for bytes without the number and the text */
       RECORD_SILENT = 32,     /* no lines at all */
       RECORD_NO_RESUMES = 64  /* none for inbound-resume */
};

typedef struct recorder {
    const char *name;
    recorder_log_t *log;
    const recorder_rule_t *rules;
    unsigned flags;
    /* After the line and the rules. in: the bytes, on "bytes" only. */
    void (*hook)(struct recorder *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in);
    void *arg;
    /* 0 at first; what rules or the hook set here is what on_added, on_active, on_read_closed answer; on "error" not 0 is handled */
    int answer;
    /* what happened so far */
    cvy_ctx_t *ctx; /* NULL before added and after removed */
    uint64_t bytes; /* received */
    int last_error;
    cvy_buf_t received;
    int seen[24];
} recorder_t;

extern const cvy_stage_t recorder_stage; /* opts: the recorder_t */
/* The same with nothing but catch-alls, and with nothing but a table: question inbound, answer outbound. Bytes go on. */
extern const cvy_stage_t recorder_catch_all_stage;
extern const cvy_stage_t recorder_table_stage;
extern const cvy_event_type_t recorder_question_event, recorder_answer_event;

/* How often an event of this name was seen. */
int recorder_seen(const recorder_t *r, const char *event);
void recorder_fini(recorder_t *r);
/* A conveyor_init: arg is a recorder_t, the only stage. */
int recorder_init_conveyor(cvy_conveyor_t *c, void *arg);

#endif
