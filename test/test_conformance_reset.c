/* T14, continued: resets, over every kind that has them: what the peer of a reset sees, in whatever state it is. */
#include <string.h>

#include "wire.h"

#ifndef _WIN32
#include <sys/socket.h>
#else
#include <winsock2.h>
#endif

static bool reset_code(int code)
{
    return code == UV_ECONNRESET || code == UV_EPIPE;
}

/* T9, T17: a reset is an error, never an end of stream, and nothing else is said. */
START_OVER_KINDS(reset_is_an_error_and_no_end_of_stream)
{
    w.a.r.flags |= RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(w.a.cause, UV_ECONNRESET);
    ck_assert_str_eq(recorder_text(&w.a.log),
                     "a: added\na: active\na: error ECONNRESET transport\na: inactive\na: removed\n");
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T9: where there is no reset it is a close at once. */
START_OVER_KINDS(without_a_reset_it_is_an_end_of_stream)
{
    w.a.r.flags |= RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_str_eq(recorder_text(&w.a.log), "a: added\na: active\na: read-closed\na: out-close graceful 0\n"
                                              "a: inactive\na: removed\n");
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(w.b.cause, 0);
}
END_OVER_KINDS

/* T9, T13: a linger time of 0 on the raw descriptor makes any close a reset. */
START_OVER_KINDS(linger_of_0_makes_closing_a_reset)
{
    cvy_socket_t fd;
    struct linger none = { .l_onoff = 1, .l_linger = 0 };
    w.a.r.flags |= RECORD_NO_TURNS;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    ck_assert_int_eq(cvy_transport_fd(w.b.t, &fd), 0);
    ck_assert(!setsockopt(fd, SOL_SOCKET, SO_LINGER, (void *)&none, sizeof none));
    cvy_transport_close(w.b.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(w.a.cause, UV_ECONNRESET);
    ck_assert_str_eq(recorder_text(&w.a.log),
                     "a: added\na: active\na: error ECONNRESET transport\na: inactive\na: removed\n");
}
END_OVER_KINDS

/* T17: what b has not read is lost with it, and so it is a reset and no end of stream. */
START_OVER_KINDS(closing_on_unread_bytes_is_a_reset)
{
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    ck_assert_int_eq(wire_text(&w.a, "unread"), 0);
    wire_turns(&w, 3);
    cvy_transport_close(w.b.t, CVY_CLOSE_NOW);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(w.a.cause, UV_ECONNRESET);
}
END_OVER_KINDS

/* Brings a into a state; then b resets, and a has ended with one error of the right code, or (lingering) with none. */

static void open_for(wire_t *w)
{
    w->a.r.hook = wire_hook;
    w->a.r.flags = w->b.r.flags = RECORD_SILENT;
    w->a.opts.high_bytes = 64 << 20;
    w->a.opts.probe_interval_ms = 1;
    w->a.opts.allow_half_close = w->b.opts.allow_half_close = 1;
    ck_assert_int_eq(wire_open(w, NULL), 0);
}

/* More than the system takes, to a peer that does not read. */
static void fill_the_link(wire_t *w)
{
    cvy_transport_readable_state_changed(w->b.t, false);
    wire_source(&w->a, 16 << 20, 1 << 20);
    wire_turns(w, 3);
    ck_assert_int_eq(cvy_transport_write_state(w->a.t), CVY_WRITE_WRITING);
}

static void in_states(const wire_t *w, cvy_read_state_t read, cvy_write_state_t write)
{
    ck_assert_int_eq(cvy_transport_read_state(w->a.t), read);
    ck_assert_int_eq(cvy_transport_write_state(w->a.t), write);
}

static void reset_and_expect_an_error(wire_t *w)
{
    cvy_transport_close(w->b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(w, wire_gone(w));
    ck_assert(reset_code(w->a.cause));
    ck_assert_int_eq(w->a.r.last_error, w->a.cause);
    ck_assert_int_eq(recorder_seen(&w->a.r, "error"), 1);
    ck_assert_int_eq(w->b.cause, 0);
}

/* T17 */
START_OVER_KINDS(reset_while_reading_and_idle)
{
    open_for(&w);
    if (!wire_manual()) in_states(&w, CVY_READ_READING, CVY_WRITE_IDLE);
    reset_and_expect_an_error(&w);
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 0);
}
END_OVER_KINDS

/* T10, T17: nobody reads and nothing is written: only looking finds it. */
START_OVER_KINDS(reset_while_suspended)
{
    open_for(&w);
    cvy_transport_readable_state_changed(w.a.t, false);
    in_states(&w, CVY_READ_PAUSED, CVY_WRITE_IDLE);
    reset_and_expect_an_error(&w);
    ck_assert_int_eq(w.a.cause, UV_ECONNRESET);
}
END_OVER_KINDS

/* T10, T17: bytes wait in front of it. */
START_OVER_KINDS(reset_while_suspended_with_bytes_to_read)
{
    open_for(&w);
    cvy_transport_readable_state_changed(w.a.t, false);
    ck_assert_int_eq(wire_text(&w.b, "nobody will read this"), 0);
    wire_turns(&w, 2);
    reset_and_expect_an_error(&w);
    ck_assert_int_eq(recorder_seen(&w.a.r, "bytes"), 0);
}
END_OVER_KINDS

/* T17 */
START_OVER_KINDS(reset_while_writing)
{
    open_for(&w);
    fill_the_link(&w);
    reset_and_expect_an_error(&w);
}
END_OVER_KINDS

/* T17: one who only writes, and waits for room, learns of it by the same codes. */
START_OVER_KINDS(reset_while_writing_and_suspended)
{
    open_for(&w);
    cvy_transport_readable_state_changed(w.a.t, false);
    fill_the_link(&w);
    in_states(&w, CVY_READ_PAUSED, CVY_WRITE_WRITING);
    reset_and_expect_an_error(&w);
}
END_OVER_KINDS

/* T5, T17: reading is held by the transport itself, above its mark. */
START_OVER_KINDS(reset_while_held_above_the_mark)
{
    open_for(&w);
    wire_fini(&w);
    wire_init(&w, w.kind);
    w.a.r.flags = w.b.r.flags = RECORD_SILENT;
    w.a.opts.probe_interval_ms = 1;
    w.a.opts.hard_bytes = 64 << 20;
    ck_assert_int_eq(wire_open(&w, NULL), 0);
    cvy_transport_readable_state_changed(w.b.t, false);
    wire_source(&w.a, 16 << 20, 16 << 20);
    wire_turns(&w, 3);
    ck_assert(cvy_transport_suspended(w.a.t));
    in_states(&w, CVY_READ_PAUSED, CVY_WRITE_WRITING);
    reset_and_expect_an_error(&w);
}
END_OVER_KINDS

/* T8, T17: our end is asked for and behind the queue. */
START_OVER_KINDS(reset_while_shutting)
{
    open_for(&w);
    fill_the_link(&w);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_SHUTTING);
    reset_and_expect_an_error(&w);
}
END_OVER_KINDS

/* T8, T17: our end is out; we still read. */
START_OVER_KINDS(reset_while_shut)
{
    open_for(&w);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.a.t), 0);
    WIRE_UNTIL(&w, recorder_seen(&w.b.r, "read-closed"));
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_SHUT);
    reset_and_expect_an_error(&w);
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 0);
}
END_OVER_KINDS

/* T8, T10, T17: behind b's end of stream there is nothing to read: only looking finds it. */
START_OVER_KINDS(reset_behind_the_end_of_the_stream)
{
    open_for(&w);
    ck_assert_int_eq(cvy_transport_shutdown_write(w.b.t), 0);
    WIRE_UNTIL(&w, recorder_seen(&w.a.r, "read-closed"));
    in_states(&w, CVY_READ_EOF, CVY_WRITE_IDLE);
    reset_and_expect_an_error(&w);
    ck_assert_int_eq(recorder_seen(&w.a.r, "read-closed"), 1);
}
END_OVER_KINDS

/* T9, T17: bytes of ours are lost: an error. */
START_OVER_KINDS(reset_while_draining)
{
    open_for(&w);
    fill_the_link(&w);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_SHUTTING);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert(reset_code(w.a.cause));
}
END_OVER_KINDS

/* T9: all of ours is out, and our end: no error any more. */
START_OVER_KINDS(reset_while_lingering_is_no_error)
{
    open_for(&w);
    ck_assert_int_eq(wire_text(&w.a, "last words"), 0);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    WIRE_UNTIL(&w, recorder_seen(&w.b.r, "read-closed"));
    ck_assert_int_eq(cvy_transport_write_state(w.a.t), CVY_WRITE_SHUT);
    ck_assert_ptr_nonnull(w.a.t);
    cvy_transport_close(w.b.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, wire_gone(&w));
    ck_assert_int_eq(w.a.cause, 0);
    ck_assert_int_eq(recorder_seen(&w.a.r, "error"), 0);
}
END_OVER_KINDS

/* T9: our own, while a queue drains; b sees it as one. */
START_OVER_KINDS(our_reset_while_draining_is_a_reset)
{
    open_for(&w);
    fill_the_link(&w);
    cvy_transport_close(w.a.t, CVY_CLOSE_GRACEFUL);
    wire_turns(&w, 2);
    ck_assert_ptr_nonnull(w.a.t);
    cvy_transport_close(w.a.t, CVY_CLOSE_RESET);
    WIRE_UNTIL(&w, !w.a.t);
    ck_assert_int_eq(w.a.cause, 0);
    cvy_transport_readable_state_changed(w.b.t, true);
    WIRE_UNTIL(&w, !w.b.t);
    ck_assert_int_eq(w.b.cause, UV_ECONNRESET);
}
END_OVER_KINDS

#define RESET(name, needs, vary) CONFORM(name, NEEDS_RESET | (needs), vary)

static const conform_case_t cases[] = {
    RESET(reset_is_an_error_and_no_end_of_stream, 0, CONFORM_ALL_VARIANTS),
    CONFORM(without_a_reset_it_is_an_end_of_stream, NEEDS_NO_RESET, CONFORM_ALL_VARIANTS),
    RESET(linger_of_0_makes_closing_a_reset, NEEDS_FD, CONFORM_ONE_VARIANT),
    RESET(closing_on_unread_bytes_is_a_reset, NEEDS_UNREAD, CONFORM_ALL_VARIANTS),
    RESET(reset_while_reading_and_idle, 0, CONFORM_ALL_VARIANTS),
    RESET(reset_while_suspended, 0, CONFORM_ALL_VARIANTS),
    RESET(reset_while_suspended_with_bytes_to_read, NEEDS_UNREAD, CONFORM_ALL_VARIANTS),
    RESET(reset_while_writing, 0, CONFORM_ONE_VARIANT),
    RESET(reset_while_writing_and_suspended, 0, CONFORM_ONE_VARIANT),
    RESET(reset_while_held_above_the_mark, 0, CONFORM_ONE_VARIANT),
    RESET(reset_while_shutting, 0, CONFORM_ONE_VARIANT),
    RESET(reset_while_shut, 0, CONFORM_ALL_VARIANTS),
    RESET(reset_behind_the_end_of_the_stream, NEEDS_UNREAD, CONFORM_ALL_VARIANTS),
    RESET(reset_while_draining, 0, CONFORM_ONE_VARIANT),
    RESET(reset_while_lingering_is_no_error, 0, CONFORM_ALL_VARIANTS),
    RESET(our_reset_while_draining_is_a_reset, NEEDS_UNREAD, CONFORM_ONE_VARIANT),
};

int main(void)
{
    return WIRE_RUN("reset", cases);
}
