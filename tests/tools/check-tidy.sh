#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy has nothing to say of any source; .clang-tidy tells what it looks for, and why not for more.
# Versions differ in what they find: it was written for 14.  Without one this fails.
# Environment: srcdir, abs_top_builddir (for config.h), ANALYSIS_CFLAGS (of the libraries).
set -u
builddir=${abs_top_builddir:-$PWD}
cd "${srcdir:-.}" || exit 99
tidy=
for t in clang-tidy-14 clang-tidy; do
        if command -v $t >/dev/null && $t --version | grep -q 'version 14\.'; then tidy=$t; break; fi
done
[ -n "$tidy" ] || { printf 'Bail out! there is no clang-tidy 14 here: setup.sh check installs it\n'; exit 99; }
[ -f "$builddir/config.h" ] || { printf 'Bail out! no config.h in %s: run configure\n' "$builddir"; exit 99; }
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
export tidy tmp builddir

look() { # FILE
        local log=$tmp/${1//\//+}
        # shellcheck disable=SC2086  # flags
        "$tidy" --quiet "$1" -- -std=gnu17 -D_GNU_SOURCE -I"$builddir" -Isrc '-DSYSCONFDIR="/etc"' \
                '-DLOCALSTATEDIR="/var"' ${ANALYSIS_CFLAGS:-} >"$log" 2>"$log.err" || cat "$log.err" >>"$log"
}
export -f look
# the largest first, so that no core is idle at the end
find src tests -name '*.c' -printf '%s %p\n' | sort -rn | cut -d' ' -f2 >"$tmp/list"
# shellcheck disable=SC2016  # expanded by the inner shell
tr '\n' '\0' <"$tmp/list" | xargs -0 -P "$(nproc)" -I{} bash -c 'look "$1"' look {}
n=0
while read -r f; do
        n=$((n + 1))
        log=$tmp/${f//\//+}
        if [ -f "$log" ] && [ ! -s "$log" ]; then
                echo "ok $n - $f"
        else
                echo "not ok $n - $f"
                grep -v '^$' "$log" | head -n 40 | sed 's/^/#   /'
        fi
done < <(sort "$tmp/list")
echo "1..$n"
