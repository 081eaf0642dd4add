"""Sequences from a file: each opens a door once, whatever happens in between."""

import os
import re
import signal
import time

import pytest

from doors import SENTINEL, ipset_door
from hosts import wait_until
from lab import DAEMON_UID

LINES = ((7000, 9000, 8000), (7001, "9001/udp", 8001), (7002, 9002, 8002), (7003, 9003, 8003))


def text_of(*lines):
    return "# for my phone\n\n" + "".join(f"{', '.join(map(str, line))}\n" for line in lines)


@pytest.fixture
def sequences(lab):
    """Makes files of one-time sequences, as the daemon's user has them."""
    made = []

    def make(*lines):
        path = f"/run/state/sequences-{next(lab.numbers)}"
        os.makedirs(lab.server.path("/run/state"), mode=0o700, exist_ok=True)
        os.chown(lab.server.path("/run/state"), DAEMON_UID, DAEMON_UID)
        with open(lab.server.path(path), "w", encoding="ascii") as file:
            file.write(text_of(*lines))
        os.chmod(lab.server.path(path), 0o600)
        os.chown(lab.server.path(path), DAEMON_UID, DAEMON_UID)
        made.append(path)
        return path

    yield make
    os.chmod(lab.server.path("/run/state"), 0o700)
    for path in made:
        os.unlink(lab.server.path(path))


def one_time_door(path, name="ssh", **keys):
    return ipset_door(name, sequence=None, one_time_sequences=path, **keys)


def used(lab, path):
    return len(re.findall(r"^# used [-0-9]+ [:0-9]+ UTC by [0-9a-f.:]+: ", lab.read(path), re.M))


def test_each_line_opens_once(clients, start, lab, sequences, nothing_opened):
    path = sequences(*LINES[:3])
    daemon = start(one_time_door(path) + SENTINEL)
    for count, line in enumerate(LINES[:3]):
        early, right, late = clients(), clients(), clients()
        for other in LINES[count + 1:3]:
            early.knock(*other)
        right.knock(*line)
        right.wait_open()
        assert used(lab, path) == count + 1
        for other in LINES[:count + 1]:
            late.knock(*other)
        nothing_opened(daemon, early, late)
    assert f"door ssh: no unused sequence left in {path}" in daemon.stderr()
    text = lab.read(path)
    assert text.startswith("# for my phone\n\n# used ")
    assert [line.rpartition(": ")[2] for line in text.splitlines()[2:]] == \
        text_of(*LINES[:3]).splitlines()[2:], "the list is still there to be read"


def test_a_line_that_was_heard_is_used(clients, start, lab, sequences, nothing_opened):
    """Somebody listens, breaks the knock with a packet in its name, and sends the line."""
    path = sequences(*LINES[:2])
    daemon = start(one_time_door(path) + SENTINEL)
    victim, thief = clients(), clients()
    victim.knock(LINES[0][0], 4444, *LINES[0][1:])
    daemon.wait_message("refused", SOURCE=victim.v4)
    assert "it is used up" in daemon.events(SOURCE=victim.v4)[-1]["KNOCKTAIL_REASON"]
    thief.knock(*LINES[0])
    nothing_opened(daemon, thief)
    assert not victim.can_connect()
    assert f"by {victim.v4}: {', '.join(map(str, LINES[0]))}" in lab.read(path)
    victim.knock(*LINES[1])
    victim.wait_open()


def test_the_last_line_was_heard(client, start, sequences):
    """The administrator hears that the door stays closed from now on."""
    path = sequences(LINES[0])
    daemon = start(one_time_door(path) + SENTINEL)
    client.knock(LINES[0][0], 4444, *LINES[0][1:])
    daemon.wait_message("refused", SOURCE=client.v4)
    wait_until(lambda: f"door ssh: no unused sequence left in {path}" in daemon.stderr(), 3,
               "it is said")


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
def test_used_is_used_after_a_restart(end, clients, start, lab, sequences, nothing_opened):
    path = sequences(*LINES)
    first, second, thief = clients(), clients(), clients()
    daemon = start(one_time_door(path) + SENTINEL)
    first.knock(*LINES[0])
    first.wait_open()
    daemon.signal(getattr(signal, end))
    daemon.wait()
    daemon = start(one_time_door(path) + SENTINEL)
    thief.knock(*LINES[0])
    nothing_opened(daemon, thief)
    second.knock(*LINES[1])
    second.wait_open()
    assert used(lab, path) == 2


def test_two_doors_do_not_both_take_a_line(client, other, start, lab, sequences, nothing_opened):
    path = sequences(*LINES)
    daemon = start(one_time_door(path, "one") + one_time_door(path, "two") + SENTINEL)
    client.knock(*LINES[0])
    client.wait_open()
    other.knock(*LINES[0])
    nothing_opened(daemon, other)
    assert daemon.messages("opened", SOURCE=client.v4, DOOR="one")
    assert not daemon.events(SOURCE=client.v4, DOOR="two")
    assert used(lab, path) == 1


def test_a_line_that_cannot_be_marked_opens_nothing(client, other, start, lab, sequences,
                                                    nothing_opened):
    """Nor does it later, for whoever has overheard it."""
    path = sequences(*LINES)
    daemon = start(one_time_door(path) + SENTINEL)
    os.chmod(lab.server.path("/run/state"), 0o500)
    client.knock(*LINES[0])
    daemon.wait_message("refused", SOURCE=client.v4)
    assert "cannot be marked as used" in daemon.events(SOURCE=client.v4)[-1]["KNOCKTAIL_REASON"]
    assert not client.can_connect()
    assert client.v4 not in lab.members()
    os.chmod(lab.server.path("/run/state"), 0o700)
    daemon.reload()
    other.knock(*LINES[0])
    nothing_opened(daemon, other)
    client.knock(*LINES[1])
    client.wait_open()
    assert used(lab, path) == 1 and "# used before, " in lab.read(path)


def test_a_reload_reads_the_file_again(client, other, start, lab, sequences):
    path = sequences(LINES[0])
    daemon = start(one_time_door(path))
    client.knock(*LINES[0])
    client.wait_open()
    with open(lab.server.path(path), "a", encoding="ascii") as file:
        file.write(f"{', '.join(map(str, LINES[2]))}\n")
    other.hit(LINES[2][0])
    daemon.reload()
    other.knock(*LINES[2])
    other.wait_open()
    assert used(lab, path) == 2


def test_replay_uses_nothing_up(client, other, lab, sequences):
    line, begin = (7010, 9010, 8010), int(time.time())      # before it, others have sent theirs
    path = sequences(line, LINES[1])
    client.knock(*line)
    lab.wait_logged(f"SRC={client.v4} ")
    other.knock(*line)
    wait_until(lambda: sum(f"SRC={other.v4} " in entry["MESSAGE"] for entry in lab.records()) == 3,
               3, "the second knock is logged")
    done = lab.knocktail("replay", "-c", lab.config(one_time_door(path)), "--since", f"@{begin}")
    assert f"door ssh would have opened for {client.v4}\n" in done.stdout
    assert other.v4 not in done.stdout
    assert lab.read(path) == text_of(line, LINES[1])


def test_a_damaged_line_is_named_but_not_shown(lab, sequences):
    path = sequences(LINES[0], (7001, "90x1", 8001))
    config = lab.config(one_time_door(path))
    for argv in ((lab.daemon_path, "-c", config), (lab.cli_path, "check", "-c", config)):
        done = lab.server.run(*argv, check=False, timeout=5)
        assert done.returncode == 2, done
        assert f"{path}:4: error: step 2 is not PORT" in done.stderr
        assert "90x1" not in done.stderr and "7001" not in done.stderr


def test_check_tells_that_none_is_left(lab, sequences):
    path = sequences()
    done = lab.knocktail("check", "-c", lab.config(one_time_door(path)))
    assert done.returncode == 0
    assert f"{path}: warning: no unused sequence left" in done.stderr
    assert "warnings: 1" in done.stdout


def test_a_file_that_others_may_read_is_refused(lab, sequences):
    path = sequences(*LINES)
    os.chmod(lab.server.path(path), 0o644)
    done = lab.knocktail("check", "-c", lab.config(one_time_door(path)))
    assert done.returncode == 2
    assert f"chmod g-w,o= {path}" in done.stderr
