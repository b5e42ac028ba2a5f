/* One line to the logging hook. Cut at 512 bytes. Thread: any. */
#ifndef CVY_BASE_LOG_H
#define CVY_BASE_LOG_H

#include <conveyor/base.h>
#include <stdio.h>

#if defined(__MINGW_PRINTF_FORMAT) /* by <stdio.h>: what its printf understands */
#define CVY__PRINTF(fmt, first) __attribute__((__format__(__MINGW_PRINTF_FORMAT, fmt, first)))
#elif defined(__GNUC__)
#define CVY__PRINTF(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#else
#define CVY__PRINTF(fmt, first)
#endif

void cvy__log(cvy_log_level_t level, const char *format, ...) CVY__PRINTF(2, 3);

#endif
