"""One allocation fails, each in turn: the tools end, say why, and never print less as if it were all.

tests/faults/no-memory.c is preloaded, and fails what the program itself asks for.
"""

import concurrent.futures
import os
import re
import subprocess

import pytest

from hosts import ENVIRONMENT
from lab import ROOT, program

SOURCE = os.path.join(ROOT, "tests/faults/no-memory.c")
WORKERS = 2

OPTIONS = '[options]\nlog_prefix = "[knock] "\nkeys = %s\nrealm = gateway\n'
KNOCKS = """sequence = 8000, 7000/udp, 9000
auth = sequence, token, spa
users = alice
timeout = 30s
ports = 22/tcp
"""
DOORS = {"ipset": "backend = ipset\nset = knock_ssh\nset_6 = knock_ssh6\n",
         "nft": "backend = nft\nset = inet knock knock_ssh\nset_6 = inet knock knock_ssh6\n",
         "iptables": "backend = iptables\n"}

COMMANDS = {
    "check": "knocktail check -c {ipset}",
    "rules-ipset": "knocktail rules ipset -c {ipset}",
    "rules-iptables": "knocktail rules iptables -c {iptables}",
    "rules-nft": "knocktail rules nft -c {nft}",
    "import": f"knocktail import {ROOT}/tests/import/debian.knockd",
    "keys": "knocktail keys -c {ipset}",
    "replay": f"knocktail replay -c {{nft}} --text {ROOT}/tests/text/dmesg-human.txt",
    "replay-json": f"knocktail replay -o json -c {{nft}} --text {ROOT}/tests/text/dmesg-human.txt",
    "knock": "knocktap 127.0.0.1 8000 7000/udp 9000",
    "token": "knocktap --key {keys}/alice.key --door ssh 127.0.0.1",
}


class Shortage:
    """Runs commands with one allocation that fails."""

    def __init__(self, place):
        self.place = place
        self.library = place / "no-memory.so"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", self.library, SOURCE,
                        "-ldl"], check=True)
        (place / "keys").mkdir(mode=0o700)
        self.names = {"keys": str(place / "keys")}
        self.run("knocktail keygen --keys {keys} --realm gateway alice")
        for backend, lines in DOORS.items():
            path = place / f"{backend}.conf"
            path.touch(0o600)
            path.write_text(OPTIONS % self.names["keys"] + f"[door ssh]\n{KNOCKS}{lines}", "utf-8")
            self.names[backend] = str(path)

    def run(self, command, number=0):
        """Runs it with the allocation of this number failing."""
        name, *words = command.split()
        return subprocess.run(
            [program(name), *(word.format(**self.names) for word in words)],
            env={**ENVIRONMENT, "LD_PRELOAD": str(self.library), "NO_MEMORY": str(number),
                 "NO_MEMORY_ASKED": os.devnull if number else str(self.place / "asked")},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)

    def numbers(self):
        """Of the allocations of what was last run with all of them."""
        return range(1, int((self.place / "asked").read_text("ascii")) + 1)


@pytest.fixture(scope="module")
def shortage(tmp_path_factory):
    """Memory that runs out."""
    return Shortage(tmp_path_factory.mktemp("shortage"))


def meaning(text):
    """A command can be spelled with these quotes or those."""
    return re.sub(r"""["'\\]""", "", text)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_allocation_is_taken_for_granted(command, shortage, needs):
    needs("cc")
    whole = shortage.run(command)
    assert whole.returncode == 0, whole
    numbers = shortage.numbers()
    assert len(numbers) > 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        for number, done in zip(numbers, workers.map(lambda n: shortage.run(command, n), numbers)):
            what = number, done
            assert done.returncode >= 0, what
            if done.returncode == 0:
                assert meaning(done.stdout) == meaning(whole.stdout) or "no memory" in done.stdout, what
            else:
                assert done.stderr, what
