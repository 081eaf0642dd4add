"""A door with docker = yes closes what Docker publishes to all but those who have knocked."""

import contextlib
import socket

import pytest

import docker
from behind import V4, V6, Inner
from doors import ipset_door, iptables_door, nft_door
from firewalls import Iptables, Nft
from lab import Lab

KNOCK = (7000, 8000, 9000)
PORT = 8080
VERSIONS = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])


class DockerIptables(Iptables):
    """A set of ipset's."""

    door = staticmethod(ipset_door)
    keys = {"set": "knock_web", "set_6": "knock_web6"}


class DockerNft(Nft):
    """A set of nft's, beside what Docker does with iptables."""

    door = staticmethod(nft_door)
    keys = {"set": "inet knock knock_web", "set_6": "inet knock knock_web6"}


@pytest.fixture(params=[DockerIptables, DockerNft], ids=lambda kind: kind.__name__)
def kind(possible, request):
    """Each kind of firewall that can guard what Docker publishes."""
    return request.param()


def doors_of(kind, **keys):
    """The door of the kind."""
    return kind.door("web", **{**kind.keys, "ports": PORT, "docker": "yes", "timeout": "6s", **keys})


def apply(lab, kind, config):
    """Loads the rules."""
    done = lab.knocktail("rules", kind.variant, "-c", config, "--apply", input="yes\n")
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def laboratory(kind, docker_is_first=True, **keys):
    """A container whose port Docker publishes, and a daemon with rules loaded."""
    with Lab("none") as lab, contextlib.closing(Inner(lab)) as inner:
        doors = doors_of(kind, **keys)
        config = lab.config(doors)
        if docker_is_first:
            docker.start(lab, PORT)
        apply(lab, kind, config)
        if not docker_is_first:
            docker.start(lab, PORT)
        yield lab, inner, lab.daemon(doors), config


def connect(client, version):
    """A connection that the container has greeted."""
    sock = client.socket(socket.AF_INET6 if version == 6 else socket.AF_INET)
    sock.settimeout(3)
    sock.connect((client.peer(version), PORT))
    assert sock.recv(100) == b"hello from port 443\n"
    return sock


@pytest.mark.parametrize("docker_is_first", [True, False], ids=["docker first", "docker later"])
@VERSIONS
def test_who_has_knocked_comes_there_and_nobody_else(kind, version, docker_is_first):
    with laboratory(kind, docker_is_first) as (lab, inner, daemon, config):
        client, other = lab.client(), lab.client()
        assert not client.can_connect(PORT, version)
        since = client.knock(*KNOCK, version=version)
        opened = client.wait_open(PORT, version, since=since)
        with connect(client, version) as sock:
            assert inner.sees() == {client.address(version)}
            assert not other.can_connect(PORT, version)
            assert client.wait_closed(PORT, version, timeout=12) - opened < 9
            sock.sendall(b"still here\n")
            assert sock.recv(100) == b"still here\n"
        # What Docker does when it starts again takes nothing away.
        docker.start(lab, PORT)
        assert not client.can_connect(PORT, version) and not other.can_connect(PORT, version)
        client.wait_open(PORT, version, since=client.knock(*KNOCK, version=version))
        assert daemon.stop() == 0


def test_what_containers_ask_for_is_not_closed(kind):
    """They may go to the same port of others."""
    with laboratory(kind, ports="all") as (lab, inner, _, __):
        client = lab.client()
        with client.socket() as listener:
            listener.bind((client.address(), PORT))
            listener.listen()
            done = inner.run("/usr/bin/python3", "-c", "import socket, sys; "
                             "socket.create_connection((sys.argv[1], sys.argv[2]), 3)",
                             client.address(), PORT, check=False)
            assert done.returncode == 0, done.stderr
        assert not client.can_connect(PORT)


@VERSIONS
def test_a_family_that_nobody_can_knock_over_is_closed(kind, version):
    key = "set_6" if version == 6 else "set"
    with laboratory(kind, **{key: None}) as (lab, _, __, ___):
        assert not lab.client().can_connect(PORT, version)


def test_others_rules_for_docker_stay(kind):
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        docker.start(lab, PORT)
        mine = "-A DOCKER-USER -s 198.51.100.77/32 -j DROP"
        lab.server.run("iptables", *mine.split())
        config = lab.config(doors_of(kind))
        for _ in range(2):
            apply(lab, kind, config)
        user = lab.server.run("iptables", "-S", "DOCKER-USER").stdout.splitlines()
        assert mine in user and len(user) == (3 if kind.variant == "iptables" else 2)
        assert lab.knocktail("rules", kind.variant, "-c", config, "--remove").returncode == 0
        assert lab.server.run("iptables", "-S", "DOCKER-USER").stdout.splitlines() == [
            "-N DOCKER-USER", mine]
        assert lab.client().can_connect(PORT)


def test_rules_say_what_is_published_and_not_guarded(kind):
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        docker.start(lab, PORT)
        lab.client()
        said = lab.knocktail("rules", kind.variant, "-c", lab.config(doors_of(kind, docker=None)))
        assert f"door web, IPv4: port {PORT} is sent to another machine" in said.stderr
        assert "docker = yes in the door" in said.stderr
        said = lab.knocktail("rules", kind.variant, "-c", lab.config(doors_of(kind)))
        assert "is sent to another" not in said.stderr


def test_a_door_to_all_ports_does_not_guard_what_is_published(kind):
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        docker.start(lab, PORT)
        client = lab.client()
        lab.server.ip("route add default dev eth0", "route add ::/0 dev eth0")
        keys = {"ports": "all", "docker": None}
        config = lab.config(doors_of(kind, **keys))
        done = lab.knocktail("rules", kind.variant, "-c", config, "--apply", input="yes\n")
        assert done.returncode == 0
        sent_on = [line for line in done.stderr.splitlines() if "is sent to another" in line]
        assert len(sent_on) == 2
        assert f"door web, IPv4: port {PORT} is sent to another machine" in sent_on[0]
        assert client.can_connect(PORT)
        said = lab.knocktail("doctor", "-c", config).stdout
        assert f"warning  closed       door web, IPv4: port {PORT} is open to everybody" in said
        # Another door may guard it.
        guard = kind.door("guard", **{**kind.keys, "ports": PORT, "docker": "yes",
                                      "sequence": "7001, 8001, 9001"})
        config = lab.config(doors_of(kind, **keys) + guard)
        done = lab.knocktail("rules", kind.variant, "-c", config, "--apply", input="yes\n")
        assert "is sent to another" not in done.stderr
        assert not client.can_connect(PORT)
        assert "open to everybody" not in lab.knocktail("doctor", "-c", config).stdout


@VERSIONS
def test_a_door_beside_it_forwards(kind, version):
    """Whoever has knocked there comes to where it leads, whatever all other ports are closed by."""
    keys = {"ports": 8443, "forward": f"{V4}:443", "forward_6": f"[{V6}]:443", "timeout": "6s",
            "set": "knock_in", "set_6": "knock_in6", "sequence": "7001, 8001, 9001"}
    if kind.variant == "nft":
        keys |= {"set": "inet knock knock_in", "set_6": "inet knock knock_in6"}
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        doors = doors_of(kind, ports="all") + kind.door("inner", **keys)
        if kind.variant == "iptables":
            doors += iptables_door("chain", "7002, 8002, 9002", ports=8444, forward=f"{V4}:443",
                                   forward_6=f"[{V6}]:443", timeout="6s")
        config = lab.config(doors)
        docker.start(lab, PORT)
        apply(lab, kind, config)
        docker.start(lab, PORT)
        daemon = lab.daemon(doors)
        client = lab.client()
        assert not client.can_connect(8443, version)
        client.wait_open(8443, version, since=client.knock(7001, 8001, 9001, version=version))
        assert not client.can_connect(PORT, version)
        if kind.variant == "iptables":
            assert not client.can_connect(8444, version)
            client.wait_open(8444, version, since=client.knock(7002, 8002, 9002, version=version))
            assert daemon.stop() == 0
            assert lab.knocktail("rules", "iptables", "-c", config, "--remove").returncode == 0
            assert "knocktail" not in lab.server.run("iptables-save").stdout.lower()


def test_rules_beside_no_docker(possible):
    """They can be loaded by hand, and nothing of them stays."""
    kind = DockerIptables()
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        config = lab.config(doors_of(kind))
        apply(lab, kind, config)
        assert lab.knocktail("rules", kind.variant, "-c", config, "--remove").returncode == 0
        for program in ("iptables", "ip6tables"):
            assert "DOCKER-USER" not in lab.server.run(f"{program}-save").stdout
        text = kind.rules(lab, config)
        command, = [line.lstrip("#\t") for line in text.splitlines() if "-N DOCKER-USER" in line]
        lab.server.run("sh", "-ec", command)
        kind.load(lab, config)
        docker.start(lab, PORT)
        assert not lab.client().can_connect(PORT)
        # It is Docker's now.
        assert lab.knocktail("rules", kind.variant, "-c", config, "--remove").returncode == 0
        assert "-A FORWARD -j DOCKER-USER" in lab.server.run("iptables", "-S", "FORWARD").stdout


def test_the_doctor_follows_it(kind):
    with laboratory(kind) as (lab, _, __, config):
        lab.client()
        lab.server.ip("route add default dev eth0", "route add ::/0 dev eth0")
        said = lab.knocktail("doctor", "-c", config).stdout
        assert "no rule opens to everybody what a door guards" in said
        assert "a knock lets its source in" in said
        if kind.variant == "iptables":
            lab.server.run("iptables", "-F", "KNOCKTAIL_DOCKER")
        else:
            lab.server.run("nft", "flush", "chain", "inet", "knock", "knocktail_forward")
        said = lab.knocktail("doctor", "-c", config).stdout
        assert f"door web, IPv4: port {PORT} is open to everybody" in said


# What an installation writes, in /etc of the laboratory alone, and the steps of its unit.
INSTALL = """
mkdir -p /run/lab/etc/upper /run/lab/etc/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc/upper,workdir=/run/lab/etc/work lab /etc
if [ -e /etc/machine-id ]; then mount --bind /run/machine-id /etc/machine-id; fi
mkdir -p /etc/knocktail /etc/systemd/system/sysinit.target.wants
"""


def test_a_machine_that_boots_is_closed(kind):
    """Whether or not the rules can be loaded, before Docker starts or after."""
    with Lab("none") as lab, contextlib.closing(Inner(lab)):
        lab.server.run("sh", "-ec", INSTALL)
        done = lab.knocktail("rules", kind.variant, "-c", lab.config(doors_of(kind)), "--install")
        assert done.returncode == 0, done.stderr
        client = lab.client()
        unit = lab.read("/etc/systemd/system/knocktail-firewall.service")
        steps = [line.partition("=")[2].replace("$$", "$") for line in unit.splitlines()
                 if line.startswith("ExecStart=")]
        lab.server.run("sh", "-ec", steps[0])
        docker.start(lab, PORT)
        assert not client.can_connect(PORT) and not client.can_connect(PORT, 6)
        for step in steps[1:]:
            lab.server.run("sh", "-ec", step)
        assert not client.can_connect(PORT) and not client.can_connect(PORT, 6)
        lab.daemon(doors_of(kind))
        client.wait_open(PORT, since=client.knock(*KNOCK))
