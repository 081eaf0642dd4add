"""One allocation of the daemon's fails, each in turn: it does not start, or goes on as it should."""

import contextlib
import os
import re
import shutil

import pytest

import shortage
from doors import command_door, ipset_door, iptables_door, nft_door
from hosts import wait_until
from lab import DAEMON_UID, Daemon
from test_keyed_knocks import DOOR, MAKE, Keys, send

SETS = """
table inet lab {
    set open4 { type ipv4_addr; flags timeout; }
    set open6 { type ipv6_addr; flags timeout; }
}
"""
# More than a knock and its end ask for.
N_MAX = 60
# More than a start asks for.
N_START = 1000


@pytest.fixture(scope="module")
def library(lab, tmp_path_factory):
    """no-memory.so, in the laboratory."""
    lab.server.run("nft", "-f", "-", input=SETS)
    return lab.install(shortage.build(tmp_path_factory.mktemp("shortage")))


@pytest.fixture
def memory(lab, library):
    """The memory of one daemon."""
    inside = lab.file(f"memory-{next(lab.numbers)}", mode=0o666)
    return shortage.Shortage(library, lab.server.path(inside), inside)


@pytest.fixture
def keys(lab):
    """The key of alice."""
    return Keys(lab, "alice")


class Static:
    """A knock that is the same each time."""

    options = ""

    def __init__(self, doors):
        self.doors = doors

    def door(self, _):
        """The door for the knock of this number."""
        return "ssh"

    def send(self, client, _):
        """Knocks there."""
        client.knock(7000, 8000, 9000)


class Once(Static):
    """Another sequence each time."""

    def __init__(self, lab):
        lines = "".join(f"{7001 + i}, {9001 + i}, {8001 + i}\n" for i in range(2 * N_MAX))
        directory = f"lines-{next(lab.numbers)}"
        os.mkdir(lab.server.path(f"/run/lab/{directory}"), 0o700)
        path = lab.file(f"{directory}/sequences", lines, 0o600)
        for name in (f"/run/lab/{directory}", path):
            os.chown(lab.server.path(name), DAEMON_UID, DAEMON_UID)
        super().__init__(ipset_door(sequence=None, timeout="60s", one_time_sequences=path))
        self._n = 0

    def send(self, client, _):
        client.knock(7001 + self._n, 9001 + self._n, 8001 + self._n)
        self._n += 1


class Keyed(Static):
    """Through another door each time, for a token is good once."""

    def __init__(self, keys, kind):
        super().__init__("".join(DOOR[kind](f"d{i}", timeout="60s") for i in range(2 * N_MAX)))
        self.options = keys.options
        self._key = keys.key["alice"]
        self._kind = kind

    def door(self, number):
        return f"d{number}"

    def send(self, client, door):
        send(client, self._kind, MAKE[self._kind](self._key, door=door))


def make(kind, lab, keys):
    """A knock of this kind."""
    if kind == "once":
        return Once(lab)
    if kind in MAKE:
        return Keyed(keys, kind)
    doors = {"ipset": ipset_door, "iptables": iptables_door, "nft": nft_door}
    if kind in doors:
        return Static(doors[kind]("ssh", timeout="60s"))
    return Static(command_door("ssh", "7000, 8000, 9000", timeout="60s",
                               start_command="/bin/true %IP%", stop_command="/bin/true %IP%"))


@pytest.fixture
def starved(lab, memory):
    """Starts daemons whose memory that is."""
    def begin(config):
        begun.append(Daemon(lab, config, environment=memory.environment, runtime="/run/knocktail"))
        return begun[-1]

    begun = []
    yield begin
    for daemon in begun:
        daemon.close()


def said_of(daemon, door, act):
    """What the daemon says of the door while something is done."""
    before = len(daemon.stderr())
    act()
    pattern = re.compile(rf"^door {door} (?:opened|renewed|refused) .*", re.M)
    return wait_until(lambda: pattern.search(daemon.stderr(), before), 3, f"a word on {door}")[0]


def some(most):
    """Numbers of allocations; of those that are far from the first, not all."""
    return [number for number in range(1, most) if number <= 60 or number % 5 == 0]


@pytest.mark.parametrize("kind", ["ipset", "iptables", "nft", "command", "once", "token", "spa"])
def test_a_knock(kind, clients, start, lab, memory, keys):
    """It opens, or it is said why not; the next one opens, and what is open can be closed."""
    knock = make(kind, lab, keys)
    daemon = start(knock.doors, knock.options, environment=memory.environment,
                   runtime="/run/knocktail")
    client = clients()
    for number in range(1, N_MAX):
        if kind == "spa":       # as many as it takes from one source
            client = clients()
        door = knock.door(2 * number)
        memory.fail(number)
        said = said_of(daemon, door, lambda: knock.send(client, door))
        if "knock4" in knock.doors:
            assert ("refused" not in said) == (client.v4 in lab.members()), (number, said)
        closed = lab.knocktail("close", door)
        asked = memory.asked
        memory.fail(0)
        if closed.returncode != 0:
            assert closed.stderr, number
            assert lab.knocktail("close", door).returncode == 0
        door = knock.door(2 * number + 1)
        said = said_of(daemon, door, lambda: knock.send(client, door))
        assert "refused" not in said, (number, said)
        assert lab.knocktail("close", door).returncode == 0
        if asked < number:
            break
    else:
        pytest.fail("it asks for too much")
    assert not lab.members()
    assert daemon.stop() == 0


def test_a_start(client, lab, memory, keys, starved):
    """It ends and says why; or it runs, and a knock opens."""
    config = lab.config(ipset_door(timeout="60s") + DOOR["token"]("token"), keys.options)
    for number in some(N_START):
        memory.fail(number)
        daemon = starved(config)
        with contextlib.suppress(AssertionError):
            daemon.wait_ready()
        asked = memory.asked
        memory.fail(0)
        if "following the journal" in daemon.stderr():
            said = said_of(daemon, "ssh", lambda: client.knock(7000, 8000, 9000))
            assert "refused" not in said, (number, said)
            assert daemon.stop() == 0 and not lab.members(), number
        else:
            assert daemon.wait() == 1 and "memory" in daemon.stderr(), (number, daemon.stderr())
        if asked < number:
            return
    pytest.fail("it asks for too much")


def test_a_reload(client, lab, memory, keys, starved):
    """It fails, and all is as it was; or it is done."""
    doors = [ipset_door(name, timeout="60s") + DOOR["token"]("token") for name in ("old", "new")]
    config = lab.config(doors[0], keys.options)
    daemon = starved(config)
    daemon.wait_ready()
    for number in some(N_START):
        shutil.copy(lab.server.path(lab.config(doors[1], keys.options)), lab.server.path(config))
        before = len(daemon.stderr())
        memory.fail(number)
        daemon.reload()
        asked = memory.asked
        memory.fail(0)
        has_failed = "keeping the current configuration" in daemon.stderr()[before:]
        name = "old" if has_failed else "new"
        said = said_of(daemon, name, lambda: client.knock(7000, 8000, 9000))
        assert "refused" not in said, (number, said)
        assert not has_failed or "memory" in daemon.stderr()[before:], number
        shutil.copy(lab.server.path(lab.config(doors[0], keys.options)), lab.server.path(config))
        daemon.reload()
        assert lab.knocktail("close", "old").returncode == 0
        wait_until(lambda: not lab.members(), 3, "a door that is gone is closed")
        if asked < number:
            break
    else:
        pytest.fail("it asks for too much")
    assert daemon.stop() == 0
