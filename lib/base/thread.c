/* A thread is known by the address of a variable of its own. */
#include "base/thread.h"

uintptr_t cvy__thread_self(void)
{
    static _Thread_local char here;
    return (uintptr_t)&here;
}
