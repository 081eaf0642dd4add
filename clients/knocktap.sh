#!/bin/sh
# Sends a token to a host that knocktail guards, with a POSIX shell and openssl, which sends it as eight
# SYNs. See knocktail-protocol(7).
#
#   knocktap.sh [-4 | -6] [-n] [-s ADDRESS] KEYFILE DOOR HOST
#
# -s binds it to the address that the host sees, which doors with bind_source = yes want. -n shows the
# eight ports and sends nothing. No secret is an argument of a program, where others could see it.
set -eu
export LC_ALL=C

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

usage() {
	echo "usage: ${0##*/} [-4 | -6] [-n] [-s ADDRESS] KEYFILE DOOR HOST" >&2
	exit 2
}

# Bytes as hexadecimal digits, and back.
to_hex() { od -An -v -tx1 | tr -d ' \n'; }
from_hex() {
	octal='' left=$1
	while [ -n "$left" ]; do
		byte=0x${left%"${left#??}"} left=${left#??}
		octal="$octal\\0$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))"
	done
	printf %b "$octal"
}

sha256() {
	digest=$(from_hex "$1" | openssl dgst -sha256 -r)
	printf %s "${digest%% *}"
}

# block KEY BYTE: the 32 bytes of the key and 32 zeros, each combined with that byte.
block() {
	left=$1$(printf %064d 0) combined=''
	while [ -n "$left" ]; do
		combined="$combined $((0x${left%"${left#??}"} ^ $2))" left=${left#??}
	done
	# shellcheck disable=SC2086 # numbers
	printf %02x $combined
}

# HMAC-SHA256 (RFC 2104), all in hexadecimal digits: KEY MESSAGE.
hmac() { sha256 "$(block "$1" 0x5c)$(sha256 "$(block "$1" 0x36)$2")"; }

# An address in 16 bytes; nothing: it is none.
addr16() {
	case $1 in
	*[!0-9A-Fa-f:.]*) ;;
	*:*) awk -v a="$1" 'BEGIN {
			n = split(a, f, ":")
			for (i = n; i > 0; i--) {
				if (f[i] !~ /^[0-9A-Fa-f]?[0-9A-Fa-f]?[0-9A-Fa-f]?[0-9A-Fa-f]?$/) exit
				m += f[i] != ""
			}
			c = a
			if (c ~ /:::/ || gsub(/::/, "", c) != (m < 8) || a ~ /^:[^:]|[^:]:$/) exit
			for (z = ":"; m < 8; m++) z = z "0:"
			sub(/::/, z, a)
			n = split(a, f, ":")
			for (i = 1; i <= n; i++) if (f[i] != "") printf "%s", substr("000" f[i], length(f[i]))
		}' | tr '[:upper:]' '[:lower:]' ;;
	*) awk -v a="$1" 'BEGIN {
			n = split(a, f, ".")
			for (i = 1; i <= n; i++) if (f[i] !~ /^[0-9][0-9]?[0-9]?$/ || f[i] > 255) n = 0
			if (n == 4) printf "00000000000000000000ffff%02x%02x%02x%02x", f[1], f[2], f[3], f[4]
		}' ;;
	esac
}

family='' bound='' only_show='' address=$(printf %032d 0)
while getopts 46ns: option; do
	case $option in
	4 | 6) family=$option ;;
	n) only_show=yes ;;
	s)
		address=$(addr16 "$OPTARG")
		[ ${#address} = 32 ] || die "'$OPTARG' is not an address"
		case $OPTARG in *:*) bound=6 ;; *) bound=4 ;; esac
		;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# = 3 ] || usage
file=$1 door=$(printf %s "$2" | tr '[:upper:]' '[:lower:]') host=$3
case $host in
*:*) family=6 host="[$host]" ;;
esac
: "${family:=${bound:-4}}"
[ "${bound:-$family}" = "$family" ] || die "-s: an address of the other family than $host's, IPv$family"
expr "$door" : '[a-z0-9][a-z0-9_-]\{0,31\}$' >/dev/null || die "'$door' is not the name of a door"

[ -r "$file" ] || die "$file: it is not there, or cannot be read"
case $(ls -ldL "$file") in
-r[w-]-------*) ;;
*) die "$file: others may read or write this key: chmod 600 $file" ;;
esac
since='' expires=''
{
	read -r version realm key || :
	while { read -r word value || [ -n "$word" ]; } && [ "$word" != knocktail2 ]; do
		[ "$word" != since ] || since=$value
		[ "$word" != expires ] || expires=$value
	done
} <"$file"
case $key in *[!A-Za-z0-9+/=]*) key='' ;; esac
expr "$version $realm ${#key}" : 'knocktail2 [a-z0-9._-]\{1,64\} 44$' >/dev/null ||
	die "$file: it does not hold a key of knocktail's"
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
[ -z "$expires" ] || expr "$now" '<' "$expires" >/dev/null ||
	die "$file: the key expired on $expires: ask for a new one"
[ -z "$since" ] || expr "$now" '>=' "$since" >/dev/null || die "$file: the key is good from $since on"

text() { printf %s "$1" | to_hex; }
key=$(printf '%s\n' "$key" | openssl base64 -d | to_hex)
base=$(hmac "$key" "$(text knocktail/2)00$(text "$realm")")
tail=00$(text "$door")000$family$(printf %016x $(($(date +%s) / 30)))
select=$(hmac "$base" "$(text token)00$(text select)$tail")
rest=$(hmac "$base" "$(text token)00$(text rest)$tail$address")

words=${select%"${select#????????}"}${rest%????????} ports=''
while [ -n "$words" ]; do
	word=${words%"${words#????????}"} words=${words#????????}
	# 65536 is 1024 more than 64512; not every shell counts to 2^32.
	port=$((1024 + (0x${word%????} * 1024 + 0x${word#????}) % 64512))
	while case " $ports " in *" $port "*) ;; *) false ;; esac do
		port=$((port < 65535 ? port + 1 : 1024))
	done
	ports=${ports:+$ports }$port
done
if [ -n "$only_show" ]; then
	echo "$ports"
	exit
fi

# Long enough for each SYN to be sent three times.
tries=''
trap 'kill $tries 2>/dev/null || :' EXIT
for port in $ports; do
	openssl s_client "-$family" -connect "$host:$port" </dev/null >/dev/null 2>&1 &
	tries="$tries $!"
done
sleep 4
