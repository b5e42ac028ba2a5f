/* Segments from jemalloc, freed with the size and alignment they were taken with. */
#include <conveyor/jemalloc.h>

#include <jemalloc/jemalloc.h>

static void *jemalloc_alloc(void *arg, size_t n, size_t align)
{
    (void)arg;
    return mallocx(n ? n : 1, MALLOCX_ALIGN(align));
}

static void jemalloc_free(void *arg, void *p, size_t n, size_t align)
{
    (void)arg;
    if (p) sdallocx(p, n ? n : 1, MALLOCX_ALIGN(align));
}

const cvy_alloc_t *cvy_jemalloc_alloc(void)
{
    static const cvy_alloc_t alloc = { jemalloc_alloc, jemalloc_free, NULL };
    return &alloc;
}
