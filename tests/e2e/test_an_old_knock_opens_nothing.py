"""A knock that the kernel says is old opens nothing, whatever journald makes of it."""

import os
import re
import time

import pytest

from doors import SENTINEL, SENTINEL_KNOCK, ipset_door
from hosts import wait_until
from lab import Lab

DOORS = ipset_door(timeout="1s") + SENTINEL
MAX_AGE = "max_age = 1s"
OLD = 1.2


@pytest.fixture(scope="module")
def lab(possible):
    """A laboratory of our own, whose journald may suffer."""
    with Lab() as made:
        yield made


def pass_by(since):
    """Waits until what happened then is old."""
    wait_until(lambda: time.monotonic() > since + OLD, 3, "it is old")


def read_the_ring_again(lab):
    """journald starts and has lost its note of how far it has read the kernel's log."""
    note = lab.server.path("/run/systemd/journal/kernel-seqnum")
    lab.restart_journald(between=lambda: os.unlink(note))


def said(daemon, what, client):
    """What the daemon has said of a client; journald does not hear all of it while it starts."""
    return daemon.stderr().count(f"door ssh {what} {client.v4}")


def sentinel_is_judged(clients, daemon):
    """Whatever was stored before is read then. On a busy machine it may be old as well."""
    late = clients()
    late.knock(*SENTINEL_KNOCK)
    wait_until(lambda: re.search(rf"door sentinel (opened for|refused to) {re.escape(late.v4)}\b",
                                 daemon.stderr()), 5, "the sentinel's knock is judged")


def test_the_ring_is_read_again(client, clients, start, lab):
    """Of a knock, too, that the daemon was not there to see."""
    knocked = client.knock(7000, 8000, 9000)
    lab.wait_logged("DPT=9000 ")
    pass_by(knocked)
    daemon = start(DOORS, MAX_AGE)
    sentinel_is_judged(clients, daemon)
    read_the_ring_again(lab)
    sentinel_is_judged(clients, daemon)
    assert said(daemon, "opened for", client) == 0
    assert said(daemon, "refused to", client) == 1


def test_journald_hangs_for_a_while(client, clients, start, lab):
    """It stores what was logged meanwhile as if it was new."""
    daemon = start(DOORS, MAX_AGE)
    sentinel_is_judged(clients, daemon)
    with lab.hung_journald():
        knocked = client.knock(7000, 8000, 9000)
        pass_by(knocked)
    sentinel_is_judged(clients, daemon)
    assert said(daemon, "opened for", client) == 0
    assert said(daemon, "refused to", client) == 1
