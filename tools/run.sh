#!/bin/bash
# run.sh - stock httpd with the module, in the foreground, in a server root of
# its own on 127.0.0.1. `make run` builds first and then starts this.
#
#   tools/run.sh            serve until Ctrl-C
#   tools/run.sh --check    write the configuration, test it, say where it is
#
# Provider keys come from the environment or from .env (NAME=value a line; the
# environment wins): see tools/models. Without any, the demo answers.
#
#   PORT         where to listen                            (8080)
#   BUILD        where the module was built                 (build)
#   LLMUX_ENV    instead of .env
#   LLMUX_RUN    the server root                            (BUILD/run/PORT)
#   LLMUX_STATE  where the master key is                    (BUILD/state)
#   LLMUX_HTTPD  httpd's program; LLMUX_MODULES: the folder of its modules
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
umask 022

die() {
    echo "run.sh: $*" >&2
    exit 1
}

# ---- what the user gave

# The value of a line of .env: quoted, or up to a comment.
env_value() {
    local text=$1
    local double='^"(([^"\\]|\\.)*)"' single="^'([^']*)'"

    if [[ $text =~ $double ]]; then
        text=${BASH_REMATCH[1]}
        text=${text//\\\"/\"}
        text=${text//\\\\/\\}
    elif [[ $text =~ $single ]]; then
        text=${BASH_REMATCH[1]}
    else
        text=${text%%[[:space:]]#*}
        text=${text##\#*}
        text=${text%"${text##*[![:space:]]}"}
    fi
    printf '%s' "$text"
}

# Exports what .env has and the environment has not. Nothing is expanded or
# executed.
read_env_file() {
    local file=$1 line name n=0
    local pair='^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)'

    pair+='[[:space:]]*=[[:space:]]*(.*)$'
    [ -f "$file" ] || return 0
    [ -r "$file" ] || die "cannot read $file"
    while IFS= read -r line || [ -n "$line" ]; do
        n=$((n + 1))
        line=${line%$'\r'}
        if [[ $line =~ ^[[:space:]]*(#.*)?$ ]]; then
            continue
        elif [[ $line =~ $pair ]]; then
            name=${BASH_REMATCH[2]}
            if [ -z "${!name+set}" ]; then
                export "$name=$(env_value "${BASH_REMATCH[3]}")"
            fi
        else
            echo "note: $file line $n is not NAME=value; it is left out" >&2
        fi
    done <"$file"
}

# ---- the server root

# As root httpd's children are www-data, which must be able to go there.
reachable() {
    setpriv --reuid www-data --regid www-data --clear-groups test -w "$1" \
        2>/dev/null
}

make_folders() {
    mkdir -p "$1" 2>/dev/null || return 1
    [ -w "$1" ] && mkdir -p "$1"/{conf,htdocs,logs,run,state} &&
        chmod 700 "$1/state" || return 1
    if [ "$(id -u)" = 0 ]; then
        chown -R www-data:www-data "$1"
    fi
}

choose_root() {
    root=${LLMUX_RUN:-$build/run/$PORT}
    make_folders "$root" ||
        die "cannot write to $root; another user made it: remove it first"
    if [ "$(id -u)" = 0 ] && ! reachable "$root"; then
        root=$(mktemp -d "${TMPDIR:-/tmp}/llmux-run-XXXXXX")
        chmod 755 "$root"
        make_folders "$root"
        echo "note: www-data cannot enter $build; the server root is $root" >&2
    fi
    root=$(cd "$root" && pwd)
}

random_text() {
    local text

    text=$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' | tr -d =)
    [ ${#text} = 43 ] || die "no random bytes"
    printf '%s' "$text"
}

# Made once; whoever has it may use every model.
make_master_key() {
    key_file=$state/master.key
    if [ ! -s "$key_file" ]; then
        (umask 077 && mkdir -p "$state" &&
            echo "llmux_$(random_text)" >"$key_file.new" &&
            mv "$key_file.new" "$key_file") || die "cannot write $key_file"
    fi
    [ -r "$key_file" ] || die "cannot read $key_file; another user made it"
    read -r key <"$key_file"
}

load_lines() {
    local name file

    for name in mpm_event unixd authz_core authz_host log_config status; do
        file=$modules/mod_$name.so
        # What is not there is compiled in, or httpd will say so.
        if [ -e "$file" ]; then
            echo "LoadModule ${name}_module \"$file\""
        fi
    done
    echo "LoadModule llmux_module \"$module\""
}

write_conf() {
    cat <<END
# Written by tools/run.sh at each start: changes are lost. Keys are not in it.
ServerRoot "$root"
ServerName localhost
Listen 127.0.0.1:$PORT
DocumentRoot "$root/htdocs"
PidFile run/httpd.pid
DefaultRuntimeDir run
Mutex "file:$root/run" default
ErrorLog logs/error.log
LogLevel warn llmux:info mpm_event:notice core:notice

$(load_lines)

$([ "$(id -u)" != 0 ] || printf 'User www-data\nGroup www-data\n')
Include "$tree/conf/llmux-mpm.conf"

CustomLog logs/access.log "%^LX"
AllowEncodedSlashes NoDecode
LLMuxMasterKey "file:$key_file"
LLMuxDataDir "$tree/data"

$(cat "$root/conf/providers.conf")

<Location "/">
    SetHandler llmux
</Location>
<Location "/server-status">
    SetHandler server-status
    Require local
</Location>
END
}

# ---- start and stop

port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

say_taken() {
    die "port $PORT is taken by another program; take another one:" \
        "make run PORT=$((PORT < 65535 ? PORT + 1 : 8081))"
}

# Enough descriptors, four for each stream, if the system lets us.
raise_files() {
    local want=65536 hard

    hard=$(ulimit -Hn)
    if [ "$hard" != unlimited ] && [ "$hard" -lt $want ]; then
        want=$hard
    fi
    if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt "$want" ]; then
        ulimit -n "$want" || true
    fi
}

# In a session of its own: httpd would take a resized terminal (SIGWINCH) for
# a wish to stop. And it ends when we do, however that is.
start_httpd() {
    rm -f "$root/run/httpd.pid"
    setsid setpriv --pdeathsig TERM "${httpd[@]}" -DFOREGROUND \
        </dev/null 2>"$root/logs/start.log" &
    pid=$!
    trap 'stopped=1; kill -TERM "$pid" 2>/dev/null || true' INT TERM HUP
}

wait_ready() {
    local i

    for ((i = 0; i < 300; i++)); do
        if ! kill -0 "$pid" 2>/dev/null; then
            return 1
        fi
        if port_taken; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

explain_failure() {
    if grep -q 'Address already in use' "$root/logs/start.log"; then
        say_taken
    fi
    echo "httpd did not start:" >&2
    tail -n 20 "$root/logs/start.log" "$root/logs/error.log" >&2 || true
    exit 1
}

# All that clients may ask for, in the order of the sections.
model_names() {
    awk '$1 == "LLMuxModels" { for (i = 2; i <= NF; i++) print $i }' \
        "$root/conf/providers.conf" | awk '!seen[$0]++'
}

announce() {
    local models first proxy=

    mapfile -t models < <(model_names)
    first=${models[0]}
    # curl would ask a proxy for 127.0.0.1.
    if [ -n "${http_proxy:-}${all_proxy:-}${ALL_PROXY:-}" ]; then
        proxy=" --noproxy '*'"
    fi
    cat <<END

mod_llmux serves on http://127.0.0.1:$PORT/v1

  master key  $key
              (kept in $key_file)
  models      ${models[*]}
  logs        $root/logs/error.log
              $root/logs/access.log

Try it:

  KEY=$key
  curl -sS$proxy http://127.0.0.1:$PORT/v1/chat/completions \\
      -H "Authorization: Bearer \$KEY" -H "Content-Type: application/json" \\
      -d '{"model": "$first", "messages": [{"role": "user", "content": "Hello"}]}'

END
    if [ ${#models[@]} = 1 ]; then
        echo "No provider's key was found: put one into .env, such as"
        echo "OPENAI_API_KEY=..., and start again. Until then the demo answers."
        echo
    fi
    echo "Ctrl-C stops it."
}

# Signals end `wait`, not httpd: ask again until it is gone.
wait_end() {
    local status=0

    while kill -0 "$pid" 2>/dev/null; do
        wait "$pid" && status=0 || status=$?
    done
    if [ -n "${stopped:-}" ]; then
        echo "Stopped."
        return 0
    fi
    echo "httpd ended by itself (status $status); see $root/logs/error.log" >&2
    return 1
}

# ---- the order of things

check_only=
case ${1:-} in
'') ;;
--check) check_only=1 ;;
-h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
*) die "unknown argument $1; --help tells what there is" ;;
esac

read_env_file "${LLMUX_ENV:-$tree/.env}"
PORT=${PORT:-8080}
if ! [[ $PORT =~ ^[1-9][0-9]{0,4}$ ]] || [ "$PORT" -gt 65535 ]; then
    die "PORT=$PORT is no port: 1 to 65535"
fi
export PORT
build=${BUILD:-build}
[[ $build = /* ]] || build=$tree/$build
state=${LLMUX_STATE:-$build/state}
module=$build/mod_llmux.so
program=${LLMUX_HTTPD:-$(command -v apache2 || command -v httpd || true)}
[ -n "$program" ] || die "there is no httpd; make deps installs it"
modules=${LLMUX_MODULES:-$(apxs -q LIBEXECDIR 2>/dev/null ||
    echo /usr/lib/apache2/modules)}
[ -e "$module" ] || die "$module is not there; make builds it"

[ -n "$check_only" ] || ! port_taken || say_taken
choose_root
make_master_key
"$tree/tools/providers.sh" >"$root/conf/providers.conf"
write_conf >"$root/conf/httpd.conf"
httpd=("$program" -d "$root" -f "$root/conf/httpd.conf")
if ! complaint=$("${httpd[@]}" -t 2>&1); then
    echo "$complaint" >&2
    die "httpd refuses $root/conf/httpd.conf"
fi
if [ -n "$check_only" ]; then
    echo "$root/conf/httpd.conf"
    exit 0
fi
raise_files
start_httpd
wait_ready || explain_failure
announce
wait_end
