#!/bin/sh
# Which tests prove which contract: contracts.sh [ROOT] prints id, number of tests, and the tests. Fails when a contract of
# contracts.txt has no test, or a test names one that is not there.
#
# A test names a contract in a comment right above START_TEST and its kin or behind it, in test/peers above the function. A fuzzer and
# a script are one test each, and name what they prove in their opening comment.
cd "${1:-$(dirname "$0")/..}" || exit 1
awk '
function ids(text, test,    n, i, words, id) {
    gsub(/[^A-Za-z0-9_]+/, " ", text)
    n = split(text, words, " ")
    for (i = 1; i <= n; i++) {
        id = words[i]
        if (id !~ /^[RBECTLM][1-9][0-9]?[a-z]?$/ || id == "C11" || seen[id, test]++) continue # C11: the language
        if (!(id in promises)) {
            print test " names " id ", which contracts.txt does not have"
            bad = 1
            continue
        }
        names(id, test)
        if (id ~ /[a-z]$/) names(substr(id, 1, length(id) - 1), test)
    }
}
function names(id, test) {
    if (counted[id, test]++) return
    count[id]++
    list[id] = list[id] " " test
}
FNR == 1 {
    file = FILENAME
    sub(/.*\//, "", file)
    sub(/\.[a-z]+$/, "", file)
    comment = ""
    inside = 0
    opening = 1
    hashed = FILENAME ~ /\.(sh|py)$/
}
FILENAME ~ /contracts\.txt$/ {
    if ($0 !~ /^#/ && NF) {
        promises[$1] = 1
        order[++n_promises] = $1
    }
    next
}
# Scripts: lines that begin with #, or the doc string.
hashed && /^#/ { comment = comment " " $0; next }
hashed && /^"""/ { inside = !inside || /^""".*"""/; comment = comment " " $0; if (/^""".+"""/) inside = 0; next }
hashed && inside { comment = comment " " $0; next }
hashed {
    if (opening) ids(comment, file)
    else if ($1 == "def") {
        test = $2
        sub(/\(.*/, "", test)
        ids(comment, file "/" test)
    }
    opening = opening && !NF && comment == ""
    comment = ""
    next
}
# C: the comment that ends right above.
!inside && /^\/\*/ { comment = ""; inside = 1 }
inside {
    comment = comment " " $0
    if (/\*\//) {
        inside = 0
        if (opening && file ~ /^fuzz_/) ids(comment, file)
        if (opening) comment = ""
        opening = 0
    }
    next
}
/^START_[A-Z_]*\(/ {
    test = $0
    sub(/^START_[A-Z_]*\(/, "", test)
    behind = test
    sub(/[,)].*/, "", test)
    sub(/^[^,)]*/, "", behind)
    ids(comment " " behind, file "/" test)
}
{ comment = ""; opening = 0 }
END {
    for (i = 1; i <= n_promises; i++) {
        id = order[i]
        printf "%-5s%4d %s\n", id, count[id], list[id]
        if (!count[id]) {
            print id " has no test"
            bad = 1
        }
    }
    exit bad || !n_promises
}' test/contracts.txt test/test_*.c fuzz/fuzz_*.c test/*.sh test/peers/*.py
