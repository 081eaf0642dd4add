#!/bin/sh
# The events that src/audit and the agent send, the catalog and knocktail.events(7) are the same set, with the same
# fields.
# Usage: test-events.sh, with the environment of `make check`: srcdir.
set -u
srcdir=${srcdir:-.}
page=$srcdir/man/knocktail.events.7
catalog=$srcdir/systemd/knocktail.catalog
failures=0

# same WHAT "OURS" WHERE "THEIRS"
same() {
	[ -n "$2" ] && [ "$2" = "$4" ] && return
	printf 'not ok: %s of src/audit:\n%s\nand of %s:\n%s\n' "$1" "$2" "$3" "$4"
	failures=$((failures + 1))
}

ids=$(cat "$srcdir"/src/audit/*.c "$srcdir/src/fleet/agent/notice.c" | grep -o '"[0-9a-f]\{32\}"' | tr -d '"' | sort)
same 'MESSAGE_IDs' "$ids" "$catalog" "$(sed -n 's/^-- \([0-9a-f]*\)$/\1/p' "$catalog" | sort)"
same 'MESSAGE_IDs' "$ids" "$page" "$(sed -n 's/^\.It Li \([0-9a-f]\{32\}\) .*/\1/p' "$page" | sort)"

# Each with its priority and its words.
said=$(tr -d '\n\t' <"$srcdir/src/audit/audit.c" |
	grep -o '{"[0-9a-f]\{32\}", LOG_[A-Z]*, *"[^"]*"}' |
	sed 's/{"\(.*\)", LOG_\([A-Z]*\), *"\(.*\)"}/\1 \2 \3/' | tr '[:upper:]' '[:lower:]' | sort)
same 'priorities and words' "$said" "$page" \
	"$(sed '/^\.Ss Of the fleet/,/^\.El/d' "$page" |
		sed -n 's/^\.It Li \([0-9a-f]*\) Pq \([a-z]*\) , Dq \(.*\)$/\1 \2 \3/p' | sort)"
said=$(sed -n 's/.*{"\([0-9a-f]*\)", LOG_\([A-Z]*\)}.*/\1 \2/p' "$srcdir/src/fleet/agent/notice.c" |
	tr '[:upper:]' '[:lower:]' | sort)
same 'priorities' "$said" "$page" "$(sed -n '/^\.Ss Of the fleet/,/^\.El/ s/^\.It Li \([0-9a-f]*\) Pq \([a-z]*\) , .*/\1 \2/p' "$page" | sort)"

fields=$(cat "$srcdir"/src/audit/*.c | grep -o '"KNOCKTAIL_[A-Z_]*=' | tr -d '"' | sort -u)
same 'fields' "$fields" "$page" "$(sed -n 's/^\.It Ev \(KNOCKTAIL_[A-Z_]*=\)$/\1/p' "$page" | sort -u)"
same 'fields' "$fields" "src/audit/audit.h" \
	"$(grep -o 'KNOCKTAIL_[A-Z_]*=' "$srcdir/src/audit/audit.h" | sort -u)"

# What the catalog fills in are fields that there are.
for field in $(grep -o '@KNOCKTAIL_[A-Z_]*@' "$catalog" | tr -d '@' | sort -u); do
	case $fields in
	*"$field="*) ;;
	*)
		echo "not ok: $catalog names $field"
		failures=$((failures + 1))
		;;
	esac
done

# journalctl(1) itself finds nothing wrong with the catalog, where it is installed.
if command -v journalctl >/dev/null; then
	scratch=$(mktemp -d) || exit 1
	mkdir -p "$scratch/usr/lib/systemd/catalog" "$scratch/var/lib/systemd/catalog"
	cp "$catalog" "$scratch/usr/lib/systemd/catalog/"
	told=$(journalctl --root="$scratch" --update-catalog 2>&1) &&
		listed=$(journalctl --root="$scratch" --list-catalog 2>&1) || failures=$((failures + 1))
	same 'MESSAGE_IDs' "$ids" "journalctl --list-catalog ($told)" \
		"$(printf '%s\n' "$listed" | sed -n 's/^\([0-9a-f]\{32\}\) knocktail:.*/\1/p' | sort)"
	rm -rf "$scratch"
fi

[ "$failures" -eq 0 ] && echo "ok: catalog, man page and daemon name the same events"
[ "$failures" -eq 0 ]
