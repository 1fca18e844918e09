#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Who may include whom: a directory of src/ includes only itself and those named here.
set -eu
cd "${srcdir:-.}/src"
n=0
allow() { # DIR "ALLOWED..."
        n=$((n + 1))
        [ -d "$1" ] || { echo "ok $n - $1/ # SKIP there is none yet"; return 0; }
        may=$(echo "$1 $2" | sed 's/ *$//; s/ /|/g')
        bad=$(find "$1" -name '*.[ch]' -exec grep -Hn '^#include "' {} + |
                grep -vE "\"($may)/" | grep -v '"config\.h"' || :)
        if [ -z "$bad" ]; then
                echo "ok $n - $1/ includes only: $1 $2"
        else
                echo "not ok $n - $1/ includes only: $1 $2"
                echo "$bad" | sed 's/^/#   /'
        fi
}
allow base ""
allow model "base"
allow conf "base"
allow control "base"
allow net "base"
allow store "base model"
allow source "base model conf net"
allow sink "base model conf net"
allow daemon "base model conf control net store source sink"
[ ! -d ctl ] || allow ctl "base model conf control store"
left=
for d in */; do
        case ${d%/} in
        base | model | conf | control | net | store | source | sink | daemon | ctl) ;;
        *) left="$left $d" ;;
        esac
done
n=$((n + 1))
if [ -z "$left" ]; then echo "ok $n - every directory of src/ has its rule"; else echo "not ok $n - no rule for:$left"; fi
echo "1..$n"
