"""notify_command: a program hears of each door that opens, and nothing waits for it."""

import pytest

from doors import command_door, ipset_door
from hosts import wait_until

TELL = "/bin/sh -c 'echo \"$@\" >>/run/lab/told' sh %DOOR% %IP% %TIMEOUT% [%USER%]"


@pytest.fixture(name="told")
def _told(lab):
    """What the command has written so far: a list of lines, empty at first."""
    lab.file("told", "", 0o666)
    return lambda: lab.read("/run/lab/told").splitlines()


@pytest.fixture(name="notifying")
def _notifying(start):
    """Starts a daemon with a notify_command."""
    return lambda command, doors: start(doors, f"notify_command = {command}")


def test_each_opening_is_told_once(client, lab, told, notifying):
    daemon = notifying(TELL, ipset_door(timeout="60s"))
    client.wait_open(since=client.knock(7000, 8000, 9000))
    wait_until(lambda: told() == [f"ssh {client.address(4)} 60 []"], 5, told)
    client.knock(7000, 8000, 9000)                    # it stays open longer: nothing has opened
    client.wait_open(version=6, since=client.knock(7000, 8000, 9000, version=6))
    wait_until(lambda: len(told()) > 1, 5, told)
    assert told()[1:] == [f"ssh {client.address(6)} 60 []"]
    assert daemon.stop() == 0


def test_a_door_that_stays_shut_is_not_told(client, other, lab, told, notifying):
    notifying(TELL, command_door(name="bad", start_command="/bin/false", stop_command="/bin/true")
              + ipset_door())
    client.knock(7100, 8100, 9100)
    other.wait_open(since=other.knock(7000, 8000, 9000))
    wait_until(lambda: told() == [f"ssh {other.address(4)} 2 []"], 5, told)


def test_a_command_that_hangs_holds_nothing_up(client, lab, notifying):
    """Neither the doors nor the end of the daemon; and there are never more than sixteen."""
    daemon = notifying("/bin/sleep 1000", "".join(
        ipset_door(f"d{i}", sequence=f"{27000 + i}, {29000 + i}, {28000 + i}") for i in range(18)))
    for i in range(18):
        client.knock(27000 + i, 29000 + i, 28000 + i)
    wait_until(lambda: daemon.stderr().count(" closed for ") == 18, 10, daemon.stderr)
    assert "notify_command was not run (1 times more): 16 still run" in daemon.stderr()
    assert daemon.stop() == 0


@pytest.mark.parametrize("command, complaint", [
    ("\"/bin/sh -c 'echo no such relay >&2; exit 3'\"",
     "notify_command exited with status 3: no such relay"),
    ("/bin/sh -c 'kill -9 $$'", "notify_command was ended by signal 9"),
    ("/nowhere/mail", "cannot run notify_command: No such file or directory"),
], ids=["exits", "dies", "is not there"])
def test_what_fails_is_in_the_log(command, complaint, client, notifying):
    daemon = notifying(command, ipset_door())
    client.wait_open(since=client.knock(7000, 8000, 9000))
    wait_until(lambda: complaint in daemon.stderr(), 5, daemon.stderr)
