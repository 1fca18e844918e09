#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Boots a throw-away systemd (tests/tools/with-systemd.sh) and runs test_systemd.py inside it; prints
# TAP.  Arguments go to pytest.  Environment: ROSTERD, ROSTERCTL, CHIME_EMULATOR, SANDBOX_PROBE (absolute
# paths); SYSTEMD_TEST, another module than test_systemd.py; TEST_JOURNAL, a file for the journal inside.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
boot=$top/tests/tools/with-systemd.sh

skip() {
        echo "1..0 # SKIP $*"
        exit 0
}
[ "$(id -u)" = 0 ] || skip "needs root, to boot a systemd of its own"
for tool in unshare setpriv systemctl journalctl systemd-analyze systemd-sysusers sqlite3 runuser; do
        command -v $tool >/dev/null || skip "needs $tool"
done
[ -x /lib/systemd/systemd ] || skip "needs systemd (/lib/systemd/systemd)"
case "${ROSTERD_INSTRUMENT:-}" in
*sanitize*) skip "the sanitizers want what the sandbox forbids; the plain build runs this" ;;
esac

try=$(mktemp) out=$(mktemp)
trap 'rm -f "$try" "$out"' EXIT
# What a container or a machine may forbid: a systemd of one's own, user namespaces.
cat >"$try" <<'END'
printf '[Service]\nType=oneshot\nExecStart=/bin/true\nUser=nobody\nPrivateUsers=yes\nPrivateTmp=yes\nProtectSystem=strict\n' \
        >/run/systemd/system/try.service
systemctl daemon-reload && systemctl start try || { journalctl -u try -o cat; exit 1; }
END
bash "$boot" -t 100 "$try" >"$out" 2>&1 || {
        sed 's/^/# /' "$out"
        skip "no systemd with confined services can be booted here: $(grep -m 1 -i 'failed' "$out")"
}
# /tmp and /run are new inside, and a build may stand there: bind what is needed.
cat >"$try" <<'END'
/src/tests/tools/pytest-tap "/src/tests/systemd/$SYSTEMD_TEST" "$@" 2>/run/pytest.log
rc=$?
sed 's/^/# /' /run/pytest.log
exit $rc
END
bash "$boot" -t "${TEST_TIMEOUT:-300}" \
        -b "$top:/src" -b "$ROSTERD:/opt/test/rosterd" -b "$CHIME_EMULATOR:/opt/test/chime-emulator" \
        -b "$ROSTERCTL:/opt/test/rosterctl" -e ROSTERCTL=/opt/test/rosterctl \
        -b "$SANDBOX_PROBE:/opt/test/sandbox-probe" -e SANDBOX_PROBE=/opt/test/sandbox-probe \
        -e SYSTEMD_TEST="${SYSTEMD_TEST:-test_systemd.py}" \
        -e SRC=/src -e ROSTERD=/opt/test/rosterd -e CHIME_EMULATOR=/opt/test/chime-emulator \
        -e PYTEST="${PYTEST:-/usr/bin/python3 -m pytest}" -e TEST_TIMEOUT="${TEST_TIMEOUT:-300}" \
        ${TEST_JOURNAL:+-j "$TEST_JOURNAL"} \
        "$try" "$@"
