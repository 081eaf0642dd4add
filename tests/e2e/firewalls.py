"""The kinds of firewalls that `knocktail rules` writes rules for, started in a laboratory."""

import os
import re
import shutil

import pytest

from doors import ipset_door, iptables_door, nft_door
from hosts import ENVIRONMENT, listens, wait_until
from lab import GUARDED_PORT, ROOT

TIMEOUT = "3s"


# Where tools/check unpacks what is not installed.
TREE = os.path.join(ROOT, "build", "machine", "firewalls")

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


def _missing(*tools):
    return [tool for tool in tools if not shutil.which(tool, path=ENVIRONMENT["PATH"])]


def _need(lab, *tools):
    """Has the laboratory see the unpacked packages where the machine has none."""
    missing = _missing(*tools)
    if missing and not os.path.isdir(TREE):
        pytest.skip(f"{missing[0]} is not installed")
    if missing:
        lab.server.run("sh", "-ec", f"""
            for directory in etc usr; do
                mount -t overlay -o lowerdir={TREE}/$directory:/$directory overlay /$directory
            done
            mount --bind /run/machine-id /etc/machine-id""")


class Kind:
    """A kind of firewall: the doors that go with it, and how it starts and stores rules."""

    variant = None
    doors = ""

    def start(self, lab):
        """Starts what is needed before rules can be loaded."""

    def load(self, lab, config, *options):
        """Loads what `knocktail rules` prints, by hand."""
        raise NotImplementedError

    def rules(self, lab, config, *options, variant=None):
        """What `knocktail rules` prints."""
        done = lab.knocktail("rules", variant or self.variant, "-c", config, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self, lab):
        """All of the firewall, as it can be compared: without counters and times."""
        programs = (("iptables-save",), ("ip6tables-save",), ("ipset", "save"))
        text = "".join(lab.server.run(*argv, check=False).stdout for argv in programs)
        lines = [line.partition("[")[0] if line.startswith(":") else line
                 for line in text.splitlines() if not line.startswith("#")]
        # The order of the rules within a chain counts, that of the chains does not.
        lines.sort(key=lambda line: line.split()[:2])
        tables = sorted(lab.server.run("nft", "list", "tables").stdout.splitlines())
        for table in tables:
            if table.split()[1] == "inet":   # it may be gone meanwhile
                text = lab.server.run("nft", "-s", "list", *table.split(), check=False).stdout
                lines += re.sub(r"elements = \{.*?\}", "", text, flags=re.DOTALL).splitlines()
        return [line for line in lines if line.strip()] + tables


class Iptables(Kind):
    """iptables with an ipset door."""

    variant = "iptables"
    doors = ipset_door(set="knock_ssh", set_6="knock_ssh6", ports=GUARDED_PORT, timeout=TIMEOUT)

    def load(self, lab, config, *options):
        lab.server.run("ipset", "-exist", "restore", input=self.rules(lab, config, variant="ipset"))
        text = self.rules(lab, config, *options)
        for program in ("iptables-restore", "ip6tables-restore"):
            lab.server.run(program, "--noflush", input=text)


class IptablesPorts(Iptables):
    """iptables with a set of addresses and ports."""

    doors = ipset_door(set="knock_ssh", set_6="knock_ssh6", entry=f"%IP%,tcp:{GUARDED_PORT}",
                       timeout=TIMEOUT)


class IptablesChain(Iptables):
    """iptables with a chain of knocktail's own."""

    doors = iptables_door(ports=GUARDED_PORT, timeout=TIMEOUT)


class Nft(Kind):
    """nft, with a set of addresses."""

    variant = "nft"
    doors = nft_door(set="inet knock knock_ssh", set_6="inet knock knock_ssh6",
                     ports=GUARDED_PORT, timeout=TIMEOUT)

    def load(self, lab, config, *options):
        lab.server.run("nft", "-f", "-", input=self.rules(lab, config, *options))


class NftPorts(Nft):
    """nft, with a set of addresses, protocols and ports."""

    doors = nft_door(set="inet knock knock_ssh", set_6="inet knock knock_ssh6",
                     entry=f"%IP% . tcp . {GUARDED_PORT}", timeout=TIMEOUT)


class Ufw(Iptables):
    """ufw, with an /etc/ufw as Debian ships it."""

    variant = "ufw"

    def start(self, lab):
        _need(lab, "ufw")
        # Sysctls are not ufw's to change here.
        lab.server.run("sh", "-ec", """
            mkdir /run/lab/ufw
            for name in before before6 after after6 user user6; do
                cp /usr/share/ufw/$name.rules /run/lab/ufw/
            done
            cp /usr/share/ufw/ufw.conf /run/lab/ufw/
            sed 's/^ENABLED=.*/ENABLED=no/' -i /run/lab/ufw/ufw.conf
            for hook in before.init after.init; do cp /usr/share/ufw/$hook /run/lab/ufw/; done
            mkdir /run/lab/ufw/applications.d
            chmod -R go-w /run/lab/ufw
            sed 's/^IPT_SYSCTL=.*/IPT_SYSCTL=/' /etc/default/ufw >/run/lab/default-ufw
            mount --bind /run/lab/ufw /etc/ufw
            mount --bind /run/lab/default-ufw /etc/default/ufw
        """)
        lab.server.run("ufw", "--force", "enable", timeout=120)

    def load(self, lab, config, *options):
        """Puts each part where the comment before it says, and has ufw load it."""
        lab.server.run("ipset", "-exist", "restore", input=self.rules(lab, config, variant="ipset"))
        for part in self.rules(lab, config, *options).split("\n# In /etc/ufw/")[1:]:
            name, _, lines = part.partition(":\n")
            path = lab.server.path(f"/run/lab/ufw/{name}")
            with open(path, encoding="utf-8") as file:
                head, commit, tail = file.read().rpartition("\nCOMMIT\n")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"{head}\n{lines}{commit}{tail}")
        lab.server.run("ufw", "reload", timeout=120)    # starts 435 programs


class Firewalld(Nft):
    """firewalld, with a bus and an /etc/firewalld of its own: ssh is open in its default zone."""

    variant = "firewalld"

    def start(self, lab):
        _need(lab, "firewalld", "firewall-cmd")
        if _missing("dbus-daemon"):
            pytest.skip("dbus-daemon is not installed")
        lab.server.run("sh", "-ec", """
            mkdir -p /run/dbus /run/lab/firewalld
            cp /etc/firewalld/firewalld.conf /run/lab/firewalld/
            mount --bind /run/lab/firewalld /etc/firewalld
        """)
        with open(lab.server.path("/run/lab/firewalld.log"), "wb") as log:
            lab.server.spawn(["dbus-daemon", f"--config-file={lab.file('bus.conf', BUS)}",
                              "--nofork", "--nopidfile"], stdout=log, stderr=log)
            wait_until(lambda: listens(lab.server.path("/run/dbus/system_bus_socket")), 5,
                       "there is a bus")
            lab.server.spawn(["firewalld", "--nofork", "--nopid", "--log-target", "console"],
                             stdout=log, stderr=log)
        wait_until(lambda: lab.server.run("firewall-cmd", "--state",
                                          check=False).returncode == 0, 20, "firewalld runs", 0.2)


KINDS = [Iptables, IptablesPorts, IptablesChain, Nft, NftPorts, Ufw, Firewalld]
