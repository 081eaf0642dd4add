"""knocktap, the client: what it sends opens doors, and it goes in."""

import contextlib
import os
import re
import signal
import subprocess
import threading

import pytest

from doors import ipset_door, iptables_door
from hosts import wait_until
from lab import program

KNOCKS = {
    "tcp": ("7000", "8000", "9000"),
    "udp": ("7000/udp", "8000:udp", "9000/UDP"),
    "mixed": ("7000", "8000/udp", "9000", "7000"),
}


@pytest.fixture
def tap(client):
    """Runs knocktap on the client; it knows no profiles but those it is given."""
    def run(*arguments, check=True, **kwargs):
        done = client.run(program("knocktap"), *arguments, check=False, **kwargs)
        if check:
            assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done
    return run


def sent(lab, client, version=4):
    """What has been logged of the client: (protocol, port) in order."""
    address = client.address(version)
    if version == 6:
        address = ":".join(f"{int(group or '0', 16):04x}" for group in
                           address.replace("::", ":" * (9 - address.count(":"))).split(":"))
    found = []
    for record in lab.records():
        fields = re.search(rf" SRC={re.escape(address)} DST=(\S+) .*"
                           r"PROTO=(TCP|UDP) .*DPT=(\d+)", record["MESSAGE"])
        if fields:
            found.append((fields[2].lower(), int(fields[3]), fields[1]))
    return found


@pytest.mark.parametrize("protocols", KNOCKS)
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_a_sequence_opens_the_door(version, protocols, client, start, tap):
    steps = KNOCKS[protocols]
    daemon = start(ipset_door(sequence=", ".join(steps)))
    done = tap(client.peer(version), *steps)
    assert (done.stdout, done.stderr) == ("", "")
    client.wait_open(version=version)
    assert len(daemon.events(DOOR="ssh", SOURCE=client.address(version))) == 1


def test_the_options_of_knockds_client(client, start, tap):
    start(ipset_door(sequence="7000/udp, 8000/tcp, 9000/udp"))
    done = tap("-v", "-u", "-d", 5, "-4", client.peer(), "7000", "8000:tcp", "9000")
    assert done.stderr == f"knocktap: sent a sequence to {client.peer()}\n"
    client.wait_open()


def test_each_step_is_one_packet_whatever_comes_back(lab, client, start, tap):
    """With a daemon that opens, and with none; and where the server answers that it is closed."""
    tap(client.peer(), "7000", "8000/udp", "9000")
    lab.wait_logged("DPT=9000")
    before = sent(lab, client)
    assert before == [("tcp", 7000, client.peer()), ("udp", 8000, client.peer()),
                      ("tcp", 9000, client.peer())]
    start(ipset_door(sequence="7000, 8000/udp, 9000"))
    tap(client.peer(), "7000", "8000/udp", "9000")
    client.wait_open()
    assert sent(lab, client) == before * 2
    for program_ in ("tcp", "udp"):
        lab.server.run("iptables", "-A", "INPUT", "-p", program_, "-j", "REJECT")
    try:
        tap(client.peer(), "7000", "8000/udp", "8000/udp", "9000")
    finally:
        for program_ in ("tcp", "udp"):
            lab.server.run("iptables", "-D", "INPUT", "-p", program_, "-j", "REJECT")
    wait_until(lambda: len(sent(lab, client)) == 10, 3, "four more packets were logged")
    assert [port for _, port, _ in sent(lab, client)[6:]] == [7000, 8000, 8000, 9000]


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_wait_returns_when_the_port_accepts(version, client, start, tap):
    start(ipset_door())
    tap("--wait", 22, client.peer(version), 7000, 8000, 9000)
    assert client.can_connect(version=version)


def test_wait_gives_up_after_its_timeout(client, start, tap):
    start(ipset_door())
    done = tap("--wait", 22, "--timeout", "400ms", client.peer(), 7000, 8000, 9001, check=False)
    assert done.returncode == 1
    assert "port 22 does not accept: Connection timed out" in done.stderr
    # What came last of a knock that was not right is not the beginning of the next one.
    tap("--wait", 22, "--timeout", "5s", client.peer(), 7000, 8000, 9000)


def in_hosts_file(client, text, argv, tmp_path, **kwargs):
    """Runs a program that finds these lines in /etc/hosts."""
    hosts = tmp_path / "etc-hosts"
    hosts.write_text(text)
    return client.run("unshare", "--mount", "sh", "-c",
                      'mount --bind "$0" /etc/hosts && exec "$@"', hosts, *argv, **kwargs)


@pytest.mark.parametrize("option, versions", [((), None), (("-4",), 4), (("-6",), 6)],
                         ids=["any", "-4", "-6"])
def test_all_addresses_of_a_name_are_knocked_at(option, versions, lab, client, tmp_path):
    """Of one family: the one that a connection would try first."""
    with contextlib.ExitStack() as stack:
        for address in ("192.0.2.77/24", "2001:db8::77/32 nodad"):
            lab.server.ip(f"address add {address.replace('/', '/', 1)} dev eth0"
                          if "nodad" not in address else
                          f"address add {address.split()[0]} dev eth0 nodad")
            stack.callback(lab.server.ip, f"address del {address.split()[0]} dev eth0")
        names = "".join(f"{address} gateway.test\n" for address in (
            "192.0.2.1", "192.0.2.77", "2001:db8::1", "2001:db8::77", "192.0.2.77"))
        first = in_hosts_file(client, names, ["getent", "ahosts", "gateway.test"],
                              tmp_path).stdout.split()[0]
        in_hosts_file(client, names,
                      [program("knocktap"), *option, "gateway.test", 7000, "7001/udp"], tmp_path)
        version = versions or (6 if ":" in first else 4)
        wait_until(lambda: len(sent(lab, client, version)) >= 4, 3, "four packets were logged")
        knocked = sent(lab, client, version)
        assert sent(lab, client, 10 - version) == []
        assert [(protocol, port) for protocol, port, _ in knocked] == [
            ("tcp", 7000), ("udp", 7001)] * 2
        assert len({address for _, _, address in knocked}) == 2


def test_a_name_that_does_not_resolve(client, tap, tmp_path):
    done = in_hosts_file(client, "", [program("knocktap"), "nobody.invalid", 7000], tmp_path,
                         check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("knocktap: nobody.invalid: ")


def test_no_way_to_the_host(client, tap):
    client.ip("route del 192.0.2.0/24")
    done = tap(client.peer(), 7000, check=False)
    assert done.returncode == 1
    assert done.stderr == f"knocktap: cannot knock at {client.peer()}: Network is unreachable\n"
