#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make install` puts everything where it belongs, and systemd has nothing to say of it.
# Runs in the build directory.  Environment: srcdir.
set -u
srcdir=${srcdir:-.}
root=$(mktemp -d) || exit 99
trap 'rm -rf "$root"' EXIT
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
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR
: >"$root/bad"
make --no-print-directory install DESTDIR="$root/i" prefix=/usr sysconfdir=/etc localstatedir=/var \
        >"$root/log" 2>&1 || { echo "make install: status $?"; cat "$root/log"; } >"$root/bad"
tell "make install works with DESTDIR" "$root/bad"
: >"$root/absent"
for f in sbin/rosterd bin/rosterctl \
        share/man/man1/rosterctl.1 share/man/man5/rosterd-schema.5 share/man/man5/rosterd.conf.5 \
        share/man/man8/rosterd.8 share/bash-completion/completions/rosterctl \
        share/zsh/site-functions/_rosterctl share/fish/vendor_completions.d/rosterctl.fish \
        lib/systemd/system/rosterd.service lib/sysusers.d/rosterd.conf \
        lib/systemd/catalog/rosterd.catalog share/doc/rosterd/examples/rosterd-once.timer \
        share/doc/rosterd/examples/rosterd-mail share/doc/rosterd/examples/rosterd.rules.yml \
        share/doc/rosterd/webhooks.md share/doc/rosterd/event.schema.json; do
        [ -s "$root/i/usr/$f" ] || echo "/usr/$f is not there" >>"$root/absent"
done
tell "programs, manuals, completion, unit, user, catalog and examples are installed" "$root/absent"
conf=$root/i/etc/rosterd/rosterd.conf
: >"$root/conf"
[ "$(stat -c %a "$conf")" = 640 ] || echo "rosterd.conf has mode $(stat -c %a "$conf")" >>"$root/conf"
echo '# mine' >>"$conf"
make --no-print-directory install DESTDIR="$root/i" prefix=/usr sysconfdir=/etc localstatedir=/var \
        >"$root/log" 2>&1
tail -n 1 "$conf" | grep -qx '# mine' || echo "an upgrade has overwritten rosterd.conf" >>"$root/conf"
tell "the configuration is 0640 and an upgrade leaves it alone" "$root/conf"
unit=$root/i/usr/lib/systemd/system/rosterd.service
grep -n '@[a-z]*@' "$unit" >"$root/open"
tell "no @placeholder@ is left in the unit" "$root/open"

if command -v systemd-analyze >/dev/null && systemd-analyze --help | grep -q -- --offline; then
        : >"$root/scores"
        for u in "$unit" "$srcdir/systemd/examples/rosterd-once.service"; do
                systemd-analyze security --offline=true --threshold=11 "$u" >"$root/score" 2>&1 ||
                        echo "$(basename "$u"): $(tail -n 1 "$root/score")" >>"$root/scores"
        done
        tell "systemd-analyze security says 1.1 or lower" "$root/scores"
        # the paths of this build are not this machine's
        mkdir "$root/units"
        sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$unit" >"$root/units/rosterd.service"
        sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$srcdir/systemd/examples/rosterd-once.service" \
                >"$root/units/rosterd-once.service"
        sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$srcdir/systemd/examples/rosterd-mail.service" \
                >"$root/units/rosterd-mail.service"
        cp "$srcdir"/systemd/examples/*.timer "$root/units/"
        systemd-analyze verify --man=no "$root"/units/* 2>&1 | grep -E 'rosterd|units/' >"$root/verify"
        tell "systemd-analyze verify has nothing to say" "$root/verify"
else
        n=$((n + 1))
        echo "ok $n - systemd-analyze # SKIP there is no systemd-analyze 250 or later here"
fi
sandbox() { sed -n 's,@sbindir@,/usr/sbin,; /^CapabilityBoundingSet=/,/^UMask=/p' "$1"; }
diff <(sandbox "$srcdir/systemd/rosterd.service.in") <(sandbox "$srcdir/systemd/examples/rosterd-once.service") >"$root/diff"
tell "the oneshot example has the daemon's sandbox" "$root/diff"

uninstall() {
        make --no-print-directory uninstall DESTDIR="$root/i" prefix=/usr sysconfdir=/etc \
                localstatedir=/var >"$root/log" 2>&1 || { echo "make uninstall: status $?"; cat "$root/log"; }
}
uninstall >"$root/left"
tail -n 1 "$conf" | grep -qx '# mine' || echo "a changed rosterd.conf is gone" >>"$root/left"
find "$root/i" ! -type d ! -path "$conf" >>"$root/left"
cp "$srcdir/conf/rosterd.conf" "$conf"
uninstall >>"$root/left"
[ ! -e "$conf" ] || echo "rosterd.conf stays though it is as it was installed" >>"$root/left"
tell "make uninstall leaves only a configuration that was changed" "$root/left"
echo "1..$n"
