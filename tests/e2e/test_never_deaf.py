"""Whatever becomes of the journal's files, the tail goes on, and a knock that straddles it opens.

The first steps of a knock come before the event, the last one after it.
"""

import contextlib
import os
import random
import signal

import pytest

from doors import SENTINEL, SENTINEL_KNOCK, ipset_door
from hosts import wait_until
from lab import Lab

# journald may take its time with what happens in mid-knock.
DOORS = ipset_door(seq_timeout="60s", timeout="60s") + SENTINEL
PERSISTENT = "/var/log/journal"


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory of our own, whose journal may suffer."""
    with Lab() as made:
        made.server.run("mount", "-t", "tmpfs", "lab", "/var/log")
        yield made


@pytest.fixture(params=["unread", "read"])
def straddle(request, clients, start):
    """Knocks around an event, whose first steps the daemon has read before it, or may not have."""
    daemon = start(DOORS)

    def check(event, timeout=1.5):
        client, other = clients(), clients()
        client.knock(7000, 8000)
        if request.param == "read":
            other.wait_open(since=other.knock(*SENTINEL_KNOCK))
        event()
        client.wait_open(since=client.knock(9000), timeout=timeout)
        late = clients()
        late.wait_open(since=late.knock(*SENTINEL_KNOCK))
        assert daemon.running()
    check.daemon = daemon
    return check


def files(lab):
    """The journal's files as seen from here."""
    directory = lab.server.path(lab.journal_directory)
    return [os.path.join(directory, name) for name in os.listdir(directory)]


def active(lab):
    """The file that journald writes to."""
    return lab.server.path(f"{lab.journal_directory}/system.journal")


def test_rotation(straddle, lab):
    straddle(lab.rotate_journal)


def test_vacuum(straddle, lab):
    def vacuum():
        lab.rotate_journal()
        lab.server.run("journalctl", "--directory", lab.journal_directory, "--vacuum-files=1")
        assert len(files(lab)) == 1
    straddle(vacuum)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_journald_starts_anew(number, straddle, lab):
    straddle(lambda: lab.restart_journald(number), timeout=3)


def test_the_files_are_deleted(straddle, lab, clients):
    """journald goes on writing to what is deleted, for some seconds."""
    noisy = clients()

    def delete():
        for path in files(lab):
            os.unlink(path)

    def goes_on():
        noisy.hit(1)
        return os.path.exists(active(lab))

    straddle(delete)
    straddle(lambda: wait_until(goes_on, 20, "journald notices", 0.2))


def test_the_directory_is_deleted(straddle, lab):
    def delete():
        lab.server.run("rm", "-r", lab.journal_directory)
        lab.restart_journald(signal.SIGKILL)
    straddle(delete, timeout=3)


@pytest.mark.parametrize("when", ["before", "after"])
def test_from_memory_to_disk(when, request, lab, clients, start):
    """The directory for it is there before the daemon starts, or made after that."""
    volatile = lab.journald_conf()
    lab.server.run("rm", "-rf", "/run/systemd/journal/flushed", PERSISTENT)
    if when == "before":
        lab.server.run("install", "-d", "-m", "2755", "-g", "systemd-journal", PERSISTENT)
    lab.journald_conf(volatile.replace("volatile", "auto"))
    try:
        lab.restart_journald()
        daemon = start(DOORS)
        client, late = clients(), clients()
        volatile_file = active(lab)
        client.knock(7000, 8000)

        lab.server.run("install", "-d", "-m", "2755", "-g", "systemd-journal", PERSISTENT)
        lab.signal_journald(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(lab.server.path("/run/systemd/journal/flushed")), 5,
                   "the journal has moved to disk")
        assert not os.path.exists(volatile_file)
        client.wait_open(since=client.knock(9000))
        late.wait_open(since=late.knock(*SENTINEL_KNOCK))
        assert daemon.running()
    finally:
        lab.journald_conf(volatile)
        lab.server.run("rm", "-rf", "/run/systemd/journal/flushed", PERSISTENT)
        lab.restart_journald()


def garble(path, first, last=None):
    """Overwrites a part of a file."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        last = size if last is None else min(last, size)
        file.seek(first)
        file.write(random.Random(1).randbytes(last - first))


@pytest.mark.parametrize("event", [
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, os.path.getsize(path) // 2),
    lambda path: os.truncate(path, 1 << 16),
    lambda path: garble(path, 0, 256),
    lambda path: garble(path, 256),
    lambda path: garble(path, 0),
], ids=["emptied", "cut in half", "cut short", "its head", "all but its head", "all of it"])
@pytest.mark.parametrize("straddle", ["read"], indirect=True)
def test_a_damaged_file(event, straddle, clients, lab):
    """What is destroyed before it was read is lost, and so is what journald adds before it notices;
    nothing else is. Of some damage journald dies (systemd 257 of that to the head, by SIGSEGV)."""
    noisy = clients()

    def stored():
        lab.revive_journald()
        noisy.hit(1)
        return [record for record in lab.records() if f" SRC={noisy.v4} " in record["MESSAGE"]]

    def damage():
        event(active(lab))
        wait_until(stored, 20, "what journald stores can be read again")

    straddle(damage, timeout=5)


@pytest.fixture
def small_disk(lab):
    """The journal on a file system of its own, and a file there that takes all the room left."""
    home = "/run/log/journal"
    lab.server.run("mount", "-t", "tmpfs", "-o", "size=20m,mode=2755", "lab", home)
    lab.server.run("chgrp", "systemd-journal", home)
    lab.restart_journald()
    yield lab.server.path(f"{lab.journal_directory}/filler")
    lab.server.run("umount", "--lazy", home)
    lab.restart_journald()


def fill(path):
    """Writes to a file until there is no more room."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass


def test_a_full_disk(small_disk, straddle, clients, lab):
    """What journald can still store opens; and when it can store again, it goes on."""
    straddle(lambda: fill(small_disk))
    noisy = clients()

    def exhausted():
        for _ in range(200):
            noisy.hit("1/udp")
        return not os.path.exists(active(lab))

    wait_until(exhausted, 20, "journald has given up its file and can make no other")
    os.unlink(small_disk)
    straddle(lambda: None)


def test_a_file_that_is_torn_for_good(small_disk, clients, start, lab):
    """A part of an old file can never be read: it is not there, and there is no room for it. That is
    told once, and then the file is done without."""
    clients().hit(1)
    lab.wait_logged("DPT=1 ")
    lab.rotate_journal()
    old = next(path for path in files(lab) if path != active(lab))
    lab.server.run("fallocate", "--punch-hole", "--offset=4096", "--length=1GiB",
                   f"{lab.journal_directory}/{os.path.basename(old)}")
    fill(small_disk)
    daemon = start(DOORS)
    for _ in range(5):
        client = clients()
        client.wait_open(since=client.knock(*SENTINEL_KNOCK))
    assert daemon.stderr().count("cannot read the journal") == 1


@pytest.mark.fills_the_kernel_log
def test_lost_kernel_messages_are_reported(client, other, clients, start, lab):
    """journald hangs while the kernel's ring overflows. What was read before is not forgotten."""
    daemon = start(DOORS)
    noisy = clients()
    client.knock(7000, 8000)
    other.wait_open(since=other.knock(*SENTINEL_KNOCK))
    with lab.hung_journald():
        for _ in range(3000):
            noisy.hit("1/udp")
    client.wait_open(since=client.knock(9000))
    assert lab.missed()
    wait_until(lambda: "the kernel log overran journald" in daemon.stderr(), 3, "it says so")
