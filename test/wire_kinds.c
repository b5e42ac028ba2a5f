/* The kinds of wires, and what each lacks: the reasons that stand beside a skipped case. */
#include "wire.h"

static const conform_lack_t tcp_lacks[] = {
    { NEEDS_NO_FD, "has a descriptor" },
    { NEEDS_NO_RESET, "has a reset" },
    { NEEDS_COUNTED_WRITES, "nobody counts the system's writes" },
#ifdef _WIN32
    { NEEDS_BUFFER_SIZES, "Windows takes a write whole, however small the send buffer" },
    { NEEDS_UNREAD, "wine takes a reset behind unread bytes for an end, and sees none behind an end" },
#endif
    { 0 }
};

static const conform_lack_t pipe_lacks[] = { { NEEDS_NO_FD, "has a descriptor" },
                                             { NEEDS_COUNTED_WRITES, "nobody counts the system's writes" },
                                             { NEEDS_RESET | NEEDS_UNREAD, "a local socket has no reset" },
#ifdef _WIN32
                                             { NEEDS_HALF_CLOSE, "a named pipe ends in both directions at once" },
                                             { NEEDS_BUFFER_SIZES, "a named pipe's buffers are fixed when it is made" },
                                             { NEEDS_NO_COPY,
                                               "libuv copies what is written to a named pipe, and writes it later" },
#endif
                                             { 0 } };

static const conform_lack_t watched_lacks[] = {
    { NEEDS_NO_FD, "has a descriptor" },
    { NEEDS_BUFFER_SIZES, "the descriptor's options are the application's" },
#ifdef _WIN32
    { NEEDS_RESET | NEEDS_UNREAD, "wine answers an end behind a reset, and its socket knows of no error" },
#endif
    { NEEDS_NO_RESET, "has a reset" },
    { 0 }
};

static const conform_lack_t pair_lacks[] = { { NEEDS_NO_RESET, "has a reset" },
                                             { NEEDS_COUNTED_WRITES, "nobody counts the system's writes" },
                                             { NEEDS_BUFFER_SIZES, "an inproc link has one size" },
                                             { NEEDS_FD, "an inproc end has no descriptor" },
                                             { 0 } };

static const conform_lack_t embedded_lacks[] = { { NEEDS_NO_RESET, "has a reset" },
                                                 { NEEDS_ONE_LOOP, "an embedded transport has a loop of its own" },
                                                 { NEEDS_NO_MALLOC, "what is fed waits in a list" },
                                                 { NEEDS_FD, "an embedded transport has no descriptor" },
                                                 { 0 } };

const conform_kind_t wire_kinds[WIRE_KINDS] = {
    { "tcp", tcp_lacks },           { "pipe", pipe_lacks },       { "inproc", pair_lacks },
    { "inproc-loops", pair_lacks }, { "watched", watched_lacks }, { "embedded", embedded_lacks },
};

const char *wire_name(wire_kind_t kind)
{
    static const char *const names[WIRE_KINDS] = { "tcp", "pipe", "inproc", "inproc", "wired", "embedded" };
    return names[kind];
}

bool wire_half_closes(wire_kind_t kind)
{
    return !conform_lacking(&wire_kinds[kind], NEEDS_HALF_CLOSE);
}
