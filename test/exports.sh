#!/bin/sh
# What a library exports is what its headers declare with CVY_EXPORT, no more and no less:
#   exports.sh TOOL LIBRARY conveyor|jemalloc INCLUDE_DIR COMPILER...
# TOOL is nm for a shared object of ELF, objdump for a DLL. jemalloc.h is that library's own header; all others are conveyor's.
set -u
tool=$1 library=$2 which=$3 include=$4
shift 4
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
[ -f "$library" ] || { echo "no $library"; exit 1; }

# declared COMPILER... <HEADERS: the names that they mark, by what the preprocessor makes of them: some macros declare, too.
declared() {
    sed 's|.*/|#include <conveyor/|; s|$|>|' >"$dir/all.c"
    printf '#include <conveyor/base.h>\n#undef CVY_EXPORT\n#undef CVY_EXPORT_DATA\n#define CVY_EXPORT EXPORTED\n#define CVY_EXPORT_DATA EXPORTED\n' |
        cat - "$dir/all.c" >"$dir/marked.c"
    "$@" -I "$include" -E -P "$dir/marked.c" | tr '\n' ' ' | tr ';' '\n' | sed -n \
        -e 's/.*EXPORTED [^(]*[ *]\([a-z][a-z0-9_]*\) *(.*/\1/p' -e t \
        -e 's/.*EXPORTED extern [^()]*[ *]\([a-z][a-z0-9_]*\) *$/\1/p' | sort
}

find "$include/conveyor" -name '*.h' ! -name jemalloc.h | declared "$@" >"$dir/declared"
# base.h is read before the mark stands: what it declares is told apart by its own.
sed -n 's/^CVY_EXPORT [^(]*[ *]\([a-z][a-z0-9_]*\)(.*/\1/p' "$include/conveyor/base.h" | sort -m - "$dir/declared" >"$dir/conveyor"
if [ "$which" = jemalloc ]; then
    echo "$include/conveyor/jemalloc.h" | declared "$@" | comm -23 - "$dir/conveyor" >"$dir/wanted"
else
    mv "$dir/conveyor" "$dir/wanted"
fi
case $tool in
*objdump*) "$tool" -p "$library" | tr -d '\r' | awk '/Ordinal\/Name Pointer/ { names = 1; next } !/^[[:space:]]*\[/ { names = 0 } names { print $NF }' ;;
*) "$tool" -D --defined-only "$library" | awk '{ print $NF }' ;;
esac | sort >"$dir/exported"
uniq -d "$dir/wanted" >"$dir/twice"
comm -23 "$dir/wanted" "$dir/exported" >"$dir/hidden"
comm -13 "$dir/wanted" "$dir/exported" >"$dir/stray"
echo "$(wc -l <"$dir/wanted") declared, $(wc -l <"$dir/exported") exported"
failed=0
[ -s "$dir/wanted" ] || { echo "nothing is declared"; failed=1; }
[ ! -s "$dir/twice" ] || { echo "Declared twice:"; cat "$dir/twice"; failed=1; }
[ ! -s "$dir/hidden" ] || { echo "Declared with CVY_EXPORT and not exported:"; cat "$dir/hidden"; failed=1; }
[ ! -s "$dir/stray" ] || { echo "Exported, and in no public header:"; cat "$dir/stray"; failed=1; }
exit $failed
