/* What the program and its plugin know of each other's copy. */
#ifndef COPY_H
#define COPY_H

#include <stddef.h>

typedef struct copy {
    const char *(*version)(void);
    const void *active, *stage; /* addresses of what the library exports */
    int (*open)(char *address, size_t n);
    int (*dial)(const char *address);
    void (*turn)(void);
    int (*heard)(void);
    void (*again)(void);
    int (*lines)(void); /* that came to its logging hook */
    void (*log_one)(void);
    void (*close)(void);
} copy_t;

const copy_t *copy(void);

#endif
