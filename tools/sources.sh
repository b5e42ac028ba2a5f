# Sourced: `. tools/sources.sh; get_sources FOLDER "testing unstable" libuv1`. Unpacks Debian's source packages into FOLDER, of these suites the
# newest; no suites: of the system's own. With a private copy of apt's source list: the system's own stays as it is.
# shellcheck shell=sh
# shellcheck disable=SC2086 # several options

# source_lists FOLDER SUITES: apt's lists with sources in place of binaries.
source_lists() {
    for source_list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        grep -qsiE '(debian|ubuntu)' "$source_list" || continue
        case $source_list in
        *.sources)
            # Of other suites there is one archive to ask: without security, and without what is not Debian's.
            awk -v suites="$2" 'BEGIN { RS = ""; FS = "\n" }
                suites && ($0 !~ /Suites: *[a-z]+( |\n)/ || $0 ~ /-security/ || $0 !~ /Signed-By:.*debian-archive/) { next }
                { for (i = 1; i <= NF; i++) {
                      if ($i ~ /^Types:/) $i = "Types: deb-src"
                      if (suites && $i ~ /^Suites:/) $i = "Suites: " suites
                      print $i
                  }
                  print "" }' "$source_list" >"$1/${source_list##*/}"
            ;;
        *.list)
            if [ -n "$2" ]; then
                for source_suite in $2; do
                    sed -nE "s/^deb(-src)? (.*[^ ]) [a-z]+ main.*/deb-src \2 $source_suite main/p" "$source_list" | grep -v security
                done
            else
                sed -n 's/^deb\(-src\)\{0,1\} /deb-src /p' "$source_list"
            fi | sort -u >"$1/${source_list##*/}"
            ;;
        esac
    done
}

# source_versions PACKAGE: what the lists have, newest first.
source_versions() {
    apt-cache $source_options showsrc "$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -Vru
}

# source_get PACKAGE: of its newest version that the archive still, or already, serves: a list may name one that is not there.
source_get() {
    for source_version in $(source_versions "$1"); do
        if apt-get $source_options source "$1=$source_version" >>apt/log 2>&1 </dev/null; then
            [ -z "$source_missing" ] || echo "$1: the archive lists and does not serve$source_missing; $source_version in its place" >&2
            return 0
        fi
        source_missing="$source_missing $source_version"
    done
    return 1
}

get_sources() {
    source_folder=$1 source_suites=$2
    shift 2
    [ -f "$source_folder/done" ] && return
    source_apt=$source_folder/apt
    rm -rf "$source_folder"
    mkdir -p "$source_apt/lists/partial" "$source_apt/parts" "$source_apt/cache/archives/partial" || return 1
    source_lists "$source_apt/parts" "$source_suites"
    source_options="-q -o Dir::State::Lists=$source_apt/lists -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$source_apt/parts
        -o Dir::Cache=$source_apt/cache -o APT::Sandbox::User=root"
    apt-get $source_options update >"$source_apt/log" 2>&1 </dev/null
    for source_package; do
        source_missing=
        (cd "$source_folder" && source_get "$source_package") || {
            cat "$source_apt/log" >&2
            echo "no source package of $source_package" >&2
            return 1
        }
    done
    touch "$source_folder/done"
}
