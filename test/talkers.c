/* The accepted ends echo; what is wrong is counted, and looked at in the end. */
#include "talkers.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static char pattern(uint64_t at)
{
    return (char)(at * 31 + (at >> 8));
}

/* Stages: both check the pattern, the accepted side sends it back. */

static int added(cvy_ctx_t *ctx, const void *opts)
{
    *(const void **)cvy_ctx_state(ctx) = opts;
    return 0;
}

static void check(talk_end_t *end, const cvy_buf_t *in)
{
    char piece[4096];
    for (size_t at = 0, n; (n = cvy_buf_peek_at(in, at, piece, sizeof piece)); at += n)
        for (size_t i = 0; i < n; i++)
            end->wrong += piece[i] != pattern(end->got + at + i);
    end->got += cvy_buf_len(in);
}

static void on_talk(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    check(*(talk_end_t **)cvy_ctx_state(ctx), in);
}

static void on_echo(cvy_ctx_t *ctx, cvy_buf_t *in)
{
    check(*(talk_end_t **)cvy_ctx_state(ctx), in);
    cvy_fire_outbound_bytes(ctx, in);
}

static void on_error(cvy_ctx_t *ctx, const cvy_error_t *err)
{
    talk_end_t *end = *(talk_end_t **)cvy_ctx_state(ctx);
    end->errors++;
    end->last_error = err->code;
    cvy_fire_error(ctx, err);
}

static const cvy_stage_t talk = { .name = "talk",
                                  .state_size = sizeof(talk_end_t *),
                                  .on_added = added,
                                  .on_inbound_bytes = on_talk,
                                  .on_error = on_error };
static const cvy_stage_t echo = { .name = "echo",
                                  .state_size = sizeof(talk_end_t *),
                                  .on_added = added,
                                  .on_inbound_bytes = on_echo,
                                  .on_error = on_error };

static void on_end(cvy_transport_t *t, int cause, void *arg)
{
    talk_end_t *end = arg;
    ck_assert_ptr_eq(end->t, t);
    ck_assert_int_eq(end->cause, 1);
    end->t = NULL;
    end->cause = cause;
}

static int build(cvy_conveyor_t *c, talk_end_t *end, talkers_t *s, const cvy_stage_t *stage)
{
    *end = (talk_end_t){ .scene = s, .t = cvy_conveyor_transport(c), .cause = 1 };
    cvy_transport_on_shutdown_completed(end->t, on_end, end);
    return cvy_conveyor_add_last(c, stage, end, NULL);
}

static int init_server(cvy_conveyor_t *c, void *arg)
{
    talkers_t *s = arg;
    ck_assert_int_lt(s->accepted, TALK_MOST);
    return build(c, &s->servers[s->accepted++], s, &echo);
}

static int init_talker(cvy_conveyor_t *c, void *arg)
{
    talkers_t *s = arg;
    return build(c, &s->talkers[s->dialed++], s, &talk);
}

static void on_started(cvy_listener_t *l, const char *address, void *arg)
{
    talkers_t *s = arg;
    (void)l;
    snprintf(s->address, sizeof s->address, "%s", address);
}

static void on_listen_error(cvy_listener_t *l, int err, void *arg)
{
    talkers_t *s = arg;
    (void)l;
    s->errors++;
    s->listen_error = err;
}

static void on_listen_failure(cvy_listener_t *l, int err, void *arg)
{
    talkers_t *s = arg;
    (void)l;
    s->failures++;
    s->listen_error = err;
}

static void on_shutdown(cvy_listener_t *l, void *arg)
{
    talkers_t *s = arg;
    (void)l;
    s->shutdowns++;
}

static void on_dial_failure(cvy_dialer_t *d, int err, void *arg)
{
    talkers_t *s = arg;
    (void)d;
    s->failed++;
    s->dial_error = err;
}

/* Where the end of our side is what failed, the peer sees it only when lingering is over. */
static const cvy_transport_opts_t transport = { .linger_timeout_ms = 20 };

int talkers_dial(talkers_t *s)
{
    cvy_dialer_opts_t o = { .address = s->address,
                            .loop = s->loop,
                            .conveyor_init = init_talker,
                            .on_failure = on_dial_failure,
                            .arg = s,
                            .transport = &transport };
    cvy_dialer_t **d = &s->dialers[s->dials++];
    int err = cvy_dialer_new(d, &o);
    return err ? err : cvy_dialer_dial(*d);
}

void talkers_begin(talkers_t *s, const char *address)
{
    memset(s, 0, sizeof *s);
    ck_assert_int_eq(cvy_loop_new(&s->loop, NULL), 0);
    cvy_listener_opts_t o = { .address = address,
                              .loop = s->loop,
                              .conveyor_init = init_server,
                              .on_started = on_started,
                              .on_error = on_listen_error,
                              .on_failure = on_listen_failure,
                              .on_shutdown = on_shutdown,
                              .retry_ms = 2,
                              .transport = &transport,
                              .arg = s };
    ck_assert_int_eq(cvy_listener_new(&s->listener, &o), 0);
    ck_assert_int_eq(cvy_listener_start(s->listener), 0);
}

void talkers_connect(talkers_t *s, int n)
{
    int dialed = s->dialed + n, accepted = s->accepted + n;
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(talkers_dial(s), 0);
    TALKERS_UNTIL(s, s->dialed == dialed && s->accepted == accepted);
}

void talkers_end(talkers_t *s)
{
    for (int i = 0; i < s->dials; i++)
        cvy_dialer_free(s->dialers[i]);
    cvy_listener_free(s->listener);
    cvy_loop_stop(s->loop);
    cvy_loop_run(s->loop);
    cvy_loop_unref(s->loop);
    for (int i = 0; i < s->dialed; i++)
        ck_assert_uint_eq(s->talkers[i].wrong + s->servers[i].wrong, 0);
}

/* Talking */

/* Two views, so that one writev carries them. */
void talkers_say(talk_end_t *end, uint64_t from, size_t n)
{
    char text[TALK_LENGTH];
    cvy_buf_t b, half;
    if (!end->t) return;
    for (size_t i = 0; i < n; i++)
        text[i] = pattern(from + i);
    cvy_buf_init(&b, cvy_loop_pool(end->scene->loop));
    cvy_buf_init(&half, NULL);
    ck_assert_int_eq(cvy_buf_append(&b, text, n / 2), 0);
    ck_assert_int_eq(cvy_buf_append(&half, text + n / 2, n - n / 2), 0);
    ck_assert_int_eq(cvy_buf_append_buf(&b, &half), 0);
    cvy_conveyor_write(cvy_transport_conveyor(end->t), &b);
    cvy_buf_fini(&b);
    cvy_buf_fini(&half);
}

static bool answered(const talkers_t *s, uint64_t bytes)
{
    for (int i = 0; i < s->dialed; i++)
        if (s->talkers[i].t && s->talkers[i].got < bytes) return false;
    return true;
}

void talkers_rounds(talkers_t *s, int n)
{
    uint64_t from = 0;
    for (int i = 0; i < s->dialed; i++)
        if (s->talkers[i].t) from = s->talkers[i].got;
    for (int round = 0; round < n; round++, from += TALK_LENGTH) {
        for (int i = 0; i < s->dialed; i++)
            talkers_say(&s->talkers[i], from, TALK_LENGTH);
        TALKERS_UNTIL(s, answered(s, from + TALK_LENGTH));
    }
}

void talkers_close(talkers_t *s)
{
    for (int i = 0; i < s->dialed; i++)
        if (s->talkers[i].t) cvy_transport_close(s->talkers[i].t, CVY_CLOSE_GRACEFUL);
    for (int i = 0; i < s->dialed; i++)
        TALKERS_UNTIL(s, !s->talkers[i].t);
    for (int i = 0; i < s->accepted; i++)
        TALKERS_UNTIL(s, !s->servers[i].t);
}

int talkers_lost(const talk_end_t *ends, int n, int code)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += code ? ends[i].cause == code : ends[i].cause < 0;
    return count;
}
