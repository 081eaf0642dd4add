# What tools/check and tools/demo share: packages, progress, the build. For bash; to be sourced.
# shellcheck shell=bash

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build

# shellcheck disable=SC2034 # all of these: used where this is sourced
BUILD_PACKAGES=(
	autoconf automake make gcc libc6-dev pkg-config
	libsystemd-dev libpcre2-dev libiniparser-dev libsodium-dev libipset-dev libnftables-dev
	libjson-c-dev libqrencode-dev libmosquitto-dev libcmocka-dev
)
# The laboratory: namespaces, journald, firewalls, and a line to the guarded port.
# shellcheck disable=SC2034
LAB_PACKAGES=(
	python3 systemd util-linux mount coreutils iproute2 iptables ipset nftables kmod procps
	netcat-openbsd
)
# Whoever knocks or looks on in the end-to-end tests.
# shellcheck disable=SC2034
TEST_PACKAGES=(
	python3-pytest python3-pytest-xdist bsdutils knockd nmap hping3 socat systemd-journal-remote
	systemd-container mmdebstrap strace openssh-server
	openssh-client zbar-tools dbus-daemon libglib2.0-bin bash-completion zsh fish
	python3-prometheus-client python3-yaml nodejs ulogd2 mosquitto mosquitto-clients
	clang git openssl xz-utils
)
# For the page that knocks. Ubuntu has browsers as snaps alone, which do not enter namespaces.
! grep -qx ID=debian /etc/os-release || TEST_PACKAGES+=(chromium firefox-esr)

# What builds and runs the container image and the RPM packages (tools/deb --check).
# shellcheck disable=SC2034
PACKAGING_PACKAGES=(crun podman podman-compose rpm)

# The kernel's part: what is a module here may not get loaded from inside a namespace.
MODULES=(veth bridge nf_tables nf_conntrack nf_log_syslog ip_set_hash_ip xt_set xt_LOG nft_log
	nft_compat nft_ct nfnetlink_log xt_NFLOG)

if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	BOLD=$(printf '\033[1m') PLAIN=$(printf '\033[0m')
else
	BOLD='' PLAIN=''
fi

say() {
	printf '%s==> %s%s\n' "$BOLD" "$*" "$PLAIN"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# alone_in DIRECTORY: until this program ends, no other one may be there.
alone_in() {
	mkdir -p "$1"
	exec 9>"$1/lock"
	flock -n 9 || die "another run is in $1"
}

# need PACKAGE...: installs those that are missing, with fresh package lists if the old ones fail.
need() {
	local package missing=() log
	command -v dpkg-query >/dev/null ||
		die "this is neither Debian nor Ubuntu: install by hand what README.md lists"
	for package; do
		installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "not installed: ${missing[*]} (as root this would install them)"

	say "installing ${missing[*]}"
	log=$(mktemp)
	if ! logged "$log" apt_install "${missing[@]}"; then
		if ! logged "$log" apt-get update || ! logged "$log" apt_install "${missing[@]}"; then
			tail -n 20 "$log" >&2
			rm -f "$log"
			die "apt-get could not install: ${missing[*]}"
		fi
	fi
	rm -f "$log"
}

# Programs are wanted, not their services: none is started (invoke-rc.d(8), policy-rc.d).
apt_install() {
	local policy=/usr/sbin/policy-rc.d made='' status=0
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "$@" </dev/null || status=$?
	[ -z "$made" ] || rm -f "$policy"
	return "$status"
}

# apt_sources SUITE: the archives that this machine's apt has for its own suite, with its updates, as
# lines of sources.list(5) for another one of the same distribution.
apt_sources() {
	local own distribution lines
	# shellcheck disable=SC1091 # not ours
	own=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
	# shellcheck disable=SC1091
	distribution=$(. /etc/os-release && echo "$ID")
	[ "$1" = "$own" ] || [ "$distribution" = debian ] ||
		die "this is not Debian: its apt has no archive of $1"
	lines=$(apt_archives "$own")
	if [ -z "$lines" ]; then
		apt-get update -qq >/dev/null 2>&1 </dev/null || true
		lines=$(apt_archives "$own")
	fi
	while read -r uri codename components; do
		[ -z "$uri" ] || echo "deb $uri $1${codename#"$own"} $components"
	done <<<"$lines"
}

# URI, codename and component of each archive of a suite and its updates. Before the first `apt-get
# update` apt knows no codenames, only what sources.list calls a release.
apt_archives() {
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
		'Created-By: Packages' 2>/dev/null </dev/null |
		awk -v own="$1" '/http/ && ($2 == own || $2 == own "-updates" || $2 == own "-security")' |
		sort -u
}

# How this machine's apt reaches its archives, for an apt.conf(5).
apt_settings() {
	apt-config dump --no-empty Acquire |
		grep -E '^Acquire::(http|https|Retries|ForceIPv[46]|Check-|Allow)' |
		grep -v Proxy-Auto-Detect || true
}

# apt_keys DIRECTORY: the keys that this machine's apt believes, those of Debian's archives included.
apt_keys() {
	local file
	mkdir -p "$1"
	for file in /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d/*.{gpg,asc} /etc/apt/keyrings/*.{gpg,asc} \
		/usr/share/keyrings/{debian,ubuntu}-archive-keyring.gpg; do
		[ ! -s "$file" ] || cp -L "$file" "$1/"
	done
	chmod 644 "$1"/*
}

# Prometheus' own checker for a test, out of Debian's package: one of its own since Debian 13, before
# that the server's.
fetch_promtool() {
	command -v promtool >/dev/null || [ -x "$BUILD/promtool" ] && return 0
	local scratch=$BUILD/promtool.making
	rm -rf "$scratch"
	mkdir -p "$scratch"
	(cd "$scratch" && { apt-get download promtool || apt-get download prometheus; } &&
		dpkg-deb -x ./*.deb . && cp usr/bin/promtool "$BUILD/") >/dev/null 2>&1 </dev/null ||
		say "promtool cannot be had: its test will be skipped"
	rm -rf "$scratch"
}

# ufw and firewalld for their tests, unpacked with what they miss: installed, they would take over this
# machine's firewall at its next start. Not in what give_back() gives back: ufw wants it to be root's.
fetch_firewalls() {
	local scratch=$BUILD/machine/firewalls.making package tree=$BUILD/machine/firewalls
	command -v ufw >/dev/null && command -v firewalld >/dev/null && return 0
	[ ! -d "$tree" ] || return 0
	(rm -rf "$scratch" &&
		mkdir -p "$scratch/partial" "$scratch/tree/etc" "$scratch/tree/usr"/{bin,sbin,lib} &&
		ln -s usr/bin usr/sbin usr/lib "$scratch/tree" &&
		apt-get -y --no-install-recommends --download-only -o Dir::Cache::archives="$scratch" \
			-o DPkg::Lock::Timeout=300 install ufw firewalld &&
		for package in "$scratch"/*.deb; do
			dpkg-deb --fsys-tarfile "$package" |
				tar -x --keep-directory-symlink -C "$scratch/tree" || exit 1
		done && mv "$scratch/tree" "$tree") >/dev/null 2>&1 </dev/null ||
		say "ufw and firewalld cannot be had: their tests will be skipped"
	rm -rf "$scratch"
}

# enter PLACE COMMAND...: runs it in the root file system PLACE/root, with PLACE/source as /src; what it
# changes elsewhere is gone afterwards.
enter() {
	local place=$1 variable kept=()
	shift
	for variable in CI TERM NO_COLOR MAKEFLAGS {http,https,ftp,all,no}_proxy \
		{HTTP,HTTPS,FTP,ALL,NO}_PROXY; do
		[ -z "${!variable+set}" ] || kept+=("$variable=${!variable}")
	done
	# unshare(1) outlives INT and TERM, and would take its child with it: let it outlive HUP as well.
	(
		trap '' HUP
		exec env -i "${kept[@]}" HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			unshare --mount --pid --fork --kill-child --propagation private \
			env --default-signal=HUP "$ROOT/tools/inside" "$place/root" "$place" "$@"
	)
}

# What a root file system is made of. What its making needs is in it too.
root_recipe() {
	apt_sources "$1"
	printf '%s\n' "${@:2}"
	cat "$ROOT/tools/make-root"
}

# Left to itself, apt calls it a success if no archive answers.
update_lists() {
	enter "$1" apt-get update -qq -o APT::Update::Error-Mode=any >"$1/apt.log" 2>&1 </dev/null
}

# Whether the root file system is what one made now would be. One that the archive cannot be asked
# about is.
root_is_fresh() {
	local suite=$1 place=$2
	[ -d "$place/root" ] && [ "$(root_recipe "$suite" "${@:3}")" = "$(cat "$place/recipe" 2>/dev/null)" ] ||
		return 1
	if ! update_lists "$place"; then
		tail -n 3 "$place/apt.log" >&2
		say "$suite: the archive does not answer; the root file system is used as it is"
		return 0
	fi
	! enter "$place" apt-get -s dist-upgrade </dev/null | grep -q ^Inst
}

# root_file_system SUITE PLACE PACKAGE...: makes it in PLACE/root, where it is used again until the
# archive has something newer or what has to be in it has changed. PLACE/source and PLACE/mnt are there.
root_file_system() {
	local suite=$1 place=$2
	mkdir -p "$place/source" "$place/mnt"
	! root_is_fresh "$@" || return 0
	say "making a root file system of $suite in ${place#"$ROOT/"}/root (a minute or two)"
	rm -rf --one-file-system "$place/root" "$place/source/build" "$place/recipe"
	"$ROOT/tools/make-root" "$suite" "$place/root" "${@:3}"
	update_lists "$place" || true
	root_recipe "$suite" "${@:3}" >"$place/recipe"
}

# Loads what the kernel may lack so far; the laboratory tells what it misses in the end.
load_modules() {
	local module
	[ "$(id -u)" = 0 ] && command -v modprobe >/dev/null || return 0
	for module in "${MODULES[@]}"; do
		modprobe -q "$module" 2>/dev/null || true
	done
}

# logged LOG COMMAND...: its output goes to LOG; where it takes long, the last line is shown now and then.
logged() {
	local log=$1 ticker status=0
	shift
	# sleep must not hold our output open, nor the lock of alone_in(): it outlives the loop.
	(while sleep 30 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		printf '    ... %s\n' "$(tail -n 1 "$log" | cut -c 1-90)"
	done) 9>&- &
	ticker=$!
	"$@" >"$log" 2>&1 </dev/null || status=$?
	kill "$ticker"
	wait "$ticker" 2>/dev/null || true
	return "$status"
}

# quietly LOG COMMAND...: its output is shown only if it fails.
quietly() {
	if ! logged "$@"; then
		tail -n 40 "$1" >&2
		die "failed: ${*:2} (all of it: $1)"
	fi
}

# Of whoever's clone, as sudo and continuous integration have it.
git() {
	command git -c safe.directory='*' "$@"
}

# copy_source DIRECTORY: the source tree without what was built or configured in it.
copy_source() {
	mkdir -p "$1"
	tar -C "$ROOT" --exclude-vcs --exclude='./build*' --exclude='*.o' --exclude='*.a' \
		--exclude='*.log' --exclude='*.trs' --exclude=.deps --exclude=.dirstamp \
		--exclude=__pycache__ --exclude=./configure --exclude=./aclocal.m4 \
		--exclude=./autom4te.cache --exclude=./config.h --exclude=./config.status \
		--exclude=./Makefile --exclude=./Makefile.in --exclude=./stamp-h1 \
		--exclude='./systemd/*.service' --exclude='./systemd/*.tmpfiles' \
		--exclude=./knocktail.spec \
		--exclude=./src/util/programs.h -cf - . | tar -C "$1" -xf -
}

# Where to build from. A source directory that has been configured itself cannot be built from
# elsewhere: then from a copy of it.
source_directory() {
	local copy=$BUILD/source
	if [ ! -e "$ROOT/config.status" ]; then
		echo "$ROOT"
		return
	fi
	copy_source "$copy"
	echo "$copy"
}

# build DIRECTORY [CONFIGURE-OPTION...]: configures if need be, and makes.
build() {
	local directory=$1 source options=(--prefix=/usr --sysconfdir=/etc --localstatedir=/var)
	shift
	options+=("$@")
	mkdir -p "$directory"
	source=$(source_directory)
	if [ ! -x "$source/configure" ] || [ "$source/configure.ac" -nt "$source/configure" ] ||
		[ "$source/Makefile.am" -nt "$source/configure" ]; then
		(cd "$source" && quietly "$directory/autogen.log" ./autogen.sh)
	fi
	# A build that was made from elsewhere or with other options starts afresh.
	if [ "$(cat "$directory/configured" 2>/dev/null)" != "$source ${options[*]}" ] ||
		[ "$source/configure" -nt "$directory/config.status" ]; then
		(cd "$directory" && quietly "$directory/configure.log" "$source/configure" "${options[@]}")
		echo "$source ${options[*]}" >"$directory/configured"
	fi
	quietly "$directory/make.log" make -C "$directory" -j "$(nproc)"
}

# What sudo made in the source tree belongs to whoever called sudo.
give_back() {
	[ -n "${SUDO_UID-}" ] && [ "$(id -u)" = 0 ] || return 0
	find "$ROOT" -xdev \( -path "$BUILD/machine" -o -path "$BUILD/package/*/root" \) -prune -o -uid 0 \
		-exec chown -h "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" {} + 2>/dev/null || true
}
