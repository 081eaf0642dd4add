#!/bin/sh
# The layers run one way: what each may include, and that the core needs nothing but libc and libsodium.
# Usage: test-layers.sh, with the environment of `make check`: srcdir, NM, and libcore.a in the current
# folder.
set -u
srcdir=${srcdir:-.}
failures=0

fail() {
	echo "not ok: $1"
	failures=$((failures + 1))
}

files() {
	find "$srcdir/src/$1" -name '*.[ch]' | sort
}

# may_include LAYER "LAYERS": the headers of the project that files of LAYER may include.
may_include() {
	files "$1" | while read -r file; do
		sed -n 's|^#include "\([^"]*\)".*|\1|p' "$file" | while read -r header; do
			case " $1 $2 " in
			*" ${header%%/*} "*) ;;
			*) echo "$file includes $header" ;;
			esac
		done
	done
}

check_includes() {
	wrong=$(may_include "$1" "$2")
	[ -z "$wrong" ] || fail "$wrong"
	known="$known $1 "
}

# only_in "LAYERS" HEADER: a header of a library that no other layer may include.
only_in() {
	for directory in "$srcdir"/src/*/; do
		layer=$(basename "$directory")
		case " $1 " in
		*" $layer "*) continue ;;
		esac
		wrong=$(files "$layer" | xargs grep -l "^#include <$2")
		[ -z "$wrong" ] || fail "<$2...> is included by $wrong"
	done
}

known=""
check_includes core ""
check_includes util ""
check_includes format "core util"
check_includes input "core util"
check_includes config "core util"
check_includes firewall "core util"
check_includes ruleset "core util"
check_includes audit "core util"
check_includes keys "core util"
check_includes grant "core util firewall"
check_includes match "core util format config keys"
check_includes daemon "core util format input config firewall grant audit keys match bus-names.h"
check_includes cli "core util format input config firewall ruleset grant audit keys match fleet bus-names.h"
check_includes fleet "core util bus-names.h"
check_includes tap "core util"
for directory in "$srcdir"/src/*/; do
	case "$known" in
	*" $(basename "$directory") "*) ;;
	*) fail "src/$(basename "$directory") is a layer that this test does not know" ;;
	esac
done

only_in "input audit daemon cli fleet" systemd/
only_in "fleet" mosquitto.h
only_in "format" pcre2.h
only_in "config" iniparser.h
only_in "config" dictionary.h
only_in "cli ruleset" json-c/
only_in "firewall" libipset/
only_in "firewall" nftables/
only_in "cli" qrencode.h

# Within a layer, too, nobody needs somebody who needs him: what one object file defines and another one
# uses makes an order, as the linker sees it. Automake puts the library's name before an object's.
symbols() {
	find src -name '*.o' ! -name 'tests_*' -exec "${NM:-nm}" -A -g "$1" {} + 2>/dev/null |
		sed -E 's/^([^:]*)\.o:/\1 /; s/(lib[a-z]+_a|knocktail_fleetd|knocktaild|knocktail|knocktap)-//' |
		awk '{ print $NF, $1 }' | grep -v '^main ' | sort -u
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
symbols --defined-only >"$scratch/defined"
symbols -u >"$scratch/used"
[ -s "$scratch/defined" ] || fail "this folder has no object files in src/"
join "$scratch/used" "$scratch/defined" | awk '$2 != $3 { print $2, $3 }' | sort -u >"$scratch/needs"
tsort "$scratch/needs" >/dev/null 2>"$scratch/circles" ||
	fail "files need each other in a circle: $(sed 's/^tsort: //; s/^-: .*/;/' "$scratch/circles" | tr '\n' ' ')"
twice=$(cut -d ' ' -f 1 "$scratch/defined" | grep -v '^__' | uniq -d | tr '\n' ' ')
[ -z "$twice" ] || fail "functions that exist twice: $twice"

# A newcomer's way through the house: few rooms on a floor, no file that repeats its folder's name, a
# prefix that three files share is a folder, one meaning for a tag, a header for each room.
# Verbs, rows of a table and main() need none: they are known by what calls them.
# What a build in the tree has made is none.
rooms() {
	find "$1" -maxdepth 1 -name '*.[ch]' ! -exec test -e '{}.in' ';' -print | sed 's|.*/||; s|\.[ch]$||' | sort -u
}

for directory in $(find "$srcdir/src" -type d | sort); do
	name=$(basename "$directory")
	[ "$(rooms "$directory" | wc -l)" -le 16 ] || fail "$directory holds more than 16 rooms"
	wrong=$(rooms "$directory" | grep "^$name-")
	[ -z "$wrong" ] || fail "$directory: $wrong repeats the folder's name"
	wrong=$(rooms "$directory" | sed -n 's/-.*//p' | uniq -c | awk '$1 > 2 { print $2 }')
	[ -z "$wrong" ] || fail "$directory: three files begin with $wrong-, which should be a folder"
done

tags=$(find "$srcdir/src" -name '*.[ch]' -exec grep -hoE '^(struct|enum) [a-z_0-9]+ \{' {} + | sort | uniq -d)
[ -z "$tags" ] || fail "tags that exist twice: $(echo "$tags" | tr -d '{\n')"

rows="cli/doctor/access.c cli/doctor/boot.c cli/doctor/firewall.c cli/doctor/members.c cli/doctor/neighbours.c cli/doctor/system.c cli/rules/plan-iptables.c cli/rules/plan-nft.c
config/parse/auth.c config/parse/backend.c config/parse/knock.c config/parse/log.c"
for file in $(files "" | grep '\.c$'); do
	! echo "$rows" | tr ' ' '\n' | grep -qx "${file##*/src/}" || continue
	[ -e "${file%.c}.h" ] || grep -qE '^(int main\(|(static )?const struct (verb|backend|[a-z_]+_ops) )' "$file" ||
		fail "$file has no header of its own"
done

# What the core takes from outside itself: computing, memory and text. No descriptor, no clock, no log.
allowed='^(aligned_alloc|bcmp|bsearch|calloc|madvise|malloc|realloc|free|mem[a-z]+|st[pr][a-z]+|inet_pton|inet_ntop|gmtime_r|crypto_[a-z0-9_]+|sodium_[a-z0-9_]+|__stack_chk_fail|__(mem|st[pr])[a-z]+_chk|__asan_.*|__gcov_.*|__ubsan_.*|__sanitizer_.*|_GLOBAL_OFFSET_TABLE_|__isoc.*_str[a-z]+|__tls_get_addr)$'
own=$(${NM:-nm} --defined-only libcore.a 2>/dev/null | sed -n 's/.* [TDRBC] //p' | sort -u)
for symbol in $(${NM:-nm} -u libcore.a | sed -n 's/^ *U //p' | sort -u); do
	case "
$own
" in
	*"
$symbol
"*) continue ;;
	esac
	echo "$symbol" | grep -Eq "$allowed" || fail "libcore.a uses $symbol"
done

# Whoever knocks needs no more than this installed (and the sanitizers, in a build with them).
for library in $(readelf -d knocktap | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
	case $library in
	libsodium.so.* | libc.so.* | ld-linux* | libasan.so.* | libubsan.so.* | libgcc_s.so.* | libm.so.*) ;;
	*) fail "knocktap needs $library" ;;
	esac
done

[ "$failures" -eq 0 ] && echo "ok: the layers hold"
[ "$failures" -eq 0 ]
