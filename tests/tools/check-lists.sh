#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A test that is not on the list of tests/Makemodule.am never runs, and is not shipped.
set -eu
cd "${srcdir:-.}"
n=0
for f in tests/bench/* tests/unit/* tests/integration/* tests/model/* tests/node/* tests/prometheus/* tests/soak/* \
        tests/systemd/* tests/tools/* tests/demo/* tests/fuzz/*; do
        [ -f "$f" ] || continue
        name=$(echo "$f" | sed 's/\.c$//; s/\./\\./g') # a unit test is listed as its program
        n=$((n + 1))
        if grep -qE "(^|[[:space:]])$name(\.c)?([[:space:]]|\$)" tests/Makemodule.am tests/fuzz/Makemodule.am; then
                echo "ok $n - $f is listed"
        else
                echo "not ok $n - $f is not listed in tests/Makemodule.am or tests/fuzz/Makemodule.am"
        fi
done
echo "1..$n"
