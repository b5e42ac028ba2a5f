#!/bin/sh
# Every call that buf.h and cursor.h declare is one that the buffers' model test makes: in drive_buf*.c, integers in integers.c.
cd "${1:-.}" || exit 1
calls=$(sed -nE 's/^(CVY_EXPORT|static inline) [^(]*\b(cvy_(buf|cursor|alloc|pool)_[a-z_]+)\(.*/\2/p' \
    include/conveyor/buf.h include/conveyor/cursor.h include/conveyor/alloc.h)
ints=$(sed -nE 's/^CVY_(BUF|CURSOR)_INT\(([a-z0-9_]+), .*/\2/p' include/conveyor/buf.h include/conveyor/cursor.h | sort -u)
missing=
for name in $calls; do
    grep -qE "\b$name\(" test/drive_buf.c test/drive_buf_ops.c test/drive_buf_look.c || missing="$missing $name"
done
for name in $ints; do
    grep -qE "X\($name, " test/integers.c || missing="$missing $name"
done
[ -n "$calls" ] && [ -n "$ints" ] && [ -z "$missing" ] && exit 0
echo "not in the model test:$missing"
exit 1
