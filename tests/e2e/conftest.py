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
from kernel_log import LogEverywhere, Share  # noqa: E402
from lab import Lab, unavailable  # noqa: E402


@pytest.fixture(scope="session")
def no_laboratory():
    """Why none can be made, or None."""
    return unavailable()


@pytest.fixture(scope="session")
def possible(no_laboratory):
    """Skips every test that needs a laboratory where none can be made."""
    if no_laboratory:
        pytest.skip(f"no end-to-end tests: {no_laboratory}")


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
def firewall(possible, firewall_kind):
    """Of a kind that the test's file has, in a laboratory of its own, knowing nothing of knocktail
    yet."""
    with Lab("none") as made:
        firewall_kind.start(made)
        yield firewall_kind, made


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


def pytest_configure(config):
    """Registers our marker."""
    config.addinivalue_line("markers", "fills_the_kernel_log: runs while no other test of any "
                            "laboratory does, for it overruns the log that they share")


# Files that take minutes: they begin first, so that at the end none keeps one of several laboratories
# busy alone.
LONGEST = {"test_a_fleet", "test_a_reboot", "test_every_system_call", "test_expected_ports",
           "test_memory_runs_out", "test_other_builds", "test_page", "test_ranges_of_ports",
           "test_rules", "test_the_kernel_closes_a_door", "test_the_readme",
           "test_what_docker_publishes", "test_what_lies_behind"}


def pytest_collection_modifyitems(items):
    """Orders the files."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows with a failure what the laboratories know of it, before they are cleared up."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when != "teardown":
        used = getattr(item, "funcargs", {}).values()
        for source in {id(value): value for value in used if hasattr(value, "describe")}.values():
            report.sections.extend(_described(source))
        report.sections.extend(Lab.obituaries)
    Lab.obituaries.clear()


def _described(source):
    """What it has to say, as far as it still can."""
    try:
        yield from source.describe()
    except Exception as error:  # the failure itself is what has to be seen
        yield "no more is known", f"{type(error).__name__}: {error}"


@pytest.fixture(scope="session")
def log_everywhere(possible):
    """LOG rules in namespaces write to the kernel's log, from the first test to the last."""
    held = LogEverywhere()
    yield
    held.close()


@pytest.fixture(autouse=True)
def share_of_the_kernel_log(request, no_laboratory):
    """While a test fills the log, no other one runs, in whichever root: also one that does not seem to
    use it, for a fixture that has the name of another hides what that one needs."""
    if no_laboratory:
        yield
        return
    request.getfixturevalue("log_everywhere")
    share = Share(alone=request.node.get_closest_marker("fills_the_kernel_log") is not None)
    yield
    share.close()


@pytest.fixture
def start(lab):
    """Starts daemons."""
    yield from _start(lab)


@pytest.fixture
def nft_start(nft_lab):
    """Starts daemons in the laboratory with nft."""
    yield from _start(nft_lab)


def _start(lab):
    started = []
    # The daemons of one test succeed each other; those of different tests know nothing of another.
    runtime = f"/run/knocktail-{next(lab.numbers)}"

    def make(doors, options="", **kwargs):
        started.append(lab.daemon(doors, options, **{"runtime": runtime, **kwargs}))
        return started[-1]

    yield make
    for daemon in started:
        daemon.close()
    lab.close_doors()
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
