"""The backends whose deadlines the kernel keeps, each with its firewall, for tests of them all."""

import contextlib
import re

from doors import ipset_door, iptables_door, nft_door
from lab import GUARDED_PORT, IPTABLES_PORT, NFT_PORT


class Ipset:
    """Addresses in ipsets."""

    port = GUARDED_PORT
    door = staticmethod(ipset_door)

    def __init__(self, request):
        self.lab = request.getfixturevalue("lab")
        self.start = request.getfixturevalue("start")

    def entries(self, client, version=4):
        """What the firewall holds for the client."""
        return [entry for entry in self.lab.members(f"knock{version}")
                if entry == client.address(version)]

    def lose(self):
        """All that is open is forgotten."""
        for version in (4, 6):
            self.lab.server.run("ipset", "flush", f"knock{version}")

    @contextlib.contextmanager
    def destroyed(self):
        """There is no such set any more, and then there is."""
        look_up = ["INPUT", "-p", "tcp", "--dport", str(GUARDED_PORT),
                   "-m", "set", "--match-set", "knock4", "src", "-j", "ACCEPT"]
        run = self.lab.server.run
        run("iptables", "-D", *look_up)
        run("ipset", "destroy", "knock4")
        try:
            yield
        finally:
            run("ipset", "create", "knock4", "hash:ip", "timeout", "0")
            run("iptables", "-I", look_up[0], "3", *look_up[1:])


class Nft:
    """Addresses in sets of nft's."""

    port = NFT_PORT
    door = staticmethod(nft_door)

    def __init__(self, request):
        self.lab = request.getfixturevalue("nft_lab")
        self.start = request.getfixturevalue("nft_start")

    def entries(self, client, version=4):
        """What the firewall holds for the client."""
        return [entry for entry in self.lab.elements(version)
                if entry == client.address(version)]

    def lose(self):
        """All that is open is forgotten."""
        for version in (4, 6):
            self.lab.server.run("nft", "flush", "set", "inet", "lab", f"open{version}")

    @contextlib.contextmanager
    def destroyed(self):
        """The firewall has nothing of the kind any more, and then it is loaded anew."""
        saved = self.lab.server.run("nft", "--stateless", "list", "ruleset").stdout
        self.lab.server.run("nft", "flush", "ruleset")
        try:
            yield
        finally:
            self.lab.server.run("nft", "-f", "-", input=re.sub(
                r"elements = {[^}]*}", "", saved))


class Iptables:
    """Rules in a chain of knocktail's own; one for each protocol, of which one is counted."""

    port = IPTABLES_PORT
    door = staticmethod(iptables_door)

    def __init__(self, request):
        self.lab = request.getfixturevalue("lab")
        self.start = request.getfixturevalue("start")

    def entries(self, client, version=4):
        """What the firewall holds for the client."""
        rules = [rule for rule in self.lab.owned_rules(version)
                 if f" -s {client.address(version)}/" in rule]
        assert len(rules) == 2 * sum("tcp" in rule for rule in rules)
        return [rule for rule in rules if "tcp" in rule]

    def lose(self):
        """All that is open is forgotten."""
        for program in ("iptables", "ip6tables"):
            self.lab.server.run(program, "-F", "KNOCKTAIL")

    @contextlib.contextmanager
    def destroyed(self):
        """The whole table is loaded anew, without the chain and the jump to it."""
        saved = self.lab.server.run("iptables-save", "-t", "filter").stdout
        self.lab.server.run("iptables-restore", input="".join(
            line + "\n" for line in saved.splitlines() if "KNOCKTAIL" not in line))
        yield
