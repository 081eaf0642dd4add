"""`knocktail setup` on a machine that has no door: from an open port to one that a knock opens."""

import os
import re
import tempfile

import pytest

from hosts import wait_until
from lab import Lab, program
from machine import Unavailable, booted

FILE = "/etc/knocktail/conf.d/setup.conf"


@pytest.fixture
def machine(possible):
    """A machine with knocktail as `make install` leaves it, and with no firewall yet."""
    with Lab("none") as lab:
        try:
            made = booted(lab)
        except Unavailable as reason:
            pytest.skip(f"no machine: {reason}")
        made.configure("")
        yield made
        made.close()


def run_setup(machine, *options, answers="", timeout=60):
    """What it says to these lines, errors too, and its exit status."""
    done = machine.run("sh", "-c", f"printf '{answers}' | knocktail setup {' '.join(options)} 2>&1",
                       check=False, timeout=timeout)
    print(done.stdout)
    return done.stdout, done.returncode


def test_nothing_changes_without_a_yes(machine):
    """Nor at the end of the answers, nor after a wrong word."""
    client = machine.lab.client()
    assert client.can_connect()
    wrong, long = "x y\\n" * 3, "2" * 2000 + "\\n"
    for answers in ("", "22\\n", "22\\nnft\\nnone\\nalice\\n", "22\\nnft\\nnone\\nalice\\nno\\n",
                    wrong, long, "x y\\n" * 20 + "22\\nnft\\nnone\\nalice\\nyes\\n", "all\\n0\\n65536\\n", f"22\\n{wrong}", f"22\\nnft\\n{wrong}",
                    f"22\\nnft\\nall\\n22\\n{long}", f"22\\niptables\\n80,443\\n{wrong}",
                    f"2222,22\\nufw\\nAlice\\nalice\\n{wrong}", f"22\\nfirewalld\\nalice\\n{wrong}",
                    "22/tcp\\nipset\\nnft\\n\\nalice\\nno\\n"):
        said, status = run_setup(machine, answers=answers)
        assert status == 1 and "othing was changed" in said
    for options in (("--guard", "http"), ("--firewall", "pf"), ("--user", "../x"),
                    ("--user", "a", "--sequence"), ("--firewall", "ufw", "--open", "80"), ("x",)):
        said, status = run_setup(machine, *options, "--yes")
        assert status == 2, options
    assert machine.run("ls", os.path.dirname(FILE), check=False).stdout == ""
    assert machine.run("systemctl", "is-active", "knocktaild", check=False).returncode != 0
    assert client.can_connect()


def knocktap(client, machine, said, version):
    """What setup has said that the client runs, with a copy of the key."""
    found = re.search(r"^  knocktap (.*HOST.*)$", said, re.M)
    arguments = found[1].replace(",", "").replace("HOST", client.peer(version)).split()
    with tempfile.NamedTemporaryFile() as copy:    # which nobody else may read
        if "--key" in arguments:
            key = arguments.index("--key") + 1
            copy.write(machine.run("cat", f"/etc/knocktail/keys/{arguments[key]}").stdout.encode())
            copy.flush()
            arguments[key] = copy.name
        client.run(program("knocktap"), *arguments)


def test_a_token_door_without_a_question(machine):
    """--yes takes what is suggested: who reaches other ports today still does."""
    lab = machine.lab
    client, other = lab.client(), lab.client()
    said, status = run_setup(machine, "--user", "alice", "--yes")
    assert status == 0, said
    assert re.search(r"rules nft --open .*\b2201/tcp.* --apply --install", said)
    wait_until(lambda: "they are in the set" in machine.journal("knocktaild"), 10,
               "the daemon sees the rules")
    for version in (4, 6):
        assert not client.can_connect(version=version)
        assert client.can_connect(2201, version)
        knocktap(client, machine, said, version)
        client.wait_open(version=version)
        assert not other.can_connect(version=version)
    assert machine.run("stat", "-c", "%U %G %a", FILE).stdout == "root knocktail 640\n"
    said, status = run_setup(machine, "--yes")
    assert status == 1 and "has been run before" in said


@pytest.mark.parametrize("knocks", [True, False], ids=["a knock", "no knock"])
def test_the_first_knock_keeps_the_rules(machine, knocks):
    """Of whoever has answered the questions, and knocks from the second terminal."""
    client = machine.lab.client()
    machine.run("systemd-run", "--quiet", "--unit=setup", "sh", "-c",
                "printf '22/tcp\\nnft\\nnone\\nyes\\n' | knocktail setup --sequence "
                ">/run/said 2>&1; echo $? >/run/status")

    def said():
        return machine.run("cat", "/run/said", check=False).stdout

    wait_until(lambda: "Knock, within" in said(), 30, "the rules are loaded")
    assert not client.can_connect()
    if knocks:
        knocktap(client, machine, said(), 4)
        client.wait_open()
    else:
        machine.run("systemctl", "stop", "setup")
    wait_until(lambda: machine.run("systemctl", "is-active", "setup", check=False).returncode, 30,
               "it has ended")
    if not knocks:
        wait_until(client.can_connect, 30, "the rules are taken back")
        return
    assert machine.run("cat", "/run/status").stdout == "0\n", said()
    assert "opened for" in said() and "The rules stay" in said()
    assert machine.run("systemctl", "is-enabled", "knocktail-firewall").returncode == 0
    assert not machine.lab.client().can_connect()
