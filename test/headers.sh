#!/bin/sh
# Compiles every public header alone: headers.sh c|c++ INCLUDE_DIR COMPILER...
set -u
lang=$1 include=$2
shift 2
case $lang in
c) flags="-std=c11 -pedantic-errors" ;;
*) flags="-std=c++17 -pedantic-errors" ;;
esac
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0 count=0
for header in "$include"/conveyor/*.h; do
    [ -e "$header" ] || continue
    count=$((count + 1))
    name=conveyor/${header##*/}
    # Twice: the guard works. The declaration after it: the header leaves nothing open.
    printf '#include <%s>\n#include <%s>\nextern int nothing;\n' "$name" "$name" >"$dir/one.$lang"
    # shellcheck disable=SC2086 # several flags
    "$@" -x "$lang" $flags -Wall -Wextra -Werror -I "$include" -fsyntax-only "$dir/one.$lang" || {
        echo "$name does not compile alone as $flags"
        failed=1
    }
    if grep -En '#[[:space:]]*include[[:space:]]*<uv\.h>' "$header"; then
        echo "$name includes <uv.h>: declare the types forward"
        failed=1
    fi
done
echo "$count headers, $flags"
[ "$count" -gt 0 ] || failed=1
exit $failed
