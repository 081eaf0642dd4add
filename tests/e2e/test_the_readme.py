"""What README.md has a newcomer type works as it stands, on a minimal system fresh from Debian."""

import contextlib
import os
import re
import shutil
import subprocess
import time

import pytest

from hosts import ENVIRONMENT
from lab import ROOT, Lab, program
from machine import Machine, Unavailable, tree

SYSTEM = ("systemd", "systemd-sysv", "passwd", "sudo")

# Not every image has a system bus.
BUS = {"without a bus": (), "with a bus": ("dbus",)}

HOME = "/home/newcomer"
SOURCE = f"{HOME}/knocktail"

# What is the administrator's or was learnt, and stays when knocktail goes.
STAYS = re.compile(r"/etc/knocktail(/knocktail\.conf|/keys(/alice\.key)?)?$|/var/lib/knocktail(/|$)")


def _readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


def block(language, word):
    """The lines of the one block that has the word in it."""
    found = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", _readme(), re.M | re.S)
             if word in text]
    assert len(found) == 1, f"{len(found)} blocks of {language} have {word!r} in them"
    return found[0].splitlines()


def paragraph(word):
    """The first one that has the word in it, in one line."""
    return next(text for text in _readme().split("\n\n") if word in text).replace("\n", " ")


def removal():
    """The commands of the paragraph that says how to get rid of it."""
    return re.findall(r"`(sudo [^`]+)`", paragraph("make uninstall"))


class Newcomer:
    """Who types what the README says, into a machine on which they may use sudo."""

    def __init__(self, machine, has_bus=False):
        self.machine, self.has_bus = machine, has_bus
        machine.run("useradd", "--create-home", "--shell", "/bin/bash", "newcomer")
        machine.write("/etc/sudoers.d/newcomer", "newcomer ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        name = machine.run("uname", "-n").stdout.strip()
        machine.write("/etc/hosts", f"127.0.0.1 localhost {name}\n")
        subprocess.run(["bash", "-ec", '. "$1/tools/lib.sh"; copy_source "$2"', ROOT + "/tools/check",
                        ROOT, machine.root + SOURCE], check=True, timeout=60, env=ENVIRONMENT)
        machine.run("chown", "-R", "newcomer:", SOURCE)
        # Whatever it is to edit becomes what edits() has written.
        machine.write(f"{HOME}/editor", f'#!/bin/sh\ncat {HOME}/edited >"$1"\n', 0o755)

    def describe(self):
        """What may explain a failure: titles and texts."""
        for line in ("journalctl --boot --no-pager --lines=60 -t knocktaild -t kernel -t systemd",
                     "nft list ruleset", "ipset save"):
            yield line, self.machine.run(*line.split(), check=False).stdout

    def _command(self, line):
        return ("runuser", "--user=newcomer", "--", "env", "MAKEFLAGS=-j2",
                f"EDITOR={HOME}/editor", "bash", "-c", f"cd {SOURCE} && {{ {line}\n}} 2>&1")

    def types(self, line, timeout=30):
        """Types a line, which succeeds, and returns what it says."""
        began = time.monotonic()
        said = self.machine.run(*self._command(line), timeout=timeout).stdout
        print(f"[{time.monotonic() - began:.1f} s] $ {line}\n{said[-3000:]}")
        return said

    def edits(self, lines):
        """What an editor makes of the next file.

        Machines share the kernel's log: two that had the README's prefix would open for each other.
        """
        text = "\n".join([*lines, ""])
        self.machine.write(f"{HOME}/edited", text.replace("[knock] ", self.machine.lab.prefix))

    def loads(self, line, client, knock):
        """Types a line that loads rules, says "knock" to its question, and knocks."""
        with self.machine.popen(*self._command(line), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True) as process:
            said = _read_until(process.stdout, "takes them back: ")
            assert not client.can_connect()
            print("knock", file=process.stdin, flush=True)
            said += _read_until(process.stdout, "Knock now")
            knocks(client, knock)
            client.wait_open()
            said += process.stdout.read()
        print(f"$ {line}\n{said}")
        assert process.returncode == 0
        return said


def _read_until(stream, text):
    said = ""
    while text not in said:
        character = stream.read(1)
        assert character, said
        said += character
    return said


def knocks(client, line, directory="/"):
    """Types a line of the client's there."""
    programs = os.path.dirname(program("knocktap"))
    client.run("bash", "-c", f'cd {directory}; PATH="{programs}:$PATH"; sudo() {{ "$@"; }}; '
               + line.replace("HOST", client.peer()), check=False)


def can_knock(line):
    """Whether the client's programs are there."""
    return all(shutil.which(name, path=ENVIRONMENT["PATH"])
               for name in re.findall(r"\b(nc|nmap|knock)\b", line))


def files(machine):
    """All that is there but what the system writes as it runs."""
    away = ("/proc", "/sys", "/dev", "/run", "/tmp", "/home", "/var/log", "/var/tmp")
    pruned = " -o ".join(f"-path {path}" for path in away)
    found = machine.run("sh", "-c", f"find / \\( {pruned} \\) -prune -o -print").stdout
    return set(found.splitlines())


@pytest.fixture(scope="module", params=BUS)
def newcomer(possible, log_everywhere, request):
    """On a system with what the first line installs."""
    packages = block("sh", "make install")[0]
    assert packages.startswith("sudo apt update && sudo apt install ")
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab("none"))
        try:
            machine = Machine(lab, tree((*SYSTEM, *BUS[request.param]), then=packages), lambda root: None)
        except Unavailable as reason:
            pytest.skip(f"no newcomer: {reason}")
        stack.callback(machine.close)
        yield Newcomer(machine, has_bus=bool(BUS[request.param]))


def check_a_token(newcomer, configure, config, tmp_path):
    """Two lines more in the door, and a key."""
    machine = newcomer.machine
    newcomer.edits([*config, *block("ini", "users")])
    newcomer.types(configure)
    for line in block("sh", "knocktail keys"):
        client = machine.lab.client()
        if line.startswith("knocktap"):
            key = tmp_path / "alice.key"
            shutil.copyfile(f"{machine.root}/etc/knocktail/keys/alice.key", key)
            key.chmod(0o600)
            assert not client.can_connect()
            knocks(client, line, tmp_path)
            client.wait_open()
        elif "--apply" in line:
            newcomer.loads(line, client, block("sh", "nmap")[0])
        else:
            newcomer.types(line)
    assert "alice" in newcomer.types("sudo knocktail audit")


def test_the_walk(newcomer, tmp_path):
    machine, lab = newcomer.machine, newcomer.machine.lab
    other = lab.client()
    _, build, prepare, configure, enable, load = block("sh", "make install")
    config, clients = block("ini", "[door ssh]"), block("sh", "nmap")

    before = files(machine)
    newcomer.types(build, timeout=900)
    newcomer.types(prepare)
    newcomer.edits(config)
    newcomer.types(configure)
    newcomer.types(enable)
    said = newcomer.loads(load, lab.client(), clients[0])
    assert "nothing is wrong" in said
    assert not other.can_connect()

    machine.reboot()
    for line in filter(can_knock, clients):
        client = lab.client()
        assert not client.can_connect()
        knocks(client, line)
        client.wait_open()
    for line in block("sh", "knocktail replay"):
        if re.match("(sudo )?knocktail (?!watch)", line):
            # Without a bus nobody but root and the group may look.
            newcomer.types(line if newcomer.has_bus or line.startswith("sudo") else f"sudo {line}")
    check_a_token(newcomer, configure, config, tmp_path)

    for line in removal():
        newcomer.types(line, timeout=60)
    left = {path for path in files(machine) - before if not STAYS.match(path)}
    assert not left
    assert other.can_connect()
