"""The service manager hears from the loop that does the work, and that never waits for the manager.

What systemd makes of it is in test_service.py.
"""

import signal
import time

from doors import command_door, ipset_door
from hosts import wait_until

ASKED = ("WATCHDOG_USEC=400000",)


def test_it_says_that_it_is_alive(start):
    """Twice as often as it has to; unless nobody asks."""
    daemon = start(ipset_door(), environment=ASKED)
    heard, moments = 0, []
    for _ in range(10):
        heard = daemon.manager_hears("WATCHDOG=1", 5, heard)
        moments.append(time.monotonic())
    # A busy machine makes some of the pauses longer.
    assert min(later - moment for moment, later in zip(moments, moments[1:])) < 0.3
    daemon.stop()
    silent = start(ipset_door())
    silent.reload()
    assert "WATCHDOG=1" not in silent.manager_heard


def test_a_manager_that_hangs_holds_nothing_up(client, other, start, lab):
    """Doors open and close, configurations are read; and when it works again it hears of it."""
    runtime = f"/run/knocktail-{next(lab.numbers)}"
    doors = ipset_door(timeout="60s") + command_door(
        timeout="1s", start_command=f"/usr/bin/touch {runtime}/mark",
        stop_command=f"/bin/rm {runtime}/mark")
    daemon = start(doors, runtime=runtime, environment=ASKED)
    client.knock(7100, 8100, 9100)
    daemon.wait_message("door web opened")
    daemon.hang_manager()
    heard = len(daemon.manager_heard)
    daemon.signal(signal.SIGHUP)
    daemon.wait_message("door web closed")
    other.wait_open(since=other.knock(7000, 8000, 9000))
    wait_until(lambda: "reloaded " in daemon.stderr(), 3, "the configuration is read")
    heard = daemon.manager_hears("READY=1", 3, heard)
    daemon.manager_hears("WATCHDOG=1", 3, heard)
