#!/bin/bash
# deps.sh - installs the Debian packages that are missing, and does nothing
# when none is.
#
#   tools/deps.sh SECTION...           of tools/packages: run build test ...
#   tools/deps.sh --list SECTION...    only says which are missing
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Is that there? See the head of tools/packages.
present() {
    case $1 in
    pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
    so:*) [[ $(ldconfig -p) == *"${1#so:} "* ]] ;;
    /*)   compgen -G "$1" >/dev/null ;;
    *)    command -v "$1" >/dev/null ;;
    esac
}

rows_of() {
    awk -v section="$1" '$1 == section { print $2, $3 }' "$here/packages"
}

missing() {
    local section rows package what

    for section; do
        rows=$(rows_of "$section")
        if [ -z "$rows" ]; then
            echo "deps.sh: tools/packages has no section \"$section\"" >&2
            return 1
        fi
        while read -r package what; do
            present "$what" || echo "$package"
        done <<<"$rows"
    done
}

# How to become root: nothing, sudo, or not at all.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

install() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q
               -o DPkg::Lock::Timeout=300)

    if ! command -v apt-get >/dev/null; then
        echo "This is not Debian: please install what these packages have: $*"
        return 1
    fi
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "These packages are missing. As root: apt-get install -y $*"
        return 1
    fi
    echo "Installing Debian packages: $*"
    # A repository that does not answer may not be one that is needed.
    as_root "${apt[@]}" update || true
    as_root "${apt[@]}" install -y --no-install-recommends "$@"
}

list_only=
if [ "${1:-}" = --list ]; then
    list_only=1
    shift
fi
if [ $# = 0 ]; then
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
    exit 1
fi
packages=$(missing "$@")
[ -n "$packages" ] || exit 0
mapfile -t packages < <(sort -u <<<"$packages")
if [ -n "$list_only" ]; then
    printf '%s\n' "${packages[@]}"
    exit 0
fi
install "${packages[@]}" >&2
