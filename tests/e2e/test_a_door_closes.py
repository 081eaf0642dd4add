"""A door closes by itself, on time, whatever becomes of the daemon."""

import signal
import time

import pytest

from doors import command_door, ipset_door
from hosts import wait_until
from lab import COMMAND_PORTS

RULE = "/usr/sbin/iptables -w 5 {} DOORS -s %IP% -p tcp --dport 2201 -j ACCEPT"
RULE_DOOR = command_door(start_command=RULE.format("-A"), stop_command=RULE.format("-D"))
# One that is open for long enough to look at it, or to do something meanwhile.
LONG = 7
LONG_RULE_DOOR = RULE_DOOR.replace("timeout = 2s", f"timeout = {LONG}s")
PORT = COMMAND_PORTS[0]


def rules(lab):
    """The rules that commands have added."""
    listed = lab.server.run("iptables", "-S", "DOORS").stdout.splitlines()
    return [line for line in listed if line.startswith("-A")]


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_an_ipset_door_closes_on_time(version, client, start, lab):
    daemon = start(ipset_door(timeout="2s"))
    knocked = client.knock(7000, 8000, 9000, version=version)
    opened = client.wait_open(version=version, since=knocked)
    assert client.wait_closed(version=version, not_before=knocked + 1.4) - opened < 3.1
    daemon.wait_message(f"door ssh closed for {client.address(version)}")
    assert not lab.members(f"knock{version}")
    assert not daemon.messages("is open again"), "nobody has taken it away"


def test_a_command_door_closes_on_time(client, start, lab):
    daemon = start(LONG_RULE_DOOR)
    knocked = client.knock(7100, 8100, 9100)
    opened = client.wait_open(PORT, since=knocked)
    assert len(rules(lab)) == 1
    assert client.wait_closed(PORT, timeout=LONG + 3, not_before=knocked + LONG - 0.6) - opened < LONG + 1.1
    daemon.wait_message(f"door web closed for {client.v4}")
    assert not rules(lab)


def test_an_established_connection_outlives_the_door(client, start):
    start(ipset_door(timeout=f"{LONG}s"))
    client.knock(7000, 8000, 9000)
    client.wait_open()
    with client.socket() as sock:
        sock.settimeout(3)
        sock.connect((client.peer(), 22))
        client.wait_closed(timeout=LONG + 3)
        sock.sendall(b"still here\n")
        wait_until(lambda: b"still here" in sock.recv(100), 3, "an echo")


def test_a_second_knock_renews_an_ipset_door(client, start, lab):
    """The deadline moves and the set keeps one entry."""
    daemon = start(ipset_door(timeout=f"{LONG}s"))
    client.knock(7000, 8000, 9000)
    client.wait_open()
    wait_until(lambda: lab.members()[client.v4] <= LONG - 2, 4, "some of the time is over")
    again = client.knock(7000, 8000, 9000)
    daemon.wait_message("door ssh renewed for")
    renewed = time.monotonic()
    assert list(lab.members()) == [client.v4]
    assert lab.members()[client.v4] >= 1
    assert client.wait_closed(timeout=LONG + 3, not_before=again + LONG - 0.6) - renewed < LONG + 1.1
    deadlines = [int(event["KNOCKTAIL_DEADLINE"]) for event in daemon.events(SOURCE=client.v4)
                 if "KNOCKTAIL_DEADLINE" in event][:2]
    assert deadlines[1] - deadlines[0] > 1_000_000
    daemon.wait_message("door ssh closed for")
    assert len(daemon.messages("opened")) == 1
    assert len(daemon.messages("closed")) == 1


def test_a_second_knock_renews_a_command_door(client, start, lab):
    """start_command runs once."""
    daemon = start(LONG_RULE_DOOR)
    client.knock(7100, 8100, 9100)
    client.wait_open(PORT)
    deadline = time.monotonic() + 2.0
    wait_until(lambda: time.monotonic() > deadline, 4, "some of the time is over")
    again = client.knock(7100, 8100, 9100)
    daemon.wait_message("door web renewed for")
    renewed = time.monotonic()
    assert len(rules(lab)) == 1
    assert client.wait_closed(PORT, timeout=LONG + 3, not_before=again + LONG - 0.6) - renewed < LONG + 1.1
    wait_until(lambda: not rules(lab), 2, "the rule is gone")


def test_the_journal_says_until_when(client, start):
    daemon = start(ipset_door(timeout="2s"))
    before = time.time()
    client.knock(7000, 8000, 9000)
    daemon.wait_message("opened")
    after = time.time()
    opened = daemon.events(DOOR="ssh", SOURCE=client.v4)[0]
    assert before - 1 < int(opened["KNOCKTAIL_DEADLINE"]) / 1e6 - 2 < after + 1
    until = time.strftime("%Y-%m-%d %H:%M:%S UTC",
                          time.gmtime(int(opened["KNOCKTAIL_DEADLINE"]) / 1e6))
    assert opened["MESSAGE"] == f"door ssh opened for {client.v4} until {until}"
    assert len(opened["MESSAGE_ID"]) == 32
    daemon.wait_message("closed")
    closed = daemon.events(DOOR="ssh", SOURCE=client.v4)[1]
    assert closed["MESSAGE"] == f"door ssh closed for {client.v4}"
    assert closed["MESSAGE_ID"] != opened["MESSAGE_ID"]


def test_sigterm_closes_all_doors(client, start, lab):
    daemon = start(ipset_door(timeout="60s")
                   + command_door(timeout="60s", start_command=RULE.format("-A"),
                                  stop_command=RULE.format("-D")))
    client.knock(7000, 8000, 9000)
    client.knock(7100, 8100, 9100)
    client.knock(7000, 8000, 9000, version=6)
    client.wait_open()
    client.wait_open(PORT)
    client.wait_open(version=6)
    assert daemon.stop() == 0
    assert not lab.members("knock4") and not lab.members("knock6")
    assert not rules(lab)
    assert not client.can_connect() and not client.can_connect(PORT)


def test_on_stop_keep_leaves_doors_open(client, start, lab):
    daemon = start(ipset_door(timeout="60s"), "on_stop = keep")
    client.knock(7000, 8000, 9000)
    client.wait_open()
    assert daemon.stop() == 0
    assert client.can_connect()
    assert 50 < lab.members()[client.v4] <= 60


def test_sigkill_leaves_an_ipset_door_to_the_kernel(client, start):
    daemon = start(ipset_door(timeout=f"{LONG}s"))
    knocked = client.knock(7000, 8000, 9000)
    opened = client.wait_open(since=knocked)
    daemon.kill()
    assert client.can_connect()
    assert client.wait_closed(timeout=LONG + 3) - opened < LONG + 1.1


def test_a_successor_closes_a_command_door_on_time(client, start, lab):
    daemon = start(LONG_RULE_DOOR)
    knocked = client.knock(7100, 8100, 9100)
    opened = client.wait_open(PORT, since=knocked)
    daemon.kill()
    successor = start(LONG_RULE_DOOR)
    assert client.wait_closed(PORT, timeout=LONG + 3) - opened < LONG + 1.1
    successor.wait_message(f"door web closed for {client.v4}")
    assert not rules(lab)


def test_a_successor_closes_an_overdue_command_door_at_once(client, start, lab):
    daemon = start(RULE_DOOR)
    knocked = client.knock(7100, 8100, 9100)
    client.wait_open(PORT)
    daemon.kill()
    wait_until(lambda: time.monotonic() > knocked + 2.5, 4, "the door is overdue")
    assert client.can_connect(PORT), "nobody could have closed it yet"
    start(RULE_DOOR)
    client.wait_closed(PORT, timeout=1)
    wait_until(lambda: not rules(lab), 1, "the rule is gone")


def test_a_successor_closes_a_door_that_is_no_longer_configured(client, start, lab):
    daemon = start(RULE_DOOR)
    client.knock(7100, 8100, 9100)
    client.wait_open(PORT)
    daemon.kill()
    start(ipset_door())
    wait_until(lambda: not rules(lab), 4, "the rule is gone")


def test_a_daemon_that_was_stopped_for_a_while_closes_late_doors(client, start, lab):
    daemon = start(RULE_DOOR)
    knocked = client.knock(7100, 8100, 9100)
    client.wait_open(PORT)
    daemon.signal(signal.SIGSTOP)
    wait_until(lambda: time.monotonic() > knocked + 2.5, 4, "the door is overdue")
    daemon.signal(signal.SIGCONT)
    wait_until(lambda: not rules(lab), 1, "the rule is gone")
