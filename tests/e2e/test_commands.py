"""Doors that commands open: with canonical addresses, side by side, and whatever they do."""

import time

from doors import SENTINEL, command_door, ipset_door
from hosts import wait_until

# Notes its arguments, one line a run; $1 is where to.
NOTE = """#!/bin/sh
file=$1
shift
echo "$# $*" >>"$file"
"""

# Ends when three of them run.
SLOW = """#!/bin/sh
echo begin >>"$1"
until [ "$(grep -c begin "$1")" = 3 ]; do sleep 0.05; done
echo end >>"$1"
"""


def notebook(lab, name):
    """An empty file that everybody in the lab may write."""
    return lab.file(f"{name}-{next(lab.numbers)}", "", 0o666)


def test_the_address_is_an_argument_in_canonical_form(client, start, lab):
    note, page = lab.file("note", NOTE, 0o755), notebook(lab, "note")
    start(command_door(
        start_command=f"{note} {page} start %IP% x%IP%x %DOOR%",
        stop_command=f"{note} {page} stop %IP%",
        start_command_6=f"{note} {page} start6 %IP%", stop_command_6=f"{note} {page} stop6 %IP%"))
    client.knock(7100, 8100, 9100)
    client.knock(7100, 8100, 9100, version=6)
    wait_until(lambda: lab.read(page).count("\n") == 4, 5, "four commands have run")
    assert sorted(lab.read(page).splitlines()) == sorted([
        f"4 start {client.v4} x{client.v4}x web", f"2 stop {client.v4}",
        f"2 start6 {client.v6}", f"2 stop6 {client.v6}"])


def test_no_shell_reads_a_command(client, start, lab):
    note, page = lab.file("note", NOTE, 0o755), notebook(lab, "note")
    start(command_door(start_command=f'"{note} {page} $HOME `id` %IP%;id | cat > /run/lab/x"',
                       stop_command="/bin/true"))
    client.knock(7100, 8100, 9100)
    wait_until(lambda: lab.read(page), 3, "the command has run")
    line = lab.read(page)
    assert "$HOME" in line and "`id`" in line and "uid=" not in line


def test_commands_run_side_by_side(clients, start, lab):
    slow, page = lab.file("slow", SLOW, 0o755), notebook(lab, "slow")
    start(command_door(timeout="10s", start_command=f"{slow} {page}", stop_command="/bin/true"))
    for client in [clients() for _ in range(3)]:
        client.knock(7100, 8100, 9100)
    wait_until(lambda: lab.read(page).count("end") == 3, 5, "three commands have ended")


def test_a_command_that_hangs_stops_nobody(client, other, start, lab):
    daemon = start(command_door(start_command="/bin/sleep 600", stop_command="/bin/true")
                   + ipset_door())
    client.knock(7100, 8100, 9100)
    started = time.monotonic()
    other.knock(7000, 8000, 9000)
    other.wait_open(since=started)
    other.wait_closed()
    assert daemon.running()
    assert daemon.stop(timeout=30) == 0


def test_a_command_that_fails_is_reported(client, start, lab, nothing_opened):
    daemon = start(command_door(start_command="/bin/false", stop_command="/bin/true")
                   + command_door("gone", "7200, 8200", start_command="/run/lab/no-such-program",
                                  stop_command="/bin/true") + SENTINEL)
    client.knock(7100, 8100, 9100)
    report = daemon.wait_message("web")
    wait_until(lambda: [entry for entry in daemon.messages("web") if "false" in entry
                        or "failed" in entry or "exit" in entry], 3, f"a failure, not {report}")
    client.knock(7200, 8200)
    wait_until(lambda: [entry for entry in daemon.messages("gone") if "no-such-program" in entry
                        or "No such file" in entry or "failed" in entry], 3, "a failure")
    assert not daemon.messages("opened")
    nothing_opened(daemon)


def test_a_stop_command_that_fails_is_reported(client, start, lab):
    daemon = start(command_door(timeout="1s", start_command="/bin/true", stop_command="/bin/false"))
    client.knock(7100, 8100, 9100)
    daemon.wait_message("opened")
    wait_until(lambda: [entry for entry in daemon.messages("web") if "fail" in entry
                        or "exit" in entry], 4, "the failure is reported")
    assert daemon.running()
    daemon.kill()   # it would rather go on trying
