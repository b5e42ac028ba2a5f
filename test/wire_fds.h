/*
 * Two connected descriptors, and what a peer that is no transport does with its own: plain calls that do not block.
 * What differs per system is here. Failing aborts: neither check nor a loop is needed.
 */
#ifndef CVY_TEST_WIRE_FDS_H
#define CVY_TEST_WIRE_FDS_H

#include <conveyor/base.h>
#include <stdbool.h>
#include <stddef.h>

void wire_tcp_fds(cvy_socket_t fds[2]);
void wire_pipe_fds(cvy_socket_t fds[2]);
void wire_pipe_fd_close(cvy_socket_t fd);

/* Of sockets; on Windows the ends of a named pipe are none. */
void wire_fd_nonblocking(cvy_socket_t fd);
/* > 0 bytes, 0 end of stream, or a code of libuv. */
int wire_fd_read(cvy_socket_t fd, void *bytes, size_t n);
int wire_fd_write(cvy_socket_t fd, const void *bytes, size_t n);
/* Ends the writing side. */
int wire_fd_shut(cvy_socket_t fd);
void wire_fd_close(cvy_socket_t fd, bool reset);
/* Asks the system for so small buffers; 0: as they are. */
void wire_fd_buffers(cvy_socket_t fd, int send, int receive);

#endif
