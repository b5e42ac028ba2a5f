#!/bin/sh
# Cross-builds for Windows on Debian and runs the tests under wine (64 bit):
#   sh tools/windows.sh setup                    the tools, and libuv and check for Windows, into the cache (once)
#   sh tools/windows.sh build [BUILD_DIR]        configures and compiles into BUILD_DIR (build-windows)
#   sh tools/windows.sh test [BUILD_DIR [TEST]...]     ... and runs all tests or those named
#   sh tools/windows.sh run BUILD_DIR EXE [ARG]...     one program under wine
#   sh tools/windows.sh exports [BUILD_DIR]      makes a DLL, and compares what it exports with the headers
# The cache is $XDG_CACHE_HOME/conveyor-ci. Every BUILD_DIR has a wine prefix of its own, ended with the run.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/conveyor-ci
win=$cache/windows
wine=/usr/lib/wine/wine64
wineserver=/usr/lib/wine/wineserver64

die() {
    echo "windows: $*" >&2
    exit 1
}

setup() {
    [ -f "$win/done" ] && [ -x $wine ] && command -v x86_64-w64-mingw32-gcc >/dev/null && return
    . "$root/tools/need.sh"
    . "$root/tools/sources.sh"
    need_packages meson ninja pkg-config cmake mingw wine dpkg-dev || exit 1
    get_sources "$cache/src" "" libuv1 check || exit 1
    uv=$(echo "$cache"/src/libuv1-*/) check=$(echo "$cache"/src/check-*/)
    rm -rf "$win"
    mkdir -p "$win/prefix/lib/pkgconfig" "$win/prefix/include" || exit 1
    cat >"$win/toolchain.cmake" <<EOF
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
EOF
    {
        cmake -S "$uv" -B "$win/uv" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$win/toolchain.cmake" \
            -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF -DCMAKE_C_FLAGS=-w && ninja -C "$win/uv" uv_a &&
            cmake -S "$check" -B "$win/check" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$win/toolchain.cmake" \
                -DCMAKE_BUILD_TYPE=RelWithDebInfo "-DCMAKE_C_FLAGS=-D__USE_MINGW_ANSI_STDIO=1 -w" -DCHECK_ENABLE_SUBUNIT=OFF \
                -DCHECK_ENABLE_TESTS=OFF -DBUILD_TESTING=OFF -DINSTALL_CHECKMK=OFF && ninja -C "$win/check" check &&
            cp "$win/uv/libuv_a.a" "$win/prefix/lib/libuv.a" && cp -R "$uv/include/." "$win/prefix/include/" &&
            cp "$win/check/src/libcheck.a" "$win/prefix/lib/" && cp "$win/check/src/check.h" "$win/prefix/include/" &&
            { cp "$win/check/check_stdint.h" "$win/prefix/include/" 2>/dev/null || cp "$win/check/src/check_stdint.h" "$win/prefix/include/" || true; }
    } >"$win/log" 2>&1 </dev/null || {
        tail -40 "$win/log" >&2
        die "libuv or check does not build"
    }
    cat >"$win/prefix/lib/pkgconfig/libuv.pc" <<EOF
prefix=$win/prefix
Name: libuv
Description: libuv, static, for Windows
Version: $(sed -n 's/^AC_INIT(\[libuv\], \[\([0-9.]*\)\].*/\1/p' "$uv/configure.ac")
Libs: -L\${prefix}/lib -luv -lpsapi -luser32 -ladvapi32 -liphlpapi -luserenv -lws2_32
Cflags: -I\${prefix}/include
EOF
    cat >"$win/prefix/lib/pkgconfig/check.pc" <<EOF
prefix=$win/prefix
Name: check
Description: check, static, for Windows
Version: $(basename "$check" | sed 's/check-//')
Libs: -L\${prefix}/lib -lcheck -lpthread
Cflags: -I\${prefix}/include
EOF
    cat >"$win/cross.ini" <<EOF
[binaries]
c = 'x86_64-w64-mingw32-gcc'
ar = 'x86_64-w64-mingw32-ar'
strip = 'x86_64-w64-mingw32-strip'
windres = 'x86_64-w64-mingw32-windres'
pkgconfig = 'pkg-config'
exe_wrapper = '$wine'
[properties]
pkg_config_libdir = '$win/prefix/lib/pkgconfig'
[built-in options]
c_link_args = ['-static']
default_library = 'static'
[host_machine]
system = 'windows'
cpu_family = 'x86_64'
cpu = 'x86_64'
endian = 'little'
EOF
    touch "$win/done"
}

build() {
    setup
    [ -f "$build/build.ninja" ] || meson setup "$build" "$root" --cross-file "$win/cross.ini" -Dtests=enabled -Dbench=disabled \
        -Djemalloc=disabled -Dwerror="${WERROR:-false}" || exit 1
    meson compile -C "$build" || exit 1
}

exports() {
    setup
    [ -f "$build/build.ninja" ] || meson setup "$build" "$root" --cross-file "$win/cross.ini" -Ddefault_library=shared -Dtests=disabled \
        -Dsamples=disabled -Dbench=disabled -Djemalloc=disabled -Dwerror="${WERROR:-false}" || exit 1
    meson compile -C "$build" || exit 1
    sh "$root/test/exports.sh" x86_64-w64-mingw32-objdump "$(echo "$build"/libconveyor-*.dll)" conveyor "$root/include" \
        x86_64-w64-mingw32-gcc -I"$build/include"
}

# The redirections matter: wine's services would otherwise hold the first test's output open for ever.
start_wine() {
    WINEPREFIX=$(cd "$build" && pwd)/wine
    export WINEPREFIX WINEDEBUG=-all WINEDLLOVERRIDES='mscoree=;mshtml=;winedbg.exe='
    fresh=
    [ -d "$WINEPREFIX" ] || fresh=1
    mkdir -p "$WINEPREFIX"
    (setsid $wineserver -p </dev/null >/dev/null 2>&1)
    trap '$wineserver -k >/dev/null 2>&1' EXIT
    trap 'exit 130' INT TERM
    [ -z "$fresh" ] || $wine wineboot -i </dev/null >/dev/null 2>&1
    $wine winecfg -v win10 </dev/null >/dev/null 2>&1 # the first program starts the services
}

command=${1:-test}
[ $# -eq 0 ] || shift
build=${1:-build-windows}
[ $# -eq 0 ] || shift
case $command in
setup) setup ;;
build) build ;;
exports) exports ;;
test)
    build
    start_wine
    rm -f "$build"/meson-logs/testlog*.txt
    meson test -C "$build" --no-rebuild --print-errorlogs --timeout-multiplier 2 "$@" </dev/null
    exit $?
    ;;
run)
    start_wine
    $wine "$@"
    exit $?
    ;;
*) die "what is $command? setup, build, test, run or exports" ;;
esac
