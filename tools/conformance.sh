#!/bin/sh
# The conformance suite side by side: conformance.sh [TITLE=]LOG..., a column for each of meson's test logs.
# Reads what test/conform.c printed there. A row per kind, of how many cases passed, were skipped and failed:
#   conformance        libuv 1.44.2       Windows, wine
#   tcp                34    5    0       33    6    0
# Below them why cases are skipped, and how many for each reason; "+2": two more in some variants only.
# Fails where a case failed, where a log has none, or where a skipped one has no reason.
set -u
[ $# -gt 0 ] || { echo "conformance.sh [TITLE=]LOG..." >&2; exit 2; }
for column; do
    case $column in
    *=*) printf '#column %s\n' "${column%%=*}"; tr -d '\r' <"${column#*=}" ;;
    *) printf '#column\n'; tr -d '\r' <"$column" ;;
    esac
done | awk '
    function kind_of(text) { return substr(text, 1, length(text) - 1) }
    function row(name, values, i, line) {
        line = sprintf("%-14s", name)
        for (i = 1; i <= columns; i++) line = line sprintf("  %-18s", values[i])
        sub(/ +$/, "", line)
        print line
    }
    /^#column/ { title[++columns] = substr($0, 9); next }
    /^conformance [^ ]+ [^ ]+: skipped [^ ]+( in part)?: / {
        kind = kind_of($3)
        part = / in part: /
        why = $0
        sub(/^.*: skipped [^ ]+( in part)?: /, "", why)
        if (!((kind, why) in known)) { known[kind, why] = 1; reason_kind[++reasons] = kind; reason[reasons] = why }
        if (part) in_part[kind, why, columns]++
        else { whole[kind, why, columns]++; told[columns]++ }
        next
    }
    /^conformance [^ ]+ [^ ]+: [0-9]+ passed, [0-9]+ skipped, [0-9]+ failed; with variants / {
        kind = kind_of($3)
        if (!(kind in seen)) { seen[kind] = 1; order[++kinds] = kind }
        passed[kind, columns] += $4; skipped[kind, columns] += $6; failed[kind, columns] += $8
        all_passed[columns] += $4; all_skipped[columns] += $6; all_failed[columns] += $8
        runs[columns] += $12 + $14
    }
    END {
        if (columns > 1 || title[1] != "") row("conformance", title)
        for (i = 1; i <= columns; i++) cells[i] = "pass skip fail"
        row(columns == 1 && title[1] == "" ? "conformance" : "", cells)
        for (k = 1; k <= kinds; k++) {
            for (i = 1; i <= columns; i++)
                cells[i] = sprintf("%4d %4d %4d", passed[order[k], i], skipped[order[k], i], failed[order[k], i])
            row(order[k], cells)
        }
        for (i = 1; i <= columns; i++) cells[i] = sprintf("%4d %4d %4d", all_passed[i], all_skipped[i], all_failed[i])
        row("all", cells)
        for (i = 1; i <= columns; i++) cells[i] = sprintf("%d runs", runs[i])
        row("in variants", cells)
        print ""
        print "skipped, and why:"
        for (k = 1; k <= kinds; k++)
            for (r = 1; r <= reasons; r++) {
                if (reason_kind[r] != order[k]) continue
                for (i = 1; i <= columns; i++) {
                    n = whole[order[k], reason[r], i] + 0
                    more = in_part[order[k], reason[r], i]
                    cells[i] = sprintf("%4s%s", n || !more ? n : "", more ? "+" more : "")
                    if (cells[i] == "   0") cells[i] = "   -"
                }
                line = sprintf("%-14s", order[k])
                for (i = 1; i <= columns; i++) line = line sprintf(columns > 1 ? " %-8s" : " %-5s", cells[i])
                print line " " reason[r]
            }
        for (i = 1; i <= columns; i++) {
            name = title[i] == "" ? "the log" : title[i]
            if (!runs[i]) { print "no conformance case ran: " name; bad = 1 }
            if (all_failed[i]) { print all_failed[i] " cases failed: " name; bad = 1 }
            if (all_skipped[i] != told[i]) { printf "%d cases are skipped, %d with a reason: %s\n", all_skipped[i], told[i], name; bad = 1 }
        }
        exit bad
    }'
