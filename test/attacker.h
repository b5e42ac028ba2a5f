/* A peer that keeps to no rules: plain TCP sockets to 127.0.0.1, without the library. Connecting blocks, all else does not. */
#ifndef CVY_TEST_ATTACKER_H
#define CVY_TEST_ATTACKER_H

#include <conveyor/base.h>

/* address: the listener's, tcp://127.0.0.1:PORT. receive_bytes: SO_RCVBUF; 0: the system's. */
cvy_socket_t attacker_connect(const char *address, int receive_bytes);
/* How many bytes the socket took; 0: none now, or never again. */
size_t attacker_send(cvy_socket_t fd, const void *bytes, size_t n);
void attacker_end(cvy_socket_t fd); /* FIN */
void attacker_close(cvy_socket_t fd);
void attacker_reset(cvy_socket_t fd); /* RST, and closes */
/* As many descriptors as this process may open, wanted at most, with some to spare; raises its limit for that. */
size_t attacker_descriptors(size_t wanted);

#endif
