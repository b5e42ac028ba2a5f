#!/bin/sh
# Adds up the lines that check printed into meson's test logs: totals.sh build/meson-logs/testlog.txt...
# Prints one line in check's format; fails when anything failed or nothing ran.
cat -- "$@" | tr -d '\r' | awk '
    /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ { checks += $3; failures += $5; errors += $7 }
    END {
        bad = failures + errors
        printf "%d%%: Checks: %d, Failures: %d, Errors: %d\n",
            checks ? int((checks - bad) * 100 / checks) : 0, checks, failures, errors
        exit checks == 0 || bad > 0
    }'
