"""A door that guards ranges of ports, or all of them, opens these and no others."""

import socket
import subprocess

import pytest

from firewalls import Firewalld, Iptables, IptablesChain, Nft, Ufw
from hosts import wait_until
from lab import COMMAND_PORTS, IPTABLES_PORT, NFT_PORT, Lab

KNOCK = (7000, 8000, 9000)
TIMEOUT = "4s"

# More than one rule of iptables takes, and ports at both ends of ranges.
PORTS = "22, 2201-2222/tcp, " + ", ".join(map(str, range(3000, 3020))) + ", 60000-61000/udp"
INSIDE = (22, COMMAND_PORTS[0], COMMAND_PORTS[1], NFT_PORT)
OUTSIDE = (IPTABLES_PORT,)
INSIDE_UDP = (60000, 60500, 61000)
OUTSIDE_UDP = (61001,)

# Answers datagrams over IPv4 and IPv6, from where they were sent to.
UDP_LISTENER = """
import select, socket, sys
sockets = []
for port in sys.argv[1:]:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind(("::", int(port)))
    sockets.append(sock)
print("ready", flush=True)
while True:
    for sock in select.select(sockets, [], [])[0]:
        sock.sendto(*sock.recvfrom(100))
"""


def udp_listener(lab):
    """Starts it."""
    listener = lab.server.spawn(
        ["/usr/bin/python3", "-c", UDP_LISTENER, *map(str, INSIDE_UDP + OUTSIDE_UDP)],
        stdout=subprocess.PIPE)
    assert listener.stdout.readline() == b"ready\n"


def answers(client, port, version):
    """Whether a datagram to the port is answered."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with client.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.3)
        sock.sendto(b"?", (client.peer(version), port))
        try:
            return sock.recv(100) == b"?"
        except OSError:
            return False


def reached(client, version):
    """The ports that the client gets an answer from."""
    tcp = {port for port in INSIDE + OUTSIDE if client.can_connect(port, version)}
    return tcp | {port for port in INSIDE_UDP + OUTSIDE_UDP if answers(client, port, version)}


@pytest.fixture(params=[Iptables, IptablesChain, Nft, Ufw, Firewalld],
                ids=lambda kind: kind.__name__)
def firewall_kind(request):
    return request.param()


@pytest.fixture
def firewall(firewall, firewall_kind):
    """Which lets in whatever knocktail does."""
    kind, lab = firewall
    udp_listener(lab)
    if isinstance(kind, Firewalld):
        lab.server.run("firewall-cmd", "--set-default-zone=trusted")
    return kind, lab


def doors_of(kind, ports):
    """The door of the kind, with these ports."""
    lines = [f"ports = {ports}" if line.startswith("ports") else line
             for line in kind.doors.splitlines()]
    return "\n".join(lines).replace("timeout = 3s", f"timeout = {TIMEOUT}") + "\n"


@pytest.mark.parametrize("ports", [PORTS, "all"], ids=["ranges", "all"])
def test_it_opens_these_ports_and_no_others(firewall, ports):
    kind, lab = firewall
    doors = doors_of(kind, ports)
    kind.load(lab, lab.config(doors))
    wanted = set(INSIDE + INSIDE_UDP) | (set(OUTSIDE + OUTSIDE_UDP) if ports == "all" else set())
    beside = reached(lab.client(), 4) if isinstance(kind, Firewalld) else set()
    assert not beside & wanted
    client, other = lab.client(), lab.client()
    daemon = lab.daemon(doors)
    for version in (4, 6):
        assert reached(client, version) == beside
        since = client.knock(*KNOCK, version=version)
        opened = client.wait_open(version=version, since=since)
        assert reached(client, version) == wanted | beside
        assert reached(other, version) == beside
        assert client.wait_closed(version=version, timeout=8) - opened < 6
        wait_until(lambda: reached(client, version) == beside, 3, "all is closed again")
    assert daemon.stop() == 0


def findings(lab, config):
    """What the doctor says of what doors guard."""
    said = lab.knocktail("doctor", "-c", config).stdout
    return [line.strip() for line in said.splitlines()
            if " port " in line or " range " in line or "guard" in line]


RULES = {
    Iptables: {
        "one port is open": (
            "iptables -I INPUT -p udp --dport 60500 -j ACCEPT",
            "door ssh, IPv4: port 60500/udp is open to everybody, by"),
        "a part is open": (
            "ip6tables -I INPUT -p udp --dport 60900:65000 -j ACCEPT",
            "door ssh, IPv6: range 60900-61000/udp is open to everybody, by"),
        "a part stays closed": (
            "iptables -I INPUT -p tcp --dport 1:2210 -m conntrack --ctstate NEW -j DROP",
            "door ssh, IPv4: range 2201-2210/tcp stays closed even after a knock, because of"),
    },
    Nft: {
        "a part is open": (
            "nft insert rule inet knock knocktail_input udp dport 60500-60600 accept",
            "door ssh, IPv4: range 60500-60600/udp is open to everybody, by"),
        "all of a range stays closed": (
            "nft add table inet mine; nft add chain inet mine c "
            "'{ type filter hook input priority 9; }'; nft add rule inet mine c udp dport "
            "'{ 60000-60400, 60401-65535 }' drop",
            "door ssh, IPv6: range 60000-61000/udp stays closed even after a knock, because of"),
    },
}


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_the_doctor_looks_at_all_of_a_range(possible, kind):
    kind = kind()
    with Lab("none") as lab:
        config = lab.config(doors_of(kind, PORTS))
        lab.daemon(doors_of(kind, PORTS))
        kind.load(lab, config)
        assert "no rule opens to everybody what a door guards" in "\n".join(findings(lab, config))
        assert not [line for line in findings(lab, config) if "door ssh, " in line]
        for command, wanted in RULES[type(kind)].values():
            lab.server.run("sh", "-ec", command)
            assert sum(wanted in line for line in findings(lab, config)) == 1, wanted
            # What holds of many ports in a row is said once.
            assert len(findings(lab, config)) < 12


def test_tcp_and_udp_of_one_number_are_two_ports(possible):
    kind = Iptables()
    with Lab("none") as lab:
        config = lab.config(doors_of(kind, "53/tcp, 53/udp"))
        kind.load(lab, config)
        for port in ("53", "53/udp"):
            wanted = f"port {port} is open to everybody"
            lab.server.run("iptables", "-I", "INPUT", "-p", port[3:] or "tcp", "--dport", "53",
                           "-j", "ACCEPT")
            assert sum(wanted in line for line in findings(lab, config)) == 1
        lab.server.run("iptables", "-I", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED",
                       "-j", "DROP")
        said = lab.knocktail("doctor", "-c", config).stdout
        assert said.count("IPv4: established connections are dropped") == 1


def test_where_all_ports_are_guarded_some_may_be_open(possible):
    kind = Iptables()
    with Lab("none") as lab:
        config = lab.config(doors_of(kind, "all"))
        lab.daemon(doors_of(kind, "all"))
        kind.load(lab, config, "--open", "80,2000-2300")
        assert "no rule opens to everybody what a door guards" in "\n".join(findings(lab, config))
        assert not [line for line in findings(lab, config) if "door ssh, " in line]
        lab.server.run("iptables", "-I", "INPUT", "-p", "tcp", "-j", "ACCEPT")
        assert [line for line in findings(lab, config)
                if "door ssh, IPv4: range 1-65535/tcp is open to everybody" in line]
        lab.server.run("iptables", "-I", "INPUT", "-p", "udp", "--dport", "123", "-j", "DROP")
        assert [line for line in findings(lab, config)
                if "door ssh, IPv4: port 123/udp stays closed even after a knock" in line]
