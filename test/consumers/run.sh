#!/usr/bin/env bash
# What users do with Conveyor, from a clean clone of this repository: run.sh FOLDER [subproject|installed|cmake|readme|copies|dist]...
# Every program that is built runs, and exchanges bytes with itself. What is not committed is not in the clone.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" && dir=$(cd "$1" && pwd)
shift
off='-Dtests=disabled -Dsamples=disabled -Dbench=disabled'

# fresh NAME CONSUMER: a folder for that consumer, with the programs in it
fresh() {
    rm -rf "${dir:?}/$1"
    cp -R "$root/test/consumers/$2" "$dir/$1"
    cp -R "$root/test/consumers/programs" "$dir/$1/programs"
}

# exchange FOLDER PROGRAM...: runs them; each says what it heard. Only the one named for it loads jemalloc.
exchange() {
    local folder=$1 program said
    shift
    for program; do
        said=$(timeout 300 "$folder/$program") || { echo "$folder/$program: $said ($?)"; return 1; }
        case $said in
        *"heard hello"*) echo "$folder/$program: $said" ;;
        *) echo "$folder/$program heard nothing: $said"; return 1 ;;
        esac
        case $program:$(ldd "$folder/$program") in
        *_jemalloc:*jemalloc*) ;;
        *_jemalloc:*) echo "$program comes without jemalloc"; return 1 ;;
        *:*libjemalloc*) echo "$program did not ask for jemalloc, and has it"; return 1 ;;
        esac
    done
}

# option BUILD NAME: what meson says of it
option() {
    meson introspect "$1" --buildoptions | python3 -c 'import json, sys
print([o["value"] for o in json.load(sys.stdin) if o["name"] == sys.argv[1]][0])' "$2"
}

# The consumer says gnu17, plain and static, and gets that for itself; Conveyor's c_std stays its own, and its tests and samples stay out.
one_subproject() {
    local kind=$1 at=$dir/subproject-$1 programs=(own attached own_cpp)
    shift
    fresh "subproject-$kind" subproject
    mkdir "$at/subprojects"
    ln -s "$dir/clone" "$at/subprojects/conveyor"
    meson setup "$at/build" "$at" -Dwerror=true "$@"
    meson compile -C "$at/build"
    [ "$(option "$at/build" c_std)" = gnu17 ]
    [ "$(option "$at/build" conveyor:c_std)" = gnu11 ]
    for extra in test samples bench; do
        [ ! -e "$at/build/subprojects/conveyor/$extra" ] || { echo "a subproject builds its $extra"; return 1; }
    done
    [ ! -e "$at/build/own_jemalloc" ] || programs+=(own_jemalloc)
    exchange "$at/build" "${programs[@]}"
}

subproject() {
    one_subproject static
    [ -e "$dir/subproject-static/build/subprojects/conveyor/libconveyor.a" ]
    one_subproject shared -Dconveyor:default_library=shared -Dwith_jemalloc=true -Dconveyor:jemalloc=enabled
    [ -e "$dir/subproject-shared/build/subprojects/conveyor/libconveyor.so" ]
}

# install KIND: into $dir/KIND, once; pkg-config finds it there, as if it stood in its place
install() {
    local at=$dir/$1
    if [ ! -e "$at/usr" ]; then
        # shellcheck disable=SC2086 # several options
        meson setup "$dir/build-$1" "$dir/clone" --prefix=/usr --libdir=lib -Ddefault_library="$1" --buildtype=release -Djemalloc=enabled $off
        meson install -C "$dir/build-$1" --destdir "$at"
        [ ! -e "$at/usr/lib/libconveyor_objects.a" ]
        [ -e "$at/usr/include/conveyor/version.h" ] && [ ! -e "$at/usr/include/conveyor/version.h.in" ]
        sed -i "s|^prefix=.*|prefix=$at/usr|" "$at"/usr/lib/pkgconfig/*.pc
    fi
    export PKG_CONFIG_PATH=$at/usr/lib/pkgconfig LD_LIBRARY_PATH=$at/usr/lib
}

installed() {
    local kind
    for kind in shared static; do
        install "$kind"
        fresh "installed-$kind" installed
        meson setup "$dir/installed-$kind/build" "$dir/installed-$kind" -Dwerror=true
        meson compile -C "$dir/installed-$kind/build"
        exchange "$dir/installed-$kind/build" own attached own_cpp own_jemalloc
    done
}

cmake_() {
    local kind
    for kind in shared static; do
        install "$kind"
        fresh "cmake-$kind" cmake
        cmake -S "$dir/cmake-$kind" -B "$dir/cmake-$kind/build"
        cmake --build "$dir/cmake-$kind/build"
        exchange "$dir/cmake-$kind/build" own attached own_cpp
    done
}

# The README's program, as it says; it serves on port 7000, gets one frame, and is ended.
readme() {
    local kind flags server try answer=
    awk '/^```c$/ { block = ""; inside = 1; next } /^```$/ { if (inside && block ~ /int main\(/) { printf "%s", block; exit } inside = 0 }
        inside { block = block $0 "\n" }' "$root/README.md" >"$dir/readme.c"
    grep -q 'int main' "$dir/readme.c" || { echo "no program in README.md"; return 1; }
    for kind in shared static; do
        install "$kind"
        flags="--cflags --libs"
        [ "$kind" = shared ] || flags="--static $flags"
        # shellcheck disable=SC2046,SC2086 # several flags
        ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror "$dir/readme.c" -o "$dir/readme-$kind" $(pkg-config $flags conveyor)
        "$dir/readme-$kind" &
        server=$! answer=
        for try in {1..600}; do # a minute: a slow machine starts late
            answer=$( (exec 3<>/dev/tcp/127.0.0.1/7000 && printf '\0\0\0\5hello' >&3 && timeout 60 head -c 9 <&3 | tail -c 5) 2>/dev/null) || true # not up yet
            [ -z "$answer" ] || break
            sleep 0.1
        done
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null || true
        [ "$answer" = hello ] || { echo "no echo from the README's program: '$answer' after $try tries"; return 1; }
    done
}

# The program has the shared library; the plugin has a static copy of its own.
copies() {
    local flags from=$root/test/consumers
    rm -rf "$dir/copies" && mkdir "$dir/copies"
    install static
    flags=$(pkg-config --static --cflags --libs conveyor)
    # shellcheck disable=SC2086 # several flags
    ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden -I"$from/programs" "$from/two_copies/plugin.c" \
        "$from/two_copies/copy.c" "$from/programs/exchange.c" -o "$dir/copies/plugin.so" $flags
    install shared
    flags=$(pkg-config --cflags --libs conveyor)
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -I"$from/programs" "$from/two_copies/host.c" "$from/two_copies/copy.c" \
        "$from/programs/exchange.c" -o "$dir/copies/host" $flags -ldl
    timeout 300 "$dir/copies/host" "$dir/copies/plugin.so"
}

# A tarball builds, and its tests run: one of them.
dist() {
    local tarball at
    # shellcheck disable=SC2086
    meson setup "$dir/build-dist" "$dir/clone" $off -Djemalloc=disabled
    meson dist -C "$dir/build-dist" --no-tests --formats gztar
    tarball=$(echo "$dir"/build-dist/meson-dist/conveyor-*.tar.gz)
    rm -rf "$dir/dist" && mkdir "$dir/dist" && tar xzf "$tarball" -C "$dir/dist"
    at=$(echo "$dir"/dist/conveyor-*/)
    meson setup "$dir/dist/build" "$at" -Dtests=enabled -Dsamples=disabled -Dbench=disabled -Djemalloc=disabled
    meson compile -C "$dir/dist/build" test_conformance_dial conveyor:shared_library
    meson test -C "$dir/dist/build" --no-rebuild conformance_dial
}

rm -rf "$dir/clone" "$dir"/build-* "$dir/shared" "$dir/static"
git clone -q "$root" "$dir/clone"
[ $# -gt 0 ] || set -- subproject installed cmake readme copies dist
for part; do
    echo "-- $part"
    case $part in
    cmake) cmake_ ;;
    subproject | installed | readme | copies | dist) "$part" ;;
    *) echo "There is no $part"; exit 2 ;;
    esac
done
