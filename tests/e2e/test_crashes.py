"""Whenever the daemon is killed, the firewall is right again as soon as the next one runs.

Round after round a daemon is started, clients knock, and it is killed at a random moment while doors
open, are renewed and close, one door with each backend. What the firewall holds is then compared with
what it may and must hold, going by the knocks alone. CRASH_ROUNDS says how many rounds (make crash: 5,000).
"""

import calendar
import collections
import os
import random
import re
import time

from doors import command_door, ipset_door, iptables_door, nft_door
from hosts import wait_until
from lab import COMMAND_PORTS

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "300"))
TIMEOUT = 2.0
LATE = 1.0      # how long after its deadline a door may stand open
SLACK = 0.3     # between a knock and what comes of it, on a busy machine

# Adds a rule each time that it is called: a door that is opened twice shows.
OPEN_RULE = """#!/bin/sh
exec iptables -w -I DOORS -s "$1" -p tcp --dport {port} -j ACCEPT
"""
# Succeeds when there is nothing to undo, but takes away one rule alone.
SHUT_RULE = """#!/bin/sh
iptables -w -C DOORS -s "$1" -p tcp --dport {port} -j ACCEPT 2>/dev/null || exit 0
exec iptables -w -D DOORS -s "$1" -p tcp --dport {port} -j ACCEPT
"""


NFT_SETS = "add table inet crash; add set inet crash open { type ipv4_addr; flags timeout; }"


def chain(lab):
    """The addresses whose rules in knocktail's own chain still match: to the end of a second."""
    opened = re.findall(r"-s (\S+)/32 .*--datestop (\S+) ", "\n".join(lab.owned_rules()))
    return [address for address, until in opened
            if calendar.timegm(time.strptime(until, "%Y-%m-%dT%H:%M:%S")) + 1 > time.time()]


def firewall(lab):
    """How often each (door, address) is open."""
    rules = lab.server.run("iptables", "-S", "DOORS").stdout
    elements = lab.server.run("nft", "list", "set", "inet", "crash", "open").stdout
    return collections.Counter([
        *(("set", address) for address in lab.members("knock4")),
        *(("element", address) for address in re.findall(r"(\S+) timeout \d", elements)),
        *(("chain", address) for address in chain(lab)),
        *(("rule", address) for address in re.findall(r"-s (\S+)/32 ", rules))])


class Model:
    """What may and what must be open, from the knocks and from what the daemons announced."""

    def __init__(self):
        self.begun = {}         # (door, address): when the last knock for it began
        self.read = {}          # when it was done, or the next daemon was ready, which may have read it
        self.announced = {}     # as `begun`, for knocks that were announced to have opened
        self.unheard = set()    # those that were not: the next daemon may read them

    def knock(self, door, client, steps):
        self.begun[door, client.v4] = time.monotonic()
        self.read[door, client.v4] = client.knock(*steps)

    def begin(self, ready):
        """A daemon was ready, and has read what the last one had not."""
        self.read.update(dict.fromkeys(self.unheard, ready))

    def hear(self, daemon, since):
        """Takes in what a daemon has announced of the knocks since then. What its predecessor was
        knocked for comes first."""
        said = collections.Counter(re.findall(r"^door (\S+) (?:opened|renewed) for (\S+) ",
                                              daemon.stderr(), re.MULTILINE))
        for door, begun in self.begun.items():
            if begun < since:
                continue
            if said[door] > (door in self.unheard):
                self.announced[door] = begun
                self.unheard.discard(door)
            else:
                self.unheard.add(door)

    def judge(self, opened, before, after):
        """Compares; the firewall was looked at between the two moments."""
        for door, times in opened.items():
            assert times == 1, f"{door} stands {times} times in the firewall"
            late = before - self.read.get(door, 0) - TIMEOUT
            assert late < LATE + SLACK, f"{door} is open {late:.3f} s after its deadline"
        for door, begun in self.announced.items():
            if after < begun + TIMEOUT:
                assert door in opened, f"{door} is lost, {after - begun:.3f} s after the knock"


def test_a_killed_daemon_leaves_nothing_wrong(lab, clients, start):
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    print(f"seed {seed}")
    port = COMMAND_PORTS[0]
    timeout = f"{TIMEOUT}s"
    lab.server.run("nft", NFT_SETS)
    configuration = "".join([
        ipset_door("set", timeout=timeout),
        nft_door("element", "7200, 8200, 9200", timeout=timeout, set="inet crash open",
                 set_6=None),
        iptables_door("chain", "7300, 8300, 9300", timeout=timeout, ports="2223/tcp"),
        command_door(
            "rule", timeout=timeout,
            start_command=f"{lab.file('open-rule', OPEN_RULE.format(port=port), 0o755)} %IP%",
            stop_command=f"{lab.file('shut-rule', SHUT_RULE.format(port=port), 0o755)} %IP%")])
    knocks = {"set": (7000, 8000, 9000), "rule": (7100, 8100, 9100),
              "element": (7200, 8200, 9200), "chain": (7300, 8300, 9300)}
    knockers = [clients() for _ in range(4)]
    model = Model()

    for _ in range(ROUNDS):
        daemon = start(configuration).wait_ready()
        before = time.monotonic()
        model.begin(before)
        opened = firewall(lab)
        model.judge(opened, before, time.monotonic())

        began = time.monotonic()
        for client in dice.sample(knockers, dice.randint(1, len(knockers))):
            for door, knock in knocks.items():
                if dice.random() < 0.5:
                    model.knock(door, client, knock)
        # The moment of the kill, anywhere from before the knocks are read to after the doors are open.
        time.sleep(dice.random() * 0.06)
        daemon.kill()
        model.hear(daemon, began)
        daemon.close()

    last = start(configuration).wait_ready()
    wait_until(lambda: not firewall(lab), TIMEOUT + LATE + SLACK, "all doors close")
    assert last.stop() == 0
