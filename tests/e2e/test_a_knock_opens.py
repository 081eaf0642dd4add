"""A knock with whatever is at hand opens the door to whoever knocked."""

import contextlib
import functools
import socket

import pytest

import doors
from doors import SENTINEL
from hosts import parse_step, wait_until
from lab import NFT_PORT

# Long enough to look at them.
ipset_door = functools.partial(doors.ipset_door, timeout="60s")
nft_door = functools.partial(doors.nft_door, timeout="60s")

KNOCKS = {
    "tcp": ("7000", "8000", "9000"),
    "udp": ("7000/udp", "8000/udp", "9000/udp"),
    "mixed": ("7000", "8000/udp", "9000"),
}


# nmap need not wait for an answer that will not come.
QUICKLY = ("--max-retries", "0", "--max-rtt-timeout", "50ms")


def with_netcat(client, steps, version):
    """nc, which waits a second for each answer: the kernel may well send a SYN twice."""
    for step in steps:
        port, protocol = parse_step(step)
        udp = ["-u", "-q", 0] if protocol == "udp" else ["-z"]
        client.run("nc", f"-{version}", *udp, "-w", 1, client.peer(version), port, input="x",
                   check=False)


def waits_for_an_answer(client, version):
    """Whether a SYN of the client's is on its way."""
    with open(f"/proc/{client.pid}/net/tcp{'6' if version == 6 else ''}", encoding="ascii") as file:
        return any(line.split()[3] == "02" for line in file)


def with_bash(client, steps, version):
    """Nothing but a shell."""
    for step in steps:
        port, protocol = parse_step(step)
        bash = client.popen(["bash", "-c", f"echo > /dev/{protocol}/{client.peer(version)}/{port}"])
        wait_until(lambda bash=bash: bash.poll() is not None or waits_for_an_answer(client, version), 5,
                   f"a SYN to {port}")
        bash.kill()
        bash.wait()


def with_nmap(client, steps, version):
    """nmap's SYN and UDP probes."""
    for step in steps:
        port, protocol = parse_step(step)
        client.run("nmap", *(["-6"] if version == 6 else []), "-n", "-Pn", *QUICKLY,
                   "-sU" if protocol == "udp" else "-sS", "-p", port,
                   client.peer(version))


def with_nmap_connect(client, steps, version):
    """nmap as an ordinary user would run it (and UDP as root, which it insists on)."""
    for step in steps:
        port, protocol = parse_step(step)
        client.run("nmap", *(["-6"] if version == 6 else []), "-n", "-Pn", *QUICKLY,
                   "-sU" if protocol == "udp" else "-sT", "-p", port,
                   client.peer(version))


def with_knock(client, steps, version):
    """The client that comes with knockd."""
    client.run("knock", f"-{version}", client.peer(version),
               *(step.replace("/", ":") for step in steps))


def with_socat(client, steps, version):
    """socat."""
    for step in steps:
        port, protocol = parse_step(step)
        host = f"[{client.peer(6)}]" if version == 6 else client.peer(4)
        timeout = ",connect-timeout=0.1" if protocol == "tcp" else ""
        client.run("socat", "-", f"{protocol}{version}:{host}:{port}{timeout}", input="x",
                   check=False)


TOOLS = {"nc": with_netcat, "bash": with_bash, "nmap": with_nmap, "nmap -sT": with_nmap_connect,
         "knock": with_knock, "socat": with_socat}


@pytest.mark.parametrize("protocols", KNOCKS)
@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("tool", TOOLS)
def test_knocking_with(tool, version, protocols, client, start, needs):
    needs(tool.split()[0])
    steps = KNOCKS[protocols]
    daemon = start(ipset_door(sequence=", ".join(steps), seq_timeout="10s"))
    assert not client.can_connect(version=version)
    TOOLS[tool](client, steps, version)
    client.wait_open(version=version)
    daemon.wait_message("opened", SOURCE=client.address(version))
    assert len(daemon.events(DOOR="ssh", SOURCE=client.address(version))) == 1


def test_hping3(client, start, needs):
    needs("hping3")
    start(ipset_door())
    for port in (7000, 8000, 9000):
        client.run("hping3", "-q", "-S", "-c", 1, "-p", port, client.peer(), check=False)
    client.wait_open()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_data_passes_through_the_open_door(version, client, start):
    start(ipset_door())
    client.knock(7000, 8000, 9000, version=version)
    client.wait_open(version=version)
    answer = client.run("nc", f"-{version}", "-N", "-w", 2, client.peer(version), 22,
                        input="is anybody there?\n").stdout
    assert answer == "hello from port 22\nis anybody there?\n"


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_only_the_one_who_knocked_comes_in(version, client, other, start, lab):
    start(ipset_door())
    client.knock(7000, 8000, 9000, version=version)
    client.wait_open(version=version)
    assert not other.can_connect(version=version)
    assert not client.can_connect(version=10 - version), "the other family was not asked for"
    assert list(lab.members(f"knock{version}")) == [client.address(version)]


def test_one_door_does_not_open_another(client, start):
    """Two doors, two sequences with a common beginning."""
    daemon = start(ipset_door() + ipset_door("other", "7000, 8000, 9001"))
    client.knock(7000, 8000, 9001)
    client.wait_open()
    daemon.wait_message("opened", DOOR="other")
    assert not daemon.events(DOOR="ssh")


def test_a_port_may_be_knocked_at_twice(client, start):
    start(ipset_door(sequence="7000, 7000, 8000"))
    client.knock(7000, 7000, 8000)
    client.wait_open()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("sequence", ["7000, 8000, 9000", "7000/udp, 8000, 9000/udp, 6000"])
def test_a_client_may_try_each_port_twice(client, start, sequence, version):
    """As browsers do, from another socket each time; the kernel sends again from both."""
    start(ipset_door(sequence=sequence))
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with contextlib.ExitStack() as stack:
        for step in sequence.split(", "):
            port, protocol = parse_step(step)
            kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
            for _ in range(2):
                sock = stack.enter_context(client.socket(family, kind))
                sock.setblocking(False)
                if protocol == "udp":
                    sock.sendto(b"", (client.peer(version), port))
                else:
                    sock.connect_ex((client.peer(version), port))
        client.wait_open(version=version)


def test_where_a_port_counts_twice_once_is_not_enough(client, start, nothing_opened):
    daemon = start(ipset_door(sequence="7000, 8000, 8000, 9000") + SENTINEL)
    client.knock(7000, 8000, 9000)
    nothing_opened(daemon, client)
    client.knock(7000, 7000, 8000, 8000, 9000)
    client.wait_open()


def test_many_knock_at_once(clients, start):
    start(ipset_door())
    crowd = [clients() for _ in range(20)]
    for port in (7000, 8000, 9000):
        for client in crowd:
            client.hit(port)
    for client in crowd:
        client.wait_open()


def test_a_client_that_keeps_trying_does_not_spoil_its_knock(client, start, lab):
    """Each step is held open until the kernel has sent its SYN again, between later steps too."""
    start(ipset_door(seq_timeout="20s"))

    def syns(port):
        return sum(f"SRC={client.v4} " in record["MESSAGE"] and f" DPT={port} " in record["MESSAGE"]
                   for record in lab.records())

    held = []
    for port in (7000, 8000, 9000):
        held.append(client.popen(["nc", "-z", "-w", "6", client.peer(), str(port)]))
        sent = 2 if port != 9000 else 1     # the last one opens, and need not be sent again
        wait_until(lambda port=port, sent=sent: syns(port) >= sent, 4, f"the SYNs to {port}")
    client.wait_open()
    for process in held:
        process.kill()
        process.wait()


def test_a_knock_that_nft_logs(nft_lab, nft_start, needs):
    """`log flags all` writes another kind of line; the door is a set of nft's."""
    needs("nft")
    daemon = nft_start(nft_door(sequence="7000, 8000/udp, 9000"))
    client = nft_lab.client()
    other = nft_lab.client()
    for version in (4, 6):
        assert not client.can_connect(NFT_PORT, version)
        client.knock(7000, "8000/udp", 9000, version=version)
        client.wait_open(NFT_PORT, version)
        assert not other.can_connect(NFT_PORT, version)
        daemon.wait_message("opened", SOURCE=client.address(version))
    assert len(daemon.messages("opened")) == 2
