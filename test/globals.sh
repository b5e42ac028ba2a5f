#!/bin/sh
# M7: the library's writable variables are those of globals.txt: globals.sh OBJDUMP LIBRARY [ROOT]. ELF only.
# Writable are .data, .bss and what each thread has of its own; .data.rel.ro is constant once its addresses are filled in.
objdump=$1
library=$(cd "$(dirname "$2")" && pwd)/${2##*/} || exit 1
cd "${3:-$(dirname "$0")/..}" || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
"$objdump" -t "$library" | awk '
    /file format/ { object = $1; sub(/:.*/, "", object); sub(/\.c\.o$/, "", object); sub(/^.*lib_/, "", object) }
    # address, flags, section, size, name; sections have symbols of size 0 and their own name
    {
        for (i = 2; i < NF - 1; i++) {
            if ($i !~ /^\.(data|bss|tdata|tbss)(\..*)?$/ || $i ~ /^\.data\.rel\.ro/ || $NF ~ /^\./) continue
            name = $NF
            sub(/\.[0-9]+$/, "", name) # a static inside a function: gcc numbers it, clang puts the function in front
            sub(/^.*\./, "", name)
            print object, name
        }
        if (/\*COM\*/) print object, $NF
    }' | sort -u >"$dir/found"
grep -v '^#' test/globals.txt | awk '{ print $1, $2 }' | sort >"$dir/listed"
# Only a debug build has all of them, so what is listed and not found is looked for in the sources.
comm -23 "$dir/found" "$dir/listed" >"$dir/new"
while read -r object name; do
    file=lib/$(echo "$object" | sed 's/_/\//').c
    grep -q "\b$name\b" "$file" || echo "$object $name" >>"$dir/gone"
done <"$dir/listed"
[ -s "$dir/found" ] || { echo "no symbols in $library"; exit 1; }
[ ! -s "$dir/new" ] || { echo 'Writable, and not in test/globals.txt:'; cat "$dir/new"; exit 1; }
[ ! -s "$dir/gone" ] || { echo 'In test/globals.txt, and not in the library:'; cat "$dir/gone"; exit 1; }
