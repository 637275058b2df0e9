#!/bin/bash
# fresh.sh - proves the README: a bare Debian 12, a clean clone of HEAD in it,
# the two commands, nothing else. As root; takes minutes and some 2 GB.
#
#   BUILD           the new system lies in BUILD/fresh       (build)
#   LLMUX_MIRROR    instead of the mirror that this machine's apt uses
#   LLMUX_KEEP=1    leave it there afterwards
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
build=${BUILD:-build}
[[ $build = /* ]] || build=$tree/$build
root=$build/fresh
suite=bookworm
started=$SECONDS

die() {
    echo "fresh.sh: $*" >&2
    exit 1
}

step() {
    printf '\n== %s (%d s)\n' "$*" $((SECONDS - started))
}

# "URI SUITE COMPONENT" for each of this machine's sources of that Debian,
# whichever way they are written.
sources() {
    # shellcheck disable=SC2016
    apt-get indextargets --no-release-info \
        --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' | sort -u |
        awk -v s="$suite" '$2 ~ "^" s "(-updates|-security)?$" && $3 == "main"'
}

mirror() {
    local uri

    uri=${LLMUX_MIRROR:-$(sources | awk -v s="$suite" '$2 == s { print $1; exit }')}
    [ -n "$uri" ] || die "this machine's apt has no source for $suite;" \
        "LLMUX_MIRROR names one"
    echo "$uri"
}

# What this machine's apt says of proxies, for the new system's.
apt_proxies() {
    apt-config dump | grep -iE '^Acquire::(https?)::(Proxy|Verify)' || true
}

# The same for programs that look at their environment.
export_proxies() {
    local http https

    http=$(apt-config dump --format '%v' Acquire::http::Proxy)
    https=$(apt-config dump --format '%v' Acquire::https::Proxy)
    [ -z "$http" ] || export http_proxy=${http_proxy:-$http}
    [ -z "$https$http" ] || export https_proxy=${https_proxy:-${https:-$http}}
}

bootstrap() {
    local uri include=()

    uri=$(mirror)
    case $uri in
    https:*) include=(--include=ca-certificates) ;;
    esac
    mkdir -p "$build"
    rm -rf --one-file-system "$root"
    echo "from $uri"
    (export_proxies
     debootstrap --variant=minbase "${include[@]}" "$suite" "$root" "$uri") \
        >"$build/fresh.log" 2>&1 ||
        { tail -n 20 "$build/fresh.log" >&2; die "debootstrap failed"; }
    sources | awk '{ print "deb", $1, $2, $3 }' >"$root/etc/apt/sources.list"
    [ -s "$root/etc/apt/sources.list" ] ||
        echo "deb $uri $suite main" >"$root/etc/apt/sources.list"
    apt_proxies >"$root/etc/apt/apt.conf.d/90proxy"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
}

# HEAD as a stranger gets it: no build, no .env, nothing uncommitted.
clone() {
    local config

    git -C "$tree" rev-parse -q --verify HEAD >/dev/null ||
        die "there is no commit to clone"
    if [ -n "$(git -C "$tree" status --porcelain)" ]; then
        echo "note: what is not committed is not in it"
    fi
    # The checkout may belong to another user than root.
    config=$(mktemp)
    printf '[safe]\n\tdirectory = *\n' >"$config"
    GIT_CONFIG_GLOBAL=$config git clone -q --no-hardlinks "$tree" \
        "$root/src/mod_llmux"
    rm -f "$config"
    git -C "$root/src/mod_llmux" log -1 --format='%h %s' 2>/dev/null || true
}

# Nothing of our environment, a process space of its own: whatever is still
# running when the script is over goes with it.
in_root() {
    unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" \
        chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/ LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# Both network and ports are this machine's.
free_port() {
    local port

    for ((port = 8080; port < 8180; port++)); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "no free port from 8080 to 8179"
}

# Inside: what the README says, in its order.
the_readme() {
    cat <<'END'
set -eu
apt-get -q update
apt-get -q install -y make
cd /src/mod_llmux

echo "== make run"
make run ${PORT_ARGUMENT-} >/src/run.log 2>&1 &
run=$!
url=http://127.0.0.1:$PORT_USED
waited=0
until curl -fsS "$url/health" >/src/health 2>/dev/null; do
    sleep 2
    waited=$((waited + 2))
    if [ $waited -gt 1200 ] || ! kill -0 $run 2>/dev/null; then
        tail -n 40 /src/run.log
        echo "make run does not serve"
        exit 1
    fi
done
cat /src/health; echo
key=$(cat build/state/master.key)
curl -fsS "$url/v1/chat/completions" -H "Authorization: Bearer $key" \
    -H 'Content-Type: application/json' -d '{"model": "demo",
    "messages": [{"role": "user", "content": "Hello"}]}' >/src/chat
grep -q '"choices"' /src/chat
cat /src/chat; echo
kill -TERM $run
wait $run || true
if curl -fsS "$url/health" >/dev/null 2>&1; then
    echo "make run does not stop"
    exit 1
fi
tail -n 25 /src/run.log

echo "== make test"
make test
END
}

[ "$(id -u)" = 0 ] || die "needs root, for debootstrap and chroot"
"$tree/tools/deps.sh" fresh
step "a bare Debian 12 in $root"
bootstrap
step "a clean clone"
clone
step "the README's commands"
port=$(free_port)
the_readme >"$root/src/readme.sh"
argument=
[ "$port" = 8080 ] || argument="PORT=$port"
status=0
in_root PORT_USED="$port" PORT_ARGUMENT="$argument" sh /src/readme.sh || status=$?
if [ -z "${LLMUX_KEEP:-}" ]; then
    rm -rf --one-file-system "$root"
fi
step "$([ $status = 0 ] && echo PASS || echo "FAIL, status $status")"
exit $status
