"""The Debian packages, in a booted machine that has what they depend on and nothing else.

tools/deb makes them, and `tools/deb --check` runs this; they are taken from build/package/SUITE.
"""

import datetime
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import pytest

from doors import ipset_door
from hosts import ENVIRONMENT
from lab import ROOT, Lab
from machine import Machine, Unavailable

UNIT = "knocktaild.service"
FLEET_UNIT = "knocktail-fleetd.service"
PACKAGES = ("knocktail", "knocktail-fleet", "knocktap")
PLACE = os.path.join(ROOT, "build", "package")
SUITES = sorted(os.path.basename(os.path.dirname(path))
                for path in glob.glob(f"{PLACE}/*/knocktail_*.deb"))

# What debian/tests/knock uses, and a machine that boots.
TREE = ("dbus", "iproute2", "ipset", "iptables", "netcat-openbsd", "passwd", "procps", "systemd",
        "systemd-sysv")

# Everything that a package could leave behind. Not what logs, caches and lists of packages are for,
# nor what systemd makes of the catalogs. Users stay, as Debian wants it.
FILES = r"""
find / /run/knocktail* -xdev \( -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /tmp \
    -o -path /var/tmp -o -path /var/lib/systemd \) -prune -o \
    -printf '%p %y %m %u %g %l\n' 2>/dev/null | grep -vE '^/etc/(passwd|group|shadow|gshadow|\.pwd\.lock)' | sort -u
find /etc -xdev -type f ! -name 'passwd*' ! -name 'group*' ! -name '*shadow*' -exec md5sum {} + | sort
"""


def deb(suite, package):
    """The package's file."""
    return glob.glob(f"{PLACE}/{suite}/{package}_[0-9]*.deb")[0]


def tree(suite, *others):
    """A root file system with what the packages depend on, and others."""
    depends = "".join(subprocess.run(
        ["dpkg-deb", "--show", "--showformat=${Pre-Depends}, ${Depends}, ", deb(suite, package)],
        capture_output=True, text=True, check=True, timeout=20).stdout for package in PACKAGES)
    names = {re.split(r"[ (|]", part.strip())[0] for part in depends.split(",")}
    packages = sorted((names | {*TREE, *others}) - {"", "default-dbus-system-bus", *PACKAGES})
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    done = os.path.join(ROOT, "build", "machine", f"package-{suite}-{key}")
    if not os.path.isdir(done):
        made = subprocess.run([os.path.join(ROOT, "tools", "make-root"), suite, done, *packages],
                              capture_output=True, text=True, timeout=1500, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT})
        if made.returncode != 0:
            pytest.skip(f"no root file system can be made: {(made.stdout + made.stderr)[-500:]}")
    return done


def older(path, place):
    """The same package with an earlier version."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["dpkg-deb", "--raw-extract", path, f"{scratch}/deb"], check=True, timeout=60)
        control = f"{scratch}/deb/DEBIAN/control"
        with open(control, encoding="utf-8") as file:
            text = re.sub("^Version: .*$", "Version: 0~1", file.read(), flags=re.MULTILINE)
        text = re.sub(r"knocktail \(= [^)]*\)", "knocktail (= 0~1)", text)
        with open(control, "w", encoding="utf-8") as file:
            file.write(text)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", f"{scratch}/deb", place],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory of our own: its server is the machine's network."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="module", params=SUITES or [None])
def machine(lab, request):
    """The machine, with the packages' files in /debs, and older ones in /debs/old."""
    suite = request.param
    if not suite:
        pytest.skip("tools/deb has made no packages")

    def put_packages(root):
        os.makedirs(f"{root}/debs/old")
        for package in PACKAGES:
            shutil.copy(deb(suite, package), f"{root}/debs/{package}.deb")
            older(deb(suite, package), f"{root}/debs/old/{package}.deb")
        shutil.copy(os.path.join(ROOT, "debian", "tests", "knock"), f"{root}/debs")
    try:
        made = Machine(lab, tree(suite), put_packages)
    except Unavailable as reason:
        pytest.skip(f"no machine: {reason}")
    yield made
    made.close()


def install(machine, folder="/debs"):
    """Installs or upgrades them, with nobody there to answer a question."""
    machine.run("dpkg", "--install", *(f"{folder}/{package}.deb" for package in PACKAGES), timeout=120)


def state(machine, unit=UNIT):
    """What systemd knows of a daemon."""
    properties = machine.properties(unit)
    return properties["ActiveState"], properties["UnitFileState"], properties["MainPID"]


def listening(machine):
    """Who waits for the network."""
    return machine.run("ss", "-Hlntuwx").stdout.count("knock"), sorted(
        machine.run("ss", "-Hlntu").stdout.splitlines())


def deadline(machine):
    """When the one open door closes."""
    door, = json.loads(machine.run("knocktail", "list", "-o", "json").stdout)
    return datetime.datetime.fromisoformat(door["until"].replace("Z", "+00:00"))


@pytest.fixture(scope="module")
def before(machine):
    """All files before the first installation."""
    return machine.run("sh", "-c", FILES, timeout=120).stdout.splitlines()


@pytest.fixture(scope="module")
def installed(machine, before):
    """The machine with an older version of the packages."""
    quiet = listening(machine)
    install(machine, "/debs/old")
    assert listening(machine) == quiet
    return machine


def test_nothing_runs_before_there_is_a_door(installed):
    """Not after the installation, nor after an upgrade; nor a fleet's agent."""
    nothing = ("inactive", "disabled", "0")
    assert state(installed) == state(installed, FLEET_UNIT) == nothing
    install(installed)
    assert state(installed) == state(installed, FLEET_UNIT) == nothing
    install(installed, "/debs/old")
    done = installed.run("systemctl", "start", UNIT, check=False)
    assert done.returncode != 0 and "no door" in installed.journal(UNIT), installed.journal(UNIT)
    installed.run("systemctl", "reset-failed", UNIT)


def test_who_may_read_what(installed):
    for path, owned in (("/etc/knocktail", "755 root root"),
                        ("/etc/knocktail/knocktail.conf", "640 root knocktail"),
                        ("/etc/knocktail/keys", "750 root knocktail")):
        assert installed.run("stat", "-c", "%a %U %G", path).stdout == f"{owned}\n", path


def test_an_upgrade_keeps_doors_open(installed, lab):
    """And asks nothing, though the administrator has written doors into the configuration."""
    client = lab.client()
    try:
        installed.configure(ipset_door(timeout="5min"))
        installed.run("systemctl", "enable", "--now", UNIT)
        client.knock(7000, 8000, 9000)
        client.wait_open()
        before = deadline(installed)
        first = state(installed)
        assert first[:2] == ("active", "enabled")
        install(installed)
        second = state(installed)
        assert second[:2] == first[:2] and second[2] != first[2], "another one runs"
        assert client.can_connect()
        assert abs(deadline(installed) - before) < datetime.timedelta(seconds=1)
    finally:
        client.close()
    version = installed.run("dpkg-query", "-W", "-f", "${Version}", "knocktail").stdout
    assert re.fullmatch(r"[0-9.]+-[0-9]+~deb[0-9]+", version)


def test_what_debian_would_run(installed):
    """The autopkgtest, whose door is beside the others."""
    installed.run("systemctl", "disable", "--now", UNIT)
    config = "/etc/knocktail/knocktail.conf"
    installed.run("cp", "-p", config, "/root/doors")
    installed.write(config, '[options]\nlog_prefix = "[knock] "\n')
    installed.run("systemd-tmpfiles", "--create", "knocktail.conf")
    done = installed.run("/debs/knock", check=False, timeout=60)
    installed.run("mv", "/root/doors", config)
    assert done.returncode == 0 and done.stdout.endswith("PASS\n"), done.stdout + done.stderr


def test_a_removal_keeps_keys_and_doors(installed, lab):
    """And closes what is open."""
    client = lab.client()
    try:
        installed.run("systemctl", "enable", "--now", UNIT)
        installed.run("knocktail", "keygen", "alice")
        installed.run("knocktail", "keygen", "--fleet")
        client.knock(7000, 8000, 9000)
        client.wait_open()
        installed.run("dpkg", "--remove", *PACKAGES, timeout=120)
        assert not client.can_connect()
    finally:
        client.close()
    assert installed.run("systemctl", "is-active", UNIT, check=False).stdout == "inactive\n"
    assert not installed.run("pgrep", "knocktaild", check=False).stdout
    for path in ("keys/alice.key", "knocktail.conf", "fleet.key"):
        installed.run("test", "-f", f"/etc/knocktail/{path}")
    installed.run("test", "-d", "/var/lib/knocktail")


def test_a_purge_leaves_nothing(installed, before):
    """But the user, whose number must not become somebody else's."""
    installed.run("dpkg", "--purge", *PACKAGES, timeout=120)
    after = installed.run("sh", "-c", FILES, timeout=120).stdout.splitlines()
    assert sorted(set(after) ^ set(before)) == []
    assert not installed.run("sh", "-c", "ls -d /run/knocktail*", check=False).stdout


def test_a_purge_does_not_open_a_machine(installed):
    """The firewall that `rules --install` has written stays whole."""
    install(installed)
    unit = "/etc/systemd/system/knocktail-firewall.service"
    installed.write(unit, "[Service]\nExecStart=/bin/true\n")
    installed.write("/etc/knocktail/firewall/closed.nft", "")
    done = installed.run("dpkg", "--purge", *PACKAGES, timeout=120)
    assert "rules VARIANT --remove" in done.stderr and "knocktail-firewall.service" in done.stderr
    assert installed.run("find", "/etc/knocktail", "-type", "f").stdout == (
        "/etc/knocktail/firewall/closed.nft\n")
    installed.run("test", "-f", unit)
