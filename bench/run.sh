#!/bin/sh
# Builds an optimised library and what it is compared with, and measures: sh bench/run.sh [echo|inproc|scale|all] [option of the bench]...
#
#   echo    (the default) echo servers on sockets against each other: throughput, processor time, latency, calls to malloc, peak memory, and
#           memory per idle connection                                                    echo.py, echo/, picture.py
#   inproc  buffers and stages in one process, beside their peers' and plain C's          inproc.py, inproc/
#   scale   loops, connections, timers, posts and fairness, against fixed targets         scale.py, scale/
#
# Each prints tables and writes build-bench/NAME.json; echo draws build-bench/echo.svg. The figures of the README:
# sh bench/run.sh all --runs 2. For the echo bench alone `--contenders netty,conveyor --scenarios deep` measures less; see --help.
# On Linux, with two processors; it installs what the peers need where it can. bench_*.c are magnifying glasses: run by hand, one call each.
set -u
cd "$(dirname "$0")/.." || exit 1
. tools/need.sh

build="build-bench"
bench="echo"
case ${1:-} in
echo | inproc | scale | all) bench=$1; shift ;;
-* | "") ;;
*) echo "usage: sh bench/run.sh [echo|inproc|scale|all] [option]..." >&2; exit 2 ;;
esac

need_packages cc cxx meson ninja pkg-config libuv libevent asio python3 taskset || exit 1
# Netty is large, and the rest can be measured without it: it is installed where it is wanted.
case "$bench $*" in
scale*) ;;
*--contenders*netty*) need_packages javac netty || exit 1 ;;
*--contenders*) ;;
*) need_packages javac netty || echo "Netty is left out" >&2 ;;
esac
[ -f $build/build.ninja ] || meson setup $build --buildtype=release -Db_ndebug=true -Dbench=enabled -Dtests=disabled -Dsamples=disabled || exit 1
meson compile -C $build >&2 || exit 1

[ "$bench" != all ] || bench="echo inproc scale"
for bench in $bench; do
    picture=
    [ "$bench" != echo ] || picture="--svg $build/echo.svg"
    # shellcheck disable=SC2086 # an option and its value
    python3 "bench/$bench.py" $build --json "$build/$bench.json" $picture "$@" || exit 1
done
