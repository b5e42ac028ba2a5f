/*
 * What the golden stories share: one embedded connection with recorders h, next to HEAD, and t, next to TAIL, whose every line counts; and
 * the whole story compared with its section of a golden file. "|" stands where the test did something: step("the peer sends").
 */
#ifndef CVY_TEST_FIXTURE_GOLDEN_H
#define CVY_TEST_FIXTURE_GOLDEN_H

#include <stdlib.h>

#include "fixture_chain.h"
#include "golden.h"

static recorder_t h, t;
static golden_text_t story;

static inline void set_up_story(void)
{
    set_up();
    h = (recorder_t){ .name = "h", .log = &history, .flags = RECORD_PASS };
    t = (recorder_t){ .name = "t", .log = &history, .flags = RECORD_PASS };
    story = (golden_text_t){ NULL, 0, 0 };
}

static inline void tear_down_story(void)
{
    golden_fini(&story);
    tear_down();
}

/* What happened since the last step, as a line of the story. */
static inline void step(const char *what)
{
    if (*recorder_text(&history)) {
        char *folded = recorder_fold(&history);
        golden_add_case(&story, what, folded);
        free(folded);
    } else
        golden_add_case(&story, what, "-");
    recorder_clear(&history);
}

/* Ends the connection, with all that it still says, and compares. */
static inline void story_is(const char *file, const char *section)
{
    if (conn) {
        char wire[256] = "";
        size_t n = cvy_buf_read(cvy_embedded_sent(conn), wire, sizeof wire - 1);
        wire[n] = 0;
        recorder_line(&history, "%s%s", n ? wire : "nothing", cvy_embedded_shut(conn) ? ", fin" : "");
        step("on the wire");
        ends_clean();
        if (*recorder_text(&history)) step("at last");
    }
    golden_is(file, section, story.text);
}

static const row_t ends[] = { { &recorder_stage, &h }, { &recorder_stage, &t }, { 0 } };

static inline void on_ticket(cvy_transport_t *of, int status, void *arg)
{
    (void)of;
    recorder_line(&history, "ticket %s %s", (const char *)arg, status ? uv_err_name(status) : "0");
}

/* From t, the application's end. */
static inline void say(const char *text)
{
    int err = cvy_fire_outbound_copy(t.ctx, text, strlen(text));
    if (err) recorder_line(&history, "%s", uv_err_name(err));
    cvy_embedded_run(conn);
}

#endif
