#!/bin/sh
# The newest libuv of Debian's source packages, for this machine: libuv.sh
# Builds it into the cache, $XDG_CACHE_HOME/conveyor-ci, where it stays for thirty days, and prints where its pkg-config file is:
#   PKG_CONFIG_PATH=$(sh tools/libuv.sh) meson setup build-newest
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
newest=${XDG_CACHE_HOME:-$HOME/.cache}/conveyor-ci/newest
. "$root/tools/need.sh"
. "$root/tools/sources.sh"

[ -z "$(find "$newest/done" -mtime +30 2>/dev/null)" ] || rm -rf "$newest"
if [ ! -f "$newest/done" ]; then
    need_packages cc libc cmake ninja dpkg-dev >&2 || exit 1
    get_sources "$newest/src" "stable testing unstable" libuv1 >&2 || exit 1
    {
        cmake -S "$(echo "$newest"/src/libuv1-*/)" -B "$newest/build" -G Ninja -DCMAKE_INSTALL_PREFIX="$newest/prefix" \
            -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF -DLIBUV_BUILD_SHARED=ON &&
            ninja -C "$newest/build" install
    } >"$newest/log" 2>&1 </dev/null || {
        tail -40 "$newest/log" >&2
        exit 1
    }
    touch "$newest/done"
fi
echo "$newest/prefix/lib/pkgconfig"
