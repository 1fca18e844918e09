#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemd/rosterd.catalog and the MESSAGE_IDs of the sources agree, and systemd takes the file.
set -u
cd "${srcdir:-.}" || exit 99
catalog=systemd/rosterd.catalog
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
n=0
tell() { # NAME FILE-THAT-MUST-BE-EMPTY
        n=$((n + 1))
        if [ -s "$2" ]; then
                echo "not ok $n - $1"
                sed 's/^/#   /' "$2"
        else
                echo "ok $n - $1"
        fi
}
# A string literal of 32 hexadecimal digits is a message id and nothing else.
grep -rhoE '"[0-9a-f]{32}"' src --include='*.[ch]' | tr -d '"' | sort >"$tmp/used"
sed -n 's/^-- \([0-9a-f]\{32\}\)$/\1/p' $catalog | sort >"$tmp/told"
grep '^--' $catalog | grep -vxE -- '-- [0-9a-f]{32}' >"$tmp/odd"
uniq -d "$tmp/used" >"$tmp/used2"
uniq -d "$tmp/told" >"$tmp/told2"
comm -23 "$tmp/used" "$tmp/told" >"$tmp/missing"
comm -13 "$tmp/used" "$tmp/told" >"$tmp/extra"
[ -s "$tmp/used" ] || echo "no ids found in src/" >"$tmp/missing"
tell "every id of the sources has an entry" "$tmp/missing"
tell "every entry has an id in the sources" "$tmp/extra"
tell "no id is used twice" "$tmp/used2"
tell "no id is explained twice" "$tmp/told2"
tell "every entry begins with a proper id" "$tmp/odd"
grep -rhoE '[0-9a-f]{32}' systemd/examples | sort -u >"$tmp/examples"
comm -23 "$tmp/examples" "$tmp/used" >"$tmp/unknown"
tell "the examples name only ids of the sources" "$tmp/unknown"
awk 'function end() { if (id == "") return
                if (!subject) print id ": no Subject:"
                if (!defined) print id ": no Defined-By: rosterd"
                if (lines < 3) print id ": too short to help anybody" }
        /^-- / { end(); id = $2; subject = defined = lines = 0; next }
        /^Subject: ./ { subject = 1; next }
        /^Defined-By: rosterd$/ { defined = 1; next }
        NF { lines++ }
        END { end() }' $catalog >"$tmp/incomplete"
tell "every entry has a subject, an author and a text" "$tmp/incomplete"
grep -oE '@[A-Z_]+@' $catalog | tr -d @ | sort -u >"$tmp/fields"
grep -rhoE '"ROSTERD_[A-Z_]+"' src --include='*.[ch]' | tr -d '"' | sort -u >"$tmp/sent"
comm -23 "$tmp/fields" "$tmp/sent" >"$tmp/unsent"
tell "every @FIELD@ is one that the daemon sends" "$tmp/unsent"
if command -v journalctl >/dev/null; then
        mkdir -p "$tmp/root/usr/lib/systemd/catalog" "$tmp/root/var/lib/systemd/catalog"
        cp $catalog "$tmp/root/usr/lib/systemd/catalog/"
        journalctl --root="$tmp/root" --update-catalog >"$tmp/said" 2>&1 || echo "status $?" >>"$tmp/said"
        [ -s "$tmp/root/var/lib/systemd/catalog/database" ] || echo "no catalog came out" >>"$tmp/said"
        while read -r id; do
                journalctl --root="$tmp/root" --dump-catalog "$id" 2>>"$tmp/said" | grep -q '^Subject: ' ||
                        echo "$id is not in the compiled catalog" >>"$tmp/said"
        done <"$tmp/told"
        tell "journalctl --update-catalog takes it, and knows every entry" "$tmp/said"
else
        n=$((n + 1))
        echo "ok $n - journalctl --update-catalog takes it # SKIP there is no journalctl here"
fi
echo "1..$n"
