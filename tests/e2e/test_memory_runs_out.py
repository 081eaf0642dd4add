"""One allocation fails, each in turn: a program ends and says why, or does all that it was to do.

tests/faults/no-memory.c is preloaded, and fails what the program itself asks for.
"""

import concurrent.futures
import json
import os
import re
import tempfile
import time

import pytest

import shortage
from doors import ipset_door, iptables_door
from firewalls import Iptables, Nft
from hosts import wait_until
from lab import ROOT, Lab, program
from synthetic import CLOSED, OPENED, REFUSED, event, probe, write_journal

TESTS = os.path.join(ROOT, "tests")
WORKERS = 2
MANY = 200      # from here on, one in five has to do
T0 = 1_700_000_000

KNOCKS = {"sequence": "8000, 7000/udp, 9000", "auth": "sequence, token, spa", "users": "alice"}
OPTIONS = "keys = {keys}\nrealm = gateway\n"
DOORS = {
    "nft": Nft.doors + ipset_door("once", sequence=None, one_time_sequences="{sequences}"),
    "ipset": ipset_door(set="knock_ssh", set_6="knock_ssh6", ports="22/tcp, 60000-61000/udp",
                        **KNOCKS),
    "iptables": iptables_door(**KNOCKS) + iptables_door(
        "web", "7000, 9000", forward="10.0.0.5:443", ports="443/tcp"),
    "wrong": "[door x]\nsequence = 1, 2\nnonsense = 1\n[door x]\n",
}

# What a fleet's agent has written a moment ago.
REPORT = {"fleet": "prod", "host": "web1", "since_us": T0, "broker": True, "broker_since_us": T0,
          "daemon": True, "counts": {"sent": 2, "forged": 1},
          "shares": [{"host": "web2", "door": "ssh", "open": 1, "said_us": T0}],
          "open": [{"door": "ssh", "source": "198.51.100.7", "host": "web2", "user": "alice",
                    "deadline_us": T0}]}

COMMANDS = """
knocktail --help
knocktail --version
knocktail help rules
knocktail check -c {nft}
knocktail check -c {ipset}
knocktail check -c {wrong}
knocktail check -c {nft} --live
knocktail check -c {iptables} -o json
knocktail check -c {wrong} -o json
knocktail rules ipset -c {ipset}
knocktail rules iptables -c {iptables} --open 80,443
knocktail rules iptables -c {ipset} --nflog 5
knocktail rules ufw -c {ipset}
knocktail rules nft -c {nft} --open 80,443
knocktail rules nft -c {nft} --nflog 5 --ulogd
knocktail rules firewalld -c {nft}
knocktail import {tests}/import/debian.knockd
knocktail import {tests}/import/quirks.knockd
knocktail import {tests}/import/meanings.knockd -o {out}/made
knocktail import {tests}/import/variants.access --keys {out}
knocktail import {tests}/import/fwknop.fwknoprc
knocktail keygen --keys {out} --realm gateway --expires 90d alice
knocktail keygen --keys {out} -o json bob
knocktail keygen --keys {out} --qr --page {out}/page --host a --door ssh --no-passphrase carol
knocktail keygen --fleet {out}/fleet.key
knocktail page --keys {keys} --host a --host b --door ssh --no-passphrase alice {out}/page
knocktail keys -c {ipset}
knocktail keys -c {ipset} -o json
knocktail replay -c {nft} --text {tests}/text/dmesg-human.txt
knocktail replay -c {nft} --text {tests}/text/rfc5424-data.txt -o json
knocktail replay -c {ipset} --directory {journal}
knocktail replay -c {ipset} --directory {journal} -o json
knocktail audit --directory {journal}
knocktail audit --directory {journal} -o json
knocktail audit --directory {journal} -c {ipset} --html {out}/page
knocktail status
knocktail status -o json
knocktail list -c {nft}
knocktail list -c {nft} -o json
knocktail list --doors
knocktail list --doors -o json
knocktail metrics
knocktail metrics -o prometheus --textfile {out}/metrics
knocktail metrics -o json
knocktail open ssh 203.0.113.7 --for 1h -o json
knocktail close ssh 203.0.113.8
knocktail doctor -c {nft}
knocktail doctor -c {nft} -o json
knocktail fleet --report {report}
knocktail fleet --report {report} -o json
knocktap 127.0.0.1 8000 7000/udp 9000
knocktap --key {keys}/alice.key --door ssh 127.0.0.1
knocktap --key {keys}/alice.key --door ssh --spa 127.0.0.1
knocktap -F {tests}/profiles/vps.hosts -v nobody
""".strip().splitlines()


class Machine:
    """Runs commands on a machine that is guarded, with one allocation that fails."""

    def __init__(self, lab, place):
        self._lab = lab
        self._place = place
        self._library = shortage.build(place)
        self._names = {"tests": TESTS}
        for name in ("keys", "journal"):
            self._names[name] = os.path.join(place, name)
            os.mkdir(self._names[name], 0o700)
        self._names["sequences"] = os.path.join(place, "sequences")
        with open(self._names["sequences"], "w", encoding="ascii") as file:
            file.write("7001, 9001, 8001\n")
        for backend, doors in DOORS.items():
            self._names[backend] = lab.config(doors.format(**self._names),
                                              OPTIONS.format(**self._names))
        for user in "alice", "bob":
            lab.knocktail("keygen", "--keys", self._names["keys"], "--realm", "gateway", user)
        write_journal(os.path.join(self._names["journal"], "a.journal"), [
            event(T0, OPENED, "ssh", "198.51.100.1", deadline=T0 + 30, USER="alice", KNOCK="token"),
            event(T0 + 20, CLOSED, "ssh", "198.51.100.1"),
            event(T0 + 30, REFUSED, "ssh", "198.51.100.2", REASON="it is not in allow"),
            *(probe(T0 + 35 + i, lab.prefix, "203.0.113.1", port)
              for i, port in enumerate((7000, 8000))),
            *(probe(T0 + 40 + i, lab.prefix, f"203.0.113.{i}", 23) for i in range(20))])

    def run(self, command, number=0):
        """Runs it with the allocation of this number failing. Returns the CompletedProcess, the
        files that it has made, by their sizes, and how many allocations there were."""
        with tempfile.TemporaryDirectory(dir=self._place) as out:
            memory = shortage.Shortage(self._library, os.path.join(out, "memory"))
            made = os.path.join(out, "made")
            os.mkdir(made, 0o700)
            memory.fail(number)
            report = os.path.join(out, "report")
            with open(report, "w", encoding="ascii") as file:
                json.dump({**REPORT, "written_us": int(time.time() * 1e6)}, file)
            words = [word.format(out=made, report=report, **self._names) for word in command.split()]
            done = self._lab.server.run("env", *memory.environment, program(words[0]), *words[1:],
                                        check=False, timeout=30)
            done.stdout = done.stdout.replace(made, "OUT")
            done.stderr = done.stderr.replace(made, "OUT")
            files = {entry.name: entry.stat().st_size for entry in os.scandir(made)}
            return done, files, memory.asked


@pytest.fixture(scope="module")
def machine(possible, tmp_path_factory):
    """A guarded machine."""
    with Lab("none") as lab:
        kind = Nft()
        kind.start(lab)
        kind.load(lab, lab.config(kind.doors))
        lab.daemon(kind.doors, runtime="/run/knocktail")
        yield Machine(lab, str(tmp_path_factory.mktemp("shortage")))


def meaning(done):
    """What is the same each time: no numbers, no times in whatever units, no picture of a new key."""
    text = re.sub(r"\d+(?:(?:ms|min|[smhd])\b)?", "0", done.stdout)
    return done.returncode, re.sub("0+", "0", re.sub("[\u2580-\u259f ]+", "", text))


# What cannot be looked at for want of memory counts as this.
DAMAGED = "a file of the journal is damaged"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_allocation_is_taken_for_granted(command, machine):
    """It ends as it does with all of them, or says so; a file is there as a whole or not at all."""
    whole, all_files, asked = machine.run(command)
    assert asked > 0
    numbers = [number for number in range(1, asked + 1) if number <= MANY or number % 5 == 0]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        runs = zip(numbers, workers.map(lambda number: machine.run(command, number), numbers))
        for number, (done, files, _) in runs:
            said = done.returncode > 0 and re.search(f"(?i)memory|{DAMAGED}", done.stderr)
            assert said or meaning(done) == meaning(whole), (number, done)
            assert files.items() <= all_files.items() if said else files == all_files, number


@pytest.mark.parametrize("kind", [Nft, Iptables], ids=lambda kind: kind.variant)
def test_rules(kind, possible, tmp_path):
    """They are loaded or are not; and they are gone, or it is said that they are not."""
    kind = kind()
    with Lab("none") as lab:
        memory = shortage.Shortage(shortage.build(tmp_path), str(tmp_path / "memory"))
        words = (lab.cli_path, "rules", kind.variant, "-c", lab.config(kind.doors))

        def run(number, *options):
            memory.fail(number)
            return lab.server.run("env", *memory.environment, *words, *options, check=False)

        def state():
            return sorted(re.sub(" initval .*", "", line) for line in kind.state(lab))

        def check(number, done, wanted, otherwise):
            if done.returncode == 0:
                assert state() == wanted, number
            else:
                assert "memory" in (done.stdout + done.stderr).lower(), (number, done)
                wait_until(otherwise, 5, f"all is as it was, {number}")

        assert run(0, "--apply", "--yes").returncode == 0
        n_load, loaded = memory.asked, state()
        assert run(0, "--remove").returncode == 0
        n_remove, removed = memory.asked, state()
        for number in range(1, n_load + 1, n_load // 25):
            done = run(number, "--apply", "--yes")
            check(number, done, loaded, lambda: state() == removed)
            assert run(0, "--remove").returncode == 0 and state() == removed, number
        for number in range(1, n_remove + 1, 2):
            assert run(0, "--apply", "--yes").returncode == 0 and state() == loaded, number
            check(number, run(number, "--remove"), removed, lambda: True)
