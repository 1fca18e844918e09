#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The scripts are clean to shellcheck.
set -eu
cd "${srcdir:-.}"
command -v shellcheck >/dev/null || { echo "1..0 # SKIP there is no shellcheck here"; exit 0; }
n=0
for f in setup.sh .ci/run tests/tools/*.sh tests/tools/*-tap tests/fuzz/*.sh tests/systemd/*.sh \
        systemd/examples/rosterd-mail conf/completion/*.bash; do
        [ -f "$f" ] || continue
        n=$((n + 1))
        if bad=$(shellcheck -f gcc "$f" 2>&1); then
                echo "ok $n - $f"
        else
                echo "not ok $n - $f"
                echo "$bad" | sed 's/^/#   /'
        fi
done
echo "1..$n"
