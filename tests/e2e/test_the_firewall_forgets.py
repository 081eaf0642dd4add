"""The firewall is flushed, destroyed or loaded anew under the daemon: what is granted is put back."""

import time

import pytest

from backends import Ipset, Iptables, Nft
from hosts import wait_until

SOON = 1.0 + 0.5    # a second, on a busy machine


@pytest.fixture(params=[Ipset, Nft, Iptables], ids=["ipset", "nft", "iptables"])
def backend(request):
    """A backend, with its firewall."""
    return request.param(request)


@pytest.fixture
def client(backend):
    """A client of that firewall."""
    client = backend.lab.client()
    yield client
    client.close()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_flushed_door_is_open_again_within_a_second(version, backend, client):
    daemon = backend.start(backend.door(timeout="60s"))
    client.knock(7000, 8000, 9000, version=version)
    client.wait_open(backend.port, version)
    backend.lose()
    lost = time.monotonic()
    wait_until(lambda: backend.entries(client, version), SOON, "the entry is back")
    client.wait_open(backend.port, version)
    assert time.monotonic() - lost < SOON
    assert daemon.wait_message("is open again for", SOURCE=client.address(version)).endswith(
        ": the firewall had lost it")
    assert len(backend.entries(client, version)) == 1
    assert daemon.stop() == 0
    assert not backend.entries(client, version)


def test_a_firewall_that_is_loaded_anew(backend, client):
    """What was granted is open again, until the old deadline; a lasting loss is told, once."""
    daemon = backend.start(backend.door(timeout="10s"))
    knocked = client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    opened = time.monotonic()
    with backend.destroyed():
        if not isinstance(backend, Iptables):   # its chain is made anew at once
            assert "there is no such set" in (told := daemon.wait_message(
                "is missing from the firewall for")) or "does not exist" in told
            again = time.monotonic() + 1.2
            wait_until(lambda: time.monotonic() > again, 3, "two more looks at the firewall")
            assert len(daemon.messages("is missing")) == 1
    client.wait_open(backend.port, timeout=SOON)
    daemon.wait_message("is open again for")
    assert client.wait_closed(backend.port, 4, 15, not_before=knocked + 9.0) - opened < 11.1
    daemon.wait_message("closed for")
    assert not daemon.messages("could not")


@pytest.mark.parametrize("backend", [Ipset, Nft], ids=["ipset", "nft"], indirect=True)
def test_a_firewall_that_is_gone_for_good(backend, client):
    """The daemon ends, as it should, and so do the doors. (A chain would be made anew.)"""
    daemon = backend.start(backend.door(timeout="60s"))
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    with backend.destroyed():
        daemon.wait_message("is missing from the firewall for")
        assert daemon.stop() == 0
    assert not backend.entries(client)
