"""The daemon under the sanitizers' eyes, from the start through all that it does to the end."""

import os
import signal

import pytest

from doors import SENTINEL, command_door, ipset_door
from test_a_running_daemon import rewrite
from test_forged_lines_open_nothing import (real_lines, with_kmsg, with_native_newlines,
                                            with_newlines_in_kmsg)


@pytest.fixture
def sanitized(lab):
    """The daemon that was built with sanitizers."""
    path = os.path.join(os.environ.get("KNOCKTAIL_SANITIZED", ""), "knocktaild")
    if not os.access(path, os.X_OK):
        pytest.skip("no build with sanitizers (KNOCKTAIL_SANITIZED)")
    return lab.install(path, "knocktaild-sanitized")


def test_a_life_under_sanitizers(sanitized, client, other, start, lab, nothing_opened):
    doors = ipset_door() + SENTINEL + command_door(start_command="/bin/true",
                                                   stop_command="/bin/true") \
        + command_door("failing", "7200, 8200", start_command="/bin/false",
                       stop_command="/bin/false")
    daemon = start(doors, binary=sanitized)
    client.knock(7000, 8000, 9000)
    client.knock(7000, 8000, 9000, version=6)
    client.wait_open(timeout=3)
    client.knock(7000, 8000, 9000, 7100, 8100, 9100, 7200, 8200)
    daemon.wait_message("renewed")
    daemon.wait_message("door web opened")
    for line in real_lines(lab, other):
        for forge in (with_kmsg, with_newlines_in_kmsg, with_native_newlines):
            forge(lab, line)
    lab.rotate_journal()
    nothing_opened(daemon, other)
    rewrite(lab, daemon, "nonsense\n")
    daemon.reload()
    rewrite(lab, daemon, doors)
    daemon.reload()
    lab.restart_journald(signal.SIGKILL)
    client.wait_closed()
    client.knock(7000, 8000, 9000)
    client.wait_open(timeout=4)
    assert daemon.stop(timeout=20) == 0, daemon.stderr()
