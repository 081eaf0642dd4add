"""What a knock under way is worth when the daemon ends, and another one comes."""

import os
import re
import signal
import time

import pytest

from doors import SENTINEL, command_door, ipset_door
from hosts import wait_until

DOORS = ipset_door(seq_timeout="60s", timeout="60s") + SENTINEL


def end(daemon, how):
    """Stopped as by systemctl, or killed."""
    if how == "killed":
        daemon.kill()
    else:
        assert daemon.stop() == 0


def position(lab, daemon):
    """Where the position is, seen from here."""
    return lab.server.path(f"{daemon.runtime}/position")


def naps(daemon):
    """How often the daemon has gone to sleep: it does after each look into the journal."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("voluntary_ctxt")))


ends = pytest.mark.parametrize("how", ["stopped", "killed"])


@ends
def test_a_knock_is_finished_after_a_restart(how, client, start):
    daemon = start(DOORS)
    client.knock(7000, 8000)
    end(daemon, how)
    start(DOORS)
    client.wait_open(since=client.knock(9000))


@ends
def test_a_knock_is_finished_between_two_daemons(how, client, start):
    daemon = start(DOORS)
    client.knock(7000)
    end(daemon, how)
    client.knock(8000, 9000)
    start(DOORS)
    client.wait_open()


@ends
def test_a_knock_and_two_restarts(how, client, start):
    for port in (7000, 8000):
        daemon = start(DOORS)
        client.knock(port)
        end(daemon, how)
    start(DOORS)
    client.wait_open(since=client.knock(9000))


def test_a_foreign_port_before_the_restart_counts_too(client, start, nothing_opened):
    daemon = start(DOORS)
    client.knock(7000, 8000, 8001)
    daemon.kill()
    daemon = start(DOORS)
    client.knock(9000)
    nothing_opened(daemon, client)


def test_the_knock_takes_no_longer_for_the_restart(client, start, nothing_opened):
    doors = ipset_door(seq_timeout="1s") + SENTINEL
    daemon = start(doors)
    begun = client.knock(7000, 8000)
    daemon.kill()
    wait_until(lambda: time.monotonic() > begun + 1.2, 3, "the knock has taken too long")
    daemon = start(doors)
    client.knock(9000)
    nothing_opened(daemon, client)


@ends
def test_a_knock_opens_once(how, client, other, start, lab):
    """Neither opened again nor renewed: what was done is done."""
    daemon = start(DOORS, "on_stop = keep")
    client.knock(7000, 8000, 9000)
    client.wait_open()
    end(daemon, how)
    lab.server.run("ipset", "flush", "knock4")
    successor = start(DOORS, "on_stop = keep")
    other.wait_open(since=other.knock(60001, "60002/udp", 60003))
    assert not successor.messages("opened", SOURCE=client.v4)
    assert not successor.messages("renewed", SOURCE=client.v4)


def test_a_refused_knock_is_refused_once(client, other, start):
    doors = ipset_door(allow="192.0.2.77") + SENTINEL
    daemon = start(doors)
    client.knock(7000, 8000, 9000)
    daemon.wait_message("refused", SOURCE=client.v4)
    daemon.kill()
    successor = start(doors)
    other.wait_open(since=other.knock(60001, "60002/udp", 60003))
    assert not successor.messages("refused", SOURCE=client.v4)


def test_an_old_knock_opens_nothing(client, start, lab):
    doors = ipset_door(timeout="60s")
    start(doors, "max_age = 1s").kill()
    done = client.knock(7000, 8000, 9000)
    wait_until(lambda: time.monotonic() > done + 1.2, 3, "the knock is old")
    daemon = start(doors, "max_age = 1s")
    daemon.wait_message("refused", SOURCE=client.v4)
    assert client.v4 not in lab.members()


@pytest.mark.parametrize("how", ["reloaded", "stopped"])
def test_another_configuration_does_not_judge_the_past_anew(how, client, start, lab,
                                                            nothing_opened):
    """A pattern that meant nothing means nothing later."""
    doors = SENTINEL + ipset_door("late", "7300, 8300")
    daemon = start(ipset_door())
    client.knock(7300, 8300)
    wait_until(lambda: any(f" SRC={client.v4} " in record["MESSAGE"] and " DPT=8300 " in
                           record["MESSAGE"] for record in lab.records()), 3, "it is logged")
    looks = naps(daemon)
    wait_until(lambda: naps(daemon) > looks + 3, 3, "the daemon has looked")
    if how == "reloaded":
        os.rename(lab.server.path(lab.config(doors)), lab.server.path(daemon.config))
        daemon.reload()
        daemon.kill()
    else:
        daemon.stop()
    successor = start(doors)
    nothing_opened(successor, client)


@pytest.mark.parametrize("damage", ["", "nonsense\n", "\0\xff" * 4096], ids=["empty", "text", "binary"])
def test_a_damaged_position(damage, client, start, lab, nothing_opened):
    """It is said, what was there before is past, and the daemon works."""
    daemon = start(DOORS)
    client.knock(7000, 8000)
    daemon.kill()
    with open(position(lab, daemon), "w", encoding="latin-1") as file:
        file.write(damage)
    successor = start(DOORS)
    assert "cannot read the position: it is damaged" in successor.stderr()
    client.knock(9000)
    nothing_opened(successor, client)
    client.knock(7000, 8000, 9000)
    client.wait_open()


def rewrite(path, pattern, replacement):
    """Changes a line of the position."""
    with open(path, encoding="ascii") as file:
        text, times = re.subn(pattern, replacement, file.read())
    assert times == 1
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


@pytest.mark.parametrize("pattern, replacement, said", [
    (r"\bboot=\w+\njournal", "boot=" + "1" * 32 + "\njournal", None),
    (r"journal_boot=\w+", "journal_boot=" + "1" * 32, "not found in this journal"),
    (r"monotonic_us=\d+", "monotonic_us=99999999999999999", "it is damaged"),
], ids=["another boot", "another journal", "the future"])
def test_a_position_of_elsewhere(pattern, replacement, said, client, start, lab, nothing_opened):
    daemon = start(DOORS)
    client.knock(7000, 8000)
    daemon.kill()
    rewrite(position(lab, daemon), pattern, replacement)
    successor = start(DOORS)
    assert said is None or said in successor.stderr()
    client.knock(9000)
    nothing_opened(successor, client)
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_the_position_was_vacuumed(client, start, lab):
    """The entry is gone, the ones after it are not."""
    daemon = start(DOORS)
    daemon.kill()
    lab.rotate_journal()
    lab.server.run("journalctl", "--directory", lab.journal_directory, "--vacuum-files=1")
    client.knock(7000, 8000)
    successor = start(DOORS)
    client.knock(9000)
    client.wait_open()
    assert "position" not in successor.stderr()


def test_no_state_directory(client, start, lab):
    """Static doors need none."""
    lab.file("no-directory")
    daemon = start(DOORS, state="/run/lab/no-directory/state")
    client.wait_open(since=client.knock(7000, 8000, 9000))
    assert "no-directory" not in daemon.stderr()


def test_a_position_that_cannot_be_written(client, other, start, lab):
    """A warning, once; doors open; and no old position is left that would open them again."""
    daemon = start(DOORS)
    path = position(lab, daemon)
    obstacle = f"{os.path.dirname(path)}/.position.new"
    os.mkdir(obstacle)
    for knocker in (client, other):
        knocker.wait_open(since=knocker.knock(7000, 8000, 9000))
    assert daemon.stderr().count("cannot write the position") == 1
    assert not os.path.exists(path)
    os.rmdir(obstacle)


def test_the_position_is_for_humans_too(client, start, lab):
    daemon = start(DOORS)
    client.knock(7000, 8000, 9000)
    client.wait_open()
    with open(position(lab, daemon), encoding="ascii") as file:
        lines = dict(line.rstrip("\n").split("=", 1) for line in file)
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert lines["boot"] == file.read().strip().replace("-", "")
    after = lab.journal(f"--after-cursor={lines['cursor']}")
    assert not [entry for entry in after if entry["MESSAGE"].startswith(lab.prefix)
                and " DPT=9000 " in entry["MESSAGE"]]
    assert lab.journal("-n1", f"--cursor={lines['cursor']}")


def test_a_command_is_not_run_again(client, start, lab):
    """What cannot be undone by a timeout is not done twice."""
    log = lab.file("commands", mode=0o666)
    script = lab.file("note", f'#!/bin/sh\necho "$1 $2" >>{log}\n', 0o755)
    doors = command_door(timeout="60s", start_command=f"{script} open %IP%",
                         stop_command=f"{script} close %IP%") + SENTINEL
    daemon = start(doors, "on_stop = keep")
    client.knock(7100, 8100, 9100)
    wait_until(lambda: lab.read(log).count(f"open {client.v4}") == 1, 3, "the command has run")
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    start(doors, "on_stop = keep")
    client.wait_open(since=client.knock(60001, "60002/udp", 60003))
    assert lab.read(log).count("open") == 1
