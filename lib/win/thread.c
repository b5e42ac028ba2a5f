/* Threads on Windows, where there is no SIGPIPE. */
#include "base/system.h"

#include <signal.h>
#include <uv.h>

#include "base/system_service.h"

void cvy__sigpipe_block(void)
{
}

void cvy__sigpipe_ignore(void)
{
}

/*
 * Ctrl-C, Ctrl-Break, and SIGHUP, which is how libuv calls the closing of the console. It waits there for the process to end by itself; Windows
 * gives that about 5 s. There is no SIGTERM, and libuv passes over a shutdown of the system, of which only services are told.
 */
const int *cvy__stop_signals(void)
{
    static const int signals[] = { SIGINT, SIGBREAK, SIGHUP, 0 };
    return signals;
}

void cvy__thread_name(const char *name)
{
    (void)name; /* SetThreadDescription came with Windows 10 1607; nothing depends on it */
}
