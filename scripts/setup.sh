#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: a C compiler (for the
# race detector), Node and the SDKs that Fattorino is tested with, the two Python
# modules of an example, PostgreSQL and PgBouncer, and strace, with which losses
# of power are tried. As root on Debian or Ubuntu it installs the packages; anywhere else it
# says which are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

lacks() { ! command -v "$1" >/dev/null 2>&1; }

# The example for Python runs with the interpreter that has the modules.
lacks_python() {
	for python in python3 /usr/bin/python3; do
		if "$python" -c 'import jwt, cryptography' >/dev/null 2>&1; then return 1; fi
	done
}

lacks_postgresql() { lacks initdb && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

needed=()
if lacks gcc; then needed+=(gcc libc6-dev); fi
if lacks node; then needed+=(nodejs); fi
if lacks npm; then needed+=(npm); fi
if lacks chromium; then needed+=(chromium); fi
if lacks_postgresql; then needed+=(postgresql); fi
if lacks pgbouncer && [ ! -x /usr/sbin/pgbouncer ]; then needed+=(pgbouncer); fi
wanted=()
if lacks_python; then wanted+=(python3 python3-jwt python3-cryptography); fi
if lacks strace && [ "$(uname)" = Linux ]; then wanted+=(strace); fi

can_install() { [ "$(id -u)" = 0 ] && ! lacks apt-get; }

install_packages() {
	say "installing $*"
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

# The tests run servers of their own: the packages are kept from making and
# starting any.
without_cluster() {
	install_packages postgresql-common
	local settings=/etc/postgresql-common/createcluster.conf failed=0
	cp -p "$settings" "$settings.setup"
	echo 'create_main_cluster = false' >>"$settings"
	"$@" || failed=$?
	mv "$settings.setup" "$settings"
	return "$failed"
}
without_starting() {
	local policy=/usr/sbin/policy-rc.d failed=0
	if [ -e "$policy" ]; then "$@"; return; fi # the machine has one of its own
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	"$@" || failed=$?
	rm "$policy"
	return "$failed"
}

if [ ${#needed[@]} -gt 0 ] || [ ${#wanted[@]} -gt 0 ]; then
	if can_install; then
		apt-get update -q >/dev/null || say "the package lists could not be renewed; going on with what is there"
	elif [ ${#needed[@]} -gt 0 ]; then
		fail "these are missing: ${needed[*]}. On Debian or Ubuntu: sudo apt-get install ${needed[*]} ${wanted[*]}"
	else
		say "some tests will be skipped. On Debian or Ubuntu: sudo apt-get install ${wanted[*]}"
	fi
fi
if can_install; then
	if lacks_postgresql; then
		without_starting without_cluster install_packages "${needed[@]}"
	elif [ ${#needed[@]} -gt 0 ]; then
		without_starting install_packages "${needed[@]}"
	fi
	if [ ${#wanted[@]} -gt 0 ]; then
		install_packages "${wanted[@]}" || say "some tests will be skipped: these are missing: ${wanted[*]}"
	fi
fi

node=$(node --version)
major=${node#v}
if [ "${major%%.*}" -lt 20 ]; then
	fail "Node 20 or newer is needed, and this machine has $node: see https://nodejs.org/"
fi

# npm writes the file that is looked for last, as a copy of the lock file that it
# followed.
install_modules() {
	( cd "$1"
	if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
		say "installing the modules of $1"
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
		touch node_modules/.package-lock.json
	fi )
}
install_modules test/interop
install_modules test/browser
