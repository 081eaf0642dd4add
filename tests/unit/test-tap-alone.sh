#!/bin/sh
# knocktap can be built without the rest, by the command in README.md, with nothing but POSIX and libsodium.
# Usage: test-tap-alone.sh, with srcdir in the environment.
set -eu
srcdir=$(cd "${srcdir:-.}" && pwd)
program=$PWD/knocktap-alone
command=$(sed -n '/^cc .* -o knocktap /p' "$srcdir/README.md")

[ -n "$command" ] || {
	echo "not ok: README.md has no such command"
	exit 1
}
cd "$srcdir"
eval "$(printf '%s' "$command" | sed "s|-o knocktap |-o '$program' -Wall -Wextra -Werror |")"
version=$("$program" --version)
rm -f "$program"
[ "$version" = "knocktap ${VERSION:?}" ] || {
	echo "not ok: README.md makes $version of it"
	exit 1
}
echo "ok: knocktap by itself"
