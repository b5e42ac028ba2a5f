/* Threads on Windows, where there is no SIGPIPE. */
#include "base/system.h"

void cvy__sigpipe_block(void)
{
}

void cvy__sigpipe_ignore(void)
{
}

void cvy__thread_name(const char *name)
{
    (void)name; /* SetThreadDescription came with Windows 10 1607; nothing depends on it */
}
