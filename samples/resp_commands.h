/*
 * The commands that resp_server knows.
 */
#ifndef SAMPLES_RESP_COMMANDS_H
#define SAMPLES_RESP_COMMANDS_H

#include "resp_codec.h"
#include "resp_store.h"

/** Appends the answer to out; QUIT fires it and closes by itself. Errors: UV_ENOMEM: out may hold half of it. */
int resp_answer(cvy_buf_t *out, cvy_ctx_t *ctx, const resp_command_t *command, resp_store_t *store);

#endif
