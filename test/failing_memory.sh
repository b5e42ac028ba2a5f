#!/bin/sh
# Nothing that may lack memory is forgotten: every stock stage stands in the table of test_failing_memory_stages.c, and every call whose
# declaration lists UV_ENOMEM is made by test_failing_memory*.c or by what they build on (net.c, wire.c, recorder.c). A buffer's
# calls are test_buf_model.c's.
cd "${1:-.}" || exit 1
failed=0
stages=$(sed -nE 's/.*extern const cvy_stage_t (cvy_[a-z_]+);/\1/p' include/conveyor/*.h)
[ -n "$stages" ] || exit 1
for stage in $stages; do
    grep -q "&$stage," test/test_failing_memory_stages.c && continue
    echo "$stage is not in the table of test/test_failing_memory_stages.c"
    failed=1
done
calls=$(for header in include/conveyor/*.h; do
    case $header in */buf.h | */cursor.h) continue ;; esac
    awk '/\/\*\*/ { comment = ""; inside = 1 }
        inside { comment = comment $0 }
        /\*\// { inside = 0 }
        /^CVY_EXPORT/ { if (comment ~ /UV_ENOMEM/ && match($0, /cvy_[a-z_]+\(/)) print substr($0, RSTART, RLENGTH - 1); comment = "" }' "$header"
done)
[ -n "$calls" ] || exit 1
for call in $calls; do
    grep -q "\b$call(" test/test_failing_memory*.c test/net.c test/wire.c test/recorder.c && continue
    echo "no test fails the allocations of $call"
    failed=1
done
exit $failed
