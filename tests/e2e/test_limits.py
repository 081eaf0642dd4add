"""The limits of the printed rules cannot be turned against people by whoever invents sources, and
bound what is logged; and where a table is full all the same, that is reported."""

import time

import pytest

from firewalls import Iptables, Nft
from flood import Flood
from hosts import wait_until
from lab import Lab
from test_doctor import doctor

pytestmark = pytest.mark.fills_the_kernel_log

N_STRANGERS = 12


@pytest.fixture(params=[Iptables, Nft], ids=lambda kind: kind.__name__)
def firewall_kind(request):
    kind = request.param()
    kind.doors = kind.doors.replace("3s", "60s")
    return kind


@pytest.fixture
def firewall(firewall, firewall_kind):
    """With the rules that `knocktail rules` prints."""
    kind, lab = firewall
    kind.load(lab, lab.config(kind.doors))
    lab.server.ip("route add 10.0.0.0/8 dev eth0")
    return kind, lab


def lines(lab):
    """The lines that the firewall has logged; there are many."""
    done = lab.server.run("journalctl", "-q", "--directory", lab.journal_directory, "-k", "-o", "cat",
                          "--no-pager")
    return [line for line in done.stdout.splitlines() if line.startswith(lab.prefix)]


def last_line(lab):
    """The newest line of the kernel's."""
    return lab.server.run("journalctl", "-q", "--directory", lab.journal_directory, "-k", "-o", "cat",
                          "--no-pager", "-n", "1").stdout


def test_invented_sources_keep_nobody_out(firewall):
    """5,000 of them a second, more than a table of 65,536 places holds."""
    kind, lab = firewall
    lab.daemon(kind.doors)
    strangers = [lab.client() for _ in range(N_STRANGERS)]
    flood = Flood(lab.client(), 5000, 18, 90000)
    flood.start()
    begun, times = time.monotonic(), []
    wait_until(lambda: time.monotonic() - begun > 14.5, 20, "the table would be full")
    for client in strangers:
        try:
            times.append(client.time_knock(7000, 8000, 9000))
        except AssertionError:
            times.append(None)
    flood.wait()
    if lab.missed():
        pytest.skip("journald cannot keep up with a flood here")
    # Without those of the flood.
    logged = [line for line in lines(lab) if " SRC=10." not in line]
    for client in strangers:
        for port in (7000, 8000, 9000):
            assert any(f" SRC={client.v4} " in line and f" DPT={port} " in line for line in logged)
    assert None not in times


def test_a_flood_does_not_turn_the_journal_over(firewall):
    _, lab = firewall
    flood, begun = Flood(lab.client(), 15000, 5, 60000), time.monotonic()
    flood.start()
    sent = flood.wait()
    passed = time.monotonic() - begun
    # What is still on its way comes before this.
    lab.server.run("sh", "-c", "cat >/dev/kmsg", input=f"<4>the end of {lab.prefix}\n")
    wait_until(lambda: "the end of" in last_line(lab), 30, "the journal has all of it")
    # What journald has missed was logged, too.
    n_lines = len(lines(lab)) + sum(int(entry["MESSAGE"].split()[1]) for entry in lab.missed())
    # The kernel counts in steps of its clock.
    assert 10000 < n_lines < 10000 + 5400 * (passed + 1) < sent


def test_a_full_table_is_reported(possible):
    """By the daemon, which hears it of the kernel, and by the doctor, who looks."""
    kind = Iptables()
    with Lab("none") as lab:
        path = lab.config(kind.doors)
        kind.load(lab, path)
        lab.server.run("sh", "-ec", "iptables-save | sed 's/knock_sources/small/; "
                       "s/htable-size [0-9]*/htable-size 16/; s/htable-max [0-9]*/htable-max 16/' | "
                       "iptables-restore")
        lab.server.ip("route add 10.0.0.0/8 dev eth0")
        daemon = lab.daemon(kind.doors)
        flood = Flood(lab.client(), 100, 10, 40)
        flood.start()
        wait_until(lambda: "limits by source is full" in daemon.stderr(), 5, "the daemon reports it")
        flood.stop()
        flood.wait()
        _, found = doctor(lab, path)
        assert "IPv4: the table of the limit is full (16 sources)" in found["problem", "limit"][0]
        assert daemon.stderr().count("limits by source is full") == 1
