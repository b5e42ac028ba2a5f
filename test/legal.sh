#!/bin/sh
# E11: every call that stage.h, chain.h, transport.h and credentials.h declare has its line in the first table of legal.h, every call of
# loops, groups, listeners, dialers, timers and watches, of adopt.h and of service.h, in the second; and no line is of anything else.
cd "${1:-.}/include/conveyor" || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
declared() {
    grep -hoE 'CVY_EXPORT [^(]*\bcvy_[a-z_]+\(' "$@" | sed -E 's/.*cvy_([a-z_]+)\($/\1/' | sort >"$dir/declared"
}
listed() {
    sed -nE "/define $1\(/,/[^\\]\$/s/^ *X\(([a-z_]+),.*/\1/p" legal.h | sort >"$dir/listed"
}
compare() {
    [ -s "$dir/declared" ] && diff "$dir/declared" "$dir/listed" && return 0
    echo "< is declared, > is listed in $1 of legal.h"
    return 1
}
failed=0
declared stage.h chain.h transport.h credentials.h
grep -E '^(fire|ctx|conveyor|transport)_' "$dir/declared" >"$dir/some" && mv "$dir/some" "$dir/declared"
listed CVY_LEGAL
compare CVY_LEGAL || failed=1
declared loop.h group.h listener.h dialer.h timer.h watch.h adopt.h service.h
listed CVY_LEGAL_ELSEWHERE
compare CVY_LEGAL_ELSEWHERE || failed=1
exit $failed
