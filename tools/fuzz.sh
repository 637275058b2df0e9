#!/bin/bash
# fuzz.sh - fuzzes every target of fuzz/, says how much of its parser was run,
# and shows that it would have found a bug.
#
#   tools/fuzz.sh              all targets
#   tools/fuzz.sh json sse     these
#
#   FUZZ_SECONDS   for each target                        (60)
#   FUZZ_JOBS      how many of them at the same time      (1)
#   FUZZ_FLOOR     least line coverage, in percent        (90)
#   FUZZ_KEEP=1    adds what was found to fuzz/corpus, as little as covers it
#
# A target says in a comment what it is for:
#   /* covers: src/core/json.c src/core/json_value.c */
# What it finds lies in build/found/TARGET, what broke it in build/found/bad.
set -euo pipefail

cd "$(dirname "$0")/.."
build=${BUILD:-build}
seconds=${FUZZ_SECONDS:-60}
floor=${FUZZ_FLOOR:-90}
found=$build/found
failed=0

# Its own make each: other flags, another place.
build_with() {
    local dir=$1
    shift
    env -u MAKEFLAGS make -s -j"$(nproc)" CC=clang BUILD="$dir" "$@"
}

targets() {
    grep -l 'LLVMFuzzerTestOneInput' fuzz/*.c | sed 's,.*/,,;s,\.c$,,' |
        grep -vx -e replay -e planted
}

# The sources that a target is for, from its "covers:" comment.
covered_by() {
    tr '\n' ' ' <"fuzz/$1.c" | sed 's/\*\//\n/g' |
        sed -n 's/.*covers:\(.*\)/\1/p' | tr -d '*' | sed -n 1p
}

build_all() {
    local names=() name

    for name; do
        names+=("$name")
    done
    echo "Building ${#names[@]} targets twice: to fuzz, and to see what is run"
    build_with "$build/libfuzzer" CFLAGS='-O1 -g' FUZZ_MAIN=-fsanitize=fuzzer \
        SAN='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
        "${names[@]/#/$build/libfuzzer/fuzz/}"
    build_with "$build/coverage" CFLAGS='-O0 -g' \
        SAN='-fprofile-instr-generate -fcoverage-mapping' \
        "${names[@]/#/$build/coverage/fuzz/}"
}

# One target: what it says lies in found/TARGET.log.
fuzz_one() {
    local name=$1

    mkdir -p "$found/$name" "$found/bad" "fuzz/corpus/$name"
    "$build/libfuzzer/fuzz/$name" -max_total_time="$seconds" -timeout=25 \
        -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$found/bad/$name-" \
        "$found/$name" "fuzz/corpus/$name" >"$found/$name.log" 2>&1 || true
}

# Percentage of lines of the target's sources that its inputs run.
coverage_of() {
    local name=$1 sources

    sources=$(covered_by "$name")
    [ -n "$sources" ] || return 0
    LLVM_PROFILE_FILE="$found/$name.profraw" \
        "$build/coverage/fuzz/$name" "fuzz/corpus/$name" "$found/$name" \
        >/dev/null 2>&1 || true
    llvm-profdata merge -sparse -o "$found/$name.profdata" \
        "$found/$name.profraw"
    # shellcheck disable=SC2086
    llvm-cov export -summary-only -instr-profile="$found/$name.profdata" \
        "$build/coverage/fuzz/$name" $sources 2>/dev/null |
        perl -MJSON::PP -0ne '
            my $lines = decode_json($_)->{data}[0]{totals}{lines};
            printf "%.1f", $lines->{count}
                ? 100 * $lines->{covered} / $lines->{count} : 0'
}

stat_of() {
    sed -n "s/^stat::$2: *//p" "$found/$1.log" | tail -n 1
}

verdict_of() {
    local name=$1 cover=$2

    if ! grep -q '^stat::number_of_executed_units' "$found/$name.log" ||
        compgen -G "$found/bad/$name-*" >/dev/null; then
        echo "FAILED, see $found/$name.log"
    elif [ -z "$(covered_by "$name")" ]; then
        echo "FAILED, it has no \"covers:\" comment"
    elif ! awk "BEGIN { exit !(${cover:-0} >= $floor) }"; then
        echo "FAILED, less than $floor % of its parser was run"
    else
        echo "ok"
    fi
}

report() {
    local name cover verdict

    printf '\n%-22s %10s %8s %9s  %s\n' target runs per-sec 'lines %' ''
    for name; do
        cover=$(coverage_of "$name")
        verdict=$(verdict_of "$name" "$cover")
        [ "$verdict" = ok ] || failed=1
        printf '%-22s %10s %8s %9s  %s\n' "$name" \
            "$(stat_of "$name" number_of_executed_units)" \
            "$(stat_of "$name" average_exec_per_sec)" "${cover:--}" "$verdict"
    done
}

# The lines that no input ran, for whoever wants to write one.
save_uncovered() {
    local name

    for name; do
        [ -f "$found/$name.profdata" ] || continue
        # shellcheck disable=SC2046
        llvm-cov show -instr-profile="$found/$name.profdata" \
            "$build/coverage/fuzz/$name" $(covered_by "$name") 2>/dev/null |
            grep -E '^/|^ *[0-9]+\| +0\|' >"$found/$name.uncovered" || true
    done
    echo
    echo "Lines that were not run: $found/TARGET.uncovered"
}

keep() {
    local name

    for name; do
        "$build/libfuzzer/fuzz/$name" -merge=1 "fuzz/corpus/$name" \
            "$found/$name" >>"$found/$name.log" 2>&1
    done
}

# A fuzzer that finds nothing may be blind: fuzz/planted.c with its bug must
# fall quickly, and stand without it.
planted() {
    local dir=$build/planted started=$SECONDS

    build_with "$dir" CFLAGS='-O1 -g' FUZZ_MAIN=-fsanitize=fuzzer \
        SAN='-fsanitize=fuzzer-no-link,address,undefined' "$dir/fuzz/planted"
    if ! "$dir/fuzz/planted" -max_total_time=5 -seed=1 \
        -artifact_prefix="$dir/" >"$found/planted.log" 2>&1; then
        echo "The control of the planted bug FAILED, see $found/planted.log"
        failed=1
        return
    fi
    rm -f "$dir/fuzz/planted" "$dir/obj/fuzz/planted.o"
    build_with "$dir" CFLAGS='-O1 -g -DLLMUX_PLANT_BUG' \
        FUZZ_MAIN=-fsanitize=fuzzer \
        SAN='-fsanitize=fuzzer-no-link,address,undefined' "$dir/fuzz/planted"
    started=$SECONDS
    if "$dir/fuzz/planted" -max_total_time=30 -seed=1 \
        -artifact_prefix="$dir/" >"$found/planted.log" 2>&1; then
        echo "The planted bug was NOT found, see $found/planted.log"
        failed=1
    elif grep -q 'heap-buffer-overflow' "$found/planted.log"; then
        echo "The planted bug was found within $((SECONDS - started + 1)) s," \
            "and nothing without it"
    else
        echo "Something else than the planted bug: see $found/planted.log"
        failed=1
    fi
    rm -f "$dir/fuzz/planted" "$dir/obj/fuzz/planted.o"
}

command -v clang >/dev/null || { echo "fuzz.sh needs clang" >&2; exit 1; }
mapfile -t names < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else targets; fi)
rm -rf "$found/bad"
mkdir -p "$found"
build_all "${names[@]}"
echo "Fuzzing each for $seconds s"
export -f fuzz_one
export build found seconds
printf '%s\n' "${names[@]}" |
    xargs -P "${FUZZ_JOBS:-1}" -I{} bash -c 'fuzz_one "$1"' fuzz.sh {}
report "${names[@]}"
save_uncovered "${names[@]}"
[ -z "${FUZZ_KEEP:-}" ] || keep "${names[@]}"
planted
exit $failed
