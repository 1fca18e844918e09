#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cppcheck has nothing to say of any source; tests/tools/cppcheck-suppressions tells what it is not
# asked, and why.  Without cppcheck this fails.
# Environment: srcdir, abs_top_builddir (for config.h).
set -u
builddir=${abs_top_builddir:-$PWD}
cd "${srcdir:-.}" || exit 99
command -v cppcheck >/dev/null ||
        { printf 'Bail out! there is no cppcheck here: setup.sh check installs it\n'; exit 99; }
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
sed 's/[[:space:]]*#.*//; /^$/d' tests/tools/cppcheck-suppressions >"$tmp/suppressions"
cppcheck -q -j "$(nproc)" --enable=warning,style,performance,portability --inline-suppr \
        --std=c11 --library=posix --library=gnu -D_GNU_SOURCE -Isrc -I"$builddir" \
        '-DSYSCONFDIR="/etc"' '-DLOCALSTATEDIR="/var"' --suppressions-list="$tmp/suppressions" \
        --template='{file}:{line}: {severity}: {message} [{id}]' src tests >"$tmp/out" 2>&1 || echo "status $?" >>"$tmp/out"
n=0
while read -r f; do
        n=$((n + 1))
        if grep -F "$f:" "$tmp/out" >"$tmp/found"; then
                echo "not ok $n - $f"
                sed 's/^/#   /' "$tmp/found"
        else
                echo "ok $n - $f"
        fi
done < <(find src tests -name '*.[ch]' | sort)
n=$((n + 1))
# of no file, or of another: that is a finding too
if grep -vE '^(src|tests)/[^:]*\.[ch]:' "$tmp/out" >"$tmp/found"; then
        echo "not ok $n - cppcheck itself"
        sed 's/^/#   /' "$tmp/found"
else
        echo "ok $n - cppcheck itself"
fi
echo "1..$n"
