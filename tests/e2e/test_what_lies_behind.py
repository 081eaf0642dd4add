"""A door with forward leads to a machine behind this one, who has knocked and nobody else."""

import contextlib
import json
import socket
import subprocess

import pytest

from behind import INNER_PORT, V4, V6, Inner
from doors import iptables_door, ipset_door, nft_door
from firewalls import Iptables, Nft
from lab import Lab, wait_until

KNOCK = (7000, 8000, 9000)
OUTER_PORT = 8443
VERSIONS = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])

KEYS = {"ports": OUTER_PORT, "forward": f"{V4}:{INNER_PORT}", "forward_6": f"[{V6}]:{INNER_PORT}"}


class ForwardIptables(Iptables):
    """A set of ipset's."""

    def door(self, name="inner", **keys):
        """One door of the kind."""
        return ipset_door(name, **{"set": f"knock_{name}", "set_6": f"knock_{name}6",
                                   "timeout": "6s", **KEYS, **keys})


class ForwardNft(Nft):
    """A set of nft's."""

    def door(self, name="inner", **keys):
        """One door of the kind."""
        return nft_door(name, **{"set": f"inet knock knock_{name}",
                                 "set_6": f"inet knock knock_{name}6", "timeout": "6s",
                                 **KEYS, **keys})


class ForwardChain(Iptables):
    """Rules of knocktail's own in nat and FORWARD."""

    def door(self, name="inner", **keys):
        """One door of the kind."""
        return iptables_door(name, **{"timeout": "6s", **KEYS, **keys})


KINDS = [ForwardIptables, ForwardNft, ForwardChain]


@contextlib.contextmanager
def laboratory(kind, has_way_back=True, **keys):
    """A loaded firewall, a daemon, and a machine behind."""
    with Lab("none") as lab, contextlib.closing(Inner(lab, has_way_back)) as inner:
        doors = kind.door(**keys)
        lab.server.run("iptables", "-P", "FORWARD", "DROP")
        lab.server.run("ip6tables", "-P", "FORWARD", "DROP")
        if isinstance(kind, Nft):
            lab.server.run("iptables", "-P", "FORWARD", "ACCEPT")
            lab.server.run("ip6tables", "-P", "FORWARD", "ACCEPT")
        config = lab.config(doors)
        kind.load(lab, config)
        yield lab, inner, lab.daemon(doors), config


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(possible, request):
    """Each kind of firewall that can forward."""
    return request.param()


def connect(client, version, port=OUTER_PORT):
    """A connection that has been greeted, and what it was greeted with."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    sock = client.socket(family)
    sock.settimeout(3)
    sock.connect((client.peer(version), port))
    return sock, sock.recv(100)


@VERSIONS
def test_who_has_knocked_comes_there_and_nobody_else(kind, version):
    with laboratory(kind) as (lab, inner, daemon, config):
        client, other = lab.client(), lab.client()
        assert not client.can_connect(OUTER_PORT, version)
        since = client.knock(*KNOCK, version=version)
        opened = client.wait_open(OUTER_PORT, version, since=since)
        sock, greeting = connect(client, version)
        with sock:
            assert greeting == b"hello from port 443\n"
            assert inner.sees() == {client.address(version)}
            assert not other.can_connect(OUTER_PORT, version)
            # No way by the port that it has there, nor around the door.
            assert not client.can_connect(INNER_PORT, version)
            assert client.wait_closed(OUTER_PORT, version, timeout=12) - opened < 9
            sock.sendall(b"still here\n")
            assert sock.recv(100) == b"still here\n"
        assert daemon.stop() == 0


@VERSIONS
def test_it_is_masqueraded_where_there_is_no_way_back(kind, version):
    with laboratory(kind, has_way_back=False, masquerade="yes") as (lab, inner, _, __):
        client = lab.client()
        client.wait_open(OUTER_PORT, version, since=client.knock(*KNOCK, version=version))
        with connect(client, version)[0]:
            assert inner.sees() == {"10.9.9.1" if version == 4 else "fd00:9::1"}


@VERSIONS
def test_ports_stay_what_they_are_without_another(kind, version):
    keys = {"ports": "8400-8500, 443/tcp", "forward": V4, "forward_6": V6}
    with laboratory(kind, **keys) as (lab, _, __, ___):
        client = lab.client()
        client.wait_open(8443, version, since=client.knock(*KNOCK, version=version))
        assert connect(client, version, 8443)[1] == b"hello from port 8443\n"
        assert connect(client, version, 443)[1] == b"hello from port 443\n"


# Answers with the address that a datagram has come from.
UDP_LISTENER = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 53))
print("ready", flush=True)
while True:
    peer = sock.recvfrom(100)[1]
    sock.sendto(peer[0].removeprefix("::ffff:").encode(), peer)
"""


def answer(client, port, version):
    """What comes back for a datagram to the port, or None."""
    with client.socket(socket.AF_INET6 if version == 6 else socket.AF_INET,
                       socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.sendto(b"?", (client.peer(version), port))
        try:
            return sock.recv(100).decode()
        except OSError:
            return None


def test_datagrams_are_sent_on(kind):
    keys = {"ports": f"{OUTER_PORT}/udp", "forward": f"{V4}:53", "forward_6": f"[{V6}]:53"}
    with laboratory(kind, **keys) as (lab, inner, _, __):
        listener = inner.popen(["/usr/bin/python3", "-c", UDP_LISTENER], stdout=subprocess.PIPE)
        assert listener.stdout.readline() == b"ready\n"
        client, other = lab.client(), lab.client()
        for version in (4, 6):
            assert answer(client, OUTER_PORT, version) is None
            client.knock(*KNOCK, version=version)
            wait_until(lambda v=version: answer(client, OUTER_PORT, v) == client.address(v), 3,
                       "the machine behind answers")
            assert answer(other, OUTER_PORT, version) is None
            assert answer(client, 53, version) is None
        wait_until(lambda: answer(client, OUTER_PORT, 6) is None, 12, "the door closes")
        listener.terminate()
        listener.wait(5)
        listener.stdout.close()


def test_what_others_send_there_stays_closed(kind):
    with laboratory(kind) as (lab, _, __, ___):
        client = lab.client()
        for program, to in (("iptables", V4), ("ip6tables", f"[{V6}]")):
            lab.server.run(program, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport",
                           str(OUTER_PORT), "-j", "DNAT", "--to-destination", f"{to}:{INNER_PORT}")
            lab.server.run(program, "-A", "FORWARD", "-j", "ACCEPT")
        for version in (4, 6):
            assert not client.can_connect(OUTER_PORT, version)
            client.wait_open(OUTER_PORT, version, since=client.knock(*KNOCK, version=version))


def test_who_goes_through_is_not_turned_round(kind):
    """Who has knocked from inside may well go to the same port of others."""
    with laboratory(kind) as (lab, inner, _, __):
        client = lab.client()
        lab.server.run("iptables", "-A", "FORWARD", "-j", "ACCEPT")
        client.wait_open(OUTER_PORT, since=client.knock(*KNOCK))
        client.ip("route add 203.0.113.0/24 via 192.0.2.1 onlink dev eth0")
        with client.socket() as sock:
            sock.settimeout(0.5)
            assert sock.connect_ex(("203.0.113.9", OUTER_PORT)) != 0
        assert inner.sees() == set()


def apply(lab, kind, config, answer="yes"):
    """`knocktail rules --apply`, and what is answered; its exit status."""
    return lab.knocktail("rules", kind.variant, "-c", config, "--apply",
                         input=f"{answer}\n").returncode


def test_it_is_gone_when_the_door_does_not_forward_any_more(kind):
    if isinstance(kind, ForwardChain):
        pytest.skip("the daemon makes its rules itself")
    with laboratory(kind) as (lab, _, __, config):
        client = lab.client()
        client.wait_open(OUTER_PORT, since=client.knock(*KNOCK))
        plain = lab.config(kind.door(forward=None, forward_6=None, ports=2222))
        assert apply(lab, kind, plain) == 0
        client.knock(*KNOCK)
        client.wait_open(2222)
        assert not client.can_connect(OUTER_PORT)
        assert apply(lab, kind, config) == 0
        client.knock(*KNOCK)
        client.wait_open(OUTER_PORT)


def ours(lab, kind):
    """What there is of knocktail's in the firewall."""
    return [line for line in kind.state(lab) if "knocktail" in line.lower()]


def test_all_of_it_can_be_taken_back_and_out(kind):
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        config = lab.config(kind.door(masquerade="yes"))
        assert apply(lab, kind, config, "no") == 1
        assert ours(lab, kind) == []
        assert "nat" not in lab.server.run("nft", "list", "tables").stdout
        for _ in range(2):
            assert apply(lab, kind, config) == 0
        jumps = [line for line in ours(lab, kind) if "KNOCKTAIL_FORWARD" in line and " -j " in line]
        assert len([line for line in jumps if line.startswith("-A FORWARD")]) in (0, 2)
        assert lab.knocktail("rules", kind.variant, "-c", config, "--remove").returncode == 0
        assert ours(lab, kind) == []


def test_the_doctor_follows_it(kind):
    with laboratory(kind) as (lab, _, __, config):
        lab.client()
        lab.server.ip("route add default dev eth0", "route add ::/0 dev eth0")

        def said():
            return lab.knocktail("doctor", "-c", config).stdout

        assert "a knock lets its source in" in said()
        assert "no rule opens to everybody what a door guards" in said()
        assert "established connections go on" in said()
        lab.server.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
        assert "door inner, IPv4: the kernel sends nothing on: forwarding is off" in said()
        if kind.variant == "nft":
            lab.server.run("nft", "flush", "chain", "inet", "knock", "knocktail_nat")
        else:
            lab.server.run("ip6tables", "-t", "nat", "-F", "KNOCKTAIL_NAT")
        assert "door inner, IPv6: port 8443" in said() and "even after a knock" in said()
        if kind.variant == "iptables":
            lab.server.run("iptables", "-F", "KNOCKTAIL_FORWARD")
            assert "IPv4: established connections are dropped" in said()


OUTSIDE_V4, OUTSIDE_V6 = "203.0.113.5", "2001:db8:9::5"


def test_who_comes_past_the_door(kind):
    """Where the machine behind has an address that others can reach it by."""
    keys = {"forward": f"{OUTSIDE_V4}:{INNER_PORT}", "forward_6": f"[{OUTSIDE_V6}]:{INNER_PORT}"}
    with laboratory(kind, **keys) as (lab, inner, _, config):
        client = lab.client()
        inner.ip(f"address add {OUTSIDE_V4}/32 dev eth0", f"address add {OUTSIDE_V6}/128 dev eth0 nodad")
        lab.server.ip(f"route add {OUTSIDE_V4} dev inner", f"route add {OUTSIDE_V6} dev inner",
                      "route add default dev eth0", "route add ::/0 dev eth0")
        client.ip(f"route add {OUTSIDE_V4} via {lab.server.v4}",
                  f"route add {OUTSIDE_V6} via {lab.server.v6}")
        for policy in ("DROP", "ACCEPT"):
            for program in ("iptables", "ip6tables"):
                lab.server.run(program, "-P", "FORWARD", policy)
            said = lab.knocktail("doctor", "-c", config).stdout
            for family, address, name in ((socket.AF_INET, OUTSIDE_V4, "IPv4"),
                                          (socket.AF_INET6, OUTSIDE_V6, "IPv6")):
                with client.socket(family) as sock:
                    sock.settimeout(0.5)
                    is_open = sock.connect_ex((address, INNER_PORT)) == 0
                assert is_open == (policy == "ACCEPT")
                warning = f"door inner, {name}: past it, port 443 of {address} is open to everybody"
                assert (warning in said) == is_open, said


def test_the_kernel_itself_ends_it(possible):
    """The rules in nat and FORWARD have the deadline; they are made again where they are gone."""
    kind = ForwardChain()
    with laboratory(kind, timeout="8s") as (lab, _, daemon, config):
        client = lab.client()
        since = client.knock(*KNOCK)
        opened = client.wait_open(OUTER_PORT, since=since)
        lab.server.run("iptables", "-t", "nat", "-F", "KNOCKTAIL-FORWARD")
        assert not client.can_connect(OUTER_PORT)
        client.wait_open(OUTER_PORT, since=since, timeout=5)
        daemon.kill()
        assert client.can_connect(OUTER_PORT)
        assert client.wait_closed(OUTER_PORT, timeout=14) - opened < 10
        # Who has knocked at a plain door in its own chain gets no way through.
        assert lab.server.run("iptables", "-S", "KNOCKTAIL", check=False).returncode != 0


def test_what_is_left_of_a_killed_daemon_is_closed(possible):
    kind = ForwardChain()
    with laboratory(kind, timeout="60s") as (lab, _, daemon, config):
        client = lab.client()
        client.wait_open(OUTER_PORT, since=client.knock(*KNOCK))
        daemon.kill()
        daemon = lab.daemon(kind.door(timeout="60s"))
        assert client.can_connect(OUTER_PORT)
        assert lab.knocktail("close", "inner", client.address()).returncode == 0
        assert not client.can_connect(OUTER_PORT)
        for table in ("nat", "filter"):
            rules = lab.server.run("iptables", "-t", table, "-S", "KNOCKTAIL-FORWARD").stdout
            assert rules.splitlines() == ["-N KNOCKTAIL-FORWARD"]


def test_what_leads_back_here_is_an_error(lab):
    for keys in ({"forward": f"{lab.server.v4}:22"}, {"forward_6": f"[{lab.server.v6}]:22"}):
        config = lab.config(ForwardIptables().door(**keys))
        told = lab.knocktail("check", "-c", config)
        assert told.returncode != 0
        assert f"{config}:1" in told.stderr
        assert "is this machine's own: a door opens its ports without" in told.stderr


def test_rules_that_do_not_reach_behind(lab):
    for kind, variant in ((ForwardIptables, "ufw"), (ForwardNft, "firewalld")):
        told = lab.knocktail("rules", variant, "-c", lab.config(kind().door()))
        assert told.returncode == 1
        assert f"rules of {variant} do not reach what is behind this machine" in told.stderr


@VERSIONS
def test_one_family_alone_is_sent_on(version, lab):
    other = "forward" if version == 6 else "forward_6"
    config = lab.config(ForwardChain().door(**{other: None}))
    findings = json.loads(lab.knocktail("doctor", "-o", "json", "-c", config).stdout)["findings"]
    targets = [found for found in findings if found["check"] == "target"]
    assert [found["level"] for found in targets] == ["ok"], targets
    told = lab.knocktail("check", "--live", "-c", config)
    assert "cannot run iptables" not in told.stderr
