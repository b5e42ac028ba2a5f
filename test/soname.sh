#!/bin/sh
# The shared object has the name by which programs ask for it: soname.sh LIBRARY SONAME
name=$(readelf -d "$1" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$name" = "$2" ] || { echo "the soname of $1 is $name, not $2"; exit 1; }
