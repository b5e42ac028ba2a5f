/*
 * What every other header stands on: export and language marks, libuv's types by name only, CVY_OFF,
 * the error that travels through a conveyor, and the logging hook.
 */
#ifndef CONVEYOR_BASE_H
#define CONVEYOR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && !defined(CVY_STATIC)
#ifdef CVY_BUILDING
#define CVY_EXPORT __declspec(dllexport)
#else
#define CVY_EXPORT __declspec(dllimport)
#endif
#elif defined(__GNUC__) && defined(CVY_STATIC) && !defined(_WIN32)
#define CVY_EXPORT __attribute__((visibility("hidden"))) /* what takes in a static copy keeps it to itself */
#elif defined(__GNUC__) && !defined(_WIN32)
#define CVY_EXPORT __attribute__((visibility("default")))
#else
#define CVY_EXPORT
#endif

/* Data whose address stands in static tables: dllimport would forbid that; the linker imports it all the same. */
#if defined(_WIN32) && !defined(CVY_BUILDING)
#define CVY_EXPORT_DATA
#else
#define CVY_EXPORT_DATA CVY_EXPORT
#endif

/* A definition that may stand in a header: the linker keeps one. */
#ifdef _WIN32
#define CVY_ONE_DEFINITION __declspec(selectany)
#else
#define CVY_ONE_DEFINITION __attribute__((weak))
#endif

#ifdef __cplusplus
#define CVY_BEGIN_DECLS extern "C" {
#define CVY_END_DECLS   }
#else
#define CVY_BEGIN_DECLS
#define CVY_END_DECLS
#endif

CVY_BEGIN_DECLS

typedef struct uv_loop_s uv_loop_t;
typedef struct uv_buf_t uv_buf_t;
struct sockaddr;

/** In an options struct 0 means the default; CVY_OFF turns a limit, a timeout or a switch off. */
#define CVY_OFF (-1)

/** A descriptor as the system names it: an int on POSIX, a SOCKET on Windows. */
#ifdef _WIN32
typedef uintptr_t cvy_socket_t;
#else
typedef int cvy_socket_t;
#endif

/**
 * Why something failed. The strings are static or live as long as the callback that lends the error.
 */
typedef struct cvy_error {
    int code;           /* negative, UV_E* */
    const char *stage;  /* the stage that failed; "transport" for the transport itself */
    const char *detail; /* the rule that was broken, static text; may be NULL */
    uint64_t value;     /* what was seen and what was allowed, where the rule is a limit; else both 0 */
    uint64_t limit;
} cvy_error_t;

/**
 * Writes err as one line: "frame: frame longer than max_frame (4294967295 > 1048576): EMSGSIZE".
 *
 * Units:  n in bytes, the terminating zero included; longer text is cut.
 * Thread: any.
 */
CVY_EXPORT void cvy_error_format(char *out, size_t n, const cvy_error_t *err);

typedef enum cvy_log_level { CVY_LOG_DEBUG, CVY_LOG_INFO, CVY_LOG_WARN, CVY_LOG_ERROR } cvy_log_level_t;

/** Takes one line without its newline. Called on any thread, also at the same time. */
typedef void (*cvy_log_cb)(void *arg, cvy_log_level_t level, const char *line);

/**
 * Where lines go. At first warnings and errors go to stderr; cb == NULL silences everything.
 *
 * Thread: any.
 */
CVY_EXPORT void cvy_log_set(cvy_log_cb cb, void *arg);

/** "major.minor.patch" of the library that the program runs with; version.h is what it was compiled with. Thread: any. */
CVY_EXPORT const char *cvy_version(void);

CVY_END_DECLS
#endif
