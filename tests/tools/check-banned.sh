#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the sources do not use, and where some things alone may be used.
set -eu
cd "${srcdir:-.}"
n=0
none() { # WHAT PATTERN FILES-THAT-MAY DIR...
        what=$1 pattern=$2 except=$3
        shift 3
        n=$((n + 1))
        # comment lines do not count
        bad=$(find "$@" -name '*.[ch]' -exec grep -HnE "$pattern" {} + |
                grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//)' | grep -vE "$except" || :)
        if [ -z "$bad" ]; then
                echo "ok $n - $what"
        else
                echo "not ok $n - $what"
                echo "$bad" | sed 's/^/#   /'
        fi
}
nowhere='^$'
none "no strcpy, strcat, sprintf, atoi, strtok, gets" \
        '(^|[^[:alnum:]_])(strcpy|strcat|v?sprintf|ato[ifl]|atoll|strtok|gets)[[:space:]]*\(' "$nowhere" src tests
none "no system, no popen in the programs" '(^|[^[:alnum:]_])(system|popen)[[:space:]]*\(' "$nowhere" src
none "numbers are parsed in base/ and conf/ only" \
        '(^|[^[:alnum:]_])(strto(l|ul|ll|ull|imax|umax|d|f)|sscanf)[[:space:]]*\(' '^src/(base|conf)/' src
none "only store/ sees sqlite3.h" '#[[:space:]]*include[[:space:]]*<sqlite3\.h>' '^src/store/' src
none "only net/ sees curl.h" '#[[:space:]]*include[[:space:]]*<curl/' '^src/net/' src
none "only daemon/ and sink/ write to the journal" 'sd_journal_(send|print)' '^src/(daemon|sink)/' src
none "no include guards but #pragma once" '#[[:space:]]*ifndef[[:space:]]+[A-Z_]+_H([^A-Z]|$)' "$nowhere" src
n=$((n + 1))
bad=$(find src tests -name '*.[ch]' | sort | while read -r f; do
        head -n 1 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$f"
done)
if [ -z "$bad" ]; then
        echo "ok $n - every source names its licence on line 1"
else
        echo "not ok $n - every source names its licence on line 1"
        echo "$bad" | sed 's/^/#   /'
fi
echo "1..$n"
