#!/bin/sh
# The static checkers over the sources, in a minute or two: analyse.sh [gcc|clang|cppcheck|shell]...
# A finding fails. What is not a bug is suppressed beside the code, or here, or in .clang-tidy, each with its reason.
#
# The tests are cppcheck's only: each of them runs under three sanitizers and valgrind, and that shows more.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/need.sh
jobs=$(nproc 2>/dev/null || echo 2)
made=$(mktemp -d) || exit 1 # what meson makes
mkdir "$made/conveyor" && sed 's/@[a-z]*@/0/g' include/conveyor/version.h.in >"$made/conveyor/version.h"
flags='-D_GNU_SOURCE -DCVY_BUILDING -DCVY_DEBUG_SEGMENTS -Iinclude -Ilib -Isamples -I'$made
log=$(mktemp) || exit 1
trap 'rm -rf "$log" "$log.errors" "$made"' EXIT
# Windows' half is compiled by mingw alone; nothing here knows its headers. lib/jemalloc and bench/ need libraries of their own.
sources() {
    find lib samples -name '*.c' ! -path 'lib/win/*' ! -path 'lib/jemalloc/*' | sort
}

# Answers 1 if the log holds something.
verdict() {
    [ ! -s "$log" ] && return 0
    cat "$log"
    return 1
}

analyse_gcc() {
    need_packages gcc libuv || return 1
    # shellcheck disable=SC2086 # several flags
    sources | xargs -P "$jobs" -I{} gcc -std=gnu11 $flags -Wall -Wextra -fanalyzer -S -o /dev/null {} >"$log" 2>&1 || echo "xargs: $?" >>"$log"
    verdict
}

analyse_clang() {
    need_packages clang-tidy libuv || return 1
    # One file each: what the va_list checker remembers of the file before is wrong. What it tells stderr is a count.
    # shellcheck disable=SC2086 # several flags
    sources | xargs -P "$jobs" -I{} clang-tidy --quiet {} -- -std=gnu11 $flags >"$log" 2>"$log.errors" || cat "$log.errors" >>"$log"
    verdict
}

analyse_cppcheck() {
    need_packages cppcheck || return 1
    # shellcheck disable=SC2086 # several flags
    cppcheck -q -j "$jobs" $flags --std=c11 --language=c --library=posix --inline-suppr --enable=warning,performance,portability \
        lib samples include -i lib/win -i lib/jemalloc >"$log" 2>&1
    # Without portability: its varFuncNullUB is about systems where NULL is an int, and libuv runs on none.
    # Without posix: it takes anonymous memory of mmap, with its descriptor of -1, for a mistake.
    # shellcheck disable=SC2086
    cppcheck -q -j "$jobs" $flags -Itest -DGOLDEN_DIR='"golden"' --std=c11 --language=c --inline-suppr --enable=warning,performance \
        test -i test/consumers >>"$log" 2>&1
    verdict
}

analyse_shell() {
    need_packages shellcheck || return 1
    # SC2317, never called: some functions are, by a name in a variable or by a trap.
    find . -name .git -prune -o -name 'build*' -prune -o -name subprojects -prune -o -name '*.sh' -print | sort |
        xargs shellcheck -x -e SC2317 >"$log" 2>&1
    shellcheck -x -e SC2317 .ci/run >>"$log" 2>&1
    verdict
}

[ $# -gt 0 ] || set -- gcc clang cppcheck shell
failed=0
for checker; do
    case $checker in
    gcc | clang | cppcheck | shell) ;;
    *) echo "No checker $checker: gcc, clang, cppcheck, shell"; exit 2 ;;
    esac
    echo "-- $checker"
    "analyse_$checker" || failed=1
done
exit $failed
