"""What stands in a door's set and is on nobody's record: a firewall was saved with its sets, say."""

import pytest

from backends import Ipset, Nft
from hosts import wait_until

STRAY = {4: "192.0.2.7", 6: "2001:db8::7"}
RESIDENT = {4: "192.0.2.8", 6: "2001:db8::8"}
SETS = {Ipset: {4: "knock4", 6: "knock6"}, Nft: {4: "open4", 6: "open6"}}


@pytest.fixture(params=[Ipset, Nft], ids=["ipset", "nft"])
def backend(request):
    """A backend with sets, and its firewall."""
    return request.param(request)


@pytest.fixture
def client(backend):
    """A client of that firewall."""
    client = backend.lab.client()
    yield client
    client.close()


def put(backend, version, address, timeout=600):
    """An element that no knock has put there; timeout 0: for ever."""
    name = SETS[type(backend)][version]
    if isinstance(backend, Ipset):
        backend.lab.server.run("ipset", "add", name, address, "timeout", str(timeout))
    else:
        end = f" timeout {timeout}s" if timeout else ""
        backend.lab.server.run("nft", f"add element inet lab {name} {{ {address}{end} }}")


def has(backend, version, address):
    """Whether the set has it, by the tool itself."""
    name = SETS[type(backend)][version]
    argv = (["ipset", "test", name, address] if isinstance(backend, Ipset) else
            ["nft", "get", "element", "inet", "lab", name, f"{{ {address} }}"])
    return backend.lab.server.run(*argv, check=False).returncode == 0


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_start_closes_what_is_on_nobodys_record(version, backend, client):
    """What a predecessor has opened is on record, and what is for ever is not the daemon's."""
    first = backend.start(backend.door(timeout="60s"), "on_stop = keep")
    client.knock(7000, 8000, 9000, version=version)
    client.wait_open(backend.port, version)
    assert first.stop() == 0
    put(backend, version, STRAY[version])
    put(backend, version, RESIDENT[version], timeout=0)
    daemon = backend.start(backend.door(timeout="60s"))
    wait_until(lambda: not has(backend, version, STRAY[version]), 3, "the stray is closed")
    assert daemon.wait_message("closed for", SOURCE=STRAY[version]).endswith(
        ": it stood open on nobody's record")
    assert has(backend, version, RESIDENT[version])
    assert client.can_connect(backend.port, version)


def test_a_set_that_is_shared(backend, client):
    """Somebody else puts elements there, too."""
    put(backend, 4, STRAY[4])
    daemon = backend.start(backend.door(timeout="60s", set_shared="yes"))
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    assert has(backend, 4, STRAY[4]) and not daemon.messages("closed")
