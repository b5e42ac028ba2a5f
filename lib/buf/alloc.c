/*
 * The malloc allocator and the default one. The default is one of the library's few writable globals: a single atomic pointer.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include <conveyor/alloc.h>

/* malloc aligns for every standard type; more than that is cut out of a larger block that starts with its own address. */
static void *malloc_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    if (align <= _Alignof(max_align_t)) return malloc(n ? n : 1);
    size_t front = sizeof(void *);
    if (n > SIZE_MAX - align - front) return NULL;
    char *block = malloc(n + align + front);
    if (!block) return NULL;
    char *p = block + front;
    p += align - (uintptr_t)p % align;
    ((void **)(void *)p)[-1] = block;
    return p;
}

static void malloc_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    (void)n;
    if (p && align > _Alignof(max_align_t)) p = ((void **)p)[-1];
    free(p);
}

static const cvy_alloc_t malloc_allocator = { malloc_alloc, malloc_free, NULL };
static _Atomic(const cvy_alloc_t *) default_allocator = &malloc_allocator;

const cvy_alloc_t *cvy_alloc_malloc(void)
{
    return &malloc_allocator;
}

void cvy_alloc_set_default(const cvy_alloc_t *alloc)
{
    atomic_store_explicit(&default_allocator, alloc ? alloc : &malloc_allocator, memory_order_release);
}

const cvy_alloc_t *cvy_alloc_default(void)
{
    return atomic_load_explicit(&default_allocator, memory_order_acquire);
}
