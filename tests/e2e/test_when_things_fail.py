"""Full and read-only file systems, clocks that jump, commands that fail: doors close all the same."""

import os
import subprocess
import time

import pytest

from doors import command_door, ipset_door
from hosts import wait_until
from lab import DAEMON_UID, ROOT

CLOCK = os.path.join(ROOT, "tests/faults/set-clock.c")

# Fails until the file is there.
RELUCTANT = """#!/bin/sh
echo tried >>"$1"
test -e "$1.now"
"""


@pytest.fixture
def small(lab):
    """A runtime directory where there is room for the record of one door, and no more."""
    path = f"/run/small-{next(lab.numbers)}"
    os.makedirs(lab.server.path(f"{path}/grants"))
    lab.server.run("mount", "-t", "tmpfs", "-o", f"size=4k,mode=0700,uid={DAEMON_UID}", "small",
                   f"{path}/grants")
    yield path
    lab.server.run("umount", "--lazy", f"{path}/grants")


def test_without_room_for_a_record_nothing_opens(clients, start, lab, small):
    """And what is open keeps its deadline; when there is room again, all is well."""
    daemon = start(ipset_door(timeout="8s"), runtime=small)
    one, two = clients(), clients()
    knocked = one.knock(7000, 8000, 9000)
    opened = one.wait_open(since=knocked)
    two.knock(7000, 8000, 9000)
    assert daemon.wait_message("refused", SOURCE=two.v4).endswith("cannot write its state file")
    one.knock(7000, 8000, 9000)
    daemon.wait_message("refused", SOURCE=one.v4)
    assert list(lab.members()) == [one.v4]
    assert one.wait_closed(timeout=10, not_before=knocked + 7.0) - opened < 9.1
    daemon.wait_message("closed", SOURCE=one.v4)
    two.knock(7000, 8000, 9000)
    two.wait_open()
    assert daemon.stop() == 0


def test_a_read_only_file_system_holds_no_door_open(clients, start, lab, small):
    daemon = start(ipset_door(timeout="2s"), runtime=small)
    one, two = clients(), clients()
    knocked = one.knock(7000, 8000, 9000)
    opened = one.wait_open(since=knocked)
    lab.server.run("mount", "-o", "remount,ro", f"{small}/grants")
    two.knock(7000, 8000, 9000)
    assert daemon.wait_message("refused", SOURCE=two.v4).endswith("cannot write its state file")
    assert one.wait_closed() - opened < 3.1
    daemon.wait_message("closed", SOURCE=one.v4)
    assert f"cannot remove grants/ssh@{one.v4}: Read-only file system" in daemon.stderr()
    assert f"ssh@{two.v4}" not in daemon.stderr()
    assert daemon.stop() == 0
    lab.server.run("mount", "-o", "remount,rw", f"{small}/grants")
    successor = start(ipset_door(timeout="2s"), runtime=small)
    wait_until(lambda: not os.listdir(lab.server.path(f"{small}/grants")), 3, "the record is gone")
    assert not lab.members()
    two.knock(7000, 8000, 9000)
    two.wait_open()
    assert successor.running()


def test_a_damaged_record_holds_no_door_open(client, start, lab):
    """Its name says what has to be closed; a file of another name is none of ours."""
    runtime = f"/run/damaged-{next(lab.numbers)}"
    grants = lab.server.path(f"{runtime}/grants")
    doors = ipset_door() + command_door(timeout="60s", start_command=f"/usr/bin/touch {runtime}/mark",
                                        stop_command=f"/bin/rm {runtime}/mark")
    mark = lab.server.path(f"{runtime}/mark")
    daemon = start(doors, runtime=runtime)
    client.knock(7100, 8100, 9100)
    daemon.wait_message("door web opened")
    daemon.kill()
    assert os.path.exists(mark)
    os.truncate(os.path.join(grants, f"web@{client.v4}"), 100)
    with open(os.path.join(grants, "stranger"), "wb") as file:
        file.write(b"\xff\x00")
    successor = start(doors, runtime=runtime)
    wait_until(lambda: not os.path.exists(mark), 3, "the door is closed")
    successor.wait_message("door web closed")
    assert f"grants/web@{client.v4} is damaged: closing the door that it names" in successor.stderr()
    assert "ignoring grants/stranger: not a grant's state file" in successor.stderr()
    wait_until(lambda: not os.listdir(grants), 3, "no record is left")
    client.knock(7000, 8000, 9000)
    client.wait_open()


@pytest.mark.parametrize("step", ["-3600", "+3600"], ids=["back", "ahead"])
def test_a_wall_clock_that_is_set_disturbs_no_deadline(step, clients, start, lab, needs, tmp_path):
    """The daemon's view of it jumps by an hour while doors are open, of the kernel and of a command."""
    needs("cc")
    built = tmp_path / "set-clock.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", built, CLOCK], check=True)
    clock = lab.file(f"clock-{next(lab.numbers)}", "+0")
    note = lab.file(f"note-{next(lab.numbers)}", "", 0o666)
    preload = lab.install(built)
    daemon = start(
        ipset_door(timeout="3s") + command_door(
            timeout="3s", start_command="/bin/true", stop_command=f"/usr/bin/tee {note}"),
        environment=[f"LD_PRELOAD={preload}", f"SET_CLOCK={clock}"])
    one, two = clients(), clients()
    knocked = one.knock(7000, 8000, 9000)
    one.knock(7100, 8100, 9100)
    opened = one.wait_open(since=knocked)
    daemon.wait_message("door web opened")
    lab.file(os.path.basename(clock), step)
    assert one.wait_closed(not_before=knocked + 2.0) - opened < 4.1
    daemon.wait_message("door ssh closed", SOURCE=one.v4)
    daemon.wait_message("door web closed", SOURCE=one.v4)
    if step == "-3600":     # ahead, every record is an hour old
        two.knock(7000, 8000, 9000)
        two.wait_open()
        until = int(daemon.events(DOOR="ssh", SOURCE=two.v4)[0]["KNOCKTAIL_DEADLINE"]) / 1e6
        assert -3610 < until - time.time() < -3590, "the clock was not set"


def test_a_stop_command_that_fails_is_tried_until_it_succeeds(client, start, lab):
    reluctant = lab.file("reluctant", RELUCTANT, 0o755)
    page = lab.file(f"reluctant-{next(lab.numbers)}", "", 0o666)
    daemon = start(command_door(timeout="1s", start_command="/bin/true",
                                stop_command=f"{reluctant} {page}"))
    client.knock(7100, 8100, 9100)
    wait_until(lambda: len(daemon.messages("could not be closed")) == 2, 6, "two failures are told")
    assert lab.read(page).count("tried") >= 2
    assert not daemon.messages("web closed")
    lab.file(os.path.basename(page) + ".now")
    daemon.wait_message("door web closed", timeout=8)
    assert daemon.stop() == 0
