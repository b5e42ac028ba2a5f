/* A frame that goes from a client to a server and back: what an application does, with public headers only. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <conveyor/conveyor.h>

typedef struct exchange {
    cvy_listener_t *listener;
    cvy_dialer_t *dialer;
    cvy_transport_t *client; /* NULL: not yet, or gone */
    char heard[16];
    int err;
} exchange_t;

/* On loop; address: of somebody else's server. NULL: of a listener of its own, which is made. */
int exchange_begin(exchange_t *x, cvy_loop_t *loop, const char *address);
/* The frame is back, or there is an error. The connection stays open. */
bool exchange_over(const exchange_t *x);
/* Says it once more over the same connection. */
void exchange_again(exchange_t *x);
/* Nothing of it is left once its loop has taken some turns. */
void exchange_end(exchange_t *x);

#endif
