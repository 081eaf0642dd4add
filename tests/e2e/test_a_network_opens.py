"""A door with grant_prefix opens for the network of whoever has knocked, and says so."""

import json

import pytest

from firewalls import Iptables, IptablesChain, IptablesPorts, Nft, NftPorts
from hosts import wait_until

KNOCK = (7000, 8000, 9000)

# Clients have ascending addresses, from 1 on: the second and the third are of one network.
PREFIXES = {4: 31, 6: 127}


@pytest.fixture(params=[Iptables, IptablesPorts, IptablesChain, Nft, NftPorts],
                ids=lambda kind: kind.__name__)
def firewall_kind(request):
    return request.param()


def doors_of(kind, timeout):
    """The door of the kind, for networks."""
    return (kind.doors.replace("timeout = 3s", f"timeout = {timeout}")
            + f"grant_prefix = {PREFIXES[4]}\ngrant_prefix_6 = {PREFIXES[6]}\n")


def network_of(client, version):
    """The network of the second and the third client."""
    return client.address(version)[:-1] + f"2/{PREFIXES[version]}"


def open_doors(lab, doors):
    """What `knocktail list` shows, of the sets, too."""
    listed = lab.knocktail("list", "-o", "json", "-c", lab.config(doors)).stdout
    return {row["source"] for row in json.loads(listed)}


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_it_opens_for_the_network_and_no_other(firewall, version):
    kind, lab = firewall
    doors = doors_of(kind, "4s")
    kind.load(lab, lab.config(doors))
    other, client, neighbour = lab.client(), lab.client(), lab.client()
    assert client.address(version)[-1] == "2" and neighbour.address(version)[-1] == "3"
    daemon = lab.daemon(doors)
    for verb in (["check"], ["doctor"], ["rules", kind.variant]):
        told = lab.knocktail(*verb, "-c", lab.config(doors))
        assert "for all of the source's network" in told.stdout + told.stderr
    knocked = client.knock(*KNOCK, version=version)
    seen = client.wait_open(version=version, since=knocked)
    assert neighbour.can_connect(version=version)
    assert not other.can_connect(version=version)
    shown = f"{client.address(version)}/{PREFIXES[version]}"
    assert open_doors(lab, doors) == {shown}
    daemon.wait_message("opened", SOURCE=client.address(version))
    opened = daemon.events(SOURCE=client.address(version))[0]
    assert opened["KNOCKTAIL_NETWORK"] == network_of(client, version)
    assert f"and all of {network_of(client, version)}" in opened["MESSAGE"]
    assert client.wait_closed(version=version, timeout=8) - seen < 6
    assert not neighbour.can_connect(version=version)
    assert daemon.stop() == 0
    assert shown in lab.knocktail("audit", "--trust", f"_UID={64042}").stdout


def test_two_of_one_network_do_not_close_it_for_each_other(firewall):
    kind, lab = firewall
    doors = doors_of(kind, "20s")
    kind.load(lab, lab.config(doors))
    other, client, neighbour = lab.client(), lab.client(), lab.client()
    daemon = lab.daemon(doors)
    for version in (4, 6):
        client.knock(*KNOCK, version=version)
        client.wait_open(version=version)
        # What is accepted is not logged, so the neighbour cannot knock.
        assert lab.knocktail("open", "ssh", neighbour.address(version)).returncode == 0
        prefix = PREFIXES[version]
        assert open_doors(lab, doors) == {f"{one.address(version)}/{prefix}"
                                          for one in (client, neighbour)}
        closed = lab.knocktail("close", "ssh", f"{client.address(version)}/{prefix}")
        assert closed.returncode == 0, closed.stderr
        assert open_doors(lab, doors) == {f"{neighbour.address(version)}/{prefix}"}
        assert client.can_connect(version=version)
        daemon.kill()
        daemon = lab.daemon(doors)
        assert open_doors(lab, doors) == {f"{neighbour.address(version)}/{prefix}"}
        assert client.can_connect(version=version) and not other.can_connect(version=version)
        assert lab.knocktail("close", "ssh", neighbour.address(version)).returncode == 0
        wait_until(lambda v=version: not client.can_connect(version=v), 3, "it is closed")
        assert open_doors(lab, doors) == set()
    assert daemon.stop() == 0


def test_a_set_of_addresses_is_not_enough(firewall):
    kind, lab = firewall
    if isinstance(kind, IptablesChain):
        pytest.skip("it has no set")
    kind.load(lab, lab.config(kind.doors))
    told = lab.knocktail("check", "--live", "-c", lab.config(doors_of(kind, "3s")))
    assert told.returncode != 0
    assert "hash:net" in told.stdout + told.stderr or "interval" in told.stdout + told.stderr
