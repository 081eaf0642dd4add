"""After a reboot the door is shut to strangers and opens to a knock, whatever loads the rules."""

import contextlib
import os

import pytest

from firewalls import Firewalld, Iptables, Nft, Ufw
from lab import Lab
from machine import Unavailable, booted

UNIT = "knocktail-firewall.service"


class Boot:
    """A kind of firewall on a machine that is booted again."""

    def __init__(self, kind, packages=(), prepare="true", broken="sets", flusher=UNIT):
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
    Boot(Ufw(), ("ufw", "firewalld"), UFW),
    Boot(Firewalld(), ("ufw", "firewalld"), "systemctl enable --now firewalld",
         broken="rules.nft"),
]


@pytest.fixture(params=BOOTS, ids=lambda boot: boot.kind.variant)
def boot(possible, request):
    """The kind, the machine that it runs on, and where --install puts its files there."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab("none"))
        try:
            machine = booted(lab, *request.param.packages)
        except Unavailable as reason:
            pytest.skip(f"no reboots: {reason}")
        stack.callback(machine.close)
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
    assert_opens(lab)
    for verb in ("restart", "reload"):
        machine.run("systemctl", verb, boot.flusher)
        assert_opens(lab)

    with open(f"{machine.root}{files}/{boot.broken}", "a", encoding="utf-8") as file:
        file.write("nonsense\n")
    machine.reboot()
    assert_shut(client)
    client.knock(7000, 8000, 9000)
    assert_shut(client)
    for said in (machine.journal(UNIT), machine.console()):
        assert "nobody is let in" in said

    said = rules(machine, boot, "--remove")
    assert "removed" in said
    assert "Nothing of these rules was there" in rules(machine, boot, "--remove")
    assert "knock" not in "\n".join(boot.kind.state(lab)).lower()
    assert client.can_connect() == was_open
    found = machine.run("find", "/etc", "-name", "*knocktail-firewall*", "-o", "-path", files).stdout
    assert not found
    assert not machine.run("grep", "-rl", "knocktail", "/etc/ufw", check=False).stdout
