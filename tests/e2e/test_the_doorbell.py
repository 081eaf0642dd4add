"""When the daemon looks into the journal: as often as the kernel's log asks for it, whatever is in it."""

import contextlib
import os
import time

import pytest

from doors import ipset_door
from hosts import wait_until

BELL = "woken by the kernel's log (/dev/kmsg)"
POLL = "no /dev/kmsg was passed: polling the journal"


def context_switches(daemon):
    """What everybody on the machine may count: how often the daemon has gone to sleep."""
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("voluntary")).split()[1])


@contextlib.contextmanager
def kernel_log():
    """Counts the lines that have come since it did so last; those of others, too."""
    kmsg = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.lseek(kmsg, 0, os.SEEK_END)

    def count_lines():
        n = 0
        with contextlib.suppress(BlockingIOError):
            while os.read(kmsg, 8192):
                n += 1
        return n
    try:
        yield count_lines
    finally:
        os.close(kmsg)


def test_it_says_once_what_wakes_it(start):
    assert start(ipset_door()).stderr().count(BELL) == 1


def test_without_a_doorbell_it_polls(client, start):
    daemon = start(ipset_door(), doorbell=False)
    assert daemon.stderr().count(POLL) == 1
    client.wait_open(since=client.knock(7000, 8000, 9000))


def test_what_the_kernel_says_to_others_wakes_it_only_for_a_moment(client, start):
    """Foreign lines do not keep it awake: it sleeps most of the time beside a few a second."""
    daemon = start(ipset_door())
    with kernel_log() as count_lines:
        before, began = context_switches(daemon), time.monotonic()
        for port in range(20000, 20010):
            client.knock(port)
            time.sleep(0.2)
        # Other laboratories have it woken, too.
        looks = context_switches(daemon) - before - 10 * count_lines()
    assert looks / (time.monotonic() - began) < 250


def test_a_line_is_worth_few_looks(start):
    """Also one that a program has written, not the kernel itself."""
    daemon = start(ipset_door())

    def looks(count_lines):
        count_lines()
        before = context_switches(daemon)
        # Of who keeps it open, the kernel takes ten lines in five seconds.
        with open("/dev/kmsg", "w", encoding="ascii") as writer:
            writer.write("<6>a program says this\n")
        time.sleep(0.1)
        return (context_switches(daemon) - before) / count_lines()
    with kernel_log() as count_lines:
        assert min(looks(count_lines) for _ in range(20)) < 8


@pytest.mark.parametrize("doorbell", [True, False], ids=["doorbell", "polling"])
def test_how_often_it_looks_says_nothing_of_the_knock(doorbell, clients, start):
    """Who may count the looks in /proc cannot tell a right first step from a wrong one."""
    daemon = start(ipset_door(seq_timeout="10s"), doorbell=doorbell)

    def looks_after(port, client):
        wait_until(lambda: looks(0.5) < 100, 30, "it is quiet")
        client.knock(port)
        return looks(3.0)

    def looks(seconds):
        before = context_switches(daemon)
        time.sleep(seconds)
        return (context_switches(daemon) - before) / seconds
    # In turns: what others have the kernel log meanwhile is in both.
    right, wrong = zip(*((looks_after(7000, clients()), looks_after(7001, clients()))
                         for _ in range(4)))
    assert min(right) < max(wrong) * 1.5 and min(wrong) < max(right) * 1.5, (right, wrong)


def test_a_full_ring_stays_a_doorbell(client, start, lab):
    """What was overwritten before anybody looked rings, too, and is no reason to stop listening."""
    daemon = start(ipset_door())
    with open("/dev/kmsg", "wb", buffering=0) as kmsg:
        for _ in range(200):
            kmsg.write(f"<7>{lab.prefix} is filling the ring\n".encode())
    client.wait_open(since=client.knock(7000, 8000, 9000))
    assert daemon.running()
