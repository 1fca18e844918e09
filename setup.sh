#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# setup.sh: installs what rosterd needs, builds it, shows it at work, tests it.  Without arguments: help.
set -eu -o pipefail
cd "$(dirname "$(readlink -f "$0")")"
top=$PWD
jobs=$(nproc 2>/dev/null || echo 2)

usage() {
        cat <<END
Usage: ./setup.sh COMMAND

  demo     see rosterd at work: half a minute with an emulated Amazon Chime
  build    build rosterd in build/
  install  build for /usr, install, make the user rosterd, load unit and catalog
  check    build with gcc and clang, run every test, also with sanitizers, under
           valgrind and from the tarball; the last line counts them
  coverage run the tests once more and tell which lines of src/ they reach
  deps     install only what building and running needs

Each command first installs the packages that it lacks (apt or dnf), and says
which; what is there already is left alone.  Works as root, or with sudo.
END
}

say() { printf '%s\n' "$*"; }
die() { printf 'setup.sh: %s\n' "$*" >&2; exit 1; }

# ---- packages ----------------------------------------------------------------------------------

# What for, and what it is called on Debian and Ubuntu | on Fedora.
packages() { # build|demo|check|coverage
        case $1 in coverage)
                echo "coverage|gcovr|gcovr"
                return ;;
        esac
        case $1 in build | demo | check) cat <<'END' ;; esac
a C compiler|gcc libc6-dev|gcc glibc-devel
the build system|make autoconf automake pkg-config|make autoconf automake pkgconf-pkg-config diffutils
libcurl, for HTTPS and signatures|libcurl4-openssl-dev ca-certificates|libcurl-devel ca-certificates
json-c|libjson-c-dev|json-c-devel
SQLite|libsqlite3-dev sqlite3|sqlite-devel sqlite
libsystemd|libsystemd-dev|systemd-devel
inih|libinih-dev|inih-devel
OpenSSL's libcrypto, for webhook signatures|libssl-dev|openssl-devel
xxHash, to recognise unchanged records|libxxhash-dev|xxhash-devel
the command kill, for systemctl reload|procps|util-linux
END
        case $1 in demo | check) cat <<'END' ;; esac
the emulator's HTTP server|libmicrohttpd-dev|libmicrohttpd-devel
zlib, for the emulator|zlib1g-dev|zlib-devel
Python 3, pytest and cmocka, for the demonstration and the tests|python3 python3-pytest libcmocka-dev|python3 python3-pytest libcmocka-devel
END
        case $1 in check) cat <<'END' ;; esac
the second compiler, with its sanitizers and libFuzzer|clang ?libclang-rt-dev llvm|clang compiler-rt llvm libstdc++-devel
the vendor's own clients|python3-boto3 ?awscli|python3-boto3 ?awscli2
valgrind|valgrind|valgrind
gnuplot, for the chart of the benchmark|gnuplot-nox|gnuplot
manual pages and completion|mandoc zsh fish|mandoc zsh fish
checks of the sources|shellcheck ?clang-format-14|ShellCheck
static analysis|clang-tidy-14 cppcheck|clang-tools-extra cppcheck
a systemd to test in|systemd util-linux passwd hostname|systemd procps-ng shadow-utils hostname
OpenSSL's command, for test certificates|openssl|openssl
xz, for the tarball|xz-utils|xz tar
a JSON Schema validator|python3-jsonschema|python3-jsonschema
Prometheus and Alertmanager, to try what rosterd tells them|prometheus prometheus-alertmanager|?golang-github-prometheus ?golang-github-prometheus-alertmanager
END
}

needs_by_purpose() {
        say "What is needed, by purpose (with header files), and its names on Debian | Fedora:"
        packages "$1" | sed 's/^\([^|]*\)|\([^|]*\)|\(.*\)$/  \1: \2 | \3/; s/?//g'
}

can_be_root() {
        [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
                die "packages are missing ($*) and only root can install them: run this as root, or install sudo"
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_has() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# Not "grep -q": it would end early and break the pipe.
apt_knows() { apt-cache policy "$1" 2>/dev/null | grep -E '^ +Candidate: [^(]' >/dev/null; }

# Quiet unless it fails.
apt_get() {
        local log
        log=$(mktemp)
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 </dev/null; then
                rm -f "$log"
        else
                tail -n 20 "$log" >&2
                rm -f "$log"
                return 1
        fi
}

apt_install() { # WHAT PACKAGE...
        local what=$1 updated=no p wanted=()
        shift
        for p in "$@"; do
                case $p in \?*) continue ;; esac
                apt_knows "$p" && continue
                say "Bringing the package lists up to date (apt-get update)"
                apt_get update || say "apt-get update failed; going on with the lists that there are"
                updated=yes
                break
        done
        for p in "$@"; do
                case $p in \?*) apt_knows "${p#\?}" || continue ;; esac # may be absent from this release
                wanted+=("${p#\?}")
        done
        [ ${#wanted[@]} -gt 0 ] || return 0
        say "Installing with apt-get: ${wanted[*]}"
        apt_get install --no-install-recommends "${wanted[@]}" && return 0
        if [ $updated = no ]; then # lists from long ago name files that are gone
                say "Once more, with package lists that are up to date"
                apt_get update && apt_get install --no-install-recommends "${wanted[@]}" && return 0
        fi
        needs_by_purpose "$what" >&2
        die "apt-get could not install them (its reason is above): is this machine offline?"
}

dnf_install() { # WHAT PACKAGE...
        local what=$1 p wanted=() optional=()
        shift
        for p in "$@"; do
                case $p in \?*) optional+=("${p#\?}") ;; *) wanted+=("$p") ;; esac
        done
        if [ ${#wanted[@]} -gt 0 ]; then
                say "Installing with dnf: ${wanted[*]}"
                as_root dnf -y -q install "${wanted[@]}" || {
                        needs_by_purpose "$what" >&2
                        die "dnf could not install them (its reason is above): is this machine offline?"
                }
        fi
        [ ${#optional[@]} = 0 ] || as_root dnf -y -q install "${optional[@]}" || say "Going on without: ${optional[*]}"
}

# What others verify webhooks with: Node.js, any from 18 on, and two packages from npm.
need_node() {
        local p wanted=()
        command -v node >/dev/null || command -v nodejs >/dev/null || wanted+=(nodejs)
        command -v npm >/dev/null || wanted+=(npm)
        if [ ${#wanted[@]} -gt 0 ]; then
                can_be_root "${wanted[@]}"
                if command -v apt-get >/dev/null; then
                        apt_install check "${wanted[@]}"
                else # Fedora has npm in a package of another name
                        for p in "${wanted[@]}"; do dnf_install check "${p/%npm/nodejs-npm}"; done
                fi
        fi
        export ROSTERD_NODE_MODULES=$top/build-node/node_modules
        cmp -s tests/node/package-lock.json build-node/installed && return 0
        say "Installing with npm into build-node/: $(sed -n 's/^    "\([a-z]*\)": "\([0-9.]*\)",\{0,1\}$/\1 \2/p' tests/node/package.json | paste -sd, | sed 's/,/, /g')"
        rm -rf build-node
        mkdir build-node
        cp tests/node/package.json tests/node/package-lock.json build-node/
        quietly build-node/npm.log npm --prefix build-node ci --ignore-scripts --no-audit --no-fund
        cp tests/node/package-lock.json build-node/installed
}

# Debian starts what it installs; the tests start their own.
stop_services() { # PACKAGE...
        local p
        [ -d /run/systemd/system ] || return 0
        for p in "$@"; do
                case $p in prometheus | prometheus-alertmanager) as_root systemctl --quiet disable --now "$p" || : ;; esac
        done
}

need() { # build|demo|check|coverage
        local column p missing=()
        if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
                column=2
        elif command -v dnf >/dev/null; then
                column=3
        else
                needs_by_purpose "$1" >&2
                die "this is neither Debian, Ubuntu nor Fedora: install the above by hand, then build with autoreconf -fi, ./configure and make"
        fi
        for p in $(packages "$1" | cut -d'|' -f$column); do
                if [ $column = 2 ]; then
                        apt_has "${p#\?}" || missing+=("$p")
                else
                        rpm -q "${p#\?}" >/dev/null 2>&1 || rpm -q --whatprovides "${p#\?}" >/dev/null 2>&1 || missing+=("$p")
                fi
        done
        [ ${#missing[@]} -gt 0 ] || return 0
        can_be_root "${missing[@]#\?}"
        if [ $column = 2 ]; then apt_install "$1" "${missing[@]}"; else dnf_install "$1" "${missing[@]}"; fi
        stop_services "${missing[@]}"
}

# ---- building ----------------------------------------------------------------------------------

bootstrap() {
        local f
        if [ -x configure ] && [ -f Makefile.in ]; then
                for f in configure.ac Makefile.am */Makemodule.am */*/Makemodule.am; do
                        [ "$f" -nt configure ] && break
                        f=
                done
                [ -n "$f" ] || return 0
        fi
        autoreconf -fi
}

# What configure looks for and can go on without: the tests' own.
optional() {
        local m
        for m in cmocka libmicrohttpd zlib; do pkg-config --modversion "$m" 2>/dev/null || say "no $m"; done
        /usr/bin/python3 -m pytest --version 2>&1 || python3 -m pytest --version 2>&1 || say "no pytest"
}

# The same arguments as last time, and no package has come or gone: make finds out by itself what has changed.
configure_in() { # DIRECTORY CONFIGURE-ARGUMENT...
        local dir=$1 state
        shift
        state="$top: $*"$'\n'$(optional)
        mkdir -p "$dir"
        [ -f "$dir/Makefile" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$state" ] && return 0
        rm -f "$dir/.configured"
        (cd "$dir" && "$top/configure" "$@") && printf '%s\n' "$state" >"$dir/.configured"
}

# Runs quietly; shows what was said if it fails.
quietly() { # LOG COMMAND...
        local log=$1
        shift
        mkdir -p "$(dirname "$log")"
        "$@" >"$log" 2>&1 || {
                tail -n 40 "$log" >&2
                die "'$*' failed; all that it said is in $log"
        }
}

build() { # MAKE-TARGET...
        say "Building in $PWD/build"
        quietly build/autoreconf.log bootstrap
        quietly build/configure.log configure_in build --prefix=/usr --sysconfdir=/etc --localstatedir=/var
        quietly build/make.log make -C build -j"$jobs" "$@"
}

demo() {
        local dir
        need demo
        build all tests/emulator/chime-emulator
        dir=$(mktemp -d "${TMPDIR:-/tmp}/rosterd-demo.XXXXXX")
        say
        exec python3 tests/demo/demo.py build/rosterd build/tests/emulator/chime-emulator "$dir"
}

install_it() {
        [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "installing takes root: run this as root, or install sudo"
        need build
        build all
        quietly build/install.log as_root make -C build install
        command -v systemd-sysusers >/dev/null ||
                die "installed, but there is no systemd here: make the user and group rosterd, and start /usr/sbin/rosterd, by your own means"
        as_root systemd-sysusers rosterd.conf
        as_root chgrp rosterd /etc/rosterd/rosterd.conf # 0640: for root and the service
        as_root journalctl --update-catalog
        if [ -d /run/systemd/system ]; then
                as_root systemctl daemon-reload
                if systemctl --quiet is-active rosterd; then
                        say "Installed. The rosterd that runs is the one from before, until: systemctl restart rosterd"
                        return
                fi
        fi
        say "Installed. Next: write /etc/rosterd/rosterd.conf and hand over its secrets (README.md, \"Install it as a service\"), then: systemctl enable --now rosterd"
}

# ---- testing -----------------------------------------------------------------------------------

passed=0 failed=0 skipped=0 broken=()

count() { # LOG WORD: the sum of automake's "# WORD:  N" lines
        sed -n "s/^# $2: *\([0-9][0-9]*\)\$/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'
}

# Runs one stage, quietly; counts its tests.  A stage that breaks, or that ran no test, is a failed one.
stage() { # NAME LOG COMMAND...
        local name=$1 log=$2 status=0 p f s begin=$SECONDS
        shift 2
        mkdir -p "$(dirname "$log")"
        printf '== %-34s ' "$name"
        "$@" >"$log" 2>&1 </dev/null || status=$?
        p=$(($(count "$log" PASS) + $(count "$log" XFAIL)))
        f=$(($(count "$log" FAIL) + $(count "$log" XPASS) + $(count "$log" ERROR)))
        s=$(count "$log" SKIP)
        if [ $f = 0 ] && { [ $status != 0 ] || [ $((p + s)) = 0 ]; }; then
                f=1
                say "broke (status $status) after $((SECONDS - begin)) s"
        else
                say "$p passed, $f failed, $s skipped ($((SECONDS - begin)) s)"
        fi
        [ $f = 0 ] || { broken+=("$name|$log") && tell_failures "$name" "$log" >"$log.failures"; }
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# set -e has no effect in what `||` guards: the steps are joined by &&.
gcc_stage() {
        bootstrap && configure_in build-gcc --enable-werror CC=gcc &&
                make -C build-gcc -j"$jobs" && make -C build-gcc -j2 check
}
clang_stage() {
        configure_in build-clang --enable-werror --enable-fuzzers CC=clang 'CFLAGS=-g -O1' &&
                make -C build-clang -j"$jobs" && FUZZ_SEED=1 FUZZ_SECONDS=3 make -C build-clang -j2 check TESTS="\$(sanitizer_tests)"
}
static_stage() { make -C build-gcc check-static; }
valgrind_stage() { make -C build-gcc -j"$jobs" check-valgrind; }
distcheck_stage() { make -C build-gcc -j2 distcheck DISTCHECK_CONFIGURE_FLAGS=--enable-werror TESTS="\$(dist_tests)"; }

# The tests that failed, with what they said; of a broken stage, the end.
tell_failures() { # NAME LOG
        local dir test log shown=no
        dir=$(dirname "$2")
        case $2 in *distcheck*) dir=$(find "$dir" -maxdepth 4 -path '*/_build/sub' | head -n 1) ;; esac
        say
        say "---- $1: what failed (all of it: $2)"
        while read -r test; do
                log=$dir/$test.log
                [ -f "$log" ] || continue
                shown=yes
                say "-- $log"
                awk '/^not ok/ { on = 1 } /^(ok|1\.\.)/ { on = 0 } on' "$log" | head -n 150
                tail -n 5 "$log"
        done < <(sed -n 's/^\(FAIL\|ERROR\): \([^ ]*\).*/\2/p' "$2" | sed 's/\.\(py\|sh\)$//' | sort -u)
        [ $shown = yes ] || tail -n 60 "$2"
}

# By hand: how much of src/ the tests run.  rosterd under systemd cannot write counts, and what is
# killed writes none.
coverage() {
        need check
        need coverage
        need_node
        say "Building in $PWD/build-coverage, then running the tests: this takes a while"
        quietly build-coverage/autoreconf.log bootstrap
        quietly build-coverage/configure.log configure_in build-coverage --enable-coverage CC=gcc 'CFLAGS=-g -O0'
        quietly build-coverage/make.log make -C build-coverage -j"$jobs"
        make -C build-coverage coverage >build-coverage/coverage.log 2>&1 ||
                say "something failed (build-coverage/coverage.log); the figures are of what ran"
        sed -n '/^-\{20,\}/,$p' build-coverage/coverage.txt
        say "By line: build-coverage/coverage/index.html"
}

check() {
        local item
        need check
        need_node
        stage "gcc: every test" build-gcc/check.log gcc_stage
        stage "static analysis" build-gcc/static.log static_stage
        stage "clang with ASan, UBSan and libFuzzer" build-clang/check.log clang_stage
        stage "valgrind: the unit tests" build-gcc/valgrind.log valgrind_stage
        stage "make distcheck" build-gcc/distcheck.log distcheck_stage
        for item in ${broken[@]+"${broken[@]}"}; do cat "${item#*|}.failures"; done
        if [ $failed != 0 ]; then
                say
                for item in "${broken[@]}"; do say "failed: ${item%|*}"; done
        fi
        say
        if [ $skipped = 0 ]; then
                say "$passed passed, $failed failed"
        else
                say "$passed passed, $failed failed, $skipped skipped"
        fi
        [ $failed = 0 ]
}

case ${1:-} in
deps) need build ;;
build) need build && build all && say "Built: build/rosterd" ;;
demo) demo ;;
install) install_it ;;
check) check ;;
coverage) coverage ;;
'' | help | -h | --help) usage ;;
*)
        printf "setup.sh: there is no command '%s'; './setup.sh help' lists them\n" "$1" >&2
        exit 2
        ;;
esac
