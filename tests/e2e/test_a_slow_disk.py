"""What has to be on disk before a door opens may take its time: only that door waits for it."""

import os
import signal
import subprocess
import time

import pytest

from doors import SENTINEL, SENTINEL_KNOCK, command_door, ipset_door
from hosts import wait_until
from lab import DAEMON_UID, ROOT
from test_keyed_knocks import DOOR, KINDS, MAKE, Keys, send

SOURCE = os.path.join(ROOT, "tests/faults/slow-disk.c")
LINE = (7000, 9000, 8000)


@pytest.fixture(scope="module")
def lab(bus_lab):
    """The laboratory with a bus."""
    return bus_lab


@pytest.fixture
def keys(lab):
    """The key of alice."""
    return Keys(lab, "alice")


class Disk:
    """A disk that can hang, and a daemon that uses it."""

    def __init__(self, lab, library, start):
        self._lab = lab
        self._start = start
        self._name = f"slow-{next(lab.numbers)}"
        self._preload = lab.install(library)

    def start(self, doors, *options, **kwargs):
        """Starts a daemon, whose manager wants signs of life."""
        environment = (f"LD_PRELOAD={self._preload}", f"SLOW_DISK=/run/lab/{self._name}",
                       "WATCHDOG_USEC=400000")
        return self._start(doors, "\n".join(options), environment=environment, **kwargs)

    def hang(self):
        """From now on nothing gets to the disk."""
        self._lab.file(self._name)

    def go_on(self):
        """The disk works again."""
        path = self._lab.server.path(f"/run/lab/{self._name}")
        if os.path.exists(path):
            os.unlink(path)


@pytest.fixture
def disk(lab, start, needs, tmp_path):
    """The disk."""
    needs("cc")
    built = tmp_path / "slow-disk.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", built, SOURCE], check=True)
    made = Disk(lab, built, start)
    yield made
    made.go_on()


@pytest.fixture
def sequences(lab):
    """A file with one one-time sequence."""
    directory = f"/run/slow-sequences-{next(lab.numbers)}"
    os.mkdir(lab.server.path(directory), mode=0o700)
    path = f"{directory}/sequences"
    with open(lab.server.path(path), "w", encoding="ascii") as file:
        file.write(f"{', '.join(map(str, LINE))}\n7001, 9001, 8001\n")
    os.chmod(lab.server.path(path), 0o600)
    for name in (directory, path):
        os.chown(lab.server.path(name), DAEMON_UID, DAEMON_UID)
    return path


def waits(lab, daemon):
    """Whether something has been written that is not on the disk yet."""
    burnt = lab.server.path(f"{daemon.state}/burnt")
    return os.path.isdir(burnt)


def passes_by(lab, daemon, clients):
    """Whatever was logged before has been read."""
    late = clients()
    late.wait_open(since=late.knock(*SENTINEL_KNOCK))


def opened(daemon, client):
    """How often it was let in by its knock."""
    return len(daemon.messages("door ssh opened", SOURCE=client.v4))


@KINDS
def test_only_that_door_waits(kind, client, clients, disk, keys, lab):
    """The deadline of a command, the bus, the watchdog and other knocks do not."""
    mark = f"/run/knocktail-mark-{next(lab.numbers)}"
    os.mkdir(lab.server.path(mark), mode=0o777)
    os.chmod(lab.server.path(mark), 0o777)
    daemon = disk.start(DOOR[kind](timeout="60s") + SENTINEL + command_door(
        timeout="3s", start_command=f"/usr/bin/touch {mark}/open",
        stop_command=f"/bin/rm {mark}/open"), keys.options)
    lab.bus.wait_daemon()
    other = clients()
    begun = other.knock(7100, 8100, 9100)
    daemon.wait_message("door web opened")
    disk.hang()
    send(client, kind, MAKE[kind](keys.key["alice"]))
    passes_by(lab, daemon, clients)
    daemon.wait_message("door web closed", timeout=5)
    assert 2.9 < time.monotonic() - begun
    assert lab.knocktail("status", timeout=5).returncode == 0
    heard = daemon.manager_hears_all()
    for _ in range(3):
        heard = daemon.manager_hears("WATCHDOG=1", 5, heard)
    assert opened(daemon, client) == 0 and not client.can_connect()
    disk.go_on()
    client.wait_open()
    daemon.wait_message("door ssh opened", SOURCE=client.v4)
    assert opened(daemon, client) == 1


@KINDS
def test_the_same_knock_meanwhile(kind, client, other, clients, disk, keys, lab):
    """Overheard, and sent again before it is recorded."""
    daemon = disk.start(DOOR[kind](timeout="60s") + SENTINEL, keys.options)
    disk.hang()
    knock = MAKE[kind](keys.key["alice"])
    send(client, kind, knock)
    passes_by(lab, daemon, clients)
    send(other, kind, knock)
    assert "replayed" in daemon.wait_message("refused", SOURCE=other.v4)
    disk.go_on()
    client.wait_open()
    assert opened(daemon, other) == 0 and not other.can_connect()


def test_a_one_time_sequence(client, other, clients, disk, sequences, lab):
    """It is used up as soon as it is knocked, and the next one is good at once."""
    daemon = disk.start(ipset_door(sequence=None, one_time_sequences=sequences, timeout="60s")
                        + SENTINEL)
    disk.hang()
    client.knock(*LINE)
    passes_by(lab, daemon, clients)
    other.knock(*LINE)
    late = clients()
    late.knock(7001, 9001, 8001)
    passes_by(lab, daemon, clients)
    assert opened(daemon, client) == 0 and not client.can_connect()
    disk.go_on()
    client.wait_open()
    late.wait_open()
    assert opened(daemon, other) == 0 and not other.can_connect()
    assert lab.read(sequences).count("# used") == 2
    assert "no unused sequence left" in daemon.stderr()


def test_a_reload_meanwhile(client, other, clients, disk, keys, sequences, lab):
    """What waits was for doors that are no more; what was used is used."""
    doors = DOOR["spa"](timeout="60s") + SENTINEL + ipset_door(
        "once", sequence=None, one_time_sequences=sequences, timeout="60s")
    daemon = disk.start(doors, keys.options)
    disk.hang()
    knock = MAKE["spa"](keys.key["alice"])
    send(client, "spa", knock)
    client.knock(*LINE)
    passes_by(lab, daemon, clients)
    daemon.reload()
    disk.go_on()
    for door in ("ssh", "once"):
        said = daemon.wait_message("refused", SOURCE=client.v4, DOOR=door)
        assert "was read again" in said
    send(other, "spa", knock)
    wait_until(lambda: daemon.messages("replayed", SOURCE=other.v4), 3, "it is used up")
    client.knock(*LINE)
    other.knock(7001, 9001, 8001)
    other.wait_open()
    assert not client.can_connect()
    assert not daemon.messages("opened", SOURCE=client.v4)


@pytest.mark.parametrize("of", ["this source", "all"])
def test_a_close_meanwhile(of, client, other, clients, disk, keys, lab):
    """The door that was closed by hand does not open a moment later."""
    daemon = disk.start(DOOR["spa"](timeout="60s") + SENTINEL, keys.options)
    lab.bus.wait_daemon()
    disk.hang()
    for knocker in (client, other):
        send(knocker, "spa", MAKE["spa"](keys.key["alice"]))
    passes_by(lab, daemon, clients)
    done = lab.knocktail("close", "ssh", *([client.v4] if of == "this source" else []))
    assert done.returncode == 0, done
    disk.go_on()
    said = daemon.wait_message("refused", SOURCE=client.v4)
    assert "the door was closed before it was recorded as used" in said
    assert opened(daemon, client) == 0 and not client.can_connect()
    if of == "this source":
        other.wait_open()
    else:
        daemon.wait_message("refused", SOURCE=other.v4)
        assert not other.can_connect()


@pytest.mark.parametrize("end", ["stopped", "too slow to wait for", "killed"])
@KINDS
def test_an_end_meanwhile(kind, end, client, clients, disk, keys, lab):
    """It opens nothing then; and a daemon that is stopped records it, if the disk lets it."""
    daemon = disk.start(DOOR[kind](timeout="60s") + SENTINEL, keys.options)
    disk.hang()
    knock = MAKE[kind](keys.key["alice"])
    send(client, kind, knock)
    passes_by(lab, daemon, clients)
    daemon.signal(signal.SIGKILL if end == "killed" else signal.SIGTERM)
    if end == "stopped":
        daemon.manager_hears("STOPPING=1", 3)
        disk.go_on()
    daemon.wait(timeout=8)
    assert client.v4 not in lab.members()
    assert ("could not be recorded as used" in daemon.stderr()) == (end == "too slow to wait for")
    disk.go_on()
    successor = disk.start(DOOR[kind](timeout="60s") + SENTINEL, keys.options)
    passes_by(lab, successor, clients)
    if end == "stopped":
        assert client.v4 not in lab.members()
        send(client, kind, knock)
        assert "replayed" in successor.wait_message("refused", SOURCE=client.v4)
    assert opened(successor, client) <= 1


@KINDS
def test_too_many_wait(kind, client, clients, disk, keys, lab):
    """Whoever has a key does not have the others wait for ever."""
    daemon = disk.start(DOOR[kind]("ssh", timeout="60s") + "".join(
        DOOR[kind](f"ssh{i}", timeout="60s") for i in range(10)) + SENTINEL, keys.options)
    disk.hang()
    for i in range(10):
        send(client, kind, MAKE[kind](keys.key["alice"], door=f"ssh{i}"))
    said = daemon.wait_message("refused", SOURCE=client.v4)
    assert "the disk is too slow: too many knocks wait" in said
    disk.go_on()
    client.wait_open()
    daemon.wait_message("door ssh7 opened", SOURCE=client.v4)
    assert daemon.running()
