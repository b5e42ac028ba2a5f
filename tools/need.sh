# Sourced: `. tools/need.sh; need_packages cc meson ninja libuv`. Installs by apt what is missing, as root or with sudo;
# on other systems it names the packages and returns 1.
# shellcheck shell=sh

# need_found THING: is it here already?
need_found() {
    case $1 in
    cc) command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null ;;
    libc) printf '#include <stdio.h>\n' | ${CC:-cc} -E - >/dev/null 2>&1 ;;
    cxx) command -v c++ >/dev/null || command -v g++ >/dev/null ;;
    ninja) command -v ninja >/dev/null || command -v ninja-build >/dev/null || command -v samu >/dev/null ;;
    pkg-config) command -v pkg-config >/dev/null || command -v pkgconf >/dev/null ;;
    libuv) pkg-config --exists libuv 2>/dev/null ;;
    check) pkg-config --exists check 2>/dev/null ;;
    libevent) pkg-config --exists libevent 2>/dev/null ;;
    asio) printf '#include <asio.hpp>\n' | c++ -DASIO_STANDALONE -E -x c++ - >/dev/null 2>&1 ;;
    netty) [ -e /usr/share/java/netty-codec.jar ] ;;
    jemalloc) pkg-config --exists jemalloc 2>/dev/null ;;
    redis) command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null ;;
    libfuzzer) echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }' |
        clang -fsanitize=fuzzer -x c - -o /dev/null >/dev/null 2>&1 ;;
    mingw) command -v x86_64-w64-mingw32-gcc >/dev/null ;;
    wine) [ -x /usr/lib/wine/wine64 ] ;;
    dpkg-dev) command -v dpkg-source >/dev/null ;;
    *) command -v "$1" >/dev/null ;; # the thing is a command: meson, clang, valgrind, cmake ...
    esac
}

# need_name MANAGER THING: what the package is called there.
need_name() {
    case $1:$2 in
    apt:cc) echo gcc ;;
    apt:libc) echo libc6-dev ;;
    apt:cxx) echo g++ ;;
    apt:ninja | dnf:ninja) echo ninja-build ;;
    apt:libuv) echo libuv1-dev ;;
    apt:jemalloc) echo libjemalloc-dev ;;
    apt:redis) echo redis-tools ;;
    apt:libevent) echo libevent-dev ;;
    apt:asio) echo libasio-dev ;;
    apt:javac) echo openjdk-17-jdk-headless ;;
    apt:netty) echo libnetty-java ;;
    apt:taskset) echo util-linux ;;
    apt:libfuzzer) echo libclang-rt-dev ;;
    apt:mingw) echo gcc-mingw-w64-x86-64-win32 ;;
    apt:wine) echo wine64 ;;
    dnf:cc | dnf:libc) echo gcc ;;
    dnf:cxx) echo gcc-c++ ;;
    dnf:pkg-config) echo pkgconf-pkg-config ;;
    dnf:libuv) echo libuv-devel ;;
    dnf:check) echo check-devel ;;
    dnf:jemalloc) echo jemalloc-devel ;;
    pacman:cc | pacman:cxx | pacman:libc) echo base-devel ;;
    pacman:pkg-config | pkg:pkg-config) echo pkgconf ;;
    pkg:cc | pkg:cxx | pkg:libc) echo llvm ;;
    brew:cc | brew:cxx | brew:libc) echo llvm ;;
    *) echo "$2" ;;
    esac
}

need_apt() {
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing packages; as root: apt-get install $*" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "Installing: $*" >&2
    need_install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=600 install --no-install-recommends"
    need_log=$(mktemp) || return 1
    # The lists may be absent or old: only then are they fetched.
    if $need_install "$@" >"$need_log" 2>&1 </dev/null ||
        { $as_root apt-get -q -o DPkg::Lock::Timeout=600 update >>"$need_log" 2>&1 </dev/null
            $need_install "$@" >>"$need_log" 2>&1 </dev/null; }; then
        rm -f "$need_log"
        return 0
    fi
    cat "$need_log" >&2
    rm -f "$need_log"
    return 1
}

need_packages() {
    need_things=
    for need_thing in "$@"; do
        need_found "$need_thing" || need_things="$need_things $need_thing"
    done
    [ -z "$need_things" ] && return 0
    need_manager=
    for need_thing in apt-get dnf pacman brew pkg; do
        if command -v $need_thing >/dev/null; then
            need_manager=${need_thing%-get}
            break
        fi
    done
    need_names=
    for need_thing in $need_things; do
        need_names="$need_names $(need_name "${need_manager:-apt}" "$need_thing")"
    done
    # shellcheck disable=SC2086 # one word per package
    case $need_manager in
    apt)
        need_apt $need_names || return 1
        for need_thing in $need_things; do
            need_found "$need_thing" || { echo "Still missing after the installation: $need_thing" >&2; return 1; }
        done
        return 0
        ;;
    dnf) echo "Missing packages; run: dnf install$need_names" >&2 ;;
    pacman) echo "Missing packages; run: pacman -S$need_names" >&2 ;;
    brew) echo "Missing packages; run: brew install$need_names" >&2 ;;
    pkg) echo "Missing packages; run: pkg install$need_names" >&2 ;;
    *) echo "Missing, please install:$need_things" >&2 ;;
    esac
    return 1
}
