/*
 * The decoder is a stage that fires a command as soon as it is whole, and stops firing while the stages behind may not take one.
 */
#include "resp_parser.h"

#include <stdlib.h>
#include <uv.h>

typedef struct decoder {
    resp_parser_t parser;
    bool failed, ending, firing;
} decoder_t;

static void fail(cvy_ctx_t *ctx, int err, const char *why)
{
    decoder_t *d = cvy_ctx_state(ctx);
    d->failed = true;
    cvy_buf_fini(&d->parser.held);
    cvy_ctx_fail(ctx, err, why);
}

/* The command's bytes leave held first: what comes while it is answered joins those behind it. */
static int fire(cvy_ctx_t *ctx, decoder_t *d)
{
    resp_parser_t *p = &d->parser;
    const uint8_t *bytes = NULL;
    cvy_buf_t whole;
    if (cvy_buf_split(&whole, &p->held, p->at)) return UV_ENOMEM;
    int err = cvy_buf_pullup(&whole, p->at, &bytes);
    if (!err) {
        resp_command_t command = { CVY_EVENT_OF(resp_command), (const char *)bytes, p->args, p->count };
        d->firing = true;
        cvy_fire_inbound(ctx, &command.event);
        d->firing = false;
        resp_parse_next(p);
    }
    cvy_buf_fini(&whole);
    return err;
}

/* Fires whole commands until there is none, or nobody may take one. */
static void drain(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    while (!d->failed && !d->firing && cvy_ctx_stopped(ctx) == 0) {
        int err = resp_parse(&d->parser);
        if (err == UV_EAGAIN) break;
        if (err)
            fail(ctx, err, d->parser.why);
        else if (fire(ctx, d))
            fail(ctx, UV_ENOMEM, "out of memory");
    }
    cvy_buf_compact(&d->parser.held); /* what is left need not pin a whole read; without memory it does */
}

static void on_bytes(cvy_ctx_t *ctx, cvy_buf_t *bytes)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (d->failed) return;
    if (cvy_buf_keep(&d->parser.held, bytes)) {
        fail(ctx, UV_ENOMEM, "out of memory");
        return;
    }
    drain(ctx);
}

/* After the end of the stream: 0 when it may go on to the stages behind, which would close the connection. */
static int finish(cvy_ctx_t *ctx, decoder_t *d)
{
    drain(ctx);
    if (d->failed || cvy_ctx_stopped(ctx)) return UV_EAGAIN; /* whoever gets the error closes */
    if (!cvy_buf_len(&d->parser.held)) return 0;
    fail(ctx, UV_EPROTO, "end of stream inside a command");
    return UV_EAGAIN;
}

static int on_read_closed(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    d->ending = true;
    return finish(ctx, d);
}

static void on_inbound_resume(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (!d->ending)
        drain(ctx);
    else if (!finish(ctx, d))
        cvy_ctx_read_closed_next(ctx);
}

static int on_added(cvy_ctx_t *ctx, const void *opts)
{
    decoder_t *d = cvy_ctx_state(ctx);
    (void)opts;
    cvy_buf_init(&d->parser.held, cvy_ctx_pool(ctx));
    resp_parse_next(&d->parser);
    return 0;
}

/* What is not yet a command is for whoever comes behind, or in this one's place. */
static void on_removed(cvy_ctx_t *ctx)
{
    decoder_t *d = cvy_ctx_state(ctx);
    if (cvy_buf_len(&d->parser.held)) cvy_fire_inbound_bytes(ctx, &d->parser.held);
    cvy_buf_fini(&d->parser.held);
    free(d->parser.args);
}

const cvy_stage_t resp_decoder = {
    .name = "resp",
    .state_size = sizeof(decoder_t),
    .on_added = on_added,
    .on_removed = on_removed,
    .on_inbound_bytes = on_bytes,
    .on_read_closed = on_read_closed,
    .on_inbound_resume = on_inbound_resume,
};
