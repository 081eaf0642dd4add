#!/bin/sh
# Each verb's --help and its section in knocktail(1) tell of the same options.
# Usage: test-help.sh, with the environment of `make check`: srcdir; in the build directory.
set -u
page=${srcdir:-.}/man/knocktail.1
failures=0
n=0

# Those that every verb has are explained once, for all.
own() {
	grep -vE -- '^--(help|output|config)$' | sort -u
}

for verb in $(./knocktail --help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'); do
	helped=$(./knocktail "$verb" --help | grep -oE -- '--[a-z][a-z-]+' | own)
	explained=$(sed -n "/^\.Ss $verb\$/,/^\.S[sh] /p" "$page" | grep '^\.It ' |
		grep -oE 'Fl Fl [a-z-]+' | sed 's/Fl Fl /--/' | own)
	n=$((n + 1))
	[ "$helped" = "$explained" ] && continue
	printf 'not ok: knocktail %s --help has\n%s\nand %s\n%s\n' "$verb" "$helped" "$page" "$explained"
	failures=$((failures + 1))
done

[ "$n" -gt 0 ] && [ "$failures" -eq 0 ] && echo "ok: help and man page of $n verbs have the same options"
[ "$n" -gt 0 ] && [ "$failures" -eq 0 ]
