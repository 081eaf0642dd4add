#!/bin/sh
# Each verb's --help and its section in knocktail(1) tell of the same options, and the section JSON of
# the keys that it prints.
# Usage: test-help.sh, with the environment of `make check`: srcdir, sysconfdir, localstatedir and
# runstatedir; in the build directory.
set -u
page=${srcdir:-.}/man/knocktail.1
failures=0
n=0

# Those that every verb has are explained once, for all.
own() {
	grep -vE -- '^--(help|output|config)$' | sort -u
}

# A terminal has 80 columns. Measured with the paths that packages have, however this was configured.
fits() {
	long=$($1 | sed -e "s|${runstatedir:-/run}/|/run/|g" -e "s|${localstatedir:-/var}/|/var/|g" \
		-e "s|${sysconfdir:-/etc}/|/etc/|g" | grep -E '.{81}')
	n=$((n + 1))
	[ -z "$long" ] && return
	printf 'not ok: more than 80 columns in %s\n%s\n' "$1" "$long"
	failures=$((failures + 1))
}
fits './knocktail --help'
fits './knocktaild --help'
fits './knocktap --help'

for verb in $(./knocktail --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'); do
	fits "./knocktail $verb --help"
	helped=$(./knocktail "$verb" --help | grep -oE -- '--[a-z][a-z-]+' | own)
	explained=$(sed -n "/^\.Ss $verb\$/,/^\.S[sh] /p" "$page" | grep '^\.It ' |
		grep -oE 'Fl Fl [a-z-]+' | sed 's/Fl Fl /--/' | own)
	n=$((n + 1))
	[ "$helped" = "$explained" ] && continue
	printf 'not ok: knocktail %s --help has\n%s\nand %s\n%s\n' "$verb" "$helped" "$page" "$explained"
	failures=$((failures + 1))
done

# The keys of its JSON stand in the page's section of that name, and no others. Names that are not
# literals in the source are not looked at.
explained_keys() {
	sed -n "/^\.Sh JSON\$/,/^\.Sh ENV/p" "$page" | sed -n "/^\.It Cm $1\$/,/^\.\(It\|El\)/p" |
		sed '1d' | grep '^\.Ql ' | sed 's/^\.Ql \([a-z_]*\).*/\1/' | sort -u
}
for sources in check:check.c status:control/status.c list:control/list.c open:control/open.c \
	close:control/close.c reload:control/reload.c watch:watch/watch.c replay:replay/replay.c \
	audit:audit/audit.c metrics:control/metrics.c doctor:doctor keys:keys.c keygen:keygen; do
	verb=${sources%%:*}
	put=$(grep -rhoE 'json_put[a-z_]*\([^,]+, ("[a-z_]+"|visit[^,]*"[a-z_]+" : "[a-z_]+")' \
		"${srcdir:-.}/src/cli/${sources#*:}" | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
	n=$((n + 1))
	[ -n "$put" ] && [ "$put" = "$(explained_keys "$verb")" ] && continue
	printf 'not ok: knocktail %s -o json has the keys\n%s\nand %s\n%s\n' "$verb" "$put" "$page" \
		"$(explained_keys "$verb")"
	failures=$((failures + 1))
done

[ "$n" -gt 0 ] && [ "$failures" -eq 0 ] && echo "ok: help, man page and JSON of the verbs agree ($n looked at)"
[ "$n" -gt 0 ] && [ "$failures" -eq 0 ]
