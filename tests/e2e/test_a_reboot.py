"""After a reboot the door is shut to strangers and opens to a knock, whatever loads the rules."""

import contextlib
import json
import os

import pytest

from firewalls import Firewalld, Iptables, Nft, Ufw
from hosts import wait_until
from lab import Lab
from machine import Unavailable, booted

UNIT = "knocktail-firewall.service"


class Boot:
    """A kind of firewall on a machine that is booted again."""

    def __init__(self, kind, packages=(), prepare="true", broken=None, flusher=None):
        self.kind = kind
        self.packages = packages
        self.prepare = prepare
        self.broken = broken
        self.flusher = flusher


UFW = """
sed 's/^IPT_SYSCTL=.*/IPT_SYSCTL=/' -i /etc/default/ufw
systemctl disable --now firewalld
ufw --force enable
"""

BOOTS = [
    Boot(Iptables(), broken="rules.iptables", flusher="nftables"),
    Boot(Nft(), broken="rules.nft", flusher="nftables"),
    Boot(Ufw(), ("ufw", "firewalld"), UFW, broken="sets"),
    Boot(Firewalld(), ("ufw", "firewalld"), "systemctl enable --now firewalld"),
]


@contextlib.contextmanager
def a_machine(*packages):
    """A machine with knocktail, and with no firewall yet."""
    with Lab("none") as lab:
        try:
            made = booted(lab, *packages)
        except Unavailable as reason:
            pytest.skip(f"no reboots: {reason}")
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def machine(possible):
    """The same for one test."""
    with a_machine() as made:
        yield made


@pytest.fixture(params=BOOTS, ids=lambda boot: boot.kind.variant)
def boot(possible, request):
    """The kind, the machine that it runs on, and where --install puts its files there."""
    with a_machine(*request.param.packages) as machine:
        config = machine.configure(request.param.kind.doors)
        machine.run("sh", "-ec", request.param.prepare, timeout=120)
        yield request.param, machine, os.path.join(os.path.dirname(config), "firewall")


def rules(machine, boot, *options, answer=""):
    """What `knocktail rules` says."""
    done = machine.run("sh", "-c", f"echo {answer} | knocktail rules {boot.kind.variant} "
                       f"{' '.join(options)} 2>&1", timeout=60)
    print(done.stdout)
    return done.stdout


def assert_shut(client):
    for version in (4, 6):
        assert not client.can_connect(version=version)


def assert_opens(lab):
    """For who knocks, and nobody else."""
    client, other = lab.client(), lab.client()
    assert_shut(client)
    for version in (4, 6):
        since = client.knock(7000, 8000, 9000, version=version)
        client.wait_open(version=version, since=since)
    assert_shut(other)


def finding(machine):
    """What the doctor finds out about the next boot: the level, and in words."""
    done = machine.run("knocktail", "doctor", "-o", "json", check=False)
    found = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "boot"]
    print(found)
    assert len(found) == 1
    return found[0]["level"], found[0]["text"] + (found[0]["advice"] or "")


# As iptables-persistent brings it: what it starts replaces all that is loaded.
PERSISTENT = """[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft flush ruleset
"""


def assert_no_flusher_opens(machine):
    """What flushes all rules, however it is called, lets nobody in, and knocks open soon."""
    machine.write("/lib/systemd/system/netfilter-persistent.service", PERSISTENT)
    machine.run("systemctl", "daemon-reload")
    for verb, flusher in (("start", "nftables"), ("restart", "nftables"), ("reload", "nftables"),
                          ("start", "netfilter-persistent"), ("restart", "netfilter-persistent")):
        print(verb, flusher)
        machine.run("systemctl", verb, flusher)
        assert_shut(machine.lab.client())
        wait_until(lambda: not closed(machine), 5, "the rules are loaded again")
        assert_opens(machine.lab)
    # Unless nobody wants the rules any more.
    machine.run("systemctl", "disable", "--now", UNIT)
    machine.run("systemctl", "restart", "nftables")
    assert machine.lab.client().can_connect() and not closed(machine)
    machine.run("systemctl", "enable", "--now", UNIT)
    assert_opens(machine.lab)


def closed(machine):
    return "knocktail_closed" in machine.run("nft", "list", "tables").stdout


def assert_the_doctor_compares(machine, boot):
    """What was installed is of an older configuration, until it is installed again."""
    doors = boot.kind.doors
    machine.configure(doors.replace("ports = 22", "ports = 22, 2201"))
    level, text = finding(machine)
    assert level == "warning" and f"rules {boot.kind.variant} --apply --install" in text
    rules(machine, boot, "--install", "--open", "80,53/udp")
    assert finding(machine)[0] == "ok"
    machine.configure(doors)
    level, text = finding(machine)
    assert level == "warning" and text.endswith("--install --open 80/tcp,53/udp")
    rules(machine, boot, "--install")
    assert finding(machine)[0] == "ok"


def assert_a_broken_file_shuts(machine, path, client, flusher):
    """Nobody is let in, and that is said."""
    with open(machine.root + path, "a", encoding="utf-8") as file:
        file.write("nonsense\n")
    machine.reboot()
    assert_shut(client)
    client.knock(7000, 8000, 9000)
    assert_shut(client)
    for said in (machine.journal(UNIT), machine.console()):
        assert "nobody is let in" in said
    assert finding(machine)[0] == "problem"
    if flusher:
        machine.run("systemctl", "restart", flusher)
        for version in (4, 6):
            wait_until(lambda version=version: not client.can_connect(version=version), 5,
                       "the machine is shut again")


def test_a_reboot_opens_nothing(boot):
    boot, machine, files = boot
    lab = machine.lab
    client = lab.client()
    was_open = client.can_connect()
    # As README has it: first the daemon, which finds its sets later.
    machine.run("systemctl", "enable", "--now", "knocktaild")
    said = rules(machine, boot, "--apply", "--install", answer="yes")
    assert "loaded at each boot" in said
    assert_opens(lab)

    machine.reboot()
    properties = machine.properties(UNIT)
    assert "network-pre.target" in properties["Before"].split()
    assert properties["ActiveState"] == "active", machine.journal(UNIT)
    assert finding(machine)[0] == "ok"
    assert "position" not in machine.journal("knocktaild.service")
    assert_opens(lab)
    if boot.flusher:
        assert_no_flusher_opens(machine)
    assert_the_doctor_compares(machine, boot)
    if boot.broken:
        assert_a_broken_file_shuts(machine, f"{files}/{boot.broken}", client, boot.flusher)

    said = rules(machine, boot, "--remove")
    assert "removed" in said
    assert "Nothing of these rules was there" in rules(machine, boot, "--remove")
    assert "knock" not in "\n".join(boot.kind.state(lab)).lower()
    assert client.can_connect() == was_open
    assert finding(machine)[0] == "problem"
    found = machine.run("find", "/etc", "-name", "*knocktail-firewall*", "-o", "-path", files).stdout
    assert not found
    assert not machine.run("grep", "-rl", "knocktail", "/etc/ufw", check=False).stdout


def test_the_doctor_sees_what_loads_the_rules(machine):
    """Files and units of others, as their packages lay them out; nothing is loaded."""
    kind = Nft()
    config = machine.configure(kind.doors)
    wants = "/etc/systemd/system/multi-user.target.wants"
    rules = machine.run("knocktail", "rules", "nft", "-c", config).stdout

    def enable(unit):
        machine.run("ln", "-sf", f"/lib/systemd/system/{unit}", f"{wants}/{unit}")

    def finds(level, *texts):
        found = finding(machine)
        assert found[0] == level and all(text in found[1] for text in texts), found

    finds("problem", "nothing loads", "knocktail rules nft --install")
    machine.write("/etc/nftables.conf", 'flush ruleset\ninclude "/etc/nftables.d/*.nft"\n')
    machine.write("/etc/nftables.d/knock.nft", rules)
    finds("problem", "nothing loads")
    enable("nftables.service")
    finds("ok", "nftables.service loads the rules")
    machine.write("/etc/nftables.d/knock.nft", rules.replace("set knock_ssh6 {", "set other {"))
    finds("problem", "nothing loads the set inet knock knock_ssh6")
    machine.write("/etc/nftables.d/knock.nft", rules.replace("\n", "\n#"))
    finds("problem", "nothing loads IPv4 rules that log")
    machine.run("ln", "-s", "/lib/systemd/system/nftables.service",
                "/etc/systemd/system/other.service")
    finds("problem", "nothing loads IPv4 rules that log")
    machine.write("/etc/rc.local", "#!/bin/sh\nnft -f /root/rules\n", 0o755)
    finds("unknown", "only /etc/rc.local, if anything, loads IPv4 rules")
    machine.run("rm", "/etc/rc.local")

    machine.configure(Iptables.doors)
    rules = machine.run("knocktail", "rules", "iptables").stdout
    for name in ("rules.v4", "rules.v6"):
        machine.write(f"/etc/iptables/{name}", rules)
    enable("netfilter-persistent.service")
    finds("problem", "nothing loads the set knock_ssh of", "knocktail rules iptables --install")
    machine.run("knocktail", "rules", "ipset", "--install")
    finds("ok", "netfilter-persistent.service loads")
    machine.run("rm", "/etc/iptables/rules.v6")
    finds("problem", "nothing loads IPv6 rules that log")


def test_what_others_use_stays(machine):
    """A removal takes no more than what is knocktail's, and cuts nobody off."""
    lab = machine.lab
    client = lab.client()
    machine.configure(Iptables.doors)
    machine.run("sh", "-c", "echo yes | knocktail rules iptables --apply")
    machine.run("iptables", "-I", "INPUT", "-m", "set", "--match-set", "knock_ssh", "src", "-j",
                "ACCEPT")
    machine.write("/etc/iptables/rules.v4", machine.run("iptables-save").stdout)
    assert not client.can_connect()
    said = machine.run("knocktail", "rules", "iptables", "--remove").stdout
    assert "left     the set knock_ssh: other rules look it up" in said
    assert "left     /etc/iptables/rules.v4: rules of knocktail's are in it" in said
    assert "knock_ssh src" in machine.run("iptables", "-S", "INPUT").stdout
    assert client.can_connect()

    machine.configure(Nft.doors)
    machine.run("sh", "-c", "echo yes | knocktail rules nft --apply --install")
    machine.run("nft", "add", "set", "inet", "knock", "mine", "{ type inet_service; }")
    done = machine.run("knocktail", "rules", "firewalld", "--install", check=False)
    assert done.returncode == 1 and "rules nft --remove" in done.stderr
    said = machine.run("knocktail", "rules", "iptables", "--remove").stdout
    assert f"left     /etc/systemd/system/{UNIT}: it is of `knocktail rules nft`" in said
    said = machine.run("knocktail", "rules", "nft", "--remove").stdout
    assert "left     the nftables table inet knock: there is more in it" in said
    listed = machine.run("nft", "list", "table", "inet", "knock").stdout
    assert "set mine" in listed and "knock_ssh" not in listed and "chain" not in listed
    assert client.can_connect()
