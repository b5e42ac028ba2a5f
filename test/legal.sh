#!/bin/sh
# Every call that stage.h, chain.h and transport.h declare has its line in legal.h, and no line is of anything else.
cd "${1:-.}/include/conveyor" || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
grep -hoE 'CVY_EXPORT [^(]*\b(cvy_(fire|ctx|conveyor|transport)_[a-z_]+)\(' stage.h chain.h transport.h |
    sed -E 's/.*cvy_([a-z_]+)\($/\1/' | sort >"$dir/declared"
sed -nE 's/^ *X\(([a-z_]+),.*/\1/p' legal.h | sort >"$dir/listed"
[ -s "$dir/declared" ] && diff "$dir/declared" "$dir/listed" && exit 0
echo '< is declared, > is listed in legal.h'
exit 1
