"""Doors whose deadline the kernel keeps: on time with the daemon, without it, and after it."""

import time

import pytest

from backends import Iptables, Nft
from doors import iptables_door, nft_door
from hosts import wait_until
from lab import IPTABLES_PORT


@pytest.fixture(params=[Nft, Iptables], ids=["nft", "iptables"])
def backend(request):
    """A backend, with its firewall."""
    return request.param(request)


@pytest.fixture
def client(backend):
    """A client of that firewall."""
    client = backend.lab.client()
    yield client
    client.close()


both = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])


@both
def test_a_door_closes_on_time(version, backend, client):
    daemon = backend.start(backend.door(timeout="4s"))
    assert not client.can_connect(backend.port, version)
    knocked = client.knock(7000, 8000, 9000, version=version)
    opened = client.wait_open(backend.port, version)
    assert len(backend.entries(client, version)) == 1
    last = client.wait_closed(backend.port, version, 8, not_before=knocked + 3.0)
    assert last - opened < 5.1
    daemon.wait_message(f"door ssh closed for {client.address(version)}")
    assert not backend.entries(client, version)
    assert not daemon.messages("could not")
    assert not daemon.messages("is open again"), "nobody has taken it away"


def test_a_door_opens_for_the_one_who_knocked(backend, client):
    backend.start(backend.door(timeout="60s"))
    other = backend.lab.client()
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    assert not other.can_connect(backend.port)
    assert not client.can_connect(backend.port, version=6)
    other.close()


@both
def test_knocks_renew_one_entry(version, backend, client):
    daemon = backend.start(backend.door(timeout="6s"))
    client.knock(7000, 8000, 9000, version=version)
    client.wait_open(backend.port, version)
    for count in (1, 2):
        later = time.monotonic() + 1.5
        wait_until(lambda later=later: time.monotonic() > later, 3, "some of the time is over")
        again = client.knock(7000, 8000, 9000, version=version)
        wait_until(lambda count=count: len(daemon.messages("renewed")) == count, 3,
                   "the door is renewed")
        renewed = time.monotonic()
        assert len(backend.entries(client, version)) == 1
    last = client.wait_closed(backend.port, version, 10, not_before=again + 5.0)
    assert last - renewed < 7.1
    daemon.wait_message("door ssh closed for")
    assert not backend.entries(client, version)
    assert len(daemon.messages("opened")) == 1


@both
def test_sigkill_leaves_the_closing_to_the_kernel(version, backend, client):
    daemon = backend.start(backend.door(timeout="4s"))
    client.knock(7000, 8000, 9000, version=version)
    opened = client.wait_open(backend.port, version)
    daemon.kill()
    assert client.can_connect(backend.port, version)
    assert client.wait_closed(backend.port, version, 8) - opened < 5.1


def test_sigkill_after_a_renewal(backend, client):
    """It is the new deadline that the kernel keeps."""
    daemon = backend.start(backend.door(timeout="6s"))
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    later = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > later, 3, "some of the time is over")
    again = client.knock(7000, 8000, 9000)
    daemon.wait_message("renewed")
    renewed = time.monotonic()
    daemon.kill()
    assert client.wait_closed(backend.port, 4, 10, not_before=again + 5.0) - renewed < 7.1


@both
def test_a_restart_keeps_the_grant_and_its_deadline(version, backend, client):
    daemon = backend.start(backend.door(timeout="6s"))
    knocked = client.knock(7000, 8000, 9000, version=version)
    opened = client.wait_open(backend.port, version)
    daemon.kill()
    successor = backend.start(backend.door(timeout="6s"))
    successor.wait_message(f"door ssh is still open for {client.address(version)}")
    assert client.can_connect(backend.port, version)
    assert len(backend.entries(client, version)) == 1
    last = client.wait_closed(backend.port, version, 10, not_before=knocked + 5.0)
    assert last - opened < 7.1
    successor.wait_message(f"door ssh closed for {client.address(version)}")
    assert not backend.entries(client, version)


def test_a_restart_puts_back_what_the_firewall_lost(backend, client):
    daemon = backend.start(backend.door(timeout="60s"))
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    daemon.kill()
    backend.lose()
    assert not client.can_connect(backend.port)
    successor = backend.start(backend.door(timeout="60s"))
    successor.wait_message("is open again for")
    client.wait_open(backend.port)
    assert len(backend.entries(client)) == 1


def test_sigterm_leaves_nothing_behind(backend, client):
    daemon = backend.start(backend.door(timeout="60s"))
    for version in (4, 6):
        client.knock(7000, 8000, 9000, version=version)
        client.wait_open(backend.port, version)
    assert daemon.stop() == 0
    for version in (4, 6):
        assert not backend.entries(client, version)
        assert not client.can_connect(backend.port, version)


def test_a_restart_opens_again_what_a_clean_stop_has_closed(backend, client):
    """Until the old deadline."""
    daemon = backend.start(backend.door(timeout="6s"))
    knocked = client.knock(7000, 8000, 9000)
    opened = client.wait_open(backend.port)
    assert daemon.stop() == 0
    assert not client.can_connect(backend.port)
    successor = backend.start(backend.door(timeout="6s"))
    client.wait_open(backend.port)
    assert successor.wait_message("is open again for").endswith(": a clean stop had closed it")
    assert len(backend.entries(client)) == 1
    assert client.wait_closed(backend.port, 4, 10, not_before=knocked + 5.0) - opened < 7.1
    assert not backend.entries(client)


def test_on_stop_keep_leaves_doors_open(backend, client):
    daemon = backend.start(backend.door(timeout="60s"), "on_stop = keep")
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    assert daemon.stop() == 0
    assert client.can_connect(backend.port)


def test_an_entry_that_someone_else_removed(backend, client):
    """Closing it is no error, and the next knock opens it again."""
    daemon = backend.start(backend.door(timeout="2s"))
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)
    backend.lose()
    daemon.wait_message("closed", timeout=5)
    assert not daemon.messages("could not")
    client.knock(7000, 8000, 9000)
    client.wait_open(backend.port)


def test_check_live(backend):
    """As root, and without leaving a trace."""
    done = backend.lab.knocktail("check", "--live", "-c", backend.lab.config(
        backend.door(sequence="9000, 7000, 8000")))
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_a_missing_nft_set_is_told(nft_lab, nft_start, request):
    doors = nft_door(set="inet lab nothing")
    done = nft_lab.knocktail("check", "--live", "-c", nft_lab.config(doors))
    assert done.returncode == 1
    assert "door ssh: nft inet lab nothing: there is no such set" in done.stderr
    daemon = nft_start(doors)
    assert "nft inet lab nothing: there is no such set" in daemon.stderr()
    client = nft_lab.client()
    request.addfinalizer(client.close)
    client.knock(7000, 8000, 9000)
    assert daemon.wait_message("refused").endswith("nft inet lab nothing: there is no such set")


@both
def test_the_chain_is_made_once(version, lab, start):
    """And jumped to before anything else can be done with a packet."""
    program = "iptables" if version == 4 else "ip6tables"
    for _ in range(2):
        daemon = start(iptables_door())
        daemon.reload()
        listed = lab.server.run(program, "-S", "INPUT").stdout.splitlines()
        assert listed.count("-A INPUT -j KNOCKTAIL") == 1
        assert listed[1] == "-A INPUT -j KNOCKTAIL"
        daemon.stop()


def test_a_table_that_was_loaded_anew(lab, start, request):
    """With the next knock the chain, the jump and the rule are back."""
    saved = lab.server.run("iptables-save", "-t", "filter").stdout
    bare = "".join(line + "\n" for line in saved.splitlines() if "KNOCKTAIL" not in line)
    daemon = start(iptables_door(timeout="60s"))
    lab.server.run("iptables-restore", input=bare)
    client = lab.client()
    request.addfinalizer(client.close)
    client.knock(7000, 8000, 9000)
    client.wait_open(IPTABLES_PORT)
    lab.server.run("iptables-restore", input=bare)
    client.knock(7000, 8000, 9000)
    daemon.wait_message("renewed")
    client.wait_open(IPTABLES_PORT)
    assert len([rule for rule in lab.owned_rules() if client.v4 in rule]) == 2
