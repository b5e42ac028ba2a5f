/* The version that a program runs with, which need not be the one it was compiled with. */
#include <conveyor/base.h>
#include <conveyor/version.h>

const char *cvy_version(void)
{
    return CVY_VERSION;
}
