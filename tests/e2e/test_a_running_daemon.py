"""Reloads, a journal in motion, a firewall that changes under its feet."""

import os
import shutil
import signal

import pytest

from doors import SENTINEL, SENTINEL_KNOCK, command_door, ipset_door, iptables_door
from hosts import wait_until
from lab import DAEMON_UID


def rewrite(lab, daemon, doors):
    """Puts other doors into the daemon's file."""
    os.rename(lab.server.path(lab.config(doors)), lab.server.path(daemon.config))


def test_a_reload_brings_new_doors(client, other, start, lab, nothing_opened):
    daemon = start(ipset_door())
    client.knock(7000, 8000, 9000)
    client.wait_open()
    rewrite(lab, daemon, ipset_door(sequence="7001, 8001", timeout="5s") + SENTINEL)
    daemon.reload()
    other.knock(7000, 8000, 9000)
    nothing_opened(daemon, other)
    other.knock(7001, 8001)
    other.wait_open()
    client.wait_closed(timeout=4)


def test_a_door_in_a_file_of_its_own(client, start, lab):
    """The daemon's own user reads conf.d; a mistake there leaves what runs as it is."""
    daemon = start(ipset_door())
    directory = lab.server.path("/run/lab/conf.d")
    os.mkdir(directory, 0o750)
    try:
        os.chown(directory, 0, DAEMON_UID)
        path = lab.file("conf.d/10-more.conf", ipset_door("more", sequence="7001, 8001"), 0o640)
        os.chown(lab.server.path(path), 0, DAEMON_UID)
        daemon.reload()
        client.wait_open(since=client.knock(7001, 8001))
        client.wait_closed(timeout=4)
        lab.file("conf.d/10-more.conf", "[door more]\nsequence = 7001, 8001\n", 0o640)
        daemon.reload()
        assert f"{path}:1: error: " in daemon.stderr()
        client.wait_open(since=client.knock(7001, 8001))
    finally:
        shutil.rmtree(directory)


def test_a_knock_survives_a_reload(client, start, lab):
    daemon = start(ipset_door())
    client.knock(7000, 8000)
    rewrite(lab, daemon, ipset_door() + ipset_door("more", sequence="7000, 7001"))
    daemon.reload()
    client.wait_open(since=client.knock(9000))


def test_a_hung_journald_keeps_no_door_open(client, other, start, lab):
    """While nobody can be told of it, doors close all the same."""
    rule = "DOORS -s %IP% -p tcp --dport 2201 -j ACCEPT"
    daemon = start(command_door(timeout="2s", start_command=f"/usr/sbin/iptables -w -I {rule}",
                                stop_command=f"/usr/sbin/iptables -w -D {rule}"))
    for knocker in (client, other):
        knocker.wait_open(port=2201, since=knocker.knock(7100, 8100, 9100))
    with lab.hung_journald():
        client.wait_closed(port=2201)
        other.wait_closed(port=2201)
    assert daemon.stop() == 0


def test_a_reload_with_many_doors_keeps_no_door_open(client, start, lab):
    """Deadlines do not wait until the chain of each has been looked at."""
    rule = "DOORS -s %IP% -p tcp --dport 2201 -j ACCEPT"
    doors = command_door(timeout="2s", start_command=f"/usr/sbin/iptables -w -I {rule}",
                         stop_command=f"/usr/sbin/iptables -w -D {rule}")
    doors += "".join(iptables_door(f"many{i}", f"{20000 + i}, {30000 + i}") for i in range(300))
    daemon = start(doors)
    client.wait_open(port=2201, since=client.knock(7100, 8100, 9100))
    daemon.reload(timeout=2)
    client.wait_closed(port=2201, timeout=3)
    wait_until(lambda: lab.server.run("ip6tables", "-S", "KNOCKTAIL", check=False).returncode == 0,
               5, "the chain is there")
    assert "cannot be opened" not in daemon.stderr()


def test_a_reload_leaves_open_doors_open(client, start, lab):
    daemon = start(ipset_door(timeout="60s"))
    client.knock(7000, 8000, 9000)
    client.wait_open()
    daemon.reload()
    assert client.can_connect()
    assert lab.members()[client.v4] > 50
    assert not daemon.messages("closed")
    assert daemon.stop() == 0
    assert not lab.members()


def test_a_reload_in_mid_knock(client, start):
    """What the daemon remembers of a half knock may go; what comes after the reload counts."""
    daemon = start(ipset_door())
    client.knock(7000, 8000)
    daemon.reload()
    client.knock(7000, 8000, 9000)
    client.wait_open()


@pytest.mark.parametrize("bad", ["[door x]\nsequence = 70000\n", "no ini file at all\n", "\0\xff"],
                         ids=["a wrong value", "no ini file", "binary"])
def test_a_bad_file_leaves_the_running_configuration(bad, client, start, lab):
    daemon = start(ipset_door())
    rewrite(lab, daemon, bad)
    daemon.reload()
    wait_until(lambda: f"{daemon.config}:" in daemon.stderr(), 3, "the mistake is reported")
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_a_lost_file_leaves_the_running_configuration(client, start, lab):
    daemon = start(ipset_door())
    os.unlink(lab.server.path(daemon.config))
    daemon.reload()
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_many_reloads(client, start):
    daemon = start(ipset_door())
    for _ in range(20):
        daemon.signal(signal.SIGHUP)
    daemon.reload()
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_a_set_that_was_destroyed(client, start, lab):
    """The daemon says so and lives; with the set, the door is back."""
    lab.server.run("ipset", "create", "lonely", "hash:ip", "timeout", "0")
    daemon = start(ipset_door(set="lonely", set_6=None) + ipset_door("other", "7001, 8001"))
    lab.server.run("ipset", "destroy", "lonely")
    client.knock(7000, 8000, 9000)
    wait_until(lambda: [text for text in daemon.messages("ssh") if "lonely" in text], 3,
               "the missing set is reported")
    assert not daemon.messages("opened")
    client.knock(7001, 8001)
    client.wait_open()
    lab.server.run("ipset", "create", "lonely", "hash:ip", "timeout", "0")
    client.knock(7000, 8000, 9000)
    wait_until(lambda: client.v4 in lab.members("lonely"), 3, "the door opens again")
    daemon.stop()
    lab.server.run("ipset", "destroy", "lonely")


def test_an_entry_that_someone_else_removed(client, start, lab):
    daemon = start(ipset_door())
    client.knock(7000, 8000, 9000)
    client.wait_open()
    lab.server.run("ipset", "del", "knock4", client.v4)
    daemon.wait_message("closed", timeout=5)
    client.knock(7000, 8000, 9000)
    client.wait_open()


def test_the_journal_is_rotated_in_mid_knock(client, start, lab):
    start(ipset_door())
    client.knock(7000, 8000)
    lab.rotate_journal()
    client.knock(9000)
    client.wait_open()


def test_the_journal_is_rotated_often(clients, start, lab):
    start(ipset_door())
    for _ in range(5):
        client = clients()
        client.knock(7000)
        lab.rotate_journal()
        client.knock(8000)
        lab.rotate_journal()
        client.knock(9000)
        client.wait_open()


def test_old_journal_files_are_vacuumed(clients, start, lab):
    start(ipset_door())
    for _ in range(2):
        client = clients()
        client.knock(7000, 8000)
        lab.rotate_journal()
        lab.server.run("journalctl", "--directory", lab.journal_directory, "--vacuum-files=1")
        client.knock(9000)
        client.wait_open()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_journald_is_restarted_in_mid_knock(number, client, other, start, lab):
    daemon = start(ipset_door() + SENTINEL)
    client.knock(7000, 8000)
    lab.restart_journald(number)
    client.knock(9000)
    client.wait_open(timeout=3)
    other.knock(*SENTINEL_KNOCK)
    other.wait_open()
    assert daemon.running()


def test_it_tells_of_a_door_in_the_journal_after_a_restart_of_journald(client, start, lab):
    daemon = start(ipset_door())
    lab.restart_journald()
    client.knock(7000, 8000, 9000)
    client.wait_open(timeout=3)
    daemon.wait_message("opened")


def test_two_daemons_side_by_side(client, other, start, lab):
    start(ipset_door())
    start(ipset_door("second", "7300, 8300"), runtime="/run/knocktail-second")
    client.knock(7000, 8000, 9000)
    other.knock(7300, 8300)
    client.wait_open()
    other.wait_open()


def test_it_needs_no_more_than_cap_net_admin(client, start):
    daemon = start(command_door(start_command="/bin/sh -c 'exit 0'", stop_command="/bin/true")
                   + ipset_door())
    with open(f"/proc/{daemon.pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    assert status["Uid"].split() == ["64042"] * 4
    assert int(status["CapEff"], 16) == 1 << 12
    client.knock(7000, 8000, 9000)
    client.wait_open()
