/*
 * A hash table with chains. What has expired is removed when somebody asks for it, and two buckets are swept with every set, so that
 * keys nobody asks for go as well.
 */
#include "resp_store.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SWEEP_PER_SET 2

typedef struct entry {
    struct entry *next;
    uint64_t hash;
    int64_t expires_ms;
    size_t key_n, value_n;
    char bytes[]; /* key, value */
} entry_t;

struct resp_store {
    entry_t **buckets;
    size_t size, count; /* size is a power of two */
    size_t swept;
    uint64_t seed; /* so that nobody can choose keys that collide without knowing it */
};

resp_store_t *resp_store_new(void)
{
    resp_store_t *store = calloc(1, sizeof *store);
    if (!store) return NULL;
    store->size = 1024;
    store->buckets = calloc(store->size, sizeof *store->buckets);
    if (!store->buckets || uv_random(NULL, NULL, &store->seed, sizeof store->seed, 0, NULL)) {
        resp_store_free(store);
        return NULL;
    }
    return store;
}

void resp_store_free(resp_store_t *store)
{
    if (!store) return;
    for (size_t i = 0; store->buckets && i < store->size; i++) {
        while (store->buckets[i]) {
            entry_t *e = store->buckets[i];
            store->buckets[i] = e->next;
            free(e);
        }
    }
    free(store->buckets);
    free(store);
}

/* FNV-1a, seeded. */
static uint64_t hash_of(const resp_store_t *store, resp_text_t key)
{
    uint64_t hash = 14695981039346656037u ^ store->seed;
    for (size_t i = 0; i < key.n; i++)
        hash = (hash ^ (unsigned char)key.bytes[i]) * 1099511628211u;
    return hash ^ hash >> 32;
}

static void drop(resp_store_t *store, entry_t **at)
{
    entry_t *e = *at;
    *at = e->next;
    store->count--;
    free(e);
}

/* What points to the entry, NULL when there is none. */
static entry_t **find(resp_store_t *store, resp_text_t key, uint64_t hash, int64_t now_ms)
{
    for (entry_t **at = &store->buckets[hash & (store->size - 1)]; *at; at = &(*at)->next) {
        entry_t *e = *at;
        if (e->hash != hash || e->key_n != key.n || memcmp(e->bytes, key.bytes, key.n) != 0) continue;
        if (e->expires_ms > now_ms) return at;
        drop(store, at);
        return NULL;
    }
    return NULL;
}

static void sweep(resp_store_t *store, int64_t now_ms)
{
    for (int i = 0; i < SWEEP_PER_SET; i++) {
        entry_t **at = &store->buckets[store->swept++ & (store->size - 1)];
        while (*at) {
            if ((*at)->expires_ms <= now_ms)
                drop(store, at);
            else
                at = &(*at)->next;
        }
    }
}

/* Twice as many buckets. Without memory for them the chains get longer. */
static void grow(resp_store_t *store)
{
    entry_t **buckets = calloc(2 * store->size, sizeof *buckets);
    if (!buckets) return;
    for (size_t i = 0; i < store->size; i++) {
        while (store->buckets[i]) {
            entry_t *e = store->buckets[i];
            entry_t **at = &buckets[e->hash & (2 * store->size - 1)];
            store->buckets[i] = e->next;
            e->next = *at;
            *at = e;
        }
    }
    free(store->buckets);
    store->buckets = buckets;
    store->size *= 2;
}

int resp_store_set(resp_store_t *store, resp_text_t key, const resp_value_t *value, int64_t now_ms)
{
    uint64_t hash = hash_of(store, key);
    entry_t *e = malloc(sizeof *e + key.n + value->text.n);
    if (!e) return UV_ENOMEM;
    e->hash = hash;
    e->expires_ms = value->expires_ms;
    e->key_n = key.n;
    e->value_n = value->text.n;
    memcpy(e->bytes, key.bytes, key.n);
    memcpy(e->bytes + key.n, value->text.bytes, value->text.n);

    entry_t **at = find(store, key, hash, now_ms);
    if (at) drop(store, at);
    sweep(store, now_ms);
    if (store->count >= store->size) grow(store);
    at = &store->buckets[hash & (store->size - 1)];
    e->next = *at;
    *at = e;
    store->count++;
    return 0;
}

bool resp_store_get(resp_store_t *store, resp_text_t key, int64_t now_ms, resp_value_t *out)
{
    entry_t **at = find(store, key, hash_of(store, key), now_ms);
    if (!at) return false;
    *out = (resp_value_t){ { (*at)->bytes + (*at)->key_n, (*at)->value_n }, (*at)->expires_ms };
    return true;
}

bool resp_store_remove(resp_store_t *store, resp_text_t key, int64_t now_ms)
{
    entry_t **at = find(store, key, hash_of(store, key), now_ms);
    if (at) drop(store, at);
    return at != NULL;
}

bool resp_store_expire(resp_store_t *store, resp_text_t key, int64_t expires_ms, int64_t now_ms)
{
    entry_t **at = find(store, key, hash_of(store, key), now_ms);
    if (at) (*at)->expires_ms = expires_ms;
    return at != NULL;
}
