/*
 * A table of keys and values with expiry, for one thread. See resp_server.c.
 */
#ifndef SAMPLES_RESP_STORE_H
#define SAMPLES_RESP_STORE_H

#include "resp_codec.h"

typedef struct resp_store resp_store_t;

#define RESP_NEVER INT64_MAX

typedef struct resp_value {
    resp_text_t text;
    int64_t expires_ms; /* on the loop's clock; RESP_NEVER */
} resp_value_t;

/** NULL: no memory. */
resp_store_t *resp_store_new(void);
void resp_store_free(resp_store_t *store);

/** Copies key and value. Errors: UV_ENOMEM; what was there stays. */
int resp_store_set(resp_store_t *store, resp_text_t key, const resp_value_t *value, int64_t now_ms);
/** *out is valid until the next set or remove. Answers whether there is such a key. */
bool resp_store_get(resp_store_t *store, resp_text_t key, int64_t now_ms, resp_value_t *out);
/** Answers whether there was such a key. */
bool resp_store_remove(resp_store_t *store, resp_text_t key, int64_t now_ms);
/** The same for its expiry. */
bool resp_store_expire(resp_store_t *store, resp_text_t key, int64_t expires_ms, int64_t now_ms);

#endif
