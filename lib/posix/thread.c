/* Threads and signals where there are pthreads. */
#include "base/system.h"
#include "base/system_service.h"

#include <pthread.h>
#include <signal.h>

void cvy__sigpipe_block(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void cvy__sigpipe_ignore(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) || (old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL) return;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
}

/* Ctrl-C, and what kill and service managers send. */
const int *cvy__stop_signals(void)
{
    static const int signals[] = { SIGINT, SIGTERM, 0 };
    return signals;
}

void cvy__thread_name(const char *name)
{
#if defined(CVY_HAVE_THREAD_NAMES)
    pthread_setname_np(pthread_self(), name);
#elif defined(CVY_HAVE_OWN_THREAD_NAME)
    pthread_setname_np(name);
#else
    (void)name;
#endif
}
