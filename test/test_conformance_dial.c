/*
 * Dialing, over every address scheme (L2, L4, L8, E6, T17): the order of callbacks, early writes, and failures. CONFORM_KIND=tcp:// runs one scheme.
 */
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "scheme.h"

/* Order */

static void record_client(ends_t *e)
{
    cvy_conveyor_init_cb plain = e->net.opts.conveyor_init;
    ends_record(e);
    e->net.opts.conveyor_init = plain;
}

/* L2, L8, E5: nothing comes inside dial. */
START_OVER_SCHEMES(the_order_is_init_connected_active_reading)
{
    record_client(&e);
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    ck_assert_str_eq(recorder_text(&e.client_log), "");
    NET_UNTIL(n, n->connected);
    net_write(n, 0, "x");
    NET_UNTIL(n, e.client.bytes == 1);
    cvy_listener_shutdown(n->listener, CVY_DRAIN);
    NET_UNTIL(n, !n->open);
    ck_assert_str_eq(recorder_text(&e.client_log),
                     "init\nc: added\nconnected\nc: active\nc: out-bytes 1 x\nc: bytes 1 x\nc: read-closed\n"
                     "c: out-close graceful 0\nc: inactive\nc: removed\ngone 0\n");
    ck_assert_str_eq(cvy_dialer_message(n->dialers[0]), "");
    ck_assert_int_eq(n->failed, 0);
}
END_OVER_SCHEMES

static cvy_close_verb_t verb;
static void close_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)d;
    recorder_line(&((ends_t *)n)->client_log, "connected");
    ck_assert_int_eq(cvy_transport_close(t, verb), 0);
}

static void closed_on_connected(ends_t *e, cvy_close_verb_t how)
{
    net_t *n = &e->net;
    verb = how;
    record_client(e);
    n->on_connected = close_connected;
    ends_listen(e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    NET_UNTIL(n, n->connected && !n->open);
    if (how != CVY_CLOSE_RESET) ends_until_peer_gone(e); /* after a reset there may be nobody to accept */
    ck_assert_str_eq(recorder_text(&e->client_log), "init\nc: added\nconnected\nc: removed\ngone 0\n");
    ck_assert_int_eq(n->connected, 1);
    ck_assert_int_eq(n->failed, 0);
}

/* E6 */
START_OVER_SCHEMES(closed_now_inside_on_connected_it_is_only_removed)
{
    closed_on_connected(&e, CVY_CLOSE_NOW);
}
END_OVER_SCHEMES

/* E6, T9 */
START_OVER_SCHEMES(closed_gracefully_inside_on_connected_it_is_only_removed)
{
    closed_on_connected(&e, CVY_CLOSE_GRACEFUL);
}
END_OVER_SCHEMES

/* E6, T9 */
START_OVER_SCHEMES(reset_inside_on_connected_it_is_only_removed)
{
    closed_on_connected(&e, CVY_CLOSE_RESET);
}
END_OVER_SCHEMES

static int init_and_fail(cvy_conveyor_t *c, void *arg)
{
    ends_t *e = arg;
    recorder_line(&e->client_log, "init");
    int err = cvy_conveyor_add_last(c, &recorder_stage, &e->client, NULL);
    return err ? err : UV_EPROTO;
}

/* L2, L8 */
START_OVER_SCHEMES(an_init_that_fails_is_the_result_and_active_is_never_seen)
{
    char line[400];
    record_client(&e);
    n->dial.conveyor_init = init_and_fail;
    ends_listen(&e);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    ends_until_peer_gone(&e);
    net_settle(n);
    ck_assert_str_eq(recorder_text(&e.client_log), "init\nc: added\nrefused EPROTO\nc: removed\n");
    snprintf(line, sizeof line, "%s: protocol error (EPROTO)", n->address);
    ck_assert_str_eq(cvy_dialer_message(n->dialers[0]), line);
    ck_assert_int_eq(n->connected, 0);
    ck_assert_int_eq(n->failed, 1);
}
END_OVER_SCHEMES

/* Writing early */

static int write_text(cvy_transport_t *t, const char *text)
{
    cvy_buf_t b = CVY_BUF_INIT;
    ck_assert_int_eq(cvy_buf_append(&b, text, strlen(text)), 0);
    int err = cvy_conveyor_write(cvy_transport_conveyor(t), &b);
    cvy_buf_fini(&b);
    return err;
}

static int init_and_write(cvy_conveyor_t *c, void *arg)
{
    ends_t *e = arg;
    int err = cvy_conveyor_add_last(c, &recorder_stage, &e->client, NULL);
    return err ? err : write_text(cvy_conveyor_transport(c), "one ");
}

static void write_connected(net_t *n, cvy_dialer_t *d, cvy_transport_t *t)
{
    (void)n, (void)d;
    ck_assert_int_eq(write_text(t, "two "), 0);
}

/* L8, T4: before active is seen. It comes back through the server's echo. */
START_OVER_SCHEMES(what_is_written_before_active_arrives_in_order)
{
    static const recorder_rule_t rules[] = { { "active", 1, RECORD_WRITE, "three", 0 }, { 0 } };
    record_client(&e);
    e.client.rules = rules;
    e.client.flags |= RECORD_KEEP;
    n->dial.conveyor_init = init_and_write;
    n->on_connected = write_connected;
    ends_listen(&e);
    ends_dial(&e, 1);
    NET_UNTIL(n, e.client.bytes == 13);
    ck_assert(cvy_buf_equal(&e.client.received, "one two three", 13));
}
END_OVER_SCHEMES

/* Failing */

/* L2, L8, T17, L4 */
START_OVER_SCHEMES(refused_it_fails_once_with_the_address_and_active_is_never_seen)
{
    char nobody[256], line[400];
    record_client(&e);
    ends_free_address(&e, nobody);
    ck_assert_int_eq(net_dial(n, nobody), 0);
    ck_assert_int_eq(n->failed, 0);
    NET_UNTIL(n, n->failed);
    net_settle(n);
    int code = scheme_refusal(e.scheme);
    snprintf(line, sizeof line, "%s: %s (%s)", nobody, uv_strerror(code), uv_err_name(code));
    ck_assert_str_eq(cvy_dialer_message(n->dialers[0]), line);
    snprintf(line, sizeof line, "refused %s\n", uv_err_name(code));
    ck_assert_str_eq(recorder_text(&e.client_log), line);
    ck_assert_int_eq(n->failed, 1);
}
END_OVER_SCHEMES

/* L8 */
START_OVER_SCHEMES(a_host_name_is_looked_up)
{
    char address[64];
    ends_listen(&e);
    snprintf(address, sizeof address, "tcp://localhost%s", strrchr(n->address, ':'));
    ck_assert_int_eq(net_dial(n, address), 0);
    NET_UNTIL(n, n->connected || n->failed);
    ck_assert_msg(n->connected == 1, "%s", cvy_dialer_message(n->dialers[0]));
    ck_assert_str_eq(cvy_transport_other_endpoint(n->clients[0]), n->address);
    net_write(n, 0, "x");
    NET_UNTIL(n, n->echoed == 1);
}
END_OVER_SCHEMES

/* Calls in every state */

/* L8 */
START_OVER_SCHEMES(a_second_dial_is_ealready_in_every_state)
{
    char nobody[256];
    cvy_dialer_t *d;
    ends_free_address(&e, nobody);
    ends_listen(&e);
    n->dial.address = n->address;
    ck_assert_int_eq(cvy_dialer_new(&d, &n->dial), 0);
    ck_assert_int_eq(cvy_dialer_cancel(d), UV_EINVAL); /* not dialed */
    cvy_dialer_free(d);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    ck_assert_int_eq(net_dial(n, scheme_is_tcp(e.scheme) ? n->address : nobody), 0);
    ck_assert_int_eq(net_dial(n, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cvy_dialer_dial(n->dialers[i]), UV_EALREADY); /* under way */
    ck_assert_int_eq(cvy_dialer_cancel(n->dialers[2]), 0);
    ck_assert_int_eq(cvy_dialer_dial(n->dialers[2]), UV_EALREADY); /* cancelled */
    NET_UNTIL(n, n->connected + n->failed == 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(cvy_dialer_dial(n->dialers[i]), UV_EALREADY); /* connected, failed */
    net_settle(n);
    ck_assert_int_eq(n->connected + n->failed, 3);
}
END_OVER_SCHEMES

int main(void)
{
    const conform_case_t cases[] = {
        OVER_SCHEMES(the_order_is_init_connected_active_reading, 0),
        OVER_SCHEMES(closed_now_inside_on_connected_it_is_only_removed, 0),
        OVER_SCHEMES(closed_gracefully_inside_on_connected_it_is_only_removed, 0),
        OVER_SCHEMES(reset_inside_on_connected_it_is_only_removed, 0),
        OVER_SCHEMES(an_init_that_fails_is_the_result_and_active_is_never_seen, 0),
        OVER_SCHEMES(what_is_written_before_active_arrives_in_order, 0),
        OVER_SCHEMES_ONE_LOOP(refused_it_fails_once_with_the_address_and_active_is_never_seen, 0),
        OVER_SCHEMES(a_second_dial_is_ealready_in_every_state, 0),
        OVER_SCHEMES(a_host_name_is_looked_up, NEEDS_HOST_NAME),
    };
    return scheme_run("dial", cases, CONFORM_COUNT(cases));
}
