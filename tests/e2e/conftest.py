"""Fixtures: one laboratory for all tests, fresh clients and a daemon of its own for each."""

import contextlib
import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "oracle"))

from bus import Bus  # noqa: E402
from doors import SENTINEL_KNOCK  # noqa: E402
from hosts import ENVIRONMENT  # noqa: E402
from lab import Lab, unavailable  # noqa: E402


@pytest.fixture(scope="session")
def possible():
    """Skips every test that needs a laboratory where none can be made."""
    reason = unavailable()
    if reason:
        pytest.skip(f"no end-to-end tests: {reason}")


@pytest.fixture(scope="session")
def lab(possible):
    """The laboratory, with an iptables firewall."""
    with Lab() as made:
        yield made


@pytest.fixture(scope="session")
def nft_lab(possible):
    """A second laboratory beside the first, with an nft firewall."""
    with Lab("nft") as made:
        yield made


@pytest.fixture(scope="session")
def bus_lab(possible):
    """A third one, with a system bus (as `.bus`) and users that may steer the daemon or may not."""
    if not shutil.which("dbus-daemon", path=ENVIRONMENT["PATH"]):
        pytest.skip("dbus-daemon is not installed")
    with Lab() as made:
        made.bus = Bus(made)
        made.bus.start()
        yield made


@pytest.fixture
def clients(lab):
    """Makes clients that the daemon has never heard of."""
    with contextlib.ExitStack() as stack:
        def make():
            client = lab.client()
            stack.callback(client.close)
            return client
        yield make


@pytest.fixture
def client(clients):
    """A client."""
    return clients()


@pytest.fixture
def other(clients):
    """Another client."""
    return clients()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets the fixtures know whether the test has failed."""
    outcome = yield
    if call.when == "call":
        item.has_failed = outcome.get_result().failed


@pytest.fixture
def start(lab, request):
    """Starts daemons, and tells what they said if the test fails."""
    yield from _start(lab, request)


@pytest.fixture
def nft_start(nft_lab, request):
    """Starts daemons in the laboratory with nft."""
    yield from _start(nft_lab, request)


def _start(lab, request):
    started = []
    # The daemons of one test succeed each other; those of different tests know nothing of another.
    runtime = f"/run/knocktail-{next(lab.numbers)}"

    def make(doors, options="", **kwargs):
        started.append(lab.daemon(doors, options, **{"runtime": runtime, **kwargs}))
        return started[-1]

    yield make
    for daemon in started:
        daemon.close()
        print(f"knocktaild said:\n{daemon.stderr()}")
    if getattr(request.node, "has_failed", False):
        print("the firewall's last lines, with the kernel's and journald's time:")
        for record in lab.records()[-30:]:
            print(record.get("_SOURCE_MONOTONIC_TIMESTAMP"), record["__MONOTONIC_TIMESTAMP"],
                  record["MESSAGE"].partition(" SRC=")[2])
    for name in ("knock4", "knock6"):
        lab.server.run("ipset", "flush", name, check=False)
    for name in ("open4", "open6"):
        lab.server.run("nft", "flush", "set", "inet", "lab", name, check=False)
    for program in ("iptables", "ip6tables"):
        for chain in ("DOORS", "KNOCKTAIL"):
            lab.server.run(program, "-F", chain, check=False)
    for daemon in started:
        text = daemon.stderr()
        assert "Sanitizer" not in text and "runtime error" not in text, text


@pytest.fixture
def nothing_opened(clients):
    """Tells that nothing that happened so far has opened a door for a client.

    An honest client knocks (the configuration needs doors.SENTINEL): when its door is open, the
    daemon has judged everything that was logged before.
    """
    def check(daemon, *suspects):
        honest = clients()
        honest.knock(*SENTINEL_KNOCK)
        honest.wait_open()
        for suspect in suspects:
            for version in (4, 6):
                address = suspect.address(version)
                assert not daemon.events(SOURCE=address), f"the daemon knows {address}"
                assert address not in daemon.lab.members(f"knock{version}")
                assert not suspect.can_connect(version=version, timeout=0.1)
    return check


@pytest.fixture
def needs():
    """Skips the test, saying so, where a program of others is missing."""
    def check(*tools):
        for tool in tools:
            if not shutil.which(tool, path=ENVIRONMENT["PATH"]):
                pytest.skip(f"{tool} is not installed")
    return check
