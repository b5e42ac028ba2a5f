/* The two state machines: every edge, legal or not, and the real calls that take the legal ones. */
#include "fixture_transport.h"

#include <signal.h>

enum { READS = CVY_READ_CLOSED + 1, WRITES = CVY_WRITE_CLOSED + 1 };

#define P CVY_READ_PAUSED
#define R CVY_READ_READING
#define F CVY_READ_EOF
#define E CVY_READ_ERROR
#define C CVY_READ_CLOSED
static const bool read_legal[READS][READS] = {
    /*        P  R  F  E  C */
    [P] = { 0, 1, 1, 1, 1 }, [R] = { 1, 0, 1, 1, 1 }, [F] = { 0, 0, 0, 0, 1 },
    [E] = { 0, 0, 0, 0, 1 }, [C] = { 0, 0, 0, 0, 0 },
};
static const bool write_legal[WRITES][WRITES] = {
    /*                        I  W  S  s  E  C */
    [CVY_WRITE_IDLE] = { 0, 1, 1, 0, 1, 1 },     [CVY_WRITE_WRITING] = { 1, 0, 1, 0, 1, 1 },
    [CVY_WRITE_SHUTTING] = { 0, 0, 0, 1, 1, 1 }, [CVY_WRITE_SHUT] = { 0, 0, 0, 0, 0, 1 },
    [CVY_WRITE_ERROR] = { 0, 0, 0, 0, 0, 1 },    [CVY_WRITE_CLOSED] = { 0, 0, 0, 0, 0, 0 },
};

/* T1 */
START_TEST(the_tables_have_the_legal_edges_and_no_others)
{
    for (int from = 0; from < READS; from++)
        for (int to = 0; to < READS; to++)
            ck_assert_int_eq(cvy__read_edge((cvy_read_state_t)from, (cvy_read_state_t)to), read_legal[from][to]);
    for (int from = 0; from < WRITES; from++)
        for (int to = 0; to < WRITES; to++)
            ck_assert_int_eq(cvy__write_edge((cvy_write_state_t)from, (cvy_write_state_t)to), write_legal[from][to]);
}
END_TEST

static void expect(cvy_read_state_t reading, cvy_write_state_t writing)
{
    ck_assert_int_eq(cvy_transport_read_state(t), reading);
    ck_assert_int_eq(cvy_transport_write_state(t), writing);
}

static void ended(void)
{
    turn();
    expect(C, CVY_WRITE_CLOSED);
}

static cvy_read_state_t seen_read;
static cvy_write_state_t seen_write;
static void look(recorder_t *r, cvy_ctx_t *ctx, const char *event, cvy_buf_t *in)
{
    (void)in;
    if (strcmp(event, r->arg)) return;
    seen_read = cvy_transport_read_state(cvy_ctx_transport(ctx));
    seen_write = cvy_transport_write_state(cvy_ctx_transport(ctx));
}

static void look_on(const char *event)
{
    a.hook = look;
    a.arg = (void *)(uintptr_t)event;
}

/* T1, T2: active; close */
START_TEST(paused_to_reading_to_closed)
{
    look_on("active");
    open_as(&(cvy_embedded_opts_t){ .connecting = true });
    expect(P, CVY_WRITE_IDLE);
    cvy_embedded_connect(e, 0);
    ck_assert_int_eq(seen_read, P); /* reading starts behind active */
    expect(R, CVY_WRITE_IDLE);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    expect(R, CVY_WRITE_IDLE);
    ended();
}
END_TEST

/* T1: suspend, resume */
START_TEST(reading_to_paused_and_back)
{
    open_with(NULL);
    cvy_transport_readable_state_changed(t, false);
    expect(P, CVY_WRITE_IDLE);
    cvy_transport_readable_state_changed(t, true);
    turn();
    expect(R, CVY_WRITE_IDLE);
    cvy_transport_readable_state_changed(t, false);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    expect(P, CVY_WRITE_IDLE); /* paused to closed */
    ended();
}
END_TEST

/* T1: end of stream */
START_TEST(reading_to_eof_to_closed)
{
    open_with(&(cvy_transport_opts_t){ .allow_half_close = 1 });
    cvy_embedded_end(e);
    expect(F, CVY_WRITE_IDLE);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    ended();
}
END_TEST

/* T1: end of stream that was already under way */
START_TEST(paused_to_eof)
{
    open_with(NULL);
    cvy_transport_readable_state_changed(t, false);
    cvy_embedded_end(e);
    expect(F, CVY_WRITE_IDLE);
}
END_TEST

/* T1: the peer's end while draining, and while lingering */
START_TEST(paused_to_eof_while_closing)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    turn();
    cvy_transport_readable_state_changed(t, false);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    cvy_embedded_end(e);
    expect(F, CVY_WRITE_SHUTTING);
    cvy_embedded_block(e, false);
    ended();
}
END_TEST

/* T1: read */
START_TEST(reading_to_error_to_closed)
{
    look_on("error");
    open_with(NULL);
    cvy__loop_enter(t->conveyor.loop);
    cvy__transport_read_error(t, UV_ECONNRESET);
    expect(E, CVY_WRITE_IDLE);
    cvy__loop_leave(t->conveyor.loop);
    ended();
    ck_assert_int_eq(seen_read, C);
}
END_TEST

/* T1: probe */
START_TEST(paused_to_error)
{
    open_with(NULL);
    cvy_transport_readable_state_changed(t, false);
    feed("x"); /* comes, and makes the reading stop */
    cvy_embedded_reset(e, UV_ECONNRESET);
    expect(P, CVY_WRITE_IDLE);
    later(30000);
    expect(C, CVY_WRITE_CLOSED);
    LOG("a: error ECONNRESET transport\na: inactive\na: removed\nend ECONNRESET\n");
}
END_TEST

/* T1: flush */
START_TEST(idle_to_writing_and_back)
{
    open_with(NULL);
    cvy_embedded_script(e, (const int[]){ UV_EAGAIN }, 1);
    below(1);
    expect(R, CVY_WRITE_IDLE);
    turn();
    expect(R, CVY_WRITE_WRITING);
    cvy_embedded_unblock(e);
    expect(R, CVY_WRITE_IDLE);
    cvy_embedded_block(e, true);
    below(1);
    turn();
    cvy_transport_close(t, CVY_CLOSE_NOW);
    expect(R, CVY_WRITE_WRITING); /* writing to closed */
    ended();
}
END_TEST

/* T1: shutdown_write; flush */
START_TEST(idle_to_shutting_to_shut_to_closed)
{
    look_on("inactive");
    open_with(NULL);
    cvy_transport_shutdown_write(t);
    expect(R, CVY_WRITE_SHUTTING);
    turn();
    expect(R, CVY_WRITE_SHUT);
    ck_assert(cvy_embedded_shut(e));
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    expect(R, CVY_WRITE_SHUT);
    cvy_embedded_end(e);
    ended();
}
END_TEST

/* T1: shutdown_write behind a write that waits; close */
START_TEST(writing_to_shutting_to_closed)
{
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    turn();
    expect(R, CVY_WRITE_WRITING);
    cvy_transport_shutdown_write(t);
    expect(R, CVY_WRITE_SHUTTING);
    cvy_transport_close(t, CVY_CLOSE_NOW);
    expect(R, CVY_WRITE_SHUTTING);
    ended();
    ck_assert(!cvy_embedded_shut(e));
}
END_TEST

/* T1: graceful close */
START_TEST(idle_and_writing_to_shutting_by_close)
{
    open_with(NULL);
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    expect(R, CVY_WRITE_SHUTTING);
    turn();
    expect(R, CVY_WRITE_SHUT); /* lingering */
    cvy_embedded_end(e);
    ended();
    finish();
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    turn();
    cvy_transport_close(t, CVY_CLOSE_GRACEFUL);
    expect(R, CVY_WRITE_SHUTTING);
}
END_TEST

static void fail_write(void)
{
    cvy__loop_enter(t->conveyor.loop);
    cvy__transport_wrote(t, 0, UV_ECONNRESET);
    expect(R, CVY_WRITE_ERROR);
    cvy__loop_leave(t->conveyor.loop);
    ended();
    finish();
}

/* T1: flush */
START_TEST(idle_writing_and_shutting_to_error)
{
    open_with(NULL);
    fail_write(); /* idle */
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    turn();
    fail_write(); /* writing */
    open_with(NULL);
    cvy_embedded_block(e, true);
    below(1);
    cvy_transport_shutdown_write(t);
    turn();
    fail_write(); /* shutting */
}
END_TEST

/* Puts one side into a state in which the real calls would not, and tries the edge. */
static void try_edge(bool reading, int from, int to)
{
    open_with(NULL);
    cvy_log_set(NULL, NULL);
    if (reading)
        t->read_state = (uint8_t)from;
    else
        t->write_state = (uint8_t)from;
    if (reading)
        cvy__transport_set_read(t, (cvy_read_state_t)to, "");
    else
        cvy__transport_set_write(t, (cvy_write_state_t)to, "");
}

static void nth_edge(int i, bool *reading, int *from, int *to)
{
    *reading = i < READS * READS;
    int n = *reading ? READS : WRITES;
    i -= *reading ? 0 : READS * READS;
    *from = i / n;
    *to = i % n;
}

enum { EDGES = READS * READS + WRITES * WRITES };

/* T1 */
START_TEST(every_legal_edge_is_taken)
{
    bool reading;
    int from, to;
    for (int i = 0; i < EDGES; i++) {
        nth_edge(i, &reading, &from, &to);
        if (from != to && !(reading ? read_legal[from][to] : write_legal[from][to])) continue;
        try_edge(reading, from, to);
        ck_assert_int_eq(reading ? t->read_state : t->write_state, to);
        ck_assert(!cvy_transport_closing(t));
        t->read_state = CVY_READ_PAUSED; /* so that closing finds its edges */
        t->write_state = CVY_WRITE_IDLE;
        finish();
    }
}
END_TEST

#ifdef NDEBUG
/* T1: in a release build an illegal edge costs the connection */
START_TEST(every_illegal_edge_closes_with_an_error)
{
    bool reading;
    int from, to;
    for (int i = 0; i < EDGES; i++) {
        nth_edge(i, &reading, &from, &to);
        if (from == to || (reading ? read_legal[from][to] : write_legal[from][to])) continue;
        try_edge(reading, from, to);
        ck_assert_int_eq(reading ? t->read_state : t->write_state, from);
        ck_assert(cvy_transport_closing(t));
        t->read_state = CVY_READ_PAUSED;
        t->write_state = CVY_WRITE_IDLE;
        turn();
        LOG("a: error EINVAL transport\na: inactive\na: removed\nend EINVAL\n");
        finish();
    }
}
END_TEST
#elif !defined(_WIN32)
/* T1: in a debug build it stops. One that is legal aborts by itself, so that the loop test may run over all. */
START_TEST(every_illegal_edge_asserts)
{
    bool reading;
    int from, to;
    nth_edge(_i, &reading, &from, &to);
    if (from == to || (reading ? read_legal[from][to] : write_legal[from][to])) raise(SIGABRT);
    if (!freopen("/dev/null", "w", stderr)) exit(1);
    try_edge(reading, from, to);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("state");
    fixed(ADD_TESTS(suite, "edges", the_tables_have_the_legal_edges_and_no_others, every_legal_edge_is_taken));
    fixed(ADD_TESTS(suite, "calls", paused_to_reading_to_closed, reading_to_paused_and_back, reading_to_eof_to_closed,
                    paused_to_eof, paused_to_eof_while_closing, reading_to_error_to_closed, paused_to_error,
                    idle_to_writing_and_back, idle_to_shutting_to_shut_to_closed, writing_to_shutting_to_closed,
                    idle_and_writing_to_shutting_by_close, idle_writing_and_shutting_to_error));
#ifdef NDEBUG
    fixed(ADD_TESTS(suite, "illegal", every_illegal_edge_closes_with_an_error));
#elif !defined(_WIN32)
    const char *fork = getenv("CK_FORK");
    if (!fork || strcmp(fork, "no") != 0) { /* it ends the process */
        TCase *illegal = fixed(test_case("illegal"));
        tcase_add_loop_test_raise_signal(illegal, every_illegal_edge_asserts, SIGABRT, 0, EDGES);
        suite_add_tcase(suite, illegal);
    }
#endif
    return test_run(suite);
}
