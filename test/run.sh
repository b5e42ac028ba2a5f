#!/bin/sh
# Builds the project and runs its tests: sh test/run.sh [meson options, such as -Dwerror=true]
# Installs what is missing where it can. BUILD_DIR chooses the build folder (build).
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/need.sh
need_packages cc libc meson ninja pkg-config libuv check redis || exit 1

build=${BUILD_DIR:-build}
if [ -f "$build/build.ninja" ]; then
    meson setup --reconfigure "$build" "$@" >"$build/setup.log" 2>&1 || { cat "$build/setup.log"; exit 1; }
else
    rm -rf "$build/meson-private" # of a setup that broke off
    meson setup "$build" -Dtests=enabled "$@" || exit 1
fi
meson compile -C "$build" || exit 1
rm -f "$build"/meson-logs/testlog*.txt
meson test -C "$build" --no-rebuild --print-errorlogs
failed=$?
sh tools/conformance.sh "$build/meson-logs/testlog.txt"
if [ -n "${TOTALS_FILE:-}" ]; then
    sh tools/totals.sh "$build/meson-logs/testlog.txt" >"$TOTALS_FILE" || failed=1
else
    sh tools/totals.sh "$build/meson-logs/testlog.txt" || failed=1
fi
exit $failed
