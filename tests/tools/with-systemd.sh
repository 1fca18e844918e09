#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# with-systemd.sh [options] TEST [ARG...]
# Boot a throw-away systemd (PID 1 of its own pid, mount, net, ipc, uts and
# cgroup namespaces) whose root is an overlay over this machine's "/" (writes go
# to a tmpfs and are lost), run the bash script TEST in it as a unit, pass on its
# output as it comes, and return its exit status.  Whatever still runs in the
# container when TEST ends is killed.  Needs root, util-linux, systemd; no
# network, no image, nothing of the machine's own init.
#   -b SRC:DST   bind SRC read-only at DST inside (may be repeated)
#   -B SRC:DST   the same, writable: for what must outlive the run (coverage, results)
#   -e K=V       environment for TEST (may be repeated)
#   -j FILE      write the container's journal to FILE
#   -t SECONDS   time limit for TEST (default 120)
# status: TEST's own; 124 time limit; 125 the container itself failed; 130/143 signalled
# shellcheck disable=SC2016,SC2317  # expanded inside the container; called by a trap
set -u
# A mount namespace of our own first: nothing mounted below is ever seen by the
# machine, and all of it goes when we do, even by SIGKILL.
[ "${WITH_SYSTEMD_NS:-}" = 1 ] || { [ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 125; }
    WITH_SYSTEMD_NS=1 exec unshare --mount --propagation private -- bash "$0" "$@"; }
unset WITH_SYSTEMD_NS
binds=() envs=() limit=120 jout=''
while getopts b:B:e:j:t: o; do case $o in
    b) binds+=("ro:$OPTARG");; B) binds+=("rw:$OPTARG");; e) envs+=("$OPTARG");; j) jout=$OPTARG;; t) limit=$OPTARG;; *) exit 125;; esac; done
shift $((OPTIND-1)); [ $# -ge 1 ] || { echo "usage: $0 [-b SRC:DST] [-B SRC:DST] [-e K=V] [-j FILE] [-t S] TEST [ARG...]" >&2; exit 125; }
test=$(readlink -e -- "$1") || { echo "$0: no such test: $1" >&2; exit 125; }; shift

for d in /tmp/with-systemd.*; do p=${d#/tmp/with-systemd.}; [ -d "$d" ] && [ ! -d "/proc/${p%%.*}" ] && rm -rf --one-file-system "$d"; done  # of killed runs
W=$(mktemp -d "/tmp/with-systemd.$$.XXXXXX") || exit 125
mkdir "$W/m" "$W/cg" "$W/out"; mkfifo "$W/out/stdout" "$W/out/rc"; : >"$W/out/kmsg"
# A cgroup2 mount of our own: no matter how (or whether) the machine mounted it.
mount -t cgroup2 none "$W/cg" || { rm -rf "$W"; exit 125; }
for d in "$W"/cg/with-systemd.*; do [ -d "$d" ] && [ ! -d "/proc/${d##*.}" ] && find "$d" -depth -type d -exec rmdir {} + 2>/dev/null; done
CG=$W/cg/with-systemd.$$; export CG
mkdir "$CG" || { umount "$W/cg"; rm -rf "$W"; exit 125; }
outpid='' rcpid='' nspid=''
cleanup() {
    trap - EXIT; trap '' INT TERM HUP
    echo 1 >"$CG/cgroup.kill"                          # everything in the container, whatever it ignores
    { [ -n "$nspid" ] && wait "$nspid"; } 2>/dev/null
    for _ in $(seq 100); do grep -q 'populated 0' "$CG/cgroup.events" && break; sleep 0.02; done
    find "$CG" -depth -type d -exec rmdir {} +
    umount "$W/cg"
    kill "$outpid" "$rcpid" 2>/dev/null
    rm -rf --one-file-system "$W"
}
trap cleanup EXIT; trap 'exit 130' INT; trap 'exit 143' TERM HUP

{   echo 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0'
    for e in ${envs+"${envs[@]}"}; do printf 'export %q\n' "$e"; done
    printf 'cd /run/with-systemd; SECONDS=0; timeout -k 2 %q bash /run/with-systemd/test' "$limit"; [ $# = 0 ] || printf ' %q' "$@"; echo; echo 'rc=$?'
    printf '[ $SECONDS -lt %q ] || rc=124\n' "$limit"
    echo 'journalctl --sync; journalctl -b --no-pager -o short-precise >/run/with-systemd/out/journal 2>&1'
    echo 'echo "$rc" >/run/with-systemd/out/rc'
} >"$W/main"
cat >"$W/with-systemd.service" <<'U'
[Unit]
Description=The test
Requires=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=exec
ExecStart=/bin/bash /run/with-systemd/main
StandardInput=null
StandardOutput=file:/run/with-systemd/out/stdout
StandardError=inherit
TasksMax=infinity
U
cat >"$W/setup" <<'S'
# PID 1 of the new namespaces; becomes systemd.  Args: stage, W, number of binds, binds..., test
set -eu
if [ "$1" = 1 ]; then shift     # first into the container's own cgroup (our parents stay out of it), then make it the root
    echo 0 >"$CG/cgroup.procs"; exec unshare --cgroup bash "$0" 2 "$@"; fi
W=$2 n=$3; shift 3
mount -t tmpfs -o mode=755,size=2g tmpfs "$W/m"
mkdir "$W/m/up" "$W/m/work" "$W/m/root"; R=$W/m/root
mount -t overlay -o "lowerdir=/,upperdir=$W/m/up,workdir=$W/m/work" overlay "$R"
# none of the machine's own services, boot scripts, journal, mounts
rm -rf "$R"/etc/systemd/system/* "$R"/etc/rc?.d/* "$R"/var/log/journal "$R"/etc/fstab "$R"/etc/systemd/{journald,system}.conf.d "$R/dev/console"
for u in systemd-{udevd,udev-trigger,logind,timesyncd,sysctl,modules-load,binfmt,pstore,random-seed,hwdb-update,firstboot}.service \
         systemd-{update-utmp,update-utmp-runlevel,networkd,resolved}.service systemd-udevd-{kernel,control}.socket systemd-journald-audit.socket \
         ldconfig.service {dev-hugepages,dev-mqueue,sys-kernel-debug,sys-kernel-tracing,sys-kernel-config,sys-fs-fuse-connections,tmp}.mount \
         proc-sys-fs-binfmt_misc.automount {getty,timers}.target console-getty.service; do
    ln -s /dev/null "$R/etc/systemd/system/$u"; done
rm -f "$R/etc/machine-id"; tr -d - </proc/sys/kernel/random/uuid >"$R/etc/machine-id"
hostname with-systemd; rm -f "$R/etc/hostname"; echo with-systemd >"$R/etc/hostname"
mkdir -p "$R"/etc/systemd/{journald,system}.conf.d
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\n' >"$R/etc/systemd/journald.conf.d/with-systemd.conf"
printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$R/etc/systemd/system.conf.d/with-systemd.conf"
# API file systems of our own; the kernel's knobs read-only
mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
for f in sys sysrq-trigger irq bus; do [ -e "$R/proc/$f" ] || continue
    mount --bind "$R/proc/$f" "$R/proc/$f"; mount -o remount,bind,ro,nosuid,nodev,noexec "$R/proc/$f"; done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,noexec tmpfs "$R/dev"
mknod -m 666 "$R/dev/null" c 1 3; mknod -m 666 "$R/dev/zero" c 1 5; mknod -m 666 "$R/dev/full" c 1 7
mknod -m 666 "$R/dev/random" c 1 8; mknod -m 666 "$R/dev/urandom" c 1 9; mknod -m 666 "$R/dev/tty" c 5 0
ln -s /run/with-systemd/out/kmsg "$R/dev/kmsg"       # what systemd says before journald runs
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"; ln -s fd/0 "$R/dev/stdin"; ln -s fd/1 "$R/dev/stdout"; ln -s fd/2 "$R/dev/stderr"
mkdir "$R/dev/pts" "$R/dev/shm" "$R/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$R/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/dev/shm"
mount -t mqueue -o nosuid,nodev,noexec mqueue "$R/dev/mqueue"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$R/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/tmp"
mkdir -p "$R/run/with-systemd/out" "$R/run/systemd/system" "$R/run/lock"
cp "$W/main" "$R/run/with-systemd/main"; cp "$W/with-systemd.service" "$R/run/systemd/system/"
mount --bind "$W/out" "$R/run/with-systemd/out"
while [ "$n" -gt 0 ]; do IFS=: read -r mode s d <<<"$1"; shift; n=$((n-1))
    if [ -d "$s" ]; then mkdir -p "$R$d"; else mkdir -p "$(dirname "$R$d")"; [ -e "$R$d" ] || : >"$R$d"; fi
    mount --bind "$s" "$R$d"; [ "$mode" = rw ] || mount -o remount,bind,ro "$R$d"; done
cp "$1" "$R/run/with-systemd/test"
cd "$R"; pivot_root . .; umount -l .; cd /
mount --make-rshared /          # systemd leaves this to whoever made the container; LoadCredential= needs it
# no clock setting, module loading, raw I/O: those are the machine's, not ours
exec env -i container=with-systemd PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    setpriv --inh-caps=-all --bounding-set=-sys_time,-sys_module,-sys_rawio,-wake_alarm,-block_suspend \
    /lib/systemd/systemd --unit=with-systemd.service --log-target=journal-or-kmsg --show-status=no
S
setpriv --pdeathsig KILL cat "$W/out/stdout" & outpid=$!
setpriv --pdeathsig KILL cat "$W/out/rc" >"$W/rc" & rcpid=$!
# every process of the chain dies with its parent, so that a SIGKILL of this script ends the container too
setpriv --pdeathsig KILL timeout -s KILL "$((limit+20))" setpriv --pdeathsig KILL \
    unshare --mount --uts --ipc --net --pid --propagation private --fork --kill-child=KILL \
    bash "$W/setup" 1 "$W" "${#binds[@]}" ${binds+"${binds[@]}"} "$test" </dev/null >"$W/console" 2>&1 & nspid=$!
{ wait -n "$nspid" "$rcpid"; } 2>/dev/null              # the test's end, or the container's
st=$?
[ -n "$jout" ] && [ -e "$W/out/journal" ] && cp "$W/out/journal" "$jout"
rc=$(cat "$W/rc"); if [ -n "$rc" ]; then
    echo 1 >"$CG/cgroup.kill"; for _ in $(seq 100); do kill -0 "$outpid" 2>/dev/null || break; sleep 0.02; done    # the rest of its output
    [ "$rc" != 124 ] || echo "$0: time limit of $limit s" >&2
    exit "$rc"; fi
cat "$W/console" "$W/out/kmsg" >&2
echo "$0: the container ended with status $st and without the test's result" >&2; exit 125
