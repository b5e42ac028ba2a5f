/*
 * The second table of legal.h (E11, R1, R2): every call on loops, groups, listeners, dialers, timers and watches, made on another thread than
 * the loop's. In debug builds the assertion comes first, before anything was touched: the thread leaves it by a jump.
 */
#include <conveyor/conveyor.h>
#include <conveyor/legal.h>
#include <setjmp.h>
#include <signal.h>
#include <uv.h>

#include "base/memory.h"
#include "base/system.h"
#include "support.h"
#include "wire.h"

static cvy_loop_t *loop;
static cvy_group_t *group;
static cvy_listener_t *listener, *started;
static cvy_dialer_t *dialer, *dialing;
static cvy_watch_t *watch;
static cvy_timer_t timer;
static cvy_task_t task, late;
static cvy_socket_t fds[2], more[2];

static void nothing(cvy_task_t *t, int status)
{
    (void)t, (void)status;
}

static void no_timer(cvy_timer_t *t)
{
    (void)t;
}

static void no_watch(cvy_watch_t *w, int status, void *arg)
{
    (void)w, (void)status, (void)arg;
}

static int no_stages(cvy_conveyor_t *c, void *arg)
{
    (void)c, (void)arg;
    return 0;
}

static void set_up(void)
{
    wire_tcp_fds(fds);
    wire_tcp_fds(more);
    task = (cvy_task_t){ .run = nothing };
    late = task;
    ck_assert_int_eq(cvy_loop_new(&loop, NULL), 0);
    ck_assert_int_eq(cvy_group_new(&group, &(cvy_group_opts_t){ .loops = 2 }), 0);
    cvy_listener_opts_t l = { .address = "inproc://legal", .conveyor_init = no_stages, .loop = loop };
    ck_assert_int_eq(cvy_listener_new(&listener, &l), 0);
    l.address = "inproc://legal-started";
    ck_assert_int_eq(cvy_listener_new(&started, &l), 0);
    ck_assert_int_eq(cvy_listener_start(started), 0);
    cvy_dialer_opts_t d = { .address = "inproc://legal-none", .conveyor_init = no_stages, .loop = loop };
    ck_assert_int_eq(cvy_dialer_new(&dialer, &d), 0);
    ck_assert_int_eq(cvy_dialer_new(&dialing, &d), 0);
    ck_assert_int_eq(cvy_dialer_dial(dialing), 0);
    ck_assert_int_eq(cvy_watch_new(&watch, loop, fds[0]), 0);
    ck_assert_int_eq(cvy_watch_read(watch, no_watch, NULL), 0);
    cvy_timer_init(&timer, loop, no_timer, NULL);
    cvy_timer_start(&timer, 1000);
}

static void tear_down(void)
{
    cvy_timer_stop(&timer);
    cvy_watch_free(watch);
    cvy_dialer_free(dialing);
    cvy_dialer_free(dialer);
    cvy_listener_free(started);
    cvy_listener_free(listener);
    cvy_group_free(group);
    cvy_loop_stop(loop);
    cvy_loop_run(loop);
    cvy_loop_unref(loop);
    for (int i = 0; i < 2; i++) {
        cvy__socket_close(fds[i]);
        cvy__socket_close(more[i]);
    }
    ck_assert_uint_eq(cvy__memory_live(), 0);
}

/* Each answers 0, a code, or BROKEN. */
enum { BROKEN = 1 };

#define ANSWERS(call, expr)    \
    static int do_##call(void) \
    {                          \
        return expr;           \
    }
#define IS(condition)     ((condition) ? 0 : BROKEN)
#define AFTER(expr, then) ((void)(expr), (then))

static int do_loop_new(void)
{
    cvy_loop_t *other;
    int err = cvy_loop_new(&other, NULL);
    if (!err) cvy_loop_unref(other);
    return err;
}

static int do_group_new(void)
{
    cvy_group_t *other;
    int err = cvy_group_new(&other, NULL);
    if (!err) cvy_group_free(other);
    return err;
}

static int do_listener_new(void)
{
    cvy_listener_t *other;
    int err = cvy_listener_new(&other, &(cvy_listener_opts_t){ .address = "inproc://legal-other" });
    if (!err) cvy_listener_free(other);
    return err;
}

static int do_dialer_new(void)
{
    cvy_dialer_t *other;
    int err = cvy_dialer_new(&other, &(cvy_dialer_opts_t){ .address = "inproc://legal-other", .loop = loop });
    if (!err) cvy_dialer_free(other);
    return err;
}

static int do_watch_new(void)
{
    cvy_watch_t *other;
    return cvy_watch_new(&other, loop, more[0]);
}

static int do_transport_adopt(void)
{
    cvy_transport_t *t;
    return cvy_transport_adopt(&t, loop, more[0], NULL, no_stages, NULL);
}

static int do_transport_pair(void)
{
    cvy_transport_t *t;
    cvy_pair_end_t end = { .loop = loop, .init = no_stages };
    return cvy_transport_pair(&end, &end, &t);
}

static int do_transport_watched(void)
{
    cvy_transport_t *t;
    return cvy_transport_watched(&t, loop, &(cvy_watched_opts_t){ .init = no_stages });
}

ANSWERS(loop_ref, IS(cvy_loop_ref(loop) == loop))
ANSWERS(loop_unref, AFTER(cvy_loop_unref(cvy_loop_ref(loop)), 0))
ANSWERS(loop_detach, cvy_loop_detach(loop, CVY_DETACH_IF_IDLE, NULL, NULL))
ANSWERS(loop_stop, AFTER(cvy_loop_stop(loop), 0))
ANSWERS(loop_wake, AFTER(cvy_loop_wake(loop), 0))
ANSWERS(loop_in_thread, IS(!cvy_loop_in_thread(loop)))
ANSWERS(loop_post, cvy_loop_post(loop, &task))
ANSWERS(loop_post_after, cvy_loop_post_after(loop, &late, 1))
ANSWERS(group_stop, AFTER(cvy_group_stop(group), 0))
ANSWERS(group_size, IS(cvy_group_size(group) == 2))
ANSWERS(group_loop, IS(cvy_group_loop(group, 1) != NULL))
ANSWERS(listener_ref, IS(cvy_listener_ref(listener) == listener))
ANSWERS(listener_free, AFTER(cvy_listener_free(cvy_listener_ref(listener)), 0))
ANSWERS(listener_start, cvy_listener_start(listener))
ANSWERS(listener_pause, cvy_listener_pause(started))
ANSWERS(listener_resume, cvy_listener_resume(started))
ANSWERS(listener_shutdown,
        AFTER(cvy_listener_shutdown(started, CVY_KEEP), IS(cvy_listener_state(started) == CVY_LISTENER_CLOSED)))
ANSWERS(listener_state, IS(cvy_listener_state(started) == CVY_LISTENER_RUNNING))
ANSWERS(listener_connections, IS(!cvy_listener_connections(started)))
ANSWERS(dialer_dial, cvy_dialer_dial(dialer))
ANSWERS(dialer_cancel, cvy_dialer_cancel(dialing))
ANSWERS(dialer_free, AFTER(cvy_dialer_free(dialing), BROKEN))
ANSWERS(timer_start, AFTER(cvy_timer_start(&timer, 1), BROKEN))
ANSWERS(timer_stop, AFTER(cvy_timer_stop(&timer), BROKEN))
ANSWERS(service_sockets, cvy_service_sockets(NULL, 0))
ANSWERS(service_notify, cvy_service_notify("STATUS=a test"))
ANSWERS(watch_free, AFTER(cvy_watch_free(watch), BROKEN))
ANSWERS(watch_read, cvy_watch_read(watch, no_watch, NULL))
ANSWERS(watch_write, cvy_watch_write(watch, no_watch, NULL))
ANSWERS(unwatch_read, AFTER(cvy_unwatch_read(watch), BROKEN))
ANSWERS(unwatch_write, AFTER(cvy_unwatch_write(watch), BROKEN))

typedef enum elsewhere { ANY, PERM, ASSERT } elsewhere_t;

typedef struct line {
    const char *name;
    int (*run)(void);
    elsewhere_t elsewhere;
} line_t;

#define LINE_ANY(call)        { #call, do_##call, ANY },
#define LINE_PERM(call)       { #call, do_##call, PERM },
#define LINE_ASSERT(call)     { #call, do_##call, ASSERT },
#define LINE_RACE(call)       /* nobody checks: nothing to see */
#define LINE(call, elsewhere) LINE_##elsewhere(call)
static const line_t lines[] = { CVY_LEGAL_ELSEWHERE(LINE) };

static jmp_buf out_of_abort;
static int answer;

static void on_abort(int number)
{
    (void)number;
    longjmp(out_of_abort, 1);
}

enum { ASSERTED = 2 };

static void on_thread(void *arg)
{
    const line_t *line = arg;
    if (setjmp(out_of_abort))
        answer = ASSERTED;
    else
        answer = line->run();
}

static int expected(const line_t *line)
{
#ifdef NDEBUG
    return line->elsewhere == ANY ? 0 : UV_EPERM;
#else
    return line->elsewhere == ANY ? 0 : ASSERTED;
#endif
}

/* E11, R1, R2 */
START_TEST(on_another_thread_each_call_is_as_the_table_says)
{
    line_t line = lines[_i];
    uv_thread_t thread;
#ifdef NDEBUG
    if (line.elsewhere == ASSERT) return;
#endif
    void (*before)(int) = signal(SIGABRT, on_abort);
    ck_assert_int_eq(uv_thread_create(&thread, on_thread, &line), 0);
    uv_thread_join(&thread);
    signal(SIGABRT, before);
    ck_assert_msg(answer == expected(&line), "%s: %d instead of %d", line.name, answer, expected(&line));
    if (line.run == do_loop_ref) cvy_loop_unref(loop);
    if (line.run == do_listener_ref) cvy_listener_free(listener);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("legal_thread");
    TCase *tc = test_case("elsewhere");
    tcase_add_loop_test(tc, on_another_thread_each_call_is_as_the_table_says, 0, sizeof lines / sizeof lines[0]);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
