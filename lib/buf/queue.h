/* The outbound queue's way of taking bytes over. */
#ifndef CVY_BUF_QUEUE_H
#define CVY_BUF_QUEUE_H

#include <conveyor/buf.h>

/*
 * Moves all of in to the tail of out so that few views are left to write: merges neighbours, else copies few bytes into a tail of
 * its own, else links. Short of memory it links. blocked: out stays for a while; then more is copied, so that it does not pin what is large
 * for what it holds. Errors: UV_EINVAL (out itself), UV_ENOMEM (more than SIZE_MAX bytes in all).
 */
int cvy__buf_queue(cvy_buf_t *out, cvy_buf_t *in, bool blocked);

#endif
