#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target over its corpus: a test each.  Environment: srcdir, abs_top_builddir.
set -u
srcdir=${srcdir:-.}
log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT
n=0
for target in "${abs_top_builddir:-.}"/tests/fuzz/fuzz-*; do
        case ${target##*/} in *.* | *\*) continue ;; esac # objects; none at all
        name=${target##*/fuzz-}
        n=$((n + 1))
        files=$(find "$srcdir/tests/fuzz/corpus/$name" -type f | wc -l)
        status=0
        # xargs: there may be more files than a command line takes
        find "$srcdir/tests/fuzz/corpus/$name" -type f -print0 | sort -z |
                xargs -0 -n 500 timeout -k 10 300 "$target" >"$log" 2>&1 || status=$?
        ran=$(grep -c '^Executed ' "$log")
        if [ $status = 0 ] && [ "$ran" = "$files" ] && [ "$files" -gt 0 ]; then
                echo "ok $n - $name: $files inputs"
        else
                echo "not ok $n - $name: status $status after $ran of $files inputs"
                tail -n 40 "$log" | sed 's/^/#   /'
        fi
done
[ $n -gt 0 ] || echo "not ok $((n = 1)) - no target is built"
echo "1..$n"
