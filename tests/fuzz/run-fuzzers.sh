#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target for FUZZ_SECONDS (7) from its corpus, or those that are named: a test each.  What
# is new is kept in fuzz-found/NAME below the build directory, what fails in fuzz-found/NAME-…; the
# seed is printed, FUZZ_SEED sets it.  Environment: srcdir, abs_top_builddir.
set -u
srcdir=${srcdir:-.}
top=${abs_top_builddir:-.}
seconds=${FUZZ_SECONDS:-7}
seed=${FUZZ_SEED:-$(($(od -An -N4 -tu4 /dev/urandom) % 2147483646 + 1))}
n=0

fuzz() { # NAME
        local found=$top/fuzz-found/$1 log=$top/fuzz-found/$1.log status=0
        n=$((n + 1))
        mkdir -p "$found"
        # twice the time, and a minute: a machine may be busy
        timeout -k 10 $((2 * seconds + 60)) "$top/tests/fuzz/fuzz-$1" -seed="$seed" \
                -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 -max_len=16384 \
                -artifact_prefix="$found-" -print_final_stats=1 \
                -dict="$srcdir/tests/fuzz/dictionaries/$1.dict" \
                "$found" "$srcdir/tests/fuzz/corpus/$1" >"$log" 2>&1 || status=$?
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        if [ $status = 0 ] && [ "${runs:-0}" -gt 0 ]; then
                echo "ok $n - $1: $runs runs, seed $seed"
        else
                echo "not ok $n - $1: status $status, seed $seed"
                tail -n 40 "$log" | sed 's/^/#   /'
        fi
}

if [ $# = 0 ]; then
        for target in "$top"/tests/fuzz/fuzz-*; do
                case ${target##*/} in *.* | *\*) ;; *) set -- "$@" "${target##*/fuzz-}" ;; esac
        done
fi
for name in "$@"; do fuzz "$name"; done
[ $n -gt 0 ] || echo "not ok $((n = 1)) - no target is built"
echo "1..$n"
