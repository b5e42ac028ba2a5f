#!/bin/sh
# A real file travels in frames through a Conveyor client and server, over TCP and over a local socket, and comes back:
#   sh samples/demo.sh [FILE]
# Without FILE it sends the C library that the sample itself runs on. BUILD_DIR chooses the build folder (build-demo).
# You will see both summaries side by side: bytes, frames, seconds, MB/s, and the frames' round-trip times.
set -u
wrong() {
    echo "demo.sh: $1: $2 (EINVAL); usage: demo.sh [FILE]" >&2
    exit 2
}
case ${1:-} in
--help)
    echo "demo.sh [FILE]"
    exit
    ;;
-*) wrong "$1" 'no such option' ;;
esac
[ $# -lt 2 ] || wrong "$2" 'one file is enough'
file=${1:-}
case $file in
'' | /*) ;;
*) file=$PWD/$file ;;
esac
[ -z "$file" ] || [ -f "$file" ] || {
    if [ -e "$file" ]; then rule='not a regular file (EINVAL)'; else rule='no such file or directory (ENOENT)'; fi
    echo "demo.sh: $file: $rule" >&2
    exit 1
}
cd "$(dirname "$0")/.." || exit 1
. tools/need.sh

build=${BUILD_DIR:-build-demo}
here=$(mktemp -d "${TMPDIR:-/tmp}/conveyor.XXXXXX") || exit 1
server=
# Nothing is left running, and nothing lying about, however this ends.
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    [ -z "$server" ] || wait "$server" 2>/dev/null
    server=
    rm -rf "$here"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "demo: $*" >&2
    exit 1
}

echo "1. What it needs: a C compiler, meson, ninja, pkg-config, libuv"
need_packages cc libc meson ninja pkg-config libuv || exit 1

echo "2. Building, optimised, in $build"
if ! {
    { [ -f "$build/build.ninja" ] || meson setup "$build" --buildtype=release -Dtests=disabled -Dbench=disabled; } &&
        meson compile -C "$build"
} >"$here/log" 2>&1; then
    cat "$here/log" >&2
    fail "the build failed"
fi

if [ -z "$file" ]; then
    file=$(ldd "$build/samples/send_file" 2>/dev/null | awk '/libc\.|musl/ { for (i = 1; i <= NF; i++) if ($i ~ /^\//) { print $i; exit } }')
    [ -f "$file" ] || file=$build/samples/send_file
fi

echo "3. Starting echo_server on TCP and on a local socket"
mkfifo "$here/ready"
"$build/samples/echo_server" --framing u32be --listen tcp://127.0.0.1:0 --listen "unix://$here/echo" >"$here/ready" 2>"$here/errors" &
server=$!
tcp=
local=
while read -r line; do
    echo "   $line"
    case $line in
    *tcp://*) tcp=${line##* } ;;
    *unix://*) local=${line##* } ;;
    esac
    [ -z "$tcp" ] || [ -z "$local" ] || break
done <"$here/ready"
[ -n "$local" ] || {
    cat "$here/errors" >&2
    fail "the server did not start"
}

echo "4. Sending $file ($(wc -c <"$file" | tr -d ' ') bytes) there and back, in frames"
for way in tcp local; do
    eval "to=\$$way"
    # shellcheck disable=SC2154 # by eval
    printf '   through %s\n' "$to"
    "$build/samples/send_file" --connect "$to" --framing u32be "$file" >"$here/$way" || {
        cat "$here/errors" >&2
        fail "not every byte came back through $to"
    }
done

echo "5. Every byte came back:"
echo
printf '   %-10s %12s %14s\n' '' TCP 'local socket'
awk '$NF ~ /^[0-9.]+$/ && !/%/ {
    value = $NF
    sub(/ +[^ ]+$/, "")
    if (FNR == NR) { name[++n] = $0; first[$0] = value } else second[$0] = value
}
END { for (i = 1; i <= n; i++) printf "   %-10s %12s %14s\n", name[i], first[name[i]], second[name[i]] }' "$here/tcp" "$here/local"
echo

kill -TERM "$server"
wait "$server" || fail "the server ended with status $?"
server=
