#!/bin/sh
# What differs per system lives in lib/posix and lib/win (and conveyor/base.h): no other file asks which system it is.
cd "${1:-.}" || exit 1
found=$(find lib include -name '*.[ch]' | grep -v -e '^lib/posix/' -e '^lib/win/' -e '^include/conveyor/base\.h$' |
    xargs -r grep -nE '^[[:space:]]*#[[:space:]]*(if|ifdef|ifndef|elif).*\b(_?_?WIN32(__)?|_WIN64|__MINGW(32|64)__|_MSC_VER|__CYGWIN__|__linux__|__linux|linux|__APPLE__|__FreeBSD__|__OpenBSD__|__NetBSD__|__unix__)\b')
[ -z "$found" ] && exit 0
printf '%s\n' "$found"
echo 'Which system it is may be asked only in lib/posix, lib/win and include/conveyor/base.h.'
exit 1
