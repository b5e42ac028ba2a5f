#!/bin/sh
# What differs per system lives in lib/posix and lib/win (and conveyor/base.h): no other file asks which system it is.
cd "${1:-.}" || exit 1
found=$(find lib include -name '*.[ch]' | grep -v -e '^lib/posix/' -e '^lib/win/' -e '^include/conveyor/base\.h$' |
    xargs -r grep -nE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif).*\b(_?_?WIN32(__)?|_WIN64|__MINGW(32|64)__|_MSC_VER|__CYGWIN__|__linux__|__linux|linux|__APPLE__|__FreeBSD__|__OpenBSD__|__NetBSD__|__unix__)\b')
failed=0
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    echo 'Which system it is may be asked only in lib/posix, lib/win and include/conveyor/base.h.'
    failed=1
fi
# What only Linux has, or not every POSIX system: in lib/posix, between #if and #endif with a CVY_HAVE_ that lib/posix/meson.build found. The
# functions among them the build without linux_extras would not even declare.
names='accept4|pipe2|dup3|eventfd|epoll_[a-z0-9]+|signalfd|timerfd_[a-z]+|memfd_create|prctl|gettid|sendmmsg|recvmmsg|splice|tee|vmsplice|'
names=$names'pthread_setname_np|pthread_setaffinity_np|sched_setaffinity|getrandom|strchrnul|memrchr|memmem|mempcpy|asprintf|malloc_usable_size|'
names=$names'SOCK_CLOEXEC|SOCK_NONBLOCK|MSG_NOSIGNAL|MSG_ZEROCOPY|TCP_USER_TIMEOUT|TCP_QUICKACK|TCP_CORK|TCP_DEFER_ACCEPT|SO_REUSEPORT(_LB)?|'
names=$names'SO_NOSIGPIPE|SO_INCOMING_CPU|SO_BUSY_POLL|EPOLL[A-Z]+|POLLRDHUP|O_PATH|O_TMPFILE|CLOCK_MONOTONIC_COARSE|__GLIBC__'
# shellcheck disable=SC2016 # they are awk's
find lib include samples -name '*.[ch]' ! -path 'lib/win/*' | sort | xargs awk -v names="[^A-Za-z0-9_]($names)[^A-Za-z0-9_]" '
    FNR == 1 { depth = 0; comment = 0 }
    { line = " " $0 " " }
    comment && sub(/.*\*\//, "", line) { comment = 0 }
    comment { next }
    { gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line); gsub(/"[^"]*"/, "", line) }
    sub(/\/\*.*/, "", line) { comment = 1 }
    line ~ /^[ \t]*#[ \t]*if/ { found[++depth] = line ~ /CVY_HAVE_/; next }
    line ~ /^[ \t]*#[ \t]*elif/ { found[depth] = line ~ /CVY_HAVE_/; next }
    line ~ /^[ \t]*#[ \t]*else/ { found[depth] = 0; next }
    line ~ /^[ \t]*#[ \t]*endif/ { depth--; next }
    line ~ names {
        asked = 0
        for (i = 1; i <= depth; i++) asked = asked || found[i]
        if (FILENAME !~ /^lib\/posix\// || !asked) { print FILENAME ":" FNR ": " line; bad = 1 }
    }
    END { exit bad }' || {
    echo 'Not every POSIX system has it: only in lib/posix, under a CVY_HAVE_ of lib/posix/meson.build.'
    failed=1
}
exit $failed
