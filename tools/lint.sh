#!/bin/bash
# lint.sh - what compilers and linters say against the tree. What is not
# installed is named and left out.
#
#   LINT_ANALYZER=1   gcc -fanalyzer too, which takes minutes
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
widest=100
bad=0

say() {
    printf '%-34s %s\n' "$1" "$2"
}

# check NAME COMMAND...: no output and status 0 is good.
check() {
    local name=$1 out
    shift

    if out=$("$@" 2>&1) && [ -z "$out" ]; then
        say "$name" ok
    else
        say "$name" FAILED
        head -n 60 <<<"$out" | sed 's/^/    /'
        bad=1
    fi
}

# Files of the tree, known to git or new; corpora are meant to be odd.
files() {
    git ls-files -z --cached --others --exclude-standard -- "$@" |
        grep -zv -e '^fuzz/corpus/' -e '/fixtures/' -e 'package-lock.json$' |
        sort -zu
}

no_match() {
    local pattern=$1
    shift
    ! files "$@" | xargs -0 -r grep -nIP -- "$pattern" /dev/null
}

text_files=('*.c' '*.h' '*.def' '*.pm' '*.t' '*.pl' '*.sh' '*.conf' '*.md'
            '*.yaml' '*.js' '*.mjs' '*.cjs' 'tools/*' '.ci/*' 'docker/*' 'bench/*')
code_files=('*.c' '*.h' '*.pm' '*.t' '*.pl' '*.sh' '.ci/*' 'bench/*.js')

white_space() {
    no_match '[ \t]+$' "${text_files[@]}"
}

tabs() {
    no_match '\t' '*.c' '*.h' '*.def' '*.pm' '*.t' '*.sh' '*.conf' '*.md'
}

widths() {
    no_match "^.{$((widest + 1)),}" "${code_files[@]}"
}

last_lines() {
    local file

    while IFS= read -r -d '' file; do
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            echo "$file: no line end at the end"
        fi
    done < <(files "${text_files[@]}")
}

# The module, the tests and the fuzz targets; -Werror makes a warning fail.
# compiles_with COMPILER FOLDER CFLAGS [FLAGS behind the warnings']
compiles_with() {
    env -u MAKEFLAGS make -s -k -j"${JOBS:-2}" CC="$1" BUILD="$build/$2" \
        CFLAGS="$3" SAN="${4:-}" all units fuzzers
}

# Two things that clang alone sees, in macros and idioms of APR and httpd.
clang_quiet='-Wno-null-pointer-subtraction -Wno-missing-field-initializers'

perl_files() {
    local file

    while IFS= read -r -d '' file; do
        perl -It/lib -Ibench/lib -wc "$file" 2>&1 | grep -v 'syntax OK$'
    done < <(files '*.pm' '*.pl' '*.t')
    true
}

shell_scripts() {
    { files '*.sh'
      files | xargs -0 grep -lZ -m1 '^#!/bin/\(ba\)\?sh'; } | sort -zu
}

shells() {
    local file

    while IFS= read -r -d '' file; do
        bash -n "$file"
    done < <(shell_scripts)
}

shellchecks() {
    shell_scripts | xargs -0 shellcheck --severity=style -e SC2317,SC2016
}

# With pipefail, who leaves a pipe early ends its writer, now and then, by
# SIGPIPE, and with it the script: sed -n 1p reads all, head does not.
early_leavers() {
    ! shell_scripts | xargs -0 -r grep -nP \
        '^[^#]*\|\s*(head\b|grep -\w*[qm]|sed [^|]*\dq\b)' /dev/null
}

cppchecks() {
    cppcheck --quiet --std=c99 --language=c --inline-suppr -Iinclude \
        --enable=warning,performance,portability \
        '-DAPR_STRINGIFY(n)=#n' --suppress=missingIncludeSystem \
        --error-exitcode=1 src mod_llmux.c
}

# if_there COMMAND NAME FUNCTION ARGUMENT...
if_there() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then
        check "$@"
    else
        say "$1" "left out: no $command here"
    fi
}

check 'no trailing white space' white_space
check 'no tabs' tabs
check "no line of code over $widest" widths
check 'files end with a line end' last_lines
check 'perl -wc' perl_files
check 'bash -n' shells
check 'pipes are read to their end' early_leavers
if_there shellcheck shellcheck shellchecks
if_there gcc 'gcc: no warnings' compiles_with gcc . '-O2 -g'
if_there clang 'clang: no warnings' compiles_with clang clang '-O1 -g' \
    "$clang_quiet"
if_there cppcheck cppcheck cppchecks
if [ -n "${LINT_ANALYZER:-}" ]; then
    check 'gcc -fanalyzer' compiles_with gcc analyzer '-O1 -g -fanalyzer'
fi
exit $bad
