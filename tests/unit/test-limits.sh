#!/bin/sh
# The limits of the rules in etc/ and in the documents are those of the rules that `knocktail rules`
# prints.
# Usage: test-limits.sh, with the environment of `make check`: srcdir.
set -u
srcdir=${srcdir:-.}
knocktail=${KNOCKTAIL:-./knocktail}
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
failures=0

# same WHAT OURS THEIRS
same() {
	[ -n "$2" ] && [ "$2" = "$3" ] && return
	printf 'not ok: %s\nprinted:\n%s\nshipped:\n%s\n' "$1" "$2" "$3"
	failures=$((failures + 1))
}

# What a LOG rule of iptables asks before it logs.
limits_of_iptables() {
	grep -o -e '^-[46] .*-j LOG' | sed 's/-A [A-Z_]* //'
}

# The slots of nft, and what its rules ask before they log; without the names of the sets.
limits_of_nft() {
	sed 's/@[a-z_]*slots/@slots/; s/set [a-z_]*slots/set slots/' |
		grep -A 4 -e 'set slots' -e 'update @slots' | grep -v '^--' |
		sed -n '/set slots/,/timeout 2m/p; s/.*\(ip6* saddr != .*\) log prefix.*/\1/p'
}

# What logs and ends the way of what comes to expected ports.
expected() {
	grep -e 'knocktail_expected dst' -e '@knocktail_expected' | sed 's/^-A [A-Z_]*/-A LOG/; s/^[\t ]*//' |
		sed 's/ --log-tcp-options//; s/ flags tcp options//'
}

for backend in iptables nft; do
	set=knock_ssh
	[ "$backend" = nft ] && set="inet knock knock_ssh"
	[ "$backend" = iptables ] && kind=ipset || kind=nft
	cat >"$directory/$backend.conf" <<-END
		[options]
		log_prefix = "[knock] "
		keys = $directory
		realm = lab
		[door ssh]
		auth = sequence, token
		users = *
		sequence = 7000, 9000, 8000
		timeout = 30s
		backend = $kind
		set = $set
		ports = 22/tcp
	END
	chmod 600 "$directory/$backend.conf"
	same "the limits in etc/firewall.$backend" \
		"$("$knocktail" rules "$backend" -c "$directory/$backend.conf" | "limits_of_$backend")" \
		"$("limits_of_$backend" <"$srcdir/etc/firewall.$backend")"
	same "the rules for expected ports in etc/firewall.$backend" \
		"$("$knocktail" rules "$backend" -c "$directory/$backend.conf" | expected)" \
		"$(expected <"$srcdir/etc/firewall.$backend")"
done

# limit NAME: its number in the header.
limit() {
	sed -n "s/.*$1 = \([0-9]*\).*/\1/p; s/#define $1 \"\(.*\)\"/\1/p" \
		"$srcdir/src/cli/common/limits.h"
}
all=$(limit LIMIT_ALL_RATE)
for file in doc/comparison.md man/knocktaild.8; do
	for words in "$(limit LIMIT_LINE_BYTES) bytes" "$(echo "${all%/second}" | sed 's/000$/,000/') lines a second"; do
		tr '\n' ' ' <"$srcdir/$file" | grep -q "$words" && continue
		printf 'not ok: %s does not say "%s"\n' "$file" "$words"
		failures=$((failures + 1))
	done
done

[ $failures -eq 0 ] || exit 1
echo ok
