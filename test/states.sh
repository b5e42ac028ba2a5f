#!/bin/sh
# T1, L1: the pictures of the state machines in the headers against the tables in lib/: states.sh [ROOT].
# Below each picture stand its edges, `3  paused -> eof  cause`: the lines of the table, no more and no less, with the same causes. The
# picture has each edge's number once and each state's name; a cause that is a call is a public one.
cd "${1:-$(dirname "$0")/..}" || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

# from_header FILE PREFIX: the comment above `typedef enum cvy_<prefix>_state`; edges to $dir/drawn, the picture to $dir/picture.
from_header() {
    awk -v enum="typedef enum cvy_$2_state {" -v drawn="$dir/drawn" -v picture="$dir/picture" '
        /^\/\*\*/ { n = 0 }
        { lines[n++] = $0 }
        $0 == enum {
            for (i = 0; i < n; i++) {
                line = lines[i]
                if (line !~ /^ \*     / ) continue
                if (split(line, word, " ") >= 6 && word[2] ~ /^[0-9]+$/ && word[4] == "->") {
                    cause = line
                    sub(/^.*-> +[a-z]+ +/, "", cause)
                    print word[3] " -> " word[5] ": " cause >drawn
                    print word[2] >(drawn ".numbers")
                } else {
                    print line >picture
                }
            }
        }' "$1"
}

# from_table FILE PREFIX: the same lines, from { CVY_READ_PAUSED, CVY_READ_READING, "cause" }
from_table() {
    prefix=CVY_$(echo "$2" | tr '[:lower:]' '[:upper:]')_
    tr '\n' ' ' <"$1" | tr '{}' '[\n*]' | sed -nE "s/^ *$prefix([A-Z]+), +$prefix([A-Z]+), +\"([^\"]*)\" *\$/\\1 -> \\2: \\3/p" |
        awk '{ $1 = tolower($1); $3 = tolower($3); print }'
}

compare() {
    name=$1 header=include/conveyor/$2 table=lib/$3
    rm -f "$dir"/*
    touch "$dir/drawn" "$dir/drawn.numbers" "$dir/picture"
    from_header "$header" "$name"
    from_table "$table" "$name" | sort >"$dir/table"
    sort "$dir/drawn" >"$dir/list"
    if [ ! -s "$dir/table" ] || ! diff "$dir/table" "$dir/list"; then
        echo "$name: < is in $table, > below the picture in $header"
        failed=1
    fi
    tr -c '0-9' '\n' <"$dir/picture" | grep . | sort >"$dir/numbers"
    if ! sort "$dir/drawn.numbers" | diff - "$dir/numbers"; then
        echo "$name: < has a line, > is in the picture of $header"
        failed=1
    fi
    tr -c '[:lower:]' '\n' <"$dir/picture" | grep .. | sort -u >"$dir/states"
    if ! awk '{ sub(/:.*/, ""); print $1; print $3 }' "$dir/drawn" | sort -u | diff - "$dir/states"; then
        echo "$name: < has a line, > is in the picture of $header"
        failed=1
    fi
    grep -oE 'cvy_[a-z_]+' "$dir/drawn" | sort -u >"$dir/calls"
    while read -r call; do
        grep -qE "CVY_EXPORT .*[ *]$call\(" include/conveyor/*.h || { echo "$name: $call is no public call"; failed=1; }
    done <"$dir/calls"
    echo "$name: $(wc -l <"$dir/table") edges"
}

compare read state.h transport/state.c
compare write state.h transport/state.c
compare listener listener.h endpoint/listener_state.c
exit $failed
